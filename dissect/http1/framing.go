package http1

import (
	"bytes"

	"github.com/sshark/sshark/dissect/http"
)

// framing is what the headers say about where the body ends (RFC 9112, 6).
type framing struct {
	length  int64 // Content-Length, -1: none
	chunked bool  // the last transfer coding
	other   bool  // there are transfer codings besides
	bad     bool  // it contradicts itself: the end cannot be known
	cut     bool  // the head is not all there
	last    byte  // the header that a folded line goes on with: 'c', 't' or 0
}

// maxLengthDigits is how long a Content-Length may be: what fits an int64.
const maxLengthDigits = 18

// scan reads header lines from offset on. It returns where the line begins that is not
// complete, or, with done, the end of the head.
func (f *framing) scan(b []byte, from int) (next int, done bool) {
	for {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return from, false
		}
		line := b[from : from+i]
		from += i + 1
		if len(line) == 0 || len(line) == 1 && line[0] == '\r' {
			return from, true
		}
		switch line[0] {
		case 'C', 'c':
			if v, ok := value(line, "content-length"); ok {
				f.last = 'c'
				f.contentLength(v)
				continue
			}
		case 'T', 't':
			if v, ok := value(line, "transfer-encoding"); ok {
				f.last = 't'
				f.transferEncoding(v)
				continue
			}
		case ' ', '\t': // obs-fold (RFC 9112, 5.2)
			switch v := http.Trim(line); {
			case f.last == 'c':
				f.contentLength(v)
			case f.last == 't':
				f.transferEncoding(v)
			}
			continue
		}
		f.last = 0
	}
}

// value returns the value of a header line if it has the name, which is given in lower case.
func value(line []byte, name string) ([]byte, bool) {
	n := len(name)
	if len(line) <= n {
		return nil, false
	}
	switch line[n] {
	case ':', ' ', '\t':
	default:
		return nil, false
	}
	for i := range n {
		if c := line[i]; c != name[i] && c|0x20 != name[i] {
			return nil, false
		}
	}
	v := bytes.TrimLeft(line[n:], " \t")
	if len(v) == 0 || v[0] != ':' {
		return nil, false
	}
	return http.Trim(v[1:]), true
}

// contentLength takes a value or a list of equal values (RFC 9112, 6.3).
func (f *framing) contentLength(v []byte) {
	if len(v) == 0 {
		return // its value may follow, folded
	}
	for len(v) > 0 {
		item := v
		if i := bytes.IndexByte(v, ','); i >= 0 {
			item, v = v[:i], v[i+1:]
		} else {
			v = nil
		}
		item = http.Trim(item)
		n := int64(0)
		for _, c := range item {
			if !digit(c) {
				f.bad = true
				return
			}
			n = n*10 + int64(c-'0')
		}
		if len(item) == 0 || len(item) > maxLengthDigits || f.length >= 0 && f.length != n {
			f.bad = true
			return
		}
		f.length = n
	}
}

// transferEncoding takes a list of codings (RFC 9112, 6.1).
func (f *framing) transferEncoding(v []byte) {
	for len(v) > 0 {
		item := v
		if i := bytes.IndexByte(v, ','); i >= 0 {
			item, v = v[:i], v[i+1:]
		} else {
			v = nil
		}
		if i := bytes.IndexByte(item, ';'); i >= 0 {
			item = item[:i]
		}
		switch item = http.Trim(item); {
		case len(item) == 0 || bytes.EqualFold(item, []byte("identity")):
		case bytes.EqualFold(item, []byte("chunked")):
			f.chunked = true
		default:
			f.other, f.chunked = true, false
		}
	}
}
