package view

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"charm.land/lipgloss/v2"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/style"
)

// streamForm is how the bytes of a stream are shown.
type streamForm uint8

const (
	asText streamForm = iota
	asHex
	asJSON
)

func (f streamForm) String() string { return [...]string{"text", "hex", "JSON"}[f] }

// sides are those that are shown.
type sides uint8

const (
	bothSides sides = iota
	clientSide
	serverSide
)

func (s sides) String() string { return [...]string{"both sides", "client", "server"}[s] }

func (s sides) has(d flow.Dir) bool { return s == bothSides || s == clientSide+sides(d) }

// streamLine is a line of a stream as it is shown: it begins at a byte of a turn and goes on to
// the next one. JSON that was laid out has lines that were drawn already.
type streamLine struct {
	turn int32
	from int32
	laid int32 // 1 + number of the line that was laid out, 0: the bytes themselves
}

// maxLaid bounds the lines that are laid out as JSON; what is behind them is text.
const maxLaid = 50_000

// streamLines lays a conversation out.
type streamLines struct {
	conv  *conversation
	st    *style.Styles
	form  streamForm
	sides sides
	width int // of what is behind the arrow

	all  []streamLine
	laid []component.Line
	row  int // bytes in a line of hex
}

func (l *streamLines) lay() {
	l.all, l.laid = l.all[:0], nil
	l.row = 16
	if l.width < 10+16*4+3 {
		l.row = 8
	}
	for i := range l.conv.turns {
		t := &l.conv.turns[i]
		switch {
		case !l.sides.has(t.side):
		case t.missing:
			l.put(i, t.from)
		case l.form == asHex:
			for at := t.from; at < t.to; at += l.row {
				l.put(i, at)
			}
		case l.form == asJSON:
			l.json(i)
		default:
			l.text(i, t.from, t.to)
		}
	}
}

func (l *streamLines) put(turn, from int) {
	l.all = append(l.all, streamLine{turn: int32(turn), from: int32(from)})
}

// text lays bytes out as lines, wrapped.
func (l *streamLines) text(turn, from, to int) {
	b := l.conv.bytes
	for from < to {
		end := to
		if i := bytes.IndexByte(b[from:to], '\n'); i >= 0 {
			end = from + i + 1
		}
		used := 0
		l.put(turn, from)
		for at := from; at < end; {
			n, w := 1, 1
			if c := b[at]; c < 0x20 || c >= 0x7f {
				if c == '\n' || c == '\r' && at+2 == end && b[at+1] == '\n' {
					break
				}
				var t style.Text
				t, n = glyph(b[at:end])
				w = t.Width()
			}
			if used+w > l.width && used > 0 {
				l.put(turn, at)
				used = 0
			}
			used += w
			at += n
		}
		from = end
	}
}

// glyph is the first character of b as it is shown, and how many bytes it is made of.
func glyph(b []byte) (style.Text, int) {
	if b[0] == '\t' {
		return "    ", 1
	}
	_, n := utf8.DecodeRune(b)
	return style.Clean(string(b[:n])), n
}

// json lays JSON values out that begin at the beginning of a line; the rest is text.
func (l *streamLines) json(turn int) {
	t := &l.conv.turns[turn]
	b := l.conv.bytes[:t.to]
	from, at := t.from, t.from
	for at < t.to {
		if end := jsonValue(b[at:]); end > 0 && len(l.laid) < maxLaid {
			l.text(turn, from, at)
			for _, line := range component.JSONLines(l.st, b[at:at+end], l.width) {
				l.laid = append(l.laid, line)
				l.all = append(l.all, streamLine{int32(turn), int32(at), int32(len(l.laid))})
			}
			at += end
			from = at
			continue
		}
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			break
		}
		at += i + 1
	}
	if rest := b[from:]; from == t.from || len(bytes.TrimSpace(rest)) > 0 {
		l.text(turn, from, t.to)
	}
}

// jsonValue is how long the object or array is that b begins with, 0: it begins with none. One
// that is cut off goes on to the end.
func jsonValue(b []byte) int {
	if len(b) < 2 || b[0] != '{' && b[0] != '[' {
		return 0
	}
	next := bytes.TrimLeft(b[1:min(len(b), 64)], " \t\r\n")
	if len(next) == 0 || b[0] == '{' && next[0] != '"' && next[0] != '}' || b[0] == '[' && !bytes.ContainsRune([]byte(`[{"]-0123456789tfn`), rune(next[0])) {
		return 0
	}
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(b)
}

// end is where the bytes of a line end.
func (l *streamLines) end(i int) int {
	this := l.all[i]
	for i++; i < len(l.all) && l.all[i].turn == this.turn; i++ {
		if l.all[i].from > this.from {
			return int(l.all[i].from)
		}
	}
	return l.conv.turns[this.turn].to
}

// at is the line that a byte is on.
func (l *streamLines) at(b int) int {
	lo, hi := 0, len(l.all)
	for lo < hi { // lines are in the order of their bytes
		mid := (lo + hi) / 2
		if int(l.all[mid].from) <= b {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return max(0, lo-1)
}

// arrow marks who speaks, also where there is no colour.
func arrow(d flow.Dir) style.Text {
	if d == 0 {
		return "→ "
	}
	return "← "
}

func (l *streamLines) look(d flow.Dir) lipgloss.Style {
	if d == 0 {
		return l.st.Key
	}
	return l.st.String
}

// draw makes line i; found are the matches that may be on it, and which of them is picked.
func (l *streamLines) draw(i int, found []match, picked match) component.Line {
	this := l.all[i]
	t := &l.conv.turns[this.turn]
	look := l.look(t.side)
	out := component.Line{Spans: []component.Span{{Text: arrow(t.side), Style: look}}}
	switch {
	case t.missing:
		p := &l.conv.pieces[t.piece]
		out.Spans = append(out.Spans, component.Span{Text: gapText(p), Style: l.st.Warn})
	case this.laid > 0:
		out.Spans = append(out.Spans, l.laid[this.laid-1].Spans...)
	case l.form == asHex:
		l.drawHex(&out, t, int(this.from), min(int(this.from)+l.row, t.to), found, picked)
	default:
		l.drawText(&out, int(this.from), l.end(i), look, found, picked)
	}
	return out
}

func gapText(p *piece) style.Text {
	switch {
	case p.at == skipped:
		return style.Text("[" + group(uint64(p.gap)) + " bytes are in the parts before]")
	case p.gap == 0:
		return "[bytes are missing here, it is not known how many]"
	}
	return style.Text("[" + count(int(p.gap), "byte") + missingHere(p.gap))
}

func missingHere(n int64) string {
	if n == 1 {
		return " is missing here]"
	}
	return " are missing here]"
}

// spanner puts text together, with the matches in it.
type spanner struct {
	out   *component.Line
	text  []byte
	style lipgloss.Style
	kind  int // of the text that is held
}

// The kinds of text: as it is, escaped, in a match, in the match that was gone to.
const (
	kindPlain = iota
	kindEscaped
	kindFound
	kindPicked
)

func (s *spanner) put(t string, kind int, look lipgloss.Style) {
	if kind != s.kind {
		s.flush()
	}
	s.kind, s.style = kind, look
	s.text = append(s.text, t...)
}

func (s *spanner) flush() {
	if len(s.text) > 0 {
		s.out.Spans = append(s.out.Spans, component.Span{Text: style.Text(s.text), Style: s.style})
		s.text = s.text[:0]
	}
}

// kindAt says in which kind of match a byte is; found is cut to what is not behind it yet.
func kindAt(found *[]match, picked match, at int) int {
	for len(*found) > 0 && (*found)[0].to <= at {
		*found = (*found)[1:]
	}
	switch f := *found; {
	case len(f) == 0 || f[0].from > at:
		return kindPlain
	case f[0] == picked:
		return kindPicked
	}
	return kindFound
}

func (l *streamLines) lookOf(kind int, plain lipgloss.Style) lipgloss.Style {
	switch kind {
	case kindEscaped:
		return l.st.Faint
	case kindFound:
		return l.st.Warn.Underline(true)
	case kindPicked:
		return l.st.Warn.Reverse(true)
	}
	return plain
}

func (l *streamLines) drawText(out *component.Line, from, to int, look lipgloss.Style, found []match, picked match) {
	b := l.conv.bytes
	s := spanner{out: out}
	for at := from; at < to; {
		c := b[at]
		if c == '\n' || c == '\r' && at+2 == to && b[at+1] == '\n' {
			break
		}
		kind := kindAt(&found, picked, at)
		if c >= 0x20 && c < 0x7f {
			s.put(string(rune(c)), kind, l.lookOf(kind, look))
			at++
			continue
		}
		t, n := glyph(b[at:to])
		if kind == kindPlain && string(t) != string(b[at:at+n]) && c != '\t' {
			kind = kindEscaped
		}
		s.put(string(t), kind, l.lookOf(kind, look))
		at += n
	}
	s.flush()
}

func (l *streamLines) drawHex(out *component.Line, t *turn, from, to int, found []match, picked match) {
	b := l.conv.bytes
	p := l.conv.pieceAt(t, from)
	out.Spans = append(out.Spans, component.Span{Text: style.Text(fmt.Sprintf("%08x  ", p.offset+int64(from-p.from))), Style: l.st.Faint})
	s := spanner{out: out}
	rest := found
	look := l.look(t.side)
	for i := range l.row {
		if i == 8 {
			s.put(" ", kindPlain, look)
		}
		if from+i >= to {
			s.put("   ", kindPlain, look)
			continue
		}
		kind := kindAt(&rest, picked, from+i)
		s.put(fmt.Sprintf("%02x", b[from+i]), kind, l.lookOf(kind, look))
		s.put(" ", kindPlain, look)
	}
	s.put(" ", kindPlain, look)
	rest = found
	for at := from; at < to; at++ {
		c, kind := b[at], kindAt(&rest, picked, at)
		if c < 0x20 || c >= 0x7f {
			c = '.'
		}
		s.put(string(rune(c)), kind, l.lookOf(kind, l.st.Dim))
	}
	s.flush()
}
