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

// OneLine appends a text with a blank for what separates its words, and little more of it than n
// bytes: enough to see that it has to be shortened.
func OneLine(dst, s []byte, n int) []byte {
	start := len(dst)
	blank := true
	for _, c := range s {
		if c == ' ' || c == '\t' || c == '\n' || c == '\r' {
			if !blank {
				dst = append(dst, ' ')
			}
			blank = true
			continue
		}
		blank = false
		dst = append(dst, c)
		if len(dst)-start > n {
			break
		}
	}
	if len(dst) > start && dst[len(dst)-1] == ' ' {
		dst = dst[:len(dst)-1]
	}
	return dst
}
