// Package mongodb dissects the MongoDB wire protocol (its specification; BSON 1.1) on any TCP
// port: OP_MSG, what was before it (OP_QUERY and OP_REPLY, OP_INSERT and its kin, OP_COMMAND),
// and any of them in OP_COMPRESSED.
//
// A call is a request and its reply, paired by request ID. A request that wants no reply
// (moreToCome, OP_INSERT, OP_KILL_CURSORS) is handed out at once. A server that was allowed to
// may go on replying without being asked (an exhaust cursor, a hello that is awaited); the
// first reply is the call's, the others say nothing of a request and are not told.
//
// The command is the first element of the request's document. What OP_QUERY asks of a
// collection, and OP_INSERT and its kin, are no commands: they have a collection and an opcode.
// The error is the server's, of a write error the first one's. Messages of an opcode that
// nobody knows are told without what is in them, if they look like OP_MSG.
//
// Of a message 16 KiB are looked at, more where bodies are wanted, and as much of what was
// compressed; a database's name that stands behind that is not seen. Where bytes are missing
// within a message, the stream stays in step; else messages are found by their headers and
// what stands behind them. Without its request a reply is not told.
//
// A parser belongs to one flow and one goroutine; it holds at most 10,000 requests of 4 MiB in
// all, and allocates nothing for a call that is not compressed once it has seen one of its size.
package mongodb

import (
	"bytes"
	"encoding/binary"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes MongoDB.
func Protocol() *dissect.Protocol { return protocol }

var protocol = &dissect.Protocol{
	Name:      "mongodb",
	Title:     "MongoDB",
	Transport: []flow.Proto{flow.TCP},
	Detect:    detect,
	New:       func(f *dissect.Flow, sink dissect.Sink) dissect.Parser { return newParser(f, sink) },
	Fields:    fields,
}

// Opcodes.
const (
	opReply        = 1
	opUpdate       = 2001
	opInsert       = 2002
	opQuery        = 2004
	opGetMore      = 2005
	opDelete       = 2006
	opKillCursors  = 2007
	opCommand      = 2010
	opCommandReply = 2011
	opCompressed   = 2012
	opMsg          = 2013
)

var opcodes = map[int32]string{
	opReply: "OP_REPLY", opUpdate: "OP_UPDATE", opInsert: "OP_INSERT", opQuery: "OP_QUERY", opGetMore: "OP_GET_MORE",
	opDelete: "OP_DELETE", opKillCursors: "OP_KILL_CURSORS", opCommand: "OP_COMMAND", opCommandReply: "OP_COMMANDREPLY",
	opCompressed: "OP_COMPRESSED", opMsg: "OP_MSG",
}

// Flags of OP_MSG.
const (
	flagChecksum = 1 << 0
	flagMore     = 1 << 1
	flagExhaust  = 1 << 16
)

// header begins every message. Numbers are little-endian.
type header struct {
	size   int64
	id, to uint32
	op     int32
}

const (
	headerSize = 16
	// looked is how much of a message is looked at to tell whether it is one.
	looked     = headerSize + 9
	maxMessage = 64 << 20 // servers take 48,000,000
)

// read reads a header, which must be all there.
func (h *header) read(b []byte) {
	h.size = int64(binary.LittleEndian.Uint32(b))
	h.id = binary.LittleEndian.Uint32(b[4:])
	h.to = binary.LittleEndian.Uint32(b[8:])
	h.op = int32(binary.LittleEndian.Uint32(b[12:]))
}

// verdict is what a look at bytes came to.
type verdict uint8

const (
	bad verdict = iota
	more
	request
	reply
)

// detect wants a message of either side.
func detect(p *dissect.Probe) dissect.Verdict {
	verdict := dissect.No
	for d, b := range p.Data {
		if len(b) == 0 {
			continue
		}
		switch v := look(b); {
		case v == request || v == reply:
			if p.Swap = (v == request) == (d == 1); p.Swap && p.Opened { // who opens a connection asks
				p.Swap = false
				return dissect.No
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

// look tells whether b, which is not empty, begins with a message, and of whom.
func look(b []byte) verdict {
	if len(b) < 4 {
		return more
	}
	if n := int64(binary.LittleEndian.Uint32(b)); n < headerSize+4 || n > maxMessage {
		return bad
	}
	if len(b) < headerSize {
		return more
	}
	var h header
	h.read(b)
	return h.look(b)
}

// look tells the same of what stands behind a header.
func (h *header) look(b []byte) verdict {
	if h.size < headerSize+4 || h.size > maxMessage {
		return bad
	}
	if int64(len(b)) < min(looked, h.size) {
		// So much is known by now.
		if _, known := opcodes[h.op]; !known && (h.op < 2000 || h.op > 2999) {
			return bad
		}
		return more
	}
	b = b[headerSize:]
	whose := request
	if h.to != 0 {
		whose = reply
	}
	rest := h.size - headerSize
	switch h.op {
	case opMsg:
		flags := binary.LittleEndian.Uint32(b)
		if flags&^(flagChecksum|flagMore|flagExhaust) != 0 || rest < 10 || b[4] > 1 {
			return bad
		}
		n := int64(binary.LittleEndian.Uint32(b[5:]))
		if n < 5 || n > rest-5 {
			return bad
		}
	case opCompressed:
		if rest < 9 || b[8] > 3 {
			return bad
		}
		switch op := int32(binary.LittleEndian.Uint32(b)); op {
		case opReply, opCommandReply:
			whose = reply
		case opCompressed:
			return bad
		default:
			if opcodes[op] == "" {
				return bad
			}
		}
		if binary.LittleEndian.Uint32(b[4:]) > maxMessage {
			return bad
		}
	case opReply:
		if rest < 20 || binary.LittleEndian.Uint32(b) > 0xff {
			return bad
		}
		return reply
	case opCommandReply:
		return reply
	case opQuery, opInsert, opUpdate, opDelete, opGetMore:
		if binary.LittleEndian.Uint32(b) > 0xff || h.to != 0 || !named(b[4:min(int64(len(b)), rest)]) {
			return bad
		}
	case opKillCursors:
		if binary.LittleEndian.Uint32(b) != 0 || h.to != 0 {
			return bad
		}
	case opCommand:
		if h.to != 0 || !named(b) {
			return bad
		}
	default:
		// One section of OP_MSG, which is all of the message.
		if h.op < 2000 || h.op > 2999 || rest < 10 || binary.LittleEndian.Uint32(b) != 0 || b[4] != 0 ||
			int64(binary.LittleEndian.Uint32(b[5:])) != rest-5 {
			return bad
		}
	}
	return whose
}

// named says whether b begins with the name of a collection, or what there is of it.
func named(b []byte) bool {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	for _, c := range b {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return len(b) > 0
}
