// Package ftp dissects the control connection of FTP (RFC 959) with its extensions (RFC 2228,
// 2389, 2428, 3659, 4217), on any TCP port. What is transferred goes through connections of
// its own, which are not looked for.
//
// A call is a command and its reply, paired by order. A preliminary reply (1yz) comes in
// between: the call begins to be answered with it, and has the code of the last one. Replies
// that nobody asked for are lone messages: the greeting, and a server's good bye. Where the
// server agrees to AUTH TLS the stream is handed on.
//
// Passwords (PASS, ACCT) and what ADAT says are not repeated.
//
// Where bytes are missing, commands and replies are looked for by their lines; a line whose
// beginning is missing counts only if its command is known. Whose a reply is behind a hole: see
// package turns.
//
// It cannot know: what CCC leads back to, as the encrypted part is not read.
//
// A parser belongs to one flow and one goroutine, and allocates nothing for a call once it has
// seen one of its size.
package ftp

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes FTP.
func Protocol() *dissect.Protocol { return protocol }

var protocol = &dissect.Protocol{
	Name:      "ftp",
	Title:     "FTP",
	Transport: []flow.Proto{flow.TCP},
	Detect:    detect,
	New: func(f *dissect.Flow, sink dissect.Sink) dissect.Parser {
		p := newParser(sink)
		p.queue.Middle = f.Opening == 0
		return p
	},
	Fields: fields,
}
