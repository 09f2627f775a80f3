package mysql

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
		{"greeting", "", greeting(all), false, yes, false},
		{"greeting from the first side", greeting(all), "", true, yes, true},
		{"greeting of MariaDB", "", pkt(0, protocolVersion, "5.5.5-10.11.6-MariaDB\x00", uint32(7), "12345678\x00", "\xfe\xf7\x08\x02\x00\xff\x81\x15\x00\x00\x00\x00\x00\x00\x1d\x00\x00\x00", "123456789012\x00", "mysql_native_password\x00"), false, yes, false},
		{"half a greeting", "", greeting(all)[:6], false, unsure, false},
		{"too many connections", "", pkt(0, packetError, uint16(1040), "Too many connections"), false, yes, false},
		{"login before the greeting is there", loginAs(0, "u", ""), "", false, no, false},
		{"query at the start", query("select 1"), "", false, no, false},
		{"query", query("select 1"), "", true, yes, false},
		{"query from the second side", "", query("select 1"), true, yes, true},
		{"query with a comment", query("/* x */ select 1"), "", true, yes, false},
		{"query with attributes", pkt(0, comQuery, 0, 1, "select 1"), "", true, yes, false},
		{"long query", query("select " + long)[:dissect.ProbeSize], "", true, yes, false},
		{"query that is no statement", query("frob 1"), "", true, no, false},
		{"prepare", prepare("select ?"), "", true, yes, false},
		{"execute", execute(7), "", true, yes, false},
		{"ping", pkt(0, comPing), "", true, unsure, false},
		{"ping, answered", pkt(0, comPing), ok(1, 2), true, yes, false},
		{"ping, answered by something else", pkt(0, comPing), "+PONG\r\n", true, no, false},
		{"result", "", table(1, 2, "1"), true, yes, false},
		{"result from the first side", table(1, 2, "1"), "", true, yes, true},
		{"compressed query", compressed(t, plain, 0, query("select 1")), "", true, yes, false},
		{"compressed long query", compressed(t, zlibbed, 0, query("select '"+long+"'")), "", true, yes, false},
		{"compressed query with zstd", compressed(t, zstded, 0, query("select '"+long+"'")), "", true, yes, false},
		{"protocol 9", "", pkt(0, 9, "3.20.1\x00"), false, no, false},
		{"HTTP", "GET / HTTP/1.1\r\n", "", true, no, false},
		{"HTTP response", "", "HTTP/1.1 200 OK\r\n", true, no, false},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00", "", true, no, false},
		{"redis", "*1\r\n$4\r\nPING\r\n", "+PONG\r\n", true, no, false},
		{"DNS over TCP", "\x00\x1d\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", "", true, no, false},
		{"MongoDB", "\x3a\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\xdd\x07\x00\x00", "", true, no, false},
		{"postgresql", "\x00\x00\x00\x08\x04\xd2\x16\x2f", "", false, no, false},
		{"HTTP/2 settings", "", "\x00\x00\x12\x04\x00\x00\x00\x00\x00", true, no, false},
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
	f.Add([]byte(""), []byte(greeting(all)), false)
	f.Add([]byte(query("select 1")), []byte(table(1, 2)), true)
	f.Add([]byte(compressed(f, zlibbed, 0, query("select 1"))), []byte(""), true)
	f.Fuzz(func(t *testing.T, a, b []byte, start bool) {
		a, b = a[:min(len(a), dissect.ProbeSize)], b[:min(len(b), dissect.ProbeSize)]
		p := dissect.Probe{Transport: flow.TCP, Data: [2][]byte{a, b}, FromStart: [2]bool{start, start}}
		if detect(&p) == dissect.Yes && len(a)+len(b) < 6 {
			t.Errorf("%q and %q are enough", a, b)
		}
	})
}
