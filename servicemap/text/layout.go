package text

import (
	"cmp"
	"math"
	"slices"

	"github.com/sshark/sshark/servicemap"
)

// vertex is a box, or a bend: where a net passes a layer that it has nothing to do in.
type vertex struct {
	node  int // -1: a bend
	layer int
	rank  int // in its layer, from the top
	y     int
	rows  int // inside the box; of a bend: 1
	left  []*pin
	right []*pin
	self  *Link // what a box says to itself
	selfs int   // its row
}

func (v *vertex) height() int {
	if v.node < 0 {
		return 1
	}
	return v.rows + 2
}

// pin is where a net meets a vertex's side.
type pin struct {
	v    *vertex
	row  int
	head bool  // the net ends here, with an arrow head
	link *Link // where head is set, or of a line that leaves to the left
	wire *wire // in the channel on that side
	far  float64
}

func (p *pin) y() int {
	if p.v.node < 0 {
		return p.v.y
	}
	return p.v.y + 1 + p.row
}

// wire is a net's part in the channel between two layers: one pin on the left, some on the
// right.
type wire struct {
	net    int
	from   *pin
	to     []*pin
	colors []string // of each of to
	track  int      // the column of its vertical part, from 1; 0: it is straight
	// A wire that would have to run over another one goes by way of a free row: up or down at
	// track, along the row bypass, and at second to its pins.
	bypass, second int
}

type layout struct {
	m      *servicemap.Map
	o      Options
	level  level
	links  []Link
	boxes  []*vertex // in step with the nodes
	layers [][]*vertex
	wires  [][]*wire // of the channel behind each layer
	nets   int

	namespaces    bool // of interest, since there are several
	x, columns    []int
	tracks        []int
	width, height int
}

func newLayout(m *servicemap.Map, ls []Link, o Options) *layout {
	l := &layout{m: m, o: o, level: levels[0], links: ls}
	_, one := oneNamespace(m)
	l.namespaces = !one
	layer := layering(len(m.Nodes), ls)
	depth := 0
	for i := range m.Nodes {
		l.boxes = append(l.boxes, &vertex{node: i, layer: layer[i]})
		depth = max(depth, layer[i]+1)
	}
	l.layers, l.wires = make([][]*vertex, depth), make([][]*wire, depth)
	for _, v := range l.boxes {
		l.layers[v.layer] = append(l.layers[v.layer], v)
	}
	l.connect()
	return l
}

// layering gives each node a layer, by its longest path from a node that nobody calls. Links
// that close a cycle lead back; they count the other way round.
func layering(n int, ls []Link) []int {
	next, calls := make([][]int, n), make([]int, n)
	for i := range ls {
		if k := &ls[i]; k.From != k.To {
			next[k.From] = append(next[k.From], k.To)
			calls[k.To]++
		}
	}
	const fresh, open, done = 0, 1, 2
	state := make([]int, n)
	var order []int
	forward := make([][]int, n)
	var visit func(v int)
	visit = func(v int) {
		state[v] = open
		for _, w := range next[v] {
			if state[w] == open {
				forward[w] = append(forward[w], v)
				continue
			}
			forward[v] = append(forward[v], w)
			if state[w] == fresh {
				visit(w)
			}
		}
		state[v] = done
		order = append(order, v)
	}
	for _, callers := range []bool{false, true} {
		for v := range n {
			if state[v] == fresh && (callers || calls[v] == 0) {
				visit(v)
			}
		}
	}
	layer, entered := make([]int, n), make([]int, n)
	for _, v := range slices.Backward(order) {
		for _, w := range forward[v] {
			layer[w] = max(layer[w], layer[v]+1)
			entered[w]++
		}
	}
	// What nobody calls stands right before what it calls first.
	for v := range n {
		if entered[v] == 0 && len(forward[v]) > 0 {
			nearest := layer[forward[v][0]]
			for _, w := range forward[v] {
				nearest = min(nearest, layer[w])
			}
			layer[v] = nearest - 1
		}
	}
	return layer
}

// connect makes the nets: one for all links that a node has forward, one for each link back.
func (l *layout) connect() {
	for i := range l.boxes {
		deepest := 0
		var targets []*Link
		for j := range l.links {
			k := &l.links[j]
			if k.From == i && l.boxes[k.To].layer > l.boxes[i].layer {
				targets = append(targets, k)
				deepest = max(deepest, l.boxes[k.To].layer)
			}
		}
		if len(targets) == 0 {
			continue
		}
		l.nets++
		out := l.boxes[i].pin(true)
		for layer := l.boxes[i].layer; layer < deepest; layer++ {
			w := &wire{net: l.nets, from: out}
			out.wire = w
			l.wires[layer] = append(l.wires[layer], w)
			beyond := ""
			passed := 0
			for _, k := range targets {
				switch to := l.boxes[k.To]; {
				case to.layer == layer+1:
					p := to.pin(false)
					p.head, p.link, p.wire = true, k, w
					w.to, w.colors = append(w.to, p), append(w.colors, k.Color())
				case to.layer > layer+1:
					if passed > 0 && beyond != k.Color() {
						beyond = mixed
					} else {
						beyond = k.Color()
					}
					passed++
				}
			}
			if passed > 0 {
				b := l.bend(layer + 1)
				p := b.pin(false)
				p.wire = w
				w.to, w.colors = append(w.to, p), append(w.colors, beyond)
				out = b.pin(true)
			}
		}
	}
	for j := range l.links {
		k := &l.links[j]
		from, to := l.boxes[k.From], l.boxes[k.To]
		switch {
		case from == to:
			from.self = k
		case from.layer > to.layer:
			l.nets++
			p := to.pin(true)
			p.head, p.link = true, k
			for layer := to.layer; layer < from.layer; layer++ {
				w := &wire{net: l.nets, from: p, colors: []string{k.Color()}}
				p.wire = w
				l.wires[layer] = append(l.wires[layer], w)
				next := from
				if layer+1 < from.layer {
					next = l.bend(layer + 1)
				}
				in := next.pin(false)
				in.wire = w
				if next == from {
					in.link = k
				}
				w.to = append(w.to, in)
				if next != from {
					p = next.pin(true)
				}
			}
		}
	}
}

func (l *layout) bend(layer int) *vertex {
	v := &vertex{node: -1, layer: layer, rows: 1}
	l.layers[layer] = append(l.layers[layer], v)
	return v
}

func (v *vertex) pin(rightSide bool) *pin {
	p := &pin{v: v}
	if rightSide {
		v.right = append(v.right, p)
	} else {
		v.left = append(v.left, p)
	}
	return p
}

// sweeps is how often the order of the layers is improved: more does not help further.
const sweeps = 16

// arrange orders the layers with few crossings and gives pins their rows.
func (l *layout) arrange() {
	for _, layer := range l.layers {
		for i, v := range layer {
			v.rank = i
		}
	}
	best, least := l.order(), l.crossings()
	for sweep := range sweeps {
		for i := range l.layers {
			forward := sweep%2 == 0
			if !forward {
				i = len(l.layers) - 1 - i
			}
			l.barycentre(l.layers[i], forward)
		}
		if c := l.crossings(); c < least {
			best, least = l.order(), c
		}
	}
	for v, rank := range best {
		v.rank = rank
	}
	for _, layer := range l.layers {
		slices.SortFunc(layer, func(a, b *vertex) int { return a.rank - b.rank })
	}
	for _, v := range l.boxes {
		v.seat()
	}
}

// fit gives everything its place, loosely or packed, and says as much as fits; false: what is
// said least is too much. 0 is no bound.
func (l *layout) fit(width, height int) bool {
	for _, packed := range []bool{false, true} {
		l.stack(packed)
		l.route()
		if height == 0 || l.height <= height {
			break
		}
	}
	for _, l.level = range levels {
		l.space()
		if width == 0 || l.width <= width {
			break
		}
	}
	return (width == 0 || l.width <= width) && (height == 0 || l.height <= height)
}

func (l *layout) order() map[*vertex]int {
	o := map[*vertex]int{}
	for _, layer := range l.layers {
		for _, v := range layer {
			o[v] = v.rank
		}
	}
	return o
}

// barycentre orders a layer by the mean rank of what its vertices are wired to on one side.
func (l *layout) barycentre(layer []*vertex, fromLeft bool) {
	mean := make(map[*vertex]float64, len(layer))
	for _, v := range layer {
		sum, n := 0.0, 0
		v.neighbours(fromLeft, func(u *vertex) { sum, n = sum+float64(u.rank), n+1 })
		mean[v] = float64(v.rank)
		if n > 0 {
			mean[v] = sum / float64(n)
		}
	}
	slices.SortStableFunc(layer, func(a, b *vertex) int { return cmp.Compare(mean[a], mean[b]) })
	for i, v := range layer {
		v.rank = i
	}
}

// neighbours tells what a vertex is wired to on one side.
func (v *vertex) neighbours(onLeft bool, tell func(*vertex)) {
	if onLeft {
		for _, p := range v.left {
			tell(p.wire.from.v)
		}
		return
	}
	for _, p := range v.right {
		for _, t := range p.wire.to {
			tell(t.v)
		}
	}
}

// crossings counts the pairs of links between neighbouring layers that cross.
func (l *layout) crossings() int {
	n := 0
	for i := range l.layers[:max(len(l.layers)-1, 0)] {
		var ends [][2]int
		for _, w := range l.wires[i] {
			for _, t := range w.to {
				ends = append(ends, [2]int{w.from.v.rank, t.v.rank})
			}
		}
		slices.SortFunc(ends, func(a, b [2]int) int { return cmp.Or(a[0]-b[0], a[1]-b[1]) })
		// Inversions, counted with a binary indexed tree.
		tree := make([]int, len(l.layers[i+1])+1)
		for at, e := range ends {
			below := at
			for k := e[1] + 1; k > 0; k -= k & -k {
				below -= tree[k]
			}
			n += below
			for k := e[1] + 1; k < len(tree); k += k & -k {
				tree[k]++
			}
		}
	}
	return n
}

// seat gives the pins of a box their rows. A row that says what came belongs to one head.
func (v *vertex) seat() {
	for _, p := range v.left {
		p.far = float64(p.wire.from.v.rank)
	}
	for _, p := range v.right {
		p.far = 0
		for _, t := range p.wire.to {
			p.far += float64(t.v.rank) / float64(len(p.wire.to))
		}
	}
	near := func(a, b *pin) int { return cmp.Compare(a.far, b.far) }
	slices.SortStableFunc(v.left, near)
	slices.SortStableFunc(v.right, near)
	row := 0
	for _, p := range v.left {
		if p.head {
			p.row = row
			row++
		}
	}
	heads := row
	for _, p := range v.right {
		if p.head {
			p.row = row
			row++
		}
	}
	said := row
	v.selfs = row
	if v.self != nil {
		said++
	}
	v.rows = max(said, 1)
	row = heads
	for _, p := range v.left { // calls back
		if !p.head {
			p.row = row
			row++
		}
	}
	v.rows = max(v.rows, row)
	for _, p := range v.right {
		if p.head {
			continue
		}
		if heads > 0 {
			p.row = (heads - 1) / 2
		} else {
			p.row = v.selfs
		}
		v.rows = max(v.rows, p.row+1)
	}
}

// stack gives vertices their rows on the canvas. packed leaves no room between them.
func (l *layout) stack(packed bool) {
	tallest := 0
	l.height = 0
	sizes := make([]int, len(l.layers))
	for i, layer := range l.layers {
		for _, v := range layer {
			sizes[i] += v.height()
		}
		tallest = max(tallest, sizes[i])
	}
	for i, layer := range l.layers {
		y := (tallest - sizes[i]) / 2
		for _, v := range layer {
			v.y = y
			y += v.height()
		}
	}
	bottom := 1 << 20
	if packed {
		bottom = tallest
	}
	for pass := range sweeps {
		for i := range l.layers {
			if pass%2 == 1 {
				i = len(l.layers) - 1 - i
			}
			pull(l.layers[i], bottom, packed)
		}
	}
	top := 1 << 20
	for _, layer := range l.layers {
		for _, v := range layer {
			top = min(top, v.y)
		}
	}
	for _, layer := range l.layers {
		for _, v := range layer {
			v.y -= top
			l.height = max(l.height, v.y+v.height())
		}
	}
}

// pull moves the vertices of a layer so that lines become straight, without changing their
// order; bounded keeps them between row 0 and bottom.
func pull(layer []*vertex, bottom int, bounded bool) {
	n := len(layer)
	wish := make([]int, n)
	for i, v := range layer {
		var ys []int
		for _, p := range v.left {
			ys = append(ys, v.y+p.wire.from.y()-p.y())
		}
		for _, p := range v.right {
			for _, t := range p.wire.to {
				ys = append(ys, v.y+t.y()-p.y())
			}
		}
		wish[i] = v.y
		if len(ys) > 0 {
			slices.Sort(ys)
			wish[i] = ys[len(ys)/2]
		}
	}
	settle(layer, wish)
	if !bounded {
		return
	}
	limit := bottom
	for _, v := range slices.Backward(layer) {
		v.y = min(v.y, limit-v.height())
		limit = v.y
	}
	limit = 0
	for _, v := range layer {
		v.y = max(v.y, limit)
		limit = v.y + v.height()
	}
}

// settle puts vertices as near to their wishes as can be, by least squares, without overlap: it
// is isotonic regression, by pooling neighbours that would overlap.
func settle(layer []*vertex, wish []int) {
	type block struct{ sum, n int }
	var blocks []block
	offset := 0 // of all above
	for i, v := range layer {
		blocks = append(blocks, block{wish[i] - offset, 1})
		for k := len(blocks) - 1; k > 0 && blocks[k-1].sum*blocks[k].n > blocks[k].sum*blocks[k-1].n; k-- {
			blocks[k-1].sum += blocks[k].sum
			blocks[k-1].n += blocks[k].n
			blocks = blocks[:k]
		}
		offset += v.height()
	}
	i, offset := 0, 0
	for _, b := range blocks {
		at := int(math.Floor(float64(b.sum) / float64(b.n)))
		for range b.n {
			layer[i].y = at + offset
			offset += layer[i].height()
			i++
		}
	}
}
