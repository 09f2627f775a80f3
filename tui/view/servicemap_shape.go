package view

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/sshark/sshark/servicemap"
	"github.com/sshark/sshark/servicemap/text"
)

// shape is what is shown of a map, and how. It is made anew when nodes or edges are others, or
// when somebody wants it otherwise.
type shape struct {
	full   *outline // of the whole map
	form   mapForm
	folded bool
	far    int // nodes that are not shown since they are far from the focus

	shown   *servicemap.Map
	links   []text.Link
	place   *text.Layout  // of boxes
	drawing *text.Drawing // of boxes
	rows    []text.Row    // of a tree
	wide    int           // columns that its rows take
	callers []int         // of a matrix: nodes
	callees []int
	cells   map[[2]int]int // of a matrix: the link of two nodes
}

// outline is what of a map must stay the same for nothing to move.
type outline struct {
	nodes []servicemap.ID
	edges [][2]int
}

func outlineOf(m *servicemap.Map) *outline {
	o := &outline{nodes: make([]servicemap.ID, len(m.Nodes)), edges: make([][2]int, 0, len(m.Edges))}
	for i := range m.Nodes {
		o.nodes[i] = m.Nodes[i].ID()
	}
	o.pairs(m, func(p [2]int) bool {
		o.edges = append(o.edges, p)
		return true
	})
	return o
}

// pairs tells who calls whom; edges between the same two nodes are neighbours in a map.
func (*outline) pairs(m *servicemap.Map, tell func([2]int) bool) {
	last := [2]int{-1, -1}
	for i := range m.Edges {
		if p := [2]int{m.Edges[i].From, m.Edges[i].To}; p != last {
			if last = p; !tell(p) {
				return
			}
		}
	}
}

func (o *outline) same(m *servicemap.Map) bool {
	if len(o.nodes) != len(m.Nodes) {
		return false
	}
	for i := range m.Nodes {
		if o.nodes[i] != m.Nodes[i].ID() {
			return false
		}
	}
	at := 0
	o.pairs(m, func(p [2]int) bool {
		if at >= len(o.edges) || o.edges[at] != p {
			at = -1
			return false
		}
		at++
		return true
	})
	return at == len(o.edges)
}

// ids are the two nodes of an edge.
func (s *shape) ids(k *text.Link) [2]servicemap.ID {
	return [2]servicemap.ID{s.shown.Nodes[k.From].ID(), s.shown.Nodes[k.To].ID()}
}

// part is what is to be shown of the map: without what is hidden, with namespaces as boxes or
// not, and what is near the focus.
func (m *ServiceMap) part(folded bool) (shown *servicemap.Map, far int) {
	shown = m.base
	if len(m.hidden) > 0 {
		shown = shown.Part(func(i int) bool { return !m.hidden[m.base.Nodes[i].ID()] })
	}
	if folded {
		shown = shown.Fold(func(ns string) bool { return !m.open[ns] })
		if len(m.hidden) > 0 {
			all := shown
			shown = all.Part(func(i int) bool { return !m.hidden[all.Nodes[i].ID()] })
		}
	}
	if at := nodeOf(shown, m.focus); m.depth > 0 && at >= 0 {
		all := shown
		near := all.Around(at, m.depth)
		shown = all.Part(func(i int) bool { return near[i] })
		far = len(all.Nodes) - len(shown.Nodes)
	}
	return shown, far
}

func nodeOf(m *servicemap.Map, id servicemap.ID) int {
	for i := range m.Nodes {
		if n := &m.Nodes[i]; n.Name == id.Name && n.Namespace == id.Namespace && n.Kind == id.Kind {
			return i
		}
	}
	return -1
}

// Up to so many boxes are shown if they do not fit, to be scrolled over.
const scrolled = 60

// choose decides what is shown, and how: what says most of all that fits.
func (m *ServiceMap) choose() {
	if m.base == nil {
		m.shape = shape{}
		return
	}
	full := outlineOf(m.base)
	var cuts [2]*cutting // what is tried is cut out once
	try := func(f mapForm, folded, fit bool) bool {
		c := &cuts[map[bool]int{true: 1}[folded]]
		if *c == nil {
			*c = m.cut(folded)
		}
		ok := m.put(f, folded, fit, *c)
		m.shape.full = full
		return ok
	}
	names := namespaces(m.base)
	focused := m.depth > 0 && nodeOf(m.base, m.focus) >= 0
	flat := m.fold != foldOn
	folds := m.fold == foldOn || m.fold == foldAuto && len(names) > 1 && !focused
	switch {
	case m.form == mapMatrix || m.form == mapTree:
		try(m.form, m.fold == foldOn, false)
	case m.form == mapBoxes && flat && (len(m.open) == 0 || m.fold == foldOff) && try(mapBoxes, false, false),
		m.form == mapBoxes && folds && try(mapBoxes, true, false):
	case flat && try(mapBoxes, false, true),
		folds && try(mapBoxes, true, true),
		folds && len(m.open) == 0 && try(mapMatrix, true, true),
		flat && (len(m.open) == 0 || focused) && len(m.base.Nodes) <= scrolled && try(mapBoxes, false, false),
		folds && try(mapBoxes, true, false) && len(m.shape.shown.Nodes) <= scrolled,
		focused && try(mapBoxes, false, false) && len(m.shape.shown.Nodes) <= scrolled:
	default:
		try(mapTree, m.fold == foldOn, false)
	}
	m.pick()
	m.clamp()
	m.look()
}

// cutting is what is to be shown of a map.
type cutting struct {
	shown *servicemap.Map
	far   int
	links []text.Link
}

func (m *ServiceMap) cut(folded bool) *cutting {
	shown, far := m.part(folded)
	return &cutting{shown, far, text.Links(shown)}
}

// put shows the map in a form; false: there is no room for it, or it must fit and does not.
func (m *ServiceMap) put(f mapForm, folded, fit bool, c *cutting) bool {
	s := &m.shape
	*s = shape{form: f, folded: folded, shown: c.shown, far: c.far, links: c.links}
	w, h := m.area()
	switch f {
	case mapBoxes:
		s.place = text.Arrange(s.shown, s.links, text.Options{Width: w, Height: h, Amount: m.amount, Room: 5})
		if s.place == nil || fit && !s.place.Fits {
			return false
		}
		s.drawing = s.place.Draw()
	case mapMatrix:
		s.axes()
		return !fit || len(s.callers) < h && (len(s.callees)+2)*matrixCell <= w
	case mapTree:
		s.rows = text.Tree(s.shown, s.links, max(w/10, 2))
		for i := range s.rows {
			s.wide = max(s.wide, utf8.RuneCountInString(s.rows[i].Branch)+48)
		}
	}
	return true
}

// axes are the rows and columns of a matrix.
func (s *shape) axes() {
	s.cells = make(map[[2]int]int, len(s.links))
	calls, called := make([]bool, len(s.shown.Nodes)), make([]bool, len(s.shown.Nodes))
	for i := range s.links {
		k := &s.links[i]
		calls[k.From], called[k.To] = true, true
		s.cells[[2]int{k.From, k.To}] = i
	}
	for i := range s.shown.Nodes {
		if calls[i] {
			s.callers = append(s.callers, i)
		}
		if called[i] {
			s.callees = append(s.callees, i)
		}
	}
}

// renumber takes new numbers for what is shown. Links keep their places, so that what points at
// them goes on to.
func (m *ServiceMap) renumber() {
	s := &m.shape
	shown, far := m.part(s.folded)
	links := text.Links(shown)
	if len(links) != len(s.links) || s.place != nil && !s.place.Update(shown, links) {
		m.choose() // a protocol is another one
		return
	}
	s.shown, s.far = shown, far
	copy(s.links, links)
}

// picked is what is selected: a node, or an edge.
type picked struct {
	node servicemap.ID // of an edge: its caller
	to   servicemap.ID
	edge bool
	row  int // of a tree
}

// pick keeps to what was selected, or takes what it is in now, or the first.
func (m *ServiceMap) pick() {
	s := &m.shape
	if s.shown == nil || len(s.shown.Nodes) == 0 {
		return
	}
	find := func(id servicemap.ID) servicemap.ID {
		if nodeOf(s.shown, id) >= 0 {
			return id
		}
		if id.Namespace != "" {
			if group := (servicemap.ID{Name: id.Namespace, Kind: "Namespace"}); nodeOf(s.shown, group) >= 0 {
				return group
			}
		}
		if id.Kind == "Namespace" {
			if i := slices.IndexFunc(s.shown.Nodes, func(n servicemap.Node) bool { return n.Namespace == id.Name }); i >= 0 {
				return s.shown.Nodes[i].ID()
			}
		}
		return servicemap.ID{}
	}
	p := &m.picked
	if !m.settled { // what came first need not be first in the whole
		*p, m.x, m.y = picked{}, 0, 0
		m.settled = !m.reading()
	}
	p.node = find(p.node)
	if p.edge {
		p.to = find(p.to)
		p.edge = s.form == mapMatrix || m.link() != nil
	}
	if p.node == (servicemap.ID{}) {
		p.node, p.edge = s.shown.Nodes[s.first()].ID(), false
	}
	switch s.form {
	case mapTree:
		p.row = max(0, min(p.row, len(s.rows)-1))
		if !m.atRow(p.row) {
			p.row = max(0, slices.IndexFunc(s.rows, func(r text.Row) bool { return s.shown.Nodes[r.Node].ID() == p.node }))
		}
		m.pickRow(p.row)
	case mapMatrix:
		if !p.edge && len(s.callees) > 0 {
			if i := nodeOf(s.shown, p.node); !slices.Contains(s.callers, i) {
				p.node = s.shown.Nodes[s.callers[0]].ID()
			}
			p.to, p.edge = s.shown.Nodes[s.callees[0]].ID(), true
		}
	}
}

// first is the node that is selected at first: the one at the upper left.
func (s *shape) first() int {
	if s.drawing == nil {
		return 0
	}
	best := 0
	for i, b := range s.drawing.Boxes {
		if o := s.drawing.Boxes[best]; b.X < o.X || b.X == o.X && b.Y < o.Y {
			best = i
		}
	}
	return s.drawing.Boxes[best].Node
}

// atRow says whether what is selected is in a row of the tree.
func (m *ServiceMap) atRow(row int) bool {
	s := &m.shape
	if row >= len(s.rows) {
		return false
	}
	r := &s.rows[row]
	if r.Link == nil || !m.picked.edge {
		return s.shown.Nodes[r.Node].ID() == m.picked.node
	}
	return s.ids(r.Link) == [2]servicemap.ID{m.picked.node, m.picked.to}
}

// pickRow selects what is in a row of the tree: the edge that leads there, else the node.
func (m *ServiceMap) pickRow(row int) {
	s := &m.shape
	if len(s.rows) == 0 {
		return
	}
	row = max(0, min(row, len(s.rows)-1))
	r := &s.rows[row]
	m.picked = picked{node: s.shown.Nodes[r.Node].ID(), row: row}
	if r.Link != nil {
		ids := s.ids(r.Link)
		m.picked.node, m.picked.to, m.picked.edge = ids[0], ids[1], true
	}
}

// link is the edge that is selected, nil: none is, or there is none.
func (m *ServiceMap) link() *text.Link {
	if !m.picked.edge || m.shape.shown == nil {
		return nil
	}
	s := &m.shape
	if s.form == mapTree && m.picked.row < len(s.rows) && m.atRow(m.picked.row) {
		return s.rows[m.picked.row].Link
	}
	from, to := nodeOf(s.shown, m.picked.node), nodeOf(s.shown, m.picked.to)
	for i := range s.links {
		if s.links[i].From == from && s.links[i].To == to {
			return &s.links[i]
		}
	}
	return nil
}

// node is the node that is selected; of an edge, its caller. -1: there is none.
func (m *ServiceMap) node() int {
	if m.shape.shown == nil {
		return -1
	}
	return nodeOf(m.shape.shown, m.picked.node)
}

// perSecond is a rate a second, or a minute or hour if it says so, in at most five characters.
func perSecond(r float64) string {
	switch {
	case r >= 9.95:
		return text.Number(uint64(r + 0.5))
	case r >= 0.095:
		return fmt.Sprintf("%.1f", r)
	case r*60 >= 0.95:
		return fmt.Sprintf("%.1f/m", r*60)
	case r*3600 >= 0.95:
		return fmt.Sprintf("%.0f/h", r*3600)
	case r > 0.5/3600:
		return "<1/h"
	}
	return "0"
}
