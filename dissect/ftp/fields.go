package ftp

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/replies"
)

// fields are in JSON order.
var fields = []dissect.Field{
	{Name: "ftp_command", Kind: dissect.String, Help: "command, in upper case", Example: `"RETR"`,
		Get: dissect.Of(func(e *exchange) any {
			switch {
			case !e.asked:
				return nil
			case e.verb != 0:
				return boxed[e.verb]
			}
			return string(e.command())
		})},
	{Name: "ftp_argument", Kind: dissect.String, Help: "what stands behind the command, but no password", Example: `"robots.txt"`,
		Get: dissect.Of(func(e *exchange) any {
			if args, _ := e.argument(); len(args) > 0 {
				return string(args)
			}
			return nil
		})},
	{Name: "ftp_code", Kind: dissect.Int, Help: "code of the last reply", Example: "550",
		Get: dissect.Of(func(e *exchange) any {
			if e.resp == nil {
				return nil
			}
			return int64(replies.Code(e.resp))
		})},
	{Name: "ftp_reply", Kind: dissect.String, Help: "last line of the reply, without the code", Example: `"No such file"`,
		Get: dissect.Of(func(e *exchange) any {
			if e.resp == nil {
				return nil
			}
			return string(e.text())
		})},
}

// boxed are the names of the commands: filters ask for them at every call.
var boxed = func() (list [len(verbs)]any) {
	for i, name := range verbs {
		list[i] = name
	}
	return list
}()
