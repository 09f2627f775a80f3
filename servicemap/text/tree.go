package text

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sshark/sshark/servicemap"
)

// maxDepth is how deep a tree goes before it goes on at the margin.
const maxDepth = 16

// Row is a line of a tree.
type Row struct {
	Branch string // lines before the name
	Node   int    // index of Map.Nodes
	Link   *Link  // by which it was called, nil: nobody called it, or it goes on here
	Mark   string // "itself", "above" or "below": where its own calls are told; "": here
}

// forest puts a map into trees: below each node those that it calls, each node's callees once.
type forest struct {
	depth int
	out   [][]*Link // of each node
	done  []bool    // its callees were told
	rows  []Row
	later []int // nodes too deep to go on with where they were met
}

// Tree puts a map into trees of a depth of at least 1: first those that nobody calls.
func Tree(m *servicemap.Map, ls []Link, depth int) []Row {
	f := &forest{depth: depth, out: make([][]*Link, len(m.Nodes)), done: make([]bool, len(m.Nodes)), rows: make([]Row, 0, len(ls)+len(m.Nodes))}
	called := make([]bool, len(m.Nodes))
	for i := range ls {
		k := &ls[i]
		f.out[k.From] = append(f.out[k.From], k)
		called[k.To] = called[k.To] || k.From != k.To
	}
	for _, all := range []bool{false, true} { // circles that nobody calls from outside come last
		for i := range m.Nodes {
			if !f.done[i] && (all || !called[i]) && (len(f.out[i]) > 0 || !called[i]) {
				f.root(i)
			}
		}
	}
	return f.rows
}

func (f *forest) root(i int) {
	f.rows = append(f.rows, Row{Node: i})
	f.below(i, "", 1)
	for len(f.later) > 0 {
		next := f.later[0]
		f.later = f.later[1:]
		if !f.done[next] {
			f.rows = append(f.rows, Row{Node: next})
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
		mark := ""
		switch {
		case k.To == i:
			mark = "itself"
		case f.done[k.To] && len(f.out[k.To]) > 0:
			mark = "above"
		case depth >= f.depth && len(f.out[k.To]) > 0:
			mark = "below"
			f.later = append(f.later, k.To)
		}
		f.rows = append(f.rows, Row{indent + branch, k.To, k, mark})
		if k.To != i && !f.done[k.To] && depth < f.depth {
			f.below(k.To, indent+next, depth+1)
		}
	}
}

// treeDepth leaves half of the width for names.
func treeDepth(width int) int {
	if width == 0 {
		return maxDepth
	}
	return max(min(maxDepth, width/8), 1)
}

// tree writes a map as trees.
func tree(m *servicemap.Map, ls []Link, o Options, title string) *Drawing {
	rows := Tree(m, ls, treeDepth(o.Width))
	if o.Width > 0 {
		title = cut(title, o.Width)
	}
	lines := make([]string, 1, len(rows)+1)
	lines[0] = title
	more := 0
	if o.Height > 0 && len(rows)+1 > o.Height {
		more = len(rows) + 2 - o.Height
		rows = rows[:max(o.Height-2, 0)]
	}
	for i := range rows {
		lines = append(lines, rows[i].line(m, &o))
	}
	if more > 0 {
		s := fmt.Sprintf("%d more lines do not fit: ask for less with a filter", more)
		if o.Width > 0 {
			s = cut(s, o.Width)
		}
		if o.Height == 1 {
			lines = lines[:0]
		}
		lines = append(lines, s)
	}
	return &Drawing{Lines: lines, Map: m}
}

// line writes a branch, a name, and what was called, as much as fits.
func (r *Row) line(m *servicemap.Map, o *Options) string {
	name := safe(m.Nodes[r.Node].Display())
	switch r.Mark {
	case "itself":
		name = r.Mark
	case "above", "below":
		name += " (" + r.Mark + ")"
	}
	color := ""
	var plain, bad, tail string
	lead := []rune(r.Branch)
	if o.Width > 0 && len(lead) > o.Width {
		lead = lead[:o.Width]
	}
	if r.Link != nil {
		plain, bad, tail = r.Link.label(levels[0], o)
		color = r.Link.Color()
	}
	width := o.Width
	branch := len(lead)
	if width == 0 {
		width = branch + len(name) + 80
	}
	room := width - branch
	if w := labelWidth(plain, bad, tail); w > 0 && room-w-2 < len(name) {
		tail = ""
		if w = labelWidth(plain, bad); room-w-2 >= 12 {
			name = cut(name, room-w-2)
		}
	}
	name = cut(name, max(room, 0))
	var b strings.Builder
	put := func(s, color string) {
		if o.Color && color != "" && s != "" {
			s = "\x1b[" + color + "m" + s + "\x1b[0m"
		}
		b.WriteString(s)
	}
	put(string(lead), color)
	b.WriteString(name)
	used := branch + utf8.RuneCountInString(name)
	for _, s := range []struct{ text, color string }{{plain, color}, {bad, red}, {tail, dim}} {
		if s.text != "" && used+1+len(s.text) <= width {
			b.WriteByte(' ')
			put(s.text, s.color)
			used += 1 + len(s.text)
		}
	}
	return strings.TrimRight(b.String(), " ")
}
