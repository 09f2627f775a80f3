package view

import (
	"strconv"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/style"
)

func (c *copier) ignore(*dissect.Call) error { return nil }

// Cursor is where the terminal's cursor is; nil: nowhere.
type Cursor struct{ X, Y int }

// View implements Screen.
func (m *Calls) View() (lines []string, cursor *Cursor) {
	l := m.layout()
	lines = make([]string, 0, m.height)
	if l.chart.h > 0 {
		m.aim()
		lines = append(lines, m.time.view()...)
	}
	if l.bar.h > 0 {
		var line string
		line, cursor = m.bar.view(l.bar.w, l.bar.y, m.tally())
		lines = append(lines, line)
	}
	if l.list.h > 0 {
		list := m.viewList(l.list)
		if l.beside {
			m.beside(list, m.Detail.View(m.onDetail))
		}
		lines = append(lines, list...)
	}
	if l.detail.h > 0 && !l.beside {
		lines = append(lines, m.Detail.View(m.onDetail)...)
	}
	for len(lines) < m.height {
		lines = append(lines, style.Blank(m.width))
	}
	lines = lines[:m.height]
	if l.bar.h > 0 {
		m.bar.over(lines, m.width, l.bar.y)
	}
	if m.modal != nil {
		cursor = overlay(m.modal, lines, m.width, m.height)
	}
	return lines, cursor
}

func (m *Calls) beside(list, detail []string) {
	bar := m.host.Styles.Faint.Render("│")
	for i := range list {
		list[i] += bar
		if i < len(detail) {
			list[i] += detail[i]
		}
	}
}

// aim tells the chart what is known by now.
func (m *Calls) aim() {
	m.time.report, m.time.picked = nil, 0
	if m.history != nil {
		m.time.report, m.time.cut = &m.history.report, m.history.report.Matched > MaxRows
	}
	if m.selected != nil && !m.follow {
		m.time.picked = m.selected.time
	}
}

// tally says how many calls there are, and how many are not shown.
func (m *Calls) tally() style.Text {
	n := len(m.shown)
	s := count(n, "call")
	if m.history == nil {
		return style.Text("reading … " + s)
	}
	switch k := m.history.report.Matched; {
	case n < MaxRows:
	case m.bar.scope.Window.Live(): // how many there are changes all the time
		s = "newest " + s
	case k > MaxRows:
		s = "newest " + group(uint64(n)) + " of " + m.history.report.matched("call")
	}
	if m.marked > 0 {
		s = group(uint64(m.marked)) + " marked, " + s
	}
	return style.Text(s)
}

// viewList draws the rows, or why there are none.
func (m *Calls) viewList(r rect) []string {
	if len(m.shown) == 0 {
		why := m.why()
		return why.view(m.host.Styles, r.w, r.h)
	}
	clock, mark0 := &m.host.Clock, int64(0)
	if clock.Form == SinceMark {
		mark0 = m.firstMarked()
	}
	if i := m.indexOf(&column{kind: colTime}); i >= 0 {
		m.table.Columns[i].Title = clock.Title()
	}
	st := m.host.Styles
	cell := func(i, col int) component.Cell {
		row := m.shown[i]
		c := component.Cell{Style: st.Text}
		switch m.columns[col].kind {
		case colField:
			return m.fieldCell(row, &m.columns[col])
		case colTime:
			c.Text, c.Style = clock.Row(i, func(i int) int64 { return m.shown[i].time }, mark0, m.table.Shown(col)), st.Dim
		case colSource:
			c.Text = row.src().text(m.table.Shown(col))
		case colDestination:
			c.Text = row.dst().text(m.table.Shown(col))
		case colProtocol:
			c.Text, c.Style = row.title(), st.Dim
		case colSummary:
			c.Text = row.summary
			if row.err {
				c.Style = st.Error
			}
		case colStatus:
			c.Text = row.status
			switch {
			case row.err && row.status == "":
				c.Text, c.Style = "error", st.Error
			case row.err:
				c.Style = st.Error
			case row.cut:
				c.Style = st.Warn
			}
			if row.cut && row.status == "" {
				c.Text = "cut off"
			}
		case colLatency:
			c.Style = st.Dim
			if row.latency >= 0 {
				c.Text = style.Text(component.Duration(time.Duration(row.latency)))
			}
		}
		return c
	}
	mark := func(i int) component.Cell {
		switch row := m.shown[i]; {
		case row.mark:
			return component.Cell{Text: "●", Style: st.Mark}
		case i == m.table.Cursor:
			return component.Cell{Text: "▌", Style: st.Accent}
		case row.err && !st.Colors:
			return component.Cell{Text: "!", Style: st.Error}
		}
		return component.Cell{}
	}
	return m.table.View(len(m.shown), cell, mark)
}

// text is the name of an end in w cells: with its namespace where that fits.
func (p *peer) text(w int) style.Text {
	if p.full.Width() > w {
		return p.short
	}
	return p.full
}

// Status implements Screen: followed, paused, of which window.
func (m *Calls) Status() (text style.Text, warn bool) {
	window := style.Text(m.bar.scope.Window.Text(m.host.Clock))
	switch {
	case m.work != nil:
		return style.Text(m.progress()), true
	case m.paused && m.waiting > 0:
		return "‖ paused, " + style.Text(group(uint64(m.waiting))) + " new · " + window, true
	case m.paused:
		return "‖ paused · " + window, true
	case m.live != nil && m.live.err != nil && m.host.Context.Err() == nil:
		return "‖ stopped · " + window, true
	case m.follow:
		return "▸ live · " + window, false
	}
	return window, false
}

// Losses implements Screen.
func (m *Calls) Losses() style.Text {
	m.aim()
	return join(losses(m.host, m.history, m.live), style.Clean(m.time.lacks()))
}

// count is a number of things: 1 call, 2,000 calls.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return group(uint64(n)) + " " + what + "s"
}

// group is a number with its thousands apart: 12,345.
func group(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
