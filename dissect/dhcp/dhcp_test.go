package dhcp

import (
	"encoding/binary"
	"flag"
	"fmt"
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
	dissecttest.Golden(t, *update, recorded, ntp.Protocol(), Protocol(), dns.Protocol())
}

func same(c *dissect.Call) (request, response string) {
	m := c.Message.(*message)
	return fmt.Sprintf("%d %d %s %v", m.b[0], m.kind, m.appendMAC(nil), m.b[4:8]), ""
}

func TestCut(t *testing.T) { cuttest.CutDatagrams(t, recorded, Protocol(), same) }

func FuzzParser(f *testing.F) { cuttest.FuzzFlows(f, recorded, Protocol()) }

// packet is a message with options behind the cookie.
func packet(op byte, yours string, opts string) string {
	b := make([]byte, header)
	b[0], b[1], b[2] = op, 1, 6
	copy(b[4:], "\x12\x34\x56\x78")
	copy(b[16:20], yours)
	copy(b[28:], "\x02\x42\x0a\x00\x00\x05")
	binary.BigEndian.PutUint32(b[options:], 0x63825363)
	return string(b) + opts
}

func TestMessages(t *testing.T) {
	c, s := cuttest.Client, cuttest.Server
	const yours = "\x0a\x00\x00\x05"
	over := []byte(packet(bootReply, yours, "\x34\x01\x03\xff"))
	copy(over[file:], "\x35\x01\x05\xff")
	copy(over[serverName:], "\x00\x0c\x03web\xff")
	bare := []byte(packet(bootRequest, "", ""))
	clear(bare[options:])
	cuttest.Cases(t, Protocol(), flow.UDP, same, []cuttest.Case{
		{Name: "lease", Steps: []cuttest.Step{c(packet(bootRequest, "", "\x35\x01\x01\x0c\x05web-1\xff\x00\x00")), s(packet(bootReply, yours, "\x35\x01\x02\x36\x04\x0a\x00\x00\x01\xff")),
			c(packet(bootRequest, "", "\x35\x01\x03\x32\x04\x0a\x00\x00\x05\xff")), s(packet(bootReply, yours, "\x35\x01\x05\xff"))},
			Want: []string{"DISCOVER 02:42:0a:00:00:05 web-1", "<OFFER 10.0.0.5 02:42:0a:00:00:05", "REQUEST 10.0.0.5 02:42:0a:00:00:05", "<ACK 10.0.0.5 02:42:0a:00:00:05"}},
		{Name: "refusals", Steps: []cuttest.Step{s(packet(bootReply, "", "\x35\x01\x06\xff")), c(packet(bootRequest, "", "\x35\x01\x04\x32\x04\x0a\x00\x00\x05\xff"))},
			Want: []string{"<!NAK 02:42:0a:00:00:05", "!DECLINE 10.0.0.5 02:42:0a:00:00:05"}},
		{Name: "options in other fields", Steps: []cuttest.Step{s(string(over))}, Want: []string{"<ACK 10.0.0.5 02:42:0a:00:00:05 web"}},
		{Name: "unknown type", Steps: []cuttest.Step{c(packet(bootRequest, "", "\x35\x01\xc8\xff"))}, Want: []string{"type 200 02:42:0a:00:00:05"}},
		{Name: "BOOTP", Steps: []cuttest.Step{c(string(bare)), s(packet(bootReply, yours, "\xff"))}, Want: []string{"BOOTREQUEST 02:42:0a:00:00:05", "<BOOTREPLY 10.0.0.5 02:42:0a:00:00:05"}},
		{Name: "cut in an option", Steps: []cuttest.Step{c(packet(bootRequest, "", "\x35\x01\x01\x0c\x05we"))}, Want: []string{"~DISCOVER 02:42:0a:00:00:05"}},
		{Name: "cut before the options", Steps: []cuttest.Step{c(packet(bootRequest, "", "")[:60])}, Want: []string{"~BOOTREQUEST 02:42:0a:00:00:05"}},
		{Name: "four that are none", GivenUp: true, NoDamage: true, Steps: []cuttest.Step{c("hello"), c("hello"), c("hello"), c("hello")}},
	})
}

func TestDetect(t *testing.T) {
	const yes, no = dissect.Yes, dissect.No
	discover, offer := packet(bootRequest, "", "\x35\x01\x01\xff"), packet(bootReply, "\x0a\x00\x00\x05", "\x35\x01\x02\xff")
	bare := []byte(discover)
	clear(bare[options:])
	for _, tt := range []struct {
		name  string
		data  string
		ports [2]uint16
		want  dissect.Verdict
		swap  bool
	}{
		{"request", discover, [2]uint16{68, 67}, yes, false},
		{"reply", offer, [2]uint16{67, 68}, yes, true},
		{"on other ports", discover, [2]uint16{1068, 1067}, yes, false},
		{"without a cookie", string(bare), [2]uint16{68, 67}, yes, false},
		{"of a relay without a cookie", string(bare), [2]uint16{67, 67}, yes, false},
		{"without a cookie, on another port", string(bare), [2]uint16{68, 1067}, no, false},
		{"cut", discover[:60], [2]uint16{68, 67}, yes, false},
		{"cut, on another port", discover[:60], [2]uint16{40000, 67}, no, false},
		{"too short", discover[:43], [2]uint16{68, 67}, no, false},
		{"zeros", string(make([]byte, 300)), [2]uint16{68, 67}, no, false},
		{"nothing", "", [2]uint16{68, 67}, no, false},
	} {
		p := dissect.Probe{Transport: flow.UDP, Data: [2][]byte{[]byte(tt.data)}, Ports: tt.ports}
		if got := detect(&p); got != tt.want || p.Swap != tt.swap {
			t.Errorf("%s: got %v, swap %v; want %v, %v", tt.name, got, p.Swap, tt.want, tt.swap)
		}
	}
}

func BenchmarkMessages(b *testing.B) {
	k := &cuttest.Counter{}
	p := protocol.New(&dissect.Flow{Transport: flow.UDP}, k)
	ask, say := []byte(packet(bootRequest, "", "\x35\x01\x03\x0c\x05web-1\xff")), []byte(packet(bootReply, "\x0a\x00\x00\x05", "\x35\x01\x05\xff"))
	k.Bench(b, p, ask, say)
}
