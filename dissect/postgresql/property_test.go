package postgresql

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/memtest"
)

// conversation has n batches of queries, each with a text and an answer of its own, so that no
// two can be taken for each other.
func conversation(r *rand.Rand, n, depth int) (steps []step) {
	i := 0
	for range n {
		var ask, answer strings.Builder
		for range 1 + r.IntN(depth) {
			text := fmt.Sprintf("select k%d /* %s */", i, strings.Repeat("lorem", r.IntN(60)))
			did := tag(fmt.Sprintf("SELECT %d", i))
			sync, ready := syncs, idle
			if r.IntN(2) == 0 && depth > 1 {
				sync, ready = "", ""
			}
			rows := strings.Repeat(row("ipsum", "NULL"), r.IntN(30))
			switch r.IntN(4) {
			case 0:
				ask.WriteString(parse("", text) + bind("", "") + describe('P', "") + run1("") + sync)
				answer.WriteString(parsed + bound + columns + rows + did + ready)
			case 1:
				name := fmt.Sprintf("s%d", i)
				ask.WriteString(parse(name, text) + syncs + bind("", name) + run1("") + sync)
				answer.WriteString(parsed + idle + bound + rows + did + ready)
			case 2:
				ask.WriteString(query(text))
				answer.WriteString(failure("42601", fmt.Sprintf("SELECT %d", i)) + idle)
			default:
				ask.WriteString(query(text))
				answer.WriteString(columns + rows + did + idle)
			}
			i++
		}
		steps = append(steps, c(ask.String()+syncs), s(answer.String()+idle))
	}
	return steps
}

// cutOut takes up to n bytes out of what one side sent, and tells how many, or not. As in a
// capture, the hole is known when bytes behind it are seen.
func cutOut(r *rand.Rand, steps []step, side flow.Dir, n int) (out []step) {
	i := r.IntN(len(steps))
	for steps[i].d != side || steps[i].gap >= 0 {
		i = r.IntN(len(steps))
	}
	from := r.IntN(len(steps[i].data) + 1)
	out = append(out, steps[:i]...)
	out = append(out, step{side, steps[i].data[:from], -1})
	lost := 0
	rest := steps[i].data[from:]
	for {
		k := min(n-lost, len(rest))
		lost += k
		rest = rest[k:]
		if lost == n || r.IntN(2) == 0 {
			break
		}
		// The hole goes on into the side's next piece.
		next := i + 1
		for next < len(steps) && steps[next].d != side {
			next++
		}
		if next == len(steps) || steps[next].gap >= 0 {
			break
		}
		out = append(out, steps[i+1:next]...)
		i, rest = next, steps[next].data
	}
	gap := int64(lost)
	if r.IntN(2) == 0 {
		gap = 0
	}
	return append(append(out, step{side, "", gap}, step{side, rest, -1}), steps[i+1:]...)
}

// TestLossInventsNothing: with bytes missing there are fewer calls, or halves of them, but
// none that were not made, and no answer goes to another's question, as long as one side is
// there.
func TestLossInventsNothing(t *testing.T) {
	for _, depth := range []int{1, 8} {
		pairs := 0
		for seed := range uint64(3000) {
			r := rand.New(rand.NewPCG(seed, uint64(depth)))
			steps := conversation(r, 12, depth)
			cut := steps
			side := flow.Dir(r.IntN(2))
			for range 1 + r.IntN(3) {
				cut = cutOut(r, cut, side, 1+r.IntN(600))
			}
			k := &sink{t: t}
			k.each = func(c *dissect.Call) {
				e := c.Message.(*exchange)
				if !e.asked {
					if e.word == "ERROR" {
						return // nobody is left who could have caused it
					}
					t.Fatalf("seed %d: a call of nothing: %s", seed, tell(c))
				}
				key, _, _ := strings.Cut(string(e.text()), " /")
				if !slices.ContainsFunc(steps, func(st step) bool { return st.d == 0 && strings.Contains(st.data, key) }) {
					t.Errorf("seed %d: nobody asked for %q", seed, tell(c))
				}
				if n := string(e.tag) + string(e.message); n != "" && key != "" && !c.Incomplete {
					pairs++
					if "select k"+strings.TrimPrefix(n, "SELECT ") != key {
						t.Errorf("seed %d, depth %d: %q was answered with %s\n%q", seed, depth, tell(c), n, k.calls)
					}
				}
			}
			if err := run(k, cut, []int{0, 1, 100}[r.IntN(3)]); err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("depth %d: %d pairs", depth, pairs)
	}
}

// TestAnyCutIsTheSame: pieces of random sizes give the calls of the whole.
func TestAnyCutIsTheSame(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		steps := conversation(r, 6, 5)
		whole, cut := &sink{t: t, limit: 1 << 16}, &sink{t: t, limit: 1 << 16}
		if err := run(whole, steps, 0); err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(whole.calls, func(s string) bool { return s[0] == '~' || s[0] == '<' }) {
			t.Fatalf("seed %d: %q", seed, whole.calls)
		}
		if err := run(cut, steps, 1+r.IntN(50)); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(whole.lines, cut.lines) {
			t.Fatalf("seed %d: %q and %q", seed, whole.lines, cut.lines)
		}
	}
}

// TestTruncated: what ends anywhere gives calls of the whole, the last one perhaps incomplete
// or unanswered.
func TestTruncated(t *testing.T) {
	for _, tt := range conversations {
		for i := range tt.steps {
			for n := range tt.steps[i].data {
				if n > 200 && n%97 != 0 {
					continue
				}
				k := &sink{t: t}
				steps := append(slices.Clone(tt.steps[:i]), step{tt.steps[i].d, tt.steps[i].data[:n], -1})
				if err := run(k, steps, 0); err != nil {
					t.Fatal(err)
				}
				for _, got := range k.calls {
					whole := strings.TrimPrefix(strings.TrimLeft(got, "~!<"), "prepare ")
					if !slices.ContainsFunc(tt.want, func(w string) bool {
						return strings.HasPrefix(strings.TrimPrefix(strings.TrimLeft(w, "~!<"), "prepare "), strings.SplitN(whole, " -> ", 2)[0])
					}) {
						t.Errorf("%s, cut at %d of step %d: %s", tt.name, n, i, got)
					}
				}
			}
		}
	}
}

// FuzzParser plays bytes: each command byte says what happens with the bytes behind it.
func FuzzParser(f *testing.F) {
	for _, c := range conversations {
		var b []byte
		for _, st := range c.steps {
			b = append(b, byte(st.d), byte(len(st.data)), byte(len(st.data)>>8))
			b = append(b, st.data...)
		}
		f.Add(b, uint8(0))
		f.Add(b, uint8(7))
	}
	memory := memtest.New(cuttest.Memory)
	f.Fuzz(func(t *testing.T, b []byte, chunk uint8) {
		memory.Input()
		var steps []step
		for len(b) >= 3 {
			d, gap, n := flow.Dir(b[0]&1), b[0]&2 != 0, int(b[1])|int(b[2])<<8
			b = b[3:]
			if gap {
				steps = append(steps, step{d, "", int64(n)})
				continue
			}
			n = min(n, len(b))
			steps = append(steps, step{d, string(b[:n]), -1})
			b = b[n:]
		}
		k := &sink{t: t, memory: memory, limit: 1000 * int(chunk&1), each: func(c *dissect.Call) {
			for part := range 2 {
				if body := c.Message.Body(part); body != nil && len(body.Data) > maxQuery {
					t.Errorf("body of %d bytes", len(body.Data))
				}
			}
			for _, f := range fields {
				f.Get(c)
			}
			if c.Time == 0 || c.RequestEnd != 0 && c.RequestEnd < c.Time || c.ResponseEnd < c.ResponseStart {
				t.Errorf("times: %+v", c)
			}
			if e := c.Message.(*exchange); !e.asked && e.word == "" {
				t.Error("a call of nothing")
			}
		}}
		if err := run(k, steps, int(chunk)); err != nil && !errors.Is(err, dissect.ErrNotMine) {
			t.Error(err)
		}
	})
}
