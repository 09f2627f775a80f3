package text

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sshark/sshark/servicemap"
)

// walker reads a drawing as an eye does, knowing nothing but its characters and where the
// boxes are.
type walker struct {
	rows  [][]rune
	boxes []Box
	owner map[[2]int]int // the box that a cell is in
}

var armsOf = map[rune]int{
	'│': up | down, '─': left | right, '╭': down | right, '╮': down | left, '╰': up | right, '╯': up | left,
	'├': up | down | right, '┤': up | down | left, '┬': left | right | down, '┴': left | right | up, '┼': up | down | left | right,
	'▶': left, '◀': right,
}

func walk(d *Drawing) *walker {
	w := &walker{boxes: d.Boxes, owner: map[[2]int]int{}}
	for _, line := range d.Lines[1:] { // below the title
		w.rows = append(w.rows, []rune(line))
	}
	for i, b := range d.Boxes {
		for y := b.Y - 1; y < b.Y-1+b.H; y++ {
			for x := b.X; x < b.X+b.W; x++ {
				w.owner[[2]int{x, y}] = i + 1
			}
		}
	}
	return w
}

func (w *walker) at(x, y int) rune {
	if y < 0 || y >= len(w.rows) || x < 0 || x >= len(w.rows[y]) {
		return ' '
	}
	return w.rows[y][x]
}

// step goes one cell on, and through crossings. A line from the side that meets │ passes
// behind it; ok is false where nothing of a line comes to meet it.
func (w *walker) step(x, y, arm int) (nx, ny int, ok bool) {
	dx, dy, back := 0, 0, 0
	switch arm {
	case up:
		dy, back = -1, down
	case down:
		dy, back = 1, up
	case left:
		dx, back = -1, right
	case right:
		dx, back = 1, left
	}
	for {
		x, y = x+dx, y+dy
		if w.owner[[2]int{x, y}] > 0 {
			return x, y, true // at a box
		}
		r := w.at(x, y)
		if r == '│' && dx != 0 {
			continue
		}
		return x, y, armsOf[r]&back != 0
	}
}

// net follows the line that begins at a cell beside a box, and says which boxes it leaves
// plainly and at which it has a head. Cells that it passes are marked.
func (w *walker) net(x, y int, seen map[[2]int]bool) (plain, heads []int, err error) {
	todo := [][2]int{{x, y}}
	seen[todo[0]] = true
	for len(todo) > 0 {
		x, y := todo[0][0], todo[0][1]
		todo = todo[1:]
		r := w.at(x, y)
		if r == '▶' || r == '◀' {
			side := x + 1
			if r == '◀' {
				side = x - 1
			}
			box := w.owner[[2]int{side, y}]
			if box == 0 {
				return nil, nil, fmt.Errorf("a head at %d,%d points at nothing", x, y)
			}
			heads = append(heads, w.boxes[box-1].Node)
		}
		for _, arm := range []int{up, down, left, right} {
			if armsOf[r]&arm == 0 {
				continue
			}
			nx, ny, ok := w.step(x, y, arm)
			if !ok {
				return nil, nil, fmt.Errorf("%c at %d,%d leads nowhere", r, x, y)
			}
			if box := w.owner[[2]int{nx, ny}]; box > 0 {
				if w.at(nx, ny) != '│' {
					return nil, nil, fmt.Errorf("%c at %d,%d runs into a box's corner or inside", r, x, y)
				}
				plain = append(plain, w.boxes[box-1].Node)
				continue
			}
			if at := [2]int{nx, ny}; !seen[at] {
				seen[at] = true
				todo = append(todo, at)
			}
		}
	}
	return plain, heads, nil
}

// check walks all lines of a drawing, and compares what they say with the map's links.
func check(d *Drawing) error {
	w := walk(d)
	for i, b := range w.boxes {
		for j, o := range w.boxes[:i] {
			if b.X < o.X+o.W && o.X < b.X+b.W && b.Y < o.Y+o.H && o.Y < b.Y+b.H {
				return fmt.Errorf("boxes %d and %d overlap", i, j)
			}
		}
		for y := b.Y - 1; y < b.Y-1+b.H; y++ {
			first, last, border := w.at(b.X, y), w.at(b.X+b.W-1, y), "││"
			switch y {
			case b.Y - 1:
				border = "╭╮"
			case b.Y + b.H - 2:
				border = "╰╯"
			}
			if string([]rune{first, last}) != border {
				return fmt.Errorf("box %d has %c%c for %s", i, first, last, border)
			}
			for x := b.X + 1; x < b.X+b.W-1; x++ {
				r := w.at(x, y)
				if border == "││" && armsOf[r] != 0 || border != "││" && armsOf[r] != 0 && r != '─' {
					return fmt.Errorf("%c inside of box %d", r, i)
				}
			}
		}
	}
	want := map[[2]int]int{}
	for _, k := range Links(d.Map) {
		if k.From != k.To {
			want[[2]int{k.From, k.To}]++
		}
	}
	seen := map[[2]int]bool{}
	for _, b := range w.boxes {
		for y := b.Y - 1; y < b.Y-1+b.H; y++ {
			for _, x := range []int{b.X - 1, b.X + b.W} {
				r := w.at(x, y)
				leaves := x < b.X && armsOf[r]&right != 0 && r != '◀' || x > b.X && armsOf[r]&left != 0 && r != '▶'
				if !leaves || seen[[2]int{x, y}] {
					continue
				}
				plain, heads, err := w.net(x, y, seen)
				switch {
				case err != nil:
					return err
				case len(plain) != 1:
					return fmt.Errorf("a line leaves %d boxes: %v", len(plain), plain)
				case len(heads) == 0:
					return fmt.Errorf("a line from %d has no head", plain[0])
				}
				for _, to := range heads {
					want[[2]int{plain[0], to}]--
				}
			}
		}
	}
	for k, n := range want {
		if n != 0 {
			return fmt.Errorf("%d to %d: %+d", k[0], k[1], -n)
		}
	}
	for y, row := range w.rows {
		for x, r := range row {
			at := [2]int{x, y}
			// What passes behind a crossing is seen by the vertical line that is in front of it.
			if armsOf[r] != 0 && !seen[at] && w.owner[at] == 0 {
				return fmt.Errorf("%c at %d,%d belongs to no line", r, x, y)
			}
			if armsOf[r] == 0 && r != ' ' && w.owner[at] == 0 {
				return fmt.Errorf("%c at %d,%d is outside of boxes", r, x, y)
			}
		}
	}
	return nil
}

// random makes a map of n nodes and about as many links as asked for, with cycles.
func random(seed uint64, n, links int) *servicemap.Map {
	r := rand.New(rand.NewPCG(seed, 7))
	var lines []string
	for i := range links {
		from, to := r.IntN(n), r.IntN(n)
		if from > to && r.IntN(4) > 0 {
			from, to = to, from
		}
		lines = append(lines, fmt.Sprintf("n%d/%s%d > n%d/%s%d http/%d %d %d", from%3, strings.Repeat("s", from%9), from, to%3, strings.Repeat("s", to%9), to, i, i, i%3))
	}
	return sketch(lines...)
}

// TestLines proves for many random maps that each line leads from one caller to all that it
// calls and to nobody else, joins no other caller's, and runs through no box.
func TestLines(t *testing.T) {
	for seed := range uint64(500) {
		n := 2 + int(seed%23)
		m := random(seed, n, 1+int(seed%uint64(3*n)))
		for _, o := range []Options{{}, {Width: 120}, {Width: 80, Height: 30}} {
			d := Draw(m, o)
			if d.Boxes == nil {
				continue
			}
			fits(t, d, o)
			if err := check(d); err != nil {
				t.Fatalf("seed %d, %+v: %v\n%s", seed, o, err, strings.Join(d.Lines, "\n"))
			}
		}
	}
	for n := 20; n <= 80; n += 20 {
		if d := Draw(many(n, uint64(n)), Options{}); d.Boxes == nil {
			t.Errorf("%d services are no boxes", n)
		} else if err := check(d); err != nil {
			t.Errorf("%d services: %v", n, err)
		}
	}
}

// TestWalker shows that the walk finds what it looks for.
func TestWalker(t *testing.T) {
	d := Draw(sketch(shop...), Options{Width: 120})
	if err := check(d); err != nil {
		t.Fatal(err)
	}
	found := 0
	for y := 1; y < len(d.Lines); y++ {
		row := []rune(d.Lines[y])
		for x, r := range row {
			if armsOf[r] == 0 {
				continue
			}
			for _, wrong := range " ┼│─" {
				if wrong == r {
					continue
				}
				bad := *d
				bad.Lines = append([]string{}, d.Lines...)
				changed := append([]rune{}, row...)
				changed[x] = wrong
				bad.Lines[y] = string(changed)
				// Some changes say the same: a border's dash in a name's place is still a border.
				if check(&bad) == nil && d.inBox(x, y) == 0 {
					t.Errorf("%c for %c at %d,%d goes unseen", wrong, r, x, y)
				}
				found++
			}
		}
	}
	if found < 100 {
		t.Errorf("%d changes tried", found)
	}
}

func (d *Drawing) inBox(x, y int) int {
	for i, b := range d.Boxes {
		if x >= b.X && x < b.X+b.W && y >= b.Y && y < b.Y+b.H {
			return i + 1
		}
	}
	return 0
}
