package smtp

import (
	"bytes"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/lines"
	"github.com/sshark/sshark/dissect/replies"
	"github.com/sshark/sshark/dissect/turns"
	"github.com/sshark/sshark/pcap/flow"
)

const (
	maxLine = 4 << 10 // bytes of a command that are kept
	closing = 421     // said unasked by servers that close the connection
	maxBad  = 4       // lines that are none of SMTP's, before a flow without a command is given up
)

// parser is one flow.
type parser struct {
	sink   dissect.Sink
	client lines.Reader
	server replies.Reader
	queue  turns.Queue
	limit  int // bytes kept of a mail
	good   bool
	turn   bool // the server was the last to speak
	lmtp   bool
	agreed int // recipients that the server took, for LMTP: each has a reply to the mail
	wanted int // replies to the mail that are still to come
	last   int // code of the last reply

	asked         bool // the client has said something
	fresh         bool // for the first time
	replied       bool // there was a reply
	greeting      bool // the one that is told is the first one
	authenticates bool // AUTH was asked for, and is not done

	mail  mailState
	chunk int64 // bytes of a BDAT to come
	ask   turns.Message
	e     exchange
}

// mailState is where the client stands in a mail.
type mailState uint8

const (
	noMail    mailState = iota
	lineStart           // a line begins
	dot                 // with a dot
	dotReturn           // and a carriage return
	inLine
)

// carriageReturn is what was taken for a part of the end.
var carriageReturn = []byte{'\r'}

func newParser(sink dissect.Sink) *parser {
	p := &parser{sink: sink}
	p.queue.Lone = true
	return p
}

// Data implements dissect.Parser.
func (p *parser) Data(d flow.Dir, b []byte, at dissect.Stamp) error {
	if len(b) == 0 {
		return nil
	}
	p.limit, _ = p.sink.Bodies()
	p.queue.Expire(p, at.Time)
	if d == 0 {
		p.fromClient(b, at.Time)
	} else if p.fromServer(b, at.Time) {
		return nil
	}
	p.turn = d == 1
	if !p.good && p.client.Bad+p.server.Bad() >= maxBad {
		return dissect.ErrNotMine
	}
	return nil
}

// fromClient takes what a client says.
func (p *parser) fromClient(b []byte, now int64) {
	if !p.replied && !p.asked && !introduces(b) {
		p.client.Lose() // the beginning is missing, and this may be within a mail
	}
	p.fresh, p.asked = !p.asked, true
	if p.mail != noMail && p.turn && p.queue.Len() == 0 && p.last != 354 && commands(b) {
		p.mail = noMail // its end was not seen, but the reply to it
	}
	for opens := true; len(b) > 0; opens = false {
		switch {
		case p.mail != noMail:
			b = b[p.takeMail(b, now):]
			continue
		case p.chunk > 0:
			n := int(min(p.chunk, int64(len(b))))
			p.chunk -= int64(n)
			p.extend(b[:n], n, now)
			b = b[n:]
			continue
		}
		n, done := p.client.Next((*format)(p), b, now, 0, opens)
		if b = b[n:]; done {
			p.command(&p.client.Message)
		}
	}
}

// introduces says whether b begins with the command that a client begins with.
func introduces(b []byte) bool {
	name, _ := replies.Split(b[:min(len(b), maxVerb)])
	for _, v := range [3]verb{helo, ehlo, lhlo} {
		if n := min(len(name), len(verbs[v])); bytes.EqualFold(name[:n], []byte(verbs[v][:n])) {
			return true
		}
	}
	return false
}

// commands says whether b begins with a command that is known.
func commands(b []byte) bool {
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		return false
	}
	v, ok := parse(lines.Trim(b[:end]))
	return ok && v != other
}

// format is that of the client.
type format parser

// Rest implements lines.Format.
func (p *format) Rest(line []byte) int64 {
	if v, ok := parse(line); (ok && (p.good || v != other)) || p.authenticates || p.good && len(line) == 0 {
		return 0
	}
	return -1
}

// Begins implements lines.Format.
func (p *format) Begins(line []byte, opens bool) bool {
	v, ok := parse(line)
	return ok && v != other && opens && (p.turn || p.fresh)
}

// command takes a line of a client.
func (p *parser) command(m *lines.Message) {
	line := m.Text()
	v, ok := parse(line)
	if p.authenticates && (!ok || v == other || bytes.IndexByte(line, ' ') < 0) { // words in base64
		if n := p.queue.Newest(); n != nil && verb(n.Note) == auth {
			p.queue.Extend(nil, int(m.Size), m.Last)
		}
		return
	}
	if !ok || m.Cut && v == other {
		return
	}
	a := &p.ask
	*a = turns.Message{Data: m.Data[:min(len(m.Data), maxLine)], Line: m.Line, Size: uint64(m.Size), First: m.First, Last: m.Last, Cut: m.Cut, Note: uint32(v)}
	p.good = p.good || v != other
	p.queue.Ask(p, a, m.Missed)
	p.authenticates = v == auth
	switch v {
	case data:
		p.mail = lineStart
	case bdat:
		p.chunk = max(0, chunk(line))
	case lhlo:
		p.lmtp = true
	case helo, ehlo, mail, rset:
		p.agreed = 0
	}
}

// extend adds to the newest command, if it still waits.
func (p *parser) extend(b []byte, size int, now int64) {
	if n := p.queue.Newest(); n != nil {
		p.queue.Extend(b[:min(len(b), max(0, p.limit-(len(n.Data)-n.Line)))], size, now)
	}
}

// takeMail takes bytes of a mail, and says how many belong to it.
func (p *parser) takeMail(b []byte, now int64) int {
	if n := p.queue.Newest(); n != nil && verb(n.Note) != data {
		p.mail = noMail // no mail, but what was taken for one
		return 0
	}
	for i := 0; i < len(b); {
		switch p.mail {
		case lineStart:
			if b[i] == '.' {
				p.mail = dot
				p.extend(nil, 1, now)
				i++
				continue
			}
		case dot, dotReturn:
			if b[i] == '\n' {
				p.extend(nil, 1, now)
				p.mail = noMail
				return i + 1
			}
			if p.mail == dotReturn {
				p.extend(carriageReturn, 0, now)
			} else if b[i] == '\r' {
				p.mail = dotReturn
				p.extend(nil, 1, now)
				i++
				continue
			}
		}
		p.mail = inLine
		end := bytes.IndexByte(b[i:], '\n') + 1
		if end == 0 {
			end = len(b) - i
		} else {
			p.mail = lineStart
		}
		p.extend(b[i:i+end], end, now)
		i += end
	}
	return len(b)
}

// fromServer takes what a server says, and says whether the stream goes on as something else.
func (p *parser) fromServer(b []byte, now int64) bool {
	for opens := true; len(b) > 0; opens = false {
		n, done := p.server.Next(b, now, opens)
		if b = b[n:]; done && p.answer() {
			p.queue.Close(p)
			p.sink.Switch("tlsx", b)
			return true
		}
	}
	return false
}

// answer takes a reply, and says whether the server agreed to encryption.
func (p *parser) answer() (encrypts bool) {
	r := &p.server.Reply
	code := replies.Code(r.Data)
	p.last = code
	var asked verb
	if p.queue.Len() > 0 && !p.queue.Adrift() {
		asked = verb(p.queue.At(0).Note)
	}
	p.authenticates = code == 334
	switch {
	case code == 354:
		p.goAhead()
		return false
	case code == 334:
		p.answers(auth)
		return false
	case asked == data && p.wanted > 1:
		p.wanted--
		return false
	case asked == data && p.wanted == 0 && code >= 400:
		p.mail = noMail // refused before it began
	case asked == rcpt && code < 300:
		p.agreed++
	}
	if asked == data {
		p.wanted = 0
	}
	first := !p.replied
	if p.replied = true; first && !p.good && code == 220 {
		p.greeting = true
		p.Tell(nil, r)
		p.greeting = false
		return false
	}
	encrypts = asked == starttls && code == 220 && !p.server.Missed
	p.queue.Answer(p, r, p.server.Missed)
	return encrypts
}

// goAhead takes the reply that lets a mail come.
func (p *parser) goAhead() {
	switch {
	case p.answers(data):
		if p.wanted = 1; p.lmtp {
			p.wanted = max(1, p.agreed)
		}
	case p.mail == noMail && p.client.Lost():
		p.mail = lineStart // DATA was lost
	}
}

// answers takes word that the reply at hand can only be to that command, which tells where the
// replies stand: those to what was asked before it were lost.
func (p *parser) answers(v verb) bool {
	for i := range p.queue.Len() {
		if verb(p.queue.At(i).Note) == v {
			p.queue.GiveUp(p, i)
			return true
		}
	}
	p.queue.GiveUp(p, p.queue.Len())
	return false
}

// Fits implements turns.Teller: some replies answer but one command (RFC 5321, 4.3.2).
func (p *parser) Fits(req, resp *turns.Message) bool {
	switch v := verb(req.Note); replies.Code(resp.Data) {
	case 221:
		return v == quit
	case 354:
		return v == data
	}
	return true
}

// Gap implements dissect.Parser.
func (p *parser) Gap(d flow.Dir, n int64, at dissect.Stamp) error {
	if d == 1 {
		if p.server.Gap(n, at.Time) {
			p.answer()
		}
		return nil
	}
	p.asked = true
	switch {
	case p.mail != noMail:
		p.mail = inLine
		p.cut(n)
	case p.chunk > 0 && n > 0 && n <= p.chunk:
		p.chunk -= n
		p.cut(n)
	default:
		if p.chunk > 0 {
			p.chunk = 0
			p.cut(0)
		}
		if p.client.Gap(n, at.Time) {
			p.command(&p.client.Message)
			p.mail = noMail
		}
	}
	return nil
}

// cut notes that n bytes of the newest command are missing.
func (p *parser) cut(n int64) {
	if m := p.queue.Newest(); m != nil {
		m.Cut = true
		m.Size += uint64(n)
	}
}

// Close implements dissect.Parser.
func (p *parser) Close(at dissect.Stamp) {
	if p.client.Close(at.Time) {
		p.command(&p.client.Message)
	}
	if p.mail != noMail || p.chunk > 0 {
		p.cut(0)
	}
	if p.server.Close(at.Time) {
		p.answer()
	}
	p.queue.Close(p)
}

// Tell implements turns.Teller.
func (p *parser) Tell(req, resp *turns.Message) {
	if req == nil && !p.greeting && replies.Code(resp.Data) != closing {
		resp.Cut = true // what it answers was not seen
	}
	p.e.tell(p.sink, req, resp)
}
