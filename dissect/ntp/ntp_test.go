package ntp

import (
	"bytes"
	"encoding/binary"
	"flag"
	"math/rand/v2"
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

// same: what the first bytes say, which are there of every message that is told.
func same(c *dissect.Call) (request, response string) {
	m := c.Message.(*message)
	return string(m.b[:4]), ""
}

func TestCut(t *testing.T) { cuttest.CutDatagrams(t, recorded, Protocol(), same) }

func FuzzParser(f *testing.F) { cuttest.FuzzFlows(f, recorded, Protocol()) }

const now = 0xeca1b2c3 // seconds since 1900

// told is a message with timestamps near to now.
func told(first, stratum byte, reference string) []byte {
	b := make([]byte, header)
	b[0], b[1], b[2], b[3] = first, stratum, 6, 0xe9
	b[5], b[9] = 1, 2
	copy(b[12:], reference)
	for i, back := range []uint32{300, 1, 0, 0} {
		binary.BigEndian.PutUint32(b[16+8*i:], now-back)
		binary.BigEndian.PutUint32(b[20+8*i:], 0x12345678)
	}
	return b
}

// bare is a request that says nothing but when it was sent.
func bare(first byte) []byte {
	b := make([]byte, header)
	b[0] = first
	copy(b[40:], "\xec\xa1\xb2\xc3random")
	return b
}

func TestMessages(t *testing.T) {
	c := func(b []byte) cuttest.Step { return cuttest.Client(string(b)) }
	s := func(b []byte) cuttest.Step { return cuttest.Server(string(b)) }
	cuttest.Cases(t, Protocol(), flow.UDP, same, []cuttest.Case{
		{Name: "a client asks", Steps: []cuttest.Step{c(bare(0x23)), s(told(0x24, 2, "\x0a\x00\x00\x01"))},
			Want: []string{"client v4", "<server v4 stratum 2 10.0.0.1"}},
		{Name: "a reference clock", Steps: []cuttest.Step{s(told(0x1c, 1, "GPS\x00"))}, Want: []string{"<server v3 stratum 1 GPS"}},
		{Name: "kiss of death", Steps: []cuttest.Step{c(bare(0xe3)), s(told(0xe4, 0, "RATE"))}, Want: []string{"client v4", "<!server v4 -> RATE"}},
		{Name: "peers", Steps: []cuttest.Step{c(told(0x21, 3, "\x0a\x00\x00\x01")), s(told(0x22, 2, "\x0a\x00\x00\x02")), c(told(0x25, 2, "\x0a\x00\x00\x02"))},
			Want: []string{"symmetric active v4 stratum 3 10.0.0.1", "<symmetric passive v4 stratum 2 10.0.0.2", "broadcast v4 stratum 2 10.0.0.2"}},
		{Name: "control", Steps: []cuttest.Step{c([]byte("\x16\x02\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00")), s([]byte("\x16\x82\x00\x01\x06\x15\x00\x00\x00\x00\x00\x04a=b\n")),
			s([]byte("\x16\xc2\x00\x01\x04\x00\x00\x00\x00\x00\x00\x00"))},
			Want: []string{"control v2 read variables", "<control v2 read variables", "<!control v2 read variables"}},
		{Name: "private", Steps: []cuttest.Step{c([]byte("\x17\x00\x03\x2a\x00\x00\x00\x00"))}, Want: []string{"private v2 request 42"}},
		{Name: "cut", Steps: []cuttest.Step{s(told(0x24, 2, "\x0a\x00\x00\x01")[:20])}, Want: []string{"<~server v4 stratum 2 10.0.0.1"}},
		{Name: "four that are none", GivenUp: true, NoDamage: true, Steps: []cuttest.Step{c([]byte("hello, it's me")), c([]byte("hello, it's me")), c([]byte("hello, it's me")), c([]byte("hello, it's me"))}},
	})
}

func TestDetect(t *testing.T) {
	const yes, no = dissect.Yes, dissect.No
	coy := bare(0xe3)
	coy[2], coy[3] = 6, untold
	late := told(0x24, 2, "")
	binary.BigEndian.PutUint32(late[40:], now+1000)
	query := []byte{0x1b, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 'w', 'w', 'w', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0, 0, 1, 0, 1}
	query = append(query, make([]byte, 40)...)
	for _, tt := range []struct {
		name string
		data []byte
		port uint16
		want dissect.Verdict
		swap bool
	}{
		{"client", bare(0x23), 123, yes, false},
		{"client on another port", bare(0x23), 11123, yes, false},
		{"client that says less", coy, 123, yes, false},
		{"client that says less, on another port", coy, 11123, yes, false},
		{"client that tells more", told(0x1b, 3, "\x0a\x00\x00\x01"), 11123, yes, false},
		{"server", told(0x24, 2, "\x0a\x00\x00\x01"), 11123, yes, true},
		{"server that took its time", late, 11123, no, false},
		{"server that took its time, on the port", late, 123, yes, true},
		{"version 7", bare(0x3b), 123, no, false},
		{"stratum 17", told(0x24, 17, ""), 123, no, false},
		{"control on the port", []byte("\x16\x02\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00"), 123, yes, false},
		{"control elsewhere", []byte("\x16\x02\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00"), 11123, no, false},
		{"cut", bare(0x23)[:26], 123, yes, false},
		{"cut elsewhere", bare(0x23)[:26], 11123, no, false},
		{"DNS", query, 11123, no, false},
		{"zeros", make([]byte, 48), 123, no, false},
		{"text", bytes.Repeat([]byte("#hello, world "), 4), 123, no, false},
		{"nothing", nil, 123, no, false},
	} {
		p := dissect.Probe{Transport: flow.UDP, Data: [2][]byte{tt.data}, Ports: [2]uint16{40000, tt.port}}
		if got := detect(&p); got != tt.want || p.Swap != tt.swap {
			t.Errorf("%s: got %v, swap %v; want %v, %v", tt.name, got, p.Swap, tt.want, tt.swap)
		}
	}
}

// TestRandomBytesAreNotClaimed: of what looks like nothing, next to nothing is taken.
func TestRandomBytesAreNotClaimed(t *testing.T) {
	cuttest.Unclaimed(t, Protocol(), func(r *rand.Rand) int { return 48 + 4*r.IntN(8) })
}

func BenchmarkMessages(b *testing.B) {
	k := &cuttest.Counter{}
	p := protocol.New(&dissect.Flow{Transport: flow.UDP}, k)
	ask, say := bare(0x23), told(0x24, 2, "\x0a\x00\x00\x01")
	k.Bench(b, p, ask, say)
}
