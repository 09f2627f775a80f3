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
	maxPending  = 10_000   // requests without a result
	maxKept     = 4 << 20  // bytes of them; the newest may go beyond
	maxIdle     = 64 << 10 // bytes of memory that are kept for use again
	maxBad      = 2        // times that bytes are none of LDAP's, before a flow without a call is given up
)

// parser is one flow.
type parser struct {
	sink    dissect.Sink
	half    [2]half
	good    bool
	left    bool // the stream speaks something else from here on
	layered bool // a bind may have put a security layer under what follows
	waiting frames.Waiting[int64, exchange]
	early   frames.Early[int64]
	kept    int    // bytes of requests that wait
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
	p.early.Expire(at.Time)
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
	for i := p.waiting.Oldest(); i != nil; i = p.waiting.Oldest() {
		p.giveUp(i)
	}
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
			p.early.Hold(e.id, f)
		}
	}
}

// request takes a request.
func (p *parser) request(m *envelope, f *frames.Frame) {
	if again := p.waiting.Find(m.id); again != nil {
		p.giveUp(again)
	}
	i := p.waiting.Get()
	e := &i.Value
	*e = exchange{op: &operations[m.op.tag], id: m.id, mem: e.mem[:0], text: e.text[:0], losses: p.losses, first: f.First, last: f.Last, size: f.Size, cut: f.Cut}
	e.note(m)
	if e.op.result == 0 {
		if m.op.tag == opAbandon {
			if gone := p.waiting.Find(e.target); gone != nil {
				p.giveUp(gone)
			}
		}
		p.good = true
		p.tell(i)
		return
	}
	p.waiting.Add(m.id, i)
	for p.kept += len(e.mem); p.waiting.Len() > 1 && (p.waiting.Len() > maxPending || p.kept > maxKept); {
		oldest := p.waiting.Oldest()
		oldest.Value.cut = true // its answer may come yet
		p.giveUp(oldest)
	}
	for p.waiting.Find(m.id) == i {
		f, ok := p.early.Take(m.id, e.first)
		if !ok {
			return
		}
		if answer, v := look(f.Data); v == response {
			p.response(i, &answer, &f)
		}
	}
}

// response takes a result, or what comes before the result of a search.
func (p *parser) response(i *item, m *envelope, f *frames.Frame) {
	e := &i.Value
	if e.started == 0 {
		e.started = f.First
	}
	e.ended = f.Last
	e.answerSize += f.Size
	e.answerCut = e.answerCut || f.Cut
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
		e.started, e.ended, e.answerSize, e.entries = 0, 0, 0, 0
		p.giveUp(i)
		return
	}
	p.good = true
	p.unwait(i)
	p.layered = p.layered || e.agrees && e.code == 0
	p.left = e.op.result == opExtendedResult && e.code == 0 && string(e.name()) == startTLS
	p.tell(i)
}

// giveUp hands out a request that waits without its result.
func (p *parser) giveUp(i *item) {
	p.unwait(i)
	p.tell(i)
}

func (p *parser) unwait(i *item) {
	p.waiting.Remove(i)
	p.kept -= len(i.Value.mem)
}

// tell hands out a request with what came of it, and takes its memory back.
func (p *parser) tell(i *item) {
	e := &i.Value
	c := &e.call
	*c = dissect.Call{Message: e, Time: e.first, RequestEnd: e.last, RequestSize: uint64(e.size),
		ResponseStart: e.started, ResponseEnd: e.ended, ResponseSize: uint64(e.answerSize), Error: e.said && failed(e.code)}
	// Of a search, entries may be missing without a trace.
	c.Incomplete = e.cut || e.answerCut || e.started != 0 && (!e.said || e.op.result == opSearchResult && e.losses != p.losses)
	p.sink.Call(c)
	mem, text := e.mem[:0], e.text[:0]
	if cap(mem) > maxIdle {
		mem = nil
	}
	*e = exchange{mem: mem, text: text}
	p.waiting.Put(i)
}
