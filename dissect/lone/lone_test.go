package lone

import (
	"errors"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// text is a message that begins with ? or !, or is none.
type text struct {
	dissect.Message
	b []byte
}

func (m *text) Read(_ *dissect.Flow, b []byte) (Kind, bool) {
	m.b = b
	return Kind{Reply: b[0] == '!', Error: len(b) > 5, Cut: len(b) < 3, Size: len(b)}, b[0] == '?' || b[0] == '!'
}

type sink struct{ calls []dissect.Call }

func (s *sink) Call(c *dissect.Call)  { s.calls = append(s.calls, *c) }
func (s *sink) Bodies() (int, bool)   { return 0, false }
func (s *sink) Switch(string, []byte) {}

func TestParser(t *testing.T) {
	for _, tt := range []struct {
		name  string
		b     string
		dir   flow.Dir
		want  dissect.Call
		calls int
	}{
		{"request", "?one", 0, dissect.Call{Time: 7, RequestEnd: 7, RequestSize: 4}, 1},
		{"reply", "!one", 1, dissect.Call{Reverse: true, Time: 7, ResponseStart: 7, ResponseEnd: 7, ResponseSize: 4}, 1},
		{"request of the server", "?", 1, dissect.Call{Reverse: true, Incomplete: true, Time: 7, RequestEnd: 7, RequestSize: 1}, 1},
		{"error", "!three", 0, dissect.Call{Error: true, Time: 7, ResponseStart: 7, ResponseEnd: 7, ResponseSize: 6}, 1},
		{"none", "x", 0, dissect.Call{}, 0},
	} {
		k, m := &sink{}, &text{}
		p := New(nil, k, m)
		if err := p.Data(tt.dir, []byte(tt.b), dissect.Stamp{Time: 7}); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if len(k.calls) != tt.calls {
			t.Errorf("%s: %d calls", tt.name, len(k.calls))
			continue
		}
		if tt.calls == 0 {
			continue
		}
		if tt.want.Message = m; k.calls[0] != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, k.calls[0], tt.want)
		}
	}
}

// TestGivenUp: four datagrams that are none end a flow without a message, and no other one.
func TestGivenUp(t *testing.T) {
	k := &sink{}
	p := New(nil, k, &text{})
	feed := func(b string) error { return p.Data(0, []byte(b), dissect.Stamp{Time: 1}) }
	for range maxStray - 1 {
		if err := feed("x"); err != nil {
			t.Fatal(err)
		}
	}
	if err := feed("x"); !errors.Is(err, dissect.ErrNotMine) {
		t.Errorf("after %d: %v", maxStray, err)
	}
	if !p.Idle() {
		t.Error("it waits for something")
	}
	p.Reuse(nil, k)
	for _, b := range []string{"?", "x", "x", "x", "x", "x", "!"} {
		if err := feed(b); err != nil {
			t.Fatal(err)
		}
	}
	if len(k.calls) != 2 {
		t.Errorf("%d calls", len(k.calls))
	}
}
