package dissect

import (
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect/keylog"
	"github.com/sshark/sshark/pcap/flow"
)

// box is a protocol whose bytes are of another one, behind one of its own; "!" is a hole.
type box struct{ inside Inside }

func (b *box) Data(d flow.Dir, p []byte, at Stamp) error {
	switch {
	case b.inside == nil:
	case string(p) == "[!":
		b.inside.Gap(d, 0, at)
	default:
		b.inside.Data(d, p[1:], at)
	}
	return nil
}

func (b *box) Gap(flow.Dir, int64, Stamp) error { return nil }
func (b *box) Close(at Stamp) {
	if b.inside != nil {
		b.inside.Close(at)
	}
}

func boxes() *Protocol {
	p := protocol("box", "[", "[")
	p.New = func(_ *Flow, sink Sink) Parser {
		nest := sink.(Nester)
		if nest.Secrets().Connections() != 1 {
			return &box{}
		}
		return &box{inside: nest.Inside()}
	}
	return p
}

func TestInside(t *testing.T) {
	keys := keylog.New()
	keys.Add([]byte("CLIENT_RANDOM " + strings.Repeat("01", 32) + " " + strings.Repeat("01", 48)))
	for _, test := range []struct {
		name    string
		say     [][2]string // what the client says, and the server
		secrets *keylog.Store
		want    []string
	}{
		{"one", [][2]string{{"[Q a\n", "[A a\n"}, {"[Q b\n", "[A b\n"}}, keys, []string{"line a true", "line b true"}},
		{"in pieces", [][2]string{{"[Q", ""}, {"[ a", ""}, {"[\n", "[A a\n"}}, keys, []string{"line a true"}},
		{"no answer", [][2]string{{"[Q a\n", ""}}, keys, []string{"line a false"}},
		{"switch", [][2]string{{"[Q a\n", "[A a\n"}, {"[UP\nQ b\n", "[A b\n"}}, keys, []string{"line a true", "line b true"}},
		{"box in a box", [][2]string{{"[[Q a\n", "[[A a\n"}}, keys, []string{"line a true"}},
		{"behind a hole", [][2]string{{"[!", ""}, {"[Q a\n", "[A a\n"}}, keys, []string{"line a true"}},
		{"too deep", [][2]string{{"[[[[Q a\n", "[[[[A a\n"}}, keys, nil},
		{"nothing known", [][2]string{{"[hello\n", "[hello\n"}}, keys, nil},
		{"no secrets", [][2]string{{"[Q a\n", "[A a\n"}}, nil, nil},
	} {
		w := (&wire{}).open()
		seq := [2]uint32{101, 201}
		for _, turn := range test.say {
			w.tcp(client, server, seq[0], seq[1], flow.ACK, turn[0])
			seq[0] += uint32(len(turn[0]))
			w.tcp(server, client, seq[1], seq[0], flow.ACK, turn[1])
			seq[1] += uint32(len(turn[1]))
		}
		h := &within{t: t}
		e := NewEngine(Options{Protocols: []*Protocol{boxes(), protocol("line", "Q ", "A ")}, Workers: 1, Secrets: test.secrets,
			Handler: func(int) Handler { return h }})
		for i := range w.packets {
			e.Packet(&w.packets[i], 0, flow.UnknownOpener)
		}
		e.Close()
		if !slices.Equal(h.calls, test.want) || e.Faults() > 0 {
			t.Errorf("%s: %q, %d faults", test.name, h.calls, e.Faults())
		}
		if want := test.secrets != nil && test.name != "too deep"; h.decrypted != want && want {
			t.Errorf("%s: the flow is not marked", test.name)
		}
	}
}

// within checks that calls are of the flow that was captured.
type within struct {
	t         *testing.T
	calls     []string
	seen      map[uint64]bool
	decrypted bool
}

func (w *within) Call(c *Call) {
	if c.Flow.Protocol.Name != "box" || c.Flow.Client.Addr != client || !c.Decrypted || w.seen[c.ID()] {
		w.t.Errorf("%+v of %+v", c, c.Flow)
	}
	if w.seen == nil {
		w.seen = map[uint64]bool{}
	}
	w.seen[c.ID()] = true
	_, answered := c.Elapsed()
	w.calls = append(w.calls, c.Protocol.Name+" "+string(c.Message.AppendSummary(nil))+map[bool]string{true: " true", false: " false"}[answered])
	if s := string(AppendCall(nil, c)); !strings.Contains(s, `,"tls":true`) {
		w.t.Error(s)
	}
}

func (w *within) FlowEnd(f *Flow) { w.decrypted = f.Decrypted }
func (w *within) Batch()          {}
