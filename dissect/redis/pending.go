package redis

import "github.com/sshark/sshark/dissect/turns"

// request is a command that waits for its reply.
type request struct {
	raw      turns.Span
	size     uint64
	first    int64
	last     int64
	kind     kind
	inline   bool
	cut      bool
	want     int    // confirmations to come, of subscribe
	began    int64  // time of the first one, 0: none came
	received uint64 // bytes of those that came
}

// pending are the commands that wait, in order, with their bytes.
type pending = turns.Line[request]
