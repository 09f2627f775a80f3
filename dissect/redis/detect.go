package redis

import (
	"bytes"

	"github.com/sshark/sshark/dissect"
)

// guess is what the bytes of one side look like.
type guess uint8

const (
	other     guess = iota
	silent          // nothing was said
	begun           // too little to tell
	command         // a command that is known by name
	array           // an array of strings whose first one could be a command
	line            // an inline command that is known by name
	lineBegun       // the beginning of one
	reply           // a value that only servers send
	push            // a published message, or a push
)

// detect wants a command that it knows from one side, or at least the form of one from the
// client, or a push. A line could be of many protocols: it counts if the answer is Redis'.
func detect(p *dissect.Probe) dissect.Verdict {
	a, b := look(p.Data[0]), look(p.Data[1])
	if (p.FromStart[0] && a == other) || (p.FromStart[1] && b == other) {
		return dissect.No
	}
	for d, side := range [2][2]guess{{a, b}, {b, a}} {
		mine, theirs := side[0], side[1]
		p.Swap = d == 1
		switch {
		case mine == command && (theirs != command || d == 0):
			return dissect.Yes
		case mine == array && (theirs == reply || theirs == push || d == 0 && p.Opened):
			return dissect.Yes
		case mine == line && theirs == reply && (p.FromStart[d] || telling(p.Data[d], p.Data[1-d])):
			return dissect.Yes
		case theirs == push && mine == silent:
			return dissect.Yes
		}
	}
	p.Swap = false
	switch {
	case a <= silent && b <= silent:
		return dissect.No
	case waits(a) && b != other && waits(b):
		return dissect.Unsure
	case a == begun || b == begun:
		return dissect.Unsure
	}
	return dissect.No
}

// telling says whether a line and a reply from the middle of a connection are Redis': a word
// alone may be a string of a command, or another protocol's, and +OK is said by others too.
func telling(line, reply []byte) bool {
	line = bytes.TrimLeft(line, "\r\n")
	word, _, _ := bytes.Cut(line, []byte{'\n'})
	return bytes.IndexByte(bytes.TrimRight(word, " \r"), ' ') >= 0 || !bytes.HasPrefix(bytes.TrimLeft(reply, "\r\n"), []byte("+OK"))
}

// waits says whether more, of this side or the other, could decide.
func waits(g guess) bool { return g != other && g != push }

// look tells what b begins with.
func look(b []byte) guess {
	for len(b) > 0 && (b[0] == '\r' || b[0] == '\n') {
		b = b[1:]
	}
	if len(b) == 0 {
		return silent
	}
	switch b[0] {
	case '*', '>':
		return lookArray(b)
	case '+', '-', ':', '$', '_', '#', ',', '(', '=', '!', '%', '~', '|':
		return lookReply(b)
	}
	return lookLine(b)
}

// lookReply wants a whole line that is or begins a value.
func lookReply(b []byte) guess {
	end := bytes.IndexByte(b, '\n') + 1
	if end == 0 {
		if counted(b[0]) && len(b) > maxDigits || !printable(b) || len(b) > 512 {
			return other
		}
		return begun
	}
	var s scanner
	s.begin(false)
	switch {
	case !s.header(b[:end], 0):
		return other
	case b[0] == '+' && bytes.HasPrefix(b, []byte("+OK")) && end != len("+OK\r\n"):
		return other // POP3 goes on here
	case b[0] == '+' && b[1] <= ' ':
		return other // POP3, IMAP and others ask for more
	case b[0] == '-' && (len(b) < 3 || !upper(b[1]) || !upper(b[2])):
		return other
	}
	return reply
}

func upper(c byte) bool { return c >= 'A' && c <= 'Z' }

// lookArray tells commands from pushes, and both from other arrays.
func lookArray(b []byte) guess {
	name, v := first(b)
	switch {
	case v == bad:
		if b[0] == '*' || b[0] == '>' {
			return lookReply(b)
		}
		return other
	case v == more:
		return begun
	case published(name) || b[0] == '>':
		return push
	case known(name):
		return command
	}
	for _, c := range name {
		if c <= ' ' || c >= 0x7f {
			return reply
		}
	}
	return array
}

// first is the first string of an array.
func first(b []byte) (name []byte, v verdict) {
	end := bytes.IndexByte(b, '\n') + 1
	if end == 0 {
		if len(b) > maxDigits || len(b) > 1 && (b[1] < '0' || b[1] > '9') {
			return nil, bad
		}
		return nil, more
	}
	n, ok := count(b[:end])
	if !ok || n < 1 || n > maxCount {
		return nil, bad
	}
	b = b[end:]
	if len(b) == 0 {
		return nil, more
	}
	if b[0] != '$' {
		return nil, bad
	}
	if end = bytes.IndexByte(b, '\n') + 1; end == 0 {
		if len(b) > 4 {
			return nil, bad // no command has such a long name
		}
		return nil, more
	}
	if n, ok = count(b[:end]); !ok || n < 1 || n > maxName {
		return nil, bad
	}
	b = b[end:]
	if len(b) < int(n)+2 {
		return nil, more
	}
	if b[n] != '\r' || b[n+1] != '\n' {
		return nil, bad
	}
	return b[:n], done
}

// shared says whether a line begins with a command that POP3 has too.
func shared(b []byte) bool {
	for _, name := range [...]string{"AUTH", "QUIT"} {
		if len(b) > len(name) && b[len(name)] <= ' ' && bytes.EqualFold(b[:len(name)], []byte(name)) {
			return true
		}
	}
	return false
}

// lookLine wants an inline command that is known. AUTH and QUIT are POP3's too, where they are
// answered in the same way: what follows them decides.
func lookLine(b []byte) guess {
	end := bytes.IndexByte(b, '\n')
	if shared(b) && end >= 0 && printable(b[:end]) {
		if rest := b[end+1:]; len(rest) > 0 && upper(rest[0]&^0x20) {
			return lookLine(rest)
		}
		return lineBegun
	}
	word := b[:min(len(b), maxName+1)]
	if end >= 0 && end < len(word) {
		word = b[:end]
	}
	space := bytes.IndexAny(word, " \r")
	switch {
	case space == 0, end >= 0 && (!printable(b[:end]) || bytes.Contains(b[:end], []byte(" HTTP/"))):
		return other
	case space < 0 && end >= 0:
		return other
	case space < 0 && len(b) > maxName:
		return other
	case space < 0:
		for _, c := range word {
			if !upper(c &^ 0x20) {
				return other
			}
		}
		return lineBegun
	case !known(word[:space]):
		return other
	case end < 0 && (len(b) > 512 || !printable(b)):
		return other
	case end < 0:
		return lineBegun
	}
	return line
}
