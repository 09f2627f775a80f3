package redis

import (
	"bytes"
	"strings"
)

// Limits of what is believed.
const (
	maxCount  = 1 << 31 // elements of an aggregate; with attributes and maps twice as many
	maxTodo   = 1 << 40
	maxString = 1 << 33 // bytes of a string
	maxLine   = 64 << 10
	maxDigits = 20
)

// verdict is what a scan came to.
type verdict uint8

const (
	more verdict = iota // so far a value
	done
	bad
)

// scanner goes through one value, however nested, in pieces of any size. Nesting is not kept:
// it is enough to count how many values are still to come.
type scanner struct {
	command bool   // the value is a command: an array of strings, or a line
	inline  bool   // it is a line
	topped  bool   // the value behind its attributes was found
	todo    int64  // values to come, 0: at the end
	left    int64  // bytes to come of a string and its line end
	off     int64  // bytes of the value so far
	top     int64  // where it begins, behind its attributes
	fail    int64  // where the first error in it begins, -1: there is none
	line    []byte // the beginning of a line that is not complete
}

// begin makes the scanner ready for a value.
func (s *scanner) begin(command bool) {
	*s = scanner{command: command, todo: 1, fail: -1, line: s.line[:0]}
}

// run takes bytes up to the end of the value, and says how many.
func (s *scanner) run(b []byte) (n int, v verdict) {
	i := 0
	for s.todo > 0 && v == more && i < len(b) {
		n := 0
		switch {
		case s.left > 0:
			n = int(min(s.left, int64(len(b)-i)))
			if !s.ends(b[i : i+n]) {
				v = bad
			} else if s.left -= int64(n); s.left == 0 {
				s.todo--
			}
		default:
			n, v = s.next(b[i:])
		}
		i += n
		s.off += int64(n)
	}
	if s.todo == 0 && v == more {
		v = done
	}
	return i, v
}

// next takes a line, or as much of it as there is.
func (s *scanner) next(b []byte) (int, verdict) {
	end := bytes.IndexByte(b, '\n') + 1
	if end > 0 && len(s.line) == 0 {
		if !s.header(b[:end], s.off) {
			return 0, bad
		}
		return end, more
	}
	n := end
	if end == 0 {
		n = len(b)
	}
	begin := s.off - int64(len(s.line))
	if len(s.line)+n > maxLine {
		return 0, bad
	}
	s.line = append(s.line, b[:n]...)
	if end > 0 {
		ok := s.header(s.line, begin)
		s.line = s.line[:0]
		if !ok {
			return 0, bad
		}
		return n, more
	}
	if s.counts(s.line[0], begin) {
		if len(s.line) > maxDigits+3 {
			return 0, bad
		}
	} else if !printable(s.line) {
		return 0, bad
	}
	return n, more
}

// counts says whether a line that begins with kind has a length or a number of elements.
func (s *scanner) counts(kind byte, off int64) bool {
	if s.command && off == 0 {
		return kind == '*'
	}
	return counted(kind)
}

// ends checks the line end of a string as far as it is in b, of which left bytes are the rest.
func (s *scanner) ends(b []byte) bool {
	switch behind := s.left - int64(len(b)); behind {
	case 0:
		return b[len(b)-1] == '\n' && (len(b) < 2 || b[len(b)-2] == '\r')
	case 1:
		return b[len(b)-1] == '\r'
	}
	return true
}

// header takes a line, which begins at off.
func (s *scanner) header(l []byte, off int64) bool {
	kind := l[0]
	if s.todo == 1 && !s.topped {
		s.top, s.topped = off, kind != '|'
	}
	if !s.counts(kind, off) {
		s.todo--
		return s.plain(l, off)
	}
	n, ok := count(l)
	switch {
	case !ok, s.command && off > 0 && (kind != '$' || n < 0):
		return false
	case kind == '$' || kind == '=' || kind == '!':
		if n > maxString || n < 0 && kind != '$' {
			return false
		}
		if kind == '!' {
			s.failed(off)
		}
		if n < 0 {
			s.todo--
		} else {
			s.left = n + 2
		}
		return true
	case n > maxCount:
		return false
	}
	if n = max(n, 0); kind == '%' || kind == '|' {
		n *= 2
	}
	if kind != '|' {
		n-- // itself
	}
	s.todo += n
	return s.todo < maxTodo
}

// plain takes a line that is a value of its own.
func (s *scanner) plain(l []byte, off int64) bool {
	if s.command {
		s.inline = true
		return off == 0 && printable(l)
	}
	rest, ok := bytes.CutSuffix(l[1:], []byte("\r\n"))
	if !ok {
		return false
	}
	switch l[0] {
	case '-':
		s.failed(off)
		return printable(l)
	case '+':
		return printable(l)
	case ':', '(':
		return number(rest, "")
	case ',':
		return number(rest, "+-.einfaINFA")
	case '#':
		return string(rest) == "t" || string(rest) == "f"
	case '_':
		return len(rest) == 0
	}
	return false
}

func (s *scanner) failed(off int64) {
	if s.fail < 0 {
		s.fail = off
	}
}

// counted says whether a value of that kind has a length or a number of elements.
func counted(kind byte) bool {
	switch kind {
	case '$', '*', '%', '~', '>', '|', '!', '=':
		return true
	}
	return false
}

// count reads "*3\r\n"; "*-1\r\n" is the null of RESP2.
func count(l []byte) (n int64, ok bool) {
	if len(l) < 4 || len(l) > maxDigits || l[len(l)-2] != '\r' {
		return 0, false
	}
	d := l[1 : len(l)-2]
	if string(d) == "-1" {
		return -1, true
	}
	for _, c := range d {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(d) < 16
}

// number says whether b is a number, with the characters given besides digits and a sign.
func number(b []byte, also string) bool {
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		b = b[1:]
	}
	for _, c := range b {
		if (c < '0' || c > '9') && strings.IndexByte(also, c) < 0 {
			return false
		}
	}
	return len(b) > 0
}

// printable says whether a line has nothing that no line has.
func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\r' && c != '\n' && c != '\t' {
			return false
		}
	}
	return true
}
