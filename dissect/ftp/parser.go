package ftp

import (
	"strings"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/lines"
	"github.com/sshark/sshark/dissect/replies"
	"github.com/sshark/sshark/dissect/turns"
	"github.com/sshark/sshark/pcap/flow"
)

const (
	maxLine = 4 << 10 // bytes of a command that are kept
	closing = 421     // said unasked by servers that close the connection
	maxBad  = 4       // lines that are none of FTP's, before a flow without a command is given up
)

// parser is one flow.
type parser struct {
	sink     dissect.Sink
	client   lines.Reader
	server   replies.Reader
	queue    turns.Queue
	good     bool // there was a command
	replied  bool // there was a reply
	greeting bool // the one that is told is the first one
	ask      turns.Message
	early    turns.Message // the preliminary reply to the first command that waits; Size 0: there was none
	e        exchange
}

func newParser(sink dissect.Sink) *parser {
	p := &parser{sink: sink}
	p.queue.Lone = true
	return p
}

// Data implements dissect.Parser.
func (p *parser) Data(d flow.Dir, b []byte, at dissect.Stamp) error {
	p.queue.Expire(p, at.Time)
	for opens := true; len(b) > 0; opens = false {
		if d == 0 {
			n, done := p.client.Next((*format)(p), b, at.Time, 0, opens)
			if b = b[n:]; done {
				p.command(&p.client.Message)
			}
			continue
		}
		n, done := p.server.Next(b, at.Time, opens)
		if b = b[n:]; done && p.answer() {
			p.queue.Close(p)
			p.sink.Switch("tlsx", b)
			return nil
		}
	}
	if !p.good && p.client.Bad+p.server.Bad() >= maxBad {
		return dissect.ErrNotMine
	}
	return nil
}

// format is that of the client.
type format parser

// Rest implements lines.Format.
func (p *format) Rest(line []byte) int64 {
	if v, ok := parse(line); ok && (p.good || v != 0) || p.good && len(line) == 0 {
		return 0
	}
	return -1
}

// Begins implements lines.Format.
func (p *format) Begins(line []byte, _ bool) bool {
	v, ok := parse(line)
	return ok && v != 0
}

// command takes a line of a client.
func (p *parser) command(m *lines.Message) {
	v, ok := parse(m.Text())
	if !ok || m.Cut && v == 0 {
		return
	}
	a := &p.ask
	*a = turns.Message{Data: m.Data[:min(len(m.Data), maxLine)], Line: m.Line, Size: uint64(m.Size), First: m.First, Last: m.Last, Cut: m.Cut || m.Found, Note: uint32(v)}
	p.good = p.good || v != 0
	if m.Missed {
		p.early = turns.Message{}
	}
	p.queue.Ask(p, a, m.Missed)
}

// answer takes a reply, and says whether the server agreed to encryption.
func (p *parser) answer() (encrypts bool) {
	r := &p.server.Reply
	code := replies.Code(r.Data)
	first := !p.replied
	if p.replied = true; first && !p.good && (code == 220 || code == 120) {
		p.greeting = true
		p.Tell(nil, r)
		p.greeting = false
		return false
	}
	if code < 200 && p.queue.Len() > 0 {
		p.early = turns.Message{Size: r.Size, First: r.First, Last: r.Last, Cut: r.Cut}
		if p.server.Missed { // the final one will not know
			p.queue.GiveUp(p, p.queue.Len()-1)
		}
		return false
	}
	if code < 200 {
		return false
	}
	if p.queue.Len() > 0 && !p.queue.Adrift() {
		encrypts = verb(p.queue.At(0).Note) == auth && code == 234 && !p.server.Missed
	}
	if e := &p.early; e.Size > 0 {
		r.Size, r.First, r.Cut = r.Size+e.Size, e.First, r.Cut || e.Cut
		*e = turns.Message{}
	}
	p.queue.Answer(p, r, p.server.Missed)
	return encrypts
}

// Fits implements turns.Teller: some replies answer but one command (RFC 959, 5.4).
func (p *parser) Fits(req, resp *turns.Message) bool {
	const quit = "QUIT"
	return replies.Code(resp.Data) != 221 || len(req.Data) >= len(quit) && strings.EqualFold(string(req.Data[:len(quit)]), quit)
}

// Tell implements turns.Teller.
func (p *parser) Tell(req, resp *turns.Message) {
	if req == nil && !p.greeting && replies.Code(resp.Data) != closing {
		resp.Cut = true // what it answers was not seen
	}
	p.e.tell(p.sink, req, resp)
}

// Gap implements dissect.Parser.
func (p *parser) Gap(d flow.Dir, n int64, at dissect.Stamp) error {
	if d == 0 && p.client.Gap(n, at.Time) {
		p.command(&p.client.Message)
	}
	if d == 1 {
		if p.server.Gap(n, at.Time) {
			p.answer()
		}
		p.early = turns.Message{}
	}
	return nil
}

// Close implements dissect.Parser.
func (p *parser) Close(at dissect.Stamp) {
	if p.client.Close(at.Time) {
		p.command(&p.client.Message)
	}
	if p.server.Close(at.Time) {
		p.answer()
	}
	p.queue.Close(p)
}
