package text

import (
	"fmt"
	"testing"

	"github.com/sshark/sshark/servicemap"
)

// TestUpdate: new numbers move nothing, and change nothing but what boxes say and colours.
func TestUpdate(t *testing.T) {
	for seed := range uint64(40) {
		m := random(seed, 2+int(seed%20), 1+int(seed))
		p := Arrange(m, Links(m), Options{Width: 120, Height: 40, Room: 6})
		before := p.Draw()
		more := &servicemap.Map{Nodes: m.Nodes, Edges: append([]servicemap.Edge{}, m.Edges...)}
		for i := range more.Edges {
			e := &more.Edges[i]
			e.Calls, e.Bytes = e.Calls*7919+uint64(i), e.Bytes*104729
			if e.Calls > 0 {
				e.Errors = e.Calls / uint64(1+i)
				e.Latency.Add(int64(i) * 1e8)
			}
		}
		if !p.Update(more, Links(more)) {
			t.Fatalf("seed %d: the same map is another one", seed)
		}
		after := p.Draw()
		if before.canvas.w != after.canvas.w || before.canvas.h != after.canvas.h {
			t.Fatalf("seed %d: another size", seed)
		}
		inside := map[Point]bool{}
		for i, b := range before.Boxes {
			if after.Boxes[i] != b {
				t.Fatalf("seed %d: box %d moved", seed, i)
			}
			for x := b.X + 1; x < b.X+b.W-1; x++ {
				for y := b.Y + 1; y < b.Y+b.H-1; y++ {
					inside[Point{x, y}] = true
				}
			}
		}
		for y := range before.canvas.h {
			for x := range before.canvas.w {
				a, _ := before.Cell(x, y)
				b, _ := after.Cell(x, y)
				if a != b && !inside[Point{x, y}] {
					t.Fatalf("seed %d: %c became %c at %d,%d", seed, a, b, x, y)
				}
			}
		}
		if len(m.Edges) > 1 {
			fewer := &servicemap.Map{Nodes: m.Nodes, Edges: m.Edges[:len(m.Edges)-1]}
			if ls := Links(fewer); len(ls) < len(Links(m)) && p.Update(fewer, ls) {
				t.Fatalf("seed %d: a link less is the same map", seed)
			}
		}
	}
}

// TestPath: the path that is told of a link leads from its caller to its callee, cell by cell,
// over lines, and through no box.
func TestPath(t *testing.T) {
	for seed := range uint64(60) {
		m := random(seed, 2+int(seed%25), 1+2*int(seed))
		ls := Links(m)
		p := Arrange(m, ls, Options{})
		if p == nil {
			continue
		}
		d := p.Draw()
		for _, k := range ls {
			path, row := p.Path(k.From, k.To)
			if err := follows(d, path, row, k.From, k.To); err != nil {
				t.Fatalf("seed %d, %d to %d: %v", seed, k.From, k.To, err)
			}
		}
		if path, row := p.Path(0, 0); ls[0].From != 0 && path != nil && row != [2]Point{} {
			t.Errorf("seed %d: a link that there is not has a path", seed)
		}
	}
}

func follows(d *Drawing, path []Point, row [2]Point, from, to int) error {
	within := func(p Point, b Box) bool { return p.X >= b.X && p.X < b.X+b.W && p.Y >= b.Y && p.Y < b.Y+b.H }
	if !within(row[0], d.Boxes[to]) || !within(row[1], d.Boxes[to]) {
		return fmt.Errorf("what came is said at %v, not in the box", row)
	}
	if from == to {
		return nil
	}
	beside := func(p Point, b Box) bool {
		return p.Y > b.Y && p.Y < b.Y+b.H-1 && (p.X == b.X-1 || p.X == b.X+b.W)
	}
	ends := map[int]bool{}
	at := map[Point]bool{}
	for _, p := range path {
		at[p] = true
		r, _ := d.Cell(p.X, p.Y)
		if armsOf[r] == 0 {
			return fmt.Errorf("%c at %v is no line", r, p)
		}
		for _, b := range d.Boxes {
			if within(p, b) {
				return fmt.Errorf("%v is in the box of %d", p, b.Node)
			}
		}
		for _, end := range []int{from, to} {
			if beside(p, d.Boxes[end]) {
				ends[end] = true
			}
		}
	}
	if len(ends) != 2 {
		return fmt.Errorf("it is beside %v", ends)
	}
	todo, seen := []Point{path[0]}, map[Point]bool{path[0]: true}
	for len(todo) > 0 {
		p := todo[0]
		todo = todo[1:]
		for _, n := range []Point{{p.X - 1, p.Y}, {p.X + 1, p.Y}, {p.X, p.Y - 1}, {p.X, p.Y + 1}} {
			if at[n] && !seen[n] {
				seen[n] = true
				todo = append(todo, n)
			}
		}
	}
	if len(seen) != len(at) {
		return fmt.Errorf("%d of %d cells hang together", len(seen), len(at))
	}
	return nil
}
