package nats

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/lines"
	"github.com/sshark/sshark/pcap/flow"
)

const (
	keepMessage = 1 << 10 // bytes of a message behind its line, where its body is not wanted
	maxBad      = 4       // lines that are none of NATS', before a flow without a message is given up
	tlsRecord   = 0x16    // the first byte of a TLS handshake
)

// parser is one flow.
type parser struct {
	sink  dissect.Sink
	half  [2]lines.Reader
	limit int
	good  bool
	spoke bool // the client did
	m     message
}

func newParser(sink dissect.Sink) *parser { return &parser{sink: sink} }

// Data implements dissect.Parser.
func (p *parser) Data(d flow.Dir, b []byte, at dissect.Stamp) error {
	p.limit = keepMessage
	if limit, wanted := p.sink.Bodies(); wanted {
		p.limit = max(p.limit, limit)
	}
	if d == 0 && len(b) > 0 && !p.spoke {
		p.spoke = true
		if p.good && b[0] == tlsRecord {
			p.sink.Switch("tlsx", b)
			return nil
		}
	}
	r := &p.half[d]
	for opens := true; len(b) > 0; opens = false {
		if r.Between() && (b[0] == '\r' || b[0] == '\n') { // an empty line is no message
			b = b[1:]
			continue
		}
		n, done := r.Next((*format)(p), b, at.Time, p.limit, opens)
		if b = b[n:]; done {
			p.message(d, &r.Message)
		}
	}
	if !p.good && p.half[0].Bad+p.half[1].Bad >= maxBad {
		return dissect.ErrNotMine
	}
	return nil
}

// format is that of both sides.
type format parser

// Rest implements lines.Format.
func (*format) Rest(text []byte) int64 {
	l, ok := parse(text)
	if !ok {
		return -1
	}
	return l.rest()
}

// Begins implements lines.Format.
func (*format) Begins(text []byte, opens bool) bool {
	l, ok := parse(text)
	return ok && (opens || !l.op.weak)
}

// message hands out a message, unless it is half a line.
func (p *parser) message(d flow.Dir, r *lines.Message) {
	m := &p.m
	var ok bool
	if r.Data[r.Line-1] != '\n' {
		return
	}
	if m.line, ok = parse(r.Text()); !ok || r.Found && m.line.mistaken() {
		return
	}
	p.good = true
	m.body, m.limit = r.Body(), 0
	if limit, wanted := p.sink.Bodies(); wanted {
		m.limit = limit
	}
	m.call = dissect.Call{Message: m, Reverse: d == 1, Incomplete: r.Cut || r.Found && m.op.tail, Error: m.failed(),
		Time: r.First, RequestEnd: r.Last, RequestSize: uint64(r.Size)}
	p.sink.Call(&m.call)
}

// Gap implements dissect.Parser.
func (p *parser) Gap(d flow.Dir, n int64, at dissect.Stamp) error {
	p.spoke = p.spoke || d == 0
	if r := &p.half[d]; r.Gap(n, at.Time) {
		p.message(d, &r.Message)
	}
	return nil
}

// Close implements dissect.Parser.
func (p *parser) Close(at dissect.Stamp) {
	for d := range flow.Dir(2) {
		if r := &p.half[d]; r.Close(at.Time) {
			p.message(d, &r.Message)
		}
	}
}
