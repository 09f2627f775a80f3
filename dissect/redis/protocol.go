// Package redis dissects RESP2 and RESP3 (the Redis serialization protocol specification), as
// Redis, Valkey and their kin speak it, on any TCP port.
//
// A call is a command and its reply, paired by order. A command is an array of strings, or a
// line (an inline command). SUBSCRIBE and its kin end with the last of their confirmations.
// CLIENT REPLY OFF and SKIP are followed: commands that will not be answered are handed out at
// once. What the server says unasked is a lone message of its own, without a command: a push
// of RESP3, a published message of RESP2, a line of MONITOR. Behind PSYNC the server is the
// one that sends commands: they are lone too, and the data set before them is skipped.
//
// Values are counted, not kept: of a message its first 1 KiB stays, more where bodies are
// wanted. Passwords (AUTH, HELLO, and the like) are not repeated in summaries.
//
// Where bytes are missing: in a string whose length is known the stream stays in step; else
// the message ends there, marked incomplete. Commands are then found by their shape, replies
// at the first piece behind a command. After a hole a reply belongs to the newest command of a
// client that asks one thing at a time; of one that does not, nothing is paired until it has
// had as many replies to a batch as it had commands.
//
// It cannot know: how many replies UNSUBSCRIBE without arguments has (the first one counts, the
// others are not told), and streamed strings and aggregates ("$?"), which no server sends.
//
// A parser belongs to one flow and one goroutine; it holds at most 10,000 commands of 4 MiB
// in all, and allocates nothing for a call once it has seen one of its size.
package redis

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes Redis.
func Protocol() *dissect.Protocol { return protocol }

var protocol = &dissect.Protocol{
	Name:      "redis",
	Title:     "Redis",
	Transport: []flow.Proto{flow.TCP},
	Detect:    detect,
	New: func(f *dissect.Flow, sink dissect.Sink) dissect.Parser {
		p := newParser(sink)
		p.half[1].missed = f.Opening == 0 // what came before the first reply is not known
		return p
	},
	Fields: fields,
}
