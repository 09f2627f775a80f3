package postgresql

import (
	"encoding/binary"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Limits of what one flow may hold.
const (
	maxQuery   = 16 << 10 // bytes of a query's text, where its body is not wanted
	maxShort   = 2 << 10  // bytes of other messages
	maxPending = 10_000   // operations without a response
	maxKept    = 4 << 20  // bytes of their text; the newest may go beyond
	maxIdle    = 1 << 20  // bytes of memory that are kept for use again
	maxBad     = 4        // times that bytes are no messages, before a flow without a call is given up
)

// state is where one side's stream stands.
type state uint8

const (
	between  state = iota // a message may begin
	inHeader              // kept holds its beginning
	inside                // left bytes to come
	lost                  // looking for the beginning of a message
)

// half is one direction.
type half struct {
	state  state
	missed bool // messages may have been lost before the next one
	cut    bool // bytes of the message are missing
	kind   byte // of the message, 0: a startup packet
	left   int
	limit  int    // bytes to keep of its payload
	kept   []byte // those kept
	size   int    // bytes of the message
	first  int64
}

// parser is one flow.
type parser struct {
	sink   dissect.Sink
	half   [2]half
	bodies bool // wanted, up to wanted bytes
	wanted int
	limit  int // bytes kept of a query
	good   bool
	bad    uint8
	closed bool
	rest   []byte // unread when the stream switched

	pending    pending
	statements statements
	open       bool   // more may belong to the newest operation
	asksByte   byte   // SSLRequest ('S') or GSSENCRequest ('G') waits for its answer of one byte
	user       []byte // of the session
	database   []byte

	// Of the response to the first operation.
	tag     []byte
	code    []byte
	message []byte
	fatal   bool   // the error ends the session
	rows    []byte // of data, if bodies are wanted
	rowsCut bool
	copied  []byte // to the server
	data    uint64 // bytes of rows, all of them
	sent    uint64 // bytes of copied, all of them
	text    []byte // of a notification

	begun    bool // there was an operation
	holed    bool // there was a hole
	turned   bool // the last to speak was the client
	behind   bool // bytes of the server's are missing since then
	alone    int  // batches in a row of one that was answered before the next one
	adrift   bool // which answer belongs to which operation is not known
	torn     bool // bytes are missing of what answers the operations up to the next ReadyForQuery
	asked    int  // batches that end with ReadyForQuery since the client took its turn
	answered int
	early    []early
	gone     int64 // when the last one began that was given up

	e exchange
}

func newParser(sink dissect.Sink) *parser { return &parser{sink: sink} }

// Data implements dissect.Parser.
func (p *parser) Data(d flow.Dir, b []byte, at dissect.Stamp) error {
	if p.closed || len(b) == 0 {
		return nil
	}
	p.limit = maxQuery
	limit, wanted := p.sink.Bodies()
	if p.bodies, p.wanted = wanted, limit; wanted {
		p.limit = max(p.limit, limit)
	}
	p.feed(d, b, at.Time)
	p.turned = d == 0
	p.behind = false
	switch {
	case p.closed:
		p.flush()
		next := ""
		if p.asksByte == 'S' {
			next = "tlsx"
		}
		p.sink.Switch(next, p.rest)
	case p.bad >= maxBad && !p.good:
		return dissect.ErrNotMine
	}
	return nil
}

// feed runs bytes of a side through its states.
func (p *parser) feed(d flow.Dir, b []byte, now int64) {
	h := &p.half[d]
	start := true // of the piece
	for len(b) > 0 {
		switch h.state {
		case lost:
			n := p.search(d, b, start)
			if n < 0 {
				return
			}
			b, h.state = b[n:], between
		case between:
			if d == 1 && p.asksByte != 0 {
				if b = p.granted(b); p.closed {
					p.rest = b
					return
				}
				continue
			}
			h.first, h.size, h.cut, h.kept = now, 0, false, h.kept[:0]
			if need := headerLen(d, b); len(b) >= need {
				if n := p.header(d, h, b[:need]); n >= 0 && len(b) >= need+n {
					h.size = need + n
					payload := b[need : need+n]
					b = b[need+n:]
					p.take(d, h, payload[:min(n, h.limit)], now)
				} else if n >= 0 {
					h.state, h.left, h.size = inside, n, need
					b = b[need:]
				} else if b = p.reject(d, h, b, start); b == nil {
					return
				}
				break
			}
			h.state = inHeader
			h.kept = append(h.kept, b...)
			return
		case inHeader:
			need := headerLen(d, h.kept)
			n, piece := min(need-len(h.kept), len(b)), b
			h.kept = append(h.kept, b[:n]...)
			if b = b[n:]; len(h.kept) < need {
				return
			}
			if h.left = p.header(d, h, h.kept); h.left < 0 {
				p.bad++
				h.lose()
				b = piece // a message may begin with it
				continue
			}
			h.state, h.size, h.kept = inside, need, h.kept[:0]
			if h.left == 0 {
				p.finish(d, h, now)
			}
		case inside:
			n := min(h.left, len(b))
			h.keep(b[:n])
			h.size += n
			b = b[n:]
			if h.left -= n; h.left == 0 {
				p.finish(d, h, now)
			}
		}
		start = false
	}
}

// headerLen is how long the header of the message is that begins with b. A startup packet has
// no kind, and its length begins with a zero byte, which no kind is.
func headerLen(d flow.Dir, b []byte) int {
	if d == 0 && b[0] == 0 {
		return headerSize - 1
	}
	return headerSize
}

// header reads a header, and returns how many bytes follow, -1 where it is none.
func (p *parser) header(d flow.Dir, h *half, b []byte) int {
	if len(b) < headerSize {
		n := int(binary.BigEndian.Uint32(b))
		if n < 8 || n > maxStartup {
			return -1
		}
		h.kind, h.limit = 0, maxShort
		return n - 4
	}
	kinds := &frontend
	if d == 1 {
		kinds = &backend
	}
	n := length(kinds, b)
	if n == 0 {
		return -1
	}
	h.kind = b[0]
	h.limit = maxShort
	switch {
	case d == 0 && (h.kind == 'Q' || h.kind == 'P'):
		h.limit = p.limit
	case h.kind == 'd' || d == 1 && h.kind == 'D':
		h.limit = 0
		if p.bodies {
			h.limit = p.limit
		}
	}
	return n - 4
}

// keep notes what of a payload may be needed.
func (h *half) keep(b []byte) {
	if room := h.limit - len(h.kept); room > 0 && !h.cut {
		h.kept = append(h.kept, b[:min(room, len(b))]...)
	}
}

// lose gives up the place in the stream.
func (h *half) lose() {
	h.state, h.missed = lost, true
	h.kept = h.kept[:0]
}

// reject goes on behind bytes that are no message.
func (p *parser) reject(d flow.Dir, h *half, b []byte, start bool) []byte {
	p.bad++
	h.lose()
	n := p.search(d, b[1:], false)
	if n < 0 {
		return nil
	}
	h.state = between
	return b[1+n:]
}

// finish ends a message whose payload came in pieces.
func (p *parser) finish(d flow.Dir, h *half, now int64) {
	h.state = between
	p.take(d, h, h.kept, now)
	if cap(h.kept) > maxIdle {
		h.kept = nil
	}
}

// take takes a message, whose payload is borrowed and may be cut.
func (p *parser) take(d flow.Dir, h *half, payload []byte, now int64) {
	if d == 0 {
		p.front(h, payload, now)
	} else {
		p.back(h, payload, now)
	}
}

// search looks for the beginning of a message in b, which begins a piece where start is set.
// It returns -1 where there is none.
func (p *parser) search(d flow.Dir, b []byte, start bool) int {
	if d == 0 {
		if whole, ok := chain(&frontend, b); start && ok && (whole > 0 || b[0] == 'Q' || b[0] == 'P') {
			return 0
		}
		return -1
	}
	if start && p.turned {
		if _, ok := chain(&backend, b); ok {
			return 0
		}
		p.bad++
	}
	for i := 0; i+6 <= len(b); i++ {
		if b[i] == 'Z' && ready(b[i:i+6]) {
			return i
		}
	}
	return -1
}

// granted takes the answer to a request for encryption.
func (p *parser) granted(b []byte) []byte {
	asked := p.asksByte
	switch b[0] {
	case asked:
		p.closed = true
		return b[1:]
	case 'N':
		b = b[1:]
	}
	p.asksByte = 0 // else an error follows
	return b
}

// Gap implements dissect.Parser.
func (p *parser) Gap(d flow.Dir, n int64, at dissect.Stamp) error {
	if p.closed {
		return nil
	}
	h := &p.half[d]
	p.holed = true
	p.behind = p.behind || d == 1 && p.turned
	if h.state == inside && n > 0 && n <= int64(h.left) {
		h.cut = true
		h.size += int(n)
		if h.left -= int(n); h.left == 0 {
			p.finish(d, h, at.Time)
		}
		return nil
	}
	p.cutShort(d, h, at.Time)
	h.lose()
	if d == 0 && p.open && p.pending.Len() > 0 {
		p.pending.Newest().cut = true
	}
	return nil
}

// cutShort ends a message whose rest is missing: it is told if enough of it is there.
func (p *parser) cutShort(d flow.Dir, h *half, now int64) {
	if h.state != inside {
		return
	}
	h.state, h.cut = between, true
	switch {
	case d == 0 && h.kind == 'Q', d == 1 && h.kind != 'Z':
		p.take(d, h, h.kept, now)
	case d == 0 && h.kind == 'P':
		if _, _, ok := cstring(h.kept); ok {
			p.take(d, h, h.kept, now)
		}
	}
}

// Close implements dissect.Parser.
func (p *parser) Close(at dissect.Stamp) {
	if p.closed {
		return
	}
	for d := range p.half {
		p.cutShort(flow.Dir(d), &p.half[d], at.Time)
	}
	p.flush()
	for len(p.early) > 0 {
		p.dropEarly()
	}
	p.closed = true
}

// flush hands out all that waits.
func (p *parser) flush() {
	for p.pending.Len() > 0 {
		o := p.pending.First()
		p.giveUp(p.adrift || o.began != 0 && !o.failed || p.open && p.pending.Len() == 1)
	}
}
