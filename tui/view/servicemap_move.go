package view

import (
	"cmp"
	"slices"

	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/servicemap/text"
)

// step moves the selection: to the nearest box in a direction, or by a row or column.
func (m *ServiceMap) step(dx, dy int) {
	s := &m.shape
	switch {
	case s.shown == nil || len(s.shown.Nodes) == 0:
		return
	case s.form == mapTree:
		if dx != 0 {
			m.pan(dx*8, 0)
			return
		}
		m.pickRow(m.picked.row + dy)
	case s.form == mapMatrix:
		next := func(list []int, at, d int) int {
			i := slices.Index(list, at)
			return list[max(0, min(i+d, len(list)-1))]
		}
		if len(s.callers) > 0 {
			m.picked.node = s.shown.Nodes[next(s.callers, m.node(), dy)].ID()
			m.picked.to = s.shown.Nodes[next(s.callees, nodeOf(s.shown, m.picked.to), dx)].ID()
			m.picked.edge = true
		}
	default:
		m.stepBox(dx, dy)
	}
	m.look()
}

// stepBox selects the nearest box in a direction; of an edge, its caller or callee.
func (m *ServiceMap) stepBox(dx, dy int) {
	boxes := m.shape.drawing.Boxes
	at := m.node()
	if k := m.link(); k != nil {
		m.picked.edge = false
		// Along the edge, to the end that lies there.
		if from, to := boxes[k.From], boxes[k.To]; dx != 0 && from.X != to.X {
			if (to.X > from.X) == (dx > 0) {
				at = k.To
			}
			m.picked.node = m.shape.shown.Nodes[at].ID()
			return
		}
	}
	if at < 0 {
		return
	}
	from := boxes[at]
	best, nearest := -1, 0
	for i, b := range boxes {
		// How far it is in the direction, and aside of it: between the nearest sides, or where
		// boxes lie beside each other, a little by their middles.
		along, aside := gap(from.X, from.W, b.X, b.W), gap(from.Y, from.H, b.Y, b.H)
		middle := 2*b.Y + b.H - 2*from.Y - from.H
		ahead := (b.X-from.X)*dx > 0
		if dy != 0 {
			along, aside = aside*2, along
			middle = (2*b.X + b.W - 2*from.X - from.W) / 2
			ahead = (b.Y-from.Y)*dy > 0
		}
		if i == at || !ahead || dx != 0 && along == 0 {
			continue
		}
		far := along*8 + aside*24 + max(middle, -middle)
		if best < 0 || far < nearest {
			best, nearest = i, far
		}
	}
	if best >= 0 {
		m.picked.node = m.shape.shown.Nodes[boxes[best].Node].ID()
	}
}

// gap is how far apart two stretches are, 0 if they overlap.
func gap(a, n, b, k int) int { return max(0, b-a-n, a-b-k) }

// end selects the first or the last.
func (m *ServiceMap) end(last bool) {
	s := &m.shape
	if s.shown == nil || len(s.shown.Nodes) == 0 {
		return
	}
	switch s.form {
	case mapTree:
		m.pickRow(map[bool]int{true: len(s.rows) - 1}[last])
	case mapMatrix:
		m.step(0, map[bool]int{false: -1, true: 1}[last]*len(s.callers))
	default:
		boxes := slices.Clone(s.drawing.Boxes)
		slices.SortFunc(boxes, func(a, b text.Box) int { return cmp.Or(cmp.Compare(a.X, b.X), cmp.Compare(a.Y, b.Y)) })
		if last {
			slices.Reverse(boxes)
		}
		m.picked = picked{node: s.shown.Nodes[boxes[0].Node].ID()}
	}
	m.look()
}

func (m *ServiceMap) page(d int) {
	_, h := m.area()
	n := max(1, h-2)
	switch m.shape.form {
	case mapTree:
		m.pickRow(m.picked.row + d*n)
		m.look()
	case mapMatrix:
		m.step(0, d*n)
	default:
		m.pan(0, d*n)
	}
}

// nextEdge selects the next edge of a node: those that it calls, then those that call it.
func (m *ServiceMap) nextEdge(d int) tea.Cmd {
	s := &m.shape
	at := m.node()
	if at < 0 {
		return refuse("there is no edge")
	}
	if s.form == mapTree {
		m.step(0, d)
		return nil
	}
	if s.form == mapMatrix { // the next cell that has something
		cells := slices.Clone(s.links)
		slices.SortFunc(cells, func(a, b text.Link) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
		here := [2]int{at, nodeOf(s.shown, m.picked.to)}
		i, found := slices.BinarySearchFunc(cells, here, func(k text.Link, p [2]int) int {
			return cmp.Or(cmp.Compare(k.From, p[0]), cmp.Compare(k.To, p[1]))
		})
		if d < 0 || found {
			i += d
		}
		if len(cells) > 0 {
			m.pickLink(&cells[(i+len(cells))%len(cells)])
		}
		return nil
	}
	// The edges of the node from which the going along began.
	start := at
	if m.picked.edge && m.picked.row == callee {
		start = nodeOf(s.shown, m.picked.to)
	}
	var all []*text.Link
	for _, callers := range []bool{false, true} {
		for i := range s.links {
			if k := &s.links[i]; !callers && k.From == start || callers && k.To == start && k.From != start {
				all = append(all, k)
			}
		}
	}
	if len(all) == 0 {
		return refuse("it has no edge")
	}
	i := slices.Index(all, m.link())
	switch {
	case i < 0 && d < 0:
		i = len(all) - 1
	case i < 0:
		i = 0
	default:
		i = (i + d + len(all)) % len(all)
	}
	m.pickLink(all[i])
	if all[i].From != start {
		m.picked.row = callee
	}
	return nil
}

// callee, as picked.row of boxes, says that one goes along the edges of an edge's callee.
const callee = 1

// pickLink selects an edge.
func (m *ServiceMap) pickLink(k *text.Link) {
	ids := m.shape.ids(k)
	m.picked = picked{node: ids[0], to: ids[1], edge: true}
	m.look()
}

// size is how many columns and rows there are of what is shown.
func (m *ServiceMap) size() (w, h int) {
	s := &m.shape
	switch {
	case s.place != nil:
		return s.place.Size()
	case s.form == mapMatrix:
		return (len(s.callees) + 2) * matrixCell, len(s.callers) + 1
	}
	w, _ = m.area()
	return max(w, s.wide), len(s.rows)
}

// pan moves what is seen.
func (m *ServiceMap) pan(dx, dy int) {
	m.x, m.y = m.x+dx, m.y+dy
	m.clamp()
}

func (m *ServiceMap) clamp() {
	w, h := m.area()
	all, tall := m.size()
	m.x, m.y = max(0, min(m.x, all-w)), max(0, min(m.y, tall-h))
}

// look brings what is selected into sight.
func (m *ServiceMap) look() {
	s := &m.shape
	w, h := m.area()
	show := func(x, y, wide, high int) {
		m.x = max(min(m.x, x), x+wide-w)
		m.y = max(min(m.y, y), y+high-h)
	}
	switch {
	case s.shown == nil || len(s.shown.Nodes) == 0:
		return
	case s.form == mapTree:
		m.y = max(min(m.y, m.picked.row), m.picked.row-h+1)
	case s.form == mapMatrix:
		row, column := slices.Index(s.callers, m.node()), slices.Index(s.callees, nodeOf(s.shown, m.picked.to))
		m.y = max(min(m.y, row), row-h+2) // the first line stays
		x := column * matrixCell          // as do the first columns
		m.x = max(min(m.x, x), x+3*matrixCell-w)
	default:
		if k := m.link(); k != nil {
			path, row := s.place.Path(k.From, k.To)
			if len(path) > 0 {
				last := path[0]
				show(last.X, last.Y, 1, 1)
			}
			show(row[0].X, row[0].Y, row[1].X-row[0].X+1, 1)
		} else if i := m.node(); i >= 0 {
			b := s.drawing.Boxes[i]
			show(b.X, b.Y, b.W, b.H)
		}
	}
	m.clamp()
}
