// Package memcached dissects the text protocol of memcached with its meta commands (protocol.txt
// of memcached), the binary protocol (BinaryProtocolRevamped of its wiki), and both behind the
// frame header of UDP, on any port.
//
// A call is a command and its reply: all of the values or statistics up to the line that ends
// them. Replies pair by order, as far as they fit; those of the binary protocol by their opaque
// value, those of UDP by the ID of the request. A command that asks for no reply is handed out
// at once, one that is quiet when a later one is answered.
//
// Values are counted, not kept: of a message its first 1 KiB stays, more where bodies are
// wanted.
//
// Where bytes are missing: in a value whose length is known the stream stays in step; else the
// message ends there, marked incomplete. Messages are then found by a line, or a header, that
// is one in all its parts. Whose a reply is behind a hole: see package turns.
//
// It cannot know: which of several quiet meta commands a reply belongs to that names neither
// its key nor an opaque value (the first that it fits has it); what is written to a client that
// watches (log lines are not told); that the first value of a connection is a password, which
// it is where the server wants one. The parts of a reply over UDP are put together in the order
// of their arrival; sizes are those without the frame header.
//
// A parser belongs to one flow and one goroutine; it holds at most 10,000 commands of 4 MiB in
// all, and allocates nothing for a call once it has seen one of its size.
package memcached

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes memcached.
func Protocol() *dissect.Protocol { return protocol }

var protocol = &dissect.Protocol{
	Name:      "memcached",
	Title:     "Memcached",
	Transport: []flow.Proto{flow.TCP, flow.UDP},
	Detect:    detect,
	New: func(f *dissect.Flow, sink dissect.Sink) dissect.Parser {
		if f.Transport == flow.UDP {
			return newDatagrams(sink)
		}
		p := newParser(sink)
		p.queue.Middle = f.Opening == 0
		return p
	},
	Fields: fields,
}
