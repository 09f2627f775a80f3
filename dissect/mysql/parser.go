package mysql

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Limits of what one flow may hold.
const (
	maxQuery   = 16 << 10 // bytes of a query's text, where its body is not wanted
	maxShort   = 1 << 10  // bytes of other packets
	maxPending = 10_000   // operations without a response
	maxKept    = 4 << 20  // bytes of their text; the newest may go beyond
	maxIdle    = 1 << 20  // bytes of memory that are kept for use again
	maxBad     = 4        // times that bytes are no packets, before a flow without a call is given up
)

// phase is where a connection stands.
type phase uint8

const (
	unknown phase = iota
	greeted       // the server spoke; the client logs in
	login         // the server has yet to accept it
	command
)

// state is where one side's stream stands.
type state uint8

const (
	between state = iota // a packet may begin
	inHeader
	inside // left bytes to come
	lost   // looking for the beginning of a packet
)

// half is one direction.
type half struct {
	state  state
	missed bool // packets may have been lost before the next one
	cut    bool // bytes of the packet are missing
	goes   bool // the packet before was of the greatest length: this one goes on with it
	seq    byte
	left   int
	length int
	limit  int    // bytes to keep
	kept   []byte // header or payload, so far
	first  int64
	unwrap unwrapper
}

// parser is one flow.
type parser struct {
	sink   dissect.Sink
	half   [2]half
	phase  phase
	bodies bool // wanted, up to wanted bytes
	wanted int
	limit  int // bytes kept of a query
	good   bool
	bad    uint8
	closed bool
	rest   []byte

	caps     uint32 // of the server, then those agreed on
	wrapping bool   // packets are compressed
	decoder  decoder

	pending    pending
	statements statements
	response   response
	infile     bool // the client sends a file
	user       []byte
	database   []byte
	copied     []byte // of the file
	sent       uint64
	early      []early
	gone       int64 // when the last one began that was given up

	begun    bool // there was a command
	holed    bool // there was a hole
	turned   bool // the last to speak was the client
	behind   bool // bytes of the server's are missing since then
	alone    int  // commands in a row that were answered before the next one
	adrift   bool // which response belongs to which command is not known
	asked    int  // commands since the client took its turn
	answered int

	e exchange
}

func newParser(sink dissect.Sink) *parser { return &parser{sink: sink} }

// Data implements dissect.Parser.
func (p *parser) Data(d flow.Dir, b []byte, at dissect.Stamp) error {
	if len(b) == 0 {
		return nil
	}
	if p.closed { // by a request for TLS that ended in a gap
		p.switchTLS(b)
		return nil
	}
	p.limit = maxQuery
	limit, wanted := p.sink.Bodies()
	if p.bodies, p.wanted = wanted, limit; wanted {
		p.limit = max(p.limit, limit)
	}
	if d == 0 && p.phase != command && !p.wrapping && wrapped(b) {
		p.missLogin()
		p.wrapping = true
	}
	p.bytes(d, b, at.Time)
	p.turned = d == 0
	p.behind = false
	switch {
	case p.closed:
		p.switchTLS(p.rest)
	case p.bad >= maxBad && !p.good:
		p.decoder.close()
		return dissect.ErrNotMine
	}
	return nil
}

// switchTLS hands the stream on.
func (p *parser) switchTLS(rest []byte) {
	p.flush()
	p.decoder.close()
	p.sink.Switch("tlsx", rest)
}

// bytes takes bytes as they were captured.
func (p *parser) bytes(d flow.Dir, b []byte, now int64) {
	if !p.wrapping {
		p.feed(d, b, now, true)
		return
	}
	first := true
	p.half[d].unwrap.feed(&p.decoder, b, func(b []byte) {
		p.feed(d, b, now, first)
		first = false
	}, func(n int64) { p.gap(d, n, now) })
}

// feed runs bytes of a side through its states; start says that they begin a piece.
func (p *parser) feed(d flow.Dir, b []byte, now int64, start bool) {
	h := &p.half[d]
	wrapping := p.wrapping
	for len(b) > 0 {
		if p.wrapping != wrapping { // from here on
			p.bytes(d, b, now)
			return
		}
		switch h.state {
		case lost:
			if !p.search(d, h, b, start, now) {
				return
			}
			h.state = between
			continue
		case between:
			h.first, h.cut, h.kept = now, false, h.kept[:0]
			if len(b) < headerSize {
				h.state = inHeader
				h.kept = append(h.kept, b...)
				return
			}
			if !p.header(d, h, b) {
				p.reject(h)
				return
			}
			b = b[headerSize:]
			if h.length <= len(b) {
				payload := b[:h.length]
				b = b[h.length:]
				h.left = 0
				p.take(d, h, payload[:min(len(payload), h.limit)], now)
				break
			}
			h.state = inside
		case inHeader:
			n := min(headerSize-len(h.kept), len(b))
			h.kept = append(h.kept, b[:n]...)
			b = b[n:]
			if len(h.kept) < headerSize {
				return
			}
			if !p.header(d, h, h.kept) {
				p.reject(h)
				return
			}
			h.state, h.kept = inside, h.kept[:0]
			if h.left == 0 {
				p.finish(d, h, now)
			}
		case inside:
			n := min(h.left, len(b))
			if room := h.limit - len(h.kept); room > 0 && !h.cut {
				h.kept = append(h.kept, b[:min(room, n)]...)
			}
			b = b[n:]
			if h.left -= n; h.left == 0 {
				p.finish(d, h, now)
			}
		}
		start = false
		if p.closed {
			p.rest = b
			return
		}
	}
}

// header reads a header; false: the number is not one that comes next.
func (p *parser) header(d flow.Dir, h *half, b []byte) bool {
	n, seq := packetLen(b), b[3]
	if !p.expected(d, h, n, seq) {
		return false
	}
	h.goes = h.length == maxPacket && seq == h.seq+1
	h.length, h.left, h.seq = n, n, seq
	h.limit = maxShort
	if d == 0 || p.bodies {
		h.limit = p.limit
	}
	return true
}

// expected says whether a packet of that length and number may come next.
func (p *parser) expected(d flow.Dir, h *half, n int, seq byte) bool {
	switch {
	case d == 0 && p.infile:
		return true
	case d == 0 && p.phase == command:
		// A command begins anew; what belongs to one has the next number.
		return seq == 0 && n > 0 || seq != 0 && (p.pending.Len() > 0 || seq == h.seq+1)
	case d == 1 && p.phase == command:
		return n > 0
	}
	return n > 0 && (n < 1<<20 || d == 0 && seq == 0) && seq < 64
}

// reject gives up the place in the stream.
func (p *parser) reject(h *half) {
	p.bad++
	h.lose()
}

func (h *half) lose() {
	h.state, h.missed = lost, true
	h.kept = h.kept[:0]
	h.length = 0
}

// finish ends a packet that came in pieces.
func (p *parser) finish(d flow.Dir, h *half, now int64) {
	h.state = between
	p.take(d, h, h.kept, now)
	if cap(h.kept) > maxIdle {
		h.kept = nil
	}
}

// take takes a packet, whose payload is borrowed and may be cut.
func (p *parser) take(d flow.Dir, h *half, payload []byte, now int64) {
	if d == 0 {
		p.client(h, payload, now)
	} else {
		p.server(h, payload, now)
	}
}

// search says whether a packet begins with b, which begins a piece where start is set. A piece
// of a response that ends as responses end is its end.
func (p *parser) search(d flow.Dir, h *half, b []byte, start bool, now int64) bool {
	switch {
	case !start:
		return false
	case d == 0:
		return asks(b) == dissect.Yes || p.good && asks(b) == dissect.Unsure
	case p.turned && p.phase == login:
		return len(b) > headerSize && packetLen(b)+headerSize == len(b) && b[3] > 1
	case p.turned && answers(b):
		return true
	}
	if n, flags, ok := endsResponse(b); ok && p.pending.Len() == 1 && !p.adrift && p.pending.First().began != 0 && flags&moreResults == 0 {
		o := p.pending.First()
		o.cut = true
		h.first = now
		p.seen(o, h, now, n)
		p.done(now)
	}
	return false
}

// Gap implements dissect.Parser.
func (p *parser) Gap(d flow.Dir, n int64, at dissect.Stamp) error {
	if p.closed {
		return nil
	}
	if p.wrapping {
		u := &p.half[d].unwrap
		if u.skip(&p.decoder, n, func(b []byte) { p.feed(d, b, at.Time, false) }, func(n int64) { p.gap(d, n, at.Time) }) {
			return nil
		}
		n = 0
	}
	p.gap(d, n, at.Time)
	return nil
}

// gap takes word of missing bytes, of which the compression is undone; 0: unknown how many.
func (p *parser) gap(d flow.Dir, n int64, now int64) {
	h := &p.half[d]
	p.holed = true
	p.behind = p.behind || d == 1 && p.turned
	if h.state == inside && n > 0 && n <= int64(h.left) {
		h.cut = true
		if h.left -= int(n); h.left == 0 {
			p.finish(d, h, now)
		}
		return
	}
	p.cutShort(d, h, now)
	if h.lose(); d == 0 {
		p.database = p.database[:0] // another one may have been chosen
	}
}

// cutShort ends a packet whose rest is missing: a command is told if it is known which.
func (p *parser) cutShort(d flow.Dir, h *half, now int64) {
	if h.state != inside {
		return
	}
	h.state, h.cut = between, true
	if len(h.kept) > 0 && (d == 1 || h.seq == 0) {
		p.take(d, h, h.kept, now)
	}
}

// Close implements dissect.Parser.
func (p *parser) Close(at dissect.Stamp) {
	if p.closed {
		return
	}
	for d := range p.half {
		p.cutShort(flow.Dir(d), &p.half[d], at.Time)
	}
	p.flush()
	p.decoder.close()
	p.closed = true
}

// flush hands out all that waits.
func (p *parser) flush() {
	for p.pending.Len() > 0 {
		o := p.pending.First()
		p.giveUp(p.adrift || o.began != 0 && !o.failed)
	}
}
