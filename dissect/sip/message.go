package sip

import (
	"strconv"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/lines"
	"github.com/sshark/sshark/pcap/flow"
)

const (
	maxSummary = 200 // bytes, then it is cut
	maxField   = 512
)

// message is a request or a response.
type message struct {
	head
	b        []byte // head, and as much of the body as is kept
	mem      []byte // where b is kept
	headSize int
	bodySize int64
	size     uint64
	first    int64
	last     int64
	key      uint64
	dir      flow.Dir
	seen     bool // there is one
	cut      bool // bytes of it are missing
}

// exchange is a request and its response, or one of them: the message of a call.
type exchange struct {
	req, resp message
	limit     int // of bodies, 0: they are not wanted
	call      dissect.Call
	body      [2]dissect.Body
}

// any is the message to read what both have from.
func (e *exchange) any() *message {
	if e.req.seen {
		return &e.req
	}
	return &e.resp
}

// AppendSummary implements dissect.Message: "INVITE sip:bob@example.com"; of a response alone
// what was asked, or else its reason.
func (e *exchange) AppendSummary(dst []byte) []byte {
	start := len(dst)
	m := e.any()
	dst = append(dst, m.method.of(m.b)...)
	if e.req.seen {
		dst = append(append(dst, ' '), m.uri.of(m.b)...)
	} else if len(dst) == start {
		dst = append(dst, m.reason.of(m.b)...)
	}
	return lines.Shorten(dst, start, maxSummary)
}

// AppendStatus implements dissect.Message: the code.
func (e *exchange) AppendStatus(dst []byte) []byte {
	if !e.resp.seen {
		return dst
	}
	return strconv.AppendInt(dst, int64(e.resp.status), 10)
}

func (e *exchange) method() []byte {
	if !e.req.seen {
		return nil
	}
	return e.req.method.of(e.req.b)
}

func (e *exchange) uri() []byte    { return field(e.req.uri.of(e.req.b)) }
func (e *exchange) reason() []byte { return field(e.resp.reason.of(e.resp.b)) }

func (e *exchange) callID() []byte { m := e.any(); return field(m.callID.of(m.b)) }
func (e *exchange) cseq() []byte   { m := e.any(); return field(m.cseq.of(m.b)) }
func (e *exchange) from() []byte   { m := e.any(); return field(m.from.of(m.b)) }
func (e *exchange) to() []byte     { m := e.any(); return field(m.to.of(m.b)) }

func field(b []byte) []byte { return b[:min(len(b), maxField)] }

// AppendFields implements dissect.Message.
func (e *exchange) AppendFields(dst []byte) []byte {
	dst = dissect.AppendKnown(dst, "sip_method", e.method())
	dst = dissect.AppendKnown(dst, "sip_uri", e.uri())
	if e.resp.seen {
		dst = strconv.AppendInt(dissect.AppendKey(dst, "sip_status"), int64(e.resp.status), 10)
	}
	dst = dissect.AppendKnown(dst, "sip_reason", e.reason())
	dst = dissect.AppendKnown(dst, "sip_call_id", e.callID())
	dst = dissect.AppendKnown(dst, "sip_cseq", e.cseq())
	dst = dissect.AppendKnown(dst, "sip_from", e.from())
	return dissect.AppendKnown(dst, "sip_to", e.to())
}

// Body implements dissect.Message: the body, as a description of a session.
func (e *exchange) Body(p int) *dissect.Body {
	if e.limit == 0 || p>>1 != 0 {
		return nil
	}
	m := &e.req
	if p == 1 {
		m = &e.resp
	}
	if !m.seen || m.bodySize == 0 {
		return nil
	}
	b := &e.body[p]
	data := m.b[min(len(m.b), m.headSize):]
	*b = dissect.Body{Type: string(field(m.content.of(m.b))), Data: data[:min(len(data), e.limit)], Size: m.bodySize}
	b.Truncated = int64(len(b.Data)) < b.Size
	return b
}
