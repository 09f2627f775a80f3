package text

import (
	"strings"

	"github.com/sshark/sshark/servicemap"
)

// Of a matrix: the widest name of a row, and how wide its columns are.
const (
	matrixName   = 24
	matrixColumn = 10
)

// matrix draws a map as a table: a row for each caller, a column for each that is called, and
// where they meet the calls (or bytes) and the part that failed. nil: it does not fit.
func matrix(m *servicemap.Map, ls []Link, o Options, title string) *Drawing {
	calls, called := make([]bool, len(m.Nodes)), make([]bool, len(m.Nodes))
	for _, k := range ls {
		calls[k.From], called[k.To] = true, true
	}
	row, column := make([]int, len(m.Nodes)), make([]int, len(m.Nodes))
	name, rows, columns := 0, 0, 0
	for i := range m.Nodes {
		if calls[i] {
			row[i] = rows
			rows++
			name = max(name, min(len(safe(m.Nodes[i].Display())), matrixName))
		}
		if called[i] {
			column[i] = columns
			columns++
		}
	}
	width, height := name+columns*(matrixColumn+2), rows+1
	if o.Width > 0 && width > o.Width || o.Height > 0 && height+1 > o.Height || len(ls) == 0 {
		return nil
	}
	c := newCanvas(width, height)
	for i := range m.Nodes {
		said := safe(m.Nodes[i].Display())
		if calls[i] {
			c.text(0, row[i]+1, cut(said, matrixName), "")
		}
		if called[i] {
			c.text(name+2+column[i]*(matrixColumn+2), 0, cut(said, matrixColumn), "1")
		}
	}
	for _, k := range ls {
		amount, bad := Number(k.Edge.Calls), ""
		if k.Edge.Calls == 0 {
			amount = Number(k.Edge.Bytes) + "B"
		}
		if k.Edge.Errors > 0 {
			bad = "!" + Percent(k.Edge.Errors, k.Edge.Calls)
		}
		x := c.text(name+2+column[k.To]*(matrixColumn+2), row[k.From]+1, amount, k.Color())
		c.text(x+1, row[k.From]+1, bad, red)
	}
	if o.Width > 0 {
		title = cut(title, o.Width)
	}
	lines := c.lines(o.Color)
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return &Drawing{Lines: append([]string{title}, lines...), Map: m}
}
