package cassandra

import (
	"encoding/hex"
	"strconv"

	"github.com/sshark/sshark/dissect"
)

// maxSummary is how many bytes of a statement a summary has.
const maxSummary = 200

// exchange is a request and its response, or an event: the message of a call. It is the
// parser's, and used again for the next call.
type exchange struct {
	header             // of the request, or of the event
	asked       bool   // there is a request
	mem         []byte // the statement, and the body where it is wanted
	text        int    // bytes of the statement
	known       string // a prepared statement, instead
	id          [32]byte
	idSize      int
	consistency int
	compression string
	whole       bool
	bodies      bool // wanted
	limit       int
	size        int64

	said        bool // there is a response
	resp        reading
	answer      []byte
	answerWhole bool
	answerSize  int64

	call  dissect.Call
	shown [2]dissect.Body
}

// query is the text of the statement, nil: there is none, or nobody knows it.
func (e *exchange) query() []byte {
	if e.known != "" {
		return []byte(e.known)
	}
	return e.mem[:e.text]
}

// AppendSummary implements dissect.Message: "QUERY SELECT …", "EVENT STATUS_CHANGE".
func (e *exchange) AppendSummary(dst []byte) []byte {
	dst = append(dst, opcodes[e.op].name...)
	switch {
	case !e.asked:
		return append(append(dst, ' '), e.resp.text...)
	case e.known != "":
		return appendCut(append(dst, ' '), e.known)
	case e.text > 0:
		return appendCut(append(dst, ' '), e.mem[:e.text])
	case e.idSize > 0:
		return hex.AppendEncode(append(dst, ' '), e.id[:e.idSize])
	}
	return dst
}

func appendCut[T string | []byte](dst []byte, text T) []byte {
	if len(text) <= maxSummary {
		return append(dst, text...)
	}
	n := maxSummary
	for n > 0 && text[n]&0xC0 == 0x80 { // not within a character
		n--
	}
	return append(append(dst, text[:n]...), "…"...)
}

// AppendStatus implements dissect.Message: the kind of result, the name of the error, or the
// response's opcode.
func (e *exchange) AppendStatus(dst []byte) []byte {
	switch {
	case !e.said || !e.asked:
		return dst
	case e.resp.op == opError && e.resp.code >= 0:
		if name := errorNames[e.resp.code]; name != "" {
			return append(dst, name...)
		}
		return strconv.AppendInt(dst, int64(e.resp.code), 10)
	case e.resp.op == opResult && e.resp.kind > 0 && e.resp.kind < len(results):
		return append(dst, results[e.resp.kind]...)
	}
	return append(dst, opcodes[e.resp.op].name...)
}

// AppendFields implements dissect.Message.
func (e *exchange) AppendFields(dst []byte) []byte {
	if e.asked {
		dst = dissect.AppendString(dissect.AppendKey(dst, "cassandra_opcode"), opcodes[e.op].name)
		switch {
		case e.known != "":
			dst = dissect.AppendString(dissect.AppendKey(dst, "cassandra_query"), e.known)
		case e.text > 0:
			dst = dissect.AppendBytes(dissect.AppendKey(dst, "cassandra_query"), e.mem[:e.text])
		}
		if e.idSize > 0 {
			dst = hex.AppendEncode(append(dissect.AppendKey(dst, "cassandra_statement_id"), '"'), e.id[:e.idSize])
			dst = append(dst, '"')
		}
		if e.consistency >= 0 && e.consistency < len(consistencies) {
			dst = dissect.AppendString(dissect.AppendKey(dst, "cassandra_consistency"), consistencies[e.consistency])
		}
	}
	dst = strconv.AppendInt(dissect.AppendKey(dst, "cassandra_version"), int64(e.version), 10)
	if e.compression != "" {
		dst = dissect.AppendString(dissect.AppendKey(dst, "cassandra_compression"), e.compression)
	}
	if e.said {
		dst = dissect.AppendString(dissect.AppendKey(dst, "cassandra_response_opcode"), opcodes[e.resp.op].name)
		switch {
		case e.resp.op == opResult && e.resp.kind > 0 && e.resp.kind < len(results):
			dst = dissect.AppendString(dissect.AppendKey(dst, "cassandra_result_kind"), results[e.resp.kind])
		case e.resp.op == opEvent:
			dst = dissect.AppendBytes(dissect.AppendKey(dst, "cassandra_event"), e.resp.text)
		case e.resp.op == opError && e.resp.code >= 0:
			dst = strconv.AppendInt(dissect.AppendKey(dst, "cassandra_error_code"), int64(e.resp.code), 10)
			dst = dissect.AppendBytes(dissect.AppendKey(dst, "cassandra_error_message"), e.resp.text)
		}
	}
	if e.asked {
		dst = strconv.AppendInt(dissect.AppendKey(dst, "cassandra_request_size"), e.size, 10)
	}
	if e.said {
		dst = strconv.AppendInt(dissect.AppendKey(dst, "cassandra_response_size"), e.answerSize, 10)
	}
	return strconv.AppendInt(dissect.AppendKey(dst, "cassandra_total_size"), e.size+e.answerSize, 10)
}

// Body implements dissect.Message: what stands behind a header, undone of compression.
func (e *exchange) Body(part int) *dissect.Body {
	if !e.bodies || part>>1 != 0 || part == 0 && !e.asked || part == 1 && !e.said {
		return nil
	}
	b := &e.shown[part]
	if part == 0 {
		*b = dissect.Body{Data: e.mem[e.text:], Size: e.size - headerSize, Truncated: !e.whole, Encoding: e.compression}
	} else {
		*b = dissect.Body{Data: e.answer, Size: e.answerSize - headerSize, Truncated: !e.answerWhole, Encoding: e.compression}
	}
	if b.Size == 0 {
		return nil
	}
	return b
}
