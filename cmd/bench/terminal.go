package main

import (
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// terminal is what an operator sees: the characters of a screen, without colours. It knows the
// control sequences of ECMA-48 and xterm that move the cursor, erase, insert, delete and
// scroll; the rest changes nothing that is looked at here.
type terminal struct {
	parser        *ansi.Parser
	lines         [][]rune
	width         int
	x, y          int
	top, bottom   int // of what scrolls
	savedX        int
	savedY        int
	last          rune // printed, for REP
	insert        bool // IRM
	wrapping      bool // DECAWM
	wrapsWithNext bool // the cursor stands on what was printed in the last column
}

func newTerminal(width, height int) *terminal {
	t := &terminal{parser: ansi.NewParser(), width: width, bottom: height - 1, wrapping: true}
	for range height {
		t.lines = append(t.lines, t.blank())
	}
	t.parser.SetHandler(ansi.Handler{Print: t.print, Execute: t.execute, HandleCsi: t.csi, HandleEsc: t.escape})
	return t
}

// Write implements io.Writer.
func (t *terminal) Write(p []byte) (int, error) {
	for _, b := range p {
		t.parser.Advance(b)
	}
	return len(p), nil
}

// find is the first line that has a text, -1 if none has.
func (t *terminal) find(text string) int {
	for y, line := range t.lines {
		if strings.Contains(string(line), text) {
			return y
		}
	}
	return -1
}

func (t *terminal) String() string {
	var b strings.Builder
	for _, line := range t.lines {
		b.WriteString(strings.TrimRight(strings.ReplaceAll(string(line), "\x00", ""), " ") + "\n")
	}
	return b.String()
}

func (t *terminal) blank() []rune { return []rune(strings.Repeat(" ", t.width)) }

func (t *terminal) print(r rune) {
	w := ansi.StringWidth(string(r))
	if w == 0 || w > t.width {
		return // what combines with the rune before
	}
	if t.wrapsWithNext && t.wrapping || t.x+w > t.width {
		t.x = 0
		t.lineFeed()
	}
	t.wrapsWithNext = false
	if t.insert {
		t.insertCells(w)
	}
	line := t.lines[t.y]
	line[t.x], t.last = r, r
	if w == 2 {
		line[t.x+1] = 0
	}
	if t.x += w; t.x == t.width {
		t.x, t.wrapsWithNext = t.width-1, true
	}
}

func (t *terminal) execute(b byte) {
	switch b {
	case '\r':
		t.x = 0
	case '\n', '\v', '\f':
		t.lineFeed()
	case '\b':
		t.x = max(0, t.x-1)
	case '\t':
		t.x = min(t.width-1, (t.x/8+1)*8)
	default:
		return
	}
	t.wrapsWithNext = false
}

func (t *terminal) lineFeed() {
	switch {
	case t.y == t.bottom:
		t.deleteLines(t.top, 1)
	case t.y < len(t.lines)-1:
		t.y++
	}
}

func (t *terminal) escape(cmd ansi.Cmd) {
	switch cmd.Final() {
	case 'D':
		t.lineFeed()
	case 'M':
		if t.y == t.top {
			t.insertLines(t.top, 1)
		} else {
			t.y = max(0, t.y-1)
		}
	case '7':
		t.savedX, t.savedY = t.x, t.y
	case '8':
		t.x, t.y = t.savedX, t.savedY
	default:
		return
	}
	t.wrapsWithNext = false
}

func (t *terminal) csi(cmd ansi.Cmd, params ansi.Params) {
	n := func(i, def int) int {
		v, _, _ := params.Param(i, def)
		return max(v, def)
	}
	if cmd.Prefix() == '?' {
		if f := cmd.Final(); f == 'h' || f == 'l' {
			t.mode(params, f == 'h')
		}
		return
	}
	if cmd.Prefix() != 0 || cmd.Intermediate() != 0 {
		return
	}
	count, height := n(0, 1), len(t.lines)
	switch cmd.Final() {
	case 'A':
		t.y = max(0, t.y-count)
	case 'B', 'e':
		t.y = min(height-1, t.y+count)
	case 'C', 'a':
		t.x = min(t.width-1, t.x+count)
	case 'D':
		t.x = max(0, t.x-count)
	case 'E':
		t.x, t.y = 0, min(height-1, t.y+count)
	case 'F':
		t.x, t.y = 0, max(0, t.y-count)
	case 'G', '`':
		t.x = min(t.width, count) - 1
	case 'd':
		t.y = min(height, count) - 1
	case 'H', 'f':
		t.y, t.x = min(height, count)-1, min(t.width, n(1, 1))-1
	case 'I':
		t.x = min(t.width-1, (t.x/8+count)*8)
	case 'Z':
		t.x = max(0, ((t.x+7)/8-count)*8)
	case 'J':
		t.eraseScreen(n(0, 0))
	case 'K':
		from, to := t.x, t.width
		if k := n(0, 0); k > 0 {
			from = 0
			if k == 1 {
				to = t.x + 1
			}
		}
		t.erase(t.y, from, to)
	case 'X':
		t.erase(t.y, t.x, min(t.width, t.x+count))
	case '@':
		t.insertCells(count)
	case 'P':
		line := t.lines[t.y]
		k := copy(line[t.x:], line[min(t.width, t.x+count):])
		t.erase(t.y, t.x+k, t.width)
	case 'L':
		t.insertLines(t.y, count)
		t.x = 0
	case 'M':
		t.deleteLines(t.y, count)
		t.x = 0
	case 'S':
		t.deleteLines(t.top, count)
	case 'T':
		t.insertLines(t.top, count)
	case 'b':
		for range min(count, t.width*height) {
			t.print(t.last)
		}
		return
	case 'r':
		if top, bottom := n(0, 1)-1, min(height, max(n(1, 0), 0)); bottom == 0 {
			t.top, t.bottom = top, height-1
		} else if top < bottom-1 {
			t.top, t.bottom = top, bottom-1
		}
		t.x, t.y = 0, 0
	case 'h', 'l':
		if n(0, 0) == 4 {
			t.insert = cmd.Final() == 'h'
		}
		return
	case 's':
		t.savedX, t.savedY = t.x, t.y
	case 'u':
		t.x, t.y = t.savedX, t.savedY
	default:
		return
	}
	t.wrapsWithNext = false
}

// mode sets the private modes that matter: wrapping, and the other screen, which is empty.
func (t *terminal) mode(params ansi.Params, on bool) {
	params.ForEach(0, func(_, mode int, _ bool) {
		switch mode {
		case 7:
			t.wrapping = on
		case 47, 1047, 1049:
			t.eraseScreen(2)
		}
	})
}

func (t *terminal) erase(y, from, to int) {
	for x := from; x < to; x++ {
		t.lines[y][x] = ' '
	}
}

func (t *terminal) eraseScreen(what int) {
	from, to := 0, len(t.lines)
	switch what {
	case 0:
		t.erase(t.y, t.x, t.width)
		from = t.y + 1
	case 1:
		t.erase(t.y, 0, t.x+1)
		to = t.y
	}
	for y := from; y < to; y++ {
		t.erase(y, 0, t.width)
	}
}

func (t *terminal) insertCells(n int) {
	line := t.lines[t.y]
	n = min(n, t.width-t.x)
	copy(line[t.x+n:], line[t.x:])
	t.erase(t.y, t.x, t.x+n)
}

// insertLines and deleteLines move the lines from y to the end of what scrolls.
func (t *terminal) insertLines(y, n int) {
	if y < t.top || y > t.bottom {
		return
	}
	for range min(n, t.bottom-y+1) {
		t.lines = slices.Insert(slices.Delete(t.lines, t.bottom, t.bottom+1), y, t.blank())
	}
}

func (t *terminal) deleteLines(y, n int) {
	if y < t.top || y > t.bottom {
		return
	}
	for range min(n, t.bottom-y+1) {
		t.lines = slices.Insert(slices.Delete(t.lines, y, y+1), t.bottom, t.blank())
	}
}
