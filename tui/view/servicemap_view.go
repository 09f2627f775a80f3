package view

import (
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/sshark/sshark/servicemap/text"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/style"
)

// matrixCell is how wide a column of a matrix is; the names of rows take two.
const matrixCell = 12

// area is the room for the map: between the bar and what is said of the selection.
func (m *ServiceMap) area() (w, h int) { return m.width, max(1, m.height-1-m.above()-m.below()) }

// above is the room for the chart above the bar: the map itself has more need of room.
func (m *ServiceMap) above() int {
	if m.height < 30 {
		return 0
	}
	return chartHeight(14)
}

// aim tells the chart what is known by now.
func (m *ServiceMap) aim() {
	m.time.report = nil
	if a := m.state.calls; m.calls && a != nil {
		m.time.report = &a.report
	} else if a := m.state.flows; !m.calls && a != nil {
		m.time.report = &a.report
	}
}

// below is the room for what is said of the selection.
func (m *ServiceMap) below() int {
	if m.detail {
		return max(4, min(12, m.height/3))
	}
	return 1
}

// View implements Screen.
func (m *ServiceMap) View() (lines []string, cursor *Cursor) {
	w, h := m.area()
	lines = make([]string, 0, m.height)
	y := m.above()
	if y > 0 {
		m.aim()
		lines = append(lines, m.time.view()...)
	}
	line, cursor := m.bar.view(w, y, m.tally())
	if m.finding {
		var x int
		line, x = m.find.View(w)
		cursor = &Cursor{min(x, w-1), y}
	}
	lines = append(lines, line)
	s := &m.shape
	switch {
	case s.shown == nil || len(s.links) == 0 && len(s.shown.Nodes) == 0:
		why := m.why()
		lines = append(lines, why.view(m.host.Styles, w, h)...)
	case s.form == mapTree:
		lines = append(lines, m.viewTree(w, h)...)
	case s.form == mapMatrix:
		lines = append(lines, m.viewMatrix(w, h)...)
	default:
		lines = append(lines, m.viewBoxes(w, h)...)
	}
	lines = append(lines, m.viewPicked(w, m.below())...)
	for len(lines) < m.height {
		lines = append(lines, style.Blank(w))
	}
	lines = lines[:m.height]
	m.bar.over(lines, w, y)
	return lines, cursor
}

// tally says what there is, and what the numbers say.
func (m *ServiceMap) tally() style.Text {
	s := &m.shape
	if s.shown == nil {
		return ""
	}
	what := m.by.String()
	if s.folded {
		what = "box"
		if len(s.shown.Nodes) != 1 {
			what = "boxe"
		}
	}
	says := [...]string{ratesOf: "calls/s", callsOf: "calls", bytesOf: "bytes"}[m.numbers]
	return style.Text(count(len(s.shown.Nodes), what) + ", " + count(len(s.links), "edge") + ", " + says)
}

// mapLine is a line that is being drawn, in pieces of one look.
type mapLine struct {
	b    strings.Builder
	run  strings.Builder
	look lipgloss.Style
	name string
}

func (l *mapLine) put(r rune, name string, look func() lipgloss.Style) {
	if name != l.name {
		l.flush()
		l.name, l.look = name, look()
	}
	l.run.WriteRune(r)
}

func (l *mapLine) flush() {
	if l.run.Len() > 0 {
		if l.name == "" {
			l.b.WriteString(l.run.String())
		} else {
			l.b.WriteString(l.look.Render(l.run.String()))
		}
		l.run.Reset()
	}
}

func (l *mapLine) String() string {
	l.flush()
	return l.b.String()
}

// paint is the look of a colour of the drawing. Red is that of errors, others are of protocols.
func (m *ServiceMap) paint(color string) lipgloss.Style {
	st := m.host.Styles
	n, err := strconv.Atoi(color)
	switch {
	case color == "31":
		return st.Error
	case color == "2":
		return st.Dim
	case err != nil || !st.Colors:
		return st.Text
	case n >= 90:
		return lipgloss.NewStyle().Foreground(lipgloss.ANSIColor(n - 90 + 8))
	}
	return lipgloss.NewStyle().Foreground(lipgloss.ANSIColor(n - 30))
}

// heavy are the lines of what is selected, so that they are told from others without colour.
var heavy = strings.NewReplacer("─", "━", "│", "┃", "╭", "┏", "╮", "┓", "╰", "┗", "╯", "┛", "├", "┣", "┤", "┫", "┬", "┳", "┴", "┻", "┼", "╋")

// cellMark is how a cell of a drawing is marked.
type cellMark uint8

const (
	plainCell cellMark = iota
	onPath
	onRow
	onBox
)

// marks are the cells of what is selected.
func (m *ServiceMap) marks() func(x, y int) cellMark {
	s := &m.shape
	if k := m.link(); k != nil {
		path, row := s.place.Path(k.From, k.To)
		on := make(map[text.Point]bool, len(path))
		for _, p := range path {
			on[p] = true
		}
		return func(x, y int) cellMark {
			switch {
			case on[text.Point{X: x, Y: y}]:
				return onPath
			case y == row[0].Y && x >= row[0].X && x <= row[1].X && row[0] != row[1]:
				return onRow
			}
			return plainCell
		}
	}
	i := m.node()
	if i < 0 {
		return func(int, int) cellMark { return plainCell }
	}
	b := s.drawing.Boxes[i]
	return func(x, y int) cellMark {
		inside := x >= b.X && x < b.X+b.W && y >= b.Y && y < b.Y+b.H
		if inside && (x == b.X || x == b.X+b.W-1 || y == b.Y || y == b.Y+b.H-1) {
			return onBox
		}
		return plainCell
	}
}

func (m *ServiceMap) viewBoxes(w, h int) []string {
	s := &m.shape
	st := m.host.Styles
	marked := m.marks()
	wide, _ := s.place.Size()
	end := min(w, wide-m.x)
	lines := make([]string, h)
	for y := range h {
		var l mapLine
		for x := range end {
			r, color := s.drawing.Cell(x+m.x, y+m.y)
			switch kind := marked(x+m.x, y+m.y); kind {
			case plainCell:
				l.put(r, color, func() lipgloss.Style { return m.paint(color) })
			case onRow:
				l.put(r, "row"+color, func() lipgloss.Style { return st.On(m.paint(color), style.Selected) })
			default:
				// A name in a border is a name.
				thick, _ := firstRune(heavy.Replace(string(r)))
				l.put(thick, "picked", func() lipgloss.Style { return st.Accent.Bold(true) })
			}
		}
		lines[y] = l.String() + style.Blank(w-end)
	}
	return lines
}

func firstRune(s string) (rune, bool) {
	for _, r := range s {
		return r, true
	}
	return 0, false
}

// said are the parts of what is said of an edge.
func (m *ServiceMap) said(k *text.Link) (what, bad, tail style.Text) {
	what = style.Clean(k.Protocol)
	if k.More > 0 {
		what += style.Text("+" + strconv.Itoa(k.More))
	}
	what += " " + style.Text(m.amount(k))
	if k.Edge.Errors > 0 {
		bad = style.Text("err " + text.Percent(k.Edge.Errors, k.Edge.Calls))
	}
	if k.Edge.Latency.Count() > 0 {
		tail = "p90 " + latency(k, 0.9)
	}
	return what, bad, tail
}

func latency(k *text.Link, q float64) style.Text {
	return style.Text(component.Duration(time.Duration(k.Edge.Latency.Quantile(q))))
}

// viewTree draws the rows of the tree that are seen.
func (m *ServiceMap) viewTree(w, h int) []string {
	s := &m.shape
	st := m.host.Styles
	lines := make([]string, 0, h)
	for i := m.y; i < min(len(s.rows), m.y+h); i++ {
		r := &s.rows[i]
		row := style.Plain
		if i == m.picked.row {
			row = style.Selected
		}
		branch := []rune(r.Branch)
		branch = branch[min(m.x, len(branch)):]
		name := style.Clean(s.shown.Nodes[r.Node].Display())
		switch r.Mark {
		case "itself":
			name = "itself"
		case "above", "below":
			name += style.Text(" (" + r.Mark + ")")
		}
		var what, bad, tail style.Text
		look := st.Text
		if r.Link != nil {
			what, bad, tail = m.said(r.Link)
			look = m.paint(r.Link.Color())
		}
		// What is said stands in columns of its own, at the right.
		said, last := 18+10, 13
		if w-len(branch)-said-last < 24 { // it is deep
			last = 0
		}
		room := max(w-len(branch)-said-last-1, 8)
		l := component.Line{Spans: []component.Span{{Text: style.Text(branch), Style: st.Faint}, {Text: style.Text(name.Fit(room)), Style: st.Text},
			{Text: " " + style.Text(what.Fit(18)), Style: look}, {Text: style.Text(bad.Fit(10)), Style: st.Error}, {Text: style.Text(tail.Fit(last)), Style: st.Dim}}}
		lines = append(lines, l.Render(st, w, row))
	}
	for len(lines) < h {
		lines = append(lines, style.Blank(w))
	}
	return lines
}

// viewMatrix draws the part of the matrix that is seen; names stay in sight.
func (m *ServiceMap) viewMatrix(w, h int) []string {
	s := &m.shape
	st := m.host.Styles
	first := m.x / matrixCell
	n := min(len(s.callees)-first, max((w-2*matrixCell)/matrixCell, 1))
	at, to := m.node(), nodeOf(s.shown, m.picked.to)
	head := []component.Span{{Text: style.Text(style.Text("callers ↓  called →").Fit(2 * matrixCell)), Style: st.Faint}}
	for _, c := range s.callees[first : first+n] {
		look := st.Heading
		if c == to {
			look = st.Accent.Bold(true)
		}
		head = append(head, component.Span{Text: style.Text(style.Clean(text.Cut(s.shown.Nodes[c].Name, matrixCell-1)).Fit(matrixCell)), Style: look})
	}
	top := component.Line{Spans: head}
	lines := []string{top.Render(st, w, style.Plain)}
	for i := m.y; i < min(len(s.callers), m.y+h-1); i++ {
		caller := s.callers[i]
		row, look := style.Plain, st.Text
		if caller == at {
			row, look = style.Idle, st.Accent.Bold(true)
		}
		line := st.On(look, row).Render(style.Clean(text.Cut(s.shown.Nodes[caller].Display(), 2*matrixCell-1)).Fit(2 * matrixCell))
		for _, c := range s.callees[first : first+n] {
			var spans []component.Span
			if j, ok := s.cells[[2]int{caller, c}]; ok {
				k := &s.links[j]
				spans = append(spans, component.Span{Text: style.Text(m.amount(k)), Style: m.paint(k.Color())})
				if k.Edge.Errors > 0 {
					spans = append(spans, component.Span{Text: style.Text(" !" + text.Percent(k.Edge.Errors, k.Edge.Calls)), Style: st.Error})
				}
			}
			on := row
			if caller == at && c == to {
				on = style.Cell
				if len(spans) == 0 {
					spans = append(spans, component.Span{Text: "·", Style: st.Dim})
				}
			}
			cell := component.Line{Spans: spans}
			line += cell.Render(st, matrixCell, on)
		}
		if rest := w - 2*matrixCell - n*matrixCell; rest > 0 {
			line += style.Blank(rest)
		}
		lines = append(lines, line)
	}
	for len(lines) < h {
		lines = append(lines, style.Blank(w))
	}
	return lines
}
