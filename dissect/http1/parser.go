package http1

import (
	"bytes"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Limits of what one flow may hold.
const (
	maxPending = 10_000  // requests without an answer
	maxKept    = 4 << 20 // bytes of their heads and bodies; the newest may go beyond
	maxHeld    = 16      // responses that wait for a request which may come late
	holdTime   = 1e9     // ns that they wait
	maxFree    = 8       // exchanges kept for use again
	// maxGarbage is how much may pass before the first message is found.
	maxGarbage = 4 << 20
)

// parser is one flow.
type parser struct {
	sink    dissect.Sink
	half    [2]half
	client  flow.Dir // which side makes requests; valid once known
	known   bool
	closed  bool
	next    string // what the stream switched to
	rest    []byte // what was left of bytes that were looked at twice
	garbage int    // bytes before the first message

	queue     []*exchange // requests in order, from head on; those before the last are complete
	head      int
	kept      int         // bytes that the queue holds
	held      []*exchange // responses without a request
	gone      int64       // when the last of those began that were given up
	pipelined bool        // the client asks before it is answered
	free      []*exchange
}

func newParser(sink dissect.Sink) *parser { return &parser{sink: sink} }

// Data implements dissect.Parser.
func (p *parser) Data(d flow.Dir, b []byte, at dissect.Stamp) error {
	if p.closed || len(b) == 0 {
		return nil
	}
	if len(p.held) > 0 {
		p.releaseHeld(at.Time - holdTime)
	}
	rest := p.feed(d, b, at.Time)
	if p.closed {
		if len(p.rest) > 0 {
			rest = append(p.rest, rest...)
		}
		p.sink.Switch(p.next, rest)
		return nil
	}
	// What is borrowed must not outlive this call.
	for i := range p.half {
		if m := p.half[i].msg; m != nil {
			m.own()
		}
	}
	if !p.known {
		if p.garbage += len(b); p.garbage > maxGarbage {
			return dissect.ErrNotMine
		}
	}
	return nil
}

// Gap implements dissect.Parser.
func (p *parser) Gap(d flow.Dir, n int64, at dissect.Stamp) error {
	if p.closed {
		return nil
	}
	h := &p.half[d]
	p.unpeek(d, h)
	switch {
	case h.state == inHead:
		p.cutHead(d, h)
	case h.state == inBody && n > 0 && n <= h.left:
		h.skipped(n)
		if h.left -= n; h.left == 0 {
			h.seen(at.Time)
			p.finish(d, h)
		}
		return nil
	case h.state == inChunk && n > 0 && n <= h.left:
		h.skipped(n)
		if h.left -= n; h.left == 0 {
			h.state = chunkEnd
		}
		return nil
	case h.state == untilClose:
		h.skipped(max(n, 0))
		return nil
	case h.state != between && h.state != lost:
		if h.state == inBody && n > 0 {
			h.skipped(h.left)
		} else {
			h.skipped(0)
		}
		p.finish(d, h)
	}
	if !p.closed {
		h.lose()
	}
	return nil
}

// Close implements dissect.Parser.
func (p *parser) Close(dissect.Stamp) {
	if p.closed {
		return
	}
	first := flow.Dir(0)
	if p.known {
		first = p.client
	}
	for _, d := range [2]flow.Dir{first, first.Other()} {
		h := &p.half[d]
		p.unpeek(d, h)
		switch h.state {
		case between, lost:
		case inHead:
			p.cutHead(d, h)
		case untilClose:
			p.finish(d, h)
		default:
			if h.msg != nil {
				h.msg.incomplete = !h.refused() || h.msg.incomplete
			}
			p.finish(d, h)
		}
	}
	p.flush()
	p.closed = true
}

// headDone takes a complete head, which is borrowed. It returns false where the head cannot
// be one of this side.
func (p *parser) headDone(d flow.Dir, h *half, head []byte, first, now int64) bool {
	if !p.known {
		p.known = true
		p.client = d
		if !h.start.request {
			p.client = d.Other()
		}
	}
	if h.start.request != (d == p.client) {
		return false
	}
	if h.start.request {
		p.request(h, head, first, now)
	} else {
		p.response(d, h, head, first, now)
	}
	return true
}

func (p *parser) request(h *half, head []byte, first, now int64) {
	e := p.get()
	m := &e.req
	m.begin(h, head, first, now)
	m.own()
	h.open(m, e)
	p.wantBody(m)
	e.carries.Request(m)
	p.enqueue(e, h)
	f := &h.framing
	switch {
	case f.bad, f.other && !f.chunked:
		m.incomplete = true
		p.finish(p.client, h)
		h.lose()
	case f.chunked:
		h.state, h.digits, h.scan = chunkSize, 0, 0
	case f.length > 0:
		h.state, h.left = inBody, f.length
	default:
		p.finish(p.client, h)
	}
}

func (p *parser) response(d flow.Dir, h *half, head []byte, first, now int64) {
	if s := h.start.status; s < 200 && s != 101 {
		e := p.get()
		e.resp.begin(h, head, first, now)
		e.resp.done = true
		h.state = between
		p.tell(e)
		return
	}
	e := p.answers(h, first)
	m := &e.resp
	m.begin(h, head, first, now)
	h.open(m, e)
	p.wantBody(m)
	e.carries.Response(e.Request(), m)
	method := e.req.Method()
	f := &h.framing
	switch s := h.start.status; {
	case s == 101:
		p.switchTo(d, h, upgradeTo(m))
	case string(method) == "CONNECT" && s < 300:
		p.switchTo(d, h, "")
	case string(method) == "HEAD", s == 204, s == 304:
		p.finish(d, h)
	case f.chunked:
		h.state, h.digits, h.scan = chunkSize, 0, 0
	case f.bad && !f.other:
		m.incomplete = true
		p.finish(d, h)
		h.lose()
	case f.length >= 0 && !f.other:
		if h.state, h.left = inBody, f.length; f.length == 0 {
			p.finish(d, h)
		}
	default:
		h.state = untilClose
	}
}

// switchTo ends the conversation: what the flow speaks from here on is not HTTP.
func (p *parser) switchTo(d flow.Dir, h *half, next string) {
	e := h.exchange
	p.finish(d, h)
	if e.req.seen && !e.req.done {
		e.req.done = true
		p.settle(e)
	}
	p.flush()
	p.closed, p.next = true, next
}

// upgradeTo is the protocol that an Upgrade header names, if it is one of ours.
func upgradeTo(m *message) string {
	v := bytes.ToLower(m.header("upgrade"))
	switch {
	case bytes.Contains(v, []byte("websocket")):
		return "ws"
	case bytes.Contains(v, []byte("h2c")):
		return "http2"
	}
	return ""
}

// cutHead ends a head whose rest is missing: the message is told if its start line says
// enough.
func (p *parser) cutHead(d flow.Dir, h *half) {
	l, _ := parseStart(h.buf)
	if !l.usable || p.known && l.request != (d == p.client) {
		h.lose()
		return
	}
	h.start = l
	h.framing = framing{bad: true, cut: true, length: -1}
	head := h.buf
	h.buf = h.buf[:0]
	p.headDone(d, h, head, h.first, h.now)
}

// finish ends the message that a side is in.
func (p *parser) finish(d flow.Dir, h *half) {
	h.state = between
	m, e := h.msg, h.exchange
	h.open(nil, nil)
	if m == nil {
		return
	}
	m.done = true
	if p.known && d == p.client {
		p.kept += len(m.body) + e.carries.Weight()
	}
	p.settle(e)
}

func (p *parser) wantBody(m *message) {
	if limit, wanted := p.sink.Bodies(); wanted {
		m.asked, m.keep, m.limit = true, true, limit
	}
}
