package http1

import (
	"bytes"

	"github.com/sshark/sshark/pcap/flow"
)

// state is where one side's stream stands.
type state uint8

const (
	between    state = iota // a message may begin
	inHead                  // buf holds its beginning
	inBody                  // left bytes of it to come
	untilClose              // the body ends with the stream
	chunkSize               // digits of a chunk's size
	chunkExt                // the rest of that line
	inChunk                 // left bytes of it to come
	chunkEnd                // its line end
	trailer                 // at the beginning of a trailer line
	trailerIn               // inside one
	lost                    // looking for a start line; buf holds bytes that may belong to it
)

const (
	maxHead = 64 << 10 // of a head that is kept
	// How many bytes of a start line may stand before its version, where it is looked for.
	maxCarry     = 8 << 10
	maxChunk     = 1 << 40
	maxTrailer   = 64 << 10
	statusPrefix = len("HTTP/1.1 200 ")
)

// half is one direction.
type half struct {
	state    state
	missed   bool  // messages may have been lost before the next one
	digits   uint8 // of the chunk size so far
	start    start
	framing  framing
	left     int64
	buf      []byte
	scan     int   // in buf: the line that is not complete; 0: the start line
	first    int64 // time of the first byte in buf
	now      int64
	msg      *message // that is being read, nil: none, or nobody cares
	exchange *exchange
}

func (h *half) open(m *message, e *exchange) { h.msg, h.exchange = m, e }

// lose gives up the place in the stream.
func (h *half) lose() {
	h.state = lost
	h.missed = true
	h.buf = h.buf[:0]
	h.open(nil, nil)
}

// parseStart is more careful where the place in the stream was lost: there, half a method
// must not be taken for a method that is not known.
func (h *half) parseStart(b []byte) (start, headVerdict) {
	l, v := parseStart(b)
	if v == headOK && h.missed && l.request && !knownMethod(l.method(b)) {
		v = headBad
	}
	return l, v
}

// seen counts the time of bytes of the message being read.
func (h *half) seen(now int64) {
	if h.msg != nil {
		h.msg.last = now
	}
}

// wire counts bytes that are of the message but not of its body.
func (h *half) wire(n int, now int64) {
	if h.msg != nil {
		h.msg.wire += uint64(n)
		h.msg.last = now
	}
}

// body takes bytes of the body.
func (h *half) body(b []byte, now int64) {
	m := h.msg
	if m == nil {
		return
	}
	m.wire += uint64(len(b))
	m.size += int64(len(b))
	m.last = now
	if m.keep {
		m.keepBody(b)
	}
	h.exchange.carries.Data(m.part(), b)
}

// skipped counts n bytes of the body as missing.
func (h *half) skipped(n int64) {
	m := h.msg
	if m == nil {
		return
	}
	m.wire += uint64(n)
	m.size += n
	m.incomplete = true
	m.cut = true // what follows does not go on where the kept bytes end
	m.keep = false
	h.exchange.carries.Missing(m.part())
}

// feed runs bytes of a side through its states. It returns what is left when the stream
// switches to another protocol.
func (p *parser) feed(d flow.Dir, b []byte, now int64) []byte {
	h := &p.half[d]
	h.now = now
	for len(b) > 0 && !p.closed {
		n := 0
		switch h.state {
		case between:
			n = p.between(d, h, b, now)
		case inHead:
			n = p.inHead(d, h, b, now)
		case inBody:
			if h.msg != nil && h.msg.size == 0 && !h.msg.start.request && !h.exchange.req.seen {
				if n = p.peek(d, h, b, now); n > 0 {
					break
				}
				if h.state != inBody {
					continue
				}
			}
			if h.refused() && plausible(b, requests) {
				p.finish(d, h)
				continue
			}
			n = int(min(int64(len(b)), h.left))
			h.body(b[:n], now)
			if h.left -= int64(n); h.left == 0 {
				p.finish(d, h)
			}
		case untilClose:
			n = len(b)
			h.body(b, now)
		case lost:
			n = p.search(d, h, b, now)
		default:
			n = p.chunked(d, h, b, now)
		}
		b = b[n:]
	}
	return b
}

// between begins a message. Where its head is complete in b, nothing is copied.
func (p *parser) between(d flow.Dir, h *half, b []byte, now int64) int {
	if b[0] == '\r' || b[0] == '\n' {
		return 1
	}
	l, v := h.parseStart(b)
	if v == headBad {
		h.lose()
		return p.search(d, h, b, now)
	}
	h.start, h.framing, h.first, h.scan = l, framing{length: -1}, now, int(l.end)
	if v == headOK {
		next, done := h.framing.scan(b, h.scan)
		if done {
			h.state = between
			if !p.headDone(d, h, b[:next], now, now) {
				h.lose()
			}
			return next
		}
		h.scan = next
	}
	h.state = inHead
	h.buf = h.buf[:0]
	if len(b) > maxHead {
		return p.inHead(d, h, b, now)
	}
	h.buf = append(h.buf, b...)
	return len(b)
}

// inHead goes on with a head whose beginning is in buf.
func (p *parser) inHead(d flow.Dir, h *half, b []byte, now int64) int {
	old := len(h.buf)
	n := min(len(b), maxHead-old)
	if h.scan == 0 {
		// A line at a time: what follows the start line is looked at when that is known.
		if i := bytes.IndexByte(b[:n], '\n'); i >= 0 {
			n = i + 1
		} else if old >= 64 && old+n < maxHead {
			h.buf = append(h.buf, b[:n]...)
			return n
		}
	}
	h.buf = append(h.buf, b[:n]...)
	if h.scan == 0 {
		l, v := h.parseStart(h.buf)
		if v == headBad {
			p.reject(d, h, now)
			return n
		}
		h.start, h.scan = l, int(l.end)
	}
	if h.scan > 0 {
		next, done := h.framing.scan(h.buf, h.scan)
		h.scan = next
		if done {
			used := n - (len(h.buf) - next)
			head := h.buf[:next]
			h.buf = h.buf[:0]
			h.state = between
			if !p.headDone(d, h, head, h.first, now) {
				h.lose()
			}
			return used
		}
	}
	if len(h.buf) >= maxHead {
		p.cutHead(d, h)
		if !p.closed {
			h.lose()
		}
	}
	return n
}
