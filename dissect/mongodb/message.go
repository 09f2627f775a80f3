package mongodb

import (
	"strconv"

	"github.com/sshark/sshark/dissect"
)

// Limits of names.
const (
	maxName    = 128
	maxSummary = 300
)

// exchange is a request and its reply: the message of a call. It is the parser's, and used
// again for the next call.
type exchange struct {
	op         int32
	compressor string // "" none
	mem        []byte // command, database, collection, and the body where it is wanted
	command    int    // where each ends in mem
	database   int
	collection int
	body       int // where it begins
	whole      bool
	bodies     bool // wanted
	limit      int
	size       int64

	said       bool // there is a reply
	answer     reading
	resp       []byte
	respWhole  bool
	answerSize int64

	call  dissect.Call
	shown [2]dissect.Body
}

// note keeps what a request is about.
func (e *exchange) note(r *reading) {
	for _, part := range [...]struct {
		text []byte
		end  *int
	}{{r.name, &e.command}, {r.database, &e.database}, {r.collection, &e.collection}} {
		e.mem = append(e.mem, part.text[:min(len(part.text), maxName)]...)
		*part.end = len(e.mem)
	}
}

func (e *exchange) nameOf() []byte       { return e.mem[:e.command] }
func (e *exchange) databaseOf() []byte   { return e.mem[e.command:e.database] }
func (e *exchange) collectionOf() []byte { return e.mem[e.database:e.collection] }

// appendOpcode appends the opcode's name.
func (e *exchange) appendOpcode(dst []byte) []byte {
	if name, ok := opcodes[e.op]; ok {
		return append(dst, name...)
	}
	return strconv.AppendInt(dst, int64(e.op), 10)
}

// AppendSummary implements dissect.Message: "find shop.orders", "OP_INSERT shop.orders".
func (e *exchange) AppendSummary(dst []byte) []byte {
	if e.command > 0 {
		dst = append(dst, e.nameOf()...)
	} else {
		dst = e.appendOpcode(dst)
	}
	if db := e.databaseOf(); len(db) > 0 {
		dst = append(append(dst, ' '), db...)
		if c := e.collectionOf(); len(c) > 0 {
			dst = append(append(dst, '.'), c...)
		}
	} else if c := e.collectionOf(); len(c) > 0 {
		dst = append(append(dst, ' '), c...)
	}
	return dst
}

// AppendStatus implements dissect.Message: "OK", the name of the error's code, the code, or
// "error".
func (e *exchange) AppendStatus(dst []byte) []byte {
	a := &e.answer
	switch {
	case !e.said:
		return dst
	case a.failed && len(a.codeName) > 0:
		return append(dst, a.codeName[:min(len(a.codeName), maxName)]...)
	case a.failed && a.code != 0:
		return strconv.AppendInt(dst, a.code, 10)
	case a.failed:
		return append(dst, "error"...)
	case a.ok:
		return append(dst, "OK"...)
	}
	return dst
}

// AppendFields implements dissect.Message.
func (e *exchange) AppendFields(dst []byte) []byte {
	if e.command > 0 {
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "mongodb_command"), e.nameOf())
	}
	if b := e.collectionOf(); len(b) > 0 {
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "mongodb_collection"), b)
	}
	if b := e.databaseOf(); len(b) > 0 {
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "mongodb_database"), b)
	}
	dst = append(e.appendOpcode(append(dissect.AppendKey(dst, "mongodb_opcode"), '"')), '"')
	if e.compressor != "" {
		dst = dissect.AppendString(dissect.AppendKey(dst, "mongodb_compressor"), e.compressor)
	}
	if a := &e.answer; e.said {
		if a.failed || a.ok {
			dst = strconv.AppendBool(dissect.AppendKey(dst, "mongodb_success"), !a.failed)
		}
		if a.failed {
			dst = strconv.AppendInt(dissect.AppendKey(dst, "mongodb_error_code"), a.code, 10)
			if len(a.codeName) > 0 {
				dst = dissect.AppendBytes(dissect.AppendKey(dst, "mongodb_error_code_name"), a.codeName)
			}
			if len(a.text) > 0 {
				dst = dissect.AppendBytes(dissect.AppendKey(dst, "mongodb_error_message"), a.text)
			}
		}
	}
	dst = strconv.AppendInt(dissect.AppendKey(dst, "mongodb_request_size"), e.size, 10)
	if e.said {
		dst = strconv.AppendInt(dissect.AppendKey(dst, "mongodb_response_size"), e.answerSize, 10)
	}
	return strconv.AppendInt(dissect.AppendKey(dst, "mongodb_total_size"), e.size+e.answerSize, 10)
}

// Body implements dissect.Message: the documents, in BSON.
func (e *exchange) Body(part int) *dissect.Body {
	if !e.bodies || part>>1 != 0 || part == 1 && !e.said {
		return nil
	}
	b := &e.shown[part]
	*b = dissect.Body{Type: "application/bson", Data: e.mem[e.body:], Size: e.size, Truncated: !e.whole, Encoding: e.compressor}
	if part == 1 {
		b.Data, b.Size, b.Truncated = e.resp, e.answerSize, !e.respWhole
	}
	if len(b.Data) == 0 {
		return nil
	}
	return b
}
