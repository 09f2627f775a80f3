package cassandra

import (
	"encoding/hex"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/frames"
	"github.com/sshark/sshark/pcap/flow"
)

// Limits of what one flow may hold.
const (
	keepMessage = 16 << 10 // bytes of a message, where its body is not wanted
	keepSegment = maxSegment + packedHead + trailer
	maxPrepared = 4096    // statements
	maxTexts    = 4 << 20 // bytes of them
	maxBad      = 4       // times that bytes are none of Cassandra's, before a flow without a call is given up
)

// parser is one flow.
type parser struct {
	sink        dissect.Sink
	half        [2]half
	limit       int // bytes kept of a message
	shown       int // bytes of a body that are wanted
	bodies      bool
	good        bool
	started     bool   // STARTUP was seen
	compression string // that it asked for
	waiting     frames.Queue[int16, exchange]
	prepared    map[string]string
	texts       int    // bytes of prepared statements
	plain       []byte // what was compressed
	event       exchange
}

// half is one direction.
type half struct {
	frames.Reader // of messages, or of segments
	p             *parser
	d             flow.Dir
	framed        bool          // it speaks in segments
	inner         frames.Reader // of the messages in segments
	payload       []byte        // of a segment
}

// envelopes are messages, wherever they are, as frames.Format.
type envelopes half

type item = frames.Item[int16, exchange]

func newParser(f *dissect.Flow, sink dissect.Sink) *parser {
	p := &parser{sink: sink, prepared: map[string]string{}}
	for d := range p.half {
		h := &p.half[d]
		h.p, h.d = p, flow.Dir(d)
		h.Missed = f.Opening == 0
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
		keep := p.limit
		if h.framed {
			keep = keepSegment
		}
		n, done := h.Next(h, b, at.Time, keep)
		if b = b[n:]; done {
			p.frame(h)
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
	missed := h.Missed
	h.Missed = false
	if h.Gap(n, at.Time) {
		p.frame(h)
	}
	if h.Missed && h.inner.Gap(0, at.Time) {
		p.message(h, &h.inner.Frame)
	}
	h.Missed = h.Missed || missed
	return nil
}

// Close implements dissect.Parser.
func (p *parser) Close(at dissect.Stamp) {
	for d := range p.half {
		h := &p.half[d]
		if h.Close(at.Time) {
			p.frame(h)
		}
		if h.inner.Close(at.Time) {
			p.message(h, &h.inner.Frame)
		}
	}
	p.waiting.Close(p)
}

// segment reads the header of a segment: of the form that was agreed on, if that is known.
func (h *half) segment(b []byte) (s segment, v verdict) {
	packed := h.p.compression != uncompressed
	if s, v = parseSegment(b, packed); v == bad && !h.p.started {
		s, v = parseSegment(b, !packed)
	}
	return s, v
}

// Size implements frames.Format, of messages before STARTUP and of segments behind it.
func (h *half) Size(b []byte) int64 {
	if !h.framed {
		if n := (*envelopes)(h).Size(b); n >= 0 {
			return n
		}
	}
	switch s, v := h.segment(b); v {
	case good:
		h.framed = true
		return int64(s.head + s.length + trailer)
	case more:
		return 0
	}
	if h.framed {
		// A server that does not speak version 5 says so in a message.
		if n := (*envelopes)(h).Size(b); n > 0 {
			h.framed = false
			return n
		}
	}
	return -1
}

// Begins implements frames.Format.
func (h *half) Begins(b []byte) bool {
	if s, v := h.segment(b); v == good && (!h.p.started || h.framed) {
		return s.plain > 0 || !s.whole || len(b) > s.head && b[s.head] == newest|byte(h.d)<<7
	}
	return !h.framed && (*envelopes)(h).Begins(b)
}

// Size implements frames.Format.
func (e *envelopes) Size(b []byte) int64 {
	var h header
	if !h.read(b) || h.server != (e.d == 1) {
		return -1
	}
	if len(b) < headerSize {
		return 0
	}
	return headerSize + h.length
}

// Begins implements frames.Format.
func (e *envelopes) Begins(b []byte) bool {
	n := e.Size(b)
	if n <= 0 {
		return false
	}
	var h header
	h.read(b)
	if e.d == 1 && h.op != opEvent && e.p.waiting.Find(h.stream) == nil {
		return false
	}
	rest := int64(len(b)) - n
	body := b[headerSize:min(int64(len(b)), n)]
	if rest < 0 {
		// The beginning of one is believed if what is there of it says something.
		return h.flags == 0 && len(body) >= 16 && h.plausible(body)
	}
	return h.plausible(body) && (rest == 0 || e.Size(b[n:]) >= 0)
}

// frame takes what ended: a message, or a segment, whose messages are taken out of it.
func (p *parser) frame(h *half) {
	f := &h.Frame
	s, v := h.segment(f.Data)
	if !h.framed || v != good {
		h.Missed = false
		p.message(h, f)
		return
	}
	missed := h.Missed
	h.Missed = false
	switch {
	case s.whole: // a message begins with it, whatever was before
		if h.inner.Close(f.First) {
			p.message(h, &h.inner.Frame)
		}
	case missed:
		h.inner.Lose()
	}
	payload := f.Data[s.head:]
	payload = payload[:min(len(payload), s.length)]
	if s.plain > 0 {
		h.payload = s.open(h.payload[:0], payload, maxSegment)
		payload = h.payload
	}
	lost := s.size() - len(payload)
	for len(payload) > 0 {
		bad := h.inner.Bad
		n, done := h.inner.Next((*envelopes)(h), payload, f.First, p.limit)
		payload = payload[n:]
		if done {
			h.inner.Frame.Last = f.Last
			p.message(h, &h.inner.Frame)
		} else if h.inner.Bad > bad {
			return // only what begins a segment is believed
		}
	}
	if lost > 0 && h.inner.Gap(int64(lost), f.Last) {
		p.message(h, &h.inner.Frame)
	}
}

// message takes a message, which is borrowed, and may be cut.
func (p *parser) message(h *half, f *frames.Frame) {
	var m header
	if len(f.Data) < headerSize || !m.read(f.Data) || m.server != (h.d == 1) {
		return
	}
	switch {
	case h.d == 0:
		p.request(h, &m, f)
	case m.op == opEvent:
		p.tellEvent(&m, f)
	default:
		if m.version >= newest && (m.op == opReady || m.op == opAuthenticate) {
			h.framed = true
		}
		if i := p.waiting.Find(m.stream); i != nil {
			p.Answer(i, f)
		} else if p.good {
			p.waiting.Hold(m.stream, f)
		}
	}
}

// request takes a request.
func (p *parser) request(h *half, m *header, f *frames.Frame) {
	i := p.waiting.Begin(p, m.stream)
	body, whole := m.open(f.Data[headerSize:], p.compression, &p.plain, p.limit)
	compressed := m.flags&flagCompressed != 0 || h.framed
	if m.op == opStartup {
		p.started, p.compression = true, compressionOf(body)
		h.framed = m.version >= newest
	}
	e := &i.Value
	*e = exchange{header: *m, mem: e.mem, asked: true, size: f.Size, limit: p.shown, consistency: -1, call: f.Asks(e)}
	if compressed {
		e.compression = p.compression
	}
	p.statement(e, body)
	e.text = len(e.mem)
	if e.bodies = p.bodies; e.bodies {
		e.mem = append(e.mem, body[:min(len(body), p.shown)]...)
		e.whole = whole && len(body) <= p.shown
	}
	p.waiting.Ask(p, i, len(e.mem), f.First)
}

// statement notes what a request asks for.
func (p *parser) statement(e *exchange, body []byte) {
	n := 0
	e.consistency = e.statements(body, func(text, id []byte) {
		if id != nil {
			known, ok := p.prepared[string(id)]
			if n == 0 {
				e.idSize = copy(e.id[:], id)
			}
			if e.op == opExecute {
				e.known = known
				return
			}
			if n++; n > 1 {
				e.mem = append(e.mem, "; "...)
			}
			if !ok {
				e.mem = hex.AppendEncode(append(e.mem, "prepared "...), id[:min(len(id), len(e.id))])
				return
			}
			e.mem = append(e.mem, known[:min(len(known), max(0, p.limit-len(e.mem)))]...)
			return
		}
		if n++; n > 1 {
			e.mem = append(e.mem, "; "...)
		}
		e.mem = append(e.mem, text[:min(len(text), max(0, p.limit-len(e.mem)))]...)
	})
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
	if f != nil {
		whole := !c.Incomplete
		if p.answer(e, f); whole && e.op == opPrepare && e.resp.id != nil {
			p.learn(e.resp.id, e.query())
		}
		f.Answers(c)
		c.Error = e.resp.op == opError
	}
	c.Incomplete = c.Incomplete || i.Lost
	p.sink.Call(c)
	*e = exchange{mem: frames.Idle(e.mem)}
	p.plain = frames.Idle(p.plain)
}

// answer reads a response.
func (p *parser) answer(e *exchange, f *frames.Frame) {
	var m header
	m.read(f.Data)
	body, whole := m.open(f.Data[headerSize:], p.compression, &p.plain, p.limit)
	e.said, e.answerSize = true, f.Size
	e.resp.read(&m, body)
	e.answer = body[:min(len(body), e.limit)]
	e.answerWhole = whole && len(body) <= e.limit
}

// tellEvent hands out what the server says unasked.
func (p *parser) tellEvent(m *header, f *frames.Frame) {
	p.good = true
	e := &p.event
	*e = exchange{header: *m, limit: p.shown, bodies: p.bodies, consistency: -1}
	e.call = dissect.Call{Message: e, Reverse: true, Time: f.First}
	p.answer(e, f)
	f.Answers(&e.call)
	p.sink.Call(&e.call)
}

// learn notes a prepared statement.
func (p *parser) learn(id, text []byte) {
	if _, known := p.prepared[string(id)]; known || len(p.prepared) >= maxPrepared || p.texts+len(text) > maxTexts || len(id) > len(exchange{}.id) {
		return
	}
	p.prepared[string(id)] = string(text)
	p.texts += len(text)
}
