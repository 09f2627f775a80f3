package amqp

import (
	"encoding/binary"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/frames"
	"github.com/sshark/sshark/pcap/flow"
)

// Limits of what one flow may hold.
const (
	keepFrame = 4 << 10  // bytes of a frame, where its body is not wanted
	keepArgs  = 1 << 10  // bytes of a method that waits for its content
	maxOpen   = 2048     // contents on the way, of a side
	maxKept   = 4 << 20  // bytes of them; the newest may go beyond
	maxIdle   = 64 << 10 // bytes of memory that are kept for use again
	maxBad    = 4        // times that bytes are none of AMQP's, before a flow without a call is given up
)

// parser is one flow.
type parser struct {
	sink  dissect.Sink
	half  [2]half
	limit int // bytes kept of a frame
	shown int // bytes of a body that are wanted
	good  bool
	e     exchange
}

// half is one direction.
type half struct {
	frames.Reader
	d     flow.Dir
	begun bool                             // a frame was seen
	open  frames.Waiting[uint16, exchange] // contents on the way, by channel
	kept  int
}

type item = frames.Item[uint16, exchange]

func newParser(f *dissect.Flow, sink dissect.Sink) *parser {
	p := &parser{sink: sink}
	for d := range p.half {
		h := &p.half[d]
		h.d, h.Missed = flow.Dir(d), f.Opening == 0
	}
	return p
}

// Data implements dissect.Parser.
func (p *parser) Data(d flow.Dir, b []byte, at dissect.Stamp) error {
	p.limit = keepFrame
	limit, wanted := p.sink.Bodies()
	if p.shown = limit; wanted {
		p.limit = max(p.limit, limit)
	}
	h := &p.half[d]
	for len(b) > 0 {
		missed := h.Bad
		n, done := h.Next(h, b, at.Time, p.limit)
		if h.Bad > missed {
			p.dropAll(h)
		}
		if b = b[n:]; done {
			p.frame(h, &h.Frame)
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
	h.Missed = false
	if h.Gap(n, at.Time) {
		p.frame(h, &h.Frame)
	}
	if h.Missed {
		p.dropAll(h)
	}
	return nil
}

// Close implements dissect.Parser.
func (p *parser) Close(at dissect.Stamp) {
	for d := range p.half {
		h := &p.half[d]
		if h.Close(at.Time) {
			p.frame(h, &h.Frame)
		}
		p.dropAll(h)
	}
}

// dropAll hands out the contents that were on the way, as far as they came.
func (p *parser) dropAll(h *half) {
	for i := h.open.Oldest(); i != nil; i = h.open.Oldest() {
		p.drop(h, i)
	}
}

func (p *parser) drop(h *half, i *item) {
	i.Value.cut = true
	p.finish(h, i)
}

// Size implements frames.Format.
func (h *half) Size(b []byte) int64 {
	if !h.begun {
		if may, is, _ := isInit(b); is {
			return initSize
		} else if may {
			return 0
		}
	}
	n := measure(b)
	if n > 0 && b[0] == frameMethod {
		// Who lost the place finds it by a method, so it must be one that is known.
		if len(b) < frameStart+4 {
			return 0
		}
		if h.Missed && methodOf(b[frameStart:]) == nil {
			return -1
		}
	}
	return n
}

// Begins implements frames.Format: a whole frame, with a known method or with another one
// behind it.
func (h *half) Begins(b []byte) bool {
	n := h.Size(b)
	if n <= 0 || int64(len(b)) < n || b[n-1] != frameEnd || b[0] == frameMethod && methodOf(b[frameStart:]) == nil {
		return false
	}
	return b[0] == frameMethod || b[0] == frameHeader && binary.BigEndian.Uint16(b[frameStart:]) == classBasic || int64(len(b)) == n || h.Size(b[n:]) >= 0
}

// frame takes a frame.
func (p *parser) frame(h *half, f *frames.Frame) {
	b := f.Data
	if !h.begun {
		h.begun = true
		if _, is, _ := isInit(b); is {
			if h.d == 1 {
				p.refused(f)
			}
			h.begun = false // what follows may be another one, or a frame
			return
		}
	}
	if int64(len(b)) == f.Size && !f.Cut && b[len(b)-1] != frameEnd {
		h.Bad++
		h.Lose()
		p.dropAll(h)
		return
	}
	if len(b) < frameStart {
		return
	}
	h.Missed = false
	channel := binary.BigEndian.Uint16(b[1:])
	payload := b[frameStart:]
	payload = payload[:min(int64(len(payload)), f.Size-frameStart-1)]
	switch b[0] {
	case frameMethod:
		if len(payload) >= 4 {
			if m := methodOf(payload); m != nil {
				p.method(h, f, m, channel, payload[4:])
			}
		}
	case frameHeader, frameBody:
		i := h.open.Find(channel)
		if i == nil {
			return
		}
		e := &i.Value
		e.last = f.Last
		e.size += f.Size
		e.cut = e.cut || f.Cut
		before := e.weight()
		done := false
		if b[0] == frameHeader {
			done = e.header(payload)
		} else {
			done = e.content(payload, f.Size-frameStart-1, p.shown)
		}
		h.kept += e.weight() - before
		if done {
			p.finish(h, i)
			return
		}
		p.bound(h)
	}
}

// refused takes a protocol header of the server.
func (p *parser) refused(f *frames.Frame) {
	e := &p.e
	*e = exchange{method: &refusal, args: f.Data[len(initMagic):], reverse: true, first: f.First, last: f.Last, size: f.Size, cut: f.Cut}
	p.tell(e)
}

// method takes a method, which is borrowed.
func (p *parser) method(h *half, f *frames.Frame, m *method, channel uint16, args []byte) {
	if before := h.open.Find(channel); before != nil {
		p.drop(h, before) // its content will not come any more
	}
	e := &p.e
	var i *item
	if m.content {
		i = h.open.Get()
		e = &i.Value
	}
	args = args[:min(len(args), keepArgs)]
	*e = exchange{method: m, channel: channel, args: args, mem: e.mem[:0], body: e.body[:0], reverse: h.d == 1,
		first: f.First, last: f.Last, size: f.Size, cut: f.Cut}
	_, e.bodies = p.sink.Bodies()
	if !m.content {
		p.tell(e)
		return
	}
	e.mem = append(e.mem, args...)
	e.args = e.mem
	h.open.Add(channel, i)
	h.kept += e.weight()
	p.bound(h)
}

// bound keeps what a side holds within its limits.
func (p *parser) bound(h *half) {
	for h.open.Len() > 1 && (h.open.Len() > maxOpen || h.kept > maxKept) {
		p.drop(h, h.open.Oldest())
	}
}

// finish hands out a content that waited for its end.
func (p *parser) finish(h *half, i *item) {
	e := &i.Value
	h.open.Remove(i)
	h.kept -= e.weight()
	p.tell(e)
	if cap(e.body) > maxIdle {
		e.body = nil
	}
	h.open.Put(i)
}

// tell hands out a method.
func (p *parser) tell(e *exchange) {
	p.good = true
	c := &e.call
	*c = dissect.Call{Message: e, Reverse: e.reverse, Incomplete: e.cut, Error: e.failed(), Time: e.first}
	if e.method.reply {
		c.ResponseStart, c.ResponseEnd, c.ResponseSize = e.first, e.last, uint64(e.size)
	} else {
		c.RequestEnd, c.RequestSize = e.last, uint64(e.size)
	}
	p.sink.Call(c)
}
