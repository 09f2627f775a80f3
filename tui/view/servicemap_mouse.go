package view

import (
	"slices"

	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/servicemap/text"
)

// mouse handles what the mouse did, at a position of this screen: a click selects, another one
// drills down, the wheel scrolls, and what is dragged moves.
func (m *ServiceMap) mouse(msg tea.MouseMsg) tea.Cmd {
	at := msg.Mouse()
	m.aim()
	if changed, moment, mine := m.time.mouse(msg, rect{0, 0, m.width, m.above()}); mine {
		if moment != 0 {
			return refuse("the map is of the whole window: drag over a part of the chart for less")
		}
		return m.renew(nil, changed)
	}
	m.settled = true
	at.Y -= m.above()
	_, h := m.area()
	inside := at.Y >= 1 && at.Y <= h
	switch msg := msg.(type) {
	case tea.MouseWheelMsg:
		d, sideways := 3, at.Mod&tea.ModShift != 0
		switch msg.Button {
		case tea.MouseWheelUp:
			d = -3
		case tea.MouseWheelDown:
		case tea.MouseWheelLeft:
			d, sideways = -6, true
		case tea.MouseWheelRight:
			d, sideways = 6, true
		default:
			return nil
		}
		if sideways {
			m.pan(d, 0)
		} else {
			m.pan(0, d)
		}
	case tea.MouseClickMsg:
		if msg.Button != tea.MouseLeft {
			return nil
		}
		if at.Y == 0 && !m.Typing() {
			return m.bar.open(m.bar.scope.Filter)
		}
		m.drag.on, m.drag.moved, m.drag.x, m.drag.y = inside, false, at.X, at.Y
	case tea.MouseMotionMsg:
		if m.drag.on && (at.X != m.drag.x || at.Y != m.drag.y) {
			m.pan(m.drag.x-at.X, m.drag.y-at.Y)
			m.drag.moved, m.drag.x, m.drag.y = true, at.X, at.Y
		}
	case tea.MouseReleaseMsg:
		click := m.drag.on && !m.drag.moved && inside
		m.drag.on = false
		if click {
			return m.click(at.X+m.x, at.Y-1+m.y)
		}
	}
	return nil
}

// click selects what is at a place of the drawing, and drills down if it is selected.
func (m *ServiceMap) click(x, y int) tea.Cmd {
	s := &m.shape
	if s.shown == nil {
		return nil
	}
	was, first := m.picked, m.link()
	switch s.form {
	case mapTree:
		if y >= len(s.rows) {
			return nil
		}
		m.pickRow(y)
	case mapMatrix:
		column := m.x/matrixCell + (x-m.x)/matrixCell - 2
		if y-m.y < 1 || y-1 >= len(s.callers) || column < 0 || column >= len(s.callees) {
			return nil
		}
		m.picked = picked{node: s.shown.Nodes[s.callers[y-1]].ID(), to: s.shown.Nodes[s.callees[column]].ID(), edge: true}
	default:
		if !m.clickBoxes(x, y) {
			return nil
		}
	}
	if was.node == m.picked.node && was.edge == m.picked.edge && (!was.edge || was.to == m.picked.to && first == m.link()) {
		return m.drill("calls")
	}
	return nil
}

// clickBoxes selects a box, the edge that a row of it tells of, or the edge of a line.
func (m *ServiceMap) clickBoxes(x, y int) bool {
	s := &m.shape
	here := text.Point{X: x, Y: y}
	for i := range s.links {
		k := &s.links[i]
		path, row := s.place.Path(k.From, k.To)
		if y == row[0].Y && x >= row[0].X && x <= row[1].X || slices.Contains(path, here) {
			m.pickLink(k)
			return true
		}
	}
	for _, b := range s.drawing.Boxes {
		if x >= b.X && x < b.X+b.W && y >= b.Y && y < b.Y+b.H {
			m.picked = picked{node: s.shown.Nodes[b.Node].ID()}
			return true
		}
	}
	return false
}
