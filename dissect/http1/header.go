package http1

import (
	"bytes"

	"github.com/sshark/sshark/dissect/http"
)

// lines goes through the header lines of a head; folded ones are joined.
type lines struct {
	rest []byte
	http.Pair
}

func (m *message) lines() lines {
	if m.start.end == 0 {
		return lines{}
	}
	return lines{rest: m.head[m.start.end:]}
}

func (l *lines) next() bool {
	for len(l.rest) > 0 {
		line := l.rest
		i := bytes.IndexByte(line, '\n')
		if i < 0 { // the head is cut here: half a value tells less than none
			return false
		}
		line, l.rest = line[:i], l.rest[i+1:]
		colon := bytes.IndexByte(line, ':')
		folded := false
		for len(l.rest) > 0 && (l.rest[0] == ' ' || l.rest[0] == '\t') {
			i := bytes.IndexByte(l.rest, '\n')
			if i < 0 {
				return false
			}
			line = line[:len(line)+1+i]
			l.rest = l.rest[i+1:]
			folded = true
		}
		if colon <= 0 {
			continue
		}
		l.Name, l.Value = http.Trim(line[:colon]), http.Trim(line[colon+1:])
		if folded {
			l.Value = unfold(l.Value)
		}
		return true
	}
	return false
}

// unfold replaces line ends by blanks (RFC 9112, 5.2).
func unfold(v []byte) []byte {
	var out []byte
	for part := range bytes.SplitSeq(v, []byte{'\n'}) {
		if part = http.Trim(part); len(part) == 0 {
			continue
		}
		if len(out) > 0 {
			out = append(out, ' ')
		}
		out = append(out, part...)
	}
	return out
}

// header is the first value of a header, whose name is given in lower case.
func (m *message) header(name string) []byte {
	for l := m.lines(); l.next(); {
		if len(l.Name) == len(name) && http.EqualFold(l.Name, name) {
			return l.Value
		}
	}
	return nil
}

func (m *message) appendHeaders(dst []http.Pair) []http.Pair {
	for l := m.lines(); l.next() && len(dst) < http.MaxPairs; {
		dst = append(dst, l.Pair)
	}
	return dst
}
