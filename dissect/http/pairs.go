package http

import (
	"bytes"

	"github.com/sshark/sshark/dissect"
)

// appendCookies reads Cookie headers (RFC 6265, 4.2).
func appendCookies(dst []Pair, headers []Pair) []Pair {
	for i := range headers {
		if !EqualFold(headers[i].Name, "cookie") {
			continue
		}
		for v := headers[i].Value; len(v) > 0 && len(dst) < MaxPairs; {
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
func appendSetCookies(dst []Pair, headers []Pair) []Pair {
	for i := range headers {
		if len(dst) == MaxPairs || !EqualFold(headers[i].Name, "set-cookie") {
			continue
		}
		item := headers[i].Value
		if i := bytes.IndexByte(item, ';'); i >= 0 {
			item = item[:i]
		}
		dst = appendCookie(dst, item)
	}
	return dst
}

func appendCookie(dst []Pair, item []byte) []Pair {
	name, value, _ := bytes.Cut(item, []byte{'='})
	if name = Trim(name); len(name) == 0 {
		return dst
	}
	value = Trim(value)
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		value = value[1 : n-1]
	}
	return append(dst, Pair{name, value})
}

// AppendQuery reads a query, percent-encoding undone.
func AppendQuery(dst []Pair, query []byte) []Pair {
	for len(query) > 0 && len(dst) < MaxPairs {
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
		dst = append(dst, Pair{unescape(name), unescape(value)})
	}
	return dst
}

// unescape undoes percent-encoding; what is none stays.
func unescape(b []byte) []byte {
	if bytes.IndexByte(b, '%') < 0 && bytes.IndexByte(b, '+') < 0 {
		return b
	}
	return AppendUnescaped(make([]byte, 0, len(b)), b, true)
}

// AppendUnescaped appends b with percent-encoding undone; what is none stays. plus says that
// a plus sign stands for a blank, as it does in queries.
func AppendUnescaped(dst, b []byte, plus bool) []byte {
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '+' && plus:
			dst = append(dst, ' ')
		case b[i] == '%' && i+2 < len(b) && Hex(b[i+1]) >= 0 && Hex(b[i+2]) >= 0:
			dst = append(dst, byte(Hex(b[i+1])<<4|Hex(b[i+2])))
			i += 2
		default:
			dst = append(dst, b[i])
		}
	}
	return dst
}

// Hex is the value of a hexadecimal digit, -1 if it is none.
func Hex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// Trim takes blanks off both ends, and the CR.
func Trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for n := len(b); n > 0 && (b[n-1] == ' ' || b[n-1] == '\t' || b[n-1] == '\r'); n = len(b) {
		b = b[:n-1]
	}
	return b
}

// has says whether there is a header of that name, given in lower case.
func has(headers []Pair, name string) bool {
	for i := range headers {
		if EqualFold(headers[i].Name, name) {
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
func appendMap(dst []byte, ps []Pair, k kind) []byte {
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
			dst = dissect.AppendBytes(dst, AppendLower(mem[:0], ps[i].Name))
		} else {
			dst = dissect.AppendBytes(dst, ps[i].Name)
		}
		dst = append(dst, ':')
		dst = dissect.AppendBytes(dst, value)
	}
	return append(dst, '}')
}

// toMap is appendMap for a filter.
func toMap(ps []Pair, k kind) map[string]string {
	m := make(map[string]string, len(ps))
	for i := range ps {
		value, again := joined(ps, i, k)
		if again {
			continue
		}
		name := ps[i].Name
		if k.fold {
			name = AppendLower(nil, name)
		}
		m[string(name)] = string(value)
	}
	return m
}

// joined is the value of the i-th name with those that it has further on; again says that
// the name stands before as well.
func joined(ps []Pair, i int, k kind) (value []byte, again bool) {
	name := ps[i].Name
	for j := range i {
		if len(ps[j].Name) == len(name) && sameName(ps[j].Name, name, k) {
			return nil, true
		}
	}
	value = ps[i].Value
	sep, own := k.sep, false
	for j := i + 1; j < len(ps); j++ {
		if len(ps[j].Name) != len(name) || !sameName(ps[j].Name, name, k) {
			continue
		}
		if !own {
			value, own = append([]byte(nil), value...), true
			if k.fold && EqualFold(name, "cookie") { // crumbs of one header (RFC 9113, 8.2.3)
				sep = cookieKind.sep
			}
		}
		value = append(append(value, sep...), ps[j].Value...)
	}
	return value, false
}

func sameName(a, b []byte, k kind) bool {
	if k.fold {
		return bytes.EqualFold(a, b)
	}
	return bytes.Equal(a, b)
}

// AppendLower appends ASCII letters in lower case.
func AppendLower(dst, b []byte) []byte {
	for _, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}
