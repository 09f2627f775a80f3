package diameter

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/frames"
	"github.com/sshark/sshark/pcap/flow"
)

// Limits of what one flow may hold.
const (
	keepMessage = 16 << 10 // bytes of a message that are looked at
	maxBad      = 2        // times that bytes are none of Diameter's, before a flow without a call is given up
)

// key names a request: who made it, and its hop-by-hop identifier.
type key struct {
	d   flow.Dir
	hop uint32
}

// parser is one flow.
type parser struct {
	flow    *dissect.Flow
	sink    dissect.Sink
	half    [2]half
	good    bool
	waiting frames.Queue[key, exchange]
}

// half is one direction.
type half struct {
	frames.Reader
	p *parser
	d flow.Dir
}

type item = frames.Item[key, exchange]

func newParser(f *dissect.Flow, sink dissect.Sink) *parser {
	p := &parser{flow: f, sink: sink}
	for d := range p.half {
		p.half[d].p, p.half[d].d = p, flow.Dir(d)
	}
	return p
}

// Data implements dissect.Parser.
func (p *parser) Data(d flow.Dir, b []byte, at dissect.Stamp) error {
	p.waiting.Expire(at.Time)
	h := &p.half[d]
	if p.flow.Transport != flow.TCP {
		p.datagram(h, b, at.Time)
	} else {
		for len(b) > 0 {
			n, done := h.Next(h, b, at.Time, keepMessage)
			if b = b[n:]; done {
				p.message(h, &h.Frame)
			}
		}
	}
	if !p.good && p.half[0].Bad+p.half[1].Bad >= maxBad {
		return dissect.ErrNotMine
	}
	return nil
}

// datagram takes a user message of SCTP: one message (RFC 6733, 2.1).
func (p *parser) datagram(h *half, b []byte, now int64) {
	var m header
	if len(b) == 0 || m.look(b) != good {
		h.Bad++
		return
	}
	h.Frame = frames.Frame{Data: b[:min(m.size, int64(len(b)), keepMessage)], Size: m.size, First: now, Last: now, Cut: m.size > int64(len(b))}
	p.message(h, &h.Frame)
}

// Gap implements dissect.Parser.
func (p *parser) Gap(d flow.Dir, n int64, at dissect.Stamp) error {
	if h := &p.half[d]; p.flow.Transport == flow.TCP && h.Gap(n, at.Time) {
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
	var m header
	switch m.look(b) {
	case bad:
		return -1
	case more:
		return 0
	}
	return m.size
}

// Begins implements frames.Format.
func (h *half) Begins(b []byte) bool {
	var m header
	return m.look(b) == good && (m.request() || h.p.waiting.Find(key{h.d.Other(), m.hop}) != nil)
}

// message takes a message, which is borrowed, and may be cut.
func (p *parser) message(h *half, f *frames.Frame) {
	if len(f.Data) < headerSize {
		return
	}
	var m header
	m.read(f.Data)
	if m.request() {
		p.request(key{h.d, m.hop}, &m, f)
		return
	}
	k := key{h.d.Other(), m.hop}
	if i := p.waiting.Find(k); i != nil {
		p.Answer(i, f)
	} else if p.good {
		p.waiting.Hold(k, f)
	}
}

// request takes a request.
func (p *parser) request(k key, m *header, f *frames.Frame) {
	i := p.waiting.Begin(p, k)
	e := &i.Value
	e.command, e.application, e.size, e.call = m.command, m.application, f.Size, f.Asks(e)
	e.call.Reverse = k.d == 1
	e.note(f.Data[headerSize:])
	p.waiting.Ask(p, i, len(e.mem), f.First)
}

// Answer implements frames.Teller: an answer names the command too.
func (p *parser) Answer(i *item, f *frames.Frame) {
	var m header
	if m.read(f.Data); m.command == i.Value.command {
		p.good = true
		p.waiting.End(p, i, f)
	}
}

// Tell implements frames.Teller.
func (p *parser) Tell(i *item, f *frames.Frame) {
	e := &i.Value
	c := &e.call
	c.Incomplete = c.Incomplete || i.Lost
	if f != nil {
		e.said, e.answerSize = true, f.Size
		e.read(f.Data[headerSize:])
		f.Answers(c)
		c.Error = f.Data[4]&flagError != 0 || e.code >= 3000
	}
	p.sink.Call(c)
	*e = exchange{mem: frames.Idle(e.mem)}
}
