package command

import (
	"unicode/utf8"
)

// AppendPrintable appends s so that a terminal shows it and obeys nothing in it: control
// characters (C0, DEL, C1), line separators, bidirectional controls and bytes that are not
// UTF-8 become \n, \t, \x1b or \u202e. A backslash stays one: the result is for eyes.
func AppendPrintable(dst []byte, s string) []byte {
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c < 0x7f {
			i++
			continue
		}
		r, n := rune(c), 1
		if c >= utf8.RuneSelf {
			r, n = utf8.DecodeRuneInString(s[i:])
			if (r != utf8.RuneError || n > 1) && !steers(r) {
				i += n
				continue
			}
		}
		dst = append(dst, s[done:i]...)
		const hex = "0123456789abcdef"
		switch {
		case c == '\n':
			dst = append(dst, `\n`...)
		case c == '\r':
			dst = append(dst, `\r`...)
		case c == '\t':
			dst = append(dst, `\t`...)
		case n == 1:
			dst = append(dst, '\\', 'x', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
		}
		i += n
		done = i
	}
	return append(dst, s[done:]...)
}

// steers says whether a character beyond ASCII controls how text is shown.
func steers(r rune) bool {
	return r < 0xa0 || r == 0x200e || r == 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0xfeff
}

// printable is AppendPrintable of a string.
func printable(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] >= 0x7f {
			return string(AppendPrintable(nil, s))
		}
	}
	return s
}
