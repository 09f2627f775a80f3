package mysql

import "github.com/sshark/sshark/dissect/turns"

// operation is a command that waits for its response, or the login.
type operation struct {
	text  turns.Span
	com   byte
	login bool
	short bool // its text is not all of it
	cut   bool // bytes are missing
	id    uint32
	hasID bool
	size  uint64
	first int64
	last  int64

	began    int64 // times of the response, 0: none came
	ended    int64
	received uint64
	failed   bool
}

// pending are the operations that wait, in order, with their text.
type pending = turns.Line[operation]
