package http2

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/pcap/flow"
)

// conversation makes n calls, some at once. Each has a path, a status and a header of its own,
// so that no two can be taken for each other.
func conversation(r *rand.Rand, n int) *talk {
	t := begin()
	for i := 0; i < n; {
		at := i
		for ; i < n && i < at+1+r.IntN(3); i++ {
			id, path, mark := uint32(2*i+1), fmt.Sprintf("/call/%d", i), fmt.Sprintf("x-mark of-%d", i)
			switch r.IntN(3) {
			case 0:
				t.c().get(id, path, mark)
			case 1:
				t.c().post(id, path, mark).data(id, true, strings.Repeat("lorem ipsum\n", r.IntN(60)))
			default:
				t.c().post(id, path, mark).padded(id, false, "lorem", r.IntN(200)).headers(id, true, mark)
			}
			if r.IntN(2) == 0 {
				t.c().send()
			}
		}
		t.c().send()
		order := r.Perm(i - at)
		for _, k := range order {
			id, status := uint32(2*(at+k)+1), 200+at+k
			mark := fmt.Sprintf("x-mark of-%d", at+k)
			if r.IntN(4) == 0 {
				t.s().answer(id, true, status, mark)
			} else {
				t.s().answer(id, false, status, mark).data(id, false, strings.Repeat("lorem ipsum\n", r.IntN(200)))
				if r.IntN(2) == 0 {
					t.s().headers(id, true, mark)
				} else {
					t.s().padded(id, true, "end", r.IntN(100))
				}
			}
			if r.IntN(2) == 0 {
				t.s().send()
			}
			if r.IntN(4) == 0 {
				t.s().framer.WriteWindowUpdate(0, 1000)
			}
		}
		t.s().send()
	}
	t.steps = slices.DeleteFunc(t.steps, func(s step) bool { return len(s.Data) == 0 })
	return t
}

// invented looks for what the whole conversation of n calls does not contain.
func invented(t *testing.T, k *sink, n int) (pairs int) {
	t.Helper()
	seen := map[int]int{}
	for i, line := range k.Lines {
		var call struct {
			Method, URL string
			Status      int               `json:"status_code"`
			Stream      int               `json:"http2_stream"`
			Request     map[string]string `json:"request.headers"`
			Response    map[string]string `json:"response.headers"`
			Trailers    map[string]string `json:"response.trailers"`
		}
		if err := json.Unmarshal([]byte(line), &call); err != nil {
			t.Fatal(err)
		}
		of := (call.Stream - 1) / 2
		mark := fmt.Sprintf("of-%d", of)
		if call.Stream%2 == 0 || of >= n || call.URL != "" && call.URL != fmt.Sprintf("/call/%d", of) || call.Status != 0 && call.Status != 200+of {
			t.Errorf("nobody made %s: %s", k.Calls[i], line)
		}
		for _, m := range []map[string]string{call.Request, call.Response, call.Trailers} {
			if v, ok := m["x-mark"]; ok && v != mark {
				t.Errorf("a header of another call: %s", line)
			}
		}
		if call.Method != "" && call.Status != 0 {
			pairs++
		}
		if seen[of]++; seen[of] > 2 {
			t.Errorf("told more than twice: %s", line)
		}
	}
	return pairs
}

// TestLossInventsNothing: with bytes missing there are fewer calls, or halves of them, but
// none that were not made, and no header of another one.
func TestLossInventsNothing(t *testing.T) {
	const runs, n = 1000, 12
	pairs := 0
	for seed := range uint64(runs) {
		r := rand.New(rand.NewPCG(seed, 1))
		cut := conversation(r, n).steps
		for range 1 + r.IntN(3) {
			cut = cuttest.CutOut(r, cut, flow.Dir(r.IntN(2)), 1+r.IntN(600))
		}
		k := &sink{TB: t, Tell: tell, Limit: 1000}
		if err := run(k, cut, []int{0, 1, 100}[r.IntN(3)]); err != nil {
			t.Fatal(err)
		}
		if pairs += invented(t, k, n); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if pairs < runs*n*7/10 {
		t.Errorf("only %d of %d calls are left", pairs, runs*n)
	}
}

// TestMiddleInventsNothing: the conversation is seen from any byte of each side on.
func TestMiddleInventsNothing(t *testing.T) {
	const runs, n = 1000, 12
	pairs := 0
	for seed := range uint64(runs) {
		r := rand.New(rand.NewPCG(seed, 3))
		steps := conversation(r, n).steps
		skip := r.IntN(len(steps))
		steps = slices.Clone(steps[skip:])
		for d := range flow.Dir(2) {
			if i := slices.IndexFunc(steps, func(s step) bool { return s.Dir == d }); i >= 0 && r.IntN(2) == 0 {
				steps[i].Data = steps[i].Data[r.IntN(len(steps[i].Data)):]
			}
		}
		k := &sink{TB: t, Tell: tell, Limit: 1000}
		if err := run(k, steps, []int{0, 1, 100}[r.IntN(3)]); err != nil {
			t.Fatal(err)
		}
		if pairs += invented(t, k, n); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if pairs < runs*n/4 {
		t.Errorf("only %d of %d calls are left", pairs, runs*n)
	}
}

// TestAnyCutIsTheSame: pieces of random sizes give the calls of the whole, and what ends early
// gives no others.
func TestAnyCutIsTheSame(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		steps := conversation(r, 6).steps
		whole, cut := &sink{TB: t, Tell: tell, Limit: 1 << 16}, &sink{TB: t, Tell: tell, Limit: 1 << 16}
		if err := run(whole, steps, 0); err != nil {
			t.Fatal(err)
		}
		if len(whole.Calls) != 6 || slices.ContainsFunc(whole.Calls, func(s string) bool { return s[0] == '~' || s[0] == '<' }) {
			t.Fatalf("seed %d: %q", seed, whole.Calls)
		}
		if err := run(cut, steps, 1+r.IntN(50)); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(whole.Lines, cut.Lines) {
			t.Fatalf("seed %d: %q and %q", seed, whole.Lines, cut.Lines)
		}
		short := slices.Clone(steps[:1+r.IntN(len(steps))])
		last := &short[len(short)-1]
		last.Data = last.Data[:r.IntN(len(last.Data)+1)]
		k := &sink{TB: t, Tell: tell}
		if err := run(k, short, 0); err != nil {
			t.Fatal(err)
		}
		invented(t, k, 6)
	}
}

func FuzzParser(f *testing.F) {
	var seeds [][]step
	for _, tt := range conversations {
		t := begin()
		tt.talk(t)
		seeds = append(seeds, t.steps)
	}
	cuttest.FuzzScripts(f, Protocol(), func(tb testing.TB, c *dissect.Call) {
		if e, ok := c.Message.(*exchange); ok && !e.req.seen && !e.resp.seen {
			tb.Error("a call of nothing")
		}
	}, seeds...)
}
