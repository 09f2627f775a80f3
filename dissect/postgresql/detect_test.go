package postgresql

import (
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

func TestDetect(t *testing.T) {
	const yes, no, unsure = dissect.Yes, dissect.No, dissect.Unsure
	extended := parse("", "select 1") + bind("", "") + run1("") + syncs
	for _, tt := range []struct {
		name           string
		client, server string
		middle         bool // the beginning was not seen
		want           dissect.Verdict
		swap           bool
	}{
		{"startup", hello, "", false, yes, false},
		{"startup of version 3.2", first(versionThree+2, "user", "x", byte(0)), "", false, yes, false},
		{"startup from the second side", "", hello, true, yes, true},
		{"request for TLS", first(sslRequest), "", false, yes, false},
		{"request for GSS", first(gssRequest), "", false, yes, false},
		{"cancel", first(cancelRequest, 1, 2), "", false, yes, false},
		{"half a startup", hello[:6], "", false, unsure, false},
		{"half a key", hello[:10], "", false, unsure, false},
		{"query at the start", query("select 1"), "", false, no, false},
		{"query", query("select 1"), "", true, yes, false},
		{"query from the second side", "", query("select 1"), true, yes, true},
		{"half a query", query("select 1")[:9], "", true, unsure, false},
		{"long query", query("select " + long)[:dissect.ProbeSize], "", true, yes, false},
		{"extended query", extended, "", true, yes, false},
		{"half an extended query", parse("", "select 1"), "", true, unsure, false},
		{"prepared query", bind("", "s1") + run1("") + syncs, "", true, yes, false},
		{"answer", "", columns + row("1") + tag("SELECT 1") + idle, true, yes, false},
		{"answer from the first side", columns + row("1") + tag("SELECT 1") + idle, "", true, yes, true},
		{"error", "", failure("42601", "no"), true, yes, false},
		{"half an answer", "", columns + row("1"), true, unsure, false},
		{"startup of version 2", first(2<<16, "x"), "", false, no, false},
		{"binary text in a query", msg('Q', []byte("sel\x00\x01ect\x00")), "", true, no, false},
		{"HTTP", "GET / HTTP/1.1\r\n", "", true, no, false},
		{"HTTP response", "", "HTTP/1.1 200 OK\r\n", true, no, false},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00", "", true, no, false},
		{"redis", "*1\r\n$4\r\nPING\r\n", "+PONG\r\n", true, no, false},
		{"DNS over TCP", "\x00\x1d\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", "", false, no, false},
		{"kafka", "\x00\x00\x00\x20\x00\x12\x00\x03\x00\x00\x00\x01", "", false, no, false},
		{"ftp", "QUIT\r\n", "220 hello\r\n", true, no, false},
		{"nothing", "", "", false, no, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := dissect.Probe{Transport: flow.TCP, Data: [2][]byte{[]byte(tt.client), []byte(tt.server)}, Opened: !tt.middle, FromStart: [2]bool{!tt.middle, !tt.middle}}
			if got := Protocol().Detect(&p); got != tt.want || p.Swap != tt.swap {
				t.Errorf("got %v, swap %v; want %v, %v", got, p.Swap, tt.want, tt.swap)
			}
		})
	}
}

func FuzzDetect(f *testing.F) {
	f.Add([]byte(hello), []byte(welcome), false)
	f.Add([]byte(query("select 1")), []byte(columns+idle), true)
	f.Fuzz(func(t *testing.T, a, b []byte, start bool) {
		a, b = a[:min(len(a), dissect.ProbeSize)], b[:min(len(b), dissect.ProbeSize)]
		p := dissect.Probe{Transport: flow.TCP, Data: [2][]byte{a, b}, FromStart: [2]bool{start, start}}
		if detect(&p) == dissect.Yes && len(a)+len(b) < 6 {
			t.Errorf("%q and %q are enough", a, b)
		}
	})
}
