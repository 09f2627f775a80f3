package sip

import (
	"bytes"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// state is where one side's stream stands.
type state uint8

const (
	between state = iota // a message may begin
	inHead               // buf holds its beginning
	inBody               // left bytes of it to come
	lost                 // looking for a start line
)

// half is one direction of a connection.
type half struct {
	state state
	buf   []byte // of a message that is not all in one piece
	scan  int    // in buf: no head ends before
	guess bool   // what is in buf was looked for
	left  int64
	m     message
}

// stream takes bytes of a connection.
func (p *parser) stream(d flow.Dir, b []byte, now int64) {
	h := &p.half[d]
	opens := true // of the piece
	for len(b) > 0 {
		n := 0
		switch h.state {
		case lost:
			from := 1
			if opens {
				from = 0
			}
			i := find(b, from)
			if i < 0 {
				p.bad = min(p.bad+1, maxBad)
				return
			}
			b = b[i:]
			h.state, h.guess, opens = between, true, false
			continue
		case between:
			if b[0] == '\r' || b[0] == '\n' {
				n = 1
				break
			}
			n = p.begin(d, h, b, now)
		case inHead:
			n = p.goOn(d, h, b, now)
		case inBody:
			n = int(min(int64(len(b)), h.left))
			h.keep(b[:n], p.limit)
			if h.left -= int64(n); h.left == 0 {
				p.finish(h, now)
			}
		}
		b = b[n:]
		opens = false
	}
}

// begin begins a message. Where it is all in b, nothing is copied.
func (p *parser) begin(d flow.Dir, h *half, b []byte, now int64) int {
	start, v := parseStart(b)
	if v == bad {
		p.lose(h)
		return 1
	}
	guess := h.guess
	h.guess = false
	h.m = message{head: start, seen: true, dir: d, first: now}
	end := headEnd(b[:min(len(b), maxHead)], 0)
	if v == good && end > 0 {
		m := &h.m
		m.headers(b[:end])
		m.headSize, m.bodySize = end, max(0, m.length)
		if size := int64(end) + m.bodySize; size <= int64(len(b)) {
			m.b, m.size, m.last = b[:end+int(min(m.bodySize, int64(p.limit)))], uint64(size), now
			p.message(m)
			return int(size)
		}
	}
	h.state, h.scan, h.guess = inHead, 0, guess
	h.buf = h.buf[:0]
	return p.goOn(d, h, b, now)
}

// goOn goes on with a head.
func (p *parser) goOn(d flow.Dir, h *half, b []byte, now int64) int {
	old := len(h.buf)
	n := min(len(b), maxHead-old)
	if h.scan == 0 { // what follows the start line is looked at when that is known
		if i := bytes.IndexByte(b[:n], '\n'); i >= 0 {
			n = i + 1
		}
	}
	h.buf = append(h.buf, b[:n]...)
	start, v := parseStart(h.buf)
	if v == bad || v == good && h.guess && start.request && !known(start.method.of(h.buf)) {
		p.lose(h)
		return n
	}
	end := 0
	if v == good {
		end = headEnd(h.buf, h.scan)
		h.scan = max(1, len(h.buf)-3)
	}
	if end == 0 {
		if len(h.buf) >= maxHead {
			p.cutShort(d, now)
			p.lose(h)
		}
		return n
	}
	m := &h.m
	m.head = start
	m.headers(h.buf[:end])
	m.headSize, m.bodySize = end, max(0, m.length)
	h.buf = h.buf[:end]
	if h.state, h.left = inBody, m.bodySize; h.left == 0 {
		p.finish(h, now)
	}
	return end - old
}

// keep keeps what is wanted of a body.
func (h *half) keep(b []byte, limit int) {
	if room := limit - (len(h.buf) - h.m.headSize); room > 0 && !h.m.cut {
		h.buf = append(h.buf, b[:min(len(b), room)]...)
	}
}

// finish hands on the message in buf.
func (p *parser) finish(h *half, now int64) {
	h.state = between
	m := &h.m
	m.b, m.size, m.last = h.buf, uint64(m.headSize)+uint64(m.bodySize), now
	p.message(m)
	if cap(h.buf) > maxIdle {
		h.buf = nil
	}
}

// lose gives up the place in the stream.
func (p *parser) lose(h *half) {
	h.state = lost
	h.buf = h.buf[:0]
	p.bad = min(p.bad+1, maxBad)
}

// Gap implements dissect.Parser.
func (p *parser) Gap(d flow.Dir, n int64, at dissect.Stamp) error {
	if p.flow.Transport != flow.TCP {
		return nil
	}
	h := &p.half[d]
	if h.state == inBody && n > 0 && n <= h.left {
		h.m.cut = true
		if h.left -= n; h.left == 0 {
			p.finish(h, at.Time)
		}
		return nil
	}
	p.cutShort(d, at.Time)
	h.state = lost
	return nil
}

// cutShort ends a message whose rest is missing: it is told if its start line is there, its end
// or not.
func (p *parser) cutShort(d flow.Dir, now int64) {
	h := &p.half[d]
	switch h.state {
	case inHead:
		start, v := parseStart(h.buf)
		if h.state = between; v == bad || v == part && start.uri.to == 0 && start.status == 0 {
			return
		}
		m := &h.m
		m.head, m.cut = start, true
		m.headers(h.buf)
		m.headSize, m.bodySize = len(h.buf), 0
		p.finish(h, now)
	case inBody:
		h.m.cut = true
		p.finish(h, now)
	}
}
