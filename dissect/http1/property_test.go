package http1

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

// conversation makes n calls one after the other, in all framings. Each has a path and a
// header of its own, so that no two can be taken for each other.
func conversation(r *rand.Rand, n int) (steps []step) {
	for i := range n {
		body := strings.Repeat("lorem ipsum\n", r.IntN(60))
		end := "\r\n"
		if r.IntN(8) == 0 {
			end = "\n"
		}
		h := func(l ...string) string { return strings.Join(l, end) + end + end }
		method := []string{"GET", "HEAD", "POST", "POST", "DELETE"}[r.IntN(5)]
		line := fmt.Sprintf("%s /call/%d HTTP/1.1", method, i)
		switch {
		case method == "POST" && r.IntN(2) == 0:
			steps = append(steps, c(h(line, "Transfer-Encoding: chunked")+chunks(r, body)))
		case method == "POST":
			steps = append(steps, c(h(line, fmt.Sprintf("Content-Length: %d", len(body)))+body))
		default:
			steps = append(steps, c(h(line, "Host: "+rep(r.IntN(100)))))
		}
		status := fmt.Sprintf("HTTP/1.1 %d Number %d", 200+i, i)
		switch {
		case method == "HEAD":
			steps = append(steps, s(h(status, "Content-Length: 700")))
		case r.IntN(2) == 0:
			steps = append(steps, s(h(status, "Transfer-Encoding: chunked")+chunks(r, body)))
		default:
			steps = append(steps, s(h(status, fmt.Sprintf("Content-Length: %d", len(body)))+body))
		}
	}
	return steps
}

func chunks(r *rand.Rand, body string) string {
	var b strings.Builder
	for len(body) > 0 {
		n := 1 + r.IntN(len(body))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	return b.String() + "0\r\n\r\n"
}

// cutOut takes up to n bytes out of what one side sent, and tells how many, or not. As in a
// capture, the hole is known when bytes behind it are seen.
func cutOut(r *rand.Rand, steps []step, side flow.Dir, n int) (out []step) {
	i := r.IntN(len(steps))
	for steps[i].d != side || steps[i].gap >= 0 {
		i = r.IntN(len(steps))
	}
	from := r.IntN(len(steps[i].data) + 1)
	d := steps[i].d
	out = append(out, steps[:i]...)
	out = append(out, step{d, steps[i].data[:from], -1})
	lost := 0
	rest := steps[i].data[from:]
	for {
		k := min(n-lost, len(rest))
		lost += k
		rest = rest[k:]
		if lost == n || r.IntN(2) == 0 {
			break
		}
		// The hole goes on into the side's next message.
		next := i + 1
		for next < len(steps) && steps[next].d != d {
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
	return append(append(out, step{d, "", gap}, step{d, rest, -1}), steps[i+1:]...)
}

// TestLossInventsNothing: with bytes missing there are fewer calls, or halves of them, but
// none that were not made. No answer goes to another's question, as long as one side is
// there; what only acknowledgements could tell is not asked for.
func TestLossInventsNothing(t *testing.T) {
	pairs := 0
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		steps := conversation(r, 12)
		cut := steps
		side := flow.Dir(r.IntN(2))
		both := r.IntN(4) == 0
		for range 1 + r.IntN(3) {
			if both {
				side = side.Other()
			}
			cut = cutOut(r, cut, side, 1+r.IntN(600))
		}
		k := &sink{t: t}
		if err := run(k, cut, []int{0, 1, 100}[r.IntN(3)]); err != nil {
			t.Fatal(err)
		}
		for i, line := range k.lines {
			var call struct {
				Method, URL string
				Status      int `json:"status_code"`
			}
			if err := json.Unmarshal([]byte(line), &call); err != nil {
				t.Fatal(err)
			}
			n := -1
			if call.Method != "" {
				if fmt.Sscanf(call.URL, "/call/%d", &n); !strings.HasPrefix(steps[2*max(0, n)].data, call.Method+" "+call.URL+" ") {
					t.Errorf("seed %d: nobody asked for %s", seed, k.calls[i])
				}
			}
			if call.Status != 0 && (call.Status < 200 || call.Status > 211) {
				t.Errorf("seed %d: nobody answered %s", seed, k.calls[i])
			}
			if n >= 0 && call.Status != 0 {
				pairs++
				if call.Status != 200+n && !both {
					t.Errorf("seed %d: wrong answer: %s\n%q", seed, k.calls[i], k.calls)
				}
			}
		}
	}
	if pairs < 3000*8 {
		t.Errorf("only %d of %d calls are left", pairs, 3000*12)
	}
}

// TestAnyCutIsTheSame: pieces of random sizes give the calls of the whole.
func TestAnyCutIsTheSame(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		steps := conversation(r, 6)
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
	}
}

// FuzzParser plays bytes: each command byte says what happens with the bytes behind it.
func FuzzParser(f *testing.F) {
	for _, c := range conversations {
		var b []byte
		for _, st := range c.steps {
			switch {
			case st.gap >= 0:
				b = append(b, byte(st.d)|2, byte(st.gap), byte(st.gap>>8))
			case len(st.data) < 1<<16:
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
			e := c.Message.(*exchange)
			if !e.req.seen && !e.resp.seen {
				t.Error("a call of nothing")
			}
		}}
		if err := run(k, steps, int(chunk)); err != nil && !errors.Is(err, dissect.ErrNotMine) {
			t.Error(err)
		}
	})
}
