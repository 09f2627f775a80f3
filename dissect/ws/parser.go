package ws

import (
	"encoding/binary"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// state is where one side's bytes stand.
type state uint8

const (
	inHeader state = iota // of a frame
	inPayload
	lost // frames are looked for
)

// maxHeader is the longest header of a frame (RFC 6455, 5.2).
const maxHeader = 14

// frame is the header of a frame.
type frame struct {
	fin    bool
	packed bool // RSV1: the message is compressed
	opcode opcode
	masked bool
	mask   [4]byte
	length uint64
}

// half is one direction.
type half struct {
	state   state
	header  [maxHeader]byte
	have    int // bytes of header
	first   int64
	frame   frame
	left    uint64  // bytes of the payload to come
	at      int     // place in the mask
	message message // that is being put together of fragments
	control message
	orphan  bool    // fragments go by of a message whose beginning is missing
	window  *window // of compressed messages, nil: there were none
	missed  bool    // bytes are missing so far
	search  search
}

// parser is one flow.
type parser struct {
	sink   dissect.Sink
	half   [2]half
	limit  int
	wanted bool
}

func newParser(sink dissect.Sink) *parser {
	p := &parser{sink: sink}
	p.limit, p.wanted = sink.Bodies()
	return p
}

// parse reads a header. need is how long it is; the frame is valid if b is as long. ok is
// false where it is none.
func (f *frame) parse(b []byte) (need int, ok bool) {
	if len(b) < 2 {
		return 2, len(b) == 0 || f.begin(b[0])
	}
	need = 2
	if !f.begin(b[0]) {
		return need, false
	}
	f.masked = b[1]&0x80 != 0
	f.length = uint64(b[1] & 0x7f)
	switch {
	case f.opcode.control() && (f.length > maxControl || !f.fin):
		return need, false
	case f.length == 126:
		need = 4
	case f.length == 127:
		need = 10
	}
	if len(b) >= need {
		switch need {
		case 4:
			f.length = uint64(binary.BigEndian.Uint16(b[2:]))
			ok = f.length > 125
		case 10:
			f.length = binary.BigEndian.Uint64(b[2:])
			ok = f.length > 0xffff && f.length < 1<<63
		default:
			ok = true
		}
		if !ok {
			return need, false
		}
	}
	if f.masked {
		if need += 4; len(b) >= need {
			copy(f.mask[:], b[need-4:])
		}
	}
	return need, true
}

// begin reads the first byte.
func (f *frame) begin(c byte) bool {
	f.fin, f.packed, f.opcode = c&0x80 != 0, c&0x40 != 0, opcode(c&15)
	return c&0x30 == 0 && f.opcode.known() && !(f.packed && (f.opcode.control() || f.opcode == opContinuation))
}

// Data implements dissect.Parser.
func (p *parser) Data(d flow.Dir, b []byte, at dissect.Stamp) error {
	h := &p.half[d]
	if h.state == lost {
		b = h.search.data(b)
		if len(b) == 0 {
			return nil
		}
		h.state = inHeader
	}
	for len(b) > 0 {
		var n int
		switch h.state {
		case inHeader:
			n = p.header(d, h, b, at.Time)
		case inPayload:
			n = p.payload(d, h, b, at.Time)
		case lost:
			return nil
		}
		b = b[n:]
	}
	return nil
}

// header takes bytes of a frame's header.
func (p *parser) header(d flow.Dir, h *half, b []byte, now int64) int {
	if h.have == 0 {
		h.first = now
	}
	used := 0
	for {
		f := &h.frame
		need, ok := f.parse(h.header[:h.have])
		if !ok {
			p.lose(h)
			return len(b)
		}
		if h.have >= need {
			break
		}
		n := copy(h.header[h.have:need], b[used:])
		if n == 0 {
			return used
		}
		h.have += n
		used += n
	}
	p.frame(d, h, now)
	return used
}

// frame begins a frame whose header was read.
func (p *parser) frame(d flow.Dir, h *half, now int64) {
	f := &h.frame
	h.left, h.at = f.length, 0
	m := &h.message
	switch {
	case f.opcode.control():
		m = &h.control
		fallthrough
	case f.opcode != opContinuation:
		m.reset()
		m.opcode, m.open, m.compressed, m.first, m.wanted = f.opcode, true, f.packed, h.first, p.wanted
		if m == &h.message {
			h.orphan = false
		}
	case !m.open:
		h.orphan = true
	}
	m.wire += uint64(h.have)
	m.last = now
	h.have = 0
	h.state = inPayload
	if h.left == 0 {
		p.end(d, h, now)
	}
}

// current is the message that the frame is of.
func (h *half) current() *message {
	if h.frame.opcode.control() {
		return &h.control
	}
	return &h.message
}

// payload takes bytes of a frame's payload.
func (p *parser) payload(d flow.Dir, h *half, b []byte, now int64) int {
	n := int(min(uint64(len(b)), h.left))
	m := h.current()
	from := len(m.kept)
	room := p.limit - from
	switch {
	case h.frame.opcode.control():
		room = maxControl
	case !p.wanted || h.orphan || m.incomplete:
		room = 0
	case m.compressed:
		// The window needs all of it, whatever is shown.
		room = maxPacked - from
	}
	k := min(n, max(0, room))
	if m.kept = append(m.kept, b[:k]...); h.frame.masked {
		unmask(m.kept[from:], h.frame.mask, h.at)
	}
	m.cut = m.cut || k < n
	h.at = (h.at + n) & 3
	m.size += int64(n)
	m.wire += uint64(n)
	m.last = now
	if h.left -= uint64(n); h.left == 0 {
		p.end(d, h, now)
	}
	return n
}

func unmask(b []byte, mask [4]byte, at int) {
	for i := range b {
		b[i] ^= mask[(at+i)&3]
	}
}

// end ends a frame.
func (p *parser) end(d flow.Dir, h *half, now int64) {
	h.state = inHeader
	m := h.current()
	if !h.frame.fin {
		return
	}
	if h.orphan && !h.frame.opcode.control() {
		h.orphan = false
		m.reset()
		return
	}
	p.decode(h, m)
	p.tell(d, m)
}

// decode makes of what was kept what is shown.
func (p *parser) decode(h *half, m *message) {
	m.data = m.kept
	if !p.wanted || !m.compressed {
		return
	}
	if h.window == nil {
		h.window = &window{gone: h.missed}
	}
	switch {
	case m.incomplete:
		h.window.lose()
		m.failure = errLost
	case m.cut:
		h.window.lose()
		m.failure = errTooLarge
	default:
		m.data, m.more, m.failure = h.window.open(m.kept, p.limit)
	}
	if m.failure != nil {
		m.data = m.kept
	}
	if len(m.data) > p.limit {
		m.data, m.more = m.data[:p.limit], true
	}
}

// tell hands a message out.
func (p *parser) tell(d flow.Dir, m *message) {
	c := &m.call
	*c = dissect.Call{Message: m, Protocol: self, Reverse: d == 1, Time: m.first, RequestEnd: m.last, RequestSize: m.wire, Incomplete: m.incomplete}
	if code, _ := m.closing(); code != 0 {
		c.Error = code != codeNormal && code != codeGoingAway && code != codeNoStatus
	}
	p.sink.Call(c)
	m.reset()
}

// Codes of a close frame that tell of no error (RFC 6455, 7.4.1).
const (
	codeNormal    = 1000
	codeGoingAway = 1001
	codeNoStatus  = 1005
)

// Gap implements dissect.Parser.
func (p *parser) Gap(d flow.Dir, n int64, at dissect.Stamp) error {
	h := &p.half[d]
	if h.state != inPayload || n <= 0 || uint64(n) > h.left {
		p.lose(h)
		return nil
	}
	m := h.current()
	m.incomplete, m.cut = true, true
	m.size += n
	m.wire += uint64(n)
	m.last = at.Time
	h.at = (h.at + int(n&3)) & 3
	if h.left -= uint64(n); h.left == 0 {
		p.end(d, h, at.Time)
	}
	return nil
}

// lose gives up the place in the stream.
func (p *parser) lose(h *half) {
	h.state, h.have, h.missed = lost, 0, true
	h.message.reset()
	h.control.reset()
	h.orphan = false
	if h.window != nil {
		h.window.lose()
	}
	h.search.reset()
}

// Close implements dissect.Parser: a message that has begun is told as far as it came.
func (p *parser) Close(dissect.Stamp) {
	for d := range flow.Dir(2) {
		h := &p.half[d]
		for _, m := range [...]*message{&h.message, &h.control} {
			if m.open && !(m == &h.message && h.orphan) {
				m.incomplete = true
				p.decode(h, m)
				p.tell(d, m)
			}
		}
	}
}
