package main_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/dissect/protocols"
	"github.com/sshark/sshark/sshd/command"
)

// docs are the documents of the project.
func docs(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("no documents: %v", err)
	}
	all := map[string]string{}
	for _, f := range append(files, "../../README.md") {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(f)] = string(b)
	}
	return all
}

const filtersHead = `# What a filter may name

Filters are [CEL](https://cel.dev): ` + "`&&  ||  !  ==  !=  <  >  in  ( )`" + `, strings in quotes with ` + "`contains() startsWith() endsWith() matches()`" + ` (RE2), ` +
	"`size()`" + `, lists and maps with ` + "`exists()` and `all()`" + `. An unknown name or a wrong type is an error with line, column and caret, never a silent no. A field that a call does not have is its type's zero value, a missing key of a map is ` + "`\"\"`" + `; ` + "`has(field)`" + ` tells them apart.

- times and durations: ` + "`timestamp > now() - duration(\"5m\")`, `latency > duration(\"200ms\")`" + `
- networks: ` + "`cidr(\"10.0.0.0/8\").containsIP(src.ip)`" + `
- both bodies: ` + "`body.contains(\"out of stock\")`" + `

A flag such as ` + "`http`" + ` or ` + "`redis`" + ` is true for what that protocol said. ` + "`src`" + ` is the client, ` + "`dst`" + ` the server; of a lone message ` + "`src`" + ` sent it. What a key of ` + "`-o json`" + ` is called is what a filter calls it. The screen completes all of these while one types.

This list is written by a test: ` + "`go test ./cmd/sshark -run TestFilterReference -update`" + `.
`

// TestFilterReference holds docs/filters.md to what the language knows.
func TestFilterReference(t *testing.T) {
	all := protocols.All()
	l, err := filter.New(all)
	if err != nil {
		t.Fatal(err)
	}
	title := map[string]string{}
	for _, p := range all {
		title[p.Name] = p.Title
	}
	by := map[string][]filter.Doc{}
	for _, d := range l.Fields() {
		group := "Everywhere"
		switch {
		case len(d.Protocols) == 1 && title[d.Protocols[0]] != "":
			group = title[d.Protocols[0]]
		case len(d.Protocols) > 0:
			group = "Of several protocols"
		}
		by[group] = append(by[group], d)
	}
	groups := []string{"Everywhere", "Of several protocols"}
	for _, p := range all {
		if by[p.Title] != nil && !slices.Contains(groups, p.Title) {
			groups = append(groups, p.Title)
		}
	}
	cell := func(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
	var b bytes.Buffer
	b.WriteString(filtersHead)
	for _, g := range groups {
		if len(by[g]) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n| field | type | is | as in |\n|---|---|---|---|\n", g)
		for _, d := range by[g] {
			example := ""
			if d.Example != "" && d.Example != d.Name {
				if _, err := l.Compile(d.Example); err != nil {
					t.Errorf("the example of %s: %v", d.Name, err)
				}
				example = "`" + cell(d.Example) + "`"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", d.Name, d.Type, cell(d.Help), example)
		}
	}
	const path = "../../docs/filters.md"
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, b.Bytes()) {
		t.Errorf("%s is not what the code says: go test ./cmd/sshark -run TestFilterReference -update (%v)", path, err)
	}
}

// Blocks of documents, and what is in one line of text: in tables a bar is written with a
// backslash.
var (
	filterBlock = regexp.MustCompile("(?s)```cel\n(.*?)```")
	inCode      = regexp.MustCompile("`([^`]+)`")
	aLink       = regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)
)

// TestFiltersOfDocuments compiles every filter in the documents, among them those that
// Kubeshark's users know.
func TestFiltersOfDocuments(t *testing.T) {
	l, err := filter.New(protocols.All())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for name, text := range docs(t) {
		for _, m := range filterBlock.FindAllStringSubmatch(text, -1) {
			for _, line := range strings.Split(strings.TrimSpace(m[1]), "\n") {
				if line, _, _ = strings.Cut(line, " // "); strings.TrimSpace(line) == "" {
					continue
				}
				n++
				if _, err := l.Compile(line); err != nil {
					t.Errorf("%s: %s: %v", name, line, err)
				}
			}
		}
	}
	if n < 70 {
		t.Errorf("only %d filters were found", n)
	}
}

// TestCommandsOfDocuments: what documents call a command of the console is one, and every
// command is in the operators' document.
func TestCommandsOfDocuments(t *testing.T) {
	known := command.Names()
	all := docs(t)
	for name, text := range all {
		for _, m := range inCode.FindAllStringSubmatch(text, -1) {
			words := strings.Fields(strings.ReplaceAll(m[1], `\|`, "|"))
			if len(words) < 3 || words[0] != "ssh" || words[1] != "console" {
				continue
			}
			if !slices.Contains(known, words[2]) && words[2] != "tcpdump" {
				t.Errorf("%s: %s: there is no command %s", name, m[1], words[2])
			}
		}
	}
	for _, c := range known {
		if !strings.Contains(all["ask.md"], "`"+c) && !strings.Contains(all["ask.md"], "ssh console "+c) {
			t.Errorf("ask.md does not name the command %s", c)
		}
	}
}

// TestLinksOfDocuments: a link to a file of the project leads somewhere.
func TestLinksOfDocuments(t *testing.T) {
	for name, text := range docs(t) {
		dir := "../../docs"
		if name == "README.md" {
			dir = "../.."
		}
		for _, m := range aLink.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(dir, m[1])); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
