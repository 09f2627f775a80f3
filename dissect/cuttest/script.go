package cuttest

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/memtest"
)

// Script is a sink for conversations that are written down. It notes what a parser tells.
type Script struct {
	TB    testing.TB                   // nil: what is told is not checked
	Limit int                          // of bodies, 0: they are not wanted
	Tell  func(c *dissect.Call) string // a call in short, nil: Paired
	Each  func(c *dissect.Call)        // sees each call too, may be nil

	Calls    []string // what Tell says of each
	Lines    []string // their fields, in JSON
	Switched bool     // the stream goes on as
	Next     string   // that protocol, with
	Rest     string   // these bytes
}

// Paired is Short, but tells a call that has no status from one that was not answered.
func Paired(c *dissect.Call) string {
	b := appendShort(nil, c)
	if c.RequestEnd != 0 && c.ResponseStart != 0 {
		b = c.Message.AppendStatus(append(b, " -> "...))
	}
	return string(b)
}

// Call implements dissect.Sink.
func (k *Script) Call(c *dissect.Call) {
	tell := k.Tell
	if tell == nil {
		tell = Paired
	}
	k.Calls = append(k.Calls, tell(c))
	line := "{" + strings.TrimPrefix(string(c.Message.AppendFields(nil)), ",") + "}"
	if k.TB != nil && !json.Valid([]byte(line)) {
		k.TB.Errorf("no JSON: %s", line)
	}
	k.Lines = append(k.Lines, line)
	if k.Each != nil {
		k.Each(c)
	}
}

// Bodies implements dissect.Sink.
func (k *Script) Bodies() (int, bool) { return k.Limit, k.Limit > 0 }

// Switch implements dissect.Sink.
func (k *Script) Switch(next string, rest []byte) {
	k.Switched, k.Next, k.Rest = true, next, string(rest)
}

// Play gives steps, which take 1 ms each, to a parser whose sink k is, until it switches. Pieces
// of data are at most chunk bytes long, 0: whole.
func (k *Script) Play(p dissect.Parser, steps []Step, chunk int) error {
	steps = slices.DeleteFunc(slices.Clone(steps), func(s Step) bool { return s.Data != nil && len(s.Data) == 0 })
	timed(steps)
	return feed(p, steps, chunk, func() bool { return !k.Switched })
}

// CutOut takes up to n bytes out of what one side sent, and tells how many, or not. As in a
// capture, the hole is known when bytes behind it are seen.
func CutOut(r *rand.Rand, steps []Step, side flow.Dir, n int) (out []Step) {
	i := r.IntN(len(steps))
	for steps[i].Dir != side || steps[i].Data == nil {
		i = r.IntN(len(steps))
	}
	from := r.IntN(len(steps[i].Data) + 1)
	out = append(out, steps[:i]...)
	out = append(out, Step{Dir: side, Data: steps[i].Data[:from:from]})
	lost := 0
	rest := steps[i].Data[from:]
	for {
		k := min(n-lost, len(rest))
		lost += k
		rest = rest[k:]
		if lost == n || r.IntN(2) == 0 {
			break
		}
		// The hole goes on into what the side says next.
		next := i + 1
		for next < len(steps) && steps[next].Dir != side {
			next++
		}
		if next == len(steps) || steps[next].Data == nil {
			break
		}
		out = append(out, steps[i+1:next]...)
		i, rest = next, steps[next].Data
	}
	gap := int64(lost)
	if r.IntN(2) == 0 {
		gap = 0
	}
	return append(append(out, Missing(side, gap), Step{Dir: side, Data: rest}), steps[i+1:]...)
}

// AnyPieces plays conversations of complete calls in pieces of random sizes, which must give
// the calls of the whole.
func AnyPieces(t *testing.T, p *dissect.Protocol, conversation func(r *rand.Rand) []Step) {
	const bodies = 1 << 16
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		steps := conversation(r)
		timed(steps)
		whole, err := Play(t, p, steps, bodies, nil)
		if err != nil || len(whole) == 0 || slices.ContainsFunc(whole, func(c Told) bool { return c.Incomplete }) {
			t.Fatalf("seed %d: %v, %+v", seed, err, whole)
		}
		cut, err := Play(t, p, pieces(steps, 1+r.IntN(50)), bodies, nil)
		if err != nil || !slices.Equal(whole, cut) {
			t.Fatalf("seed %d: %v, %+v and %+v", seed, err, whole, cut)
		}
	}
}

// FuzzScripts fuzzes a parser: a byte says what happens, two how many bytes behind them it is
// about. check sees each call, beside what is checked of any; it may be nil.
func FuzzScripts(f *testing.F, p *dissect.Protocol, check func(tb testing.TB, c *dissect.Call), seeds ...[]Step) {
	for _, steps := range seeds {
		var b []byte
		for _, s := range pieces(steps, 1<<16-1) {
			if s.Data == nil {
				b = append(b, byte(s.Dir)|2, byte(s.Gap), byte(s.Gap>>8))
				continue
			}
			b = append(b, byte(s.Dir), byte(len(s.Data)), byte(len(s.Data)>>8))
			b = append(b, s.Data...)
		}
		f.Add(b[:min(len(b), 1<<16)], uint8(0))
	}
	memory := memtest.New(Memory)
	f.Fuzz(func(t *testing.T, b []byte, chunk uint8) {
		memory.Input()
		var steps []Step
		for len(b) >= 3 {
			d, gap, n := flow.Dir(b[0]&1), b[0]&2 != 0, int(b[1])|int(b[2])<<8
			b = b[3:]
			if gap {
				steps = append(steps, Missing(d, int64(n)))
				continue
			}
			if n = min(n, len(b)); n > 0 {
				steps = append(steps, Step{Dir: d, Data: b[:n]})
			}
			b = b[n:]
		}
		timed(steps)
		if chunk > 0 {
			steps = pieces(steps, int(chunk))
		}
		k := &checker{tb: t, bodies: 1000, memory: memory, check: check}
		if err := k.play(p, flow.TCP, steps, k); err != nil && !errors.Is(err, dissect.ErrNotMine) {
			t.Error(err)
		}
	})
}
