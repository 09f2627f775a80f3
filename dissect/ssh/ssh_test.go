package ssh

import (
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/pcap/flow"
)

var (
	client = cuttest.Client
	server = cuttest.Server
)

// same: a connection has one greeting, of which what one side said may be missing.
func same(*dissect.Call) (request, response string) { return "greeting", "" }

func TestGreetings(t *testing.T) {
	type steps = []cuttest.Step
	const a, b = "SSH-2.0-client", "SSH-2.0-server with words"
	cuttest.Cases(t, Protocol(), flow.TCP, same, []cuttest.Case{
		{Name: "client-first", Steps: steps{client(a + "\r\n"), server(b + "\r\n\x00\x00\x01"), client("\x00\x00\x02")}, Want: []string{a + " -> " + b}},
		{Name: "server-first", Steps: steps{server(b + "\r\n"), client(a + "\n\x00\x00\x01")}, Want: []string{a + " -> " + b}},
		{Name: "lines-ahead", Steps: steps{client(a + "\r\n"), server("welcome\r\nto this\n\n" + b + "\r\n")}, Want: []string{a + " -> " + b}},
		{Name: "server-alone", Steps: steps{server(b + "\r\n")}, Want: []string{"<" + b + " -> " + b}},
		{Name: "client-alone", Steps: steps{client(a + "\r\n")}, Want: []string{a}},
		{Name: "answered-otherwise", Steps: steps{client(a + "\r\n"), server("\x00\x01nonsense\n")}, Want: []string{a}, NoDamage: true},
		{Name: "cut", Steps: steps{client(a + "\r\n"), server(b[:12]), cuttest.Missing(1, 10)}, Want: []string{"~" + a + " -> " + b[:12]}},
		{Name: "ended", Steps: steps{client(a + "\r\n"), server(b[:12])}, Want: []string{"~" + a + " -> " + b[:12]}, NoDamage: true},
		{Name: "ssh-1", Steps: steps{server("SSH-1.99-old\n"), client("SSH-1.5-older\n")}, Want: []string{"SSH-1.5-older -> SSH-1.99-old"}},
		{Name: "too-long", Steps: steps{client("SSH-2.0-" + strings.Repeat("x", 300))}, GivenUp: true, NoDamage: true},
		{Name: "too-many-lines", Steps: steps{client(strings.Repeat("hello\n", 2000))}, GivenUp: true, NoDamage: true},
	})
}

func TestDetect(t *testing.T) {
	for _, c := range []struct {
		sides [2]string
		want  dissect.Verdict
	}{
		{[2]string{"SSH-2.0-x\r\n", ""}, dissect.Yes},
		{[2]string{"", "SSH-1.99-x"}, dissect.Yes},
		{[2]string{"SSH-2.0", ""}, dissect.Unsure},
		{[2]string{"S", ""}, dissect.Unsure},
		{[2]string{"", "welcome\r\nSSH-2.0-x\r\n"}, dissect.Yes},
		{[2]string{"", "\x00\r\nSSH-2.0-x\r\n"}, dissect.No},
		{[2]string{"", "220 welcome\r\n"}, dissect.No},
		{[2]string{"SSH-x.0-abcdef", ""}, dissect.No},
		{[2]string{"SSHX-2.0-abcdef", ""}, dissect.No},
		{[2]string{"SET a b\r\n", ""}, dissect.No},
	} {
		p := &dissect.Probe{Data: [2][]byte{[]byte(c.sides[0]), []byte(c.sides[1])}}
		if got := detect(p); got != c.want {
			t.Errorf("%q: %d", c.sides, got)
		}
	}
}

// TestCut damages what was recorded.
func TestCut(t *testing.T) { cuttest.Cut(t, "testdata/*.pcap", Protocol(), same) }

func FuzzParser(f *testing.F) { cuttest.Fuzz(f, "testdata/*.pcap", Protocol()) }
