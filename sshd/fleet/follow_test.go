package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/sshd/sourcetest"
	"github.com/sshark/sshark/worker/query"
)

// store is a node's worker that can be killed: what it keeps survives, and who follows gets
// what is kept since its request's beginning, then what comes.
type store struct {
	query.Source // nil: only calls are asked for
	mu           sync.Mutex
	kept         []*dissect.Call
	more         chan struct{} // closed when there is more
	dead         chan struct{} // closed when it dies; nil: it is dead
	asked        []query.Request
	running      int // questions that have not ended
}

func newStore() *store { return &store{more: make(chan struct{}), dead: make(chan struct{})} }

var shop sourcetest.Source

func (s *store) add(numbers ...int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range numbers {
		s.kept = append(s.kept, shop.Call(n))
	}
	close(s.more)
	s.more = make(chan struct{})
}

func (s *store) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.dead)
	s.dead = nil
}

func (s *store) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = make(chan struct{})
}

func (s *store) Calls(ctx context.Context, r *query.Request, each func(*dissect.Call) error) (*query.Report, error) {
	s.mu.Lock()
	s.asked = append(s.asked, *r)
	s.running++
	dead := s.dead
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.running--
		s.mu.Unlock()
	}()
	if dead == nil {
		return nil, unreachable("connection refused")
	}
	if r.Notice != nil {
		r.Notice(query.NodeReport{})
	}
	for told := 0; ; {
		s.mu.Lock()
		more, kept := s.more, s.kept
		s.mu.Unlock()
		for ; told < len(kept); told++ {
			if c := kept[told]; c.Time >= r.Since {
				if err := each(c); err != nil {
					return nil, err
				}
			}
		}
		select {
		case <-more:
		case <-dead:
			return nil, unreachable("the connection broke")
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// cluster is a list of nodes that changes.
type cluster struct {
	mu      sync.Mutex
	members []Member
	changed chan struct{}
}

func (c *cluster) set(members ...Member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members = members
	if c.changed != nil {
		close(c.changed)
	}
	c.changed = make(chan struct{})
}

func (c *cluster) fleet() *Fleet {
	return &Fleet{timeout: time.Second,
		members: func() []Member { c.mu.Lock(); defer c.mu.Unlock(); return c.members },
		changed: func() <-chan struct{} { c.mu.Lock(); defer c.mu.Unlock(); return c.changed }}
}

// follower writes down what it is told.
type follower struct {
	mu     sync.Mutex
	calls  []int
	notes  []string
	report *query.Report
	err    error
	stop   context.CancelFunc
	ended  chan struct{}
	stall  chan struct{} // it takes nothing more until this is closed; nil: it does
}

func startFollower(f *Fleet, r query.Request) *follower {
	w := &follower{ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	w.stop = cancel
	r.Follow, r.Vantage = true, query.Both // nothing is held to be joined
	r.Notice = func(n query.NodeReport) {
		w.mu.Lock()
		defer w.mu.Unlock()
		line := n.Absence()
		if line == "" {
			line = n.Node + " answers"
		}
		if len(n.Notes) > 0 {
			line = n.Notes[0]
		}
		w.notes = append(w.notes, line)
	}
	go func() {
		defer close(w.ended)
		w.report, w.err = f.Calls(ctx, &r, func(c *dissect.Call) error {
			w.mu.Lock()
			w.calls = append(w.calls, int(c.Flow.ID)-0x1000)
			stall := w.stall
			w.mu.Unlock()
			if stall != nil {
				<-stall
			}
			return nil
		})
	}()
	return w
}

// is waits until nothing more happens, and compares.
func (w *follower) is(t *testing.T, calls []int, notes []string) {
	t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	got := slices.Sorted(slices.Values(w.calls))
	if !slices.Equal(got, calls) {
		t.Errorf("calls %v, want %v", got, calls)
	}
	if !slices.Equal(w.notes, notes) {
		t.Errorf("notes %q, want %q", w.notes, notes)
	}
}

func (w *follower) end(t *testing.T) {
	t.Helper()
	w.stop()
	<-w.ended
	if !errors.Is(w.err, context.Canceled) {
		t.Errorf("ended with %v", w.err)
	}
}

// A node that dies is named once, asked again until it is back, and heard from where it
// stopped: nothing twice, nothing that it kept is lost.
func TestFollowRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newStore(), newStore()
		var c cluster
		c.set(Member{"node-a", a}, Member{"node-b", b})
		a.add(1, 2, 3)
		w := startFollower(c.fleet(), query.Request{})
		b.add(100)
		w.is(t, []int{1, 2, 3, 100}, nil)
		a.kill()
		w.is(t, []int{1, 2, 3, 100}, []string{"node-a stopped answering: the connection broke"})
		<-time.After(time.Minute) // virtual
		b.add(101)
		w.is(t, []int{1, 2, 3, 100, 101}, []string{"node-a stopped answering: the connection broke"})
		a.add(4, 5) // kept, and nobody heard of it
		a.start()
		<-time.After(againMost)
		w.is(t, []int{1, 2, 3, 4, 5, 100, 101}, []string{"node-a stopped answering: the connection broke", "node-a answers"})
		a.add(6)
		a.kill()
		<-time.After(time.Minute)
		w.is(t, []int{1, 2, 3, 4, 5, 6, 100, 101}, []string{"node-a stopped answering: the connection broke", "node-a answers",
			"node-a stopped answering: the connection broke"})
		w.end(t)
		if !w.report.Partial() || w.report.Nodes[0].Node != "node-a" {
			t.Errorf("report %+v", w.report)
		}
		if n := len(a.asked); n < 20 || n > 100 {
			t.Errorf("a dead node was asked %d times in two minutes", n)
		}
	})
}

// After a long answer only its end is asked for again.
func TestFollowResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newStore()
		var c cluster
		c.set(Member{"node-a", a})
		var want []int
		for n := range 5000 {
			want = append(want, n)
		}
		a.add(want...)
		w := startFollower(c.fleet(), query.Request{})
		w.is(t, want, nil)
		a.kill()
		a.add(5000)
		a.start()
		<-time.After(againMost)
		w.is(t, append(want, 5000), []string{"node-a stopped answering: the connection broke", "node-a answers"})
		if got := a.asked[len(a.asked)-1].Since; got != shop.Call(4999).Time-int64(overlap) {
			t.Errorf("asked again since %v, want ten seconds before the last", time.Unix(0, got).UTC())
		}
		w.end(t)
	})
}

// Nodes that come are asked, those that go are named, those that get another address are
// heard there.
func TestFollowMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newStore(), newStore()
		var c cluster
		c.set(Member{"node-a", a})
		a.add(1)
		w := startFollower(c.fleet(), query.Request{})
		w.is(t, []int{1}, nil)
		b.add(100)
		c.set(Member{"node-a", a}, Member{"node-b", b})
		w.is(t, []int{1, 100}, nil)
		// The same store behind another address.
		moved := newStore()
		moved.add(1, 2)
		c.set(Member{"node-a", moved}, Member{"node-b", b})
		w.is(t, []int{1, 2, 100}, nil)
		c.set(Member{"node-a", moved})
		w.is(t, []int{1, 2, 100}, []string{"node-b stopped answering: it is no longer listed"})
		<-time.After(time.Hour)
		b.add(101)
		c.set(Member{"node-a", moved}, Member{"node-b", b})
		w.is(t, []int{1, 2, 100, 101}, []string{"node-b stopped answering: it is no longer listed", "node-b answers"})
		c.set(Member{"node-a", moved}, Member{"node-b", &absentee{"its pod is pending"}})
		w.is(t, []int{1, 2, 100, 101}, []string{"node-b stopped answering: it is no longer listed", "node-b answers",
			"node-b stopped answering: its pod is pending"})
		w.end(t)
	})
}

// What is wrong with the question ends it everywhere.
func TestFollowRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c cluster
		c.set(Member{"node-a", newStore()}, Member{"node-b", refusing{}})
		w := startFollower(c.fleet(), query.Request{})
		<-w.ended
		if !errors.Is(w.err, ErrRefused) {
			t.Errorf("ended with %v", w.err)
		}
	})
}

type refusing struct{ query.Source }

func (refusing) Calls(context.Context, *query.Request, func(*dissect.Call) error) (*query.Report, error) {
	return nil, fmt.Errorf("%w: no such field", ErrRefused)
}

// past forgets, and then asks for less rather than telling something twice.
func TestPast(t *testing.T) {
	p := newPast(marksOfAll) // the least
	for n := range 3 * marksLeast {
		if !p.fresh(mark{int64(n), 1}) {
			t.Fatal("seen before")
		}
	}
	since := p.resume(0)
	if since != 2*marksLeast {
		t.Errorf("resumes at %d, want %d", since, 2*marksLeast)
	}
	for n := since; n < 3*marksLeast; n++ {
		if p.fresh(mark{n, 1}) {
			t.Fatalf("%d is told twice", n)
		}
	}
	if !p.fresh(mark{3*marksLeast - 1, 1}) || !p.fresh(mark{3 * marksLeast, 1}) {
		t.Error("something is lost")
	}
	if p.resume(1<<40) != 1<<40 {
		t.Error("resumes before what was asked for")
	}
}
