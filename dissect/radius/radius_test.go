package radius

import (
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/dissect/dissecttest"
	"github.com/sshark/sshark/dissect/dns"
	"github.com/sshark/sshark/dissect/ntp"
	"github.com/sshark/sshark/pcap/flow"
)

var update = flag.Bool("update", false, "write the golden files")

const recorded = "testdata/*.pcap"

// TestRecorded reads what testdata/record.sh recorded.
func TestRecorded(t *testing.T) {
	dissecttest.Golden(t, *update, recorded, ntp.Protocol(), dns.Protocol(), Protocol())
}

func same(c *dissect.Call) (request, response string) {
	m := c.Message.(*message)
	return fmt.Sprintf("%d %d %x %s", m.b[0], m.b[1], m.b[minHeader:min(header, len(m.b))], m.AppendSummary(nil)), ""
}

func TestCut(t *testing.T) { cuttest.CutDatagrams(t, recorded, Protocol(), same) }

func FuzzParser(f *testing.F) { cuttest.FuzzFlows(f, recorded, Protocol()) }

// packet is one with attributes: kind, value, kind, value, …
func packet(code, id byte, attributes ...string) string {
	b := make([]byte, header)
	b[0], b[1] = code, id
	for i := 4; i < header; i++ {
		b[i] = id ^ byte(i)
	}
	for i := 0; i < len(attributes); i += 2 {
		b = append(append(append(b, attributes[i]...), byte(2+len(attributes[i+1]))), attributes[i+1]...)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return string(b)
}

func TestMessages(t *testing.T) {
	c, s := cuttest.Client, cuttest.Server
	ask := packet(1, 7, "\x01", "alice", "\x02", "0123456789abcdef")
	cuttest.Cases(t, Protocol(), flow.UDP, same, []cuttest.Case{
		{Name: "authentication", Steps: []cuttest.Step{c(ask), s(packet(11, 7, "\x12", "Which code?", "\x18", "s")), c(ask), s(packet(2, 8)), c(ask), s(packet(3, 9, "\x12", "No."))},
			Want: []string{"Access-Request alice", "<Access-Challenge: Which code?", "Access-Request alice", "<Access-Accept", "Access-Request alice", "<!Access-Reject: No."}},
		{Name: "accounting", Steps: []cuttest.Step{c(packet(4, 1, "\x28", "\x00\x00\x00\x01", "\x01", "alice")), s(packet(5, 1)), c(packet(4, 2, "\x28", "\x00\x00\x00\x63"))},
			Want: []string{"Accounting-Request Start alice", "<Accounting-Response", "Accounting-Request"}},
		{Name: "dynamic authorization", Steps: []cuttest.Step{c(packet(43, 1, "\x01", "bob")), s(packet(45, 1, "\x65", "\x00\x00\x01\xf7")), c(packet(40, 2, "\x01", "bob")), s(packet(41, 2))},
			Want: []string{"CoA-Request bob", "<!CoA-NAK", "Disconnect-Request bob", "<Disconnect-ACK"}},
		{Name: "padding", Steps: []cuttest.Step{c(ask + "\x00\x00")}, Want: []string{"Access-Request alice"}},
		{Name: "cut", Steps: []cuttest.Step{c(ask[:30])}, Want: []string{"~Access-Request alice"}},
		{Name: "cut in the header", NoDamage: true, Steps: []cuttest.Step{c(ask[:18])}, Want: []string{"~Access-Request"}},
		{Name: "attribute that does not fit", NoDamage: true, Steps: []cuttest.Step{c(packet(1, 7, "\x01", "alice", "\x00", "x", "\x12", "No."))}, Want: []string{"Access-Request alice"}},
		{Name: "four that are none", GivenUp: true, NoDamage: true, Steps: []cuttest.Step{c("hello"), c(packet(99, 1)), c(ask[:3]), c(packet(1, 1, "\x00", "x") + "\x00")}},
	})
}

func TestDetect(t *testing.T) {
	const yes, no = dissect.Yes, dissect.No
	ask := packet(1, 7, "\x01", "alice", "\x02", "0123456789abcdef")
	for _, tt := range []struct {
		name string
		data string
		port uint16
		want dissect.Verdict
		swap bool
	}{
		{"request", ask, 18120, yes, false},
		{"answer", packet(3, 7, "\x12", "No."), 18120, yes, true},
		{"answer without attributes", packet(2, 7), 18120, no, false},
		{"answer without attributes, on the port", packet(2, 7), 1812, yes, true},
		{"rare code", packet(33, 7, "\x01", "alice"), 18120, no, false},
		{"rare code, on the port", packet(33, 7, "\x01", "alice"), 1813, yes, false},
		{"unknown code", packet(99, 7, "\x01", "alice"), 1812, no, false},
		{"cut", ask[:30], 18120, no, false},
		{"cut, on the port", ask[:30], 1812, yes, false},
		{"padding", ask + "\x00", 18120, no, false},
		{"cut in the header, on the port", ask[:18], 1812, yes, false},
		{"cut in the header", ask[:18], 18120, no, false},
		{"attribute that is too long", ask[:len(ask)-18] + "\x02\x40" + ask[len(ask)-16:], 18120, no, false},
		{"attribute that is too long, on the port", ask[:len(ask)-18] + "\x02\x40" + ask[len(ask)-16:], 1812, yes, false},
		{"attribute that is too long, padding, on the port", ask[:len(ask)-18] + "\x02\x40" + ask[len(ask)-16:] + "\x00", 1812, no, false},
		{"zeros", string(make([]byte, 40)), 1812, no, false},
		{"nothing", "", 1812, no, false},
	} {
		p := dissect.Probe{Transport: flow.UDP, Data: [2][]byte{[]byte(tt.data)}, Ports: [2]uint16{40000, tt.port}}
		if got := detect(&p); got != tt.want || p.Swap != tt.swap {
			t.Errorf("%s: got %v, swap %v; want %v, %v", tt.name, got, p.Swap, tt.want, tt.swap)
		}
	}
}

// TestRandomBytesAreNotClaimed: of what looks like nothing, next to nothing is taken.
func TestRandomBytesAreNotClaimed(t *testing.T) {
	cuttest.Unclaimed(t, Protocol(), func(r *rand.Rand) int { return 20 + r.IntN(100) })
}

func BenchmarkMessages(b *testing.B) {
	k := &cuttest.Counter{}
	p := protocol.New(&dissect.Flow{Transport: flow.UDP}, k)
	ask, say := []byte(packet(1, 7, "\x01", "alice", "\x02", "0123456789abcdef", "\x20", "shop")), []byte(packet(2, 7, "\x12", "Welcome"))
	k.Bench(b, p, ask, say)
}
