package component

import (
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/sshark/sshark/tui/style"
)

// Column is one column of a table.
type Column struct {
	Title  style.Text
	Min    int // cells; a column that cannot have them is left out, the last of them first
	Max    int
	Weight int // share of what is left over
	Right  bool
	Sort   int // byte of Title that is underlined as its sort key, -1: none
}

// Cell is one cell as it is drawn.
type Cell struct {
	Text  style.Text
	Style lipgloss.Style
}

// Table is a list of rows with a selected one. It holds no rows: it is told how many there
// are, and asks for those that can be seen.
type Table struct {
	Columns []Column
	Styles  *style.Styles

	Cursor  int // selected row
	Offset  int // first row shown
	Picked  int // selected column
	Sorted  int // column sorted by, -1: none
	Reverse bool
	Focused bool

	width, height int // height without the title line
	widths        []int
	mover         Mover
}

// SetSize says how many cells there are, the title line included.
func (t *Table) SetSize(w, h int) {
	h = max(0, h-1)
	if w != t.width {
		t.widths = Widths(t.Columns, w-3)
	}
	t.width, t.height = w, h
}

// Height is the number of rows that can be seen.
func (t *Table) Height() int { return t.height }

// Move moves the cursor by d within n rows.
func (t *Table) Move(d, n int) { t.To(t.Cursor+d, n) }

// To selects a row of n, and scrolls so that it is seen.
func (t *Table) To(row, n int) {
	t.Cursor = max(0, min(row, n-1))
	if t.Cursor < t.Offset {
		t.Offset = t.Cursor
	}
	if t.Cursor >= t.Offset+t.height {
		t.Offset = t.Cursor - t.height + 1
	}
	t.Offset = max(0, min(t.Offset, n-t.height))
}

// Scroll moves what is seen, and the cursor with it only as far as it must.
func (t *Table) Scroll(d, n int) {
	t.Offset = max(0, min(t.Offset+d, n-t.height))
	t.Cursor = max(t.Offset, min(t.Cursor, t.Offset+t.height-1, n-1))
}

// MoveColumn picks the next column that is shown.
func (t *Table) MoveColumn(d int) {
	for c := t.Picked + d; c >= 0 && c < len(t.widths); c += d {
		if t.widths[c] > 0 {
			t.Picked = c
			return
		}
	}
}

// ColumnAt is the column at cell x, -1 if there is none.
func (t *Table) ColumnAt(x int) int {
	at := 2
	for c, w := range t.widths {
		if w == 0 {
			continue
		}
		if x >= at && x < at+w+1 {
			return c
		}
		at += w + 1
	}
	return -1
}

// Shown is the width of a column, 0 if it is left out.
func (t *Table) Shown(c int) int {
	if c >= len(t.widths) {
		return 0
	}
	return t.widths[c]
}

// View draws the title line and the rows that can be seen. cell is asked for each cell; mark
// for the sign before a row: one cell wide, or "".
func (t *Table) View(n int, cell func(row, col int) Cell, mark func(row int) Cell) []string {
	lines := make([]string, 0, t.height+1)
	lines = append(lines, t.title())
	var b strings.Builder
	for i := t.Offset; i < min(n, t.Offset+t.height); i++ {
		b.Reset()
		on := style.Plain
		if i == t.Cursor {
			on = style.Idle
			if t.Focused {
				on = style.Selected
			}
		}
		t.row(&b, i, on, cell, mark(i))
		lines = append(lines, b.String())
	}
	for len(lines) < t.height+1 {
		lines = append(lines, style.Blank(t.width))
	}
	return lines
}

func (t *Table) row(b *strings.Builder, i int, on style.Row, cell func(row, col int) Cell, mark Cell) {
	gap := " "
	if on != style.Plain {
		gap = t.Styles.Draw(t.Styles.Text, on, " ")
	}
	put := func(c Cell, text string, on style.Row) {
		if on == style.Plain && strings.TrimSpace(text) == "" {
			b.WriteString(text)
			return
		}
		b.WriteString(t.Styles.Draw(c.Style, on, text))
	}
	put(mark, mark.Text.Fit(1), on)
	b.WriteString(gap)
	used, first := 2, true
	for c, w := range t.widths {
		if w == 0 {
			continue
		}
		if !first {
			b.WriteString(gap)
			used++
		}
		first = false
		v := cell(i, c)
		text := v.Text.Fit(w)
		if t.Columns[c].Right {
			text = v.Text.FitRight(w)
		}
		at := on
		if on == style.Selected && c == t.Picked {
			at = style.Cell
		}
		put(v, text, at)
		used += w
	}
	if used < t.width {
		put(Cell{Style: t.Styles.Text}, style.Blank(t.width-used), on)
	}
}

func (t *Table) title() string {
	var b strings.Builder
	b.WriteString("  ")
	used, first := 2, true
	for c, w := range t.widths {
		if w == 0 {
			continue
		}
		if !first {
			b.WriteByte(' ')
			used++
		}
		first = false
		col := &t.Columns[c]
		title := col.Title
		arrow := style.Text("")
		if c == t.Sorted {
			arrow = "↑"
			if t.Reverse {
				arrow = "↓"
			}
		}
		text := title.Cut(w - arrow.Width())
		pad := style.Blank(w - style.Text(text).Width() - arrow.Width())
		if col.Right {
			b.WriteString(pad)
		}
		h := t.Styles.Heading
		if arrow != "" {
			h = t.Styles.Accent
		}
		if k := col.Sort; k >= 0 && k < len(text) && text[k] < 0x80 {
			b.WriteString(h.Render(text[:k]) + h.Underline(true).Render(text[k:k+1]) + h.Render(text[k+1:]+string(arrow)))
		} else {
			b.WriteString(h.Render(text + string(arrow)))
		}
		if !col.Right {
			b.WriteString(pad)
		}
		used += w
	}
	b.WriteString(style.Blank(t.width - used))
	return b.String()
}

// Widths shares total cells, one blank between columns. Columns get their minimum, then what
// is left over by weight, up to their maximum (0: none). Columns that do not fit get 0, from
// the end.
func Widths(cols []Column, total int) []int {
	w := make([]int, len(cols))
	left := total
	for i, c := range cols {
		need := c.Min
		if i > 0 {
			need++
		}
		if need > left {
			break
		}
		w[i] = c.Min
		left -= need
	}
	for left > 0 {
		weight := 0
		for i, c := range cols {
			if w[i] > 0 && (c.Max == 0 || w[i] < c.Max) {
				weight += c.Weight
			}
		}
		if weight == 0 {
			break
		}
		share, given := left, 0
		for i, c := range cols {
			if w[i] == 0 || c.Weight == 0 || c.Max != 0 && w[i] >= c.Max {
				continue
			}
			n := share * c.Weight / weight
			if c.Max != 0 {
				n = min(n, c.Max-w[i])
			}
			w[i] += n
			given += n
		}
		if given == 0 { // fewer cells than weights: the heaviest takes them
			best := -1
			for i, c := range cols {
				if w[i] > 0 && c.Weight > 0 && (c.Max == 0 || w[i] < c.Max) && (best < 0 || c.Weight > cols[best].Weight) {
					best = i
				}
			}
			if best < 0 {
				break
			}
			w[best]++
			given = 1
		}
		left -= given
	}
	return w
}
