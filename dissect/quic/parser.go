package quic

import (
	"bytes"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/tls"
	"github.com/sshark/sshark/pcap/flow"
)

// Limits of what one flow may hold.
const (
	maxConnections = 8
	maxWait        = 10e9 // ns
	maxTold        = 12   // IDs of connections that were told, of which packets may come again
)

// parser is one flow.
type parser struct {
	sink    dissect.Sink
	open    []*connection // oldest first
	told    [maxTold][]byte
	ntold   int
	scratch []byte
}

// Data implements dissect.Parser: one datagram, with one packet or more (RFC 9000, 12.2). A
// packet with a short header is the last one.
func (p *parser) Data(d flow.Dir, b []byte, at dissect.Stamp) error {
	p.expire(at.Time)
	for len(b) > 0 && b[0]&longHeader != 0 {
		h, ok := readLong(b)
		if !ok {
			break
		}
		p.packet(d, b[:h.end], &h, at.Time)
		b = b[h.end:]
	}
	return nil
}

// Gap implements dissect.Parser: datagrams have none.
func (p *parser) Gap(flow.Dir, int64, dissect.Stamp) error { return nil }

// Close implements dissect.Parser.
func (p *parser) Close(dissect.Stamp) {
	for len(p.open) > 0 {
		p.tell(p.open[0])
	}
}

// Idle implements dissect.Idler: no connection waits for its answer.
func (p *parser) Idle() bool { return len(p.open) == 0 }

// Reuse implements dissect.Idler.
func (p *parser) Reuse(_ *dissect.Flow, sink dissect.Sink) { *p = parser{sink: sink, open: p.open[:0]} }

// expire hands out connections that nobody answered.
func (p *parser) expire(now int64) {
	for len(p.open) > 0 && p.open[0].seen < now-maxWait {
		p.tell(p.open[0])
	}
}

func (p *parser) packet(d flow.Dir, b []byte, h *header, now int64) {
	for _, c := range p.open {
		switch {
		case d == c.client && c.sent(h):
			c.seen = now
			p.asks(c, b, h, now)
			return
		case d != c.client && c.gets(h):
			c.seen = now
			p.answers(c, b, h, now)
			return
		}
	}
	if h.kind == initial && !p.known(h.dcid) {
		p.begin(d, b, h, now)
	}
}

// known says whether a connection was told.
func (p *parser) known(dcid []byte) bool {
	for _, id := range p.told {
		if id != nil && bytes.Equal(id, dcid) {
			return true
		}
	}
	return false
}

// begin takes the first packet of a connection. If it is all there, it must be authentic.
func (p *parser) begin(d flow.Dir, b []byte, h *header, now int64) {
	c := &connection{client: d, own: append([]byte(nil), h.scid...), hello: tls.NewQUIC(), began: now, seen: now}
	if h.cut {
		if d == 0 {
			c.rekey(h.version, recipes(h.version)[0], h.dcid)
			c.came[0].add(len(b), now)
			c.cut = true
			p.add(c)
		}
		return
	}
	for _, r := range recipes(h.version) {
		c.rekey(h.version, r, h.dcid)
		if frames, ok := p.unseal(c, 0, b, h); ok {
			p.add(c)
			p.asked(c, frames, len(b), now)
			return
		}
	}
}

func (p *parser) add(c *connection) {
	if len(p.open) >= maxConnections {
		p.tell(p.open[0])
	}
	p.open = append(p.open, c)
}

// unseal decrypts a packet of a side.
func (p *parser) unseal(c *connection, side int, b []byte, h *header) ([]byte, bool) {
	p.scratch = append(p.scratch[:0], b...)
	frames, n, ok := c.keys[side].open(p.scratch, h.body, c.expected[side])
	if ok {
		c.expected[side] = max(c.expected[side], n+1)
	}
	return frames, ok
}

// asks takes a packet of the client.
func (p *parser) asks(c *connection, b []byte, h *header, now int64) {
	switch {
	case h.kind == handshake: // it has read the answer
		p.tell(c)
	case h.kind != initial:
	case h.cut:
		c.cut = true
		if !c.whole {
			c.came[0].add(len(b), now)
		}
	default:
		if frames, ok := p.unseal(c, 0, b, h); ok {
			p.asked(c, frames, len(b), now)
		}
	}
}

// asked takes what a client's Initial packet holds. Times are those of packets up to the one
// that completes the hello.
func (p *parser) asked(c *connection, frames []byte, size int, now int64) {
	crypto := c.frames(0, frames)
	if crypto && c.anew {
		c.came[0], c.anew = part{}, false
	}
	if !c.whole && (crypto || c.came[0].first == 0) {
		c.came[0].add(size, now)
	}
	again := crypto && c.whole && c.retried && !c.answered // as it was told to
	if again {
		c.came[0].add(size, now)
	}
	if from := c.crypto[0].read; !c.whole && c.crypto[0].next() != nil {
		c.start, again = from, true
	}
	if again {
		m, came := c.crypto[0].bytes()[c.start:c.crypto[0].read], c.came[0]
		c.whole = c.hello.Ask(m, came.first, came.last, len(m))
	}
	if c.closed {
		p.tell(c)
	}
}

// answers takes a packet of the server.
func (p *parser) answers(c *connection, b []byte, h *header, now int64) {
	switch h.kind {
	case negotiation:
		c.refused = true
		c.came[1].add(len(b), now)
		p.tell(c)
	case retry:
		if !c.retried && !c.answered {
			c.retried = true
			p.remember(c.dcid)
			c.rekey(h.version, c.recipe, h.scid)
		}
	case handshake:
		if !c.answered {
			c.answered = true
			c.came[1].add(len(b), now)
		}
	case initial:
		if h.version != c.version { // the server may choose a version that is alike (RFC 9368, 2.3)
			c.rekey(h.version, recipes(h.version)[0], c.dcid)
		}
		c.server = append(c.server[:0], h.scid...)
		c.answered = true
		c.came[1].add(len(b), now)
		if h.cut {
			return
		}
		if frames, ok := p.unseal(c, 1, b, h); ok {
			p.answered(c, frames, now)
		}
	}
}

// answered takes what a server's Initial packet holds.
func (p *parser) answered(c *connection, frames []byte, now int64) {
	c.frames(1, frames)
	m := c.crypto[1].next()
	if m != nil {
		again, ok := c.hello.Answer(m, c.came[1].first, now, len(m))
		c.agreed = ok && !again
		if ok && again {
			p.tellTLS(c)
			c.before, c.hello, c.whole = c.hello, tls.NewQUIC(), false
			c.came[1], c.answered, c.anew = part{}, false, true
			return
		}
	}
	if m != nil || c.closed {
		p.tell(c)
	}
}

// remember notes IDs of a connection, of which nothing more is to be told.
func (p *parser) remember(ids ...[]byte) {
	for _, id := range ids {
		if len(id) > 0 {
			p.told[p.ntold%maxTold] = id
			p.ntold++
		}
	}
}

// tell hands a connection out, and then its handshake.
func (p *parser) tell(c *connection) {
	for i, o := range p.open {
		if o == c {
			n := copy(p.open[i:], p.open[i+1:])
			p.open[i+n] = nil
			p.open = p.open[:i+n]
			break
		}
	}
	if !c.refused { // else the client may go on with the same IDs
		p.remember(c.dcid, c.own, c.server)
	}
	if len(p.open) == 0 {
		p.scratch = nil
	}
	if b := c.crypto[0].bytes(); !c.whole && len(b) > c.crypto[0].read {
		came := c.came[0]
		c.hello.Ask(b[c.crypto[0].read:], came.first, came.last, len(b)-c.crypto[0].read)
	}
	if c.closed && c.code >= cryptoError && c.code < cryptoError+256 && c.hello.Asked() {
		c.hello.Fail(uint8(c.code - cryptoError))
	}
	ask, answer := c.came[0], c.came[1]
	c.call = dissect.Call{
		Message: c, Reverse: c.client == 1,
		Time: c.began, RequestEnd: ask.last, RequestSize: uint64(ask.size),
		ResponseStart: answer.first, ResponseEnd: answer.last, ResponseSize: uint64(answer.size),
		Error: c.closed && c.code != 0, Incomplete: !c.whole || c.answered && !c.agreed && !c.closed,
	}
	p.sink.Call(&c.call)
	p.tellTLS(c)
}

// tellTLS hands the handshake out, if there is one.
func (p *parser) tellTLS(c *connection) {
	if c.hello.Asked() {
		c.hello.Call(&c.tls)
		c.tls.Reverse = c.client == 1
		p.sink.Call(&c.tls)
	}
}
