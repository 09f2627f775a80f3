// Package helm_test holds the chart to what it promises: it renders it with helm, as users do,
// and looks at what comes out. Helm is $HELM, the helm of $PATH, or the one that .ci/tools.mod
// pins; where none of them runs the tests are skipped.
package helm_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the golden files")

// kubeVersion is the cluster that is rendered for, as helm itself may not know one.
const kubeVersion = "1.34.0"

// program finds helm once for all tests.
var program = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("HELM"); path != "" {
		return path, nil
	}
	if path, err := exec.LookPath("helm"); err == nil {
		return path, nil
	}
	// It is built at the first time, which takes a minute or two, and kept by Go.
	var said bytes.Buffer
	cmd := exec.Command("go", "tool", "-n", "-modfile=../.ci/tools.mod", "helm")
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("build helm: %w: %s", err, said.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
})

// helm runs a helm that knows no cluster and nothing of the user's, and returns what it says.
func helm(t *testing.T, stdin string, args ...string) (out string, err error) {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Skipf("there is no helm: %v", err)
	}
	home := t.TempDir()
	cmd := exec.Command(path, args...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "KUBECONFIG=" + filepath.Join(home, "none")}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("helm %s: %w: %s", args[0], err, stderr.Bytes())
	}
	return stdout.String(), nil
}

// render is the chart with values in YAML.
func render(t *testing.T, values string, args ...string) (string, error) {
	t.Helper()
	return helm(t, values, append([]string{"template", "sshark", "sshark", "--namespace", "sshark",
		"--kube-version", kubeVersion, "--values", "-"}, args...)...)
}

// object is a Kubernetes object, or a part of one.
type object = map[string]any

// objects is the chart with values, by kind/name.
func objects(t *testing.T, values string, args ...string) map[string]object {
	t.Helper()
	text, err := render(t, values, args...)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]object{}
	for _, doc := range strings.Split(text, "\n---\n") {
		var o object
		if err := yaml.UnmarshalStrict([]byte(doc), &o); err != nil {
			t.Fatalf("%v in:\n%s", err, doc)
		}
		if o == nil {
			continue
		}
		key := fmt.Sprintf("%v/%v", o["kind"], at(o, "metadata", "name"))
		if all[key] != nil {
			t.Errorf("there are two of %s", key)
		}
		all[key] = o
	}
	return all
}

// at follows keys, and indexes of lists, into an object; nil where they lead nowhere.
func at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			o, _ := v.(object)
			v = o[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

// list is at, of a list.
func list(v any, path ...any) []any {
	l, _ := at(v, path...).([]any)
	return l
}

// valueSets are the values in testdata by name.
func valueSets(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) < 4 {
		t.Fatalf("values in testdata: %q, %v", files, err)
	}
	sets := map[string]string{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		sets[strings.TrimSuffix(filepath.Base(f), ".yaml")] = string(text)
	}
	return sets
}

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (write it with -update)", err)
	}
	if got == string(want) {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := 0; i < min(len(g), len(w)); i++ {
		if g[i] != w[i] {
			t.Fatalf("%s, line %d (write it with -update):\n got: %s\nwant: %s", file, i+1, g[i], w[i])
		}
	}
	t.Fatalf("%s: %d lines, want %d (write it with -update)", file, len(g), len(w))
}

// random is what differs at each rendering: keys and certificates.
var random = regexp.MustCompile(`(?m)^(  (?:ssh_host_ed25519_key|ca\.crt|tls\.crt|tls\.key): )LS0t[A-Za-z0-9+/=]{100,}$`)

func TestGolden(t *testing.T) {
	for name, values := range valueSets(t) {
		t.Run(name, func(t *testing.T) {
			text, err := render(t, values)
			if err != nil {
				t.Fatal(err)
			}
			text = random.ReplaceAllString(text, "${1}(random)")
			if strings.Contains(text, "LS0t") { // "---" in base64
				t.Fatal("a key or a certificate would get into the golden file")
			}
			golden(t, name, text)
		})
	}
}

func TestLint(t *testing.T) {
	for name, values := range valueSets(t) {
		t.Run(name, func(t *testing.T) {
			if out, err := helm(t, values, "lint", "--strict", "--kube-version", kubeVersion, "--values", "-", "sshark"); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestNotes renders what `helm install` prints, which `helm template` leaves out, as a file of a
// copy of the chart.
func TestNotes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sshark")
	if err := os.CopyFS(dir, os.DirFS("sshark")); err != nil {
		t.Fatal(err)
	}
	notes, err := os.ReadFile("sshark/templates/NOTES.txt")
	if err != nil {
		t.Fatal(err)
	}
	copied := `{{ define "notes" }}` + string(notes) + `{{ end }}` +
		"kind: Notes\nmetadata: {name: notes}\ntext: |2\n{{ include \"notes\" . | indent 2 }}\n"
	if err := os.WriteFile(filepath.Join(dir, "templates", "notes.yaml"), []byte(copied), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, values := range valueSets(t) {
		t.Run(name, func(t *testing.T) {
			out, err := helm(t, values, "template", "sshark", dir, "--namespace", "sshark", "--kube-version", kubeVersion,
				"--values", "-", "--show-only", "templates/notes.yaml")
			if err != nil {
				t.Fatal(err)
			}
			var o object
			if err := yaml.Unmarshal([]byte(out), &o); err != nil {
				t.Fatal(err)
			}
			text, _ := o["text"].(string)
			nobody := strings.Contains(text, "NOBODY CAN LOG IN")
			if want := name == "default"; nobody != want {
				t.Errorf("says that nobody can log in: %v, want %v", nobody, want)
			}
			golden(t, name+".notes", text)
		})
	}
}

// leaf is a line of values.yaml that gives a value, within two levels.
var leaf = regexp.MustCompile(`^( {2})?[A-Za-z]+: `)

func TestEveryValueHasAComment(t *testing.T) {
	text, err := os.ReadFile("sshark/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	before, leaves := "", 0
	for n, line := range strings.Split(string(text), "\n") {
		if leaf.MatchString(line) {
			leaves++
			if !strings.HasPrefix(strings.TrimSpace(before), "#") {
				t.Errorf("values.yaml:%d: no comment above %s", n+1, strings.TrimSpace(line))
			}
		}
		before = line
	}
	if leaves < 30 {
		t.Errorf("found %d values: does the check still read the file?", leaves)
	}
}
