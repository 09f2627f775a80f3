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
	case n.Members > 0:
		return fmt.Sprint(n.Members)
	case n.Namespace != "" && l.namespaces:
		return cut(safe(n.Namespace), l.level.name)
	}
	return ""
}

// draw draws what was arranged and routed, below a title.
func (l *layout) draw(o Options, title string) *Drawing {
	c := newCanvas(max(l.width, 1), l.height)
	for i, wires := range l.wires {
		begin := l.x[i] + l.columns[i]
		for _, w := range wires {
			l.wire(c, w, begin, begin+l.tracks[i]+1)
		}
	}
	for i, layer := range l.layers {
		for _, v := range layer {
			if v.node < 0 {
				w := v.left[0].wire
				for j, t := range w.to {
					if t == v.left[0] {
						c.horizontal(w.net, l.x[i]-1, l.x[i]+l.columns[i], v.y, w.colors[j])
					}
				}
			}
		}
	}
	d := &Drawing{Map: l.m}
	for _, v := range l.boxes {
		b := Box{v.node, l.x[v.layer], v.y, l.columns[v.layer], v.height()}
		l.box(c, v, b)
		b.Y++ // below the title
		d.Boxes = append(d.Boxes, b)
	}
	if o.Width > 0 {
		title = cut(title, o.Width)
	}
	d.Lines = append([]string{title}, c.lines(o.Color)...)
	return d
}

// wire draws a wire in the channel whose first and last column are given.
func (l *layout) wire(c *canvas, w *wire, begin, end int) {
	y := w.from.y()
	for i, t := range w.to {
		color := w.colors[i]
		switch {
		case w.track == 0:
			c.horizontal(w.net, begin, end, y, color)
		case w.second == 0:
			c.horizontal(w.net, begin, begin+w.track, y, color)
			c.vertical(w.net, begin+w.track, y, t.y(), color)
			c.horizontal(w.net, begin+w.track, end, t.y(), color)
		default:
			c.horizontal(w.net, begin, begin+w.track, y, color)
			c.vertical(w.net, begin+w.track, y, w.bypass, color)
			c.horizontal(w.net, begin+w.track, begin+w.second, w.bypass, color)
			c.vertical(w.net, begin+w.second, w.bypass, t.y(), color)
			c.horizontal(w.net, begin+w.second, end, t.y(), color)
		}
		if t.head {
			c.text(end, t.y(), "▶", headColor(t.link, color))
		}
	}
	if w.from.head {
		c.text(begin, y, "◀", headColor(w.from.link, w.colors[0]))
	}
}

// headColor is red for errors.
func headColor(k *link, color string) string {
	if k.edge.Errors > 0 {
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
	left := b.X + 2
	if l.level.tight {
		left = b.X + 1
	}
	v.labelled(func(row int, k *link, self bool) {
		plain, bad, tail := k.label(l.level)
		x, y := left, b.Y+1+row
		if self {
			x = c.text(x, y, selfWord+" ", dim)
		}
		x = c.text(x, y, plain, k.color())
		if bad != "" {
			x = c.text(x+1, y, bad, red)
		}
		if tail != "" {
			c.text(x+1, y, tail, dim)
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
