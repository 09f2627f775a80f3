// Package postgresql dissects the frontend/backend protocol of PostgreSQL, version 3 (PostgreSQL
// documentation, chapter "Frontend/Backend Protocol"), on any TCP port.
//
// A call is a query and what came of it: a Query message up to ReadyForQuery, or one Execute
// with the Parse, Bind, Describe, Close and Sync around it. The text of a prepared statement is
// that of its Parse. A statement that is only prepared is a call too, as is the beginning of
// a session with its authentication, a request to cancel, and a function call. Statements that
// stand behind a failed one in a pipeline were not run: they have no response. A notification
// and an error that nobody caused are lone messages of the server. Notices count as bytes of
// the response. Data of COPY counts as bytes of the request (or the response) and belongs to
// the query, whose request ends with its text.
//
// SSLRequest and GSSENCRequest that are granted end the conversation: what follows is for
// another protocol.
//
// Where bytes are missing: in a message whose length is known the stream stays in step; else
// the server's side goes on behind the next ReadyForQuery, or with the first piece behind a
// query, and the client's with a piece that begins with a message. After a hole an answer
// belongs to the newest query of a client that waits for each; of one that does not, nothing
// is paired until it has had as many answers to a batch as it had asked.
//
// It cannot know the text of statements that were prepared before what it saw, nor who is
// logged in then.
//
// A parser belongs to one flow and one goroutine. It holds at most 10,000 queries of 4 MiB in
// all and 4,000 prepared statements of 4 MiB (the oldest go first), keeps 16 KiB of a
// query, more where bodies are wanted, and allocates nothing for a query that was prepared
// before or is not prepared.
package postgresql

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes PostgreSQL.
func Protocol() *dissect.Protocol { return protocol }

var protocol = &dissect.Protocol{
	Name:      "postgresql",
	Title:     "PostgreSQL",
	Transport: []flow.Proto{flow.TCP},
	Detect:    detect,
	New: func(f *dissect.Flow, sink dissect.Sink) dissect.Parser {
		p := newParser(sink)
		p.half[1].missed = f.Opening == 0 // what came before the first response is not known
		return p
	},
	FromStart: true,
	Fields:    fields,
}
