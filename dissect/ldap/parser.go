package ldap

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/frames"
	"github.com/sshark/sshark/pcap/flow"
)

// Limits of what one flow may hold.
const (
	keepMessage = 16 << 10 // bytes of a message that are looked at
	keepBuffer  = 64 << 10 // bytes of a security layer's buffer, which may hold many
	maxBad      = 2        // times that bytes are none of LDAP's, before a flow without a call is given up
)

// parser is one flow.
type parser struct {
	sink    dissect.Sink
	half    [2]half
	good    bool
	left    bool // the stream speaks something else from here on
	layered bool // a bind may have put a security layer under what follows
	waiting frames.Queue[int64, exchange]
	losses  uint32 // of what the server sent
}

// half is one direction.
type half struct {
	frames.Reader
	p *parser
	d flow.Dir
}

type item = frames.Item[int64, exchange]

func newParser(_ *dissect.Flow, sink dissect.Sink) *parser {
	p := &parser{sink: sink}
	for d := range p.half {
		p.half[d].p, p.half[d].d = p, flow.Dir(d)
	}
	return p
}

// Data implements dissect.Parser.
func (p *parser) Data(d flow.Dir, b []byte, at dissect.Stamp) error {
	p.waiting.Expire(at.Time)
	h := &p.half[d]
	for len(b) > 0 {
		limit := keepMessage
		if p.layered {
			limit = keepBuffer
		}
		n, done := h.Next(h, b, at.Time, limit)
		if b = b[n:]; done {
			p.message(h, &h.Frame)
		}
		if p.left {
			p.sink.Switch("tlsx", b)
			return nil
		}
	}
	if !p.good && p.half[0].Bad+p.half[1].Bad >= maxBad {
		return dissect.ErrNotMine
	}
	return nil
}

// Gap implements dissect.Parser.
func (p *parser) Gap(d flow.Dir, n int64, at dissect.Stamp) error {
	h := &p.half[d]
	done := h.Gap(n, at.Time)
	h.lost()
	if done {
		p.message(h, &h.Frame)
	}
	return nil
}

// lost notes that messages of the server may be missing.
func (h *half) lost() {
	if h.Missed && h.d == 1 {
		h.p.losses++
	}
	h.Missed = false
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
	e, v := look(b)
	switch {
	case v == bad && h.p.layered:
		return sealedSize(b)
	case v == bad, v != more && (v == response) != (h.d == 1):
		return -1
	case v == more:
		return 0
	}
	return e.size
}

// Begins implements frames.Format.
func (h *half) Begins(b []byte) bool {
	if h.p.layered && sealed(b) {
		return true
	}
	e, v := look(b)
	if h.d == 1 {
		return v == response && h.p.waiting.Find(e.id) != nil
	}
	return v == request
}

// message takes a message, or a buffer of them, which is borrowed, and may be cut.
func (p *parser) message(h *half, f *frames.Frame) {
	if len(f.Data) == 0 {
		return
	}
	h.lost()
	if p.layered && f.Data[0] == 0 {
		p.open(h, f)
		return
	}
	e, v := look(f.Data)
	switch {
	case v == request && h.d == 0:
		p.request(&e, f)
	case v == response && h.d == 1:
		if i := p.waiting.Find(e.id); i != nil {
			p.response(i, &e, f)
		} else if p.good && e.id != 0 {
			p.waiting.Hold(e.id, f)
		}
	}
}

// request takes a request.
func (p *parser) request(m *envelope, f *frames.Frame) {
	i := p.waiting.Begin(p, m.id)
	e := &i.Value
	e.op, e.id, e.losses, e.size, e.call = &operations[m.op.tag], m.id, p.losses, f.Size, f.Asks(e)
	e.note(m)
	if e.op.result == 0 {
		if m.op.tag == opAbandon {
			if gone := p.waiting.Find(e.target); gone != nil {
				p.waiting.End(p, gone, nil)
			}
		}
		p.good = true
		p.waiting.Pass(p, i)
		return
	}
	p.waiting.Ask(p, i, len(e.mem), f.First)
}

// Answer implements frames.Teller, for what was read before its request.
func (p *parser) Answer(i *item, f *frames.Frame) {
	if m, v := look(f.Data); v == response {
		p.response(i, &m, f)
	}
}

// response takes a result, or what comes before the result of a search.
func (p *parser) response(i *item, m *envelope, f *frames.Frame) {
	e := &i.Value
	c := &e.call
	started := c.ResponseStart
	if f.Answers(c); started != 0 {
		c.ResponseStart = started
	}
	e.answerSize += f.Size
	switch m.op.tag {
	case opEntry:
		e.entries++
		return
	case opReference, opIntermediate:
		return
	case e.op.result:
		e.read(&m.op)
	default:
		// A result of another kind of request: that one had this ID, and was missed.
		c.ResponseStart, c.ResponseEnd, e.answerSize, e.entries = 0, 0, 0, 0
		p.waiting.End(p, i, nil)
		return
	}
	p.good = true
	p.layered = p.layered || e.agrees && e.code == 0
	p.left = e.op.result == opExtendedResult && e.code == 0 && string(e.name()) == startTLS
	p.waiting.End(p, i, nil)
}

// Tell implements frames.Teller: what was answered is in the exchange already.
func (p *parser) Tell(i *item, _ *frames.Frame) {
	e := &i.Value
	c := &e.call
	c.ResponseSize, c.Error = uint64(e.answerSize), e.said && failed(e.code)
	// Of a search, entries may be missing without a trace.
	missing := !e.said || e.op.result == opSearchResult && e.losses != p.losses
	c.Incomplete = c.Incomplete || i.Lost || e.answered() && missing
	p.sink.Call(c)
	*e = exchange{mem: frames.Idle(e.mem), text: e.text[:0]}
}
