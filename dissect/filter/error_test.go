package filter

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

var update = flag.Bool("update", false, "write the golden files")

// TestErrors compares what a user reads with testdata/errors.golden.
func TestErrors(t *testing.T) {
	l := testLanguage(t)
	var b strings.Builder
	for _, src := range []string{
		"http && staus_code >= 500",
		`src.pod.nme == "cart-0"`,
		"src.pod == \"cart\"",
		"pod_name == \"cart\"",
		"zzzzqqq",
		"http.method == \"GET\"",
		"has(grpc_stats)",
		`status_code == "200"`,
		`method == 200`,
		`latency > 100`,
		`timestamp > "2026-01-02"`,
		`dns_questions == "a"`,
		`node == "node-a"`,
		`vantage == "client"`,
		`network_time > 1000`,
		`body == "x"`,
		`"GET" in method`,
		`status_code && http`,
		`!status_code`,
		`status_code.contains("2")`,
		`path.contain("x")`,
		`contians(path, "x")`,
		`size(status_code) == 1`,
		"status_code",
		`"http"`,
		"(http && tcp",
		"http)",
		"http &&",
		`method == "GET`,
		`method = "GET"`,
		"http & tcp",
		"http | tcp",
		"http and tcp",
		"not http",
		"http tcp",
		"request.headers[]",
		"request.headers[1]",
		`capture_source == "ebpf"`,
		`local_process_name == "x"`,
		`path.matches("[a-")`,
		`path.matches(method)`,
		`cidr("10.0.0.0/33").containsIP(src.ip)`,
		`latency > duration("5 minutes")`,
		`timestamp > timestamp("yesterday")`,
		`[1].all(a, [1].all(b, [1].all(c, true)))`,
		"http &&\n  tcp &&\n\tstaus_code == 1",
		"path == \"\u65e5\u672c\" && staus_code == 1",
		"\x1b[31mred",
		"path == \"\x1b[31m\" && foo",
		strings.Repeat("tcp && ", 60) + "staus_code == 1" + strings.Repeat(" && tcp", 60),
		strings.Repeat("(", 150) + "http" + strings.Repeat(")", 150),
		"path == nil",
		"has(1 + 2)",
		"status_code + path == 1",
		`"a" in status_code`,
		"cidr(1)",
		`namespace == "x"`,
		"dns_questions.exists(q)",
		`http.foo()`,
		`int("abc") == 1`,
		`"x" in request`,
	} {
		f, err := l.Compile(src)
		if err == nil {
			t.Errorf("%q: compiled to %v", src, f)
			continue
		}
		var e *Error
		if !errors.As(err, &e) || e.Line < 1 || e.Column < 1 || e.Source != src {
			t.Errorf("%q: %#v", src, err)
		}
		b.WriteString(err.Error() + "\n\n")
	}
	for _, r := range b.String() {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Fatalf("an error prints %q", r)
		}
	}
	golden(t, "errors.golden", b.String())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (run with -update after a look):\n%s", path, got)
	}
}
