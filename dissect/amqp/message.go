package amqp

import (
	"encoding/binary"
	"strconv"

	"github.com/sshark/sshark/dissect"
)

// exchange is a method with its content: the message of a call. It is the parser's, and used
// again for the next call.
type exchange struct {
	method  *method
	channel uint16
	args    []byte // behind class and ID, as far as they are kept
	mem     []byte // where they and the content's type are kept
	kind    int    // where the content's type begins in mem, 0: it has none
	reverse bool
	cut     bool
	bodies  bool // wanted
	headed  bool // the content header was seen
	first   int64
	last    int64
	size    int64 // of all frames

	body     []byte
	bodySize int64 // as the content header says
	left     int64 // bytes of it to come

	call  dissect.Call
	shown dissect.Body
}

// weight is how many bytes it holds.
func (e *exchange) weight() int { return len(e.mem) + len(e.body) }

// header takes a content header (specification, 4.2.6.1). It says whether that was all.
func (e *exchange) header(b []byte) (done bool) {
	if e.headed || len(b) < 14 {
		e.cut = true
		return true
	}
	e.headed = true
	e.bodySize = int64(min(binary.BigEndian.Uint64(b[4:]), 1<<62))
	e.left = e.bodySize
	const hasType = 1 << 15
	if props := b[14:]; binary.BigEndian.Uint16(b[12:])&hasType != 0 && len(props) > 0 {
		n := min(int(props[0]), len(props)-1)
		e.kind = len(e.mem)
		e.mem = append(e.mem, props[1:1+n]...)
		e.args = e.mem[:e.kind]
	}
	return e.left == 0
}

// content takes n bytes of the body, of which b was kept. It says whether that was all.
func (e *exchange) content(b []byte, n int64, limit int) (done bool) {
	if !e.headed || n > e.left {
		e.cut = true
		return true
	}
	if e.left -= n; e.bodies && int64(len(e.body)) == e.bodySize-e.left-n {
		e.body = append(e.body, b[:min(len(b), max(0, limit-len(e.body)))]...)
	}
	return e.left == 0
}

// code is a reply code, 0: there is none.
func (e *exchange) code() int {
	if b := e.method.arg(e.args, 'C'); b != nil {
		return int(binary.BigEndian.Uint16(b))
	}
	return 0
}

const replySuccess = 200

// failed says whether the method tells of a failure: a close with a reason, a message that
// came back, or one that the server did not take.
func (e *exchange) failed() bool {
	code := e.code()
	return code != 0 && code != replySuccess || e.method == &refusal || e.reverse && e.method.name == "basic.nack"
}

// AppendSummary implements dissect.Message: "basic.publish shop/order.created", "queue.declare
// mail", "channel.close NOT_FOUND - no queue 'x'".
func (e *exchange) AppendSummary(dst []byte) []byte {
	dst = append(dst, e.method.name...)
	if e.method == &refusal {
		for i, c := range e.args[:min(4, len(e.args))] {
			dst = append(dst, " -"[min(i, 1)])
			dst = strconv.AppendUint(dst, uint64(c), 10)
		}
		return dst
	}
	for _, kind := range []byte("QEVX") {
		arg := e.method.arg(e.args, kind)
		if kind == 'E' {
			if key := e.method.arg(e.args, 'R'); key != nil {
				dst = append(append(append(append(dst, ' '), arg...), '/'), key...)
				continue
			}
		}
		if len(arg) > 0 {
			dst = append(append(dst, ' '), arg...)
		}
	}
	return dst
}

// AppendStatus implements dissect.Message: the reply code.
func (e *exchange) AppendStatus(dst []byte) []byte {
	if c := e.code(); c != 0 {
		return strconv.AppendInt(dst, int64(c), 10)
	}
	return dst
}

// texts are the fields that are arguments, in JSON order.
var texts = [...]struct {
	name string
	kind byte
}{{"amqp_exchange", 'E'}, {"amqp_routing_key", 'R'}, {"amqp_queue", 'Q'}, {"amqp_consumer_tag", 'T'}, {"amqp_virtual_host", 'V'}, {"amqp_reply_text", 'X'}}

// AppendFields implements dissect.Message.
func (e *exchange) AppendFields(dst []byte) []byte {
	dst = dissect.AppendString(dissect.AppendKey(dst, "amqp_method"), e.method.name)
	var mem [1024]byte
	dst = dissect.AppendBytes(dissect.AppendKey(dst, "amqp_summary"), e.AppendSummary(mem[:0]))
	dst = strconv.AppendBool(dissect.AppendKey(dst, "amqp_request"), !e.method.reply)
	dst = strconv.AppendBool(dissect.AppendKey(dst, "amqp_response"), e.method.reply)
	dst = strconv.AppendUint(dissect.AppendKey(dst, "amqp_channel"), uint64(e.channel), 10)
	for _, t := range texts {
		if arg := e.method.arg(e.args, t.kind); arg != nil {
			dst = dissect.AppendBytes(dissect.AppendKey(dst, t.name), arg)
		}
	}
	if c := e.code(); c != 0 {
		dst = strconv.AppendInt(dissect.AppendKey(dst, "amqp_reply_code"), int64(c), 10)
	}
	if e.headed {
		if e.kind > 0 {
			dst = dissect.AppendBytes(dissect.AppendKey(dst, "amqp_content_type"), e.mem[e.kind:])
		}
		dst = strconv.AppendInt(dissect.AppendKey(dst, "amqp_body_size"), e.bodySize, 10)
	}
	name := "amqp_request_length"
	if e.method.reply {
		name = "amqp_response_length"
	}
	dst = strconv.AppendInt(dissect.AppendKey(dst, name), e.size, 10)
	return strconv.AppendInt(dissect.AppendKey(dst, "amqp_total_size"), e.size, 10)
}

// Body implements dissect.Message: the content.
func (e *exchange) Body(part int) *dissect.Body {
	if !e.bodies || !e.headed || e.bodySize == 0 || (part == 1) != e.method.reply || part>>1 != 0 {
		return nil
	}
	b := &e.shown
	*b = dissect.Body{Data: e.body, Size: e.bodySize, Truncated: int64(len(e.body)) < e.bodySize}
	if e.kind > 0 {
		b.Type = string(e.mem[e.kind:])
	}
	return b
}
