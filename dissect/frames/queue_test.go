package frames

import (
	"fmt"
	"slices"
	"testing"
)

// told is a teller whose responses end a request unless they begin with "-".
type told struct {
	q     Queue[int, string]
	calls []string
}

func (t *told) Answer(i *Item[int, string], f *Frame) {
	if f.Data[0] == '-' {
		i.Value += string(f.Data)
		return
	}
	t.q.End(t, i, f)
}

func (t *told) Tell(i *Item[int, string], f *Frame) {
	s := fmt.Sprintf("%d%s", i.Key(), i.Value)
	if f != nil {
		s += ">" + string(f.Data)
	}
	if i.Lost {
		s = "~" + s
	}
	t.calls = append(t.calls, s)
	i.Value = ""
}

func (t *told) ask(key, kept int, first int64) {
	i := t.q.Begin(t, key)
	i.Value = fmt.Sprint("?", first)
	t.q.Ask(t, i, kept, first)
}

func (t *told) want(tb testing.TB, want ...string) {
	tb.Helper()
	if !slices.Equal(t.calls, want) {
		tb.Errorf("told %q, want %q", t.calls, want)
	}
	t.calls = nil
}

func TestQueue(t *testing.T) {
	n := &told{}
	n.ask(1, 10, 1)
	n.ask(2, 10, 2)
	n.ask(3, 10, 3)
	n.Answer(n.q.Find(2), &Frame{Data: []byte("two")})
	n.want(t, "2?2>two")
	n.ask(1, 10, 4) // it names another one now
	n.want(t, "1?1")
	n.q.Pass(n, n.q.Begin(n, 9))
	n.q.Lose(n, n.q.Oldest())
	n.want(t, "9", "~3?3")
	n.ask(5, 10, 5) // an item that was Lost is used again
	n.q.Close(n)
	n.want(t, "1?4", "5?5")
	if n.q.Len() != 0 || n.q.kept != 0 {
		t.Errorf("%d wait, %d bytes are kept", n.q.Len(), n.q.kept)
	}
}

// TestEarly: responses that were read before their requests wait for them.
func TestEarly(t *testing.T) {
	n := &told{}
	hold := func(key int, data string, first int64) {
		b := []byte(data)
		n.q.Hold(key, &Frame{Data: b, First: first})
		clear(b) // it was borrowed
	}
	hold(1, "-a", 4) // from before its request
	hold(1, "-b", 5)
	hold(2, "-c", 5)
	hold(1, "d", 6)
	hold(1, "e", 7)
	n.ask(1, 0, 5)
	n.want(t, "1?5-b>d")
	n.ask(2, 0, 5)
	n.want(t)
	n.ask(1, 0, 7)
	n.want(t, "1?7>e")
	n.q.Close(n)
	n.want(t, "2?5-c")
	for k := range maxEarly + 3 {
		hold(k, "x", 10)
	}
	if len(n.q.early) != maxEarly || n.q.early[0].key != 3 {
		t.Errorf("%d are held", len(n.q.early))
	}
	if n.q.Expire(10 + patience + 1); len(n.q.early) != 0 {
		t.Errorf("%d are held after their time", len(n.q.early))
	}
}

// TestBounds: what waits is bounded in number and in bytes, and what was given up says so.
func TestBounds(t *testing.T) {
	n := &told{}
	for k := range MaxPending + 2 {
		n.ask(k, 1, 0)
	}
	n.want(t, "~0?0", "~1?0")
	n.ask(-1, MaxKept, 0)
	if n.q.Len() != 1 || len(n.calls) != MaxPending || n.calls[MaxPending-1][0] != '~' {
		t.Errorf("%d wait, %d were told", n.q.Len(), len(n.calls))
	}
	n.calls = nil
	n.ask(-2, MaxKept+1, 0) // the newest waits whatever its size
	n.want(t, "~-1?0")
	if n.q.Len() != 1 || n.q.kept != MaxKept+1 {
		t.Errorf("%d wait, %d bytes are kept", n.q.Len(), n.q.kept)
	}
}
