package http2

import (
	"encoding/binary"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// state is where one side's bytes stand.
type state uint8

const (
	fresh    state = iota // nothing was seen, or what may be the preface
	between               // a frame begins
	inFrame               // buf holds the beginning of a payload
	inData                // left bytes of DATA to come
	skipping              // left bytes that nobody reads to come
	lost                  // frames are looked for in buf
)

// half is one direction.
type half struct {
	state   state
	table   table
	frame   frame
	left    int // bytes of its payload to come
	pad     int // of which are padding, -1: the length of that comes first
	buf     []byte
	first   int64 // time of the frame's first byte
	now     int64
	maxSize int       // of frames that the other side allows
	stream  *exchange // that DATA is of, nil: nobody cares
	block   block
}

// block is a header block that is spread over frames.
type block struct {
	open     bool
	spoiled  bool // bytes of it are missing
	frame    frame
	promised uint32 // stream of PUSH_PROMISE
	data     []byte
	wire     uint64
	first    int64
}

// feed runs bytes of a side through its states.
func (p *parser) feed(d flow.Dir, b []byte, now int64) {
	h := &p.half[d]
	h.now = now
	for len(b) > 0 {
		n := 0
		switch h.state {
		case fresh:
			n = p.begin(d, h, b)
		case between:
			n = p.header(d, h, b, now)
		case inFrame:
			n = p.payload(d, h, b)
		case inData:
			n = p.data(d, h, b, now)
		case skipping:
			n = min(len(b), h.left)
			if h.left -= n; h.left == 0 {
				h.state = between
			}
		case lost:
			b = h.hold(b, &p.scratch)
		}
		b = b[n:]
	}
}

// begin looks for the preface. A server has none, nor has who was not seen to begin.
func (p *parser) begin(d flow.Dir, h *half, b []byte) int {
	old := len(h.buf)
	n := min(len(b), len(preface)-old)
	h.buf = append(h.buf, b[:n]...)
	switch {
	case string(h.buf) != preface[:len(h.buf)]:
		h.buf = h.buf[:old]
		h.state = lost
		return 0
	case len(h.buf) == len(preface):
		p.known, p.client = true, d
		h.buf = h.buf[:0]
		h.state = between
		p.synced = true
	}
	return n
}

// hold takes bytes to look for frames in, and returns what is to be read from there on.
func (h *half) hold(b []byte, scratch *list) []byte {
	n := min(len(b), 2*maxSearch-len(h.buf))
	rest := b[n:]
	h.buf = append(h.buf, b[:n]...)
	at, more := search(h.buf, scratch)
	if more {
		h.buf = h.buf[:copy(h.buf, h.buf[at:])]
		return rest
	}
	found := append(h.buf[at:], rest...)
	h.buf = nil
	h.state = between
	return found
}

// lose gives up the place in the stream, and the table with it: an unknown number of headers
// may have gone by.
func (p *parser) lose(d flow.Dir, h *half) {
	h.state = lost
	h.buf = h.buf[:0]
	h.stream, h.block.open = nil, false
	h.table.lose()
	for _, e := range p.oldest() {
		if m := p.message(e, d); m.seen && !m.done {
			m.incomplete = true
			p.settle(e)
		}
	}
}

// header reads the header of a frame.
func (p *parser) header(d flow.Dir, h *half, b []byte, now int64) int {
	n, head := headerSize, b
	if len(h.buf) > 0 || len(b) < headerSize {
		if len(h.buf) == 0 {
			h.first = now
		}
		n = min(len(b), headerSize-len(h.buf))
		h.buf = append(h.buf, b[:n]...)
		if head = h.buf; len(head) < headerSize {
			return n
		}
	} else {
		h.first = now
	}
	f := parseFrame(head)
	if !f.valid(h.maxSize) {
		again := append([]byte(nil), h.buf...)
		p.lose(d, h)
		if len(again) == 0 {
			return 0
		}
		h.buf = again
		return n
	}
	h.buf = h.buf[:0]
	p.frame(d, h, f)
	return n
}

// frame begins a frame.
func (p *parser) frame(d flow.Dir, h *half, f frame) {
	p.synced = true
	h.frame, h.left = f, f.length
	if h.block.open != (f.kind == frameContinuation) || h.block.open && f.stream != h.block.frame.stream {
		// A header block without its end, or an end without its beginning.
		h.table.lose()
		h.block.open = false
		if f.kind == frameContinuation {
			h.skip()
			return
		}
	}
	switch f.kind {
	case frameData:
		h.state, h.pad = inData, 0
		if f.flags&flagPadded != 0 {
			h.pad = -1
		}
		h.stream = p.stream(d, f.stream)
		if h.stream != nil {
			p.message(h.stream, d).wire += uint64(headerSize + f.length)
		}
		if f.length == 0 {
			p.dataEnd(d, h)
		}
	case frameHeaders, framePush, frameContinuation:
		if f.length > maxBlock {
			p.spoil(d, h)
			h.skip()
			return
		}
		h.collect(p, d)
	case frameReset, frameGoAway, frameSettings:
		if f.length > firstMaxSize {
			h.skip()
			return
		}
		h.collect(p, d)
	default:
		h.skip()
	}
}

// collect waits for the whole payload.
func (h *half) collect(p *parser, d flow.Dir) {
	if h.state = inFrame; h.left == 0 {
		h.state = between
		p.whole(d, h, nil)
	}
}

func (h *half) skip() {
	if h.state = skipping; h.left == 0 {
		h.state = between
	}
}

// payload takes bytes of a frame that is read as a whole.
func (p *parser) payload(d flow.Dir, h *half, b []byte) int {
	if len(h.buf) == 0 && len(b) >= h.left {
		h.state = between
		p.whole(d, h, b[:h.left])
		return h.frame.length
	}
	n := min(len(b), h.left)
	h.buf = append(h.buf, b[:n]...)
	if h.left -= n; h.left == 0 {
		whole := h.buf
		h.state, h.buf = between, h.buf[:0]
		p.whole(d, h, whole)
	}
	return n
}

// whole reads a frame whose payload is complete.
func (p *parser) whole(d flow.Dir, h *half, b []byte) {
	f := &h.frame
	switch f.kind {
	case frameReset:
		p.reset(f.stream, binary.BigEndian.Uint32(b))
	case frameGoAway:
		p.goAway(d, binary.BigEndian.Uint32(b)&(1<<31-1), binary.BigEndian.Uint32(b[4:]))
	case frameSettings:
		for ; len(b) >= 6; b = b[6:] {
			if b[0] == 0 && b[1] == 5 { // MAX_FRAME_SIZE
				o := &p.half[d.Other()]
				o.maxSize = max(o.maxSize, int(binary.BigEndian.Uint32(b[2:])&(1<<24-1)))
			}
		}
	default:
		p.fragment(d, h, b)
	}
}

// fragment takes a part of a header block.
func (p *parser) fragment(d flow.Dir, h *half, b []byte) {
	f, k := &h.frame, &h.block
	if f.kind != frameContinuation {
		ok := false
		if b, ok = f.unpad(b); !ok || f.kind == framePush && len(b) < 4 {
			p.lose(d, h)
			return
		}
		k.frame, k.first, k.wire, k.spoiled, k.data, k.promised = *f, h.first, 0, false, k.data[:0], 0
		if f.kind == framePush {
			k.promised = binary.BigEndian.Uint32(b) & (1<<31 - 1)
			b = b[4:]
		}
	}
	k.wire += uint64(headerSize + f.length)
	if f.flags&flagEndHeaders == 0 {
		k.open = true
		if len(k.data)+len(b) > maxBlock {
			p.spoil(d, h)
			return
		}
		k.data = append(k.data, b...)
		return
	}
	if k.open {
		k.open = false
		if len(k.data)+len(b) > maxBlock {
			p.spoil(d, h)
		}
		if !k.spoiled {
			k.data = append(k.data, b...)
			b = k.data
		}
	}
	if !k.spoiled {
		p.headers(d, h, b)
	}
	k.data = k.data[:0]
}

// spoil notes that bytes of a header block are missing, or are too many.
func (p *parser) spoil(d flow.Dir, h *half) {
	h.block.spoiled = true
	h.table.lose()
	if e := p.streams[h.frame.stream]; e != nil {
		m := p.message(e, d)
		if m.incomplete = true; !m.seen && h.frame.kind == frameHeaders {
			m.seen, m.first, m.last = true, h.first, h.now
		}
		if h.frame.kind == frameHeaders && h.frame.flags&flagEndStream != 0 {
			m.done = true
			p.settle(e)
		}
	}
}

// data takes bytes of DATA.
func (p *parser) data(d flow.Dir, h *half, b []byte, now int64) int {
	if h.pad < 0 {
		if h.pad = int(b[0]); h.pad > h.left-1 {
			p.lose(d, h)
			return 0
		}
		if h.left--; h.left == 0 {
			p.dataEnd(d, h)
		}
		return 1
	}
	n := min(len(b), h.left)
	if body := min(n, h.left-h.pad); body > 0 && h.stream != nil {
		p.body(d, h.stream, b[:body], now)
	}
	if h.left -= n; h.left == 0 {
		p.dataEnd(d, h)
	}
	return n
}

// body takes bytes of a message's body.
func (p *parser) body(d flow.Dir, e *exchange, b []byte, now int64) {
	if e.tunnel != nil {
		if err := e.tunnel.Data(d, b, dissect.Stamp{Time: now}); err != nil {
			p.endTunnel(e)
		}
		return
	}
	m := p.message(e, d)
	m.size += int64(len(b))
	m.last = now
	before := e.carries.Weight()
	e.carries.Data(p.part(d), b)
	kept := e.carries.Weight() - before
	if m.keep && p.kept > maxKept {
		m.keep, m.cutBody = false, true
	}
	if m.keep {
		kept += m.keepBody(b)
	}
	e.weight += kept
	p.kept += kept
}

// dataEnd ends a DATA frame.
func (p *parser) dataEnd(d flow.Dir, h *half) {
	h.state = between
	e := h.stream
	if h.stream = nil; e == nil {
		return
	}
	m := p.message(e, d)
	m.last = h.now
	if h.frame.flags&flagEndStream != 0 {
		m.done = true
		p.settle(e)
	}
}

// gap says that n bytes are missing; 0 if it is not known how many.
func (p *parser) gap(d flow.Dir, h *half, n int64, now int64) {
	h.now = now
	if n <= 0 || n > int64(h.left) {
		p.lose(d, h)
		return
	}
	switch h.state {
	case inData:
		if h.pad < 0 {
			h.pad, h.left, n = 0, h.left-1, n-1
		}
		if e := h.stream; e != nil {
			if body := min(n, int64(h.left-h.pad)); body > 0 {
				p.missing(d, e, body)
			}
		}
		if h.left -= int(n); h.left <= 0 {
			p.dataEnd(d, h)
		}
	case inFrame:
		switch h.frame.kind {
		case frameHeaders, framePush, frameContinuation:
			p.spoil(d, h)
			if h.frame.kind != frameContinuation {
				h.block.frame = h.frame
			}
			h.block.open = h.frame.flags&flagEndHeaders == 0
		}
		h.buf = h.buf[:0]
		h.left -= int(n)
		h.skip()
	case skipping:
		h.left -= int(n)
		h.skip()
	default:
		p.lose(d, h)
	}
}

// missing counts n bytes of a body that are missing.
func (p *parser) missing(d flow.Dir, e *exchange, n int64) {
	if e.tunnel != nil {
		if err := e.tunnel.Gap(d, n, dissect.Stamp{Time: p.half[d].now}); err != nil {
			p.endTunnel(e)
		}
		return
	}
	m := p.message(e, d)
	m.size += n
	m.incomplete, m.cutBody, m.keep = true, true, false
	e.carries.Missing(p.part(d))
}
