package ftp

import (
	"strconv"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/lines"
	"github.com/sshark/sshark/dissect/replies"
	"github.com/sshark/sshark/dissect/turns"
)

const (
	maxSummary = 200 // bytes, then it is cut
	maxText    = 512 // bytes of a reply that are told
	redacted   = "(redacted)"
)

// exchange is a command and its reply, or a reply alone: the message of a call. It is the
// parser's, and used again for the next call.
type exchange struct {
	verb  verb
	asked bool   // there is a command
	line  []byte // of the command
	resp  []byte // the last reply, nil: there is none
	name  [maxVerb]byte
	call  dissect.Call
}

// tell hands a call out.
func (e *exchange) tell(sink dissect.Sink, req, resp *turns.Message) {
	*e = exchange{}
	c := &e.call
	*c = dissect.Call{Message: e}
	if req != nil {
		e.asked, e.verb, e.line = true, verb(req.Note), lines.Trim(req.Data)
		c.Time, c.RequestEnd, c.RequestSize, c.Incomplete = req.First, req.Last, req.Size, req.Cut
	}
	if resp != nil {
		e.resp = resp.Data
		c.ResponseStart, c.ResponseEnd, c.ResponseSize = resp.First, resp.Last, resp.Size
		c.Incomplete = c.Incomplete || resp.Cut
		c.Error = replies.Code(resp.Data) >= 400
	}
	if req == nil {
		c.Reverse, c.Time = true, resp.First
	}
	sink.Call(c)
}

// command is the name of the command, in upper case.
func (e *exchange) command() []byte {
	name, _ := split(e.line)
	name = name[:min(len(name), maxVerb)]
	for i, c := range name {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		e.name[i] = c
	}
	return e.name[:len(name)]
}

// argument is what stands behind the command, nil where that is secret.
func (e *exchange) argument() (args []byte, hidden bool) {
	_, args = split(e.line)
	if secret[e.verb] {
		return nil, len(args) > 0
	}
	return args, false
}

// AppendSummary implements dissect.Message: the line of the command, or of the reply where that
// is all there is.
func (e *exchange) AppendSummary(dst []byte) []byte {
	start := len(dst)
	if !e.asked {
		return lines.Shorten(append(dst, replies.Text(e.resp)...), start, maxSummary)
	}
	dst = append(dst, e.command()...)
	switch args, hidden := e.argument(); {
	case hidden:
		dst = append(append(dst, ' '), redacted...)
	case len(args) > 0:
		dst = append(append(dst, ' '), args...)
	}
	return lines.Shorten(dst, start, maxSummary)
}

// AppendStatus implements dissect.Message: the code.
func (e *exchange) AppendStatus(dst []byte) []byte {
	if e.resp == nil {
		return dst
	}
	return strconv.AppendInt(dst, int64(replies.Code(e.resp)), 10)
}

// text is what the reply says.
func (e *exchange) text() []byte {
	t := replies.Text(e.resp)
	return t[:min(len(t), maxText)]
}

// AppendFields implements dissect.Message.
func (e *exchange) AppendFields(dst []byte) []byte {
	if e.asked {
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "ftp_command"), e.command())
		if args, _ := e.argument(); len(args) > 0 {
			dst = dissect.AppendBytes(dissect.AppendKey(dst, "ftp_argument"), args)
		}
	}
	if e.resp != nil {
		dst = strconv.AppendInt(dissect.AppendKey(dst, "ftp_code"), int64(replies.Code(e.resp)), 10)
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "ftp_reply"), e.text())
	}
	return dst
}

// Body implements dissect.Message: there is none, files go through other connections.
func (e *exchange) Body(int) *dissect.Body { return nil }
