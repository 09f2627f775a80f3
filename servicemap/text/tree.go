package text

import (
	"fmt"
	"strings"

	"github.com/sshark/sshark/servicemap"
)

// maxDepth is how deep a tree goes before it goes on at the margin.
const maxDepth = 16

// forest writes a map as trees: below each node those that it calls, each node's callees once.
type forest struct {
	m     *servicemap.Map
	o     Options
	level level
	out   [][]*link // of each node
	done  []bool    // its callees were told
	lines []string
	later []int // nodes too deep to go on with where they were met
}

func tree(m *servicemap.Map, ls []link, o Options, title string) *Drawing {
	f := &forest{m: m, o: o, level: levels[0], out: make([][]*link, len(m.Nodes)), done: make([]bool, len(m.Nodes))}
	called := make([]bool, len(m.Nodes))
	for i := range ls {
		k := &ls[i]
		f.out[k.from] = append(f.out[k.from], k)
		called[k.to] = called[k.to] || k.from != k.to
	}
	for _, all := range []bool{false, true} { // circles that nobody calls from outside come last
		for i := range m.Nodes {
			if !f.done[i] && (all || !called[i]) && (len(f.out[i]) > 0 || !called[i]) {
				f.root(i)
			}
		}
	}
	if o.Width > 0 {
		title = cut(title, o.Width)
	}
	lines := append([]string{title}, f.lines...)
	if o.Height > 0 && len(lines) > o.Height {
		more := fmt.Sprintf("%d more lines do not fit: ask for less with a filter", len(lines)-o.Height+1)
		if o.Width > 0 {
			more = cut(more, o.Width)
		}
		lines = append(lines[:o.Height-1], more)
	}
	return &Drawing{Lines: lines, Map: m}
}

func (f *forest) root(i int) {
	f.line("", safe(f.m.Nodes[i].Display()), nil)
	f.below(i, "", 1)
	for len(f.later) > 0 {
		next := f.later[0]
		f.later = f.later[1:]
		if !f.done[next] {
			f.line("", safe(f.m.Nodes[next].Display()), nil)
			f.below(next, "", 1)
		}
	}
}

func (f *forest) below(i int, indent string, depth int) {
	f.done[i] = true
	for n, k := range f.out[i] {
		branch, next := "├─▶ ", "│   "
		if n == len(f.out[i])-1 {
			branch, next = "╰─▶ ", "    "
		}
		name := safe(f.m.Nodes[k.to].Display())
		switch {
		case k.to == i:
			f.line(indent+branch, "itself", k)
			continue
		case f.done[k.to] && len(f.out[k.to]) > 0:
			name += " (above)"
		case depth >= f.depth() && len(f.out[k.to]) > 0:
			name += " (below)"
			f.later = append(f.later, k.to)
		}
		f.line(indent+branch, name, k)
		if !f.done[k.to] && depth < f.depth() {
			f.below(k.to, indent+next, depth+1)
		}
	}
}

// depth leaves half of the width for names.
func (f *forest) depth() int {
	if f.o.Width == 0 {
		return maxDepth
	}
	return max(min(maxDepth, f.o.Width/8), 1)
}

// line writes a branch, a name, and what was called, as much as fits.
func (f *forest) line(branch, name string, k *link) {
	c := newCanvas(max(f.o.Width, 1), 1)
	if f.o.Width == 0 {
		c = newCanvas(len(branch)+len(name)+80, 1)
	}
	color := ""
	var plain, bad, tail string
	if k != nil {
		plain, bad, tail = k.label(f.level)
		color = k.color()
	}
	room := c.w - len([]rune(branch))
	if w := labelWidth(plain, bad, tail); w > 0 && room-w-2 < len(name) {
		tail = ""
		if w = labelWidth(plain, bad); room-w-2 >= 12 {
			name = cut(name, room-w-2)
		}
	}
	x := c.text(0, 0, branch, color)
	x = c.text(x, 0, cut(name, max(room, 0)), "")
	for _, s := range []struct{ text, color string }{{plain, color}, {bad, red}, {tail, dim}} {
		if s.text != "" && x+1+len(s.text) <= c.w {
			x = c.text(x+1, 0, s.text, s.color)
		}
	}
	f.lines = append(f.lines, strings.TrimRight(c.lines(f.o.Color)[0], " "))
}
