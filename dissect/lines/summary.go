package lines

import "unicode/utf8"

// Shorten cuts what was appended to dst since start to at most n bytes and an ellipsis, and no
// character in half.
func Shorten(dst []byte, start, n int) []byte {
	if len(dst)-start <= n {
		return dst
	}
	end := start + n
	for i := 1; i < utf8.UTFMax && i < n; i++ {
		if utf8.RuneStart(dst[end]) {
			break
		}
		end--
	}
	return append(dst[:end], "…"...)
}
