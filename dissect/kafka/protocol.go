// Package kafka dissects the protocol of Apache Kafka (its protocol guide; KIP-482 for flexible
// versions), as brokers and clients speak it without TLS, on any TCP port.
//
// A call is a request and its response, paired by correlation ID. Brokers answer in order, so
// a response means that older requests will not be answered any more. A producer that wants
// no acknowledgement (acks=0) gets none: its request is handed out at once.
//
// All APIs are known by name. Of most, the layout is known as far as it tells topics and
// errors; the error of a call is the first one in its response. Where topics are named by ID
// (produce and fetch since versions 13), the name is known if a response of the same connection
// told it; else the ID is told, in the form that Kafka prints. An incremental fetch names no
// topics: those of its response are told.
//
// Records are decoded only where bodies are wanted: gzip, Snappy, LZ4, Zstandard. A body is
// then their values, a line each. Raw SASL tokens (SaslHandshake version 0) are skipped.
//
// Of a message 16 KiB are looked at, more where bodies are wanted; topics and errors behind
// that are not seen. Where bytes are missing within a message, the stream stays in step; else
// requests are found by their headers, and responses by the ID of a request that waits.
// Without its request a response says nothing, so it is not told.
//
// A parser belongs to one flow and one goroutine; it holds at most 10,000 requests of 4 MiB in
// all, and allocates nothing for a call once it has seen one of its size.
package kafka

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes Kafka.
func Protocol() *dissect.Protocol { return protocol }

var protocol = &dissect.Protocol{
	Name:      "kafka",
	Title:     "Kafka",
	Transport: []flow.Proto{flow.TCP},
	Detect:    detect,
	New:       func(f *dissect.Flow, sink dissect.Sink) dissect.Parser { return newParser(f, sink) },
	Fields:    fields,
}

// What makes a request that is not all there one: some bytes of its body, or a client's ID if
// the request is of a common size.
const (
	enoughName = 3
	enoughBody = 8
	common     = 64 << 10
)

// detect wants the header of a request from either side, and some of its body. Responses have
// no form of their own.
func detect(p *dissect.Probe) dissect.Verdict {
	verdict := dissect.No
	for d, b := range p.Data {
		if len(b) == 0 {
			continue
		}
		h, v := parseHeader(b)
		few := v == good && h.few(b, p.FromStart[d])
		switch {
		case v == good && !few && whole(b) && (d == 0 || !p.Opened): // who opens a connection asks
			p.Swap = d == 1
			return dissect.Yes
		case (v == more || few && whole(b)) && len(b) < dissect.ProbeSize:
			verdict = dissect.Unsure
		}
		if p.FromStart[d] && verdict == dissect.No && d == 0 && p.Opened {
			return dissect.No
		}
	}
	return verdict
}

// few says whether what is there of a request is not enough to tell it. In the middle of a
// stream, one whose layout is not known has to be there to its end.
func (h *header) few(b []byte, start bool) bool {
	size := 4 + int(binary.BigEndian.Uint32(b))
	switch {
	case len(b) >= size:
		return false
	case len(layouts[h.key].request) == 0 && !start:
		return true
	}
	return len(b) < h.body+enoughBody && (len(h.client) < enoughName || size > common)
}

// Limits of what is believed.
const (
	maxRequest = 1 << 24 // bytes of a request that is not known to be one
	maxMessage = 1 << 30
	maxClient  = 1024
	newer      = 4 // versions of an API that came after this was written
)

// verdict is what a look at bytes came to.
type verdict uint8

const (
	bad verdict = iota
	more
	good
)

// header is that of a request, versions 1 and 2.
type header struct {
	key, version int16
	correlation  uint32
	client       []byte
	body         int // where it begins
}

// flexible says whether the version of the request has compact strings and tagged fields.
func (h *header) flexible() bool {
	return int(h.key) >= len(apis) || h.version >= apis[h.key].flexible
}

// parseHeader reads the header that a request begins with. It is strict: only APIs that are
// known pass, and a client's ID must be text.
func parseHeader(b []byte) (h header, v verdict) {
	if len(b) >= 4 {
		if n := binary.BigEndian.Uint32(b); n < 10 || n > maxRequest {
			return h, bad
		}
	} else if len(b) > 0 && b[0] != 0 {
		return h, bad
	}
	if len(b) < 8 {
		if len(b) >= 6 && int(binary.BigEndian.Uint16(b[4:])) >= len(apis) {
			return h, bad
		}
		return h, more
	}
	h.read(b)
	if int(h.key) >= len(apis) || h.key < 0 || h.version < 0 || h.version > apis[h.key].newest+newer {
		return h, bad
	}
	if len(b) < 14 {
		return h, more
	}
	return h, h.readClient(b)
}

// read reads what has a fixed place: of the 12 bytes, as many as there are.
func (h *header) read(b []byte) {
	h.key = int16(binary.BigEndian.Uint16(b[4:]))
	h.version = int16(binary.BigEndian.Uint16(b[6:]))
	if len(b) >= 12 {
		h.correlation = binary.BigEndian.Uint32(b[8:])
	}
}

// readClient reads the rest of the header.
func (h *header) readClient(b []byte) verdict {
	n := int(int16(binary.BigEndian.Uint16(b[12:])))
	size := int(min(4+int64(binary.BigEndian.Uint32(b)), maxMessage))
	if n < -1 || n > maxClient || 14+n > size {
		return bad
	}
	n = max(n, 0)
	h.client = b[14:min(14+n, len(b))]
	if !text(h.client) {
		return bad
	}
	if len(h.client) < n {
		return more
	}
	h.body = 14 + n
	if !h.flexible() {
		return good
	}
	w := walker{b: b[h.body:], flexible: true}
	w.tags()
	h.body = len(b) - len(w.b)
	switch {
	case w.bad, h.body > size:
		return bad
	case w.short:
		return more
	}
	return good
}

// text says whether a client's ID, of which the end may be missing, has nothing that no name has.
func text(b []byte) bool {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r < ' ' || r == 0x7f || r == utf8.RuneError && n == 1 && utf8.FullRune(b[i:]) {
			return false
		}
		i += n
	}
	return true
}

// whole says whether the body of a request, whose header is good, is as its layout says, as
// far as it is there.
func whole(b []byte) bool {
	h, _ := parseHeader(b)
	size := 4 + int(binary.BigEndian.Uint32(b))
	w := walker{b: b[h.body:max(h.body, min(size, len(b)))], version: h.version, flexible: h.flexible()}
	if h.version > apis[h.key].newest {
		return true
	}
	return w.fits(layouts[h.key].request, max(0, size-len(b)))
}

// fits says whether the walker's bytes, of which more are to come, can be a body.
func (w *walker) fits(fields []field, more int) bool {
	w.behind, w.strict = more, true
	ended := w.walk(fields, &visitor{})
	switch {
	case w.bad:
		return false
	case w.short:
		return more > 0
	}
	return !ended || len(fields) == 0 || more == 0 && len(w.b) == 0
}
