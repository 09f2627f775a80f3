package text

import (
	"cmp"
	"slices"
)

// route gives every wire its tracks.
func (l *layout) route() {
	l.tracks = make([]int, len(l.layers))
	for i := range l.layers {
		l.tracks[i] = l.assign(l.wires[i])
	}
}

// space gives layers and channels their columns.
func (l *layout) space() {
	l.x, l.columns = make([]int, len(l.layers)), make([]int, len(l.layers))
	x := 0
	for i, layer := range l.layers {
		for _, v := range layer {
			l.columns[i] = max(l.columns[i], l.boxWidth(v))
		}
		l.x[i] = x
		x += l.columns[i]
		l.width = x
		x += l.tracks[i] + 2 // one column for what leaves, one for heads
	}
}

// span are the rows that a wire's vertical part covers.
type span struct{ lo, hi int }

func (s span) meets(o span) bool { return s.lo <= o.hi && o.lo <= s.hi }

// part is a vertical line to be given a track.
type part struct {
	w      *wire
	second bool
	span   span
	before []*part // what must be further right
	wait   int     // how many must be further left and are not placed
	track  int
	placed bool
	down   bool
	start  int
}

// assign gives the wires of one channel their tracks and returns how many there are.
//
// A wire's left pin has a row of its own on the left, and each right pin one on the right.
// Where one wire comes in at the row that another leaves at, the one that comes must turn
// before the other one begins: its track is further left. Where that goes in a circle, a wire
// of the circle takes a bypass, which takes it out of there: its first part need not wait for
// anything, and nothing need wait for its second.
func (l *layout) assign(wires []*wire) (tracks int) {
	taken := map[int]bool{}   // rows of pins and bypasses
	leaves := map[int]*wire{} // who has a pin at a row on the right
	for _, w := range wires {
		taken[w.from.y()] = true
		for _, t := range w.to {
			taken[t.y()] = true
			leaves[t.y()] = w
		}
	}
	var parts []*part
	of := map[*wire]*part{}
	for _, w := range wires {
		w.track, w.bypass, w.second = 0, 0, 0
		if len(w.to) == 1 && w.to[0].y() == w.from.y() {
			continue
		}
		p := &part{w: w, span: span{w.from.y(), w.from.y()}, start: w.from.y()}
		far := 0
		for _, t := range w.to {
			p.span.lo, p.span.hi = min(p.span.lo, t.y()), max(p.span.hi, t.y())
			far += t.y() - w.from.y()
		}
		p.down = far > 0
		parts, of[w] = append(parts, p), p
	}
	link := func(a, b *part) {
		if a != nil && b != nil && a != b {
			a.before = append(a.before, b)
			b.wait++
		}
	}
	for _, p := range parts {
		link(p, of[leaves[p.w.from.y()]])
	}
	// Lines that go down cross least if the lowest turns first; those that go up, the highest.
	slices.SortStableFunc(parts, func(a, b *part) int {
		switch {
		case a.down && b.down:
			return cmp.Compare(b.start, a.start)
		case !a.down && !b.down:
			return cmp.Compare(a.start, b.start)
		case a.down:
			return -1
		}
		return 1
	})
	var placed []*part
	for left := len(parts); left > 0; {
		i := slices.IndexFunc(parts, func(p *part) bool { return !p.placed && p.wait == 0 })
		if i >= 0 {
			p := parts[i]
			p.place(placed)
			placed = append(placed, p)
			tracks = max(tracks, p.track)
			left--
			continue
		}
		parts = append(parts, l.split(parts, taken))
		left++
	}
	for _, p := range parts {
		if p.second {
			p.w.second = p.track
		} else {
			p.w.track = p.track
		}
	}
	return tracks
}

// place puts a part on the first track that is right of all that must be left of it, and free.
func (p *part) place(placed []*part) {
	p.track = max(p.track, 1)
	for slices.ContainsFunc(placed, func(o *part) bool { return o.track == p.track && o.span.meets(p.span) }) {
		p.track++
	}
	p.placed = true
	for _, b := range p.before {
		b.wait--
		b.track = max(b.track, p.track+1)
	}
}

// split takes a wire that waits by way of a free row, and returns its second part, which does
// the waiting. There is one whenever nothing can be placed: no second part is waited for.
func (l *layout) split(parts []*part, taken map[int]bool) *part {
	p := parts[slices.IndexFunc(parts, func(p *part) bool { return !p.placed && !p.second && p.w.second == 0 && p.wait > 0 })]
	middle := (p.span.lo + p.span.hi) / 2
	row := middle
	for d := 0; taken[row] || row < 0; d++ {
		row = middle + d
		if taken[row] && middle-d >= 0 {
			row = middle - d
		}
	}
	taken[row] = true
	l.height = max(l.height, row+1)
	w := p.w
	w.bypass = row
	w.second = -1 // until it is placed
	second := &part{w: w, second: true, span: span{row, row}, wait: p.wait, start: row, down: p.down}
	for _, t := range w.to {
		second.span.lo, second.span.hi = min(second.span.lo, t.y()), max(second.span.hi, t.y())
	}
	for _, o := range parts {
		for i, b := range o.before {
			if b == p {
				o.before[i] = second
			}
		}
	}
	p.wait = 0
	p.span = span{min(p.start, row), max(p.start, row)}
	second.track, p.track = p.track, 1
	return second
}

// boxWidth is how wide a vertex is drawn; a bend has no width of its own.
func (l *layout) boxWidth(v *vertex) int {
	if v.node < 0 {
		return 1
	}
	n := &l.m.Nodes[v.node]
	w := len([]rune(l.name(n))) + 4
	if ns := l.lower(n); ns != "" {
		w = max(w, len([]rune(ns))+4)
	}
	v.labelled(func(_ int, k *Link, self bool) {
		room := k.room(l.level, &l.o)
		if self {
			room += len(selfWord) + 1
		}
		w = max(w, room+2*l.beside())
	})
	return w
}

// beside is the room between a box's side and what is said in it, border included.
func (l *layout) beside() int {
	if l.level.tight {
		return 1
	}
	return 2
}

// labelled tells the rows of a box that say something.
func (v *vertex) labelled(tell func(row int, k *Link, self bool)) {
	for _, side := range [][]*pin{v.left, v.right} {
		for _, p := range side {
			if p.head {
				tell(p.row, p.link, false)
			}
		}
	}
	if v.self != nil {
		tell(v.selfs, v.self, true)
	}
}
