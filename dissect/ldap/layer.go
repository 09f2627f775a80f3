package ldap

import (
	"bytes"
	"encoding/binary"

	"github.com/sshark/sshark/dissect/frames"
)

// What a SASL security layer sends are buffers, each behind its length (RFC 4422, 3.7). Where
// the layer only signs, as Active Directory does by default, the messages are in the clear,
// behind a header of the mechanism (RFC 4121, 4.2.6.2; RFC 1964, 1.2.2; NTLM's signature).
const (
	maxBuffer = 16 << 20 // RFC 4422, 3.7
	minBuffer = 16
	maxToken  = 80 // bytes of the mechanism's header
)

// sealedSize is the size of the buffer that b begins with, with its length; 0: b is too short
// to tell, -1: none begins so.
func sealedSize(b []byte) int64 {
	switch {
	case b[0] != 0:
		return -1
	case len(b) < 4:
		return 0
	}
	n := int64(binary.BigEndian.Uint32(b))
	if n < minBuffer || n > maxBuffer {
		return -1
	}
	return 4 + n
}

// sealed says whether a buffer of a known mechanism begins with b.
func sealed(b []byte) bool {
	if len(b) < 8 || sealedSize(b) <= 0 {
		return false
	}
	b = b[4:]
	return b[0] == 0x60 || bytes.HasPrefix(b, []byte{5, 4}) || bytes.HasPrefix(b, []byte{1, 0, 0, 0})
}

// open takes the messages out of a buffer in which they are in the clear.
func (p *parser) open(h *half, f *frames.Frame) {
	b := f.Data[min(4, len(f.Data)):]
	for n := 0; n < maxToken && n < len(b); n++ {
		if !h.whole(b[n:]) {
			continue
		}
		b = b[n:]
		for len(b) > 0 && h.whole(b) {
			e, _ := look(b)
			one := frames.Frame{Data: b[:e.size], Size: e.size, First: f.First, Last: f.Last}
			b = b[e.size:]
			p.message(h, &one)
		}
		break
	}
	if len(f.Data) < int(f.Size) && h.d == 1 {
		p.losses++ // behind what is kept there may be more
	}
}

// whole says whether b begins with a message of the side, which is all there.
func (h *half) whole(b []byte) bool {
	e, v := look(b)
	return (v == request && h.d == 0 || v == response && h.d == 1) && e.size <= int64(len(b))
}
