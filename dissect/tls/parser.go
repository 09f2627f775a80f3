package tls

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// parser is one flow.
type parser struct {
	sink   dissect.Sink
	half   [2]half
	client flow.Dir // which side asks; valid once found
	found  bool     // a hello was found
	done   bool     // the handshake is over
	full   bool     // the server went through all of its messages: no session was resumed
	hs     *Handshake
	inner  *decrypter // nil: nothing is decrypted
}

func newParser(sink dissect.Sink) *parser {
	return &parser{sink: sink, inner: newDecrypter(sink)}
}

// Data implements dissect.Parser.
func (p *parser) Data(d flow.Dir, b []byte, at dissect.Stamp) error {
	if !p.done {
		if !p.feed(d, b, at.Time) {
			p.done = true
			return dissect.ErrNotMine
		}
		p.settle()
	}
	if p.inner != nil && !p.inner.data(d, b, at) {
		p.seal(at)
	}
	return nil
}

// seal gives decryption up.
func (p *parser) seal(at dissect.Stamp) {
	p.inner.close(at)
	p.inner = nil
}

// Gap implements dissect.Parser.
func (p *parser) Gap(d flow.Dir, n int64, at dissect.Stamp) error {
	if p.inner != nil {
		p.inner.gap(d, n, at)
	}
	h := &p.half[d]
	if p.done || h.over {
		return nil
	}
	p.cutHello(d, h)
	h.cut = true
	h.end()
	p.settle()
	return nil
}

// Close implements dissect.Parser.
func (p *parser) Close(at dissect.Stamp) {
	for d := range p.half {
		if h := &p.half[d]; !p.done && !h.over {
			p.cutHello(flow.Dir(d), h)
		}
	}
	p.finish()
	if p.inner != nil {
		p.seal(at)
	}
}

// settle hands the handshake out once both sides have come to its end.
func (p *parser) settle() {
	if p.half[0].over && p.half[1].over {
		p.finish()
	}
}

// finish ends the dissection of the flow: nothing is held of it any more.
func (p *parser) finish() {
	p.tell()
	p.done = true
	p.half[0].end()
	p.half[1].end()
	p.hs = nil
}

// open is the handshake that goes on, or a new one.
func (p *parser) open() *Handshake {
	if p.hs == nil {
		p.hs = &Handshake{carrier: 't'}
	}
	return p.hs
}

// tell hands a handshake out, if a client asked for one.
func (p *parser) tell() {
	if p.hs == nil || !p.hs.asked {
		return
	}
	hs := p.hs
	c := &hs.call
	hs.Call(c)
	c.Reverse = p.client == 1
	// What was lost, or is still to come, may be what became of it.
	both := p.half[0].over && p.half[1].over
	c.Incomplete = c.Incomplete || p.half[0].cut || p.half[1].cut || hs.answered && !hs.server.retry && !hs.failed && !both
	p.sink.Call(c)
	hs.reset()
	p.full = false
}

// message takes a handshake message, which is borrowed.
func (p *parser) message(d flow.Dir, h *half, m []byte, now int64) bool {
	switch m[0] {
	case typeClientHello:
		a, ok := readClientHello(m)
		return ok && p.asks(d, h, m, a, now)
	case typeServerHello:
		return p.answers(d, h, m, now)
	case typeCertificate:
		if hs := p.hs; hs != nil && d != p.client && hs.answered && len(hs.certificate) == 0 {
			hs.certificate = append(hs.certificate, firstCertificate(m)...)
		}
	case typeServerDone:
		p.full = p.full || d != p.client
	}
	return true
}

// v2 takes bytes of a ClientHello of SSL 2.0; its first three came with the header.
func (p *parser) v2(d flow.Dir, h *half, b []byte, now int64) bool {
	if len(h.msg) == 0 {
		h.msg = append(h.msg, h.head[2:]...)
	}
	h.msg = append(h.msg, b...)
	h.got = len(h.msg)
	h.wire += len(b)
	if h.left > 0 {
		return true
	}
	a, ok := readV2(h.msg, h.size)
	if !ok || !p.asks(d, h, h.msg, a, now) {
		return false
	}
	h.begun, h.got, h.msg = true, 0, nil
	return true
}

// asks takes a ClientHello. One that comes before the last one was answered is another try.
func (p *parser) asks(d flow.Dir, h *half, m []byte, a asking, now int64) bool {
	if p.found && d != p.client {
		return false
	}
	p.found, p.client = true, d
	if p.hs != nil && p.hs.asked {
		p.tell()
	}
	if p.inner != nil && !p.inner.ask(d, m) {
		p.inner = nil
	}
	p.open().ask(m, a)
	p.hs.request = part{h.first, now, h.wire}
	return true
}

// cutHello takes the beginning of a ClientHello whose rest is missing.
func (p *parser) cutHello(d flow.Dir, h *half) {
	if h.kind != kindHandshake || h.got <= helloHeader || h.msg[0] != typeClientHello {
		return
	}
	if a, ok := readClientHello(h.msg); ok {
		p.asks(d, h, h.msg, a, h.last)
	}
}

// answers takes a ServerHello.
func (p *parser) answers(d flow.Dir, h *half, m []byte, now int64) bool {
	if p.found && d == p.client {
		return false
	}
	a, ok := readServerHello(m)
	if !ok {
		return false
	}
	p.found, p.client = true, d.Other()
	hs := p.open()
	if hs.answered {
		return false
	}
	if p.inner != nil && !a.retry && !p.inner.answer(m, a) {
		p.inner = nil
	}
	hs.answer(a)
	hs.response = part{h.first, now, h.wire}
	switch {
	case a.retry && hs.asked:
		p.tell()
	case a.retry:
		hs.reset()
	case a.version >= version13:
		h.end()
	}
	return true
}

// change takes a ChangeCipherSpec. Since TLS 1.3 it means nothing, before that all that
// follows is encrypted.
func (p *parser) change(d flow.Dir, h *half) bool {
	if h.size != 1 {
		return false
	}
	h.begun, h.changed = true, true
	switch hs := p.hs; {
	case !p.found: // in the middle of a connection
		h.end()
	case hs != nil && hs.answered && hs.server.version < version13:
		if d != p.client && !p.full {
			hs.resumed = true
		}
		h.end()
	}
	return true
}

// data takes bytes that are encrypted.
func (p *parser) data(d flow.Dir, h *half, n int) {
	// A client may send data before it is answered (RFC 8446, 2.3), and a hello again behind it.
	if p.found && d == p.client && p.hs != nil && p.hs.early && !p.hs.answered {
		if h.early += n; h.early <= maxEarly {
			return
		}
	}
	h.begun = true
	h.end()
}

// alert takes bytes of an alert. One that is encrypted is longer than two bytes.
func (p *parser) alert(d flow.Dir, h *half, b []byte, fresh bool, now int64) bool {
	if h.size != 2 || h.changed && p.hs != nil && p.hs.answered && p.hs.server.version < version13 {
		h.begun = true
		h.end()
		return true
	}
	if fresh {
		h.nalert = 0
	}
	h.nalert += uint8(copy(h.alert[h.nalert:], b))
	h.wire += len(b)
	if h.left > 0 {
		return true
	}
	h.begun = true
	if level := h.alert[0]; level != 1 && level != 2 {
		return false
	}
	hs := p.hs
	if hs == nil || !hs.asked || !fatal(h.alert, hs.answered && hs.server.version >= version13) {
		return true
	}
	hs.fail(h.alert[1])
	if d != p.client && !hs.answered {
		hs.response = part{h.first, now, h.wire}
	}
	p.finish()
	return true
}
