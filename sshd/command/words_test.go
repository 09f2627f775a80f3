package command

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sshark/sshark/sshd/sourcetest"
)

func TestSplit(t *testing.T) {
	for _, tt := range []struct {
		line       string
		words, raw []string
		err        string
	}{
		{"", nil, nil, ""},
		{"  calls  --last 5 ", []string{"calls", "--last", "5"}, []string{"calls", "--last", "5"}, ""},
		{`calls 'http && x'`, []string{"calls", "http && x"}, []string{"calls", "'http && x'"}, ""},
		{`calls method == "GET"`, []string{"calls", "method", "==", "GET"}, []string{"calls", "method", "==", `"GET"`}, ""},
		{`a "b\"c\d" e\ f`, []string{"a", `b"c\d`, "e f"}, []string{"a", `"b\"c\d"`, `e\ f`}, ""},
		{`''`, []string{""}, []string{"''"}, ""},
		{`path == "/x#y" # no comment`, []string{"path", "==", "/x#y", "#", "no", "comment"}, []string{"path", "==", `"/x#y"`, "#", "no", "comment"}, ""},
		{`calls 'x`, nil, nil, "not closed"},
		{`calls x\`, nil, nil, "backslash"},
	} {
		words, raw, err := Split(tt.line)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%q: error %v", tt.line, err)
			}
			continue
		}
		if err != nil || !slices.Equal(words, tt.words) || !slices.Equal(raw, tt.raw) {
			t.Errorf("%q: %q %q %v", tt.line, words, raw, err)
		}
	}
}

func FuzzSplit(f *testing.F) {
	for _, s := range []string{"calls", `a 'b c' "d\"e" f\ g`, `'`, `\`, "a\tb\nc"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words, raw, err := Split(line)
		if err != nil {
			return
		}
		if len(words) != len(raw) {
			t.Fatalf("%q: %d words, %d raw", line, len(words), len(raw))
		}
		for i, r := range raw {
			again, _, err := Split(r)
			if err != nil || len(again) != 1 || again[0] != words[i] {
				t.Fatalf("%q: raw %q is %q, not %q (%v)", line, r, again, words[i], err)
			}
		}
	})
}

// TestFilterWords: what the words of a command line become.
func TestFilterWords(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{`calls`, ``},
		{`calls http && status_code >= 500`, `http && status_code >= 500`},
		{`calls 'http && status_code >= 500'`, `http && status_code >= 500`},
		{`calls "http && status_code >= 500"`, `http && status_code >= 500`},
		{`calls http '&&' status_code '>=' 500`, `http && status_code >= 500`},
		{`calls method == "GET"`, `method == "GET"`},
		{`calls 'method == "GET"'`, `method == "GET"`},
		{`calls method == 'GET'`, `method == 'GET'`},
		{`calls http && src.name == "cart" --last 5`, `http && src.name == "cart"`},
		{`calls --last 5 http -o json && error`, `http && error`},
		{`calls status_code != -1`, `status_code != -1`},
		{`calls status_code > -1 && elapsed_time != -2`, `status_code > -1 && elapsed_time != -2`},
		{`calls -n shop`, `src.namespace == "shop" || dst.namespace == "shop"`},
		{`calls -n shop -n web error`, `error && ((src.namespace == "shop" || dst.namespace == "shop") || (src.namespace == "web" || dst.namespace == "web"))`},
		{`calls --to-port 443 http || dns`, `(http || dns) && dst.port == 443`},
		{`calls --not --to-port 443 --protocol http`, `http && !(dst.port == 443)`},
		{`calls --http-status 5+`, `http && status_code >= 500 && status_code <= 599`},
		{`calls --ip 10.0.0.0/8`, `cidr("10.0.0.0/8").containsIP(src.ip) || cidr("10.0.0.0/8").containsIP(dst.ip)`},
		{`calls --from-pod shop/gate`, `src.pod.namespace == "shop" && src.pod.name.startsWith("gate")`},
		{`calls -A`, ``},
	} {
		t.Run(tt.line, func(t *testing.T) {
			r := runLine(t, newEnv(&sourcetest.Source{}), tt.line+" --print-filter")
			if r.status != 0 || r.out != tt.want+"\n" {
				t.Errorf("got %q, want %q; %d %s", r.out, tt.want, r.status, r.stderr)
			}
		})
	}
}

func TestParseWhen(t *testing.T) {
	berlin := time.FixedZone("CET", 3600)
	base := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		in   string
		want string // RFC 3339, "" an error
	}{
		{"5m", "2026-01-02T14:59:05Z"},
		{"1h30m", "2026-01-02T13:34:05Z"},
		{"1h43m", "2026-01-02T13:21:05Z"},
		{"90s", "2026-01-02T15:02:35Z"},
		{"2d", "2025-12-31T15:04:05Z"},
		{"1d12h", "2026-01-01T03:04:05Z"},
		{"0s", "2026-01-02T15:04:05Z"},
		{"now", "2026-01-02T15:04:05Z"},
		{"2026-01-02T15:04:05Z", "2026-01-02T15:04:05Z"},
		{"2026-01-02T15:04:05.123456789+02:00", "2026-01-02T13:04:05.123456789Z"},
		{"2026-01-02 15:04", "2026-01-02T14:04:00Z"},
		{"2026-01-02 15:04:05", "2026-01-02T14:04:05Z"},
		{"2026-01-02T15:04", "2026-01-02T14:04:00Z"},
		{"2026-01-02", "2026-01-01T23:00:00Z"},
		{"14:03", "2026-01-02T13:03:00Z"},
		{"16:04:05", "2026-01-02T15:04:05Z"},
		{"16:05", "2026-01-01T15:05:00Z"}, // not yet today
		{"1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"},
		{"0001-01-01", "1970-01-01T00:00:00Z"},
		{"9999-01-01", "2262-04-11T23:47:16.854775807Z"},
		{"", ""}, {"-5m", ""}, {"5", ""}, {"yesterday", ""}, {"2026-13-01", ""}, {"5 m", ""}, {"99999999999d", ""}, {"1d-5m", ""}, {"25:00", ""}, {"14:3", ""},
	} {
		w, err := parseWhen(tt.in, berlin)
		if tt.want == "" {
			if err == nil {
				t.Errorf("%q: no error", tt.in)
			} else if !strings.Contains(err.Error(), "5m") || !strings.Contains(err.Error(), "2026-01-02") {
				t.Errorf("%q: the error shows no examples: %v", tt.in, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", tt.in, err)
			continue
		}
		if got := time.Unix(0, w.ns(base)).UTC().Format(time.RFC3339Nano); got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.in, got, tt.want)
		}
	}
}

// TestWindow: which request the flags become.
func TestWindow(t *testing.T) {
	now := sourcetest.Start.Add(10 * time.Minute)
	ago := func(d time.Duration) int64 { return now.Add(-d).UnixNano() }
	for _, tt := range []struct {
		line         string
		since, until int64
		first, last  int
		file         bool
	}{
		{line: "calls", since: ago(15 * time.Minute), last: 100},
		{line: "calls --last 5", since: ago(15 * time.Minute), last: 5},
		{line: "calls --first 5", since: ago(15 * time.Minute), first: 5},
		{line: "calls --since 1h", since: ago(time.Hour)},
		{line: "calls --since 1h --last 7", since: ago(time.Hour), last: 7},
		{line: "calls --until 1m", until: ago(time.Minute)},
		{line: "calls --all"},
		{line: "calls", file: true},
		{line: "calls --since 15:05 --until 15:06:30", since: sourcetest.Start.Add(55 * time.Second).UnixNano(), until: sourcetest.Start.Add(145 * time.Second).UnixNano()},
		{line: "calls --since 23:50 --until 00:10", since: time.Date(2026, 1, 1, 23, 50, 0, 0, time.UTC).UnixNano(), until: time.Date(2026, 1, 2, 0, 10, 0, 0, time.UTC).UnixNano()},
		{line: "calls --since=2026-01-02 15:05 --until 2026-01-02 15:06:30", since: sourcetest.Start.Add(55 * time.Second).UnixNano(), until: sourcetest.Start.Add(145 * time.Second).UnixNano()},
	} {
		t.Run(tt.line, func(t *testing.T) {
			e := newEnv(&sourcetest.Source{})
			e.File = tt.file
			args, _, err := Split(tt.line)
			if err != nil {
				t.Fatal(err)
			}
			e.words, e.Raw = mend(args, args)
			var q question
			c := e.calls()
			c.ResetFlags()
			q.declare(e, c)
			if err := c.ParseFlags(e.words[1:]); err != nil {
				t.Fatal(err)
			}
			a, err := q.request(e, "", true)
			if err != nil {
				t.Fatal(err)
			}
			if a.Since != tt.since || a.Until != tt.until || a.First != tt.first || a.Last != tt.last {
				t.Errorf("got %+v, want %+v", a.Request, tt)
			}
		})
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("GET /\x1b[2J\u009b\u202e\xff漢")
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range string(AppendPrintable(nil, s)) {
			if r < 0x20 || r == 0x7f || r > 0x7f && steers(r) {
				t.Fatalf("%q: %U goes through", s, r)
			}
		}
	})
}
