package ftp

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/replies"
)

// fields are in JSON order.
var fields = []dissect.Field{
	{Name: "ftp_command", Kind: dissect.String, Help: "command, in upper case", Example: `"RETR"`,
		Get: replies.GetCommand[*exchange]},
	{Name: "ftp_argument", Kind: dissect.String, Help: "what stands behind the command, but no password", Example: `"robots.txt"`,
		Get: replies.GetArgument[*exchange]},
	{Name: "ftp_code", Kind: dissect.Int, Help: "code of the last reply", Example: "550",
		Get: replies.GetCode[*exchange]},
	{Name: "ftp_reply", Kind: dissect.String, Help: "last line of the reply, without the code", Example: `"No such file"`,
		Get: replies.GetReply[*exchange]},
}

// boxed are the names of the commands, nil: one that is not known. Filters ask for them at
// every call.
var boxed = func() (list [len(verbs)]any) {
	for i, name := range verbs[1:] {
		list[i+1] = name
	}
	return list
}()
