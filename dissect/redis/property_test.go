package redis

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

// conversation has n batches of calls, each with a key and an answer of its own, so that no
// two can be taken for each other.
func conversation(r *rand.Rand, n, depth int) (steps []step) {
	i := 0
	for range n {
		var ask, answer strings.Builder
		for range 1 + r.IntN(depth) {
			key := fmt.Sprintf("k%d", i)
			switch r.IntN(4) {
			case 0:
				ask.WriteString(cmd("SET", key, strings.Repeat("lorem\r\n", r.IntN(60))))
				fmt.Fprintf(&answer, "+%d\r\n", i)
			case 1:
				ask.WriteString(cmd("LRANGE", key, "0", "-1"))
				fmt.Fprintf(&answer, "*3\r\n:%d\r\n$%d\r\n%s\r\n$-1\r\n", i, 700, strings.Repeat("ipsum\r\n", 100))
			case 2:
				ask.WriteString(cmd("NOPE", key))
				fmt.Fprintf(&answer, "-ERR %d\r\n", i)
			default:
				ask.WriteString(cmd("INCR", key))
				fmt.Fprintf(&answer, ":%d\r\n", i)
			}
			i++
		}
		steps = append(steps, c(ask.String()), s(answer.String()))
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
				key := string(e.key())
				if !e.asked {
					t.Fatalf("seed %d: a call of nothing: %s", seed, cuttest.Paired(c))
				}
				if key == "" && c.Incomplete {
					return
				}
				if !slices.ContainsFunc(steps, func(st step) bool {
					return st.Dir == 0 && bytes.Contains(st.Data, []byte("\r\n"+key+"\r\n")) || c.Incomplete && bytes.Contains(st.Data, []byte(key))
				}) {
					t.Errorf("seed %d: nobody asked for %q", seed, cuttest.Paired(c))
				}
				if e.said && !c.Incomplete {
					pairs++
					if n := string(number0(e.resp)); "k"+n != key {
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

// number0 is the number that an answer of the conversation has.
func number0(b []byte) []byte {
	i := slices.IndexFunc(b, func(c byte) bool { return c >= '0' && c <= '9' })
	if len(b) > 0 && b[0] == '*' {
		i = 5
	}
	end := i
	for end < len(b) && b[end] >= '0' && b[end] <= '9' {
		end++
	}
	return b[i:end]
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
					whole := strings.TrimLeft(got, "~!<")
					if !slices.ContainsFunc(tt.want, func(w string) bool {
						return strings.HasPrefix(strings.TrimLeft(w, "~!<"), strings.SplitN(whole, " -> ", 2)[0])
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
		if e := c.Message.(*exchange); !e.asked && !e.unasked {
			tb.Error("a call of nothing")
		}
	}, seeds...)
}
