package diameter

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/frames"
	"github.com/sshark/sshark/pcap/flow"
)

// Limits of what one flow may hold.
const (
	keepMessage = 16 << 10 // bytes of a message that are looked at
	maxPending  = 10_000   // requests without an answer
	maxKept     = 4 << 20  // bytes of them; the newest may go beyond
	maxIdle     = 64 << 10 // bytes of memory that are kept for use again
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
	waiting frames.Waiting[key, exchange]
	early   frames.Early[key]
	kept    int // bytes of requests that wait
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
	p.early.Expire(at.Time)
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
	p.message(h, &frames.Frame{Data: b[:min(m.size, int64(len(b)), keepMessage)], Size: m.size, First: now, Last: now, Cut: m.size > int64(len(b))})
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
	for i := p.waiting.Oldest(); i != nil; i = p.waiting.Oldest() {
		p.giveUp(i)
	}
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
	if i := p.waiting.Find(k); i == nil {
		if p.good {
			p.early.Hold(k, f)
		}
	} else if i.Value.command == m.command {
		p.pair(i, f)
	}
}

// request takes a request.
func (p *parser) request(k key, m *header, f *frames.Frame) {
	if again := p.waiting.Find(k); again != nil {
		p.giveUp(again)
	}
	i := p.waiting.Get()
	e := &i.Value
	*e = exchange{command: m.command, application: m.application, mem: e.mem[:0], reverse: k.d == 1, first: f.First, last: f.Last, size: f.Size, cut: f.Cut}
	e.note(f.Data[headerSize:])
	p.waiting.Add(k, i)
	for p.kept += len(e.mem); p.waiting.Len() > 1 && (p.waiting.Len() > maxPending || p.kept > maxKept); {
		oldest := p.waiting.Oldest()
		oldest.Value.cut = true // its answer may come yet
		p.giveUp(oldest)
	}
	if f, ok := p.early.Take(k, e.first); ok {
		var answer header
		if answer.read(f.Data); answer.command == m.command {
			p.pair(i, &f)
		}
	}
}

// pair gives a request its answer.
func (p *parser) pair(i *item, f *frames.Frame) {
	p.unwait(i)
	p.good = true
	p.tell(i, f)
}

// giveUp hands out a request that waits without its answer.
func (p *parser) giveUp(i *item) {
	p.unwait(i)
	p.tell(i, nil)
}

func (p *parser) unwait(i *item) {
	p.waiting.Remove(i)
	p.kept -= len(i.Value.mem)
}

// tell hands out a request with its answer, nil: without, and takes its memory back.
func (p *parser) tell(i *item, f *frames.Frame) {
	e := &i.Value
	c := &e.call
	*c = dissect.Call{Message: e, Reverse: e.reverse, Incomplete: e.cut, Time: e.first, RequestEnd: e.last, RequestSize: uint64(e.size)}
	if f != nil {
		e.said, e.answerSize = true, f.Size
		e.read(f.Data[headerSize:])
		c.Incomplete = e.cut || f.Cut
		c.ResponseStart, c.ResponseEnd, c.ResponseSize = f.First, f.Last, uint64(f.Size)
		c.Error = f.Data[4]&flagError != 0 || e.code >= 3000
	}
	p.sink.Call(c)
	mem := e.mem[:0]
	if cap(mem) > maxIdle {
		mem = nil
	}
	*e = exchange{mem: mem}
	p.waiting.Put(i)
}
