package command

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/sshd/snapshots"
	"github.com/sshark/sshark/sshd/sourcetest"
	"github.com/sshark/sshark/worker/query"
)

var update = flag.Bool("update", false, "write the golden files")

// language is made once: it is immutable, and not cheap.
var language = func() *filter.Language {
	l, err := filter.New([]*dissect.Protocol{sourcetest.HTTP})
	if err != nil {
		panic(err)
	}
	return l
}()

// result is what one command did.
type result struct {
	status      int
	out, stderr string
}

func newEnv(s *sourcetest.Source) *Env {
	s.Language = language
	return &Env{
		Source: s, Language: language, Version: "test", Location: time.UTC,
		Now:  func() time.Time { return sourcetest.Start.Add(10 * time.Minute) },
		User: &auth.User{Name: "ada", Login: "root", Method: "key", Key: "SHA256:abc"},
	}
}

// runLine runs a line as ssh sends it.
func runLine(t *testing.T, e *Env, line string) result {
	t.Helper()
	words, raw, err := Split(line)
	if err != nil {
		t.Fatal(err)
	}
	return runWords(e, raw, words...)
}

func runWords(e *Env, raw []string, words ...string) result {
	var out, stderr bytes.Buffer
	env := *e
	env.Raw = raw
	env.Stdin, env.Stderr = strings.NewReader(""), &stderr
	if env.Stdout == nil {
		env.Stdout = &out
	}
	status := Run(context.Background(), &env, words)
	return result{status, out.String(), stderr.String()}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs:\n%s\nwant:\n%s", path, got, want)
	}
}

func TestGolden(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		width      int
		color      bool
	}{
		{"calls-80", "calls", 80, false},
		{"calls-120", "calls", 120, false},
		{"calls-120-color", "calls --last 5", 120, true},
		{"calls-pipe", "calls", 0, false},
		{"calls-wide-160", "calls -o wide", 160, false},
		{"calls-numeric-100", "calls --numeric", 100, false},
		{"calls-json", "calls -o json --first 3", 0, false},
		{"calls-compact", "calls -o compact --last 3", 0, false},
		{"calls-dict", "calls -o dict --last 2", 0, false},
		{"flows-80", "flows", 80, false},
		{"flows-120", "flows", 120, false},
		{"flows-pipe-wide", "flows -o wide", 0, false},
		{"flows-json", "flows -o json --last 2", 0, false},
		{"flows-compact", "flows -o compact --last 2", 0, false},
		{"flows-dict", "flows -o dict --last 1", 0, false},
		{"stream", "stream 0000000001003", 0, false},
		{"stream-color", "stream 0000000001003", 80, true},
		{"stream-server", "stream 0000000001003 --side server", 0, false},
		{"stream-hex", "stream 0000000001003 -o hex", 0, false},
		{"stream-raw", "stream 0000000001003 -o raw --side client", 0, false},
		{"stream-raw-both", "stream 0000000001003 -o raw --side both", 0, false},
		{"stream-json", "stream 0000000001003 -o json", 0, false},
		{"stats", "stats", 0, false},
		{"stats-by", "stats --by dst.service,status_code", 0, false},
		{"stats-by-80", "stats --by src,path,error --since 2026-01-02", 80, false},
		{"stats-color", "stats --by status_code", 120, true},
		{"stats-json", "stats -o json", 0, false},
		{"stats-by-json", "stats --by status_code,node,src.labels.app,error -o json", 0, false},
		{"names", "names", 0, false},
		{"names-wide-160", "names 10.2.0.0/16 -o wide", 160, false},
		{"names-json", "names -o json 10.2.0.1", 0, false},
		{"nodes-120", "nodes", 120, false},
		{"nodes-json", "nodes -o json", 0, false},
		{"whoami", "whoami", 0, false},
		{"whoami-json", "whoami -o json", 0, false},
		{"help", "help", 0, false},
		{"version", "version", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(&sourcetest.Source{Kept: 8})
			e.Terminal, e.Width, e.Color = tt.width > 0, tt.width, tt.color
			r := runLine(t, e, tt.line)
			if r.status != ExitOK {
				t.Fatalf("status %d: %s", r.status, r.stderr)
			}
			golden(t, tt.name+".txt", r.out)
		})
	}
}

func TestTableFitsTerminal(t *testing.T) {
	for width := 40; width < 200; width += 7 {
		for _, command := range []string{"calls", "flows", "calls -o wide", "flows -o wide --numeric", "nodes", "stats", "stats --by src.pod,summary,dst", "names", "names -o wide"} {
			e := newEnv(&sourcetest.Source{Kept: 20, Summary: "GET /" + strings.Repeat("漢字", 100)})
			e.Terminal, e.Width = true, width
			r := runLine(t, e, command)
			for _, line := range strings.Split(strings.TrimSuffix(r.out, "\n"), "\n") {
				if w := textWidth(line); w > width {
					t.Errorf("%s at %d: %d columns: %s", command, width, w, line)
				}
				if strings.HasSuffix(line, " ") {
					t.Errorf("%s at %d: blanks at the end: %q", command, width, line)
				}
			}
		}
	}
}

// TestEveryCommandFits: in a terminal nothing is wrapped by it, whatever the command, and no escape
// sequence comes where none is wanted.
func TestEveryCommandFits(t *testing.T) {
	all := []string{"help", "help snapshot create", "calls -o wide", "flows -o wide", "stream 0000000001003", "stream 0000000001003 -o hex",
		"map", "map --by node", "stats --by src.pod,dst.pod,path,status_code", "names -o wide", "nodes -o wide", "version", "whoami", "doctor -o wide"}
	for _, name := range Names() {
		all = append(all, "help "+name)
	}
	for _, width := range []int{80, 100, 120} {
		for _, line := range all {
			e := newEnv(&sourcetest.Source{Kept: 20, Summary: "GET /" + strings.Repeat("漢字", 100)})
			e.Terminal, e.Width, e.Color = true, width, false
			e.TUI = func(context.Context, Screen) error { return nil }
			e.Snapshots = &snapshots.Desk{}
			r := runLine(t, e, line)
			if r.status != ExitOK || r.out == "" {
				t.Errorf("%s: status %d: %s", line, r.status, r.stderr)
			}
			for _, l := range strings.Split(r.out, "\n") {
				if w := textWidth(l); w > width {
					t.Errorf("%s at %d: %d columns: %s", line, width, w, l)
				}
				if strings.ContainsRune(l, 0x1b) {
					t.Errorf("%s: colours that nobody wants: %q", line, l)
				}
			}
		}
	}
}

// TestColumnsThatGo: where a terminal is narrow the least important columns go, not those that
// were asked for.
func TestColumnsThatGo(t *testing.T) {
	for _, tt := range []struct {
		line       string
		width      int
		stay, gone []string
	}{
		{"calls -o wide", 80, []string{"TIME", "SRC", "DST", "SUMMARY", "STATUS", "STREAM"}, []string{"NETWORK", "NODE"}},
		{"calls -o wide", 160, []string{"PROTO", "LATENCY", "NETWORK", "NODE", "STREAM"}, nil},
		{"flows -o wide", 80, []string{"SRC", "DST", "STREAM"}, []string{"DURATION"}},
		{"stats --by src.pod,dst.pod,path,summary", 80, []string{"PATH", "CALLS", "ERROR %", "P99"}, []string{"PER SECOND"}},
		{"nodes -o wide", 80, []string{"NODE", "STATE", "DROPPED", "STORE"}, []string{"KERNEL", "VERSION"}},
	} {
		e := newEnv(&sourcetest.Source{Kept: 20, Summary: "GET /" + strings.Repeat("a", 100)})
		e.Terminal, e.Width = true, tt.width
		head, _, _ := strings.Cut(runLine(t, e, tt.line).out, "\n")
		for _, title := range tt.stay {
			if !strings.Contains(head, title) {
				t.Errorf("%s at %d lacks %s: %s", tt.line, tt.width, title, head)
			}
		}
		for _, title := range tt.gone {
			if strings.Contains(head, title) {
				t.Errorf("%s at %d has %s: %s", tt.line, tt.width, title, head)
			}
		}
	}
}

// TestColor: --color means the same to every command that has it.
func TestColor(t *testing.T) {
	for _, line := range []string{"calls", "flows", "stream 0000000001003", "map", "stats", "names", "nodes", "doctor"} {
		for flag, want := range map[string]bool{"always": true, "never": false, "auto": true} {
			e := newEnv(&sourcetest.Source{Kept: 20})
			e.Color = true
			if r := runLine(t, e, line+" --color "+flag); r.status != ExitOK || strings.ContainsRune(r.out, 0x1b) != want {
				t.Errorf("%s --color %s: status %d: %q%s", line, flag, r.status, r.out, r.stderr)
			}
		}
		e := newEnv(&sourcetest.Source{Kept: 20})
		if r := runLine(t, e, line); strings.ContainsRune(r.out, 0x1b) {
			t.Errorf("%s: colours without --color: %q", line, r.out)
		}
		if r := runLine(t, e, line+" --color blue"); r.status != ExitUsage || !strings.Contains(r.stderr, `--color "blue": want auto, always or never`) {
			t.Errorf("%s --color blue: status %d: %s", line, r.status, r.stderr)
		}
		if r := runLine(t, e, line+" -o xml"); r.status != ExitUsage || !strings.Contains(r.stderr, `-o "xml": want `) {
			t.Errorf("%s -o xml: status %d: %s", line, r.status, r.stderr)
		}
	}
}

func TestControlCharacters(t *testing.T) {
	for _, command := range []string{"calls", "calls -o json", "calls -o compact", "calls -o dict", "calls -o wide"} {
		r := runLine(t, newEnv(&sourcetest.Source{Kept: 1, Summary: "GET /\x1b[2J\u009b1m\u202e\x7f\r\n\xff"}), command)
		for _, c := range r.out {
			if c < 0x20 && c != '\n' || c >= 0x7f && c < 0xa0 || c == 0x202e {
				t.Errorf("%s: %U reaches the terminal: %q", command, c, r.out)
			}
		}
		if want := map[bool]int{true: 1, false: 2}[strings.Contains(command, "json") || strings.Contains(command, "compact")]; !strings.Contains(command, "dict") && strings.Count(r.out, "\n") != want {
			t.Errorf("%s: a call is not one line: %q", command, r.out)
		}
	}
}

func TestExitStatus(t *testing.T) {
	missing := []query.NodeReport{{Node: "node-a", Oldest: 1, Newest: 2}, {Node: "node-b", Missing: "connection refused"}}
	kept := func() *sourcetest.Source { return &sourcetest.Source{Kept: 8} }
	sees := func(e *Env) { // and not what was said
		e.Scope = scopes(e.User, auth.Rule{Users: []string{"ada"}, Verbs: []auth.Verb{auth.See}, Namespaces: []string{"*"}})
	}
	for _, tt := range []struct {
		name   string
		line   string
		source *sourcetest.Source
		change func(*Env)
		want   int
		says   []string
	}{
		{"all answered", "calls", kept(), nil, 0, nil},
		{"unknown command", "cals", kept(), nil, 2, []string{`no command "cals"`, "did you mean calls"}},
		{"unknown flag", "calls --frist 3", kept(), nil, 2, []string{"unknown flag: --frist", "help calls"}},
		{"bad number", "calls --last x", kept(), nil, 2, []string{`--last "x": want a whole number`, "help calls"}},
		{"number too large", "calls --last 99999999999999999999", kept(), nil, 2, []string{"want a smaller number"}},
		{"bad flag without a value", "calls --all=all", kept(), nil, 2, []string{`--all "all": want true or false`}},
		{"no time since", "calls --since ''", kept(), nil, 2, []string{`--since: time ""`, "5m"}},
		{"no time until", "calls --since 5m --until=", kept(), nil, 2, []string{`--until: time ""`}},
		{"no protocol", "calls --protocol htttp", kept(), nil, 2, []string{"--protocol htttp: there is no protocol of that name"}},
		{"a protocol and a wrong filter", "calls --protocol http statuscode", kept(), nil, 2, []string{"unknown field `statuscode`"}},
		{"an unknown flag of no command", "--version", kept(), nil, 2, []string{"unknown flag: --version; try: help\n"}},
		{"zero", "calls --last 0", kept(), nil, 2, []string{"--all"}},
		{"first and last", "calls --first 1 --last 1", kept(), nil, 2, []string{"--first and --last"}},
		{"first and follow", "calls --first 1 -f", kept(), nil, 2, []string{"--first and --follow"}},
		{"last and all", "calls --last 1 --all", kept(), nil, 2, []string{"--all"}},
		{"until and follow", "calls --until 1m -f", kept(), nil, 2, []string{"--until"}},
		{"empty window", "calls --since 1m --until 5m", kept(), nil, 2, []string{"window is empty"}},
		{"bad time", "calls --since yesterday", kept(), nil, 2, []string{"--since", "5m", "2026-01-02"}},
		{"bad vantage", "calls --vantage top", kept(), nil, 2, []string{"auto, client, server"}},
		{"bad format", "calls -o xml", kept(), nil, 2, []string{"table", "json"}},
		{"bad color", "calls --color blue", kept(), nil, 2, []string{"never"}},
		{"bad filter", "calls http && statuscode == 1", kept(), nil, 2, []string{"line 1, column 9", "statuscode", "\n          ^"}},
		{"bad port", "calls --port web", kept(), nil, 2, []string{"--port", "want a port"}},
		{"not without a flag", "calls --not", kept(), nil, 2, []string{"--not"}},
		{"A and n", "calls -A -n shop", kept(), nil, 2, []string{"-A and -n"}},
		{"words behind whoami", "whoami now", kept(), nil, 2, []string{"whoami takes no words"}},
		{"partial", "calls", &sourcetest.Source{Kept: 8, Report: missing}, nil, 3, []string{"node-b did not answer: connection refused"}},
		{"partial flows", "flows", &sourcetest.Source{Kept: 8, Report: missing}, nil, 3, []string{"node-b did not answer"}},
		{"partial pcap", "pcap", &sourcetest.Source{Kept: 8, Report: missing}, nil, 3, []string{"node-b did not answer"}},
		{"partial nodes", "nodes", &sourcetest.Source{Kept: 8, Report: missing}, nil, 3, []string{"node-b did not answer"}},
		{"failed", "calls", &sourcetest.Source{Kept: 8, Err: errors.New("store is broken")}, nil, 1, []string{"store is broken"}},
		{"failed and partial", "calls", &sourcetest.Source{Kept: 8, Err: errors.New("store is broken"), Report: missing}, nil, 1, []string{"store is broken", "node-b did not answer"}},
		{"refused", "calls", kept(), func(e *Env) { e.Scope = scopes(e.User) }, 4, []string{"ada may not see"}},
		{"export refused", "pcap", kept(), func(e *Env) {
			e.Scope = scopes(e.User, auth.Rule{Users: []string{"ada"}, Verbs: []auth.Verb{auth.See}, Namespaces: []string{"*"}})
		}, 4, []string{"may not export"}},
		{"nodes refused", "nodes", kept(), func(e *Env) { e.Scope = scopes(e.User) }, 4, []string{"ada may not see"}},
		{"the filter alone refused", "calls --print-filter http", kept(), func(e *Env) { e.Scope = scopes(e.User) }, 4, []string{"ada may not see"}},
		{"doctor refused", "doctor", kept(), func(e *Env) { e.Scope = scopes(e.User) }, 4, []string{"ada may not see"}},
		{"help when refused", "help calls", kept(), func(e *Env) { e.Scope = scopes(e.User) }, 0, nil},
		{"version when refused", "version", kept(), func(e *Env) { e.Scope = scopes(e.User) }, 0, nil},
		{"whoami when refused", "whoami", kept(), func(e *Env) { e.Scope = scopes(e.User) }, 0, nil},
		{"pcap to a terminal", "pcap", kept(), func(e *Env) { e.Terminal = true }, 2, []string{"redirect"}},
		{"pcap to a file", "pcap -w x.pcap", kept(), nil, 2, []string{"redirect it"}},
		{"pcap of no packet", "pcap -c 0", kept(), nil, 2, []string{"-c 0: want a number from 1 on"}},
		{"tcpdump of no packet", "tcpdump -i any -w - -c 0", kept(), nil, 2, []string{"-c 0"}},
		{"pcap as xml", "pcap -o xml", kept(), nil, 2, []string{"pcapng or pcap"}},
		{"stats by nothing", "stats --by ''", kept(), nil, 2, []string{"want a field"}},
		{"stats by what there is not", "stats --by protocol,stauts_code", kept(), nil, 2, []string{"--by: line 1, column 10", "did you mean `status_code`?", "\n           ^", "help stats"}},
		{"stats of what differs", "stats --by time", kept(), nil, 2, []string{"differs from call to call"}},
		{"stats without an end", "stats -f", kept(), nil, 2, []string{"--follow"}},
		{"stats of what was said", "stats --by protocol,path", kept(), sees, 4, []string{"--by path", "ada may not see what was said"}},
		{"stats of who speaks", "stats --by protocol,src.pod,dst,error,node", kept(), sees, 0, nil},
		{"partial stats", "stats", &sourcetest.Source{Kept: 8, Report: missing}, nil, 3, []string{"node-b did not answer"}},
		{"stats of nothing", "stats", &sourcetest.Source{}, nil, 0, []string{"no packet is kept yet"}},
		{"names of no address", "names cart", kept(), nil, 2, []string{`"cart" is no address`, "10.1.0.0/16"}},
		{"names of two", "names 10.1.0.1 10.1.0.2", kept(), nil, 2, []string{"no address"}},
		{"names without an end", "names -f", kept(), nil, 2, []string{"--follow"}},
		{"names refused", "names", kept(), func(e *Env) { e.Scope = scopes(e.User) }, 4, []string{"ada may not see"}},
		{"partial names", "names", &sourcetest.Source{Kept: 8, Report: missing}, nil, 3, []string{"node-b did not answer"}},
		{"names of nobody", "names 192.0.2.1", kept(), nil, 0, []string{"none of the 8 flows"}},
		{"stream without an ID", "stream", kept(), nil, 2, []string{"one ID", "flows -o wide"}},
		{"stream of no ID", "stream 12", kept(), nil, 2, []string{"13 hexadecimal digits"}},
		{"stream of nobody", "stream 0000000001fff", kept(), nil, 1, []string{"stream 0000000001fff: no such flow"}},
		{"stream of a side", "stream 0000000001003 --side left", kept(), nil, 2, []string{"client, server or both"}},
		{"stream, raw, of both", "stream 0000000001003 -o raw", kept(), nil, 2, []string{"--side client"}},
		{"stream, raw, to a terminal", "stream 0000000001003 -o raw --side client", kept(), func(e *Env) { e.Terminal = true }, 2, []string{"redirect"}},
		{"stream, raw, with a gap", "stream 0000000001003 -o raw --side server", kept(), nil, 0, []string{"(gaps: 1), 100 as far as is known", "behind byte 17"}},
		{"stream refused", "stream 0000000001003", kept(), sees, 4, []string{"may not see what was said"}},
		{"stream of no file", "stream 0000000001003", kept(), func(e *Env) { e.Source, e.Open = nil, open(nil) }, 2, []string{"--pcap FILE"}},
		{"nodes of a file", "nodes --pcap x", kept(), func(e *Env) { e.Source, e.Open = nil, open(nil) }, 2, []string{"nodes is about a cluster", "ssh CONSOLE nodes"}},
		{"snapshots of a file", "help snapshot", kept(), func(e *Env) { e.Source, e.Open = nil, open(nil) }, 2, []string{"ssh CONSOLE snapshot"}},
		{"the screen of a file", "tui --pcap x", kept(), func(e *Env) { e.Source, e.Open = nil, open(nil) }, 2, []string{"sshark tap --pcap FILE"}},
		{"tcpdump of a file", "tcpdump -i any -w -", kept(), func(e *Env) { e.Source, e.Open = nil, open(nil) }, 2, []string{"pcap --pcap FILE"}},
		{"replay to no target", "replay 0000000001003 --to cart", kept(), nil, 2, []string{`"cart" is no target: want HOST:PORT`}},
		{"tcpdump on a device", "tcpdump -i eth0 -w -", kept(), nil, 2, []string{"any"}},
		{"tcpdump as text", "tcpdump -i any", kept(), nil, 2, []string{"-w -"}},
		{"follow a file", "calls -f", kept(), func(e *Env) { e.File = true }, 2, []string{"does not grow"}},
		{"no file", "calls", kept(), func(e *Env) { e.Source, e.Open = nil, open(nil) }, 2, []string{"--pcap FILE"}},
		{"bad file", "calls --pcap x", kept(), func(e *Env) { e.Source, e.Open = nil, open(os.ErrNotExist) }, 1, []string{"not exist"}},
		{"tui without a terminal", "tui", kept(), func(e *Env) { e.TUI = func(context.Context, Screen) error { return nil } }, 2, []string{"ssh -t"}},
		{"help of nothing", "help nothing", kept(), nil, 2, []string{"no command"}},
		{"help of a typo", "help cals", kept(), nil, 2, []string{`no command "cals"`, "did you mean calls"}},
		{"a view that there is not", "tui stats", kept(), func(e *Env) { e.Terminal, e.TUI = true, func(context.Context, Screen) error { return nil } }, 2,
			[]string{`no view "stats"`, "calls, flows, "}},
		{"a stream without an ID on the screen", "tui stream", kept(), func(e *Env) { e.Terminal, e.TUI = true, func(context.Context, Screen) error { return nil } }, 2,
			[]string{"tui stream wants an ID"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(tt.source)
			if tt.change != nil {
				tt.change(e)
			}
			r := runLine(t, e, tt.line)
			if r.status != tt.want {
				t.Errorf("status %d, want %d; stderr: %s", r.status, tt.want, r.stderr)
			}
			for _, s := range tt.says {
				if !strings.Contains(r.stderr, s) {
					t.Errorf("stderr lacks %q: %s", s, r.stderr)
				}
			}
			if tt.want == ExitUsage && r.out != "" {
				t.Errorf("standard output: %q", r.out)
			}
		})
	}
}

func open(err error) func(context.Context, []string) (query.Source, io.Closer, error) {
	return func(context.Context, []string) (query.Source, io.Closer, error) {
		return &sourcetest.Source{Kept: 8}, nil, err
	}
}

func TestFile(t *testing.T) {
	e := newEnv(&sourcetest.Source{})
	e.Source, e.Open = nil, open(nil)
	if r := runLine(t, e, "calls --pcap x.pcap -o json"); r.status != 0 || strings.Count(r.out, "\n") != 8 {
		t.Errorf("a file is not read whole: %+v", r)
	}
	// Ages count back from the file's last packet, which is in the window.
	if r := runLine(t, e, "calls -r x.pcap -o json --since 2s"); r.status != 0 || strings.Count(r.out, "\n") != 2 {
		t.Errorf("--since 2s of a file: %+v", r)
	}
	if r := runLine(t, e, "calls --pcap x --since 1970-01-01T00:00:00Z --first 1000000 --vantage both -o json"); r.status != 0 || r.stderr != "" || strings.Count(r.out, "\n") != 8 {
		t.Errorf("everything of a file: %+v", r)
	}
}

func TestSays(t *testing.T) {
	at := func(d time.Duration) int64 { return sourcetest.Start.Add(d).UnixNano() }
	for _, tt := range []struct {
		name, line string
		source     *sourcetest.Source
		want       string
	}{
		{"nothing to say", "calls", &sourcetest.Source{Kept: 8}, ""},
		{"the newest 100", "calls -o json", &sourcetest.Source{Kept: 250}, "sshark: the newest 100 of 250 calls; for more: --last N or --all\n"},
		{"fewer than asked", "calls --last 20", &sourcetest.Source{Kept: 8}, "sshark: 8 of the 20 calls that were asked for are in the window; to look further back: --since\n"},
		{"kept for less", "calls --since 1h", &sourcetest.Source{Kept: 8}, "sshark: oldest packet kept: node-a 2026-01-02T15:04:05Z\n"},
		{"enough is kept", "calls --since 1h --last 3", &sourcetest.Source{Kept: 8}, ""},
		{"nothing kept", "calls", &sourcetest.Source{}, "sshark: no calls: no packet is kept yet\n"},
		{"none match", "calls error && status_code == 404", &sourcetest.Source{Kept: 8}, "sshark: none of the 8 calls in the window match the filter\n"},
		{"before all", "calls --until 2020-01-01", &sourcetest.Source{Kept: 8}, "sshark: no calls: the window ends at 2020-01-01T00:00:00Z, before the oldest packet kept, 2026-01-02T15:04:05Z\n"},
		{"capture stopped", "calls --since 1m", &sourcetest.Source{Kept: 8}, "sshark: no calls since 2026-01-02T15:13:05Z; the newest packet is of 2026-01-02T15:04:12Z\n"},
		{"losses", "calls", &sourcetest.Source{Kept: 8, Report: []query.NodeReport{
			{Node: "node-a", Dropped: 12, Oldest: at(0), Newest: at(1)}, {Node: "node-b", Oldest: at(0), Newest: at(1), Notes: []string{"segment 7 is damaged"}},
		}}, "sshark: node-b: segment 7 is damaged\nsshark: packets lost in this window: 12 (node-a)\n"},
		{"losses of many", "calls", &sourcetest.Source{Kept: 8, Report: []query.NodeReport{{Node: "node-b", Dropped: 3, Lagged: 5}, {Node: "node-a", Dropped: 12}}},
			"sshark: packets lost in this window: 15 (node-a 12, node-b 3)\nsshark: packets not seen because this reader is too slow: 5 (node-b)\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := runLine(t, newEnv(tt.source), tt.line)
			if r.stderr != tt.want {
				t.Errorf("got  %q\nwant %q", r.stderr, tt.want)
			}
		})
	}
}

func TestCancelled(t *testing.T) {
	for _, line := range []string{"calls -f -o json", "flows -f", "pcap -f", "tcpdump -U -i any -w -", "calls --last 3 -f"} {
		t.Run(line, func(t *testing.T) {
			s := &sourcetest.Source{Kept: 8}
			e := newEnv(s)
			r, w := io.Pipe()
			ctx, cancel := context.WithCancel(context.Background())
			e.Stdout, e.Stderr, e.Stdin = w, io.Discard, strings.NewReader("")
			words, raw, err := Split(line)
			if err != nil {
				t.Fatal(err)
			}
			e.Raw = raw
			status := make(chan int)
			go func() {
				status <- Run(ctx, e, words)
				w.Close()
			}()
			// What was found comes out while the query goes on.
			if _, err := io.ReadFull(r, make([]byte, 100)); err != nil {
				t.Fatal(err)
			}
			go io.Copy(io.Discard, r)
			cancel()
			if got := <-status; got != ExitCancelled {
				t.Errorf("status %d", got)
			}
			if s.Running() != 0 {
				t.Error("the query goes on")
			}
		})
	}
}

// TestMissingWhileFollowing: a node that does not answer is named at once and once, not when
// the following ends.
func TestMissingWhileFollowing(t *testing.T) {
	s := &sourcetest.Source{Kept: 8, Report: []query.NodeReport{{Node: "node-a"}, {Node: "node-b", Missing: "connection refused"}}}
	e := newEnv(s)
	said, stderr := io.Pipe()
	e.Stdout, e.Stderr, e.Stdin = io.Discard, stderr, strings.NewReader("")
	ctx, cancel := context.WithCancel(context.Background())
	status := make(chan int, 1)
	go func() {
		status <- Run(ctx, e, []string{"calls", "--last", "2", "-f"})
		stderr.Close()
	}()
	const want = "sshark: node-b did not answer: connection refused\n"
	b := make([]byte, len(want))
	if _, err := io.ReadFull(said, b); err != nil || string(b) != want {
		t.Fatalf("%q %v", b, err)
	}
	cancel()
	rest, _ := io.ReadAll(said)
	if got := <-status; got != ExitCancelled || len(rest) != 0 {
		t.Errorf("status %d, then %q", got, rest)
	}
}

// returning is a fleet whose node goes and comes back while it is followed.
type returning struct{ sourcetest.Source }

func (s *returning) Calls(_ context.Context, r *query.Request, _ func(*dissect.Call) error) (*query.Report, error) {
	gone := query.NodeReport{Node: "node-b", Missing: "the connection broke", Part: true}
	for _, n := range []query.NodeReport{{Node: "node-a"}, gone, gone, {Node: "node-b"}, gone, {Notes: []string{"calls left out: 5"}}} {
		r.Notice(n)
	}
	return &query.Report{}, nil
}

// A node that goes while it is followed is named each time that it does, and so is its return;
// the answer is partial then, be all back by the end. What is left out is told at once.
func TestNotice(t *testing.T) {
	e := newEnv(&sourcetest.Source{})
	e.Source = &returning{}
	const want = "sshark: node-b stopped answering: the connection broke\nsshark: node-b answers again\nsshark: node-b stopped answering: the connection broke\nsshark: calls left out: 5\n"
	if got := runWords(e, nil, "calls", "-f"); got.status != ExitPartial || got.stderr != want {
		t.Errorf("%+v", got)
	}
}

func TestReaderGone(t *testing.T) {
	e := newEnv(&sourcetest.Source{Kept: 8})
	r, w := io.Pipe()
	r.Close()
	e.Stdout = w
	if got := runWords(e, nil, "calls", "-f"); got.status != ExitCancelled || got.stderr != "" {
		t.Errorf("%+v", got)
	}
}

func TestTUI(t *testing.T) {
	for _, tt := range []struct{ line, view, filter string }{
		{"tui", "", ""},
		{"tui flows", "flows", ""},
		{"tui map", "map", ""},
		{"tui doctor", "doctor", ""},
		{"tui 'stream == \"0000000001003\"'", "", `stream == "0000000001003"`},
		{"tui calls http && error", "calls", "http && error"},
		{"tui 'method == \"GET\"'", "", `method == "GET"`},
	} {
		e := newEnv(&sourcetest.Source{})
		e.Terminal = true
		called := false
		e.TUI = func(_ context.Context, o Screen) error {
			called = o == Screen{View: tt.view, Filter: tt.filter}
			if !called {
				t.Errorf("%s: %+v", tt.line, o)
			}
			return nil
		}
		if r := runLine(t, e, tt.line); r.status != 0 || !called {
			t.Errorf("%s: %+v", tt.line, r)
		}
	}
}

// scopes are what rules allow a user.
func scopes(u *auth.User, rules ...auth.Rule) func(auth.Verb) (auth.Scope, error) {
	p := &auth.Policy{Rules: rules}
	return func(v auth.Verb) (auth.Scope, error) { return p.Scope(u, v) }
}
