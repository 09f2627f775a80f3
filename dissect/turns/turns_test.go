package turns

import (
	"slices"
	"strings"
	"testing"
)

// notes is a teller whose replies fit requests that begin with the same letter, in upper case.
type notes struct{ told []string }

func (n *notes) Fits(req, resp *Message) bool {
	return strings.ToUpper(string(req.Data))[0] == resp.Data[0]
}

func (n *notes) Tell(req, resp *Message) {
	s := ""
	if req != nil {
		if s = string(req.Data); req.Cut {
			s = "~" + s
		}
	}
	if resp != nil {
		s += ">" + string(resp.Data)
	}
	n.told = append(n.told, s)
}

// TestQueue plays words: small letters ask, capitals answer; "?" before them says that
// something may have been lost, "'" that they may go unanswered. Each takes a tick, but a "<"
// before a reply says that it began ten ticks later.
func TestQueue(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"one at a time", "a A b B", "a>A b>B"},
		{"in order", "a1 a2 b A1 A2 B", "a1>A1 a2>A2 b>B"},
		{"one that fits later", "a b B", "a b>B"},
		{"one that fits nowhere", "a B c C d D", "~a c>C d>D"},
		{"quiet ones", "'a 'b c C", "a b c>C"},
		{"a reply first", "<A a", "a>A"},
		{"a reply of long ago", "A a", ">A a"},
		{"who asks one thing at a time", "a A b B c C d ?D e ?E", "a>A b>B c>C d>D e>E"},
		{"a hole in the replies of one who does not", "a b ?A c C d D", "~a ~b ~c d>D"},
		{"a hole in the requests", "a ?b A B c C", "~a ~b c>C"},
		{"unanswered", "a b", "a b"},
	} {
		n := &notes{}
		q := &Queue{Lone: true}
		for i, word := range strings.Fields(tt.in) {
			m := &Message{First: int64(i + 1), Last: int64(i + 1)}
			missed := strings.HasPrefix(word, "?")
			m.Quiet = strings.HasPrefix(word, "'")
			if strings.HasPrefix(word, "<") {
				m.First += 10
			}
			m.Data = []byte(strings.TrimLeft(word, "?'<"))
			if m.Data[0] >= 'a' {
				q.Ask(n, m, missed)
			} else {
				q.Answer(n, m, missed)
			}
			clear(m.Data) // it was borrowed
		}
		q.Close(n)
		if got := strings.Join(n.told, " "); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestExtend(t *testing.T) {
	n, q := &notes{}, &Queue{}
	q.Ask(n, &Message{Data: []byte("a"), Size: 1, First: 1}, false)
	q.Extend([]byte("bc"), 5, 7)
	if m := q.Newest(); string(m.Data) != "abc" || m.Size != 6 || m.Last != 7 {
		t.Errorf("%+v", m)
	}
	q.Answer(n, &Message{Data: []byte("A"), First: 8}, false)
	if !slices.Equal(n.told, []string{"abc>A"}) || q.Newest() != nil {
		t.Errorf("%q", n.told)
	}
}

func TestLimits(t *testing.T) {
	n, q := &notes{}, &Queue{}
	for range maxPending + 5 {
		q.Ask(n, &Message{Data: []byte("a")}, false)
	}
	if q.Len() > maxPending || len(n.told) != 5 {
		t.Errorf("%d wait, %d were told", q.Len(), len(n.told))
	}
	n, q = &notes{}, &Queue{}
	for range 20 {
		q.Ask(n, &Message{Data: make([]byte, 1<<20)}, false)
	}
	if q.line.Kept() > maxKept {
		t.Errorf("%d bytes are kept", q.line.Kept())
	}
}

// TestMiddle: of what was asked before the first reply of a stream that was not seen from its
// beginning, nothing is paired if it may be the reply to several.
func TestMiddle(t *testing.T) {
	n, q := &notes{}, &Queue{Middle: true}
	q.Ask(n, &Message{Data: []byte("a"), First: 1}, false)
	q.Ask(n, &Message{Data: []byte("b"), First: 2}, false)
	q.Answer(n, &Message{Data: []byte("B"), First: 3}, false)
	if !slices.Equal(n.told, []string{"~a", "~b"}) {
		t.Errorf("%q", n.told)
	}
}

// word waits in a Line.
type word struct {
	text Span
	n    int
}

// TestLine: what waits keeps its bytes however many came and went before it.
func TestLine(t *testing.T) {
	l := &Line[word]{}
	text := func(n int) string { return strings.Repeat(string(rune('a'+n%26)), n%7) }
	next := 0
	for n := range 1000 {
		w := l.Add(word{n: n})
		l.ExtendString(text(n)[:n%7/2])
		w.text = l.Extend([]byte(text(n)[n%7/2:]))
		for l.Len() > 20+n%50 || n == 500 && l.Len() > 0 {
			w := l.Take()
			if w.n != next || string(l.Bytes(w.text)) != text(next) {
				t.Fatalf("took %d with %q, want %d with %q", w.n, l.Bytes(w.text), next, text(next))
			}
			next++
		}
	}
	kept := 0
	for i := range l.Len() {
		w := l.At(i)
		if kept += len(l.Bytes(w.text)); w.n != next+i || string(l.Bytes(w.text)) != text(w.n) {
			t.Fatalf("%d waits as %d with %q", w.n, i, l.Bytes(w.text))
		}
	}
	if l.Kept() != kept || l.Newest().n != 999 || len(l.list) > 3*l.Len()+32 {
		t.Errorf("%d bytes are kept, want %d; memory for %d, of which %d wait", l.Kept(), kept, len(l.list), l.Len())
	}
	l.Drop()
	if l.Newest().n != 998 || l.Kept() != kept-len(text(999)) {
		t.Errorf("%d is the newest, %d bytes are kept", l.Newest().n, l.Kept())
	}
}
