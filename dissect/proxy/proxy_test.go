package proxy

import (
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/pcap/flow"
)

const (
	line  = "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"
	line6 = "PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n"
	bin   = signature + "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\xdc\x04\x01\xbb"
	local = signature + "\x20\x00\x00\x00"
	more  = signature + "\x21\x21\x00\x2e" // with 10 bytes of further values
)

func TestHeaders(t *testing.T) {
	long := more + strings.Repeat("x", 46)
	huge := signature + "\x21\x11\x20\x00" + strings.Repeat("x", 0x2000)
	for name, header := range map[string]string{"version 1": line, "of IPv6": line6, "unknown": "PROXY UNKNOWN ::1 whatever\r\n", "version 2": bin, "local": local, "with values": long, "huge": huge} {
		for _, rest := range []string{"", "GET / HTTP/1.1\r\n"} {
			for _, size := range []int{1, 7, 20, 107, 5000, 1 << 16} {
				k := &sink{}
				p := &parser{sink: k}
				all := header + rest
				for len(all) > 0 && !k.switched {
					n := min(size, len(all))
					if err := p.Data(0, []byte(all[:n]), dissect.Stamp{Time: 1}); err != nil {
						t.Fatalf("%s in pieces of %d: %v", name, size, err)
					}
					all = all[n:]
				}
				if !k.switched || k.next != "" || k.rest+all != rest {
					t.Errorf("%s in pieces of %d: %+v, rest %q", name, size, k, all)
				}
			}
		}
	}
}

type sink struct {
	switched   bool
	next, rest string
}

func (k *sink) Call(*dissect.Call)  {}
func (k *sink) Bodies() (int, bool) { return 0, false }
func (k *sink) Switch(next string, rest []byte) {
	k.switched, k.next, k.rest = true, next, string(rest)
}

func TestDetect(t *testing.T) {
	for _, c := range []struct {
		client, server string
		want           dissect.Verdict
		swap           bool
	}{
		{line, "", dissect.Yes, false},
		{line6 + "GET", "", dissect.Yes, false},
		{"", line, dissect.Yes, true},
		{bin, "", dissect.Yes, false},
		{local, "", dissect.Yes, false},
		{bin[:20], "", dissect.Unsure, false},
		{bin[:3], "", dissect.Unsure, false},
		{line[:30], "", dissect.Unsure, false},
		{"P", "", dissect.Unsure, false},
		{more + strings.Repeat("x", 40), "", dissect.Unsure, false},
		{signature + "\x21\x11\x20\x00" + strings.Repeat("x", dissect.ProbeSize-fixed), "", dissect.Yes, false},
		{"PROXY TCP4 192.0.2.1 192.0.2.2 56324\r\n", "", dissect.No, false},
		{"PROXY TCP4 192.0.2.1 192.0.2.2 56324 99999\r\n", "", dissect.No, false},
		{"PROXY TCP4 2001:db8::1 192.0.2.2 56324 443\r\n", "", dissect.No, false},
		{"PROXY TCP5 192.0.2.1 192.0.2.2 56324 443\r\n", "", dissect.No, false},
		{strings.TrimSuffix(line, "\r\n") + "\n", "", dissect.No, false},
		{"PROXY " + strings.Repeat("x", maxLine), "", dissect.No, false},
		{"POST / HTTP/1.1\r\n", "", dissect.No, false},
		{signature + "\x31\x11\x00\x0c............", "", dissect.No, false},
		{signature + "\x21\x11\x00\x04....", "", dissect.No, false},
		{signature + "\x21\x51\x00\x0c............", "", dissect.No, false},
		{signature + "\x21\x13\x00\x0c............", "", dissect.No, false},
		{"\r\n\r\nGET / HTTP/1.1\r\n", "", dissect.No, false},
	} {
		p := &dissect.Probe{Data: [2][]byte{[]byte(c.client), []byte(c.server)}}
		if got := detect(p); got != c.want || p.Swap != c.swap {
			t.Errorf("%q: %d, swap %v", c.client, got, p.Swap)
		}
	}
}

func TestNotMine(t *testing.T) {
	cuttest.Cases(t, Protocol(), flow.TCP, nil, []cuttest.Case{
		{Name: "whole", Steps: []cuttest.Step{cuttest.Client(line + "rest")}, Switch: " rest", NoDamage: true},
		{Name: "text", Steps: []cuttest.Step{cuttest.Client("PROXY is what this is not\r\n")}, GivenUp: true, NoDamage: true},
		{Name: "hole", Steps: []cuttest.Step{cuttest.Client(bin[:10]), cuttest.Missing(0, 3)}, GivenUp: true, NoDamage: true},
	})
}

func FuzzParser(f *testing.F) { cuttest.Fuzz(f, "testdata/*.pcap", Protocol()) }
