// Package smtp dissects SMTP with its extensions (RFC 5321, 2920, 3030, 3207, 4954) and LMTP
// (RFC 2033), on any TCP port.
//
// A call is a command and its reply, paired by order. The mail that follows DATA, whose lines
// are no commands, belongs to that call, and the chunk that follows BDAT to its own: its reply
// is the one to the mail, that with code 354 comes in between. The same holds for what is said
// between AUTH and its last reply. Replies that nobody asked for are lone messages: the
// greeting, and a server's good bye. Where the server agrees to STARTTLS the stream is handed on.
//
// Mails are counted, not kept, unless bodies are wanted; then the dots that were doubled for
// the way are single again. What AUTH says is not repeated.
//
// Where bytes are missing in a mail, it goes on until its end, or until the server has replied
// to it. Else commands are looked for at the first piece behind a reply, since servers are
// silent while they get a mail. Whose a reply is behind a hole: see package turns.
//
// It cannot know: who is asked for what once the connection is encrypted, and in a capture that
// begins within a mail where that ends, but by the server's reply; that it is LMTP where LHLO was
// not seen, so that there are several replies to a mail.
//
// A parser belongs to one flow and one goroutine; it holds the commands that wait (4 MiB at
// most), and allocates nothing for a call once it has seen one of its size.
package smtp

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes SMTP.
func Protocol() *dissect.Protocol { return protocol }

var protocol = &dissect.Protocol{
	Name:      "smtp",
	Title:     "SMTP",
	Transport: []flow.Proto{flow.TCP},
	Detect:    detect,
	New: func(f *dissect.Flow, sink dissect.Sink) dissect.Parser {
		p := newParser(sink)
		p.queue.Middle = f.Opening == 0
		return p
	},
	Fields: fields,
}
