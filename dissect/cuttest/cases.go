package cuttest

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Case is a conversation and what comes of it.
type Case struct {
	Name     string
	Steps    []Step
	Want     []string // the calls, as Short has them
	Switch   string   // the protocol that the stream switches to, with what is left behind a blank
	GivenUp  bool     // the parser says that the flow is not its own
	NoDamage bool
}

// Client is what the client says. Where a step has no time, each takes 1 ms.
func Client(data string) Step { return Step{Data: []byte(data)} }

// Server is what the server says.
func Server(data string) Step { return Step{Dir: 1, Data: []byte(data)} }

// Missing is a hole of n bytes, 0: nobody knows how many.
func Missing(d flow.Dir, n int64) Step { return Step{Dir: d, Gap: n} }

// Short is one call in short: what was asked, what came of it, and marks: "<" it is the
// server's, "~" it is incomplete, "!" it is an error.
func Short(c *dissect.Call) string {
	b := appendShort(nil, c)
	if status := c.Message.AppendStatus(nil); len(status) > 0 {
		b = append(append(b, " -> "...), status...)
	}
	return string(b)
}

// appendShort appends the marks, and what was asked.
func appendShort(b []byte, c *dissect.Call) []byte {
	for _, mark := range []struct {
		set bool
		c   byte
	}{{c.Reverse, '<'}, {c.Incomplete, '~'}, {c.Error, '!'}} {
		if mark.set {
			b = append(b, mark.c)
		}
	}
	return c.Message.AppendSummary(b)
}

// Cases plays conversations, and damages those of streams as Cut does.
func Cases(t *testing.T, p *dissect.Protocol, transport flow.Proto, same Same, cases []Case) {
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			timed(c.Steps)
			k := &shorts{checker: checker{tb: t}}
			err := k.play(p, transport, c.Steps, k)
			if errors.Is(err, dissect.ErrNotMine) != c.GivenUp {
				t.Errorf("the parser says %v", err)
			}
			if !slices.Equal(k.calls, c.Want) {
				t.Fatalf("got\n%s\nwant\n%s", strings.Join(k.calls, "\n"), strings.Join(c.Want, "\n"))
			}
			if k.next != c.Switch {
				t.Errorf("switched to %q, want %q", k.next, c.Switch)
			}
			holes := slices.ContainsFunc(c.Steps, func(s Step) bool { return s.Data == nil })
			switch {
			case holes, c.NoDamage:
			case transport == flow.TCP:
				cutStream(t, "stream", p, c.Steps, same)
			default:
				truncate(t, p, transport, c.Steps)
			}
		})
	}
}

func timed(steps []Step) {
	now := int64(1e9)
	for i := range steps {
		if now += 1e6; steps[i].Time == 0 {
			steps[i].Time = now
		}
		now = steps[i].Time
	}
}

// shorts is a sink that notes what is told and where the stream goes.
type shorts struct {
	checker
	calls []string
	next  string
}

func (k *shorts) Call(c *dissect.Call) {
	k.checker.Call(c)
	if k.memory == nil {
		k.calls = append(k.calls, Short(c))
	}
}

func (k *shorts) Switch(next string, rest []byte) {
	k.switched, k.next = true, next
	if len(rest) > 0 {
		k.next += " " + string(rest)
	}
}

// truncate cuts each datagram short at every byte.
func truncate(t *testing.T, p *dissect.Protocol, transport flow.Proto, steps []Step) {
	for i, s := range steps {
		for n := range s.Data {
			cut := slices.Clone(steps)
			cut[i].Data = s.Data[:n:n]
			k := &shorts{checker: checker{tb: t}}
			if err := k.play(p, transport, cut, k); err != nil && !errors.Is(err, dissect.ErrNotMine) {
				t.Error(err)
			}
		}
	}
}

// Unclaimed holds detection over UDP against a million datagrams of random bytes, of random
// sizes: of what looks like nothing, next to nothing may be taken.
func Unclaimed(t *testing.T, p *dissect.Protocol, size func(r *rand.Rand) int) {
	r := rand.New(rand.NewPCG(1, 2))
	claimed := 0
	for range 1_000_000 {
		b := make([]byte, size(r))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		probe := dissect.Probe{Transport: flow.UDP, Data: [2][]byte{b}, Ports: [2]uint16{40000, 40001}}
		if p.Detect(&probe) != dissect.No {
			claimed++
		}
	}
	if claimed > 1 {
		t.Errorf("%d of a million", claimed)
	}
}

// Calls plays steps, which take 1 ms each, and returns what is told in the words of tell, and
// the parser's error behind it, if there is one.
func Calls(tb testing.TB, p *dissect.Protocol, bodies int, tell func(c *dissect.Call) string, steps ...Step) (calls []string) {
	tb.Helper()
	timed(steps)
	_, err := Play(tb, p, steps, bodies, func(c *dissect.Call) (request, response string) {
		calls = append(calls, tell(c))
		return "", ""
	})
	if err != nil {
		calls = append(calls, err.Error())
	}
	return calls
}
