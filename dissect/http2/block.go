package http2

import (
	"github.com/sshark/sshark/dissect/http"
)

// Limits of a header list.
const (
	maxBlock = 256 << 10 // of a header block as it was sent
	maxList  = 64 << 10  // of what is kept of a list
)

// list is a decoded header block. Its pairs stand in mem.
type list struct {
	mem     []byte
	pairs   []http.Pair
	unknown int  // fields that cannot be known
	cut     bool // there were more than are kept
}

// decode reads a header block (RFC 7541, 3.2 and 6) and changes the table. It returns false
// where that is no header block; then the table is worth nothing any more.
func (t *table) decode(b []byte, l *list) bool {
	for len(b) > 0 {
		c := b[0]
		if c&0xe0 == 0x20 {
			n, rest, ok := integer(b, 5)
			if !ok {
				return false
			}
			b = rest
			t.resize(int(min(n, 1<<31-1)))
			continue
		}
		if c&0x80 != 0 {
			n, rest, ok := integer(b, 7)
			if !ok || n == 0 {
				return false
			}
			b = rest
			name, value, known := t.at(n)
			mark := len(l.mem)
			l.mem = append(append(l.mem, name...), value...)
			l.field(mark, mark+len(name), known)
			continue
		}
		bits, add := 4, false
		if c&0x40 != 0 {
			bits, add = 6, true
		}
		n, rest, ok := integer(b, bits)
		if !ok {
			return false
		}
		b = rest
		mark := len(l.mem)
		known := true
		if n == 0 {
			if l.mem, b, ok = appendLiteral(l.mem, b); !ok {
				return false
			}
		} else {
			var name []byte
			name, _, known = t.at(n)
			l.mem = append(l.mem, name...)
		}
		split := len(l.mem)
		if l.mem, b, ok = appendLiteral(l.mem, b); !ok {
			return false
		}
		if add {
			t.add(l.mem[mark:split], l.mem[split:], !known)
		}
		l.field(mark, split, known)
	}
	return true
}

// field completes the field whose name begins at mark and whose value begins at split.
func (l *list) field(mark, split int, known bool) {
	switch {
	case !known:
		l.unknown++
	case len(l.mem) > maxList || len(l.pairs) >= http.MaxPairs:
		l.cut = true
	default:
		end := len(l.mem)
		l.pairs = append(l.pairs, http.Pair{Name: l.mem[mark:split:split], Value: l.mem[split:end:end]})
		return
	}
	l.mem = l.mem[:mark]
}

// integer reads a number with a prefix of so many bits (RFC 7541, 5.1).
func integer(b []byte, bits int) (n uint64, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	mask := uint64(1)<<bits - 1
	n = uint64(b[0]) & mask
	b = b[1:]
	if n < mask {
		return n, b, true
	}
	for shift := 0; shift <= 28 && len(b) > 0; shift += 7 {
		c := b[0]
		b = b[1:]
		n += uint64(c&0x7f) << shift
		if c&0x80 == 0 {
			return n, b, true
		}
	}
	return 0, nil, false
}

// appendLiteral appends a string (RFC 7541, 5.2).
func appendLiteral(dst, b []byte) (out, rest []byte, ok bool) {
	n, rest, ok := integer(b, 7)
	if !ok || n > uint64(len(rest)) {
		return dst, nil, false
	}
	s := rest[:n]
	rest = rest[n:]
	if b[0]&0x80 == 0 {
		return append(dst, s...), rest, true
	}
	dst, ok = appendHuffman(dst, s)
	return dst, rest, ok
}

// what a header block is.
type what uint8

const (
	garbage  what = iota // no header block, as far as can be told without the table
	trailers             // or one whose beginning is unknown
	request
	response
)

// classify tells what a header block is by the fields that stand in it or in the static
// table. It is strict: it tells header blocks from other bytes.
func classify(b []byte, scratch *list) (w what) {
	var t table
	w = trailers
	n := 0
	for len(b) > 0 {
		c := b[0]
		var name []byte
		var index uint64
		var ok, known bool
		switch {
		case c&0xe0 == 0x20:
			if index, b, ok = integer(b, 5); !ok || n > 0 || index > 1<<24 {
				return garbage
			}
			continue
		case c&0x80 != 0:
			if index, b, ok = integer(b, 7); !ok || index == 0 || index > maxIndex {
				return garbage
			}
			name, _, known = t.at(index)
		default:
			bits := 4
			if c&0x40 != 0 {
				bits = 6
			}
			if index, b, ok = integer(b, bits); !ok || index > maxIndex {
				return garbage
			}
			scratch.mem = scratch.mem[:0]
			if index == 0 {
				if scratch.mem, b, ok = appendLiteral(scratch.mem, b); !ok || !fieldName(scratch.mem) {
					return garbage
				}
				name, known = scratch.mem, true
			} else {
				name, _, known = t.at(index)
			}
			end := len(scratch.mem)
			if scratch.mem, b, ok = appendLiteral(scratch.mem, b); !ok || !fieldValue(scratch.mem[end:]) {
				return garbage
			}
		}
		if n++; !known {
			continue
		}
		switch string(name) {
		case ":method", ":scheme", ":path", ":authority":
			if w == response {
				return garbage
			}
			w = request
		case ":status":
			if w == request {
				return garbage
			}
			w = response
		}
	}
	if n == 0 {
		return garbage
	}
	return w
}

// maxIndex is more than the entries of any table that is in use.
const maxIndex = 1 << 12

// fieldName says whether it may be the name of a header field (RFC 9113, 8.2.1).
func fieldName(b []byte) bool {
	if len(b) > 0 && b[0] == ':' {
		b = b[1:]
	}
	for _, c := range b {
		if !nameByte[c] {
			return false
		}
	}
	return len(b) > 0
}

func fieldValue(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// nameByte are the characters of a token (RFC 9110, 5.6.2), without capitals.
var nameByte = func() (t [256]bool) {
	for c := '0'; c <= 'z'; c++ {
		t[c] = c <= '9' || c >= 'a'
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()
