package sip

import (
	"hash/maphash"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/frames"
	"github.com/sshark/sshark/pcap/flow"
)

// Limits of what one flow may hold.
const (
	maxHead    = 64 << 10
	maxPending = 10_000
	maxKept    = 1 << 20 // bytes of requests that wait; the newest may go beyond
	waitInvite = 240e9   // ns; longer than a phone rings
	waitOther  = 32e9    // ns (RFC 3261, 17.1.2.2)
	maxFree    = 8
	maxIdle    = 16 << 10
	maxBad     = 4 // messages that are none, before a flow without a good one is given up
)

// parser is one flow.
type parser struct {
	flow  *dissect.Flow
	sink  dissect.Sink
	half  [2]half
	good  bool
	bad   uint8
	limit int // of bodies

	seed    maphash.Seed // so that nobody can choose which keys are the same
	invites frames.Waiting[uint64, *exchange]
	others  frames.Waiting[uint64, *exchange]
	kept    int // bytes of both
	free    []*exchange
}

func newParser(f *dissect.Flow, sink dissect.Sink) *parser {
	return &parser{flow: f, sink: sink, seed: maphash.MakeSeed()}
}

// Data implements dissect.Parser.
func (p *parser) Data(d flow.Dir, b []byte, at dissect.Stamp) error {
	p.limit, _ = p.sink.Bodies()
	p.expire(at.Time)
	if p.flow.Transport == flow.TCP {
		p.stream(d, b, at.Time)
	} else if b = trim(b); len(b) > 4 { // else it keeps the way open
		p.datagram(d, b, at.Time)
	}
	if p.bad >= maxBad && !p.good {
		return dissect.ErrNotMine
	}
	return nil
}

// datagram takes a message that is all there, or cut short by the capture.
func (p *parser) datagram(d flow.Dir, b []byte, now int64) {
	h, v := parseStart(b)
	if v == bad || v == part && h.uri.to == 0 && h.status == 0 {
		p.bad = min(p.bad+1, maxBad)
		return
	}
	m := message{head: h, seen: true, dir: d, size: uint64(len(b)), first: now, last: now, cut: v == part}
	n := headEnd(b, 0)
	if n == 0 {
		n, m.cut = len(b), true
	}
	m.headers(b[:n])
	m.headSize = n
	if m.bodySize = m.length; m.length < 0 {
		m.bodySize = int64(len(b) - n)
	}
	m.b = b[:min(len(b), n+int(min(m.bodySize, int64(p.limit))))]
	m.cut = m.cut || m.bodySize > int64(len(b)-n)
	p.message(&m)
}

// message takes a message, which is borrowed.
func (p *parser) message(m *message) {
	p.good = true
	m.key = p.key(m)
	if !m.request {
		p.response(m)
		return
	}
	e := p.get()
	mem := e.req.mem
	e.req = *m
	e.req.mem = mem
	if string(m.method.of(m.b)) == "ACK" {
		p.tell(e)
		return
	}
	w := p.waiting(m)
	if again := w.Find(m.key); again != nil {
		p.giveUp(w, again)
	}
	e.req.mem = append(mem[:0], m.b...)
	e.req.b = e.req.mem
	item := w.Get()
	item.Value = e
	w.Add(m.key, item)
	for p.kept += len(m.b); p.invites.Len()+p.others.Len() > 1 && (p.invites.Len()+p.others.Len() > maxPending || p.kept > maxKept); {
		if w = &p.others; w.Len() == 0 {
			w = &p.invites
		}
		w.Oldest().Value.resp.cut = true // it may come yet
		p.giveUp(w, w.Oldest())
	}
}

// response takes a response.
func (p *parser) response(m *message) {
	w := p.waiting(m)
	var e *exchange
	if item := w.Find(m.key); item != nil && m.status >= 200 {
		e = item.Value
		p.remove(w, item)
	} else {
		e = p.get()
	}
	e.resp = *m
	p.tell(e)
}

// waiting are the requests among which one like that waits.
func (p *parser) waiting(m *message) *frames.Waiting[uint64, *exchange] {
	if string(m.method.of(m.b)) == "INVITE" {
		return &p.invites
	}
	return &p.others
}

// key is what a request and its responses agree in.
func (p *parser) key(m *message) uint64 {
	var h maphash.Hash
	h.SetSeed(p.seed)
	asker := m.dir
	if !m.request {
		asker = m.dir.Other()
	}
	h.WriteByte(byte(asker))
	for _, s := range [3]span{m.branch, m.callID, m.cseq} {
		h.Write(s.of(m.b))
		h.WriteByte(0)
	}
	return h.Sum64()
}

func (p *parser) expire(now int64) {
	for i := p.invites.Oldest(); i != nil && i.Value.req.first < now-waitInvite; i = p.invites.Oldest() {
		p.giveUp(&p.invites, i)
	}
	for i := p.others.Oldest(); i != nil && i.Value.req.first < now-waitOther; i = p.others.Oldest() {
		p.giveUp(&p.others, i)
	}
}

func (p *parser) giveUp(w *frames.Waiting[uint64, *exchange], i *frames.Item[uint64, *exchange]) {
	e := i.Value
	p.remove(w, i)
	p.tell(e)
}

func (p *parser) remove(w *frames.Waiting[uint64, *exchange], i *frames.Item[uint64, *exchange]) {
	p.kept -= len(i.Value.req.b)
	w.Remove(i)
	i.Value = nil
	w.Put(i)
}

// tell hands a call out and takes its memory back.
func (p *parser) tell(e *exchange) {
	req, resp := &e.req, &e.resp
	e.limit = p.limit
	c := &e.call
	*c = dissect.Call{Message: e, Incomplete: req.cut || resp.cut, Error: resp.status >= 400}
	if req.seen {
		c.Reverse = req.dir == 1
		c.Time, c.RequestEnd, c.RequestSize = req.first, req.last, req.size
	} else {
		c.Reverse = resp.dir == 1
		c.Time = resp.first
	}
	if resp.seen {
		c.ResponseStart, c.ResponseEnd, c.ResponseSize = resp.first, resp.last, resp.size
	}
	p.sink.Call(c)
	if len(p.free) < maxFree {
		mem := e.req.mem[:0]
		if cap(mem) > maxIdle {
			mem = nil
		}
		*e = exchange{}
		e.req.mem = mem
		p.free = append(p.free, e)
	}
}

func (p *parser) get() *exchange {
	if n := len(p.free); n > 0 {
		e := p.free[n-1]
		p.free = p.free[:n-1]
		return e
	}
	return &exchange{}
}

// Close implements dissect.Parser.
func (p *parser) Close(at dissect.Stamp) {
	for d := range flow.Dir(2) {
		p.cutShort(d, at.Time)
	}
	for p.invites.Len()+p.others.Len() > 0 {
		i, o := p.invites.Oldest(), p.others.Oldest()
		if o == nil || i != nil && i.Value.req.first <= o.Value.req.first {
			p.giveUp(&p.invites, i)
		} else {
			p.giveUp(&p.others, o)
		}
	}
}

// Idle implements dissect.Idler: no request waits.
func (p *parser) Idle() bool {
	return p.invites.Len()+p.others.Len() == 0 && p.half[0].state == between && p.half[1].state == between
}

// Reuse implements dissect.Idler. The memory of exchanges stays.
func (p *parser) Reuse(f *dissect.Flow, sink dissect.Sink) {
	*p = parser{flow: f, sink: sink, seed: p.seed, invites: p.invites, others: p.others, free: p.free}
}
