package http1

import (
	"bytes"
	"strings"
)

// start is what the first line of a message says. Offsets are into the head.
type start struct {
	request   bool
	usable    bool // enough is known to tell the message, though the line is not complete
	minor     uint8
	status    int16 // of a response
	methodEnd int32 // of a request
	urlStart  int32
	urlEnd    int32
	end       int32 // where the next line begins, 0: the line is not complete
}

// method is that of a request whose first line is in b.
func (l *start) method(b []byte) []byte { return b[:l.methodEnd] }

// headVerdict says whether bytes are the beginning of a message.
type headVerdict uint8

const (
	headBad  headVerdict = iota
	headPart             // so far
	headOK
)

const (
	maxMethod = 32
	version   = "HTTP/1."
)

// parseStart reads the first line of a message (RFC 9112, 3 and 4). A bare LF ends it too.
func parseStart(b []byte) (start, headVerdict) {
	if len(b) == 0 {
		return start{}, headPart
	}
	// Five bytes tell a response from a request: no method goes on with a slash.
	if n := min(len(b), 5); string(b[:n]) == version[:n] {
		return parseStatus(b)
	}
	return parseRequest(b)
}

// parseStatus reads "HTTP/1.1 200 OK".
func parseStatus(b []byte) (l start, v headVerdict) {
	if n := min(len(b), len(version)); string(b[:n]) != version[:n] {
		return l, headBad
	}
	if len(b) <= 8 {
		return l, headPart
	}
	if !digit(b[7]) || b[8] != ' ' {
		return l, headBad
	}
	l.minor = b[7] - '0'
	i := 9
	for i < len(b) && b[i] == ' ' && i < 16 {
		i++
	}
	for j := range 3 {
		if i+j >= len(b) {
			return l, headPart
		}
		if !digit(b[i+j]) {
			return l, headBad
		}
		l.status = l.status*10 + int16(b[i+j]-'0')
	}
	i += 3
	if l.status < 100 {
		return l, headBad
	}
	if i < len(b) && b[i] != ' ' && b[i] != '\r' && b[i] != '\n' {
		return l, headBad
	}
	l.usable = true
	end := bytes.IndexByte(b[i:], '\n')
	if end < 0 {
		return l, headPart
	}
	l.end = int32(i + end + 1)
	return l, headOK
}

// parseRequest reads "GET /path HTTP/1.1". Blanks in the target are let through, as some
// clients send them; what counts is the version at the end.
func parseRequest(b []byte) (l start, v headVerdict) {
	l.request = true
	i := 0
	for i < len(b) && tchar[b[i]] {
		i++
	}
	if i > maxMethod || i == 0 {
		return l, headBad
	}
	if i == len(b) {
		return l, headPart
	}
	if b[i] != ' ' {
		return l, headBad
	}
	l.methodEnd = int32(i)
	for i < len(b) && b[i] == ' ' {
		i++
	}
	l.urlStart = int32(i)
	end := bytes.IndexByte(b[i:], '\n')
	line := b
	if end >= 0 {
		line = b[:i+end]
		l.end = int32(i + end + 1)
		if n := len(line); n > 0 && line[n-1] == '\r' {
			line = line[:n-1]
		}
		for n := len(line); n > i && line[n-1] == ' '; n = len(line) {
			line = line[:n-1]
		}
	}
	for _, c := range line[i:] {
		if c < ' ' || c == 0x7f {
			if end < 0 && c == '\r' && len(line) > 0 && line[len(line)-1] == '\r' {
				break
			}
			return l, headBad
		}
	}
	if end < 0 {
		// How far it got: "GET /path HTT".
		if sp := bytes.LastIndexByte(line, ' '); sp > i {
			tail := bytes.TrimSuffix(line[sp+1:], []byte{'\r'})
			if n := min(len(tail), len(version)); n >= 3 && len(tail) <= len(version)+1 && string(tail[:n]) == version[:n] && knownMethod(b[:l.methodEnd]) {
				l.usable = true
				l.urlEnd = int32(sp)
				l.minor = 1
				if len(tail) == len(version)+1 {
					l.minor = tail[n] - '0'
				}
			}
		}
		return l, headPart
	}
	n := len(line) - len(version) - 2
	if n <= i || line[n] != ' ' || string(line[n+1:len(line)-1]) != version || !digit(line[len(line)-1]) {
		return l, headBad
	}
	l.minor = line[len(line)-1] - '0'
	l.urlEnd = int32(n)
	l.usable = true
	return l, headOK
}

// which heads are looked for.
type which uint8

const (
	anyHead which = iota
	requests
	responses
)

// findHead looks for the start line of a message anywhere in b from offset on: behind a hole,
// or behind bytes that are no message. It returns -1 if there is none. A line that is only
// half there counts if it began at the offset itself or looks right so far.
func findHead(b []byte, from int, what which) int {
	if from == 0 && plausible(b, what) {
		return 0
	}
	for at := from; at < len(b); {
		i := bytes.Index(b[at:], []byte(version))
		if i < 0 {
			return -1
		}
		i += at
		if what != requests && startsHead(b[i:]) && i >= from {
			return i
		}
		if what != responses {
			if j := requestBefore(b, i); j >= from && startsHead(b[j:]) {
				return j
			}
		}
		at = i + len(version)
	}
	return -1
}

// plausible says whether b may be the beginning of a message of the kind.
func plausible(b []byte, what which) bool {
	l, v := parseStart(b)
	switch {
	case v == headBad:
		return false
	case v == headPart && !l.usable:
		n := min(len(b), len(version))
		return what != requests && string(b[:n]) == version[:n] || what != responses && beginsMethod(b)
	case l.request:
		return what != responses && knownMethod(l.method(b))
	}
	return what != requests
}

// beginsMethod says whether b begins with a known method, or is the beginning of one.
func beginsMethod(b []byte) bool {
	if i := bytes.IndexByte(b, ' '); i >= 0 {
		return knownMethod(b[:i])
	}
	for _, m := range methods {
		if strings.HasPrefix(m, string(b)) {
			return true
		}
	}
	return false
}

// startsHead is for a start line in the middle of bytes: the line behind it must look like a
// header, or be missing.
func startsHead(b []byte) bool {
	l, v := parseStart(b)
	if v != headOK {
		return v == headPart && l.usable
	}
	next := b[l.end:]
	for i, c := range next {
		switch {
		case c == ':':
			return i > 0
		case c == '\n' || c == '\r':
			return i == 0
		case !tchar[c] || i > 256:
			return false
		}
	}
	return true
}

// requestBefore finds where the request begins whose version stands at v, or -1.
func requestBefore(b []byte, v int) int {
	if v < 3 || b[v-1] != ' ' {
		return -1
	}
	line := b[:v-1]
	if i := bytes.LastIndexByte(line, '\n') + 1; i > 0 {
		if l, k := parseStart(b[i:]); k != headBad && knownMethod(l.method(b[i:])) {
			return i
		}
	}
	sp := bytes.LastIndexByte(line, ' ')
	if sp < 0 || sp == len(line)-1 {
		return -1
	}
	for _, m := range methods {
		if bytes.HasSuffix(b[:sp], []byte(m)) {
			return sp - len(m)
		}
	}
	return -1
}

// methods are those of the IANA registry of HTTP methods and some that are in use without:
// only they are believed where a request line is cut, or stands behind other bytes. Longer
// ones stand before those that they end with.
var methods = []string{
	"GET", "POST", "HEAD", "PUT", "BDELETE", "DELETE", "OPTIONS", "CONNECT", "TRACE", "BPROPPATCH", "PROPPATCH",
	"ORDERPATCH", "PATCH", "BPROPFIND", "PROPFIND", "MKCOL", "BCOPY", "COPY", "BMOVE", "MOVE",
	"UNLOCK", "LOCK", "M-SEARCH", "SEARCH", "REBIND", "UNBIND", "BIND", "ACL", "REPORT", "MKACTIVITY",
	"UNCHECKOUT", "CHECKOUT", "CHECKIN", "MERGE", "MKCALENDAR", "BASELINE-CONTROL", "VERSION-CONTROL",
	"UPDATEREDIRECTREF", "UPDATE", "LABEL", "MKWORKSPACE", "MKREDIRECTREF", "UNLINK", "LINK",
	"PURGE", "BAN", "UNSUBSCRIBE", "SUBSCRIBE", "NOTIFY", "POLL", "SOURCE", "QUERY", "RPC_IN_DATA", "RPC_OUT_DATA",
}

func knownMethod(m []byte) bool {
	for _, k := range methods {
		if string(m) == k {
			return true
		}
	}
	return false
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// tchar are the characters of a token (RFC 9110, 5.6.2).
var tchar = func() (t [256]bool) {
	for c := '0'; c <= 'z'; c++ {
		t[c] = c <= '9' || c >= 'a' || c >= 'A' && c <= 'Z'
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()
