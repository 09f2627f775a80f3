// Package nats dissects the client protocol of NATS (docs.nats.io, NATS protocol), with headers
// (ADR-4), and what the servers of a cluster say to each other (NATS cluster protocol), on any
// TCP port. JetStream and services are messages like others: their subjects tell them.
//
// A call is one message of either side, without an answer: which message answers which one is
// a matter of subjects, and the two may go through different connections.
//
// Payloads are counted, not kept: of a message its first 1 KiB behind the line stays, more
// where bodies are wanted. What CONNECT says is not repeated, but the client's name: it holds
// passwords. Where the client begins to speak TLS, behind the server's INFO, the stream is
// handed on.
//
// Where bytes are missing: in a payload whose length is known the stream stays in step; else
// the message ends there, marked incomplete, and the next one is looked for by a line that is
// one in all its parts, with its payload. Half a line is not believed.
//
// It cannot know: what is in a WebSocket, or compressed between servers.
//
// A parser belongs to one flow and one goroutine, and allocates nothing for a call once it has
// seen one of its size.
package nats

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes NATS.
func Protocol() *dissect.Protocol { return protocol }

var protocol = &dissect.Protocol{
	Name:      "nats",
	Title:     "NATS",
	Transport: []flow.Proto{flow.TCP},
	Detect:    detect,
	New:       func(_ *dissect.Flow, sink dissect.Sink) dissect.Parser { return newParser(sink) },
	Fields:    fields,
}
