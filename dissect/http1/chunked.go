package http1

import (
	"bytes"

	"github.com/sshark/sshark/dissect/http"
	"github.com/sshark/sshark/pcap/flow"
)

// chunked goes through the framing of a chunked body (RFC 9112, 7.1).
func (p *parser) chunked(d flow.Dir, h *half, b []byte, now int64) int {
	c := b[0]
	switch h.state {
	case chunkSize:
		switch v := http.Hex(c); {
		case v >= 0 && h.digits == 0:
			h.left, h.digits = int64(v), 1
		case v >= 0 && h.left < maxChunk>>4:
			h.left, h.digits = h.left<<4|int64(v), 2
		case v < 0 && h.digits > 0 && (c == '\r' || c == '\n' || c == ';' || c == ' ' || c == '\t'):
			h.state = chunkExt
			return 0
		default:
			return p.broken(d, h)
		}
		h.wire(1, now)
		return 1
	case chunkExt, trailerIn:
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			h.scan += len(b)
			if h.scan > maxTrailer {
				return p.broken(d, h)
			}
			h.wire(len(b), now)
			return len(b)
		}
		h.wire(i+1, now)
		switch {
		case h.state == trailerIn || h.left == 0:
			h.state = trailer
		default:
			h.state = inChunk
			h.scan = 0
		}
		return i + 1
	case inChunk:
		n := int(min(int64(len(b)), h.left))
		h.body(b[:n], now)
		if h.left -= int64(n); h.left == 0 {
			h.state = chunkEnd
		}
		return n
	case chunkEnd:
		h.digits, h.left = 0, 0
		switch c {
		case '\n':
			h.state = chunkSize
		case '\r':
		default:
			return p.broken(d, h)
		}
		h.wire(1, now)
		return 1
	default: // trailer
		h.wire(1, now)
		switch h.scan++; c {
		case '\n':
			h.scan = 0
			p.finish(d, h)
		case '\r':
		default:
			h.state = trailerIn
		}
		return 1
	}
}

// broken gives up on a body whose framing makes no sense.
func (p *parser) broken(d flow.Dir, h *half) int {
	if h.msg != nil {
		h.msg.incomplete = true
	}
	h.scan = 0
	p.finish(d, h)
	h.lose()
	return 0
}
