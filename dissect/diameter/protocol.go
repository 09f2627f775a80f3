// Package diameter dissects Diameter (RFC 6733) over TCP and SCTP on any port.
//
// A call is a request and its answer, paired by hop-by-hop identifier within the connection;
// either side may ask. An answer without a request is not told. The application's number, the
// session and the sender of the request are read, and the result code of the answer, which may
// be one of the application's own (Experimental-Result).
//
// Of a connection that was not seen to open the side that asks first is taken for the client,
// unless it asks what servers ask too. Over SCTP, what is told is what was seen between one
// pair of addresses, and a message has the time of its last part. Where bytes are missing
// within a message, the stream stays in step; else messages are found by their structure.
//
// A parser belongs to one flow and one goroutine; it holds at most 10,000 requests of 4 MiB in
// all, and allocates nothing for a call once it has seen one of its size.
package diameter

import (
	"encoding/binary"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes Diameter.
func Protocol() *dissect.Protocol { return protocol }

var protocol = &dissect.Protocol{
	Name:      "diameter",
	Title:     "Diameter",
	Transport: []flow.Proto{flow.TCP, flow.SCTP},
	Detect:    detect,
	New:       func(f *dissect.Flow, sink dissect.Sink) dissect.Parser { return newParser(f, sink) },
	Fields:    fields,
}

// detect wants a message of either side.
func detect(p *dissect.Probe) dissect.Verdict {
	verdict := dissect.No
	for d, b := range p.Data {
		if len(b) == 0 {
			continue
		}
		var h header
		switch v := h.look(b); {
		case v == good:
			if !p.Opened && !either(h.command) {
				p.Swap = h.request() == (d == 1)
			}
			return dissect.Yes
		case v == more:
			verdict = dissect.Unsure
		case p.FromStart[d]:
			return dissect.No
		}
	}
	return verdict
}

// Sizes of a message's header and of the least header of what is in it, an AVP.
const (
	headerSize = 20
	avpSize    = 8
	looked     = headerSize + avpSize
)

// Flags of a message (RFC 6733, 3).
const (
	flagRequest  = 0x80
	flagError    = 0x20
	flagReserved = 0x0f
)

// header begins every message.
type header struct {
	size        int64
	flags       byte
	command     uint32
	application uint32
	hop         uint32 // hop-by-hop identifier
}

// read reads a header, which must be all there.
func (h *header) read(b []byte) {
	be := binary.BigEndian
	h.size, h.flags = int64(be.Uint32(b)&0xffffff), b[4]
	h.command, h.application, h.hop = be.Uint32(b[4:])&0xffffff, be.Uint32(b[8:]), be.Uint32(b[12:])
}

func (h *header) request() bool { return h.flags&flagRequest != 0 }

// verdict is what a look at bytes came to.
type verdict uint8

const (
	bad verdict = iota
	more
	good
)

// look tells whether b, which is not empty, begins with a message. It needs no more than 28
// bytes to decide.
func (h *header) look(b []byte) verdict {
	if b[0] != 1 { // the version
		return bad
	}
	if len(b) < headerSize {
		if len(b) > 4 && b[4]&flagReserved != 0 || len(b) >= 4 && (b[3]&3 != 0 || b[1]|b[2] == 0 && b[3] < headerSize) {
			return bad
		}
		return more
	}
	h.read(b)
	switch {
	case h.size < headerSize || h.size&3 != 0 || h.flags&flagReserved != 0 || h.flags&(flagRequest|flagError) == flagRequest|flagError:
		return bad
	case h.size == headerSize:
		// No AVPs, which none of the commands that are known allows.
		return bad
	case len(b) < looked:
		return more
	}
	a := b[headerSize:]
	code, n := binary.BigEndian.Uint32(a), int64(binary.BigEndian.Uint32(a[4:])&0xffffff)
	if a[4]&0x1f != 0 || n < avpSize || n > h.size-headerSize {
		return bad
	}
	if commands[h.command].name == "" && code != avpSession && code != avpOriginHost && code != avpResult {
		return bad
	}
	return good
}
