package replies

import (
	"bytes"
	"strconv"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/lines"
	"github.com/sshark/sshark/dissect/turns"
)

// Limits of what is told.
const (
	maxName    = 16  // bytes of a command's name
	maxSummary = 200 // bytes, then it is cut
	maxText    = 512 // bytes of a reply
	redacted   = "(redacted)"
)

// Exchange is a command and its reply, or a reply alone: what the messages of both protocols
// have inside. It borrows what it was made of.
type Exchange struct {
	Call dissect.Call

	Asked  bool   // there is a command, of which the protocol says:
	Known  any    // its name, a string in upper case; nil: it is one that is not known
	Name   []byte // the same as it was sent
	Args   []byte // what stands behind it and may be told
	Hidden bool   // there is more, which is secret

	reply []byte // nil: there is none
	upper [maxName]byte
}

// Split cuts the line of a command into its name and what stands behind it.
func Split(line []byte) (name, args []byte) {
	i := bytes.IndexByte(line, ' ')
	if i < 0 {
		return line, nil
	}
	return line[:i], bytes.TrimLeft(line[i:], " ")
}

// Begin makes the call of a message out of a command and its reply, one of which may be nil.
func (e *Exchange) Begin(m dissect.Message, req, resp *turns.Message) {
	*e = Exchange{Call: dissect.Call{Message: m}, Asked: req != nil}
	c := &e.Call
	if req != nil {
		c.Time, c.RequestEnd, c.RequestSize, c.Incomplete = req.First, req.Last, req.Size, req.Cut
	}
	if resp != nil {
		e.reply = resp.Data
		c.ResponseStart, c.ResponseEnd, c.ResponseSize = resp.First, resp.Last, resp.Size
		c.Incomplete = c.Incomplete || resp.Cut
		c.Error = Code(resp.Data) >= 400
	}
	if req == nil {
		c.Reverse, c.Time = true, resp.First
	}
}

// Exchanged implements Message for what has one inside.
func (e *Exchange) Exchanged() *Exchange { return e }

// command is the name of the command, in upper case.
func (e *Exchange) command() []byte {
	name := e.Name[:min(len(e.Name), maxName)]
	for i, c := range name {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		e.upper[i] = c
	}
	return e.upper[:len(name)]
}

// text is what the reply says.
func (e *Exchange) text() []byte {
	t := Text(e.reply)
	return t[:min(len(t), maxText)]
}

// AppendSummary implements dissect.Message: the line of the command, or of the reply where that
// is all there is.
func (e *Exchange) AppendSummary(dst []byte) []byte {
	start := len(dst)
	if !e.Asked {
		return lines.Shorten(append(dst, Text(e.reply)...), start, maxSummary)
	}
	dst = append(dst, e.command()...)
	if len(e.Args) > 0 {
		dst = append(append(dst, ' '), e.Args...)
	}
	if e.Hidden {
		dst = append(append(dst, ' '), redacted...)
	}
	return lines.Shorten(dst, start, maxSummary)
}

// AppendStatus implements dissect.Message: the code.
func (e *Exchange) AppendStatus(dst []byte) []byte {
	if e.reply == nil {
		return dst
	}
	return strconv.AppendInt(dst, int64(Code(e.reply)), 10)
}

// AppendCommand appends the fields of the command, under the names given.
func (e *Exchange) AppendCommand(dst []byte, command, argument string) []byte {
	if e.Asked {
		dst = dissect.AppendBytes(dissect.AppendKey(dst, command), e.command())
		if len(e.Args) > 0 {
			dst = dissect.AppendBytes(dissect.AppendKey(dst, argument), e.Args)
		}
	}
	return dst
}

// AppendReply appends the fields of the reply, under the names given.
func (e *Exchange) AppendReply(dst []byte, code, text string) []byte {
	if e.reply != nil {
		dst = strconv.AppendInt(dissect.AppendKey(dst, code), int64(Code(e.reply)), 10)
		dst = dissect.AppendBytes(dissect.AppendKey(dst, text), e.text())
	}
	return dst
}

// Message is one that has an Exchange inside. The functions of such are for dissect.Field.Get.
type Message interface {
	dissect.Message
	Exchanged() *Exchange
}

// GetCommand is the name of the command.
func GetCommand[M Message](c *dissect.Call) any {
	m, ok := c.Message.(M)
	switch {
	case !ok || !m.Exchanged().Asked:
		return nil
	case m.Exchanged().Known != nil:
		return m.Exchanged().Known
	}
	return string(m.Exchanged().command())
}

// GetArgument is what stands behind the command and may be told.
func GetArgument[M Message](c *dissect.Call) any {
	if m, ok := c.Message.(M); ok && len(m.Exchanged().Args) > 0 {
		return string(m.Exchanged().Args)
	}
	return nil
}

// GetCode is the code of the reply.
func GetCode[M Message](c *dissect.Call) any {
	if m, ok := c.Message.(M); ok && m.Exchanged().reply != nil {
		return int64(Code(m.Exchanged().reply))
	}
	return nil
}

// GetReply is the last line of the reply, without the code.
func GetReply[M Message](c *dissect.Call) any {
	if m, ok := c.Message.(M); ok && m.Exchanged().reply != nil {
		return string(m.Exchanged().text())
	}
	return nil
}
