package filter

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sshark/sshark/pcap/memtest"
)

func TestComplete(t *testing.T) {
	tests := []struct {
		src   string // the cursor is at |
		first string // the first completion, "" if that does not matter
		has   []string
		not   []string
	}{
		{"|", "", []string{"http", "src.ip", "status_code", `cidr("`, "now()"}, []string{"&&", "=="}},
		{"stat|", "status_code", []string{"grpc_status", "flow_state"}, []string{"http"}},
		{"http && src.p|", "src.pod.name", []string{"src.port"}, []string{"dst.port"}},
		{"http && src.|", "src.dns", []string{"src.labels", "src.pod.name"}, []string{"http"}},
		{"path.|", `path.contains("`, []string{`path.startsWith("`, `path.matches("`}, []string{"path.exists(x, "}},
		{"path.st|", `path.startsWith("`, nil, []string{`path.contains("`}},
		{"dns_questions.|", "dns_questions.exists(x, ", []string{"dns_questions.size()"}, []string{`dns_questions.contains("`}},
		{"request.headers.|", "", []string{"request.headers.exists(k, "}, nil},
		{`request.headers["us|`, `"user-agent"`, nil, []string{`"host"`}},
		{"method == |", `"GET"`, []string{`"POST"`}, []string{"http"}},
		{`method == "P|`, `"POST"`, []string{`"PUT"`}, nil},
		{"protocol == |", "", []string{`"http"`, `"dns"`}, nil},
		{"flow_state == \"|", "", []string{`"open"`, `"closed"`}, nil},
		{"status_code >= |", "", []string{"500"}, nil},
		{"http |", "&&", []string{"||"}, []string{"==", "http"}},
		{"status_code |", "==", []string{">=", "&&"}, nil},
		{"latency > |", `duration("`, nil, nil},
		{"timestamp > |", "now()", nil, nil},
		{"method == \"GET\" |", "&&", nil, []string{"==", "http"}},
		{"(http && st|)", "status_code", nil, nil},
		{"STAT|", "status_code", nil, nil},
		{"path == \"GET\"|", "", nil, []string{"http"}},
		{"// http|", "", []string{"http"}, nil}, // no more than any other place
		{"xyzzy|", "", nil, []string{"http"}},
	}
	l := testLanguage(t)
	for _, tt := range tests {
		at := strings.IndexByte(tt.src, '|')
		src := tt.src[:at] + tt.src[at+1:]
		var texts []string
		for _, c := range l.Complete(src, at) {
			texts = append(texts, c.Text)
			if c.Help == "" {
				t.Errorf("%s: %s has no help", tt.src, c.Text)
			}
			if c.Start > at || c.End < at || c.End > len(src) {
				t.Errorf("%s: %s replaces %d to %d", tt.src, c.Text, c.Start, c.End)
			}
		}
		if tt.first != "" && (len(texts) == 0 || texts[0] != tt.first) {
			t.Errorf("%s: first is %v, want %s", tt.src, texts[:min(len(texts), 3)], tt.first)
		}
		for _, want := range tt.has {
			if !slices.Contains(texts, want) {
				t.Errorf("%s: no %s in %q", tt.src, want, texts)
			}
		}
		for _, no := range tt.not {
			if slices.Contains(texts, no) {
				t.Errorf("%s: %s in %q", tt.src, no, texts)
			}
		}
	}
	// The rest of the word under the cursor goes too.
	c := l.Complete("http && statxx == 1", 12)
	if len(c) == 0 || c[0].Start != 8 || c[0].End != 14 {
		t.Errorf("%+v", c[:min(len(c), 1)])
	}
}

// maxMemory is what a filter may hold, whatever it says.
const maxMemory = 64 << 20

func FuzzComplete(f *testing.F) {
	for _, s := range []string{"", "http && src.", `request.headers["`, `method == "`, "'''", `r"\`, "a..b", "1e", "//", "path.x.y", `"\`} {
		f.Add(s, len(s))
	}
	l, err := New(testList)
	if err != nil {
		f.Fatal(err)
	}
	memory := memtest.New(maxMemory)
	f.Fuzz(func(t *testing.T, src string, cursor int) {
		memory.Input()
		defer memory.Check(t)
		at := min(max(cursor, 0), len(src))
		for _, c := range l.Complete(src, cursor) {
			if c.Start < 0 || c.Start > at || c.End < at || c.End > len(src) || c.Text == "" {
				t.Fatalf("%q at %d: %+v", src, cursor, c)
			}
		}
		end := 0
		for _, tok := range tokens(src) {
			if tok.start < end || tok.end <= tok.start || tok.end > len(src) {
				t.Fatalf("%q: token %+v after %d", src, tok, end)
			}
			end = tok.end
		}
	})
}

func FuzzCompile(f *testing.F) {
	l, err := New(testList)
	if err != nil {
		f.Fatal(err)
	}
	for _, d := range l.Fields() {
		f.Add(d.Example)
	}
	for _, s := range []string{"http && (", "has(a.b)", "has(request.headers[1])", "[1,2][0] == 1", "{'a': 1}.a == 1", "dns_questions[-1] == ''",
		"path.matches('a{1000}')", "1 in [1]", "cidr('::/0').containsIP(src.ip)", "b'a' == b'a'", "request.headers == request.headers",
		"dns_questions.map(x, x + x).filter(x, size(x) > 1).exists_one(x, true)", "string(timestamp).size() > 0", "type(body) == type(1)",
		"dyn(body) == dyn(1)", "dyn(cidr('::')) == body", "string(latency) == ''", "now() > timestamp", "@now", "true ? body.contains('a') : false"} {
		f.Add(s)
	}
	c := httpCall()
	memory := memtest.New(maxMemory)
	f.Fuzz(func(t *testing.T, src string) {
		memory.Input()
		filter, err := l.Compile(src)
		memory.Check(t)
		if (filter == nil) == (err == nil) {
			t.Fatalf("%q: %v, %v", src, filter, err)
		}
		if err != nil {
			if e, ok := err.(*Error); !ok || e.Line < 1 || e.Column < 1 || !utf8.ValidString(e.Error()) && utf8.ValidString(src) {
				t.Fatalf("%q: %v", src, err)
			}
			return
		}
		checkVerdict(t, filter, c)
		if _, err := filter.Call(c); err != nil && strings.Contains(err.Error(), "internal error") {
			t.Fatal(err)
		}
	})
}
