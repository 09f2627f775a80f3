package redis

import (
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

func TestDetect(t *testing.T) {
	const yes, no, unsure = dissect.Yes, dissect.No, dissect.Unsure
	for _, tt := range []struct {
		name           string
		client, server string
		middle         bool // the beginning was not seen
		want           dissect.Verdict
		swap           bool
	}{
		{"command", cmd("PING"), "", false, yes, false},
		{"command in lower case", cmd("get", "k"), "", false, yes, false},
		{"command from the second side", "", cmd("GET", "k"), true, yes, true},
		{"command behind an end of line", "\r\n" + cmd("GET", "k"), "", true, yes, false},
		{"own command", cmd("my.cmd", "k"), "", false, yes, false},
		{"own command in the middle", cmd("my.cmd", "k"), "", true, unsure, false},
		{"own command in the middle, answered", cmd("my.cmd", "k"), ok, true, yes, false},
		{"own command in the middle, from the second side", ok, cmd("my.cmd", "k"), true, yes, true},
		{"half a command", "*2\r\n$3\r\nGE", "", false, unsure, false},
		{"one byte", "*", "", false, unsure, false},
		{"cut value", "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\nxxx", "", false, yes, false},
		{"line", "PING\r\n", "", false, unsure, false},
		{"line, answered", "PING\r\n", "+PONG\r\n", false, yes, false},
		{"line, refused", "GET k\r\n", "-NOAUTH Authentication required.\r\n", false, yes, false},
		{"word in the middle, that may be of a command", "SET\r\n", ok, true, unsure, false},
		{"line in the middle", "GET k\r\n", ok, true, yes, false},
		{"line of the second side", "$-1\r\n", "GET k\r\n", true, yes, true},
		{"line that nobody knows", "frob x\r\n", "*1\r\n$1\r\na\r\n", false, no, false},
		{"half a line", "PIN", "", false, unsure, false},
		{"published", "", "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n", true, yes, false},
		{"push", ">2\r\n$10\r\ninvalidate\r\n_\r\n", "", true, yes, true},
		{"reply alone", "", ok, true, unsure, false},
		{"binary after a command in the middle", cmd("GET", "k"), "\x00\x01", true, yes, false},
		{"binary answer", cmd("GET", "k"), "\x00\x01", false, no, false},
		{"nothing", "", "", false, no, false},
		{"memcached", "get k\r\n", "END\r\n", false, no, false},
		{"memcached set", "set k 0 0 1\r\nx\r\n", "STORED\r\n", false, no, false},
		{"NATS", "PING\r\n", "PONG\r\n", false, no, false},
		{"NATS from its start", "CONNECT {}\r\n", "INFO {}\r\n", false, no, false},
		{"POP3", "QUIT\r\n", "+OK ready\r\n", true, no, false},
		{"POP3 quits", "QUIT\r\n", "+OK\r\n", true, unsure, false},
		{"POP3 refuses", "AUTH\r\n", "-ERR no\r\n", true, unsure, false},
		{"POP3 asks for more", "AUTH PLAIN\r\n", "+ \r\n", false, no, false},
		{"line behind AUTH", "AUTH x\r\nGET k\r\n", "+OK\r\n", false, yes, false},
		{"IMAP", "a1 LOGIN x y\r\n", "* OK ready\r\n", false, no, false},
		{"SMTP", "AUTH LOGIN\r\n", "220 mail\r\n", false, no, false},
		{"FTP", "TYPE I\r\n", "200 ok\r\n", false, no, false},
		{"HTTP", "GET / HTTP/1.1\r\n", "", false, no, false},
		{"TLS", "\x16\x03\x01\x02\x00", "", false, no, false},
		{"count that is none", "*x\r\n", "", false, no, false},
		{"array of numbers", "*2\r\n:1\r\n", "", true, unsure, false},
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
	f.Add([]byte(cmd("GET", "k")), []byte(ok), false)
	f.Add([]byte("PING\r\n"), []byte("+PONG\r\n"), true)
	f.Fuzz(func(t *testing.T, a, b []byte, start bool) {
		a, b = a[:min(len(a), dissect.ProbeSize)], b[:min(len(b), dissect.ProbeSize)]
		p := dissect.Probe{Transport: flow.TCP, Data: [2][]byte{a, b}, FromStart: [2]bool{start, start}}
		if detect(&p) == dissect.Yes && len(a)+len(b) < len("GET k\r\n_\r\n") {
			t.Errorf("%q and %q are enough", a, b)
		}
	})
}
