package dissect

import (
	"unicode/utf8"
	"unsafe"
)

// AppendKnown appends `,"name":value` where there is a value that came off the wire.
func AppendKnown(dst []byte, name string, value []byte) []byte {
	if len(value) == 0 {
		return dst
	}
	return AppendBytes(AppendKey(dst, name), value)
}

// AppendKey appends `,"name":`. The name is one of ours: it needs no escaping.
func AppendKey(dst []byte, name string) []byte {
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	return append(dst, '"', ':')
}

// AppendString appends s as a JSON string (RFC 8259, 7), quotes included. What comes out is
// valid UTF-8 whatever goes in: a byte that is none becomes U+FFFD. Everything that a terminal
// could take for a command or for a change of direction is escaped, so a line of JSON may be
// looked at as it is.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	done, i := 0, 0
	for {
		for i < len(s) && plain[s[i]] {
			i++
		}
		if i == len(s) {
			break
		}
		r, n := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRuneInString(s[i:])
			if (r != utf8.RuneError || n > 1) && !steers(r) {
				i += n
				continue
			}
		}
		dst = append(dst, s[done:i]...)
		dst = appendEscape(dst, r)
		i += n
		done = i
	}
	dst = append(dst, s[done:]...)
	return append(dst, '"')
}

// AppendBytes is AppendString for bytes.
func AppendBytes(dst, s []byte) []byte {
	return AppendString(dst, unsafe.String(unsafe.SliceData(s), len(s)))
}

// AppendStrings appends a JSON array of strings.
func AppendStrings(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, s)
	}
	return append(dst, ']')
}

// plain are the ASCII characters that stand for themselves in a JSON string.
var plain = func() (t [256]bool) {
	for c := 0x20; c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// steers says whether a character beyond ASCII controls how text is shown: C1 controls, line
// and paragraph separators, and those that turn the direction of writing.
func steers(r rune) bool {
	switch {
	case r < 0xa0, r == 0x200e, r == 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0xfeff:
		return true
	}
	return false
}

func appendEscape(dst []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(dst, '\\', byte(r))
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}
