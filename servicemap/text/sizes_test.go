package text

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sshark/sshark/servicemap"
)

// sizes are those that a map must be readable at.
var sizes = []int{12, 60, 200, 2000}

// kindsOf are maps of n nodes as systems have them, and as they do not.
func kindsOf(n int, seed uint64) map[string]*servicemap.Map {
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	star, ring := []string{}, []string{}
	for i := 1; i < n; i++ {
		star = append(star, fmt.Sprintf("ns%d/s%d > hub/h%d http/80 %d %d", i/10, i, r.IntN(3), 1+r.IntN(999), r.IntN(2)))
		ring = append(ring, fmt.Sprintf("ns%d/s%d > ns%d/s%d grpc/80 %d", i/10, i, (i%n+1)/10, i%n+1, r.IntN(99)))
	}
	ring = append(ring, fmt.Sprintf("ns%d/s%d > ns0/s1 redis/6379 4 4", n/10, n))
	return map[string]*servicemap.Map{
		"services": many(n, seed), "layers": tiers(max(n/6*6, 12)), "star": sketch(star...), "ring": sketch(ring...),
		"random": random(seed, n, n+r.IntN(n)),
	}
}

// drawn is a drawing without a first line, as check wants it.
func drawn(d *Drawing) *Drawing {
	out := &Drawing{Lines: append([]string{""}, d.canvas.lines(false)...), Map: d.Map}
	for _, b := range d.Boxes {
		b.Y++
		out.Boxes = append(out.Boxes, b)
	}
	return out
}

// TestSizes: of maps of all sizes, however they are drawn, each edge leads from its caller to its
// callee, through no box, and joins no other caller's; of those that are too large for boxes, the
// tree tells each edge once.
func TestSizes(t *testing.T) {
	for _, n := range sizes {
		seeds := uint64(6)
		if n > 200 || testing.Short() {
			seeds = 1
		}
		for seed := range seeds {
			for name, m := range kindsOf(n, seed) {
				name := fmt.Sprintf("%s of %d, seed %d", name, n, seed)
				ls := Links(m)
				for _, o := range []Options{{}, {Width: 80, Height: 20}, {Width: 120, Height: 36, Room: 5}} {
					p := Arrange(m, ls, o)
					if p == nil {
						if len(m.Nodes) <= MaxBoxes && len(ls) <= MaxLinks {
							t.Errorf("%s: not arranged", name)
						}
						continue
					}
					d := p.Draw()
					if err := check(drawn(d)); err != nil {
						t.Errorf("%s, %+v: %v", name, o, err)
					}
					if w, h := p.Size(); p.Fits && o.Width > 0 && (w > o.Width || h > o.Height) {
						t.Errorf("%s: %dx%d fits %dx%d", name, w, h, o.Width, o.Height)
					}
				}
				for _, o := range []Options{{Width: 80, Height: 24}, {Width: 120, Height: 40}, {}} {
					d := Draw(m, o)
					fits(t, d, o)
					if err := check(d); d.Boxes != nil && err != nil {
						t.Errorf("%s, %+v: %v", name, o, err)
					}
				}
				if err := checkTree(m, ls, 10); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	}
}

// checkTree holds that each node is told, and each link once, below its caller.
func checkTree(m *servicemap.Map, ls []Link, depth int) error {
	told, nodes := map[[2]int]int{}, map[int]bool{}
	var path []int // the node of each depth
	for _, r := range Tree(m, ls, depth) {
		nodes[r.Node] = true
		at := len([]rune(r.Branch)) / 4
		if at > depth {
			return fmt.Errorf("%q is too deep", r.Branch)
		}
		path = append(path[:at], r.Node)
		if at == 0 {
			continue
		}
		if r.Link == nil || r.Link.To != r.Node || r.Link.From != path[at-1] {
			return fmt.Errorf("node %d is below %d, which does not call it", r.Node, path[at-1])
		}
		told[[2]int{r.Link.From, r.Link.To}]++
	}
	for _, k := range ls {
		if n := told[[2]int{k.From, k.To}]; n != 1 {
			return fmt.Errorf("%d to %d is told %d times", k.From, k.To, n)
		}
	}
	if len(told) != len(ls) || len(nodes) != len(m.Nodes) {
		return fmt.Errorf("%d links and %d nodes, of %d and %d", len(told), len(nodes), len(ls), len(m.Nodes))
	}
	return nil
}

// FuzzArrange: any graph at any size keeps what TestSizes holds, also with other numbers.
func FuzzArrange(f *testing.F) {
	f.Add(uint64(1), uint8(12), uint16(12), uint8(80), uint8(24), uint8(5))
	f.Add(uint64(2), uint8(60), uint16(90), uint8(120), uint8(40), uint8(0))
	f.Add(uint64(3), uint8(200), uint16(300), uint8(0), uint8(0), uint8(5))
	f.Add(uint64(4), uint8(3), uint16(40), uint8(1), uint8(1), uint8(9))
	f.Fuzz(func(t *testing.T, seed uint64, n uint8, edges uint16, w, h, room uint8) {
		nodes := max(int(n)%40, 1)
		m := random(seed, nodes, int(edges)%(2*nodes+1))
		ls := Links(m)
		if err := checkTree(m, ls, 1+int(h)%20); err != nil {
			t.Fatal(err)
		}
		p := Arrange(m, ls, Options{Width: int(w), Height: int(h), Room: int(room) % 10})
		if p == nil {
			return
		}
		if err := check(drawn(p.Draw())); err != nil {
			t.Fatalf("%v\n%s", err, strings.Join(p.Draw().canvas.lines(false), "\n"))
		}
		for i := range m.Edges {
			m.Edges[i].Calls, m.Edges[i].Errors = m.Edges[i].Calls*1000+1, uint64(i)%2
		}
		if ls = Links(m); p.Update(m, ls) { // else another protocol has most calls now
			if err := check(drawn(p.Draw())); err != nil {
				t.Fatalf("with other numbers: %v", err)
			}
		}
		last := p.Draw()
		for _, k := range ls {
			path, row := p.Path(k.From, k.To)
			if err := follows(last, path, row, k.From, k.To); err != nil {
				t.Fatalf("%d to %d: %v", k.From, k.To, err)
			}
		}
		d := Draw(m, Options{Width: int(w), Height: int(h)})
		fits(t, d, Options{Width: int(w), Height: int(h)})
		if d.Boxes != nil {
			if err := check(d); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// BenchmarkArrange is the layout alone, of maps that fit and of those that are scrolled over.
func BenchmarkArrange(b *testing.B) {
	for _, n := range sizes {
		m := many(n, 1)
		ls := Links(m)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if p := Arrange(m, ls, Options{Width: 120, Height: 36, Room: 5}); p != nil {
					p.Draw()
				} else {
					Tree(m, Links(m), 10)
				}
			}
		})
	}
}
