package http2

import (
	"bytes"
	"cmp"
	"maps"
	"slices"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/http"
	"github.com/sshark/sshark/dissect/ws"
	"github.com/sshark/sshark/pcap/flow"
)

// Limits of what one flow may hold.
const (
	maxStreams = 4096     // that are open
	maxKept    = 16 << 20 // bytes of their headers and bodies
	maxHeld    = 16       // responses that wait for a request which may come late
	holdTime   = 1e9      // ns that they wait
	maxFree    = 32       // exchanges kept for use again
	maxOver    = 64       // streams that are remembered to be over
	// maxGarbage is how much may pass before the first frame is found.
	maxGarbage = 1 << 20
)

// parser is one flow.
type parser struct {
	flow    *dissect.Flow
	sink    dissect.Sink
	half    [2]half
	client  flow.Dir // which side makes requests; valid once known
	known   bool
	synced  bool // frames were found
	garbage int  // bytes before them

	streams map[uint32]*exchange
	kept    int         // bytes that they hold
	held    []*exchange // responses without a request that have ended
	over    [maxOver]uint32
	overs   uint
	free    []*exchange
	scratch list
}

func newParser(f *dissect.Flow, sink dissect.Sink) *parser {
	p := &parser{flow: f, sink: sink, streams: map[uint32]*exchange{}}
	for d := range p.half {
		p.half[d].table, p.half[d].maxSize = newTable(), anyMaxSize
	}
	return p
}

// Data implements dissect.Parser.
func (p *parser) Data(d flow.Dir, b []byte, at dissect.Stamp) error {
	if len(p.held) > 0 {
		p.releaseHeld(at.Time - holdTime)
	}
	p.feed(d, b, at.Time)
	if !p.synced {
		if p.garbage += len(b); p.garbage > maxGarbage {
			return dissect.ErrNotMine
		}
	}
	return nil
}

// Gap implements dissect.Parser.
func (p *parser) Gap(d flow.Dir, n int64, at dissect.Stamp) error {
	p.gap(d, &p.half[d], n, at.Time)
	return nil
}

// Close implements dissect.Parser.
func (p *parser) Close(dissect.Stamp) {
	p.releaseHeld(1<<63 - 1)
	for _, e := range p.oldest() {
		if e.tunnel != nil {
			p.endTunnel(e)
			continue
		}
		p.cut(e)
		p.tell(e)
	}
}

// oldest are the streams in the order of their numbers.
func (p *parser) oldest() []*exchange {
	return slices.SortedFunc(maps.Values(p.streams), func(a, b *exchange) int { return cmp.Compare(a.frames.Stream, b.frames.Stream) })
}

// part is 0 for the side that makes requests.
func (p *parser) part(d flow.Dir) int { return int(d ^ p.client) }

// message is what a side says in a stream.
func (p *parser) message(e *exchange, d flow.Dir) *message {
	if d == p.client {
		return &e.req
	}
	return &e.resp
}

// stream is the stream that DATA of a side belongs to, nil where its headers were not seen.
func (p *parser) stream(d flow.Dir, id uint32) *exchange {
	e := p.streams[id]
	if e == nil || e.tunnel == nil && !p.message(e, d).seen {
		return nil
	}
	return e
}

// headers takes a whole header block.
func (p *parser) headers(d flow.Dir, h *half, b []byte) {
	k := &h.block
	if !p.known {
		switch w := classify(b, &p.scratch); {
		case k.frame.kind == framePush, w == response:
			p.known, p.client = true, d.Other()
		case w == request:
			p.known, p.client = true, d
		}
	}
	id := k.frame.stream
	if k.frame.kind == framePush {
		id = k.promised
	}
	switch e := p.streams[id]; {
	case !p.known, e == nil && p.isOver(id):
		p.unheard(h, b)
	case k.frame.kind == framePush:
		if e == nil && d != p.client {
			p.request(h, nil, b, id)
		} else {
			p.unheard(h, b)
		}
	case e != nil && e.tunnel != nil:
		p.unheard(h, b)
		p.message(e, d).done = p.message(e, d).done || k.frame.flags&flagEndStream != 0
		p.settle(e)
	case e != nil && p.message(e, d).seen:
		p.trailers(d, h, e, b)
	case d == p.client:
		p.request(h, e, b, id)
	default:
		p.response(h, e, b, id)
	}
}

// unheard reads a header block for what it does to the table.
func (p *parser) unheard(h *half, b []byte) {
	l := &p.scratch
	l.mem, l.pairs, l.unknown = l.mem[:0], l.pairs[:0], 0
	if !h.table.decode(b, l) {
		h.table.lose()
	}
}

// open decodes a header block that begins a message.
func (p *parser) open(h *half, m *message, b []byte) {
	k := &h.block
	if !h.table.decode(b, &m.list) {
		h.table.lose()
		m.incomplete = true
	}
	m.head()
	m.seen = true
	m.first, m.last, m.wire, m.block = k.first, h.now, k.wire, len(b)
	m.done = k.frame.flags&flagEndStream != 0 && k.frame.kind == frameHeaders
	if limit, wanted := p.sink.Bodies(); wanted {
		m.asked, m.keep, m.limit = true, true, limit
	}
}

// request takes the headers of a request; e is not nil if its response was there before it.
func (p *parser) request(h *half, e *exchange, b []byte, id uint32) {
	fresh := e == nil
	if fresh {
		e = p.get()
	}
	m := &e.req
	p.open(h, m, b)
	if len(m.method) == 0 && len(m.url) == 0 && !bytes.HasPrefix(first(m.pairs), []byte(":")) {
		// Trailers of a request that was not seen, or nothing is known of it.
		m.reset()
		if fresh {
			p.put(e)
		}
		return
	}
	if e.frames.Stream = id; h.block.frame.kind == framePush {
		e.frames.Push, m.done = true, true
	}
	e.carries.Request(m)
	if fresh {
		p.add(e)
	} else if e.carries.Late(&e.resp); e.resp.done {
		if i := slices.Index(p.held, e); i >= 0 {
			p.held = slices.Delete(p.held, i, i+1)
		}
	}
	p.hold(e, len(m.mem))
	p.settle(e)
}

// first is the name of the first field.
func first(pairs []http.Pair) []byte {
	if len(pairs) == 0 {
		return nil
	}
	return pairs[0].Name
}

// response takes the headers of a response; e is nil if its request was not seen.
func (p *parser) response(h *half, e *exchange, b []byte, id uint32) {
	fresh := e == nil
	if fresh {
		e = p.get()
		e.frames.Stream = id
	}
	m := &e.resp
	p.open(h, m, b)
	switch s := m.status; {
	case s == 0 && fresh:
		p.put(e) // trailers
		return
	case s >= 100 && s < 200 && !m.done:
		if !fresh {
			lone := p.get()
			lone.frames.Stream = id
			lone.resp, e.resp = e.resp, lone.resp
			e = lone
		}
		e.resp.done = true
		p.tell(e)
		return
	}
	e.carries.Response(e.Request(), m)
	if fresh {
		p.add(e)
	}
	p.hold(e, len(m.mem))
	if m.status/100 == 2 && string(e.req.method) == "CONNECT" && string(e.req.protocol) == "websocket" {
		p.tunnel(e)
		return
	}
	p.settle(e)
}

// tunnel hands out the call that opened a WebSocket, and lets that have the stream.
func (p *parser) tunnel(e *exchange) {
	id := e.frames.Stream
	done := [2]bool{e.req.done, e.resp.done}
	e.req.done, e.resp.done = true, true
	p.tell(e)
	e = p.get()
	e.frames.Stream = id
	e.tunnel = ws.Protocol().New(p.flow, p.sink)
	e.req.done, e.resp.done = done[0], done[1]
	p.add(e)
	p.settle(e)
}

// trailers takes the headers behind a body.
func (p *parser) trailers(d flow.Dir, h *half, e *exchange, b []byte) {
	m := p.message(e, d)
	mark, before := len(m.pairs), len(m.mem)
	if !h.table.decode(b, &m.list) {
		h.table.lose()
		m.incomplete = true
	}
	m.trailers = m.pairs[mark:]
	m.wire += h.block.wire
	m.last = h.now
	if d != p.client {
		e.carries.Trailers(m.trailers)
	}
	p.hold(e, len(m.mem)-before)
	if h.block.frame.flags&flagEndStream != 0 {
		m.done = true
		p.settle(e)
	}
}

// reset ends a stream before its time (RFC 9113, 6.4).
func (p *parser) reset(id, code uint32) {
	e := p.streams[id]
	if e == nil {
		return
	}
	e.frames.Error = errorName(code)
	e.failed = code != codeNone && code != codeCancel
	if e.tunnel != nil {
		p.endTunnel(e)
		return
	}
	if code != codeNone || !e.resp.done {
		p.cut(e)
	}
	p.tell(e)
}

// goAway hands out the requests that were not processed (RFC 9113, 6.8).
func (p *parser) goAway(d flow.Dir, last, code uint32) {
	if !p.known || d == p.client {
		return
	}
	for _, e := range p.oldest() {
		if e.frames.Stream <= last || e.frames.Push || e.tunnel != nil || e.resp.seen {
			continue
		}
		if code != codeNone {
			e.frames.Error, e.failed = errorName(code), true
		}
		p.cut(e)
		p.tell(e)
	}
}

// cut marks what has not ended.
func (p *parser) cut(e *exchange) {
	for _, m := range [...]*message{&e.req, &e.resp} {
		if m.seen && !m.done {
			m.incomplete = true
		}
	}
}
