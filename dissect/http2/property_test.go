package http2

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/dissect/http"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/memtest"
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
	t.steps = slices.DeleteFunc(t.steps, func(s step) bool { return s.data == "" })
	return t
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
		next := i + 1 // the hole goes on into what the side says next
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

// invented looks for what the whole conversation of n calls does not contain.
func invented(t *testing.T, k *sink, n int) (pairs int) {
	t.Helper()
	seen := map[int]int{}
	for i, line := range k.lines {
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
			t.Errorf("nobody made %s: %s", k.calls[i], line)
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
			cut = cutOut(r, cut, flow.Dir(r.IntN(2)), 1+r.IntN(600))
		}
		k := &sink{t: t, limit: 1000}
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
			if i := slices.IndexFunc(steps, func(s step) bool { return s.d == d }); i >= 0 && r.IntN(2) == 0 {
				steps[i].data = steps[i].data[r.IntN(len(steps[i].data)):]
			}
		}
		k := &sink{t: t, limit: 1000}
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
		whole, cut := &sink{t: t, limit: 1 << 16}, &sink{t: t, limit: 1 << 16}
		if err := run(whole, steps, 0); err != nil {
			t.Fatal(err)
		}
		if len(whole.calls) != 6 || slices.ContainsFunc(whole.calls, func(s string) bool { return s[0] == '~' || s[0] == '<' }) {
			t.Fatalf("seed %d: %q", seed, whole.calls)
		}
		if err := run(cut, steps, 1+r.IntN(50)); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(whole.lines, cut.lines) {
			t.Fatalf("seed %d: %q and %q", seed, whole.lines, cut.lines)
		}
		short := slices.Clone(steps[:1+r.IntN(len(steps))])
		last := &short[len(short)-1]
		last.data = last.data[:r.IntN(len(last.data)+1)]
		k := &sink{t: t}
		if err := run(k, short, 0); err != nil {
			t.Fatal(err)
		}
		invented(t, k, 6)
	}
}

// FuzzParser plays bytes: each command byte says what happens with the bytes behind it.
func FuzzParser(f *testing.F) {
	for _, c := range conversations {
		t := begin()
		c.talk(t)
		var b []byte
		for _, st := range t.steps {
			if len(st.data) < 1<<16 {
				b = append(b, byte(st.d), byte(len(st.data)), byte(len(st.data)>>8))
				b = append(b, st.data...)
			}
		}
		f.Add(b, uint8(0))
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
		k := &sink{t: t, memory: memory, limit: 1000, each: func(c *dissect.Call) {
			for part := range 2 {
				if body := c.Message.Body(part); body != nil && len(body.Data) > 1000 {
					t.Errorf("body of %d bytes", len(body.Data))
				}
			}
			for _, f := range http.Fields {
				f.Get(c)
			}
			if c.Time == 0 || c.RequestEnd != 0 && c.RequestEnd < c.Time || c.ResponseEnd < c.ResponseStart {
				t.Errorf("times: %+v", c)
			}
			if e, ok := c.Message.(*exchange); ok && !e.req.seen && !e.resp.seen {
				t.Error("a call of nothing")
			}
		}}
		if err := run(k, steps, int(chunk)); err != nil && !errors.Is(err, dissect.ErrNotMine) {
			t.Error(err)
		}
	})
}
