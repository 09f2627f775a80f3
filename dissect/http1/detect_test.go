package http1

import (
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

func TestDetect(t *testing.T) {
	const yes, no, unsure = dissect.Yes, dissect.No, dissect.Unsure
	long := "GET /" + rep(dissect.ProbeSize)
	for _, tt := range []struct {
		name           string
		client, server string
		middle         bool // the beginning was not seen
		want           dissect.Verdict
		swap           bool
	}{
		{"request", "GET / HTTP/1.1\r\nHost: a\r\n", "", false, yes, false},
		{"request line alone", "POST /x HTTP/1.0\n", "", false, yes, false},
		{"request behind empty lines", "\r\n\r\nGET / HTTP/1.1\r\n", "", false, yes, false},
		{"own method", "FROB /x HTTP/1.1\r\n", "", false, yes, false},
		{"response", "", "HTTP/1.1 200 OK\r\n", true, yes, false},
		{"response from the first side", "HTTP/1.1 200 OK\r\n", "", true, yes, true},
		{"request from the second side", "", "GET / HTTP/1.1\r\n", true, yes, true},
		{"cut in the version", "GET /images/box.gif HTT", "", false, yes, false},
		{"cut behind the status", "", "HTTP/1.1 200", true, yes, false},
		{"long target", long[:dissect.ProbeSize], "", false, yes, false},
		{"half a method", "PROPF", "", false, unsure, false},
		{"half a target", "GET /imag", "", false, unsure, false},
		{"half a status line", "", "HTTP/1.", true, unsure, false},
		{"in a body, a head follows", `"}` + "\r\nHTTP/1.1 200 OK\r\nDate: x\r\n", "", true, yes, true},
		{"in a body, a request follows at once", rep(300) + "POST /a HTTP/1.1\r\nHost: x\r\n", "", true, yes, false},
		{"a head within something else", "220 mail\r\nGET / HTTP/1.1\r\nHost: x\r\n", "", false, no, false},
		{"nothing", "", "", false, no, false},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "", false, no, false},
		{"HTTP/2 response", "", "HTTP/2 200\r\n", true, no, false},
		{"RTSP", "DESCRIBE rtsp://h/a RTSP/1.0\r\nCSeq: 1\r\n", "", false, no, false},
		{"RTSP OPTIONS", "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n", "", false, no, false},
		{"RTSP response", "", "RTSP/1.0 200 OK\r\n", true, no, false},
		{"SIP", "INVITE sip:a@b SIP/2.0\r\n", "", false, no, false},
		{"SIP response", "", "SIP/2.0 200 OK\r\n", true, no, false},
		{"ICY", "", "ICY 200 OK\r\n", true, no, false},
		{"request without version", "GET /\r\n", "", false, no, false},
		{"redis", "*1\r\n$4\r\nPING\r\n", "", false, no, false},
		{"redis inline", "PING\r\n", "", false, no, false},
		{"memcached", "get key\r\n", "", false, no, false},
		{"smtp", "", "220 mail.example ESMTP\r\n", false, no, false},
		{"ftp", "USER anonymous\r\n", "220 ftp\r\n", false, no, false},
		{"ssh", "SSH-2.0-OpenSSH_9.2\r\n", "", false, no, false},
		{"tls", "\x16\x03\x01\x02\x00\x01", "", false, no, false},
		{"status that is no number", "", "HTTP/1.1 2x0 OK\r\n", true, no, false},
		{"status with four digits", "", "HTTP/1.1 2000 OK\r\n", true, no, false},
		{"control characters in the target", "GET /a\x00b HTTP/1.1\r\n", "", false, no, false},
		{"method too long", rep(40) + " / HTTP/1.1\r\n", "", false, no, false},
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
	f.Add([]byte("GET / HTTP/1.1\r\n"), []byte("HTTP/1.1 200 OK\r\n"), false)
	f.Add([]byte("x\nGET /a HTTP/1.1\r\nHost: x"), []byte(""), true)
	f.Fuzz(func(t *testing.T, a, b []byte, start bool) {
		a, b = a[:min(len(a), dissect.ProbeSize)], b[:min(len(b), dissect.ProbeSize)]
		p := dissect.Probe{Transport: flow.TCP, Data: [2][]byte{a, b}, FromStart: [2]bool{start, start}}
		// The shortest start line that a snap length may leave and that still says enough.
		if detect(&p) == dissect.Yes && len(a)+len(b) < len("GET / HTT") {
			t.Errorf("%q and %q are enough", a, b)
		}
	})
}
