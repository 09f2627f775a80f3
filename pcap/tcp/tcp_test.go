package tcp

import (
	"encoding/binary"
	"os"
	"testing"
	"time"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
)

// The ends of the connections that are made up here.
var (
	client = [4]byte{10, 0, 0, 1}
	server = [4]byte{10, 0, 0, 2}
)

// seg is a segment of the client, or of the server if back is set.
type seg struct {
	after   time.Duration // the one before
	back    bool
	flags   uint8
	seq     uint32
	ack     uint32
	win     uint16
	n       int // bytes of payload
	options []byte
	want    Marks
}

func (s *seg) bytes() []byte {
	hl := 20 + (len(s.options)+3)&^3
	b := make([]byte, 20+hl+s.n)
	b[0], b[8], b[9] = 0x45, 64, 6
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	src, dst, sp, dp := client, server, uint16(40000), uint16(80)
	if s.back {
		src, dst, sp, dp = dst, src, dp, sp
	}
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	t := b[20:]
	binary.BigEndian.PutUint16(t, sp)
	binary.BigEndian.PutUint16(t[2:], dp)
	binary.BigEndian.PutUint32(t[4:], s.seq)
	binary.BigEndian.PutUint32(t[8:], s.ack)
	t[12], t[13] = byte(hl/4)<<4, s.flags
	binary.BigEndian.PutUint16(t[14:], s.win)
	copy(t[20:], s.options)
	return b
}

const (
	syn, ack, fin, rst = flow.SYN, flow.ACK, flow.FIN, flow.RST
	back               = true
	ms                 = time.Millisecond
)

// opened is a handshake with a round trip of 10 ms, and windows that are not scaled.
func opened(more ...seg) []seg {
	return append([]seg{
		{0, !back, syn, 99, 0, 1000, 0, []byte{2, 4, 5, 0xb4, 1, 3, 3, 0}, 0},
		{10 * ms, back, syn | ack, 499, 100, 1000, 0, []byte{3, 3, 0}, 0},
		{0, !back, ack, 100, 500, 1000, 0, nil, 0},
	}, more...)
}

func run(t *testing.T, segs []seg) *Analyzer {
	t.Helper()
	var a Analyzer
	var h flow.Header
	at := int64(1e18)
	for i, s := range segs {
		at += int64(s.after)
		b := s.bytes()
		if !h.Parse(pcap.LinkRaw, b) {
			t.Fatalf("segment %d cannot be parsed", i)
		}
		if got := a.Packet(&h, b, at); got != s.want {
			t.Errorf("segment %d: %q, want %q", i, got, s.want)
		}
	}
	return &a
}

// TestMarks: each mark, and what looks like it and is none.
func TestMarks(t *testing.T) {
	for _, tt := range []struct {
		name string
		segs []seg
	}{
		{"all in order", opened(
			seg{ms, !back, ack, 100, 500, 1000, 50, nil, 0},
			seg{ms, back, ack, 500, 150, 1000, 0, nil, 0},
			seg{ms, back, ack, 500, 150, 1000, 70, nil, 0},
			seg{ms, !back, ack, 150, 570, 1000, 0, nil, 0})},
		{"sent again after a while", opened(
			seg{ms, !back, ack, 100, 500, 1000, 50, nil, 0},
			seg{200 * ms, !back, ack, 100, 500, 1000, 50, nil, Retransmission})},
		{"sent again though acknowledged", opened(
			seg{ms, !back, ack, 100, 500, 1000, 50, nil, 0},
			seg{ms, back, ack, 500, 150, 1000, 0, nil, 0},
			seg{200 * ms, !back, ack, 100, 500, 1000, 50, nil, Retransmission | Needless})},
		{"asked for by three acknowledgments", opened(
			seg{ms, !back, ack, 100, 500, 1000, 50, nil, 0},
			seg{ms, back, ack, 500, 150, 1000, 0, nil, 0},
			seg{ms, !back, ack, 200, 500, 1000, 50, nil, Gap},
			seg{ms, back, ack, 500, 150, 1000, 0, nil, DuplicateAck},
			seg{0, !back, ack, 250, 500, 1000, 50, nil, 0},
			seg{ms, back, ack, 500, 150, 1000, 0, nil, DuplicateAck},
			seg{ms, !back, ack, 150, 500, 1000, 50, nil, Retransmission | FastRetransmission},
			seg{ms, back, ack, 500, 300, 1000, 0, nil, 0})},
		{"late by less than a round trip", opened(
			seg{ms, !back, ack, 150, 500, 1000, 50, nil, Gap},
			seg{ms, !back, ack, 100, 500, 1000, 50, nil, OutOfOrder})},
		{"a SYN sent again", []seg{
			{0, !back, syn, 99, 0, 1000, 0, nil, 0},
			{time.Second, !back, syn, 99, 0, 1000, 0, nil, Retransmission}}},
		{"what the capture lacks is acknowledged", opened(
			seg{ms, back, ack, 500, 400, 1000, 0, nil, UnseenAcked},
			seg{ms, !back, ack, 400, 500, 1000, 10, nil, Gap})},
		{"no room, a probe, room again", opened(
			seg{ms, back, ack, 500, 100, 0, 0, nil, ZeroWindow},
			seg{300 * ms, !back, ack, 100, 500, 1000, 1, nil, ZeroWindowProbe},
			seg{ms, back, ack, 500, 100, 0, 0, nil, ZeroWindow | ZeroWindowProbeAck},
			seg{ms, back, ack, 500, 100, 800, 0, nil, WindowUpdate})},
		{"all the room is used", opened(
			seg{ms, !back, ack, 100, 500, 1000, 600, nil, 0},
			seg{ms, !back, ack, 700, 500, 1000, 400, nil, WindowFull})},
		{"keep-alive", opened(
			seg{ms, !back, ack, 100, 500, 1000, 10, nil, 0},
			seg{ms, back, ack, 500, 110, 1000, 0, nil, 0},
			seg{60 * time.Second, !back, ack, 109, 500, 1000, 0, nil, KeepAlive},
			seg{ms, back, ack, 500, 110, 1000, 0, nil, KeepAliveAck})},
		{"over the end of the numbers", []seg{
			{0, !back, ack, 1<<32 - 10, 1, 1000, 20, nil, 0},
			{ms, !back, ack, 10, 1, 1000, 20, nil, 0},
			{200 * ms, !back, ack, 1<<32 - 10, 1, 1000, 20, nil, Retransmission}}},
	} {
		t.Run(tt.name, func(t *testing.T) { run(t, tt.segs) })
	}
}

func TestSummary(t *testing.T) {
	for _, tt := range []struct {
		name string
		segs []seg
		end  End
		by   bool // back
	}{
		{"open", opened(), Open, false},
		{"closed by the server", opened(seg{ms, back, fin | ack, 500, 100, 9, 0, nil, 0}, seg{ms, !back, fin | ack, 100, 501, 9, 0, nil, 0}), Closed, back},
		{"closed, and a late reset", opened(seg{ms, !back, fin | ack, 100, 500, 9, 0, nil, 0}, seg{ms, back, fin | ack, 500, 101, 9, 0, nil, 0},
			seg{ms, !back, rst, 101, 0, 0, 0, nil, 0}), Closed, false},
		{"half closed", opened(seg{ms, !back, fin | ack, 100, 500, 9, 0, nil, 0}), HalfClosed, false},
		{"reset by the server", opened(seg{ms, back, rst, 500, 0, 0, 0, nil, 0}), Reset, back},
		{"refused", []seg{{0, !back, syn, 99, 0, 9, 0, nil, 0}, {ms, back, rst | ack, 0, 100, 0, 0, nil, 0}}, Refused, back},
		{"never answered", []seg{{0, !back, syn, 99, 0, 9, 0, nil, 0}, {time.Second, !back, syn, 99, 0, 9, 0, nil, Retransmission}}, Opening, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := run(t, tt.segs).Summary()
			if s.End != tt.end || s.End != Open && (s.By == s.Client) == tt.by {
				t.Errorf("end %d by %d, the client is %d", s.End, s.By, s.Client)
			}
		})
	}
	a := run(t, opened(seg{ms, !back, ack, 100, 500, 700, 50, nil, 0}, seg{ms, back, ack, 500, 150, 300, 0, nil, 0}, seg{ms, back, ack, 500, 150, 400, 0, nil, WindowUpdate}))
	s := a.Summary()
	c, v := &s.Side[s.Client], &s.Side[s.Client.Other()]
	if !s.Opened || s.SYNACK-s.SYN != int64(10*ms) || s.ACK != s.SYNACK || c.MSS != 1460 || c.Scale != 0 || c.Payload != 50 || c.Packets != 3 ||
		c.Lowest != 700 || v.Lowest != 300 || v.Window != 400 || a.Relative(s.Client, 150) != 51 || !a.Known(s.Client) {
		t.Errorf("%+v", s)
	}
	if both := s.Both(); both.Of(WindowUpdate) != 1 || both.Of(Trouble) != 0 {
		t.Errorf("counts %v", both)
	}
}

func TestMarksInWords(t *testing.T) {
	for m, want := range map[Marks]string{0: "", Retransmission: "retransmission", Retransmission | Needless: "needless retransmission",
		ZeroWindow | ZeroWindowProbeAck: "zero window, zero window probe ack", Gap | OutOfOrder: "out of order, gap before it"} {
		if got := m.String(); got != want {
			t.Errorf("%b: %q, want %q", m, got, want)
		}
	}
}

// FuzzAnalyzer: any bytes are taken, a packet has a mark once, and counts are those of the marks.
func FuzzAnalyzer(f *testing.F) {
	for _, s := range opened(seg{ms, !back, ack, 150, 500, 1000, 50, nil, Gap}) {
		f.Add(s.bytes(), uint8(len(s.options)))
	}
	f.Fuzz(func(t *testing.T, b []byte, cut uint8) {
		var a Analyzer
		var h flow.Header
		var want Counts
		packets := uint64(0)
		for i := range 4 { // the same again, and cut
			if i == 2 {
				b = b[:max(0, len(b)-int(cut))]
			}
			if !h.Parse(pcap.LinkRaw, b) {
				return
			}
			m := a.Packet(&h, b, int64(1+i)*1e6)
			for k := range want {
				want[k] += uint64(m >> k & 1)
			}
			if h.Key.Proto == flow.TCP && !h.Fragments && h.End-h.Transport >= 20 {
				packets++
			}
		}
		s := a.Summary()
		if both := s.Both(); both != want || s.Side[0].Packets+s.Side[1].Packets != packets {
			t.Errorf("counts %v, want %v; %d packets", both, want, packets)
		}
		if m := want.Of(Needless); m > want.Of(Retransmission) {
			t.Errorf("%d needless of %d", m, want.Of(Retransmission))
		}
	})
}

func BenchmarkPacket(b *testing.B) {
	var a Analyzer
	var h flow.Header
	s := seg{0, !back, ack, 100, 500, 1000, 1000, nil, 0}
	packet := s.bytes()
	h.Parse(pcap.LinkRaw, packet)
	b.ReportAllocs()
	at := int64(1)
	for b.Loop() {
		at += 1000
		h.Seq += 1000
		a.Packet(&h, packet, at)
	}
}

// TestRecorded: without tshark too, a capture of losses has what was seen when it was made.
func TestRecorded(t *testing.T) {
	for file, want := range map[string]map[Marks]uint64{
		"losses.pcap":       {Retransmission: 10, OutOfOrder: 1, DuplicateAck: 3, WindowUpdate: 2, Gap: 0, ZeroWindow: 0},
		"full-windows.pcap": {Retransmission: 1, WindowFull: 43, ZeroWindow: 2, KeepAlive: 2, WindowUpdate: 1, OutOfOrder: 0},
	} {
		var sum Counts
		ends := map[End]int{}
		for _, a := range analyzed(t, "testdata/"+file) {
			s := a.Summary()
			both := s.Both()
			for i := range sum {
				sum[i] += both[i]
			}
			ends[s.End]++
		}
		for m, n := range want {
			if got := sum.Of(m); got != n {
				t.Errorf("%s: %d packets are marked %s, want %d", file, got, m, n)
			}
		}
		if ends[Refused] != 1 || ends[Closed] < 2 || len(ends) != 2 {
			t.Errorf("%s: ends %v", file, ends)
		}
	}
}

// analyzed are the connections of a capture.
func analyzed(t *testing.T, file string) (all []*Analyzer) {
	t.Helper()
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	rd, err := pcapng.NewReader(in, pcapng.ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tracker := flow.NewTracker[*Analyzer](1000, nil)
	var p pcap.Packet
	var h flow.Header
	for rd.Next(&p) == nil {
		if !h.Parse(p.Iface.Link, p.Data) || h.Key.Proto != flow.TCP {
			continue
		}
		e, fresh := tracker.Packet(&p, &h)
		if fresh {
			e.Value = &Analyzer{}
			all = append(all, e.Value)
		}
		e.Value.Packet(&h, p.Data, p.Time)
	}
	return all
}
