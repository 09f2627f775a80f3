// Package tcp says what is odd about the packets of a TCP connection: what was sent twice, came
// out of order or is missing, which acknowledgments repeat, who had no room, how it was opened
// and how it ended. It judges by headers alone, as a reader of a capture does who has nothing
// but what was seen at one place.
//
// An Analyzer is of one connection, takes its packets in the order of their capture, and is used
// by one goroutine. It holds a fixed amount of memory, allocates nothing, and takes any bytes:
// what its marks mean is that of Wireshark's tcp.analysis fields of the same names, as far as a
// reader that looks at each packet once can say it. Times are ns since 1970 UTC.
package tcp

import (
	"encoding/binary"
	"math/bits"
	"strings"

	"github.com/sshark/sshark/pcap/flow"
)

// Marks are what is to be said of a packet, or-ed.
type Marks uint16

// The marks. A fast or a needless (spurious) retransmission is a retransmission too.
const (
	Retransmission     Marks = 1 << iota // its bytes were seen before
	FastRetransmission                   // asked for by duplicate acknowledgments
	Needless                             // its bytes had been acknowledged already
	OutOfOrder                           // its bytes came late, but were not sent twice
	Gap                                  // what was sent right before it was not seen
	UnseenAcked                          // it acknowledges what was not seen: the capture lacks it
	DuplicateAck                         // it acknowledges again, and says nothing else
	ZeroWindow                           // its sender has no room
	ZeroWindowProbe                      // it asks whether there is room again
	ZeroWindowProbeAck                   // and this is the answer
	WindowFull                           // it fills all the room that the other side had
	WindowUpdate                         // it says nothing but that there is another amount of room
	KeepAlive                            // it asks whether the other side is still there
	KeepAliveAck                         // and this is the answer
	numMarks           = iota
)

// Trouble are the marks of what slows a connection, or a capture, down.
const Trouble = Retransmission | OutOfOrder | Gap | UnseenAcked | DuplicateAck | ZeroWindow | ZeroWindowProbe | WindowFull

var names = [numMarks]string{"retransmission", "fast retransmission", "needless retransmission", "out of order", "gap before it",
	"acknowledges unseen", "duplicate ack", "zero window", "zero window probe", "zero window probe ack", "window full", "window update",
	"keep-alive", "keep-alive ack"}

// String is the marks in words, the most telling of those that imply each other.
func (m Marks) String() string {
	if m&(FastRetransmission|Needless) != 0 {
		m &^= Retransmission
	}
	var out []string
	for i, n := range names {
		if m&(1<<i) != 0 {
			out = append(out, n)
		}
	}
	return strings.Join(out, ", ")
}

// Counts are how many packets have each mark.
type Counts [numMarks]uint64

// Of is how many have a mark; of several, how many marks there are in all.
func (c *Counts) Of(m Marks) (n uint64) {
	for ; m != 0; m &= m - 1 {
		n += c[bits.TrailingZeros16(uint16(m))]
	}
	return n
}

// Side is what one end did.
type Side struct {
	Packets uint64
	Payload uint64 // bytes that were sent, also those that were sent again
	Counts  Counts
	FIN     int64 // time of the first, 0: none
	RST     int64
	Scale   int // of its window, -1: not seen or not chosen
	Window  int // that it told last, in bytes as far as the scale is known
	Lowest  int // of those, while the connection was open; -1: none was seen
	MSS     int // that it asked for, 0: not seen
}

// end is what is known of one end.
type end struct {
	Side
	seen     bool
	base     uint32 // the sequence number that is shown as 0
	next     uint32 // behind the last byte that was sent
	hasNext  bool
	nextTime int64 // when that was
	ack      uint32
	hasAck   bool
	ackTime  int64
	window   uint32 // as in the header
	hasWin   bool
	dups     int
	top      uint32 // behind the last byte that may be acknowledged
	hasTop   bool
	last     Marks // of its last packet
}

// Analyzer is one connection. The zero value has seen nothing.
type Analyzer struct {
	end    [2]end
	syn    int64
	synAck int64
	ack    int64
	opener flow.Dir
	opened bool // opener is known
	first  int64
	now    int64
}

// Times by which what came late is told from what was sent again, in ns.
const (
	fastWithin = int64(20e6) // a fast retransmission follows its duplicate acknowledgments
	lateWithin = int64(3e6)  // out of order, where no round trip was seen
)

// after says whether sequence number a is behind b (RFC 9293, 3.4).
func after(a, b uint32) bool { return int32(a-b) > 0 }

// Packet takes the next packet of the connection: its header, its bytes, its time.
func (a *Analyzer) Packet(h *flow.Header, b []byte, time int64) Marks {
	if h.Fragments || h.Key.Proto != flow.TCP || h.End-h.Transport < 20 {
		return 0
	}
	if a.first == 0 {
		a.first = time
	}
	a.now = max(a.now, time)
	s, o := &a.end[h.Dir], &a.end[h.Dir.Other()]
	n := uint32(max(0, h.WireEnd-h.Payload))
	if !s.seen {
		s.seen, s.base, s.Scale, s.Lowest = true, h.Seq, -1, -1
		if h.Flags&flow.SYN == 0 && h.Flags&flow.RST == 0 {
			s.base-- // as if the SYN had been there
		}
	}
	s.options(h, b)
	a.handshake(h, time)
	m := a.judge(h, n, time)
	a.learn(h, n, m, time)
	s.Packets++
	s.Payload += uint64(n)
	for rest := m; rest != 0; rest &= rest - 1 {
		s.Counts[bits.TrailingZeros16(uint16(rest))]++
	}
	if h.Flags&flow.FIN != 0 && s.FIN == 0 {
		s.FIN = time
	}
	if h.Flags&flow.RST != 0 && s.RST == 0 {
		s.RST = time
	}
	if h.Flags&flow.RST == 0 {
		s.Window = int(h.Window)
		if h.Flags&flow.SYN == 0 && s.Scale > 0 && o.Scale >= 0 {
			s.Window <<= s.Scale
		}
		if h.Flags&(flow.SYN|flow.FIN) == 0 && (s.Lowest < 0 || s.Window < s.Lowest) {
			s.Lowest = s.Window
		}
	}
	return m
}

// options reads what a SYN chooses (RFC 9293, 3.2; RFC 7323, 2).
func (s *end) options(h *flow.Header, b []byte) {
	if h.Flags&flow.SYN == 0 {
		return
	}
	s.Scale = -1
	opts := b[min(h.Transport+20, h.Payload):h.Payload]
	for len(opts) > 0 {
		switch opts[0] {
		case 0:
			return
		case 1:
			opts = opts[1:]
			continue
		}
		if len(opts) < 2 || opts[1] < 2 || int(opts[1]) > len(opts) {
			return
		}
		switch {
		case opts[0] == 2 && opts[1] == 4:
			s.MSS = int(binary.BigEndian.Uint16(opts[2:]))
		case opts[0] == 3 && opts[1] == 3:
			s.Scale = int(min(opts[2], 14))
		}
		opts = opts[opts[1]:]
	}
}

// handshake notes when the connection was opened.
func (a *Analyzer) handshake(h *flow.Header, time int64) {
	switch both := h.Flags & (flow.SYN | flow.ACK); {
	case h.Flags&flow.RST != 0:
	case both == flow.SYN:
		if a.synAck == 0 { // one that was sent again counts: it is the one that is answered
			a.syn, a.opener, a.opened = time, h.Dir, true
		}
	case both == flow.SYN|flow.ACK:
		if a.ack == 0 {
			a.synAck = time
		}
		if !a.opened {
			a.opener, a.opened = h.Dir.Other(), true
		}
	case both == flow.ACK && a.synAck != 0 && a.ack == 0 && h.Dir == a.opener:
		a.ack = time
	}
}

// judge says what is odd about a packet with n bytes of payload.
func (a *Analyzer) judge(h *flow.Header, n uint32, time int64) (m Marks) {
	s, o := &a.end[h.Dir], &a.end[h.Dir.Other()]
	quiet := h.Flags&(flow.SYN|flow.FIN|flow.RST) == 0
	window := uint32(h.Window)
	if s.hasNext && n == 1 && h.Seq == s.next && o.hasWin && o.window == 0 && quiet {
		return ZeroWindowProbe | a.unseen(h)
	}
	if window == 0 && quiet {
		m |= ZeroWindow
	}
	if s.hasNext && after(h.Seq, s.next) && h.Flags&flow.RST == 0 {
		m |= Gap
	}
	if s.hasNext && n <= 1 && h.Seq == s.next-1 && quiet {
		m |= KeepAlive
	}
	repeats := s.hasNext && s.hasAck && n == 0 && h.Seq == s.next && h.Ack == s.ack && quiet && h.Flags&flow.ACK != 0
	if repeats && window != 0 && s.hasWin && window != s.window {
		m |= WindowUpdate
	}
	if n > 0 && quiet && o.hasAck && o.hasWin && o.Scale >= 0 && s.Scale >= 0 && h.Seq+n == o.ack+o.window<<o.Scale {
		m |= WindowFull
	}
	switch {
	case repeats && window != 0 && window == s.window && o.last&KeepAlive != 0:
		m |= KeepAliveAck
	case repeats && window == 0 && s.hasWin && s.window == 0 && o.last&ZeroWindowProbe != 0:
		m |= ZeroWindowProbeAck
	case repeats && window != 0 && s.hasWin && window == s.window:
		m |= DuplicateAck
	}
	return m | a.unseen(h) | a.again(h, n, m, time)
}

// unseen says whether a packet acknowledges what was not seen.
func (a *Analyzer) unseen(h *flow.Header) Marks {
	if o := &a.end[h.Dir.Other()]; h.Flags&flow.ACK != 0 && h.Flags&flow.RST == 0 && o.hasTop && after(h.Ack, o.top) {
		return UnseenAcked
	}
	return 0
}

// again tells what was sent again from what came late.
func (a *Analyzer) again(h *flow.Header, n uint32, m Marks, time int64) Marks {
	s, o := &a.end[h.Dir], &a.end[h.Dir.Other()]
	opens := h.Flags&(flow.SYN|flow.FIN) != 0
	if !s.hasNext || n == 0 && !opens || !after(s.next, h.Seq) || m&KeepAlive != 0 || h.Flags&flow.RST != 0 {
		return 0
	}
	if n > 1 && h.Seq == s.next-1 { // what a probe of one byte began
		return 0
	}
	if n > 0 && o.hasAck && !after(h.Seq+n, o.ack) {
		return Retransmission | Needless
	}
	if o.dups >= 2 && o.ack == h.Seq && time-o.ackTime < fastWithin {
		return Retransmission | FastRetransmission
	}
	late := lateWithin
	if rtt, ok := a.roundTrip(); ok {
		late = rtt
	}
	end := h.Seq + n
	if h.Flags&flow.FIN != 0 {
		end++
	}
	if time-s.nextTime < late && s.next != end {
		return OutOfOrder
	}
	return Retransmission
}

// learn keeps what a packet tells.
func (a *Analyzer) learn(h *flow.Header, n uint32, m Marks, time int64) {
	s, o := &a.end[h.Dir], &a.end[h.Dir.Other()]
	next := h.Seq + n
	if h.Flags&(flow.SYN|flow.FIN) != 0 {
		next++
	}
	if m&ZeroWindowProbe == 0 {
		if (!s.hasNext || after(next, s.next)) && h.Flags&flow.RST == 0 {
			s.next, s.hasNext, s.nextTime = next, true, time
		}
	}
	// What is behind a gap does not count: who acknowledges it has got what the capture lacks.
	if h.Flags&flow.RST == 0 && m&Gap == 0 && (!s.hasTop || after(next, s.top)) {
		s.top, s.hasTop = next, true
	}
	if h.Flags&flow.ACK != 0 {
		if m&UnseenAcked != 0 {
			o.top = h.Ack
		}
		switch {
		case m&DuplicateAck != 0:
			s.dups++
		case !s.hasAck || h.Ack != s.ack:
			s.dups = 0
		}
		s.ack, s.hasAck, s.ackTime = h.Ack, true, time
	}
	s.window, s.hasWin = uint32(h.Window), true
	s.last = m
}

// roundTrip is how long the opening took, from end to end.
func (a *Analyzer) roundTrip() (ns int64, ok bool) {
	if a.syn == 0 || a.ack == 0 {
		return 0, false
	}
	return a.ack - a.syn, true
}

// Relative is a sequence number of a direction as people read it: counted from the SYN.
func (a *Analyzer) Relative(d flow.Dir, seq uint32) uint32 { return seq - a.end[d].base }

// Known says whether a packet of a direction was seen, so that Relative has where to count from.
func (a *Analyzer) Known(d flow.Dir) bool { return a.end[d].seen }
