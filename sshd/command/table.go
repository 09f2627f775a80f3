package command

import (
	"github.com/charmbracelet/x/ansi"
)

// style is how a cell is shown: an SGR code (ECMA-48, 8.3.117) of the 16 colours, "" as is.
type style string

const (
	normal style = ""
	dim    style = "2"
	bold   style = "1"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
)

// cell is one field of a row; its text is printable.
type cell struct {
	text  string
	style style
}

// column is one column of a table. A flexible one gets what the others leave. Where a terminal
// is too narrow for all, those of the highest rank are left out first; rank 0 always stays.
type column struct {
	title    string
	min, max int // in terminal columns; max is of terminals only: nothing else is cut
	typical  int // the width where later rows are not known
	right    bool
	flexible bool
	rank     int
}

// table lays out rows. It looks at the first rows to choose the columns' widths, then prints
// each row as it comes. On a terminal (width > 0) every line fits; elsewhere nothing is cut.
type table struct {
	out     *output
	columns []column
	width   int
	color   bool
	eager   bool // do not wait for more rows
	whole   bool // wait for all rows, and take no more room than they need
	pending [][]cell
	widths  []int // of the columns, -1: it is left out
}

// sample is how many rows are looked at before the widths are chosen.
const sample = 128

func (t *table) row(cells ...cell) error {
	if t.widths == nil {
		t.pending = append(t.pending, cells)
		if t.whole || len(t.pending) < sample && !t.eager {
			return nil
		}
		return t.begin()
	}
	t.print(cells)
	return t.out.spill(t.eager)
}

// finish prints what is still held back.
func (t *table) finish() error {
	if t.widths == nil && len(t.pending) > 0 {
		if err := t.begin(); err != nil {
			return err
		}
	}
	return t.out.spill(true)
}

func (t *table) begin() error {
	t.widths = make([]int, len(t.columns))
	flexible, rest := -1, t.width
	for i, c := range t.columns {
		w := len(c.title)
		for _, r := range t.pending {
			w = max(w, textWidth(r[i].text))
		}
		if !c.flexible {
			w = max(w, c.min)
		}
		if t.eager {
			w = max(w, c.typical)
		}
		if c.max > 0 {
			w = min(w, max(c.max, len(c.title)))
		}
		t.widths[i] = w
	}
	if t.width > 0 {
		t.leaveOut()
	}
	for i, c := range t.columns {
		if c.flexible {
			flexible = i
		} else if t.widths[i] >= 0 {
			rest -= t.widths[i] + t.gap()
		}
	}
	if t.width > 0 && flexible >= 0 {
		t.squeeze(flexible, rest)
	}
	head := make([]cell, len(t.columns))
	for i, c := range t.columns {
		head[i] = cell{c.title, bold}
	}
	t.print(head)
	for _, r := range t.pending {
		t.print(r)
	}
	t.pending = nil
	return t.out.spill(t.eager)
}

// leaveOut takes out columns, the highest rank first, until the others fit at their narrowest.
func (t *table) leaveOut() {
	for {
		need, last := -t.gap(), -1
		for i, c := range t.columns {
			if t.widths[i] < 0 {
				continue
			}
			w := t.widths[i]
			if c.min > 0 {
				w = min(w, c.min)
			}
			need += w + t.gap()
			if c.rank > 0 && (last < 0 || c.rank >= t.columns[last].rank) {
				last = i
			}
		}
		if need <= t.width || last < 0 {
			return
		}
		t.widths[last] = -1
	}
}

// squeeze gives the flexible column the rest, and takes from the widest others where that is
// less than its minimum.
func (t *table) squeeze(flexible, rest int) {
	want := min(t.columns[flexible].min, t.widths[flexible])
	for rest < want {
		widest := -1
		for i, c := range t.columns {
			if i != flexible && t.widths[i] > c.min && c.min > 0 && (widest < 0 || t.widths[i]-c.min > t.widths[widest]-t.columns[widest].min) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		t.widths[widest]--
		rest++
	}
	if t.whole {
		rest = min(rest, t.widths[flexible])
	}
	t.widths[flexible] = max(rest, 1)
}

func (t *table) gap() int {
	if t.width > 0 && t.width < 100 {
		return 1
	}
	return 2
}

const blanks = "                                                                "

func pad(b []byte, n int) []byte {
	for ; n > len(blanks); n -= len(blanks) {
		b = append(b, blanks...)
	}
	return append(b, blanks[:max(n, 0)]...)
}

func (t *table) print(cells []cell) {
	b := t.out.buf
	owed := 0 // blanks are owed: none are printed at a line's end
	room := t.width
	for i, c := range cells {
		w, text := t.widths[i], c.text
		if w < 0 {
			continue
		}
		have := textWidth(text)
		if t.width > 0 {
			w = min(w, max(room, 0))
			if have > w {
				text = ansi.Truncate(text, w, "…")
				have = textWidth(text)
			}
			room -= w + t.gap()
		}
		if t.columns[i].right {
			owed += w - have
		}
		if text != "" {
			b = pad(b, owed)
			owed = 0
			if t.color && c.style != normal {
				b = append(b, "\x1b["...)
				b = append(b, c.style...)
				b = append(b, 'm')
				b = append(b, text...)
				b = append(b, "\x1b[0m"...)
			} else {
				b = append(b, text...)
			}
		}
		if !t.columns[i].right {
			owed += w - have
		}
		owed = max(owed, 0) + t.gap()
	}
	t.out.buf = append(b, '\n')
}

// textWidth is how many columns of a terminal a printable text takes.
func textWidth(s string) int {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return ansi.StringWidth(s)
		}
	}
	return len(s)
}
