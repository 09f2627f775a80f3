package tls

import (
	"encoding/binary"

	"github.com/sshark/sshark/pcap/flow"
)

// Kinds of records (RFC 8446, 5.1).
const (
	kindChange    = 20 // ChangeCipherSpec
	kindAlert     = 21
	kindHandshake = 22
	kindData      = 23
	kindHeartbeat = 24
	kindV2        = 0x80 // ours: a message of SSL 2.0
)

// Limits of what one side may hold, and of what is believed.
const (
	recordHeader   = 5
	maxRecord      = 1<<14 + 2048 // RFC 5246, 6.2.3
	minEncrypted   = 16           // bytes of a record that is encrypted
	maxHello       = 64 << 10
	maxCertificate = 32 << 10
	maxServerName  = 255 // bytes that are told (RFC 1035, 3.1)
	maxEarly       = 1 << 20
)

// half is one direction: a stream of records that carries a stream of handshake messages.
type half struct {
	over    bool // nothing more is read: it is encrypted, has ended, or bytes are missing
	begun   bool // a record was found
	changed bool // ChangeCipherSpec was seen
	cut     bool // it is over because bytes are missing
	kind    uint8
	nhead   uint8
	head    [recordHeader]byte
	nalert  uint8
	alert   [2]byte
	size    int // of the payload of the record
	left    int // of it to come
	early   int // bytes of data that the client sent without having been answered

	// The handshake message that is being read.
	msg   []byte // as much of it as is kept
	got   int    // of its bytes
	whole int    // its size, once its header is there
	first int64  // time of its first byte, or of its record's
	last  int64  // time of the newest bytes
	wire  int    // bytes since then
}

// end stops reading a side.
func (h *half) end() { *h = half{over: true, begun: h.begun, cut: h.cut} }

// feed runs bytes of a side through its records. It returns false if they are none.
func (p *parser) feed(d flow.Dir, b []byte, now int64) bool {
	h := &p.half[d]
	h.last = now
	for len(b) > 0 && !h.over && !p.done {
		if h.left == 0 {
			if h.wire == 0 {
				h.first = now
			}
			n := copy(h.head[h.nhead:], b)
			h.nhead += uint8(n)
			h.wire += n
			b = b[n:]
			if int(h.nhead) == len(h.head) {
				h.nhead = 0
				if !p.record(d, h) {
					return p.desync(h)
				}
			}
			continue
		}
		piece := b[:min(h.left, len(b))]
		b = b[len(piece):]
		fresh := h.left == h.size
		h.left -= len(piece)
		ok := true
		switch h.kind {
		case kindHandshake:
			ok = p.handshake(d, h, piece, now)
		case kindV2:
			ok = p.v2(d, h, piece, now)
		case kindChange:
			ok = p.change(d, h)
		case kindAlert:
			ok = p.alert(d, h, piece, fresh, now)
		case kindData:
			p.data(d, h, len(piece))
		}
		if !ok {
			return p.desync(h)
		}
		if h.left == 0 && h.got == 0 {
			h.wire = 0
		}
	}
	return true
}

// desync ends a side whose bytes are not what they should be. Only the first of them can
// prove that the flow is not TLS.
func (p *parser) desync(h *half) bool {
	h.end()
	return p.found || p.half[0].begun || p.half[1].begun
}

// record takes the header of a record.
func (p *parser) record(d flow.Dir, h *half) bool {
	if !h.begun && h.head[0]&0x80 != 0 {
		h.size = int(h.head[0]&0x7f)<<8 | int(h.head[1])
		h.kind, h.left = kindV2, h.size-3
		return h.head[2] == typeClientHello && h.size >= v2Header
	}
	n := int(binary.BigEndian.Uint16(h.head[3:]))
	if h.head[0] < kindChange || h.head[0] > kindHeartbeat || h.head[1] != 3 || h.head[2] > 4 || n > maxRecord {
		return false
	}
	if h.got > 0 && h.head[0] != kindHandshake {
		return false // messages are not interleaved with other records
	}
	h.kind, h.size, h.left = h.head[0], n, n
	return true
}

// handshake takes bytes of handshake records. A message that is all in them is not copied.
func (p *parser) handshake(d flow.Dir, h *half, b []byte, now int64) bool {
	for len(b) > 0 && !h.over && !p.done {
		if h.got == 0 && h.wire == 0 {
			h.first = now
		}
		if h.got == 0 && len(b) >= helloHeader {
			if n := messageSize(b); n <= len(b) {
				if !p.expects(h, b, n) {
					return false
				}
				h.wire += n
				if !h.over && !p.message(d, h, b[:n], now) {
					return false
				}
				h.begun, h.wire = true, 0
				b = b[n:]
				continue
			}
		}
		b = b[p.collect(h, b):]
		switch {
		case h.got == helloHeader && !p.expects(h, h.msg, h.whole):
			return false
		case h.got >= helloHeader && h.got == h.whole && !h.over:
			if !p.message(d, h, h.msg, now) {
				return false
			}
			h.begun, h.got, h.wire, h.msg = true, 0, 0, nil
		}
	}
	return true
}

// collect takes bytes of a message that comes in pieces: its header first, then the rest, of
// which no more is kept than is used.
func (p *parser) collect(h *half, b []byte) int {
	n, keep := 0, 0
	if h.got < helloHeader {
		n = min(len(b), helloHeader-h.got)
		keep = n
	} else {
		n = min(len(b), h.whole-h.got)
		keep = min(n, max(0, keeps(h.msg[0])-len(h.msg)))
	}
	h.msg = append(h.msg, b[:keep]...)
	h.got += n
	h.wire += n
	if h.got == helloHeader && len(h.msg) == helloHeader {
		h.whole = messageSize(h.msg)
	}
	return n
}

// keeps is how much of a message is kept.
func keeps(kind byte) int {
	switch kind {
	case typeClientHello, typeServerHello:
		return maxHello
	case typeCertificate:
		return maxCertificate
	}
	return helloHeader
}

// expects says whether a message of n bytes, of which m is the beginning, may stand here.
// Behind a ChangeCipherSpec that is a hello alone: in its own record it cannot be mistaken
// for what is encrypted.
func (p *parser) expects(h *half, m []byte, n int) bool {
	hello := m[0] == typeClientHello || m[0] == typeServerHello
	if h.changed && (!hello || n != h.size) {
		h.end()
		return true
	}
	if hello {
		return n >= minHello && n <= maxHello
	}
	return (h.begun || p.found) && (m[0] <= typeKeyUpdate || m[0] == typeNextProtocol)
}
