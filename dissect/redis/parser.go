package redis

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Limits of what one flow may hold.
const (
	keepMessage = 1 << 10 // bytes of a message, where its body is not wanted
	maxPending  = 10_000  // commands without a reply
	maxKept     = 4 << 20 // bytes of them; the newest may go beyond
	maxIdle     = 1 << 20 // bytes of memory that are kept for use again
	maxHeld     = 16      // replies that wait for a command which may come late
	holdTime    = 1e9     // ns that they wait
	maxBad      = 4       // times that bytes are none of Redis', before a flow without a call is given up
)

// state is where one side's stream stands.
type state uint8

const (
	between state = iota // a message may begin
	inside
	lost // looking for the beginning of a message
)

// half is one direction.
type half struct {
	state  state
	missed bool // messages may have been lost before the next one,
	doubt  bool // and the beginning of the next one with them
	cut    bool // bytes of the message are missing
	full   bool // what is kept of it goes no further
	scan   scanner
	kept   []byte // the beginning of a message that is not all in one piece
	size   uint64
	first  int64
}

// parser is one flow.
type parser struct {
	sink  dissect.Sink
	half  [2]half
	limit int // bytes kept of a message
	good  bool
	bad   uint8

	pending pending
	held    []held // replies without a command
	gone    int64  // when the last of those began that were given up
	e       exchange

	begun      bool  // there was a command
	holed      bool  // there was a hole
	turned     bool  // the last to speak was the client
	behind     bool  // bytes of the server's are missing since then
	alone      int   // commands in a row that were answered before the next one
	adrift     bool  // which reply belongs to which command is not known
	asked      int   // commands since the client took its turn
	since      int64 // when the first of them began
	answered   int   // replies since then
	muted      bool  // CLIENT REPLY OFF
	skip       bool  // CLIENT REPLY SKIP was the last command
	subscribed bool
	monitors   bool
	leader     leader // what the server sends to a replica
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
	if len(p.held) > 0 {
		p.release(at.Time - holdTime)
	}
	p.feed(d, b, at.Time)
	p.turned = d == 0
	p.behind = false
	if p.bad >= maxBad && !p.good {
		return dissect.ErrNotMine
	}
	return nil
}

// feed runs bytes of a side through its states.
func (p *parser) feed(d flow.Dir, b []byte, now int64) {
	h := &p.half[d]
	start := true // of the piece
	for len(b) > 0 {
		if d == 1 && p.leader.state != asking {
			n := p.leader.take(b)
			if b = b[n:]; len(b) == 0 {
				return
			}
		}
		switch h.state {
		case lost:
			n := p.search(d, b, start)
			if n < 0 {
				return
			}
			b = b[n:]
			h.state, h.doubt = between, p.behind
			continue
		case between:
			if d == 0 && (b[0] == '\r' || b[0] == '\n') { // an empty line is no command
				b = b[1:]
				continue
			}
			h.scan.begin(d == 0 || p.leader.state == commands)
			h.first, h.size, h.cut, h.full = now, 0, false, false
			h.kept = h.kept[:0]
		}
		n, v := h.scan.run(b)
		start = false
		whole := h.state == between
		h.state = inside
		h.size += uint64(n)
		if v == bad {
			p.bad++
			h.lose()
			if n = p.search(d, b[1:], false); n < 0 {
				return
			}
			h.state = between
			b = b[n+1:]
			continue
		}
		raw := b[:n]
		if !whole || v == more {
			raw = h.keep(raw, p.limit)
		}
		if b = b[n:]; v == done {
			h.state = between
			h.cut, h.doubt = h.cut || h.doubt, false
			p.message(d, h, raw, now)
		}
	}
}

// keep notes what of a message may be needed later.
func (h *half) keep(b []byte, limit int) []byte {
	if room := limit - len(h.kept); len(b) > room {
		b = b[:max(0, room)]
	}
	if !h.full {
		h.kept = append(h.kept, b...)
	}
	return h.kept
}

// lose gives up the place in the stream.
func (h *half) lose() {
	h.state, h.missed = lost, true
	if cap(h.kept) > maxIdle {
		h.kept = nil
	}
}

// message takes a message, which is borrowed, and may be cut.
func (p *parser) message(d flow.Dir, h *half, raw []byte, now int64) {
	raw = raw[:min(len(raw), p.limit)]
	switch {
	case d == 0:
		p.command(h, raw, now)
	case p.leader.state == commands:
		p.led(h, raw, now)
	default:
		p.reply(h, raw, now)
	}
	if cap(h.kept) > maxIdle {
		h.kept = nil
	}
}

// Gap implements dissect.Parser.
func (p *parser) Gap(d flow.Dir, n int64, at dissect.Stamp) error {
	h := &p.half[d]
	p.holed = true
	p.behind = p.behind || d == 1 && p.turned
	if d == 1 && p.leader.gap(n) {
		return nil
	}
	if h.state == inside && n > 0 && n <= h.scan.left {
		h.cut, h.full = true, true
		h.size += uint64(n)
		h.scan.off += n
		if h.scan.left -= n; h.scan.left == 0 {
			if h.scan.todo--; h.scan.todo == 0 {
				h.state = between
				p.message(d, h, h.kept, at.Time)
			}
		}
		return nil
	}
	p.cutShort(d, h, at.Time)
	h.lose()
	return nil
}

// cutShort ends a message whose rest is missing: it is told if enough of it is there.
func (p *parser) cutShort(d flow.Dir, h *half, now int64) {
	if h.state != inside {
		return
	}
	h.cut = true
	h.state = between
	switch {
	case d == 1 && !h.scan.topped, d == 0 && !named(h.kept, h.scan.off):
	default:
		p.message(d, h, h.kept, now)
	}
}

// named says whether a command that was cut has its whole name.
func named(raw []byte, off int64) bool {
	if len(raw) == 0 || raw[0] != '*' {
		return false // half a line is not believed
	}
	_, v := first(raw)
	return v == done
}

// Close implements dissect.Parser.
func (p *parser) Close(at dissect.Stamp) {
	for d := range p.half {
		p.cutShort(flow.Dir(d), &p.half[d], at.Time)
		p.half[d].state = lost
	}
	for p.pending.Len() > 0 {
		p.giveUp(false)
	}
	p.held = nil
}
