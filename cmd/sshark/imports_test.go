package main_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/sshark/sshark/"

// layers is the direction of imports: a package imports from its own folder and from those
// that it names here, and from nowhere else in the module.
var layers = map[string][]string{
	"pcap":       {},
	"dissect":    {"pcap"},
	"servicemap": {"pcap", "dissect"},
	"worker":     {"pcap", "dissect", "servicemap"},
	"tui":        {"pcap", "dissect", "servicemap"},
	"sshd":       {"pcap", "dissect", "servicemap", "worker", "tui"},
	"cmd":        {"pcap", "dissect", "servicemap", "worker", "tui", "sshd"},
	"helm":       {"sshd"}, // tests only: what the chart writes is read by the code that will read it
}

// ban keeps an import to the folders that need it.
type ban struct {
	what   string   // import path; with all below it if it ends in "/..."
	only   []string // folders that may, with all below them
	tests  bool     // tests may import it anywhere
	reason string
}

var bans = []ban{
	{"github.com/cilium/ebpf/...", []string{"worker/bpf"}, true,
		"the kernel is spoken to in one place, so that the rest builds and is tested without one"},
	{"k8s.io/...", []string{"servicemap/kube"}, false,
		"client-go is large and brings its own caches: one package owns the informers, the rest sees plain values"},
	{"charm.land/wish/v2/...", []string{"sshd"}, false,
		"the screen and the worker know nothing of SSH"},
	{"charm.land/ssh/...", []string{"sshd"}, false,
		"the screen and the worker know nothing of SSH"},
	{"golang.org/x/crypto/ssh/...", []string{"sshd", "cmd"}, false,
		"keys and certificates are judged in one place"},
	{"charm.land/bubbletea/v2/...", []string{"tui", "sshd", "cmd"}, false,
		"what captures, keeps and dissects knows no screen"},
	{"charm.land/lipgloss/v2/...", []string{"tui", "sshd", "cmd"}, false,
		"a protocol's descriptor holds no colours"},
	{"charm.land/bubbles/v2/...", []string{"tui"}, false,
		"components belong to the screen"},
	{"google.golang.org/grpc/...", []string{"worker", "sshd", "cmd"}, false,
		"packets, calls and the map are plain values; how they travel is the worker's and the hub's affair"},
	{"github.com/prometheus/client_golang/...", []string{"worker", "sshd", "cmd"}, false,
		"what is counted is plain numbers; how they are exposed is the affair of those who run"},
	{"github.com/spf13/cobra/...", []string{"sshd/command", "cmd"}, false,
		"flags become plain options at the edge"},
	{"github.com/google/cel-go/...", []string{"dissect/filter"}, false,
		"one package declares the filter's language; the others hand filters on as text or compiled"},
	{"github.com/vishvananda/...", []string{"cmd/netlab", "worker/capture"}, true,
		"only the capture, and the labs of demo, bench and tests, have to do with network devices"},
	{"os/exec", []string{"cmd"}, true,
		"the product starts no programs: the console must not be a way to a shell"},
	{"log", nil, false,
		"log/slog, handed in: package log writes to a place that nobody chose, and its Fatal exits"},
	{"testing/...", nil, true,
		"it does not belong into the product; only packages for tests, named as httptest is, import it outside of them"},
	{"io/ioutil", nil, false,
		"deprecated"},
	{"github.com/google/gopacket/...", nil, false,
		"no longer kept, with an open advisory: github.com/gopacket/gopacket goes on with it"},
	{"math/rand", nil, false,
		"math/rand/v2"},
}

// source is one Go file of the module.
type source struct {
	file string // its path in the module, with slashes
	text []byte
	ast  *ast.File
}

func (s *source) folder() string { return path.Dir(s.file) }

// test: a test, or of a package that helps tests, named as net/http/httptest is.
func (s *source) test() bool {
	return strings.HasSuffix(s.file, "_test.go") || strings.HasSuffix(s.folder(), "test")
}

func parse(file string, text []byte) (*source, *token.FileSet, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, text, parser.ParseComments|parser.SkipObjectResolution)
	return &source{file, text, f}, fset, err
}

// eachSource reads the Go files of the module, for all systems and with all build tags. It
// opens them itself, and does not ask go list, so that a cached test result falls with them.
func eachSource(t *testing.T, check func(*source, *token.FileSet)) {
	t.Helper()
	root := filepath.Join("..", "..")
	seen := 0
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(name) != ".go":
			return nil
		}
		file, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		s, fset, err := parse(filepath.ToSlash(file), text)
		if err != nil {
			t.Error(err)
			return nil
		}
		seen++
		check(s, fset)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 20 {
		t.Fatalf("found %d Go files: is this the module?", seen)
	}
}

// covers: "x/..." is x and all below it, anything else is itself.
func covers(pattern, name string) bool {
	tree, ok := strings.CutSuffix(pattern, "/...")
	return name == tree || ok && strings.HasPrefix(name, tree+"/")
}

// wrongImports says what of a file's imports is against the house.
func wrongImports(s *source) []string {
	top, _, _ := strings.Cut(s.file, "/")
	allowed, known := layers[top]
	if !known {
		return []string{fmt.Sprintf("%s: the top-level folders are given, %q is none of them", s.file, top)}
	}
	var wrong []string
	for _, spec := range s.ast.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has let it pass, the compiler will not
		}
		if inner, ok := strings.CutPrefix(imported, module); ok {
			to, _, _ := strings.Cut(inner, "/")
			if to != top && !slices.Contains(allowed, to) {
				wrong = append(wrong, fmt.Sprintf("%s imports %s: imports go pcap → dissect → servicemap → {worker, tui} → sshd → cmd", s.file, inner))
			}
			continue
		}
		for _, b := range bans {
			if covers(b.what, imported) && !(s.test() && b.tests) &&
				!slices.ContainsFunc(b.only, func(f string) bool { return covers(f+"/...", s.folder()) }) {
				wrong = append(wrong, fmt.Sprintf("%s imports %s, which is for %q: %s", s.file, imported, b.only, b.reason))
			}
		}
	}
	return wrong
}

func TestImports(t *testing.T) {
	eachSource(t, func(s *source, _ *token.FileSet) {
		for _, w := range wrongImports(s) {
			t.Error(w)
		}
	})
}

// TestImportsRefuse shows that the rules bite.
func TestImportsRefuse(t *testing.T) {
	for _, tt := range []struct {
		file, imports string
		ok            bool
	}{
		{"tui/view/a.go", module + "sshd/auth", false},
		{"tui/view/a.go", module + "worker/query", false},
		{"tui/view/a.go", module + "dissect", true},
		{"tui/view/a_test.go", module + "sshd/auth", false},
		{"worker/capture/a.go", module + "tui", false},
		{"dissect/dns/a.go", module + "servicemap/identity", false},
		{"pcap/flow/a.go", module + "dissect", false},
		{"sshd/a.go", module + "worker/server", true},
		{"sshd/a.go", module + "cmd/sshark/demo", false},
		{"util/a.go", "fmt", false},
		{"worker/capture/a.go", "github.com/cilium/ebpf/link", false},
		{"worker/bpf/a.go", "github.com/cilium/ebpf/link", true},
		{"sshd/fleet/a.go", "k8s.io/client-go/kubernetes", false},
		{"tui/a.go", "charm.land/wish/v2/bubbletea", false},
		{"pcap/store/a.go", "github.com/prometheus/client_golang/prometheus", false},
		{"worker/metrics/a.go", "github.com/prometheus/client_golang/prometheus", true},
		{"pcap/store/a.go", "log", false},
		{"pcap/store/a.go", "log/slog", true},
		{"pcap/store/a.go", "math/rand", false},
		{"pcap/store/a.go", "math/rand/v2", true},
		{"pcap/store/a.go", "testing", false},
		{"pcap/store/a_test.go", "testing", true},
		{"pcap/store/storetest/a.go", "testing", true},
		{"sshd/command/a.go", "os/exec", false},
		{"sshd/command/a_test.go", "os/exec", true},
	} {
		s, _, err := parse(tt.file, fmt.Appendf(nil, "package p\nimport _ %q\n", tt.imports))
		if err != nil {
			t.Fatal(err)
		}
		if wrong := wrongImports(s); (len(wrong) == 0) != tt.ok {
			t.Errorf("%s imports %s: %q, want ok: %v", tt.file, tt.imports, wrong, tt.ok)
		}
	}
}
