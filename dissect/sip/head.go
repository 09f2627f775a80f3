package sip

import (
	"bytes"

	"github.com/sshark/sshark/dissect/lines"
)

// Limits of what is believed.
const (
	maxMethod = 32
	maxBody   = 64 << 20 // bytes
)

const version = "SIP/2.0"

// span is a stretch of a message's bytes, to 0: none.
type span struct{ from, to int32 }

func (s span) of(b []byte) []byte {
	if s.to == 0 || int(s.to) > len(b) {
		return nil
	}
	return b[s.from:s.to]
}

// head is what the start line and the headers say.
type head struct {
	request bool
	method  span // of a response: that of CSeq
	uri     span
	status  int
	reason  span
	callID  span
	cseq    span
	branch  span
	from    span
	to      span
	content span  // its type
	length  int64 // of the body, -1: it is not said
}

// verdict is what a start line looks like.
type verdict uint8

const (
	bad verdict = iota
	part
	good
)

// parseStart reads the start line that b begins with. part: so far it is one; with a status or a
// URI all but its end is there.
func parseStart(b []byte) (h head, v verdict) {
	end := bytes.IndexByte(b, '\n')
	line := b
	if end >= 0 {
		line = b[:end]
	}
	line = bytes.TrimSuffix(line, []byte{'\r'})
	h.length = -1
	if len(line) == 0 {
		return h, bad
	}
	if n := min(len(line), len(version)); string(line[:n]) == version[:n] {
		return status(line, end >= 0)
	}
	i := bytes.IndexByte(line, ' ')
	if i < 0 {
		i = len(line)
	}
	if i == 0 || i > maxMethod {
		return h, bad
	}
	for _, c := range line[:i] {
		if c < 'A' || c > 'Z' {
			return h, bad
		}
	}
	if i == len(line) {
		if end >= 0 {
			return h, bad
		}
		return h, part
	}
	h.request, h.method = true, span{0, int32(i)}
	rest := line[i+1:]
	for _, c := range rest {
		if c < ' ' || c == 0x7f {
			return h, bad
		}
	}
	if end < 0 {
		if n := len("sip:"); len(rest) > n && !scheme(rest) {
			return h, bad
		}
		if uri, found := bytes.CutSuffix(rest, []byte(" "+version)); found && scheme(uri) && known(line[:i]) {
			h.uri = span{int32(i + 1), int32(i + 1 + len(uri))}
		}
		return h, part
	}
	uri, found := bytes.CutSuffix(rest, []byte(" "+version))
	if !found || !scheme(uri) || bytes.IndexByte(uri, ' ') >= 0 {
		return h, bad
	}
	h.uri = span{int32(i + 1), int32(i + 1 + len(uri))}
	return h, good
}

// scheme says whether b begins like a URI.
func scheme(b []byte) bool {
	i := bytes.IndexByte(b, ':')
	if i < 1 || i > 16 {
		return i < 0 && len(b) < 16
	}
	for _, c := range b[:i] {
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '+' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// status reads the start line of a response.
func status(line []byte, whole bool) (h head, v verdict) {
	h.length = -1
	for i := len(version); i < len(line) && i < len("SIP/2.0 200"); i++ {
		c := line[i]
		if i == len(version) && c != ' ' || i > len(version) && (c < '0' || c > '9') {
			return h, bad
		}
		if i > len(version) {
			h.status = h.status*10 + int(c-'0')
		}
	}
	n := len("SIP/2.0 200")
	switch {
	case len(line) < n:
		if whole {
			return h, bad
		}
		return h, part
	case h.status < 100 || h.status > 699, len(line) > n && line[n] != ' ':
		return h, bad
	case !whole:
		return h, part
	}
	if len(line) > n+1 {
		h.reason = span{int32(n + 1), int32(len(line))}
	}
	return h, good
}

// headEnd is how long the head is that b begins with, 0: its end is not there. from is where
// to look: what stands before was looked at.
func headEnd(b []byte, from int) int {
	for i := max(0, from); i < len(b); i++ {
		n := bytes.IndexByte(b[i:], '\n')
		if n < 0 {
			return 0
		}
		i += n
		switch {
		case i+1 < len(b) && b[i+1] == '\n':
			return i + 2
		case i+2 < len(b) && b[i+1] == '\r' && b[i+2] == '\n':
			return i + 3
		}
	}
	return 0
}

// headers reads the headers of a head, behind its start line.
func (h *head) headers(b []byte) {
	at := bytes.IndexByte(b, '\n') + 1
	for at > 0 && at < len(b) {
		end := bytes.IndexByte(b[at:], '\n')
		if end < 0 {
			return // half a header says nothing
		}
		line := lines.Trim(b[at : at+end])
		if i := bytes.IndexByte(line, ':'); i > 0 && line[0] != ' ' && line[0] != '\t' {
			value := bytes.TrimSpace(line[i+1:])
			from := int32(at + len(line) - len(bytes.TrimLeft(line[i+1:], " \t")))
			h.header(bytes.TrimRight(line[:i], " \t"), value, span{from, from + int32(len(value))})
		}
		at += end + 1
	}
}

// header takes one header. Of those that may come more than once the first counts.
func (h *head) header(name, value []byte, at span) {
	if len(value) == 0 {
		return
	}
	switch {
	case is(name, "via", 'v') && h.branch.to == 0:
		first, _, _ := bytes.Cut(value, []byte{','})
		if i := bytes.Index(first, []byte("branch=")); i >= 0 {
			i += len("branch=")
			n := bytes.IndexAny(first[i:], "; \t")
			if n < 0 {
				n = len(first) - i
			}
			h.branch = span{at.from + int32(i), at.from + int32(i+n)}
		}
	case is(name, "call-id", 'i') && h.callID.to == 0:
		h.callID = at
	case is(name, "cseq", 0) && h.cseq.to == 0:
		h.cseq = at
		if !h.request {
			n := bytes.LastIndexAny(value, " \t") + 1
			h.method = span{at.from + int32(n), at.to}
		}
	case is(name, "from", 'f') && h.from.to == 0:
		h.from = at
	case is(name, "to", 't') && h.to.to == 0:
		h.to = at
	case is(name, "content-type", 'c') && h.content.to == 0:
		h.content = at
	case is(name, "content-length", 'l') && h.length < 0 && len(value) < 10:
		n := int64(0)
		for _, c := range value {
			if c < '0' || c > '9' {
				return
			}
			n = n*10 + int64(c-'0')
		}
		if n <= maxBody {
			h.length = n
		}
	}
}

// is says whether a header has that name, or its short form.
func is(name []byte, long string, short byte) bool {
	if len(name) == 1 {
		return short != 0 && name[0]|0x20 == short
	}
	return len(name) == len(long) && bytes.EqualFold(name, []byte(long))
}

// methods are those that are known (RFC 3261, 3262, 3265, 3311, 3428, 3515, 3903, 6086).
var methods = []string{"REGISTER", "INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "PRACK", "SUBSCRIBE", "NOTIFY", "PUBLISH", "INFO", "REFER", "MESSAGE", "UPDATE"}

func known(method []byte) bool {
	for _, m := range methods {
		if string(method) == m {
			return true
		}
	}
	return false
}
