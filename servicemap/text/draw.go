package text

import (
	"fmt"
	"strings"

	"github.com/sshark/sshark/servicemap"
)

const selfWord = "self:"

// name is what the upper border says, and lower what the lower one does.
func (l *layout) name(n *servicemap.Node) string { return cut(safe(n.Name), l.level.name) }

func (l *layout) lower(n *servicemap.Node) string {
	switch {
	case n.Kind == "Outside":
		return members(n, "address", "addresses")
	case n.Members > 0 && n.Outside():
		return members(n, "name", "names")
	case n.Members > 0:
		return fmt.Sprint(n.Members)
	case n.Namespace != "" && l.namespaces:
		return cut(safe(n.Namespace), l.level.name)
	}
	return ""
}

// members is how many a node stands for.
func members(n *servicemap.Node, one, many string) string {
	switch {
	case n.Least:
		return fmt.Sprintf("%d+ %s", n.Members, many)
	case n.Members == 1:
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n.Members, many)
}

// draw draws what was arranged, routed and spaced.
func (l *layout) draw() *Drawing {
	c := newCanvas(max(l.width, 1), l.height)
	for i, wires := range l.wires {
		for _, w := range wires {
			for j, t := range w.to {
				l.trace(i, w, t, func(x1, y1, x2, y2 int) {
					if y1 == y2 {
						c.horizontal(w.net, x1, x2, y1, w.colors[j])
					} else {
						c.vertical(w.net, x1, y1, y2, w.colors[j])
					}
				})
			}
			l.heads(c, i, w)
		}
	}
	d := &Drawing{Map: l.m, canvas: c}
	for _, v := range l.boxes {
		b := Box{v.node, l.x[v.layer], v.y, l.columns[v.layer], v.height()}
		l.box(c, v, b)
		d.Boxes = append(d.Boxes, b)
	}
	return d
}

// trace tells the lines of a wire in channel i from its left pin to one on the right, and on
// through a bend. A line is told as horizontal if it is a single cell.
func (l *layout) trace(i int, w *wire, t *pin, line func(x1, y1, x2, y2 int)) {
	begin := l.x[i] + l.columns[i]
	end := begin + l.tracks[i] + 1
	from, to := w.from.y(), t.y()
	vertical := func(x, y1, y2 int) {
		if y1 != y2 {
			line(x, y1, x, y2)
		}
	}
	switch {
	case w.track == 0:
		line(begin, from, end, from)
	case w.second == 0:
		line(begin, from, begin+w.track, from)
		vertical(begin+w.track, from, to)
		line(begin+w.track, to, end, to)
	default:
		line(begin, from, begin+w.track, from)
		vertical(begin+w.track, from, w.bypass)
		line(begin+w.track, w.bypass, begin+w.second, w.bypass)
		vertical(begin+w.second, w.bypass, to)
		line(begin+w.second, to, end, to)
	}
	if t.v.node < 0 {
		line(end, to, end+l.columns[i+1]+1, to)
	}
}

// heads draws the arrow heads of a wire in channel i.
func (l *layout) heads(c *canvas, i int, w *wire) {
	begin := l.x[i] + l.columns[i]
	for j, t := range w.to {
		if t.head {
			c.text(begin+l.tracks[i]+1, t.y(), "▶", headColor(t.link, w.colors[j]))
		}
	}
	if w.from.head {
		c.text(begin, w.from.y(), "◀", headColor(w.from.link, w.colors[0]))
	}
}

// headColor is red for errors.
func headColor(k *Link, color string) string {
	if k.Edge.Errors > 0 {
		return red
	}
	return color
}

// box draws a node.
func (l *layout) box(c *canvas, v *vertex, b Box) {
	n := &l.m.Nodes[v.node]
	border := ""
	if n.Outside() {
		border = dim
	}
	c.edge(b.X, b.Y, b.W, "╭", "╮", l.name(n), border)
	for y := b.Y + 1; y < b.Y+b.H-1; y++ {
		c.text(b.X, y, "│"+strings.Repeat(" ", b.W-2)+"│", border)
	}
	c.edge(b.X, b.Y+b.H-1, b.W, "╰", "╯", l.lower(n), border)
	v.labelled(func(row int, k *Link, self bool) {
		x, y, room := b.X+l.beside(), b.Y+1+row, b.W-2*l.beside()
		if self {
			c.text(x, y, selfWord+" ", dim)
			x, room = x+len(selfWord)+1, room-len(selfWord)-1
		}
		plain, bad, tail := k.said(l.level, &l.o, room)
		for i, said := range []struct{ text, color string }{{plain, k.Color()}, {bad, red}, {tail, dim}} {
			if said.text == "" {
				continue
			}
			x = c.text(x, y, said.text, said.color)
			if i < 2 {
				x++
			}
		}
	})
}

// edge draws the upper or lower border of a box with what it says.
func (c *canvas) edge(x, y, w int, first, last, says, color string) {
	line := first
	rest := w - 2
	if says != "" {
		line += " " + says + " "
		rest -= len([]rune(says)) + 2
	}
	c.text(x, y, line+strings.Repeat("─", rest)+last, color)
}
