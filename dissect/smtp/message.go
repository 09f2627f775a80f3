package smtp

import (
	"strconv"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/lines"
	"github.com/sshark/sshark/dissect/replies"
	"github.com/sshark/sshark/dissect/turns"
)

// exchange is a command and its reply, or a reply alone: the message of a call. It is the
// parser's, and used again for the next call.
type exchange struct {
	replies.Exchange
	mail   []byte // as far as it is kept
	size   int64  // of the mail, or the chunk
	mailed bool   // there is a mail, or a part of one
	limit  int    // of bodies, 0: they are not wanted
	body   dissect.Body
}

// tell hands a call out.
func (e *exchange) tell(sink dissect.Sink, req, resp *turns.Message) {
	*e = exchange{}
	e.Begin(e, req, resp)
	e.limit, _ = sink.Bodies()
	if req != nil {
		e.read(req)
	}
	sink.Call(&e.Call)
}

// read reads a command; of what AUTH says only the mechanism may be told.
func (e *exchange) read(req *turns.Message) {
	v, n := verb(req.Note), min(req.Line, len(req.Data))
	e.Known = boxed[v]
	if e.Name, e.Args = replies.Split(lines.Trim(req.Data[:n])); v == auth {
		mechanism, secret := replies.Split(e.Args)
		e.Args, e.Hidden = mechanism, len(secret) > 0
	}
	e.mail, e.size = req.Data[n:], int64(req.Size)-int64(req.Line)
	e.mailed = (v == data || v == bdat) && e.size > 0
}

// AppendFields implements dissect.Message.
func (e *exchange) AppendFields(dst []byte) []byte {
	dst = e.AppendCommand(dst, "smtp_command", "smtp_argument")
	if e.mailed {
		dst = strconv.AppendInt(dissect.AppendKey(dst, "smtp_size"), e.size, 10)
	}
	return e.AppendReply(dst, "smtp_code", "smtp_reply")
}

// Body implements dissect.Message: the mail, or the chunk.
func (e *exchange) Body(part int) *dissect.Body {
	if e.limit == 0 || part != 0 || !e.mailed {
		return nil
	}
	e.body = dissect.Body{Type: "message/rfc822", Data: e.mail[:min(len(e.mail), e.limit)], Size: e.size, Truncated: len(e.mail) >= e.limit && e.size > int64(len(e.mail))}
	return &e.body
}
