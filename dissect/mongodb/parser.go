package mongodb

import (
	"encoding/binary"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/frames"
	"github.com/sshark/sshark/pcap/flow"
)

// Limits of what one flow may hold.
const (
	keepMessage = 16 << 10 // bytes of a message, where its body is not wanted
	maxBad      = 4        // times that bytes are none of MongoDB's, before a flow without a call is given up
)

// parser is one flow.
type parser struct {
	sink    dissect.Sink
	half    [2]half
	limit   int // bytes kept of a message
	shown   int // bytes of a body that are wanted
	bodies  bool
	good    bool
	waiting frames.Queue[uint32, exchange]
	going   uint32 // ID of a reply that another one will follow
	goes    bool
	plain   []byte // what was compressed
}

// half is one direction. As long as it has missed something, what looks like a message must
// prove to be one.
type half struct {
	frames.Reader
	p *parser
	d flow.Dir
}

type item = frames.Item[uint32, exchange]

func newParser(f *dissect.Flow, sink dissect.Sink) *parser {
	p := &parser{sink: sink}
	for d := range p.half {
		h := &p.half[d]
		h.p, h.d = p, flow.Dir(d)
		h.Missed = d == 0 || f.Opening == 0
	}
	return p
}

// Data implements dissect.Parser.
func (p *parser) Data(d flow.Dir, b []byte, at dissect.Stamp) error {
	p.limit = keepMessage
	limit, wanted := p.sink.Bodies()
	if p.bodies, p.shown = wanted, limit; wanted {
		p.limit = max(p.limit, limit)
	}
	p.waiting.Expire(at.Time)
	h := &p.half[d]
	for len(b) > 0 {
		n, done := h.Next(h, b, at.Time, p.limit)
		if b = b[n:]; done {
			p.message(h, &h.Frame)
		}
	}
	if !p.good && p.half[0].Bad+p.half[1].Bad >= maxBad {
		return dissect.ErrNotMine
	}
	return nil
}

// Gap implements dissect.Parser.
func (p *parser) Gap(d flow.Dir, n int64, at dissect.Stamp) error {
	if h := &p.half[d]; h.Gap(n, at.Time) {
		p.message(h, &h.Frame)
	}
	return nil
}

// Close implements dissect.Parser.
func (p *parser) Close(at dissect.Stamp) {
	for d := range p.half {
		if h := &p.half[d]; h.Close(at.Time) {
			p.message(h, &h.Frame)
		}
	}
	p.waiting.Close(p)
}

// Size implements frames.Format.
func (h *half) Size(b []byte) int64 {
	if len(b) < headerSize {
		return 0
	}
	var m header
	m.read(b)
	switch v := m.look(b); {
	case v == bad:
		return -1
	case v == more:
		return 0
	case v == reply != (h.d == 1):
		return -1
	}
	return m.size
}

// Begins implements frames.Format.
func (h *half) Begins(b []byte) bool {
	if len(b) < looked || h.Size(b) <= 0 {
		return false
	}
	var m header
	m.read(b)
	if h.d == 1 && h.p.waiting.Find(m.to) == nil {
		return false
	}
	op, _, body, _ := m.open(b[:min(m.size, int64(len(b)), looked+1024)], &h.p.plain, 1024)
	var r reading
	r.read(op, body)
	return len(r.name) > 0 || len(r.collection) > 0 || r.documents
}

// message takes a message, which is borrowed, and may be cut.
func (p *parser) message(h *half, f *frames.Frame) {
	if len(f.Data) < headerSize+4 {
		return
	}
	var m header
	m.read(f.Data)
	h.Missed = false
	if h.d == 0 {
		p.request(&m, f)
		return
	}
	if p.goes && m.to == p.going {
		p.follow(&m, f)
		return
	}
	if i := p.waiting.Find(m.to); i != nil {
		p.Answer(i, f)
	} else if p.good {
		p.waiting.Hold(m.to, f)
	}
}

// follow notes whether the server goes on replying.
func (p *parser) follow(m *header, f *frames.Frame) {
	op, _, body, _ := m.open(f.Data, &p.plain, 16)
	p.goes = op == opMsg && len(body) >= 4 && binary.LittleEndian.Uint32(body)&flagMore != 0
	p.going = m.id
}

// request takes a request.
func (p *parser) request(m *header, f *frames.Frame) {
	i := p.waiting.Begin(p, m.id)
	e := &i.Value
	op, compressor, body, whole := m.open(f.Data, &p.plain, p.limit)
	e.op, e.size, e.limit, e.call = op, f.Size, p.shown, f.Asks(e)
	if m.op == opCompressed {
		e.compressor = compressors[min(int(compressor), len(compressors)-1)]
	}
	var r reading
	r.read(op, body)
	e.note(&r)
	if e.bodies = p.bodies; e.bodies {
		e.body = len(e.mem)
		content := body[min(r.from, len(body)):]
		e.mem = append(e.mem, content[:min(len(content), p.shown)]...)
		e.whole = whole && len(content) <= p.shown
	}
	if r.unanswered {
		p.good = true
		p.waiting.Pass(p, i)
		return
	}
	p.waiting.Ask(p, i, len(e.mem), f.First)
}

// Answer implements frames.Teller.
func (p *parser) Answer(i *item, f *frames.Frame) {
	p.good = true
	p.waiting.End(p, i, f)
}

// Tell implements frames.Teller.
func (p *parser) Tell(i *item, f *frames.Frame) {
	e := &i.Value
	c := &e.call
	c.Incomplete = c.Incomplete || i.Lost
	if f != nil {
		var m header
		m.read(f.Data)
		p.follow(&m, f)
		op, _, body, whole := m.open(f.Data, &p.plain, p.limit)
		e.said, e.answerSize = true, f.Size
		e.answer.read(op, body)
		e.resp = body[min(e.answer.from, len(body)):]
		e.respWhole = whole && len(e.resp) <= e.limit
		e.resp = e.resp[:min(len(e.resp), e.limit)]
		f.Answers(c)
		c.Error = e.answer.failed
	}
	p.sink.Call(c)
	*e = exchange{mem: frames.Idle(e.mem)}
	p.plain = frames.Idle(p.plain)
}
