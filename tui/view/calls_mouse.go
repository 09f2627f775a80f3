package view

import (
	tea "charm.land/bubbletea/v2"
)

// rect is a part of the screen.
type rect struct{ x, y, w, h int }

func (r rect) has(x, y int) bool {
	return x >= r.x && x < r.x+r.w && y >= r.y && y < r.y+r.h
}

// layout is where the panes are. A pane without room has no height.
type layout struct {
	chart, bar, list, detail rect
	beside                   bool // the details are at the right
}

// beside is the width from which on the details fit at the right of the list.
const besideWidth = 150

func (m *Calls) layout() layout {
	var l layout
	w, h := m.width, m.height
	if m.maximise && m.detailed && m.onDetail {
		l.detail = rect{0, 0, w, h}
		return l
	}
	y := 0
	chart := chartHeight(h)
	if m.maximise || m.detailed && h < 30 {
		chart = 0
	}
	l.chart = rect{0, 0, w, chart}
	y += chart
	l.bar = rect{0, y, w, 1}
	y++
	l.list = rect{0, y, w, max(0, h-y)}
	if !m.detailed || m.maximise {
		return l
	}
	if w >= besideWidth {
		l.beside = true
		l.list.w = w * 11 / 20
		l.detail = rect{l.list.w + 1, y, w - l.list.w - 1, l.list.h}
		return l
	}
	list := max(5, l.list.h*2/5)
	l.detail = rect{0, y + list, w, l.list.h - list}
	l.list.h = list
	return l
}

// arrange gives the panes their sizes.
func (m *Calls) arrange() {
	l := m.layout()
	m.time.chart.SetSize(l.chart.w, l.chart.h)
	m.table.SetSize(l.list.w, l.list.h)
	m.table.To(m.table.Cursor, len(m.shown))
	if m.detailed {
		m.Detail.SetSize(l.detail.w, l.detail.h)
	}
}

// mouse handles what the mouse did, at a position of this screen.
func (m *Calls) mouse(msg tea.MouseMsg) tea.Cmd {
	at := msg.Mouse()
	l := m.layout()
	if m.modal != nil {
		return nil
	}
	m.aim()
	if changed, moment, mine := m.time.mouse(msg, l.chart); mine {
		if moment != 0 {
			return m.jump(moment)
		}
		return m.renew(nil, changed)
	}
	switch msg := msg.(type) {
	case tea.MouseWheelMsg:
		d := 3
		if msg.Button == tea.MouseWheelUp {
			d = -3
		} else if msg.Button != tea.MouseWheelDown {
			return nil
		}
		if m.detailed && l.detail.has(at.X, at.Y) {
			m.Detail.scroll(d)
			return nil
		}
		if l.list.has(at.X, at.Y) {
			was := m.table.Cursor
			m.table.Scroll(d, len(m.shown))
			if m.table.Cursor != was || d < 0 {
				return m.moved()
			}
		}
	case tea.MouseClickMsg:
		if msg.Button == tea.MouseLeft {
			return m.click(at.X, at.Y, l)
		}
	}
	return nil
}

// jump selects the first call from a moment on.
func (m *Calls) jump(at int64) tea.Cmd {
	best := -1
	for i, r := range m.shown {
		if d := r.time - at; best < 0 || abs(d) < abs(m.shown[best].time-at) {
			best = i
		}
	}
	if best < 0 {
		return refuse("there is no call to go to")
	}
	m.table.To(best, len(m.shown))
	return m.moved()
}

func abs(n int64) int64 { return max(n, -n) }

func (m *Calls) click(x, y int, l layout) tea.Cmd {
	switch {
	case l.bar.has(x, y):
		if !m.Typing() {
			return m.bar.open(m.bar.scope.Filter)
		}
	case m.detailed && l.detail.has(x, y):
		m.onDetail, m.table.Focused = true, false
		m.Detail.click(y - l.detail.y)
	case l.list.has(x, y):
		if m.onDetail {
			m.onDetail, m.table.Focused = false, true
		}
		line := y - l.list.y - 1
		if line < 0 {
			return m.sortBy(m.table.ColumnAt(x))
		}
		at := m.table.Offset + line
		if at >= len(m.shown) {
			return nil
		}
		if c := m.table.ColumnAt(x); c >= 0 {
			m.table.Picked = c
		}
		if at == m.table.Cursor && !m.follow {
			return m.openDetail()
		}
		m.table.To(at, len(m.shown))
		return m.moved()
	}
	return nil
}
