package memcached

import (
	"bytes"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/frames"
	"github.com/sshark/sshark/dissect/lines"
	"github.com/sshark/sshark/dissect/turns"
	"github.com/sshark/sshark/pcap/flow"
)

const (
	keepMessage = 1 << 10 // bytes of a message behind its first line, where its body is not wanted
	maxBad      = 4       // times that bytes are none of memcached's, before a flow without a call is given up
	maxIdle     = 64 << 10
)

// parser is one flow of a stream.
type parser struct {
	sink   dissect.Sink
	text   [2]lines.Reader
	packet [2]frames.Reader
	known  bool // which of the two protocols it is
	binary bool
	good   bool // there was a message
	limit  int

	scratch  turns.Message
	format   packets
	queue    turns.Queue
	lost     bool   // commands may have been lost since the last one that waited
	opaque   uint32 // of the last request
	constant bool   // requests have the same one
	said     turns.Message
	begun    bool // said has the beginning of a reply
	missed   bool // replies may have been lost before it
	mem      []byte
	e        exchange
}

func newParser(sink dissect.Sink) *parser { return &parser{sink: sink} }

// Data implements dissect.Parser.
func (p *parser) Data(d flow.Dir, b []byte, at dissect.Stamp) error {
	if len(b) == 0 {
		return nil
	}
	p.limit = keepMessage
	if limit, wanted := p.sink.Bodies(); wanted {
		p.limit = max(p.limit, limit)
	}
	p.queue.Expire(p, at.Time)
	if !p.known {
		p.known, p.binary = true, b[0] == magicAsk || b[0] == magicReply
	}
	if p.binary {
		p.packets(d, b, at.Time)
	} else {
		p.lines(d, b, at.Time)
	}
	if !p.good && p.text[0].Bad+p.text[1].Bad+p.packet[0].Bad+p.packet[1].Bad >= maxBad {
		return dissect.ErrNotMine
	}
	return nil
}

// lines takes bytes of the text protocol.
func (p *parser) lines(d flow.Dir, b []byte, now int64) {
	r := &p.text[d]
	for opens := true; len(b) > 0; opens = false {
		var n int
		var done bool
		if d == 0 {
			n, done = r.Next((*commands)(p), b, now, p.limit, opens)
		} else {
			n, done = r.Next((*replies)(p), b, now, p.limit, opens)
		}
		if b = b[n:]; done {
			p.message(d, &r.Message)
		}
	}
}

// commands are the lines of a client.
type commands parser

// Rest implements lines.Format. Once it is known to be a client's, a line that is no command
// is one that the server will refuse.
func (p *commands) Rest(line []byte) int64 {
	c, ok := parseCommand(line)
	switch {
	case ok:
		return c.data
	case p.good && printable(line) && len(line) > 0:
		return 0
	}
	return -1
}

// Begins implements lines.Format.
func (p *commands) Begins(line []byte, opens bool) bool {
	c, ok := parseCommand(line)
	return ok && (opens || c.kind&(version|silent) == 0 || len(c.key) > 0)
}

// replies are the lines of a server.
type replies parser

// Rest implements lines.Format.
func (p *replies) Rest(line []byte) int64 {
	r, ok := parseReply(line)
	if !ok {
		return -1
	}
	return r.data
}

// Begins implements lines.Format. A number could be anything.
func (p *replies) Begins(line []byte, opens bool) bool {
	r, ok := parseReply(line)
	return ok && (opens || r.kind != number)
}

// message takes a line and what belongs to it.
func (p *parser) message(d flow.Dir, m *lines.Message) {
	line := m.Text()
	if m.Cut && bytes.IndexByte(m.Data, '\n') < 0 {
		return // half a line is not believed
	}
	msg := &p.scratch
	*msg = turns.Message{Data: m.Data, Line: m.Line, Size: uint64(m.Size), First: m.First, Last: m.Last, Cut: m.Cut}
	if d == 1 {
		if r, ok := parseReply(line); ok && !r.skip {
			p.reply(msg, r.more, m.Missed)
		}
		return
	}
	c, ok := parseCommand(line)
	p.good = p.good || ok
	msg.Quiet = c.quiet
	p.lost = p.lost || m.Missed
	if ok && c.kind == silent {
		p.Tell(msg, nil)
		return
	}
	p.queue.Ask(p, msg, p.lost)
	p.lost = false
}

// reply takes a reply, or a part of one that has more. missed: others may have been lost
// before it, or its own beginning.
func (p *parser) reply(m *turns.Message, more, missed bool) {
	p.good = true
	m.Cut = m.Cut || missed
	if more && !p.begun {
		p.begun, p.missed, p.said, p.mem = true, missed, *m, append(p.mem[:0], m.Data...)
		return
	}
	if p.begun {
		s := &p.said
		p.mem = append(p.mem, m.Data[:min(len(m.Data), max(0, p.limit-len(p.mem)))]...)
		s.Size += m.Size
		s.Last, s.Cut = m.Last, s.Cut || m.Cut
		if more {
			return
		}
		s.Data = p.mem
		m, missed = s, p.missed
	}
	p.begun = false
	if i := p.named(m); i >= 0 {
		p.queue.Pair(p, i, m)
	} else if !p.binary || p.unnamed(m) {
		p.queue.Answer(p, m, missed)
	}
	if cap(p.mem) > maxIdle {
		p.mem = nil
	}
}

// packets takes bytes of the binary protocol.
func (p *parser) packets(d flow.Dir, b []byte, now int64) {
	p.format.magic = magicAsk + byte(d)
	r := &p.packet[d]
	for len(b) > 0 {
		n, done := r.Next(&p.format, b, now, headerSize+p.limit)
		if b = b[n:]; done {
			p.framed(d, r)
		}
	}
}

// framed takes a message of the binary protocol.
func (p *parser) framed(d flow.Dir, r *frames.Reader) {
	f := &r.Frame
	h := header(f.Data)
	if len(h) < headerSize {
		return
	}
	m := &p.scratch
	*m = turns.Message{Data: f.Data, Line: headerSize, Size: uint64(f.Size), First: f.First, Last: f.Last, Cut: f.Cut, Note: h.opaque()}
	if d == 1 {
		p.reply(m, h[1] == opStat && h.status() == 0 && h.keySize() > 0, r.Missed)
		r.Missed = false
		return
	}
	m.Quiet = h.opcode().quiet
	p.constant = p.constant || p.good && p.opaque == m.Note
	p.good, p.opaque = true, m.Note
	if p.unnamed(m) {
		p.queue.Ask(p, m, r.Missed)
	} else {
		p.queue.Name(p, m)
	}
	r.Missed = false
}

// unnamed says that the opaque value of a message tells nothing.
func (p *parser) unnamed(m *turns.Message) bool { return m.Note == 0 || p.constant }

// named is the request that a reply of the binary protocol names, -1: there is none.
func (p *parser) named(m *turns.Message) int {
	if !p.binary || p.unnamed(m) {
		return -1
	}
	for i := range min(p.queue.Len(), maxSearch) {
		if p.Fits(p.queue.At(i), m) {
			return i
		}
	}
	return -1
}

const maxSearch = 1024

// Fits implements turns.Teller.
func (p *parser) Fits(req, resp *turns.Message) bool {
	if p.binary {
		return len(req.Data) >= headerSize && req.Note == resp.Note && req.Data[1] == resp.Data[1]
	}
	return fits(firstLine(req), firstLine(resp), req.Quiet)
}

func firstLine(m *turns.Message) []byte { return lines.Trim(m.Data[:min(m.Line, len(m.Data))]) }

// Gap implements dissect.Parser.
func (p *parser) Gap(d flow.Dir, n int64, at dissect.Stamp) error {
	if p.binary {
		if r := &p.packet[d]; r.Gap(n, at.Time) {
			p.framed(d, r)
		}
	} else if r := &p.text[d]; r.Gap(n, at.Time) {
		p.message(d, &r.Message)
	}
	if d == 1 && (p.text[1].Lost() || p.packet[1].Missed) {
		p.cutReply()
	}
	return nil
}

// cutReply ends a reply whose end will not be recognised.
func (p *parser) cutReply() {
	if p.begun {
		p.begun = false
		p.said.Data, p.said.Cut = p.mem, true
		p.queue.Answer(p, &p.said, p.missed)
	}
}

// Close implements dissect.Parser.
func (p *parser) Close(at dissect.Stamp) {
	for d := range flow.Dir(2) {
		if r := &p.packet[d]; r.Close(at.Time) {
			p.framed(d, r)
		}
		if r := &p.text[d]; r.Close(at.Time) {
			p.message(d, &r.Message)
		}
	}
	p.cutReply()
	p.queue.Close(p)
}

// Tell implements turns.Teller.
func (p *parser) Tell(req, resp *turns.Message) {
	if req != nil {
		p.e.tell(p.sink, p.binary, req, resp)
	}
}
