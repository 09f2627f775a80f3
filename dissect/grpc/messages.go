package grpc

import "encoding/binary"

// messages counts the messages of one side: each has a byte of flags and four of length before
// it. It takes a body in pieces.
type messages struct {
	web      bool
	text     bool // base64
	broken   bool // bytes are missing, or are no messages
	head     [5]byte
	have     int    // bytes of head
	left     uint32 // of the message
	n        int64
	size     int64  // of all messages, without their heads
	trailers []byte // of gRPC-Web, which are a message with a flag
	packed   bool   // and may be compressed like one

	quantum [4]byte // of base64, before it is decoded
	held    int
}

// maxTrailers is how many bytes of trailers in a body are kept.
const maxTrailers = 8 << 10

// Flags of a message: it is compressed; it is the trailers of gRPC-Web.
const (
	packedFlag  = 0x01
	trailerFlag = 0x80
)

func (m *messages) reset(contentType []byte) {
	*m = messages{trailers: m.trailers[:0], web: web(contentType), text: text(contentType)}
}

// data takes the next bytes of the body.
func (m *messages) data(b []byte) {
	if !m.text {
		m.plain(b)
		return
	}
	for _, c := range b {
		if m.broken {
			return
		}
		if c == '\r' || c == '\n' {
			continue
		}
		m.quantum[m.held] = c
		if m.held++; m.held == 4 {
			m.held = 0
			m.decode()
		}
	}
}

// decode takes four characters of base64 (RFC 4648, 4). Each part of a body that was encoded
// by itself may end in padding.
func (m *messages) decode() {
	var bits uint32
	n := 3
	for i, c := range m.quantum {
		v := sextets[c]
		switch {
		case c == '=' && i >= 2 && (i == 3 || m.quantum[3] == '='):
			n = min(n, i-1)
			v = 0
		case v == 0xff || n < 3:
			m.broken = true
			return
		}
		bits = bits<<6 | uint32(v)
	}
	out := [3]byte{byte(bits >> 16), byte(bits >> 8), byte(bits)}
	m.plain(out[:n])
}

func (m *messages) plain(b []byte) {
	for len(b) > 0 && !m.broken {
		if m.have < len(m.head) {
			n := copy(m.head[m.have:], b)
			m.have += n
			b = b[n:]
			if m.have == len(m.head) {
				m.begin()
			}
			continue
		}
		n := int(min(uint32(len(b)), m.left))
		if m.head[0]&trailerFlag != 0 {
			m.packed = m.head[0]&packedFlag != 0
			m.trailers = append(m.trailers, b[:min(n, maxTrailers-len(m.trailers))]...)
		}
		m.left -= uint32(n)
		b = b[n:]
		m.end()
	}
}

func (m *messages) begin() {
	flags := m.head[0]
	m.left = binary.BigEndian.Uint32(m.head[1:])
	switch {
	case flags&^(trailerFlag|packedFlag) != 0, flags&trailerFlag != 0 && !m.web:
		m.broken = true
		return
	case flags&trailerFlag == 0:
		m.n++
		m.size += int64(m.left)
	}
	m.end()
}

// end gets ready for the next message, if all of this one was seen.
func (m *messages) end() {
	if m.left == 0 {
		m.have = 0
	}
}

// sextets are the values of the characters, 0xff for those that are none.
var sextets = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		t[c] = byte(i)
	}
	return t
}()
