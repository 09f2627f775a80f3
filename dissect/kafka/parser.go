package kafka

import (
	"encoding/binary"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/frames"
	"github.com/sshark/sshark/pcap/flow"
)

// Limits of what one flow may hold.
const (
	keepMessage = 16 << 10 // bytes of a message, where its body is not wanted
	maxBad      = 4        // times that bytes are none of Kafka's, before a flow without a call is given up
	maxToken    = 64 << 10 // of SASL
)

// parser is one flow.
type parser struct {
	sink    dissect.Sink
	half    [2]half
	limit   int // bytes kept of a message
	bodies  bool
	shown   int // bytes of a body that are wanted
	good    bool
	raw     bool // the client may send SASL tokens
	waiting frames.Queue[uint32, exchange]
	topics  topics
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
	p := &parser{sink: sink, topics: topics{names: names{}}}
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
			p.message(h)
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
		p.message(h)
	}
	return nil
}

// Close implements dissect.Parser.
func (p *parser) Close(at dissect.Stamp) {
	for d := range p.half {
		if h := &p.half[d]; h.Close(at.Time) {
			p.message(h)
		}
	}
	p.waiting.Close(p)
}

// Size implements frames.Format.
func (h *half) Size(b []byte) int64 {
	if len(b) < 4 {
		return 0
	}
	n := int64(binary.BigEndian.Uint32(b))
	switch {
	case n < 4 || n > maxMessage:
		return -1
	case !h.Missed, h.d == 0 && h.p.raw && n < maxToken:
		return 4 + n
	case h.d == 1:
		if len(b) < 8 {
			return 0
		}
		if h.p.waiting.Find(binary.BigEndian.Uint32(b[4:])) == nil {
			return -1
		}
		return 4 + n
	}
	switch _, v := parseHeader(b); {
	case v == bad:
		return -1
	case v == more && len(b) < 14:
		return 0
	}
	return 4 + n
}

// Begins implements frames.Format.
func (h *half) Begins(b []byte) bool {
	if h.d == 0 {
		r, v := parseHeader(b)
		// Without a name there are little more than small numbers, which are found anywhere.
		return v == good && whole(b) && (len(r.client) > 0 || 4+int64(binary.BigEndian.Uint32(b)) <= int64(len(b)))
	}
	if len(b) < 8 {
		return false
	}
	n := int64(binary.BigEndian.Uint32(b))
	if n < 4 || n > maxMessage {
		return false
	}
	i := h.p.waiting.Find(binary.BigEndian.Uint32(b[4:]))
	if i == nil {
		return false
	}
	e := &i.Value
	w := e.answer(b[8:max(8, min(4+n, int64(len(b))))])
	all := 4+n <= int64(len(b))
	switch {
	case i.Key() < maxCommon && !all, e.known() && !w.fits(layouts[e.key].response, int(max(0, 4+n-int64(len(b))))):
		return false
	}
	return i.Key() >= maxCommon || 4+n == int64(len(b)) || w.good()
}

// maxCommon: smaller numbers are found anywhere, so as IDs they prove little.
const maxCommon = 1 << 8

// message takes the frame that a side has ended.
func (p *parser) message(h *half) {
	if h.d == 1 {
		p.response(&h.Frame, h)
		return
	}
	f := &h.Frame
	var r header
	v := more
	if len(f.Data) >= 8 {
		r.read(f.Data)
		if v = bad; r.key >= 0 && r.version >= 0 {
			if v = more; len(f.Data) >= 14 {
				v = r.readClient(f.Data)
			}
		}
	}
	if p.raw {
		if _, strict := parseHeader(f.Data); strict != good {
			return
		}
		p.raw = false
	}
	switch {
	case v == bad || v == more && !f.Cut && len(f.Data) >= int(min(f.Size, int64(p.limit))) && f.Size < 14:
		h.Bad++
		h.Lose()
	case v == more && len(f.Data) < 12: // too little to tell
	default:
		h.Missed = false
		p.request(f, &r, v == good)
	}
}

// request takes a request; where it was cut within its header, it is not whole.
func (p *parser) request(f *frames.Frame, r *header, whole bool) {
	i := p.waiting.Begin(p, r.correlation)
	e := &i.Value
	e.begin(f, r)
	e.mem = append(e.mem, r.client...)
	e.client = len(r.client)
	p.topics.list, p.topics.n = e.topics, 0
	v := visitor{topics: &p.topics}
	if whole && e.known() {
		w := walker{b: f.Data[r.body:], version: r.version, flexible: r.flexible()}
		w.walk(layouts[r.key].request, &v)
	}
	e.topics = p.topics.list
	if e.bodies = p.bodies; e.bodies && whole {
		e.mem = append(e.mem, f.Data[r.body:]...)
		e.bodySize = f.Size - int64(r.body)
	}
	e.limit = p.shown
	if e.key == keySaslHandshake && e.version == 0 {
		p.raw = true
	}
	if e.key == keyProduce && v.acked && v.acks == 0 {
		p.good = true
		p.waiting.Pass(p, i)
		return
	}
	p.waiting.Ask(p, i, len(e.mem)+len(e.topics), f.First)
}

// response takes a response, or a SASL token.
func (p *parser) response(f *frames.Frame, h *half) {
	if len(f.Data) < 8 {
		return
	}
	id := binary.BigEndian.Uint32(f.Data[4:])
	i := p.waiting.Find(id)
	switch {
	case i != nil:
		h.Missed = false
		p.Answer(i, f)
	case !h.Missed && p.good && !p.raw:
		p.waiting.Hold(id, f)
	}
}

// Answer implements frames.Teller. Brokers answer in the order in which they are asked, so what
// was asked before was answered too.
func (p *parser) Answer(i *item, f *frames.Frame) {
	for o := p.waiting.Oldest(); o != i; o = p.waiting.Oldest() {
		p.waiting.Lose(p, o)
	}
	p.good = true
	p.waiting.End(p, i, f)
}

// Tell implements frames.Teller.
func (p *parser) Tell(i *item, f *frames.Frame) {
	e := &i.Value
	c := &e.call
	c.Incomplete = c.Incomplete || i.Lost
	if f != nil {
		f.Answers(c)
		p.answered(e, f)
		c.Error = e.code != 0
	}
	p.sink.Call(c)
	*e = exchange{mem: frames.Idle(e.mem), topics: frames.Idle(e.topics)}
}

// answered reads what a response says.
func (p *parser) answered(e *exchange, f *frames.Frame) {
	e.said, e.answerSize, e.answerCut = true, f.Size, f.Cut
	w := e.answer(f.Data[8:])
	e.resp, e.respSize = w.b, f.Size-int64(len(f.Data)-len(w.b))
	if !e.known() {
		return
	}
	p.topics.list, p.topics.n = e.topics, maxTopics // names are learned, and none told
	if len(e.topics) == 0 && (e.key == keyFetch || e.key == keyShareFetch) {
		p.topics.n = 0
	}
	v := visitor{topics: &p.topics}
	w.walk(layouts[e.key].response, &v)
	e.code, e.coded, e.topics = v.code, v.coded, p.topics.list
}
