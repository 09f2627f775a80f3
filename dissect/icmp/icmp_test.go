package icmp

import (
	"encoding/binary"
	"flag"
	"net/netip"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/dissect/dissecttest"
	"github.com/sshark/sshark/dissect/dns"
	"github.com/sshark/sshark/pcap/flow"
)

var update = flag.Bool("update", false, "write the golden files")

const recorded = "testdata/*.pcap"

// TestRecorded reads what testdata/record.sh recorded.
func TestRecorded(t *testing.T) {
	dissecttest.Golden(t, *update, recorded, dns.Protocol(), Protocol())
}

// same: a message does not tell its length, so that is not compared.
func same(c *dissect.Call) (request, response string) {
	m := c.Message.(*message)
	return string(binary.BigEndian.AppendUint16(nil, binary.BigEndian.Uint16(m.b))), ""
}

func TestCut(t *testing.T) { cuttest.CutDatagrams(t, recorded, Protocol(), same) }

func FuzzParser(f *testing.F) { cuttest.FuzzFlows(f, recorded, Protocol()) }

// quoted is a UDP packet's beginning, as an error quotes it.
func quoted(src, dst string) string {
	b := make([]byte, 28)
	b[0], b[3], b[8], b[9] = 0x45, 40, 64, 17
	s, d := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	copy(b[12:], s.Addr().AsSlice())
	copy(b[16:], d.Addr().AsSlice())
	binary.BigEndian.PutUint16(b[20:], s.Port())
	binary.BigEndian.PutUint16(b[22:], d.Port())
	b[25] = 20
	return string(b)
}

func TestMessages(t *testing.T) {
	c, s := cuttest.Client, cuttest.Server
	cause := quoted("10.0.0.1:4000", "10.0.0.2:53")
	cuttest.Cases(t, Protocol(), flow.ICMP, same, []cuttest.Case{
		{Name: "echo", Steps: []cuttest.Step{c("\x08\x00\x00\x00\x12\x34\x00\x01abc"), s("\x00\x00\x00\x00\x12\x34\x00\x01abc")},
			Want: []string{"echo request 4660 seq 1", "<echo reply 4660 seq 1"}},
		{Name: "errors", Steps: []cuttest.Step{
			s("\x03\x03\x00\x00\x00\x00\x00\x00" + cause), s("\x0b\x00\x00\x00\x00\x00\x00\x00" + cause), s("\x0c\x00\x00\x00\x14\x00\x00\x00"),
			s("\x03\x63\x00\x00\x00\x00\x00\x00" + cause[:20]), s("\x04\x00\x00\x00\x00\x00\x00\x00\x45"), s("\x05\x01\x00\x00\x0a\x00\x00\xfe" + cause)},
			Want: []string{"<!destination unreachable: port unreachable udp 10.0.0.1:4000 > 10.0.0.2:53", "<!time exceeded: in transit udp 10.0.0.1:4000 > 10.0.0.2:53",
				"<!parameter problem: pointer indicates the error", "<!destination unreachable udp 10.0.0.1 > 10.0.0.2", "<!source quench", "<redirect: for the host to 10.0.0.254"}},
		{Name: "unknown type", Steps: []cuttest.Step{c("\xfa\x05\x00\x00\x00\x00\x00\x00")}, Want: []string{"type 250 code 5"}},
		{Name: "extended echo", Steps: []cuttest.Step{c("\x2a\x00\x00\x00\x00\x07\x05\x00")}, Want: []string{"extended echo request 7 seq 5"}},
		{Name: "cut", Steps: []cuttest.Step{c("\x08\x00\x00\x00\x12\x34\x00")}, Want: []string{"~echo request"}},
		{Name: "four that are none", GivenUp: true, NoDamage: true, Steps: []cuttest.Step{c("\x08"), c("\x08"), c("\x08"), c("\x08")}},
	})
	cuttest.Cases(t, Protocol(), flow.ICMPv6, same, []cuttest.Case{
		{Name: "neighbors", Steps: []cuttest.Step{c("\x87\x00\x00\x00\x00\x00\x00\x00\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"), s("\x88\x00\x00\x00\x60\x00\x00\x00\xfe\x80")},
			Want: []string{"neighbor solicitation fe80::1", "<neighbor advertisement"}},
		{Name: "too big", Steps: []cuttest.Step{s("\x02\x00\x00\x00\x00\x00\x05\x00" + cause)}, Want: []string{"<!packet too big 1280 udp 10.0.0.1:4000 > 10.0.0.2:53"}},
	})
}

func TestDetect(t *testing.T) {
	for _, tt := range []struct {
		name  string
		proto flow.Proto
		data  [2]string
		want  dissect.Verdict
		swap  bool
	}{
		{"request", flow.ICMP, [2]string{"\x08\x00\x00\x00\x00\x01\x00\x01"}, dissect.Yes, false},
		{"reply first", flow.ICMP, [2]string{"\x00\x00\x00\x00\x00\x01\x00\x01"}, dissect.Yes, true},
		{"reply of the other side", flow.ICMPv6, [2]string{"", "\x81\x00\x00\x00\x00\x01\x00\x01"}, dissect.Yes, false},
		{"request of the other side", flow.ICMPv6, [2]string{"", "\x80\x00\x00\x00\x00\x01\x00\x01"}, dissect.Yes, true},
		{"short", flow.ICMP, [2]string{"\x08\x00\x00"}, dissect.No, false},
		{"nothing", flow.ICMP, [2]string{}, dissect.No, false},
	} {
		p := dissect.Probe{Transport: tt.proto, Data: [2][]byte{[]byte(tt.data[0]), []byte(tt.data[1])}}
		if got := detect(&p); got != tt.want || p.Swap != tt.swap {
			t.Errorf("%s: got %v, swap %v; want %v, %v", tt.name, got, p.Swap, tt.want, tt.swap)
		}
	}
}

func BenchmarkMessages(b *testing.B) {
	k := &cuttest.Counter{}
	p := protocol.New(&dissect.Flow{Transport: flow.ICMP}, k)
	ask, say := append([]byte{8, 0, 0, 0, 0, 1, 0, 1}, make([]byte, 56)...), append([]byte{0, 0, 0, 0, 0, 1, 0, 1}, make([]byte, 56)...)
	k.Bench(b, p, ask, say)
}
