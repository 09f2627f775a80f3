package component

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"charm.land/lipgloss/v2"
	"github.com/sshark/sshark/tui/style"
)

// Span is a piece of a line in one style.
type Span struct {
	Text  style.Text
	Style lipgloss.Style
}

// Line is one line of a document.
type Line struct {
	Spans  []Span
	Filter string // the filter that this line stands for, "" if none
	Field  string // the field whose value it shows, "" if it shows none
	Copy   string // what copying the line copies, "" for its text
	Body   int    // 1 + part, for lines of a body; else 0
	Title  bool   // begins a section
}

// Text is the line without styles.
func (l *Line) Text() string {
	var b strings.Builder
	for _, s := range l.Spans {
		b.WriteString(string(s.Text))
	}
	return b.String()
}

// Render draws the line in w cells on a background.
func (l *Line) Render(st *style.Styles, w int, on style.Row) string {
	var b strings.Builder
	used := 0
	for _, s := range l.Spans {
		if used >= w {
			break
		}
		t := style.Text(s.Text.Cut(w - used))
		used += t.Width()
		b.WriteString(st.On(s.Style, on).Render(string(t)))
	}
	if used < w {
		if on == style.Plain {
			b.WriteString(style.Blank(w - used))
		} else {
			b.WriteString(st.On(st.Text, on).Render(style.Blank(w - used)))
		}
	}
	return b.String()
}

// maxLines bounds a document.
const maxLines = 20_000

// IsText says whether bytes are text for people: valid UTF-8 (but for a rune cut off at the
// end) with hardly a control character.
func IsText(b []byte) bool {
	for i := len(b) - 1; i >= max(0, len(b)-utf8.UTFMax+1); i-- {
		if utf8.RuneStart(b[i]) {
			if i > 0 && !utf8.FullRune(b[i:]) {
				b = b[:i]
			}
			break
		}
	}
	if !utf8.Valid(b) {
		return false
	}
	odd := 0
	for _, c := range b {
		if c < 0x20 && c != '\n' && c != '\r' && c != '\t' || c == 0x7f {
			odd++
		}
	}
	return odd*32 <= len(b)
}

// TextLines lays out text: lines as they are, wrapped at w cells.
func TextLines(st *style.Styles, b []byte, w int) []Line {
	var out []Line
	for l := range bytes.Lines(b) {
		l = bytes.TrimRight(l, "\r\n")
		t := style.Clean(strings.ReplaceAll(string(l), "\t", "    "))
		for _, part := range Wrap(t, w) {
			if len(out) >= maxLines {
				return append(out, more(st))
			}
			out = append(out, Line{Spans: []Span{{part, st.Text}}})
		}
	}
	return out
}

func more(st *style.Styles) Line {
	return Line{Spans: []Span{{"… there is more; the file has it: see the pcap command", st.Dim}}}
}

// Wrap cuts a text into pieces of at most w cells, at a blank if one is near; at least one.
func Wrap(t style.Text, w int) []style.Text {
	w = max(w, 8)
	if t.Width() <= w {
		return []style.Text{t}
	}
	var out []style.Text
	start, used, blank := 0, 0, 0
	for i := 0; i < len(t); {
		r, size := utf8.DecodeRuneInString(string(t[i:]))
		n := style.Text(r).Width()
		if used+n > w {
			if r != ' ' && blank > start+(i-start)*2/3 {
				i = blank
			}
			out = append(out, t[start:i])
			start, used = i, 0
			continue
		}
		if i += size; r == ' ' {
			blank = i
		}
		used += n
	}
	return append(out, t[start:])
}

// HexLines lays out bytes as offset, hex and ASCII, in as many bytes a line as fit into w.
func HexLines(st *style.Styles, b []byte, w int) []Line {
	n := 16
	if w < 10+16*4+3 {
		n = 8
	}
	var out []Line
	for at := 0; at < len(b); at += n {
		if len(out) >= maxLines {
			return append(out, more(st))
		}
		row := b[at:min(at+n, len(b))]
		var hx strings.Builder
		text := make([]byte, 0, n)
		for i := range n {
			if i == 8 {
				hx.WriteByte(' ')
			}
			if i >= len(row) {
				hx.WriteString("   ")
				continue
			}
			hx.WriteString(hex.EncodeToString(row[i:i+1]) + " ")
			c := row[i]
			if c < 0x20 || c >= 0x7f {
				c = '.'
			}
			text = append(text, c)
		}
		out = append(out, Line{Spans: []Span{
			{style.Text(fmt.Sprintf("%06x  ", at)), st.Faint},
			{style.Text(hx.String()), st.Text},
			{style.Text(" " + string(text)), st.Dim},
		}})
	}
	return out
}

// IsJSON says whether bytes begin as a JSON object or array.
func IsJSON(b []byte) bool {
	b = bytes.TrimLeft(b, " \t\r\n\ufeff")
	return len(b) > 1 && (b[0] == '{' || b[0] == '[')
}

// maxIndent bounds how deep lines are moved in, so that deep nesting stays linear.
const maxIndent = 20

// JSONLines lays out JSON, also broken or cut off JSON as far as it goes.
func JSONLines(st *style.Styles, b []byte, w int) []Line {
	j := jsonLayout{st: st, w: w}
	j.run(b)
	j.flush()
	return j.out
}

type jsonLayout struct {
	st    *style.Styles
	w     int
	out   []Line
	spans []Span
	depth int
}

func (j *jsonLayout) add(t string, s lipgloss.Style) {
	if len(j.spans) == 0 {
		j.spans = append(j.spans, Span{style.Text(style.Blank(2 * min(j.depth, maxIndent))), j.st.Text})
	}
	j.spans = append(j.spans, Span{style.Clean(t), s})
}

// flush ends a line. A long last string goes on in lines of its own.
func (j *jsonLayout) flush() {
	if len(j.spans) == 0 || len(j.out) > maxLines {
		j.spans = nil
		return
	}
	used := 0
	for i, s := range j.spans {
		n := s.Text.Width()
		if used+n > j.w && n > 8 && j.w-used > 8 {
			parts := Wrap(s.Text, j.w-used)
			rest := s.Text[len(parts[0]):]
			j.out = append(j.out, Line{Spans: append(append([]Span(nil), j.spans[:i]...), Span{parts[0], s.Style})})
			in := style.Text(style.Blank(min(2*min(j.depth, maxIndent)+2, j.w/2)))
			parts = Wrap(rest, j.w-in.Width())
			for k, p := range parts {
				line := Line{Spans: []Span{{in, j.st.Text}, {p, s.Style}}}
				if k == len(parts)-1 {
					line.Spans = append(line.Spans, j.spans[i+1:]...)
				}
				j.out = append(j.out, line)
			}
			j.spans = nil
			return
		}
		used += n
	}
	j.out = append(j.out, Line{Spans: j.spans})
	j.spans = nil
}

func (j *jsonLayout) run(b []byte) {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	for i := 0; i < len(b); {
		if len(j.out) > maxLines {
			j.out = append(j.out, more(j.st))
			return
		}
		switch c := b[i]; c {
		case ' ', '\t', '\r', '\n':
			i++
		case '{', '[':
			if n := len(j.spans); n > 0 && (j.spans[n-1].Text == "}" || j.spans[n-1].Text == "]") {
				j.flush() // one value after the other
			}
			if k := skipBlank(b, i+1); k < len(b) && b[k] == c+2 { // {} and []
				j.add(string(c)+string(c+2), j.st.Text)
				i = k + 1
				continue
			}
			j.add(string(c), j.st.Text)
			j.flush()
			j.depth++
			i++
		case '}', ']':
			j.flush()
			j.depth = max(0, j.depth-1)
			j.add(string(c), j.st.Text)
			i++
		case ',':
			j.add(",", j.st.Text)
			j.flush()
			i++
		case ':':
			j.add(": ", j.st.Text)
			i++
		case '"':
			end := i + 1
			for end < len(b) && b[end] != '"' {
				if b[end] == '\\' {
					end++
				}
				end++
			}
			end = min(end+1, len(b))
			s := j.st.String
			if k := skipBlank(b, end); k < len(b) && b[k] == ':' {
				s = j.st.Key
			}
			j.add(string(b[i:end]), s)
			i = end
		default:
			end := i + 1
			for end < len(b) && !bytes.ContainsRune([]byte(" \t\r\n{}[],:\""), rune(b[end])) {
				end++
			}
			j.add(string(b[i:end]), j.st.Number)
			i = end
		}
	}
}

func skipBlank(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}
