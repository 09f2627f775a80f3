// Package cassandra dissects the native protocol of Apache Cassandra (CQL binary protocol,
// versions 3 to 5) on any TCP port.
//
// A call is a request and its response, paired by stream ID. An EVENT is a lone message of the
// server. The statement of EXECUTE and BATCH is told by its text if it was prepared in the same
// connection, which is why a flow is read from its first packet kept; else by its ID.
//
// Bodies that are compressed (LZ4, Snappy) are opened; if the STARTUP that says how was not
// seen, by what they look like. In version 5 messages travel in segments behind STARTUP, of
// which the headers have a checksum: that is how they are told from what was before, and found
// again after a loss. Checksums of what is in them are not looked at. Sizes are those of the
// messages, which share segments, before compression of these.
//
// Of a message 16 KiB are looked at, more where bodies are wanted. Where bytes are missing
// within a message, the stream stays in step; else messages are found by their headers and
// what stands behind them. Without its request a response is not told.
//
// A parser belongs to one flow and one goroutine; it holds at most 10,000 requests of 4 MiB and
// 4,096 prepared statements of 4 MiB in all. Those beyond are not told by their text.
package cassandra

import (
	"encoding/binary"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes Cassandra.
func Protocol() *dissect.Protocol { return protocol }

var protocol = &dissect.Protocol{
	Name:      "cassandra",
	Title:     "Cassandra",
	Transport: []flow.Proto{flow.TCP},
	Detect:    detect,
	New:       func(f *dissect.Flow, sink dissect.Sink) dissect.Parser { return newParser(f, sink) },
	FromStart: true,
	Fields:    fields,
}

// Opcodes (specification, 2.4).
const (
	opError        = 0x00
	opStartup      = 0x01
	opReady        = 0x02
	opAuthenticate = 0x03
	opOptions      = 0x05
	opSupported    = 0x06
	opQuery        = 0x07
	opResult       = 0x08
	opPrepare      = 0x09
	opExecute      = 0x0A
	opRegister     = 0x0B
	opEvent        = 0x0C
	opBatch        = 0x0D
	opChallenge    = 0x0E
	opAuthResponse = 0x0F
	opAuthSuccess  = 0x10
)

// opcodes are their names, and whose they are: false, the client's.
var opcodes = [...]struct {
	name   string
	server bool
}{
	opError: {"ERROR", true}, opStartup: {"STARTUP", false}, opReady: {"READY", true}, opAuthenticate: {"AUTHENTICATE", true},
	opOptions: {"OPTIONS", false}, opSupported: {"SUPPORTED", true}, opQuery: {"QUERY", false}, opResult: {"RESULT", true},
	opPrepare: {"PREPARE", false}, opExecute: {"EXECUTE", false}, opRegister: {"REGISTER", false}, opEvent: {"EVENT", true},
	opBatch: {"BATCH", false}, opChallenge: {"AUTH_CHALLENGE", true}, opAuthResponse: {"AUTH_RESPONSE", false}, opAuthSuccess: {"AUTH_SUCCESS", true},
}

// Flags of a message (2.2).
const (
	flagCompressed = 1 << 0
	flagTracing    = 1 << 1
	flagPayload    = 1 << 2
	flagWarning    = 1 << 3
	flagsKnown     = 1<<5 - 1
)

// header begins every message: version, flags, stream, opcode, length.
type header struct {
	version byte
	server  bool // the server says it
	flags   byte
	stream  int16
	op      byte
	length  int64
}

const (
	headerSize = 9
	maxLength  = 256 << 20
	oldest     = 3
	newest     = 5
	eventID    = -1
)

// read reads a header. It says false where what is there of it cannot be one; where all
// headerSize bytes are there, the header is complete.
func (h *header) read(b []byte) bool {
	if len(b) > 0 {
		h.version, h.server = b[0]&0x7f, b[0]&0x80 != 0
		if h.version < oldest || h.version > newest {
			return false
		}
	}
	if len(b) > 1 {
		if h.flags = b[1]; h.flags&^flagsKnown != 0 {
			return false
		}
	}
	if len(b) > 3 {
		h.stream = int16(binary.BigEndian.Uint16(b[2:]))
		if h.stream < eventID || h.stream == eventID && !h.server {
			return false
		}
	}
	if len(b) > 4 {
		h.op = b[4]
		if int(h.op) >= len(opcodes) || opcodes[h.op].name == "" || opcodes[h.op].server != h.server || (h.op == opEvent) != (h.stream == eventID) {
			return false
		}
	}
	if len(b) >= headerSize {
		h.length = int64(binary.BigEndian.Uint32(b[5:]))
		switch h.op {
		case opOptions, opReady:
			return h.length <= 64 // nothing, but for a payload or warnings
		}
		return h.length >= 1 && h.length <= maxLength
	}
	return true
}

// plausible says whether b, what there is of a body, is one of that kind.
func (h *header) plausible(b []byte) bool {
	switch {
	case (h.op == opStartup || h.op == opOptions) && h.flags&(flagCompressed|flagTracing|flagPayload) != 0, // nothing is agreed yet
		h.version >= 5 && h.flags&flagCompressed != 0, // segments are compressed, not messages
		h.flags&flagWarning != 0 && !h.server:
		return false
	case h.flags&(flagCompressed|flagTracing|flagPayload|flagWarning) != 0:
		return true
	}
	r := notations{b: b}
	unknown := func() bool { return r.short && int64(len(b)) < h.length }
	switch h.op {
	case opQuery, opPrepare:
		n := r.int()
		return unknown() || !r.short && n >= 0 && int64(n) <= h.length-4 && text(r.b[:min(len(r.b), n, 64)])
	case opExecute:
		n := r.uint16()
		return unknown() || !r.short && n > 0 && n <= 64 && int64(n) <= h.length-2
	case opBatch:
		kind, n := r.byte(), r.uint16()
		return unknown() || !r.short && kind <= 2 && n <= 1<<15
	case opChallenge, opAuthResponse, opAuthSuccess:
		n := r.int()
		return unknown() || !r.short && (n < 0 && h.length == 4 || int64(n) == h.length-4)
	case opStartup:
		entries, n := r.uint16(), r.uint16()
		return unknown() || !r.short && entries > 0 && entries <= 64 && n >= 3 && n <= 64 && option(r.b[:min(len(r.b), n)])
	case opRegister, opSupported, opEvent, opAuthenticate:
		n := r.uint16()
		if h.op != opEvent && h.op != opAuthenticate { // a list, of which the first is looked at
			n = r.uint16()
		}
		return unknown() || !r.short && n <= 1024 && text(r.b[:min(len(r.b), n, 64)])
	case opError:
		code := r.int()
		return unknown() || !r.short && errorNames[code] != ""
	case opResult:
		kind := r.int()
		return unknown() || !r.short && kind >= resultVoid && kind <= resultSchema
	}
	return true
}

// option says whether b has nothing that no option of STARTUP has: "CQL_VERSION".
func option(b []byte) bool {
	for _, c := range b {
		if (c < 'A' || c > 'Z') && c != '_' {
			return false
		}
	}
	return true
}

// text says whether b has nothing that no statement has.
func text(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' {
			return false
		}
	}
	return true
}

// detect wants a message of either side, or a segment.
func detect(p *dissect.Probe) dissect.Verdict {
	verdict := dissect.No
	for d, b := range p.Data {
		if len(b) == 0 {
			continue
		}
		switch server, v := look(b); {
		case v == dissect.Yes:
			if p.Swap = server == (d == 0); p.Swap && p.Opened { // who opens a connection asks
				p.Swap = false
				return dissect.No
			}
			return v
		case v == dissect.Unsure:
			verdict = v
		case p.FromStart[d]:
			return dissect.No
		}
	}
	return verdict
}

// look tells whether b begins with a message or a segment, and of whom.
func look(b []byte) (server bool, v dissect.Verdict) {
	var h header
	if h.read(b) {
		switch {
		case len(b) < headerSize:
			return false, dissect.Unsure
		case h.plausible(b[headerSize:min(int64(len(b)), headerSize+h.length)]):
			if h.length > 4 && len(b) < headerSize+4 {
				return false, dissect.Unsure
			}
			return h.server, dissect.Yes
		}
	}
	for _, packed := range [...]bool{false, true} {
		s, v := parseSegment(b, packed)
		if v != good {
			continue
		}
		payload := s.open(nil, b[s.head:min(len(b), s.head+s.length)], headerSize)
		if !s.whole { // the middle of a message says nothing of whose it is
			return false, dissect.No
		}
		if len(payload) == 0 {
			return false, dissect.Unsure
		}
		if h = (header{}); h.read(payload[:min(len(payload), headerSize)]) && h.version == newest {
			return h.server, dissect.Yes
		}
	}
	return false, dissect.No
}
