// Package replies reads what servers of SMTP (RFC 5321, 4.2) and FTP (RFC 959, 4.2) say: three
// digits and a text, on one line, or on several of which all but the last have a hyphen behind
// the digits, or of which those between the first and the last are anything. An Exchange tells
// a command and its reply, without what the protocol says is secret.
//
// A Reader belongs to one direction of a flow and one goroutine, an Exchange to one flow.
package replies

import (
	"bytes"

	"github.com/sshark/sshark/dissect/lines"
	"github.com/sshark/sshark/dissect/turns"
)

// maxKept is how many bytes of a reply, and of its last line, are kept.
const maxKept = 4 << 10

// Reader reads replies. The zero value is ready.
type Reader struct {
	Reply  turns.Message // the last one that ended; borrowed until the reader is used again
	Missed bool          // others may have been lost before it

	lines lines.Reader
	code  int // of a reply of several lines, 0: none has begun
	mem   []byte
}

// Bad is how many lines were no reply.
func (r *Reader) Bad() int { return r.lines.Bad }

// Code is the number of a reply, or of its line, 0: it is none.
func Code(line []byte) int {
	if len(line) < 3 || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
		return 0
	}
	n := 0
	for _, c := range line[:3] {
		if c < '0' || c > '9' {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	if n < 100 || n > 699 {
		return 0
	}
	return n
}

// More says whether the line of a reply is not its last one.
func More(line []byte) bool { return len(line) > 3 && line[3] == '-' }

// Rest implements lines.Format.
func (r *Reader) Rest(line []byte) int64 {
	if r.code == 0 && Code(line) == 0 || !printable(line) {
		return -1
	}
	return 0
}

// Begins implements lines.Format.
func (r *Reader) Begins(line []byte, _ bool) bool {
	return Code(line) > 0 && len(line) > 3 && printable(line)
}

// printable says whether a line has nothing that no text has.
func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' && c != '\r' || c == 0x7f {
			return false
		}
	}
	return true
}

// Next takes bytes of b, which is not empty, up to the end of a reply at most, and says how
// many. The reply, if it is done, is in r.Reply. opens says that b begins a piece.
func (r *Reader) Next(b []byte, now int64, opens bool) (n int, done bool) {
	n, done = r.lines.Next(r, b, now, 0, opens)
	return n, done && r.line()
}

// line takes a line of a reply, and says whether it is the last one.
func (r *Reader) line() bool {
	m := &r.lines.Message
	text := m.Text()
	code := Code(text)
	if r.code == 0 {
		r.Reply = turns.Message{Data: m.Data, Line: m.Line, Size: uint64(m.Size), First: m.First, Last: m.Last, Cut: m.Cut || m.Missed}
		if r.Missed = m.Missed; !More(text) {
			return code > 0
		}
		r.code, r.mem = code, append(r.mem[:0], m.Data...)
		return false
	}
	if len(r.mem) > maxKept { // of a long one its first lines and its last one are kept
		r.mem = r.mem[:bytes.LastIndexByte(r.mem[:maxKept], '\n')+1]
	}
	r.mem = append(r.mem, m.Data[:min(len(m.Data), maxKept)]...)
	r.Reply.Size += uint64(m.Size)
	r.Reply.Last = m.Last
	r.Reply.Cut = r.Reply.Cut || m.Cut
	if code != r.code || More(text) {
		return false
	}
	r.finish()
	return true
}

func (r *Reader) finish() {
	r.code = 0
	r.Reply.Data = r.mem
}

// Gap takes word of n missing bytes, 0: nobody knows how many. It says whether that ends a
// reply, which then is in r.Reply.
func (r *Reader) Gap(n int64, now int64) (done bool) {
	done = r.Close(now)
	r.lines.Lose()
	return done
}

// Close ends the stream. It says whether a reply was cut short by that, which then is in
// r.Reply.
func (r *Reader) Close(now int64) (cut bool) {
	if r.lines.Close(now) {
		if m := &r.lines.Message; r.code == 0 {
			// Of a line with its digits enough is known.
			if Code(m.Text()) == 0 || len(m.Text()) < 4 {
				return false
			}
			r.Reply = turns.Message{Data: m.Data, Line: m.Line, Size: uint64(m.Size), First: m.First, Last: m.Last, Cut: true}
			r.Missed = m.Missed
			return true
		}
	}
	if r.code == 0 {
		return false
	}
	r.finish()
	r.Reply.Cut = true
	return true
}

// Lost says that the place in the stream is not known.
func (r *Reader) Lost() bool { return r.lines.Lost() }

// Text is what the last line of a reply says behind its digits.
func Text(reply []byte) []byte {
	reply = lines.Trim(reply)
	for i := len(reply) - 1; i >= 0; i-- {
		if reply[i] == '\n' {
			reply = reply[i+1:]
			break
		}
	}
	if Code(reply) == 0 {
		return reply
	}
	return reply[min(4, len(reply)):]
}
