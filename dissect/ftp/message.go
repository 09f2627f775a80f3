package ftp

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/lines"
	"github.com/sshark/sshark/dissect/replies"
	"github.com/sshark/sshark/dissect/turns"
)

// exchange is a command and its reply, or a reply alone: the message of a call. It is the
// parser's, and used again for the next call.
type exchange struct{ replies.Exchange }

// tell hands a call out.
func (e *exchange) tell(sink dissect.Sink, req, resp *turns.Message) {
	e.Begin(e, req, resp)
	if req != nil {
		v := verb(req.Note)
		e.Known = boxed[v]
		if e.Name, e.Args = split(lines.Trim(req.Data)); secret[v] {
			e.Args, e.Hidden = nil, len(e.Args) > 0
		}
	}
	sink.Call(&e.Call)
}

// AppendFields implements dissect.Message.
func (e *exchange) AppendFields(dst []byte) []byte {
	dst = e.AppendCommand(dst, "ftp_command", "ftp_argument")
	return e.AppendReply(dst, "ftp_code", "ftp_reply")
}

// Body implements dissect.Message: there is none, files go through other connections.
func (e *exchange) Body(int) *dissect.Body { return nil }
