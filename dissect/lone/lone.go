// Package lone hands out datagrams that are each a call of their own: what protocols have in
// common whose messages are told one by one.
//
// A message that asks has the times of a request, one that answers those of a response; who
// sent it is what the call's Reverse says. A flow whose first few datagrams are none of the
// protocol's is given up.
//
// A parser belongs to one flow and one goroutine. It holds nothing between datagrams, and
// allocates nothing for one.
package lone

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Message is what a protocol knows of the datagram that was read last.
type Message interface {
	dissect.Message
	// Read takes a datagram, borrowed until the next one is read. ok is false where it is none
	// of the protocol's.
	Read(f *dissect.Flow, b []byte) (k Kind, ok bool)
}

// Kind is what a call needs to know of a message.
type Kind struct {
	Reply bool // it answers another
	Error bool
	Cut   bool // not all of it was captured
	Size  int  // bytes on the wire
}

// maxStray is how many datagrams may be none, before a flow without a good one is given up.
const maxStray = 4

// Parser hands out the messages of a flow.
type Parser struct {
	flow  *dissect.Flow
	sink  dissect.Sink
	m     Message
	call  dissect.Call
	good  bool // a message was found
	stray uint8
}

// New makes the parser of a flow. m is its own, and used for one message after the other.
func New(f *dissect.Flow, sink dissect.Sink, m Message) *Parser {
	return &Parser{flow: f, sink: sink, m: m}
}

// Data implements dissect.Parser.
func (p *Parser) Data(d flow.Dir, b []byte, at dissect.Stamp) error {
	k, ok := p.m.Read(p.flow, b)
	if !ok {
		if p.stray = min(p.stray+1, maxStray); p.stray == maxStray && !p.good {
			return dissect.ErrNotMine
		}
		return nil
	}
	p.good = true
	c := &p.call
	*c = dissect.Call{Message: p.m, Reverse: d == 1, Error: k.Error, Incomplete: k.Cut, Time: at.Time}
	if k.Reply {
		c.ResponseStart, c.ResponseEnd, c.ResponseSize = at.Time, at.Time, uint64(k.Size)
	} else {
		c.RequestEnd, c.RequestSize = at.Time, uint64(k.Size)
	}
	p.sink.Call(c)
	return nil
}

// Gap implements dissect.Parser.
func (p *Parser) Gap(flow.Dir, int64, dissect.Stamp) error { return nil }

// Close implements dissect.Parser.
func (p *Parser) Close(dissect.Stamp) {}

// Idle implements dissect.Idler: nothing waits.
func (p *Parser) Idle() bool { return true }

// Reuse implements dissect.Idler.
func (p *Parser) Reuse(f *dissect.Flow, sink dissect.Sink) {
	*p = Parser{flow: f, sink: sink, m: p.m}
}
