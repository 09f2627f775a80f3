package postgresql

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/pcap/flow"
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
				cut = cuttest.CutOut(r, cut, side, 1+r.IntN(600))
			}
			k := &sink{TB: t}
			k.Each = func(c *dissect.Call) {
				e := c.Message.(*exchange)
				if !e.asked {
					if e.word == "ERROR" {
						return // nobody is left who could have caused it
					}
					t.Fatalf("seed %d: a call of nothing: %s", seed, cuttest.Paired(c))
				}
				key, _, _ := strings.Cut(string(e.text()), " /")
				if !slices.ContainsFunc(steps, func(st step) bool { return st.Dir == 0 && bytes.Contains(st.Data, []byte(key)) }) {
					t.Errorf("seed %d: nobody asked for %q", seed, cuttest.Paired(c))
				}
				if n := string(e.tag) + string(e.message); n != "" && key != "" && !c.Incomplete {
					pairs++
					if "select k"+strings.TrimPrefix(n, "SELECT ") != key {
						t.Errorf("seed %d, depth %d: %q was answered with %s\n%q", seed, depth, cuttest.Paired(c), n, k.Calls)
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
	cuttest.AnyPieces(t, Protocol(), func(r *rand.Rand) []step { return conversation(r, 6, 5) })
}

// TestTruncated: what ends anywhere gives calls of the whole, the last one perhaps incomplete
// or unanswered.
func TestTruncated(t *testing.T) {
	for _, tt := range conversations {
		for i := range tt.steps {
			for n := range tt.steps[i].Data {
				if n > 200 && n%97 != 0 {
					continue
				}
				k := &sink{TB: t}
				steps := append(slices.Clone(tt.steps[:i]), step{Dir: tt.steps[i].Dir, Data: tt.steps[i].Data[:n]})
				if err := run(k, steps, 0); err != nil {
					t.Fatal(err)
				}
				for _, got := range k.Calls {
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

func FuzzParser(f *testing.F) {
	var seeds [][]step
	for _, tt := range conversations {
		seeds = append(seeds, tt.steps)
	}
	cuttest.FuzzScripts(f, Protocol(), func(tb testing.TB, c *dissect.Call) {
		if e := c.Message.(*exchange); !e.asked && e.word == "" {
			tb.Error("a call of nothing")
		}
	}, seeds...)
}
