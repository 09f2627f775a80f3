package memcached

import (
	"bytes"
	"encoding/binary"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/frames"
	"github.com/sshark/sshark/dissect/lines"
	"github.com/sshark/sshark/dissect/turns"
	"github.com/sshark/sshark/pcap/flow"
)

// Limits of what a flow of datagrams may hold.
const (
	maxAsked   = 1024  // requests that wait
	maxAskedIn = 1400  // bytes of each
	maxWait    = 10e9  // ns
	maxStray   = 4     // datagrams that are none, before a flow without a good one is given up
	maxParts   = 10000 // datagrams of a reply
)

// frameSize is the header of a datagram: the ID of the request, which part of the message it
// is, how many there are, and two bytes that are reserved. They should be 0, but libmemcached
// leaves in them what was there before.
const frameSize = 8

// frame is a datagram.
type frame struct {
	id, part, parts uint16
	payload         []byte
}

func parseFrame(b []byte) (f frame, ok bool) {
	if len(b) <= frameSize {
		return f, false
	}
	f = frame{binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint16(b[4:]), b[frameSize:]}
	return f, f.part < f.parts && f.parts <= maxParts
}

// waiting is a request over UDP, and what came of its reply.
type waiting struct {
	binary bool
	req    turns.Message
	mem    []byte // of the request
	resp   turns.Message
	kept   []byte // of the reply
	left   uint16 // parts to come
	next   uint16 // the part to come next, if all come in order
	seen   []uint64
}

// datagrams is the parser of one flow of datagrams.
type datagrams struct {
	sink  dissect.Sink
	asked frames.Waiting[uint16, *waiting]
	good  bool
	bad   uint8
	e     exchange
}

func newDatagrams(sink dissect.Sink) *datagrams { return &datagrams{sink: sink} }

// Data implements dissect.Parser.
func (p *datagrams) Data(d flow.Dir, b []byte, at dissect.Stamp) error {
	for w := p.asked.Oldest(); w != nil && w.Value.req.First < at.Time-maxWait; w = p.asked.Oldest() {
		p.tell(w)
	}
	f, ok := parseFrame(b)
	switch {
	case !ok:
	case d == 0:
		ok = p.request(&f, at.Time)
	default:
		ok = p.reply(&f, at.Time)
	}
	if p.good = p.good || ok; !ok {
		p.bad = min(p.bad+1, maxStray)
	}
	if p.bad >= maxStray && !p.good {
		return dissect.ErrNotMine
	}
	return nil
}

// request takes the commands of a datagram: one, or several that ask for no reply.
func (p *datagrams) request(f *frame, now int64) bool {
	if f.part > 0 {
		return true // of a value; servers refuse such
	}
	b := f.payload
	if b[0] == magicAsk {
		if len(b) < headerSize || !header(b).valid() {
			return false
		}
		p.wait(f.id, true, header(b).opcode().quiet && len(b) == headerSize+int(header(b).body()), b, headerSize, now)
		return true
	}
	for len(b) > 0 {
		end := bytes.IndexByte(b, '\n') + 1
		if end == 0 {
			return false
		}
		c, ok := parseCommand(lines.Trim(b[:end]))
		if !ok && !(p.good && printable(lines.Trim(b[:end]))) {
			return false
		}
		n := min(len(b), end+int(c.data))
		p.wait(f.id, false, c.kind == silent, b[:n], end, now)
		b = b[n:]
	}
	return true
}

// wait lets a request wait for its reply, unless it asks for none.
func (p *datagrams) wait(id uint16, binary, silent bool, b []byte, line int, now int64) {
	if again := p.asked.Find(id); again != nil {
		p.tell(again)
	}
	w := p.asked.Get()
	if w.Value == nil {
		w.Value = &waiting{}
	}
	v := w.Value
	*v = waiting{binary: binary, mem: append(v.mem[:0], b[:min(len(b), maxAskedIn)]...), kept: v.kept[:0], seen: v.seen[:0]}
	v.req = turns.Message{Data: v.mem, Line: line, Size: uint64(len(b)), First: now, Last: now}
	if p.asked.Add(id, w); silent || p.asked.Len() > maxAsked {
		if !silent {
			w = p.asked.Oldest()
			w.Value.req.Cut = true // its reply may come yet
		}
		p.tell(w)
	}
}

// reply takes a part of a reply.
func (p *datagrams) reply(f *frame, now int64) bool {
	w := p.asked.Find(f.id)
	if w == nil {
		return looksReply(f.payload) || f.part > 0
	}
	v := w.Value
	r := &v.resp
	if r.First == 0 {
		line := headerSize
		if !v.binary {
			line = bytes.IndexByte(f.payload, '\n') + 1
		}
		*r = turns.Message{Line: line, First: now}
		v.left, v.seen = f.parts, append(v.seen[:0], make([]uint64, (f.parts+63)/64)...)
		if f.part > 0 || !looksReply(f.payload) {
			r.Cut, r.Line = true, 0
		}
	}
	if i := int(f.part / 64); i >= len(v.seen) || v.seen[i]>>(f.part%64)&1 != 0 {
		return true // it came twice
	}
	v.seen[f.part/64] |= 1 << (f.part % 64)
	limit := keepMessage
	if n, wanted := p.sink.Bodies(); wanted {
		limit = max(limit, n)
	}
	if f.part != v.next { // what is kept ends before it
		limit, r.Cut = 0, true
	}
	v.next++
	v.kept = append(v.kept, f.payload[:min(len(f.payload), max(0, limit-len(v.kept)))]...)
	r.Size += uint64(len(f.payload))
	if r.Last = now; v.left > 0 {
		v.left--
	}
	if v.left == 0 {
		p.tell(w)
	}
	return true
}

// looksReply says whether b begins with a reply.
func looksReply(b []byte) bool {
	if b[0] == magicReply {
		return len(b) >= headerSize && header(b).valid()
	}
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		return false
	}
	_, ok := parseReply(lines.Trim(b[:end]))
	return ok
}

// tell hands out a request with what came of its reply.
func (p *datagrams) tell(w *frames.Item[uint16, *waiting]) {
	p.asked.Remove(w)
	v := w.Value
	resp := &v.resp
	switch {
	case resp.First == 0, resp.Line == 0, v.binary && len(v.kept) < headerSize:
		resp = nil
	default:
		resp.Data, resp.Cut = v.kept, resp.Cut || v.left > 0
	}
	p.e.tell(p.sink, v.binary, &v.req, resp)
	if cap(v.kept) > maxIdle {
		v.kept = nil
	}
	p.asked.Put(w)
}

// Gap implements dissect.Parser: of datagrams there are none.
func (p *datagrams) Gap(flow.Dir, int64, dissect.Stamp) error { return nil }

// Close implements dissect.Parser.
func (p *datagrams) Close(dissect.Stamp) {
	for w := p.asked.Oldest(); w != nil; w = p.asked.Oldest() {
		p.tell(w)
	}
}

// Idle implements dissect.Idler: no request waits.
func (p *datagrams) Idle() bool { return p.asked.Len() == 0 }

// Reuse implements dissect.Idler.
func (p *datagrams) Reuse(_ *dissect.Flow, sink dissect.Sink) {
	*p = datagrams{sink: sink, asked: p.asked}
}
