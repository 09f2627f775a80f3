package postgresql

import (
	"bytes"
	"encoding/binary"
)

// Codes that stand where a startup packet has its version.
const (
	versionThree  = 3 << 16 // and minor versions above
	cancelRequest = 80877102
	sslRequest    = 80877103
	gssRequest    = 80877104
)

const (
	headerSize = 5       // of a message: its kind and its length
	maxMessage = 1 << 30 // bytes (MaxAllocSize of the server)
	maxStartup = 10_000  // bytes of a startup packet (MAX_STARTUP_PACKET_LENGTH)
	maxCancel  = 12 + 256
	// maxBelieved is how long a message may be where nothing but its header speaks for it.
	maxBelieved = 1 << 24
)

// frontend and backend say of each kind of message how long it is, with its length: an exact
// number, or at least so many (negative); 0: there is no such message.
var (
	frontend = [256]int{'Q': -5, 'P': -8, 'B': -12, 'E': -9, 'D': -6, 'C': -6, 'F': -14, 'd': -4, 'f': -5, 'p': -4,
		'S': 4, 'H': 4, 'X': 4, 'c': 4}
	backend = [256]int{'R': -8, 'K': -12, 'S': -6, 'T': -6, 'D': -6, 'C': -5, 'E': -5, 'N': -5, 'A': -10, 't': -6, 'G': -7, 'H': -7, 'W': -7,
		'd': -4, 'V': -8, 'v': -12, 'Z': 5, '1': 4, '2': 4, '3': 4, 'n': 4, 's': 4, 'I': 4, 'c': 4}
)

// length is that of the message whose header is given, without its kind; 0: it is none.
func length(kinds *[256]int, header []byte) int {
	n := int(binary.BigEndian.Uint32(header[1:]))
	switch want := kinds[header[0]]; {
	case want == 0, n > maxMessage, want > 0 && n != want, want < 0 && n < -want:
		return 0
	}
	return n
}

// chain says how far b, the beginning of a piece, is a row of messages: the number of them
// that are whole, and whether all of b fits.
func chain(kinds *[256]int, b []byte) (whole int, ok bool) {
	for len(b) >= headerSize {
		n := length(kinds, b)
		if n == 0 {
			return whole, false
		}
		if n++; n > len(b) {
			return whole, n <= maxBelieved && contentOK(kinds, b[0], b[headerSize:], n-headerSize)
		}
		if !contentOK(kinds, b[0], b[headerSize:n], n-headerSize) {
			return whole, false
		}
		whole++
		b = b[n:]
	}
	return whole, len(b) == 0 || kinds[b[0]] != 0 && (len(b) < 2 || b[1] < maxMessage>>24)
}

// contentOK looks at the payload of a message, of which b is the beginning; n is its length.
func contentOK(kinds *[256]int, kind byte, b []byte, n int) bool {
	whole := len(b) == n
	if kinds == &frontend {
		switch kind {
		case 'Q':
			return text(b, whole)
		case 'P':
			name, rest, ok := cstring(b)
			if !ok {
				return !whole && text(b, false)
			}
			query, rest, ok := cstring(rest)
			if !ok {
				return !whole && text(name, false) && text(rest, false)
			}
			return text(name, false) && text(query, false) && (!whole || len(rest) >= 2)
		case 'D', 'C':
			return len(b) == 0 || b[0] == 'S' || b[0] == 'P'
		case 'E':
			return !whole || bytes.IndexByte(b, 0) == n-5
		}
		return true
	}
	switch kind {
	case 'Z':
		return len(b) == 0 || b[0] == 'I' || b[0] == 'T' || b[0] == 'E'
	case 'C':
		return text(b, whole)
	case 'E', 'N':
		return len(b) == 0 || b[0] == 'S' || b[0] == 0
	case 'T', 't', 'D':
		return len(b) < 2 || b[0] < 0x10 // columns
	case 'R':
		return len(b) < 4 || binary.BigEndian.Uint32(b) <= 12
	}
	return true
}

// text says whether b is text, which ends with its only zero byte where all of it is there.
func text(b []byte, whole bool) bool {
	if whole {
		if len(b) == 0 || b[len(b)-1] != 0 {
			return false
		}
		b = b[:len(b)-1]
	}
	for _, c := range b {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f' {
			return false
		}
	}
	return true
}

// cstring is the string that b begins with, and what is behind its end.
func cstring(b []byte) (s, rest []byte, ok bool) {
	i := bytes.IndexByte(b, 0)
	if i < 0 {
		return b, nil, false
	}
	return b[:i], b[i+1:], true
}
