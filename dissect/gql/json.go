package gql

import (
	"unicode/utf8"

	"github.com/sshark/sshark/dissect/http"
)

// members goes through the members of a JSON object, or of all objects in an array, which may
// be cut. Of a value that is a string (quoted), each gets what stands between the quotes,
// escapes and all; of another one all of it. It stops where b is no JSON.
func members(b []byte, each func(object int, key, value []byte, quoted bool)) {
	i, array, object := blank(b, 0), false, 0
	if i < len(b) && b[i] == '[' {
		array = true
		i = blank(b, i+1)
	}
	for i < len(b) && b[i] == '{' {
		i = blank(b, i+1)
		for i < len(b) && b[i] == '"' {
			end := text(b, i)
			if end > len(b) {
				return
			}
			key := b[i+1 : end-1]
			if i = blank(b, end); i >= len(b) || b[i] != ':' {
				return
			}
			i = blank(b, i+1)
			if end = skip(b, i); end == i {
				return
			}
			if b[i] == '"' {
				each(object, key, b[i+1:min(end-1, len(b))], true)
			} else {
				each(object, key, b[i:min(end, len(b))], false)
			}
			if i = blank(b, end); i < len(b) && b[i] == ',' {
				i = blank(b, i+1)
			}
		}
		if i >= len(b) || b[i] != '}' || !array {
			return
		}
		if i = blank(b, i+1); i >= len(b) || b[i] != ',' {
			return
		}
		i = blank(b, i+1)
		object++
	}
}

func blank(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

// text returns the end of the string that begins at i: beyond b if that is cut.
func text(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b) + 1
}

// skip returns the end of the value that begins at i, i itself if none does.
func skip(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch c := b[i]; c {
		case '"':
			if i = text(b, i); depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return i
}

// appendText appends up to limit bytes of a JSON string with its escapes undone (RFC 8259, 7).
// A surrogate becomes U+FFFD: names hold none.
func appendText(dst, b []byte, limit int) []byte {
	end := len(dst) + limit
	for i := 0; i < len(b) && len(dst) < end; i++ {
		if b[i] != '\\' || i+1 == len(b) {
			dst = append(dst, b[i])
			continue
		}
		i++
		switch c := b[i]; c {
		case 'n':
			dst = append(dst, '\n')
		case 't':
			dst = append(dst, '\t')
		case 'r':
			dst = append(dst, '\r')
		case 'b', 'f':
			dst = append(dst, ' ')
		case 'u':
			if i+4 < len(b) {
				r := rune(0)
				for _, d := range b[i+1 : i+5] {
					r = r<<4 | rune(max(0, http.Hex(d)))
				}
				dst = utf8.AppendRune(dst, r)
			}
			i += 4
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
