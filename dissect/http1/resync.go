package http1

import "github.com/sshark/sshark/pcap/flow"

// refused says whether the body of a request may never come: the client waited for leave to
// send it (RFC 9110, 10.1.1), and the final response was there first.
func (h *half) refused() bool {
	return h.msg != nil && h.msg.start.request && h.msg.size == 0 && h.exchange.resp.done && len(h.msg.header("expect")) > 0
}

// peek looks at the first bytes of the body of a response whose request was not seen: if they
// are the beginning of a response, that was a HEAD, and there is no body. It holds back what
// does not tell yet. A state other than inBody with nothing taken: look at b again.
func (p *parser) peek(d flow.Dir, h *half, b []byte, now int64) int {
	if len(h.buf) == 0 {
		if b[0] != version[0] {
			return 0
		}
		if l, v := parseStart(b); v == headOK && startsHead(b) || v == headPart && l.usable {
			p.finish(d, h)
			return 0
		} else if v != headPart || l.request {
			return 0
		}
		h.msg.own()
		h.buf = append(h.buf, b...)
		return len(b)
	}
	n := min(len(b), statusPrefix)
	h.buf = append(h.buf, b[:n]...)
	switch l, v := parseStart(h.buf); {
	case v == headPart && !l.usable && !l.request:
	case v == headOK, v == headPart && l.usable:
		held := h.buf
		h.buf = nil
		p.finish(d, h)
		p.again(d, h, held, now)
	default:
		p.unpeek(d, h)
	}
	return n
}

// unpeek takes what peek holds back as body.
func (p *parser) unpeek(d flow.Dir, h *half) {
	if h.state != inBody || len(h.buf) == 0 {
		return
	}
	held := h.buf
	n := int(min(int64(len(held)), h.left))
	h.buf = nil
	h.body(held[:n], h.now)
	if h.left -= int64(n); h.left == 0 {
		p.finish(d, h)
	}
	if n < len(held) {
		p.refeed(d, held[n:], h.now)
	}
}

// reject looks for a message in what was taken for a head.
func (p *parser) reject(d flow.Dir, h *half, now int64) {
	b := h.buf
	h.buf = nil
	h.lose()
	p.retry(d, h, b, 1, now)
}

// retry feeds the bytes of b from the first start line on, which is not before from. Where
// there is none, the end of b is kept, since one may begin there.
func (p *parser) retry(d flow.Dir, h *half, b []byte, from int, now int64) {
	i := findHead(b, from, p.looksFor(d))
	if i < 0 {
		h.buf = b[:0]
		h.carry(b, from, p.looksFor(d), now)
		return
	}
	p.again(d, h, b[i:], now)
}

// again feeds bytes that were held, from the beginning of a message on.
func (p *parser) again(d flow.Dir, h *half, b []byte, now int64) {
	h.state = between
	p.refeed(d, b, now)
}

// refeed feeds bytes that were held. What a switch leaves of them goes before the rest of
// the bytes that are being taken.
func (p *parser) refeed(d flow.Dir, b []byte, now int64) {
	rest := p.feed(d, b, now)
	if p.closed {
		p.rest = append([]byte(nil), rest...)
	}
}

// looksFor says what a side sends.
func (p *parser) looksFor(d flow.Dir) which {
	switch {
	case !p.known:
		return anyHead
	case d == p.client:
		return requests
	}
	return responses
}

// search looks for the next message. It takes all of b unless one begins in it.
func (p *parser) search(d flow.Dir, h *half, b []byte, now int64) int {
	if len(h.buf) == 0 {
		if i := findHead(b, 0, p.looksFor(d)); i >= 0 {
			if _, v := parseStart(b[i:]); v != headBad {
				h.state = between
				return i
			}
		}
		h.carry(b, 0, p.looksFor(d), now)
		return len(b)
	}
	old := len(h.buf)
	take := min(len(b), 2*maxCarry)
	joined := append(h.buf, b[:take]...)
	h.buf = nil
	if i := findHead(joined, 1, p.looksFor(d)); i >= 0 {
		if i >= old {
			h.state = between
			h.buf = joined[:0]
			return i - old
		}
		p.again(d, h, joined[i:], now)
		return take
	}
	h.buf = joined[:0]
	h.carry(joined, 1, p.looksFor(d), now)
	return take
}

// carry keeps the end of b, where the start line of a message may begin.
func (h *half) carry(b []byte, from int, what which, now int64) {
	n := maxCarry
	if what == responses {
		n = statusPrefix + 256
	}
	if i := len(b) - n; i > from {
		from = i
	}
	// The rule that the first byte may begin a message does not hold for kept bytes, so one
	// more is kept where there is one.
	h.buf = append(h.buf[:0], b[max(0, from-1):]...)
	h.first = now
}
