package http1

import (
	"bytes"

	"github.com/sshark/sshark/dissect"
)

// pair is a name and a value, still in the head that they were read from.
type pair struct{ name, value []byte }

// maxPairs bounds how many headers, cookies or query parameters of a message are told.
const maxPairs = 256

// lines goes through the header lines of a head; folded ones are joined.
type lines struct {
	rest []byte
	pair
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
		l.name, l.value = trim(line[:colon]), trim(line[colon+1:])
		if folded {
			l.value = unfold(l.value)
		}
		return true
	}
	return false
}

// unfold replaces line ends by blanks (RFC 9112, 5.2).
func unfold(v []byte) []byte {
	var out []byte
	for part := range bytes.SplitSeq(v, []byte{'\n'}) {
		if part = trim(part); len(part) == 0 {
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
		if len(l.name) == len(name) && equalFold(l.name, name) {
			return l.value
		}
	}
	return nil
}

// equalFold compares with a name in lower case.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

func (m *message) appendHeaders(dst []pair) []pair {
	for l := m.lines(); l.next() && len(dst) < maxPairs; {
		dst = append(dst, l.pair)
	}
	return dst
}

// appendCookies reads Cookie headers (RFC 6265, 4.2).
func (m *message) appendCookies(dst []pair) []pair {
	for l := m.lines(); l.next(); {
		if !equalFold(l.name, "cookie") {
			continue
		}
		for v := l.value; len(v) > 0 && len(dst) < maxPairs; {
			item := v
			if i := bytes.IndexByte(v, ';'); i >= 0 {
				item, v = v[:i], v[i+1:]
			} else {
				v = nil
			}
			dst = appendCookie(dst, item)
		}
	}
	return dst
}

// appendSetCookies reads Set-Cookie headers; a cookie's attributes are left out.
func (m *message) appendSetCookies(dst []pair) []pair {
	for l := m.lines(); l.next() && len(dst) < maxPairs; {
		if !equalFold(l.name, "set-cookie") {
			continue
		}
		item := l.value
		if i := bytes.IndexByte(item, ';'); i >= 0 {
			item = item[:i]
		}
		dst = appendCookie(dst, item)
	}
	return dst
}

func appendCookie(dst []pair, item []byte) []pair {
	name, value, _ := bytes.Cut(item, []byte{'='})
	if name = trim(name); len(name) == 0 {
		return dst
	}
	value = trim(value)
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		value = value[1 : n-1]
	}
	return append(dst, pair{name, value})
}

// appendQuery reads a query, percent-encoding undone.
func appendQuery(dst []pair, query []byte) []pair {
	for len(query) > 0 && len(dst) < maxPairs {
		item := query
		if i := bytes.IndexByte(query, '&'); i >= 0 {
			item, query = query[:i], query[i+1:]
		} else {
			query = nil
		}
		if len(item) == 0 {
			continue
		}
		name, value, _ := bytes.Cut(item, []byte{'='})
		dst = append(dst, pair{unescape(name), unescape(value)})
	}
	return dst
}

// unescape undoes percent-encoding; what is none stays.
func unescape(b []byte) []byte {
	if bytes.IndexByte(b, '%') < 0 && bytes.IndexByte(b, '+') < 0 {
		return b
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '+':
			out = append(out, ' ')
		case b[i] == '%' && i+2 < len(b) && hex(b[i+1]) >= 0 && hex(b[i+2]) >= 0:
			out = append(out, byte(hex(b[i+1])<<4|hex(b[i+2])))
			i += 2
		default:
			out = append(out, b[i])
		}
	}
	return out
}

// has says whether there is a header of that name, given in lower case.
func has(headers []pair, name string) bool {
	for i := range headers {
		if equalFold(headers[i].name, name) {
			return true
		}
	}
	return false
}

// kind says how pairs become a map: what joins the values of one name, and whether names
// that differ in case are one.
type kind struct {
	sep  string
	fold bool
}

var (
	headerKind = kind{", ", true}
	cookieKind = kind{"; ", false}
	queryKind  = kind{",", false}
)

// appendMap appends a JSON object. Of names that occur twice, the values are joined.
// Header names are told in lower case.
func appendMap(dst []byte, ps []pair, k kind) []byte {
	dst = append(dst, '{')
	first := true
	for i := range ps {
		value, again := joined(ps, i, k)
		if again {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		if k.fold {
			var mem [64]byte
			dst = dissect.AppendBytes(dst, appendLower(mem[:0], ps[i].name))
		} else {
			dst = dissect.AppendBytes(dst, ps[i].name)
		}
		dst = append(dst, ':')
		dst = dissect.AppendBytes(dst, value)
	}
	return append(dst, '}')
}

// toMap is appendMap for a filter.
func toMap(ps []pair, k kind) map[string]string {
	m := make(map[string]string, len(ps))
	for i := range ps {
		value, again := joined(ps, i, k)
		if again {
			continue
		}
		name := ps[i].name
		if k.fold {
			name = appendLower(nil, name)
		}
		m[string(name)] = string(value)
	}
	return m
}

// joined is the value of the i-th name with those that it has further on; again says that
// the name stands before as well.
func joined(ps []pair, i int, k kind) (value []byte, again bool) {
	name := ps[i].name
	for j := range i {
		if len(ps[j].name) == len(name) && sameName(ps[j].name, name, k) {
			return nil, true
		}
	}
	value = ps[i].value
	own := false
	for j := i + 1; j < len(ps); j++ {
		if len(ps[j].name) != len(name) || !sameName(ps[j].name, name, k) {
			continue
		}
		if !own {
			value, own = append([]byte(nil), value...), true
		}
		value = append(append(value, k.sep...), ps[j].value...)
	}
	return value, false
}

func sameName(a, b []byte, k kind) bool {
	if k.fold {
		return bytes.EqualFold(a, b)
	}
	return bytes.Equal(a, b)
}

func appendLower(dst, b []byte) []byte {
	for _, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}
