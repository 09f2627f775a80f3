package filter

import (
	"net/netip"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// What literals rule out, and nothing that Flow would let through.
func TestRulesOut(t *testing.T) {
	l := testLanguage(t)
	ends := func(a, b string) flow.Key {
		k, _ := flow.NewKey(netip.MustParseAddrPort(a), netip.MustParseAddrPort(b), flow.TCP)
		return k
	}
	keys := []flow.Key{
		ends("10.0.0.1:4000", "10.0.0.2:80"), ends("10.0.0.2:80", "10.0.0.9:4001"), ends("10.0.0.1:4000", "10.0.0.3:443"),
		ends("[fd00::1]:4000", "[fd00::2]:80"), ends("10.0.0.1:0", "10.0.0.7:0"), ends("10.0.0.8:5353", "10.0.0.9:5353"),
	}
	for _, c := range []struct {
		filter string
		out    string // by key
		stream string
	}{
		{"", "......", ""},
		{"dst.port == 80", "..x..x", ""},
		{"80 == src.port", "..x..x", ""},
		{"src.port == 80 || dst.port == 443", ".....x", ""},
		{"dst.port in [443, 444]", "xx.x.x", ""},
		{"dst.port in [443, dst.port]", "......", ""},
		{"dst.port == 80 || tcp", "......", ""},
		{"dst.port == 80 && tcp", "..x..x", ""},
		{"tcp && (http || dst.port == 80)", "......", ""},
		{`src.ip == "10.0.0.9"`, "x.xxx.", ""},
		{`src.ip == "10.0.0.9" && dst.port == 80`, "x.xxxx", ""},
		{`dst.ip == "fd00::2"`, "xxx.xx", ""},
		{`dst.ip == "db.example.com"`, "......", ""},
		{"!(dst.port == 80)", "......", ""},
		{"dst.port != 80", "......", ""},
		{"dst.port > 80", "......", ""},
		{`tcp && stream == "00000000000ab"`, "......", "00000000000ab"},
		{`stream in ["00000000000ab", "00000000000ac"]`, "......", ""},
		{`stream == "00000000000ab" || tcp`, "......", ""},
	} {
		f, err := l.Compile(c.filter)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for n := range keys {
			mark := "."
			if f.RulesOut(&keys[n]) {
				mark = "x"
				k := &keys[n]
				fl := dissect.Flow{Transport: k.Proto}
				fl.Client.Addr, fl.Server.Addr = k.Addr(flow.AtoB), k.Addr(flow.BtoA)
				if v := f.Flow(&fl); v != Never {
					t.Errorf("%s rules out %v, which is %v", c.filter, k, v)
				}
			}
			got += mark
		}
		if got != c.out {
			t.Errorf("%s: %s, want %s", c.filter, got, c.out)
		}
		stream := ""
		if id := f.Stream(); id != 0 {
			stream = id.String()
		}
		if stream != c.stream {
			t.Errorf("%s: stream %q, want %q", c.filter, stream, c.stream)
		}
	}
}
