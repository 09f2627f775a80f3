package text

import (
	"slices"

	"github.com/sshark/sshark/servicemap"
)

// Beyond this many boxes or links a Layout is not made: nobody follows a line among so many.
const (
	MaxBoxes = 240
	MaxLinks = 720
)

// Layout is a map in boxes that have their places. It is drawn again whenever numbers have
// changed, and nothing moves. It is used by one goroutine.
type Layout struct {
	l    *layout
	Fits bool // into the width and height that were asked for
}

// Arrange gives the boxes of a map their places, in the width and height of o if they fit; if
// not, they are placed all the same, to be looked at in parts. nil: there are too many.
func Arrange(m *servicemap.Map, ls []Link, o Options) *Layout {
	if len(m.Nodes) > MaxBoxes || len(ls) > MaxLinks {
		return nil
	}
	l := newLayout(m, slices.Clone(ls), o)
	l.arrange()
	p := &Layout{l: l, Fits: l.fit(o.Width, o.Height)}
	if !p.Fits { // there is no use in saying little, then
		l.stack(true)
		l.route()
		l.level = levels[2]
		if l.space(); o.Width > 0 && l.width > o.Width {
			l.level = levels[3]
			l.space()
		}
	}
	return p
}

// Update takes new numbers for the same nodes and links; false: they are others, or a link has
// another protocol, and the map must be arranged anew.
func (p *Layout) Update(m *servicemap.Map, ls []Link) bool {
	l := p.l
	if len(m.Nodes) != len(l.m.Nodes) || len(ls) != len(l.links) {
		return false
	}
	for i := range m.Nodes {
		a, b := &m.Nodes[i], &l.m.Nodes[i]
		if a.ID() != b.ID() || (a.Members > 0) != (b.Members > 0) {
			return false
		}
	}
	for i := range ls {
		a, b := &ls[i], &l.links[i]
		if a.From != b.From || a.To != b.To || a.Protocol != b.Protocol || a.More != b.More {
			return false
		}
	}
	l.m = m
	copy(l.links, ls)
	return true
}

// Size is how many columns and rows the drawing has.
func (p *Layout) Size() (w, h int) { return p.l.width, p.l.height }

// Short says whether numbers were left out for want of room.
func (p *Layout) Short() bool { return p.l.level.bare }

// Draw draws the map as it is now, without a first line.
func (p *Layout) Draw() *Drawing { return p.l.draw() }

// Cell is what stands at a place of the drawing: a character and its SGR colour, "" for none.
// Beyond the drawing there are blanks.
func (d *Drawing) Cell(x, y int) (r rune, color string) {
	c := d.canvas
	if c == nil || x < 0 || y < 0 || x >= c.w || y >= c.h {
		return ' ', ""
	}
	k := c.at(x, y)
	return k.rune(), k.color
}

// Point is a place of a drawing.
type Point struct{ X, Y int }

// Path is where the line of a link runs, from one box to the other; and the row of the box
// where it is said what came, as its two ends. nil: there is no such link.
func (p *Layout) Path(from, to int) (path []Point, row [2]Point) {
	l := p.l
	box := l.boxes[to]
	at := func(k int) {
		x := l.x[box.layer]
		row = [2]Point{{x + 1, box.y + 1 + k}, {x + l.columns[box.layer] - 2, box.y + 1 + k}}
	}
	if from == to {
		if box.self != nil {
			at(box.selfs)
		}
		return nil, row
	}
	add := func(x1, y1, x2, y2 int) {
		for x, y := x1, y1; ; {
			path = append(path, Point{x, y})
			switch {
			case x < x2:
				x++
			case x > x2:
				x--
			case y < y2:
				y++
			case y > y2:
				y--
			default:
				return
			}
		}
	}
	for _, in := range box.left {
		if !in.head || in.link.From != from {
			continue
		}
		at(in.row)
		for in != nil { // back to its caller
			w := in.wire
			l.trace(w.from.v.layer, w, in, add)
			if in = nil; w.from.v.node < 0 {
				in = w.from.v.left[0]
			}
		}
		return path, row
	}
	for _, out := range box.right {
		if !out.head || out.link.From != from {
			continue
		}
		at(out.row)
		for out != nil {
			w := out.wire
			l.trace(out.v.layer, w, w.to[0], add)
			v := w.to[0].v
			if out = nil; v.node < 0 {
				out = v.right[0]
			}
		}
		return path, row
	}
	return nil, row
}
