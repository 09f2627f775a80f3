package smtp

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/replies"
)

// fields are in JSON order.
var fields = []dissect.Field{
	{Name: "smtp_command", Kind: dissect.String, Help: "command, in upper case", Example: `"RCPT"`,
		Get: replies.GetCommand[*exchange]},
	{Name: "smtp_argument", Kind: dissect.String, Help: "what stands behind the command; of AUTH the mechanism", Example: `"TO:<me@example.com>"`,
		Get: replies.GetArgument[*exchange]},
	{Name: "smtp_size", Kind: dissect.Int, Help: "bytes of the mail (DATA), or of the chunk (BDAT)", Example: "4096",
		Get: dissect.Of(func(e *exchange) any {
			if !e.mailed {
				return nil
			}
			return e.size
		})},
	{Name: "smtp_code", Kind: dissect.Int, Help: "code of the reply", Example: "550",
		Get: replies.GetCode[*exchange]},
	{Name: "smtp_reply", Kind: dissect.String, Help: "last line of the reply, without the code", Example: `"mailbox unavailable"`,
		Get: replies.GetReply[*exchange]},
}

// boxed are the names of the commands, nil: one that is not known. Filters ask for them at
// every call.
var boxed = func() (list [len(verbs)]any) {
	for i, name := range verbs {
		if verb(i) != other {
			list[i] = name
		}
	}
	return list
}()
