package http1

import (
	"bytes"
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
			cut = cuttest.CutOut(r, cut, side, 1+r.IntN(600))
		}
		k := &sink{TB: t, Tell: tell}
		if err := run(k, cut, []int{0, 1, 100}[r.IntN(3)]); err != nil {
			t.Fatal(err)
		}
		for i, line := range k.Lines {
			var call struct {
				Method, URL string
				Status      int `json:"status_code"`
			}
			if err := json.Unmarshal([]byte(line), &call); err != nil {
				t.Fatal(err)
			}
			n := -1
			if call.Method != "" {
				if fmt.Sscanf(call.URL, "/call/%d", &n); !bytes.HasPrefix(steps[2*max(0, n)].Data, []byte(call.Method+" "+call.URL+" ")) {
					t.Errorf("seed %d: nobody asked for %s", seed, k.Calls[i])
				}
			}
			if call.Status != 0 && (call.Status < 200 || call.Status > 211) {
				t.Errorf("seed %d: nobody answered %s", seed, k.Calls[i])
			}
			if n >= 0 && call.Status != 0 {
				pairs++
				if call.Status != 200+n && !both {
					t.Errorf("seed %d: wrong answer: %s\n%q", seed, k.Calls[i], k.Calls)
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
	}
}

func FuzzParser(f *testing.F) {
	var seeds [][]step
	for _, tt := range conversations {
		seeds = append(seeds, tt.steps)
	}
	cuttest.FuzzScripts(f, Protocol(), func(tb testing.TB, c *dissect.Call) {
		if e := c.Message.(*exchange); !e.req.seen && !e.resp.seen {
			tb.Error("a call of nothing")
		}
	}, seeds...)
}
