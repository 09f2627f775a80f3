package style

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
	"github.com/clipperhouse/uax29/v2/graphemes"
)

// Text is a single line that is safe to send to a terminal: it holds nothing but runes that
// print, and every terminal agrees on how many cells it takes. Components take Text, so what
// comes off the wire passes Clean before it can reach a screen. Constants of the program
// convert to Text by themselves.
type Text string

// maxMarks is how many combining marks a rune keeps: enough for every living script, too few
// to paint over the lines above and below.
const maxMarks = 2

// Clean makes a line out of anything. What does not print is written as Go writes it in a
// string: `\n`, `\x1b`, `\u202e`. That holds for C0 and C1 controls, invalid UTF-8, bidi and
// other format characters, private and unassigned runes, spaces that are not U+0020, and for
// combining sequences of which terminals disagree how wide they are (emoji with joiners,
// flags, conjoining Jamo).
func Clean(s string) Text {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] >= 0x7f {
			return clean(s, i)
		}
	}
	return Text(s)
}

func clean(s string, plain int) Text {
	var b strings.Builder
	b.Grow(len(s) + 16)
	b.WriteString(s[:plain])
	rest := s[plain:]
	if plain > 0 { // a mark may belong to the last plain rune
		rest = s[plain-1:]
		b.Reset()
		b.WriteString(s[:plain-1])
	}
	for len(rest) > 0 {
		if c := rest[0]; c >= 0x20 && c < 0x7f && (len(rest) == 1 || rest[1] < 0x80) {
			b.WriteByte(c)
			rest = rest[1:]
			continue
		}
		g := graphemes.FromString(rest)
		g.Next()
		writeCluster(&b, g.Value())
		rest = rest[len(g.Value()):]
	}
	out := b.String()
	if ansi.StringWidth(out) != ansi.StringWidthWc(out) {
		// Two runes join that are known to join nowhere: no terminal's word is taken for it.
		return numbers(s)
	}
	return Text(out)
}

// numbers writes all that is not ASCII by number.
func numbers(s string) Text {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r >= 0x20 && r < 0x7f {
			b.WriteByte(s[0])
		} else {
			escape(&b, r, s[:n])
		}
		s = s[n:]
	}
	return Text(b.String())
}

// writeCluster writes one grapheme cluster: as it is where that is safe, else its first rune
// if that prints, and the others by number.
func writeCluster(b *strings.Builder, c string) {
	first, n := utf8.DecodeRuneInString(c)
	if !prints(first, n) {
		for len(c) > 0 {
			r, n := utf8.DecodeRuneInString(c)
			if prints(r, n) {
				b.WriteRune(r)
			} else {
				escape(b, r, c[:n])
			}
			c = c[n:]
		}
		return
	}
	b.WriteRune(first)
	rest := c[n:]
	if rest == "" {
		return
	}
	marks, ok := 0, true
	for _, r := range rest {
		marks++
		// A mark takes no cell of its own; spacing ones and selectors are told differently.
		ok = ok && unicode.Is(unicode.Mn, r) && !unicode.Is(unicode.Variation_Selector, r)
	}
	if ok && marks <= maxMarks && ansi.StringWidth(c) == ansi.StringWidthWc(c) &&
		ansi.StringWidth(c) == ansi.StringWidth(c[:n]) {
		b.WriteString(rest)
		return
	}
	for len(rest) > 0 {
		r, n := utf8.DecodeRuneInString(rest)
		switch {
		case r == 0xfe0e || r == 0xfe0f: // text or emoji shape: says nothing
		case prints(r, n):
			b.WriteRune(r)
		default:
			escape(b, r, rest[:n])
		}
		rest = rest[n:]
	}
}

// prints says whether a rune may stand alone: it prints, and its width is beyond doubt.
func prints(r rune, size int) bool {
	switch {
	case r == utf8.RuneError && size == 1:
		return false
	case r < 0x7f:
		return r >= 0x20
	case !unicode.IsPrint(r), unicode.Is(unicode.M, r):
		return false
	case r >= 0x1f1e6 && r <= 0x1f1ff, r >= 0x1f3fb && r <= 0x1f3ff: // flags, skin tones
		return false
	case r >= 0x1100 && r <= 0x11ff, r >= 0xa960 && r <= 0xa97f, r >= 0xd7b0 && r <= 0xd7ff: // Jamo
		return false
	case r == 0x3164, r == 0xffa0: // fillers
		return false
	case r == 0xe33, r == 0xeb3: // Thai and Lao AM: letters that join the one before
		return false
	}
	s := string(r)
	w := ansi.StringWidth(s)
	// Signs that are written before their letter (Sharada jihvamuliya) join what follows, even
	// a blank.
	alone := ansi.StringWidth(s+" ") == w+1 && ansi.StringWidth("a"+s) == w+1
	return w > 0 && w == ansi.StringWidthWc(s) && alone
}

func escape(b *strings.Builder, r rune, raw string) {
	switch {
	case r == '\n':
		b.WriteString(`\n`)
	case r == '\r':
		b.WriteString(`\r`)
	case r == '\t':
		b.WriteString(`\t`)
	case r == utf8.RuneError || r < 0x80:
		for i := range len(raw) {
			fmt.Fprintf(b, `\x%02x`, raw[i])
		}
	case r < 0x10000:
		fmt.Fprintf(b, `\u%04x`, r)
	default:
		fmt.Fprintf(b, `\U%08x`, r)
	}
}

// Width is the number of cells that t takes.
func (t Text) Width() int {
	for i := range len(t) {
		if t[i] >= 0x7f {
			return ansi.StringWidth(string(t))
		}
	}
	return len(t)
}

const blanks = "                                                                                "

// Blank is n spaces, "" for n < 1.
func Blank(n int) string {
	if n < 1 {
		return ""
	}
	if n <= len(blanks) {
		return blanks[:n]
	}
	return strings.Repeat(" ", n)
}

// Cut is t in at most w cells, with an ellipsis where something was left out.
func (t Text) Cut(w int) string {
	if w <= 0 {
		return ""
	}
	if t.Width() <= w {
		return string(t)
	}
	return ansi.Truncate(string(t), w, "…")
}

// Fit is t in exactly w cells: cut, or padded on the right.
func (t Text) Fit(w int) string {
	s := t.Cut(w)
	return s + Blank(w-Text(s).Width())
}

// FitRight is t in exactly w cells, padded on the left.
func (t Text) FitRight(w int) string {
	s := t.Cut(w)
	return Blank(w-Text(s).Width()) + s
}
