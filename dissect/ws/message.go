package ws

import (
	"strconv"

	"github.com/sshark/sshark/dissect"
)

// message is one message, or control frame: the message of a call.
type message struct {
	opcode     opcode
	open       bool // it has begun
	compressed bool
	incomplete bool
	cut        bool // kept is not all of it
	kept       []byte
	size       int64  // of the payload as sent, with what is missing
	wire       uint64 // with the headers of its frames
	first      int64  // times
	last       int64
	data       []byte // kept, decoded
	failure    error  // why it could not be
	more       bool   // data is not all of it
	wanted     bool
	body       dissect.Body
	call       dissect.Call
}

// keepBody is how much memory is kept for the next message.
const keepBody = 64 << 10

// maxControl is how long the payload of a control frame may be (RFC 6455, 5.5).
const maxControl = 125

func (m *message) reset() {
	kept := m.kept[:0]
	if cap(kept) > keepBody {
		kept = nil
	}
	*m = message{kept: kept}
}

// closing is the code and the reason of a close frame, 0 where there is none (RFC 6455, 5.5.1).
func (m *message) closing() (code int, reason []byte) {
	if m.opcode != opClose || len(m.kept) < 2 {
		return 0, nil
	}
	return int(m.kept[0])<<8 | int(m.kept[1]), m.kept[2:]
}

// AppendSummary implements dissect.Message: "text 12 B", "close 1000 bye".
func (m *message) AppendSummary(dst []byte) []byte {
	dst = append(dst, m.opcode.String()...)
	if code, reason := m.closing(); code != 0 {
		dst = strconv.AppendInt(append(dst, ' '), int64(code), 10)
		if len(reason) > 0 {
			dst = append(append(dst, ' '), reason...)
		}
		return dst
	}
	if m.size == 0 {
		return dst
	}
	dst = strconv.AppendInt(append(dst, ' '), m.size, 10)
	return append(dst, " B"...)
}

// AppendStatus implements dissect.Message.
func (m *message) AppendStatus(dst []byte) []byte { return dst }

// AppendFields implements dissect.Message.
func (m *message) AppendFields(dst []byte) []byte {
	dst = dissect.AppendString(dissect.AppendKey(dst, "ws_opcode"), m.opcode.String())
	dst = strconv.AppendInt(dissect.AppendKey(dst, "ws_size"), m.size, 10)
	if m.compressed {
		dst = append(dissect.AppendKey(dst, "ws_compressed"), "true"...)
	}
	if code, _ := m.closing(); code != 0 {
		dst = strconv.AppendInt(dissect.AppendKey(dst, "ws_close_code"), int64(code), 10)
	}
	return dst
}

// Body implements dissect.Message. What a side says is its request.
func (m *message) Body(part int) *dissect.Body {
	if part != 0 || !m.wanted || m.size == 0 {
		return nil
	}
	m.body = dissect.Body{Data: m.data, Size: m.size, Truncated: m.cut || m.more || m.incomplete, Err: m.failure}
	if m.compressed {
		m.body.Encoding = "permessage-deflate"
	}
	if m.opcode == opText {
		m.body.Type = "text/plain; charset=utf-8"
	}
	return &m.body
}
