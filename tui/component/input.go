// Package component holds the parts that screens are made of: a line to type in, a table, a
// chart over time, laid-out JSON, a hex dump, help. They know nothing of calls or nodes and
// do no I/O. Each renders to lines of exactly the width that it was given.
//
// A component belongs to one session and one goroutine.
package component

import (
	"strings"
	"unicode"

	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/tui/style"
)

// maxInput bounds what can be typed or pasted into a line, in runes.
const maxInput = 4096

// Input is one line that is typed. It takes printable runes only, so a paste cannot bring
// control characters. (The text input of bubbles pastes from the clipboard of the machine it
// runs on, which over SSH is the server's.)
type Input struct {
	runes  []rune
	cursor int // in runes
}

// Value is what was typed.
func (in *Input) Value() string { return string(in.runes) }

// Cursor is the position in bytes of Value.
func (in *Input) Cursor() int { return len(string(in.runes[:in.cursor])) }

// Set replaces the line and puts the cursor at its end.
func (in *Input) Set(s string) {
	in.runes, in.cursor = in.runes[:0], 0
	in.Insert(s)
}

// Replace puts s in place of the bytes from start to the cursor.
func (in *Input) Replace(start int, s string) {
	v := in.Value()
	c := in.Cursor()
	start = max(0, min(start, c))
	after := v[c:]
	in.Set(v[:start] + s)
	pos := in.cursor
	in.Insert(after)
	in.cursor = pos
}

// Insert puts s at the cursor; what does not print becomes a blank.
func (in *Input) Insert(s string) {
	add := make([]rune, 0, len(s))
	for _, r := range s {
		if !unicode.IsPrint(r) {
			r = ' '
		}
		if len(in.runes)+len(add) < maxInput {
			add = append(add, r)
		}
	}
	in.runes = append(in.runes[:in.cursor:in.cursor], append(add, in.runes[in.cursor:]...)...)
	in.cursor += len(add)
}

// Press handles a key; changed says whether the line is another one now, handled whether the
// key meant something here.
func (in *Input) Press(k tea.KeyPressMsg) (changed, handled bool) {
	before := len(in.runes)
	switch k.String() {
	case "left", "ctrl+b":
		in.cursor = max(0, in.cursor-1)
	case "right", "ctrl+f":
		in.cursor = min(len(in.runes), in.cursor+1)
	case "home", "ctrl+a":
		in.cursor = 0
	case "end", "ctrl+e":
		in.cursor = len(in.runes)
	case "alt+left", "ctrl+left", "alt+b":
		in.cursor = in.word(-1)
	case "alt+right", "ctrl+right", "alt+f":
		in.cursor = in.word(1)
	case "backspace", "ctrl+h":
		in.cut(max(0, in.cursor-1), in.cursor)
	case "delete", "ctrl+d":
		in.cut(in.cursor, min(len(in.runes), in.cursor+1))
	case "ctrl+w", "alt+backspace":
		in.cut(in.word(-1), in.cursor)
	case "ctrl+u":
		in.cut(0, in.cursor)
	case "ctrl+k":
		in.cut(in.cursor, len(in.runes))
	default:
		if k.Text == "" {
			return false, false
		}
		in.Insert(k.Text)
	}
	return len(in.runes) != before, true
}

func (in *Input) cut(from, to int) {
	in.runes = append(in.runes[:from:from], in.runes[to:]...)
	in.cursor = from
}

// word is the next boundary of a word in a direction.
func (in *Input) word(d int) int {
	i := in.cursor
	at := func(i int) bool {
		r := in.runes[i]
		return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_'
	}
	if d < 0 {
		for i > 0 && !at(i-1) {
			i--
		}
		for i > 0 && at(i-1) {
			i--
		}
		return i
	}
	for i < len(in.runes) && !at(i) {
		i++
	}
	for i < len(in.runes) && at(i) {
		i++
	}
	return i
}

// Visible is the part of the line that fits into w cells around the cursor, the cell of the
// cursor in it, and the byte at which it starts.
func (in *Input) Visible(w int) (text style.Text, cell, start int) {
	if w < 2 {
		return "", 0, 0
	}
	cells := func(i int) int { return style.Clean(string(in.runes[i])).Width() }
	width := func(from, to int) int { return style.Clean(string(in.runes[from:to])).Width() }
	from, used := in.cursor, 0
	for from > 0 && used+cells(from-1) < w-1 {
		from--
		used += cells(from)
	}
	to := in.cursor
	for to < len(in.runes) && used+cells(to) < w {
		used += cells(to)
		to++
	}
	return style.Clean(string(in.runes[from:to])), width(from, in.cursor), len(string(in.runes[:from]))
}

// Blank says whether nothing but blanks was typed.
func (in *Input) Blank() bool { return strings.TrimSpace(in.Value()) == "" }
