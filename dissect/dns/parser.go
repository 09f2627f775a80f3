package dns

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Limits of what one flow may hold.
const (
	maxPending = 10_000
	maxKept    = 1 << 20 // bytes of queries that wait
	maxWait    = 10e9    // ns
	maxFree    = 8
	maxBad     = 4 // messages that are none, before a flow without a good one is given up
	maxSearch  = 64
)

// parser is one flow.
type parser struct {
	flow *dissect.Flow
	sink dissect.Sink
	half [2]half
	good bool // a message was found
	bad  uint8

	pending pending
	kept    int // bytes of pending queries
	free    *exchange
	nfree   int
}

// half is one direction of a TCP connection.
type half struct {
	buf   []byte // of a message: its length, and what came of it so far; if lost, 2 bytes that may be one
	skip  int    // bytes that belong to a message that was told already
	lost  bool   // looking for the beginning of a message
	first int64  // time of the first byte in buf
}

func newParser(f *dissect.Flow, sink dissect.Sink) *parser {
	p := &parser{flow: f, sink: sink}
	p.pending.seed = rand.Uint64()
	return p
}

// Data implements dissect.Parser.
func (p *parser) Data(d flow.Dir, b []byte, at dissect.Stamp) error {
	p.expire(at.Time)
	if p.flow.Transport == flow.TCP {
		p.stream(&p.half[d], d, b, at.Time)
	} else {
		p.message(d, b, at.Time, at.Time, false)
	}
	if p.bad >= maxBad && !p.good {
		return dissect.ErrNotMine
	}
	return nil
}

// stream takes bytes of a connection: messages, each behind its length (RFC 1035, 4.2.2).
func (p *parser) stream(h *half, d flow.Dir, b []byte, now int64) {
	for len(b) > 0 {
		if h.skip > 0 {
			n := min(h.skip, len(b))
			h.skip -= n
			b = b[n:]
			continue
		}
		if h.lost && !h.resume(b, now) {
			return
		}
		if len(h.buf) == 0 && len(b) >= 2 {
			n := 2 + int(binary.BigEndian.Uint16(b))
			if n <= len(b) {
				h.lost = !p.message(d, b[2:n], now, now, false)
				b = b[n:]
				continue
			}
		}
		if len(h.buf) == 0 {
			h.first = now
		}
		n := len(b)
		if len(h.buf) < 2 {
			n = min(n, 2-len(h.buf))
		} else {
			n = min(n, h.missing())
		}
		h.buf = append(h.buf, b[:n]...)
		b = b[n:]
		if len(h.buf) >= 2 && h.missing() == 0 {
			h.lost = !p.message(d, h.buf[2:], h.first, now, false)
			h.buf = h.buf[:0]
		}
	}
}

// resume says whether a message begins with b, or, where some sender writes its length by
// itself, with that and b.
func (h *half) resume(b []byte, now int64) bool {
	if begins(b) {
		h.lost, h.buf = false, h.buf[:0]
		return true
	}
	if len(h.buf) > 0 && begins(append(h.buf, b...)) {
		h.lost = false
		return true
	}
	if h.buf = h.buf[:0]; len(b) == 2 {
		h.buf, h.first = append(h.buf, b...), now
	}
	return false
}

// missing is how many bytes of the message are still to come.
func (h *half) missing() int { return 2 + int(binary.BigEndian.Uint16(h.buf)) - len(h.buf) }

// begins says whether a message surely begins here.
func begins(b []byte) bool {
	if len(b) < 2+headerSize {
		return false
	}
	n := int(binary.BigEndian.Uint16(b))
	b = b[2:]
	m, v := parse(b[:min(n, len(b))])
	return v == good && m.questions+m.records > 0 && !m.extra && m.sane(b, false) ||
		v == short && n > len(b) && m.asked && m.sane(b, false)
}

// Gap implements dissect.Parser.
func (p *parser) Gap(d flow.Dir, n int64, at dissect.Stamp) error {
	if p.flow.Transport != flow.TCP {
		return nil
	}
	h := &p.half[d]
	left := int64(h.skip)
	if len(h.buf) >= 2 && !h.lost {
		left = int64(h.missing())
		p.message(d, h.buf[2:], h.first, at.Time, true)
	}
	h.buf = h.buf[:0]
	h.skip = 0
	if n > 0 && n <= left {
		h.skip = int(left - n)
	} else {
		h.lost = true
	}
	return nil
}

// Close implements dissect.Parser.
func (p *parser) Close(at dissect.Stamp) {
	for d := range p.half {
		if h := &p.half[d]; len(h.buf) > 2 {
			p.message(flow.Dir(d), h.buf[2:], h.first, at.Time, true)
			h.buf = nil
		}
	}
	for e := p.pending.oldest; e != nil; e = p.pending.oldest {
		p.giveUp(e)
	}
}

// expire hands out queries that waited too long.
func (p *parser) expire(now int64) {
	for e := p.pending.oldest; e != nil && e.req.first < now-maxWait; e = p.pending.oldest {
		p.giveUp(e)
	}
}

func (p *parser) giveUp(e *exchange) {
	p.unwait(e)
	p.tell(e)
}

func (p *parser) unwait(e *exchange) {
	p.pending.remove(e)
	p.kept -= len(e.req.mem)
}

// message takes one message, which is borrowed. It returns false where it is none. A response
// that cannot be read to its end is believed where others were before, if a question can.
func (p *parser) message(d flow.Dir, b []byte, first, last int64, cut bool) bool {
	s, v := parse(b)
	if v == bad && p.good && s.response && s.questions > 0 {
		v = short
	}
	if v == bad || !s.sane(b, true) {
		if !p.good {
			p.bad++
		}
		return false
	}
	p.good = true
	m := message{shape: s, b: b, seen: true, incomplete: v == short || cut, dir: d, first: first, last: last, size: len(b)}
	if s.response {
		e := p.waiting(&m)
		if e == nil {
			e = p.get()
		} else {
			p.unwait(e)
		}
		e.resp = m
		p.tell(e)
		return true
	}
	e := p.get()
	mem := e.req.mem
	e.req = m
	e.req.mem = mem
	if p.flow.Server.Addr.Addr().IsMulticast() {
		p.tell(e)
		return true
	}
	if again := p.pending.find(m.key()); again != nil {
		p.giveUp(again)
	}
	e.req.mem = append(mem[:0], b...)
	e.req.b = e.req.mem
	p.pending.add(e)
	for p.kept += len(b); p.pending.n > 1 && (p.pending.n > maxPending || p.kept > maxKept); {
		p.pending.oldest.resp.incomplete = true // it may come yet
		p.giveUp(p.pending.oldest)
	}
	return true
}

// waiting finds the query that a response belongs to.
func (p *parser) waiting(m *message) *exchange {
	query := *m
	query.dir = m.dir.Other()
	if e := p.pending.find(query.key()); e != nil || m.asked {
		return e
	}
	// The question is not repeated: a failure to read the query, or the response is cut.
	e := p.pending.oldest
	for n := 0; e != nil && n < maxSearch; n++ {
		if e.req.id == m.id && e.req.dir != m.dir {
			return e
		}
		e = e.newer
	}
	return nil
}

// tell hands a call out and takes its memory back.
func (p *parser) tell(e *exchange) {
	req, resp := &e.req, &e.resp
	c := &e.call
	*c = dissect.Call{
		Message:    e,
		Incomplete: req.incomplete || resp.incomplete,
		Error:      resp.seen && resp.rcode != 0,
	}
	if req.seen {
		c.Reverse = req.dir == 1
		c.Time, c.RequestEnd, c.RequestSize = req.first, req.last, uint64(req.size)
	} else {
		c.Reverse = resp.dir == 1
		c.Time = resp.first
	}
	if resp.seen {
		c.ResponseStart, c.ResponseEnd, c.ResponseSize = resp.first, resp.last, uint64(resp.size)
	}
	p.sink.Call(c)
	p.put(e)
}

func (p *parser) get() *exchange {
	e := p.free
	if e == nil {
		return &exchange{}
	}
	p.free = e.newer
	p.nfree--
	e.newer = nil
	return e
}

func (p *parser) put(e *exchange) {
	if p.nfree >= maxFree {
		return
	}
	mem := e.req.mem[:0]
	if cap(mem) > 4096 {
		mem = nil
	}
	*e = exchange{newer: p.free}
	e.req.mem = mem
	p.free = e
	p.nfree++
}

// Reuse implements dissect.Idler. The memory of exchanges stays.
func (p *parser) Reuse(f *dissect.Flow, sink dissect.Sink) {
	*p = parser{flow: f, sink: sink, pending: p.pending, free: p.free, nfree: p.nfree}
}

// Idle implements dissect.Idler: no query waits for its answer.
func (p *parser) Idle() bool {
	return p.pending.n == 0 && len(p.half[0].buf) == 0 && len(p.half[1].buf) == 0
}
