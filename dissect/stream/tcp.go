// Package stream puts the bytes of a flow in order: TCP segments into two byte streams, IP
// fragments into packets.
//
// In-order bytes are handed on without a copy. What comes early is copied and held, within a
// limit for each direction and one for all connections of a Pool; when a limit bites, or the
// other side has acknowledged what is missing, or the flow ends, the hole is told as a gap
// and the stream goes on behind it. Nothing is ever made up: bytes that were captured twice
// are told once (the first copy counts), bytes that were not captured are told as missing.
//
// A TCP is used by one goroutine, a Pool by those TCPs that share it, in one goroutine too.
package stream

import (
	"github.com/sshark/sshark/pcap/flow"
)

// Receiver takes the two streams of a connection. Bytes are borrowed until it returns.
type Receiver interface {
	Data(d flow.Dir, b []byte, time int64)
	// Gap says that n bytes are missing here; 0 when it cannot be known how many.
	Gap(d flow.Dir, n int64, time int64)
}

// Pool bounds the memory that early segments take, in one connection and in all together.
type Pool struct {
	held      int
	max       int
	maxStream int
	free      [][]byte
}

// chunkSize fits what a link carries; larger segments (offloaded ones) get their own size.
const chunkSize = 2048

// NewPool makes a pool of at most max bytes, at most perStream for one direction of one
// connection.
func NewPool(max, perStream int) *Pool { return &Pool{max: max, maxStream: perStream} }

// Held is how many bytes wait behind holes.
func (p *Pool) Held() int { return p.held }

func (p *Pool) copy(b []byte) []byte {
	p.held += len(b)
	if len(b) <= chunkSize {
		if n := len(p.free); n > 0 {
			c := p.free[n-1]
			p.free = p.free[:n-1]
			return append(c, b...)
		}
		return append(make([]byte, 0, chunkSize), b...)
	}
	return append([]byte(nil), b...)
}

func (p *Pool) release(b []byte) {
	p.held -= len(b)
	if cap(b) == chunkSize && len(p.free) < 4096 {
		p.free = append(p.free, b[:0])
	}
}

// patience is how long a hole that the other side has acknowledged may still be filled by a
// packet that the capture put out of order, in ns.
const patience = int64(20e6)

// maxChunks bounds the list of early segments, whatever their size: it is searched linearly.
const maxChunks = 1024

// settle is how many segments of a stream whose beginning was not seen are held back, so
// that those which the capture put out of order find their place.
const settle = 4

// chunk is a segment that came early.
type chunk struct {
	seq     uint32
	missing uint32 // bytes cut off its end by the snap length
	time    int64
	data    []byte
}

func (c *chunk) end() uint32 { return c.seq + uint32(len(c.data)) + c.missing }

// half is one direction.
type half struct {
	next    uint32 // sequence number that is expected
	known   bool   // next is valid
	fin     uint32 // sequence number of the FIN
	hasFIN  bool
	acked   uint32 // highest acknowledgment by the other side
	first   uint32 // the first one that was seen
	hasAck  bool
	opened  bool // its SYN was seen
	waiting int  // bytes in early
	early   []chunk
}

// TCP is one connection.
type TCP struct {
	pool *Pool
	half [2]half
}

// Init makes the connection ready; the zero value is not.
func (t *TCP) Init(pool *Pool) { *t = TCP{pool: pool} }

// FromStart says whether the stream of a side is known from its first byte on.
func (t *TCP) FromStart(d flow.Dir) bool { return t.half[d].known }

// before says whether sequence number a is before b (RFC 9293, 3.4).
func before(a, b uint32) bool { return int32(a-b) < 0 }

// Segment takes one packet of the connection. payload is what was captured, missing how many
// bytes the snap length cut off its end.
func (t *TCP) Segment(h *flow.Header, d flow.Dir, payload []byte, missing uint32, time int64, r Receiver) {
	s, o := &t.half[d], &t.half[d.Other()]
	seq := h.Seq
	if h.Flags&flow.SYN != 0 {
		seq++
		s.opened = true
		if !s.known {
			s.next, s.known = seq, true
			if len(s.early) > 0 {
				t.advance(d, r)
			}
		}
	}
	if h.Flags&flow.ACK != 0 && h.Flags&flow.RST == 0 {
		if !o.hasAck {
			o.first = h.Ack
		}
		if !o.hasAck || before(o.acked, h.Ack) {
			o.acked, o.hasAck = h.Ack, true
		}
		if len(o.early) > 0 {
			t.acknowledged(d.Other(), time, r)
		}
	}
	if h.Flags&flow.FIN != 0 && !s.hasFIN {
		s.fin, s.hasFIN = seq+uint32(len(payload))+missing, true
	}
	if len(payload) == 0 && missing == 0 {
		return
	}
	t.data(d, chunk{seq: seq, missing: missing, time: time, data: payload}, r)
}

func (t *TCP) data(d flow.Dir, c chunk, r Receiver) {
	s := &t.half[d]
	switch {
	case !s.known:
		t.hold(d, c)
		if len(s.early) >= settle || s.hasAck && !before(s.acked, s.early[0].seq) {
			t.begin(d)
			t.advance(d, r)
		}
	case !before(s.next, c.seq): // in order, or (partly) seen before
		t.deliver(d, &c, r)
		if len(s.early) > 0 {
			t.advance(d, r)
		}
	default:
		t.hold(d, c)
		if s.waiting > t.pool.maxStream || len(s.early) > maxChunks || t.pool.held > t.pool.max {
			t.skip(d, c.time, r)
		}
	}
}

// begin settles where a stream starts whose SYN was not seen: at the earliest byte held. But of
// a connection that the other side was seen to open all bytes should be there behind those that
// it acknowledged first.
func (t *TCP) begin(d flow.Dir) {
	s := &t.half[d]
	if s.known || len(s.early) == 0 {
		return
	}
	s.next, s.known = s.early[0].seq, true
	if missing := s.next - s.first; s.hasAck && t.half[d.Other()].opened && missing < 1<<30 {
		s.next = s.first
	}
}

// Settle hands on what is held only because the beginning of the streams is unknown: for
// when no more packets come for the moment.
func (t *TCP) Settle(r Receiver) {
	for d := range flow.Dir(2) {
		if !t.half[d].known && len(t.half[d].early) > 0 {
			t.begin(d)
			t.advance(d, r)
		}
	}
}

// deliver hands on a chunk that begins at or before next.
func (t *TCP) deliver(d flow.Dir, c *chunk, r Receiver) {
	s := &t.half[d]
	b := c.data
	end := c.end()
	if !before(s.next, end) {
		return // all of it was seen before
	}
	if skip := s.next - c.seq; skip > 0 {
		b = b[min(int(skip), len(b)):]
	}
	got := s.next + uint32(len(b))
	s.next = end
	if len(b) > 0 {
		r.Data(d, b, c.time)
	}
	if got != end {
		r.Gap(d, int64(end-got), c.time)
	}
}

// hold keeps a chunk that came early, in order of sequence.
func (t *TCP) hold(d flow.Dir, c chunk) {
	s := &t.half[d]
	i := len(s.early)
	for i > 0 && before(c.seq, s.early[i-1].seq) {
		i--
	}
	if i > 0 && s.early[i-1].seq == c.seq && !before(s.early[i-1].end(), c.end()) {
		return // a retransmission of what is held already
	}
	c.data = t.pool.copy(c.data)
	s.early = append(s.early, chunk{})
	copy(s.early[i+1:], s.early[i:])
	s.early[i] = c
	s.waiting += len(c.data)
}

// advance hands on what now fits.
func (t *TCP) advance(d flow.Dir, r Receiver) {
	s := &t.half[d]
	n := 0
	for n < len(s.early) && !before(s.next, s.early[n].seq) {
		c := &s.early[n]
		t.deliver(d, c, r)
		s.waiting -= len(c.data)
		t.pool.release(c.data)
		n++
	}
	if n > 0 {
		rest := copy(s.early, s.early[n:])
		clear(s.early[rest:])
		s.early = s.early[:rest]
	}
}

// skip gives the first hole up.
func (t *TCP) skip(d flow.Dir, time int64, r Receiver) {
	s := &t.half[d]
	if len(s.early) == 0 {
		return
	}
	n := int64(s.early[0].seq - s.next)
	s.next = s.early[0].seq
	r.Gap(d, n, time)
	t.advance(d, r)
}

// acknowledged looks at a hole that the other side may have acknowledged: then it was
// received, and only the capture lacks it.
func (t *TCP) acknowledged(d flow.Dir, time int64, r Receiver) {
	s := &t.half[d]
	if !s.known {
		if !before(s.acked, s.early[0].seq) {
			t.begin(d)
			t.advance(d, r)
		}
		return
	}
	for len(s.early) > 0 && !before(s.acked, s.early[0].seq) && time-s.early[0].time > patience {
		t.skip(d, time, r)
	}
}

// Finished says that both sides have sent a FIN and all before it was handed on.
func (t *TCP) Finished() bool {
	for d := range t.half {
		s := &t.half[d]
		if !s.hasFIN || s.known && before(s.next, s.fin) || len(s.early) > 0 {
			return false
		}
	}
	return true
}

// Close hands on all that is held, with the gaps between, and gives the memory back. Bytes
// that were acknowledged but never captured at the end are a gap too.
func (t *TCP) Close(time int64, r Receiver) {
	for d := range flow.Dir(2) {
		s := &t.half[d]
		t.begin(d)
		t.advance(d, r)
		for len(s.early) > 0 {
			t.skip(d, time, r)
		}
		if s.known && s.hasAck && !s.hasFIN && before(s.next, s.acked) {
			if n := s.acked - s.next; n < 1<<30 {
				s.next = s.acked
				r.Gap(d, int64(n), time)
			}
		}
	}
}
