package fleet

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sshark/sshark/worker/query"
)

// How long a follower waits before it asks a node again that is missing.
const (
	againFirst = 250 * time.Millisecond
	againMost  = 2 * time.Second
)

// following is one question that goes on with what comes in, at all nodes that come and go.
type following[T any] struct {
	fleet    *Fleet
	request  *query.Request
	question question[T]
	all      queue[T]
	stop     context.CancelFunc
	tasks    sync.WaitGroup

	mu      sync.Mutex
	tails   map[string]*tail[T]
	joined  query.Report // of nodes that ended by themselves
	failed  error        // what was wrong with the question
	noticed sync.Mutex   // held while the asker is told something
}

// tail is one node's part in it.
type tail[T any] struct {
	f    *following[T]
	name string
	past past
	part bool // something came

	// Guarded by f.mu.
	source  query.Source
	asked   context.CancelFunc // ends the question that is being asked
	moved   chan struct{}      // closed when source has changed
	missing string             // why it is, "" if it is not
	gone    bool               // it is no longer listed
}

// follow hands out items as they come.
func follow[T any](ctx context.Context, fleet *Fleet, r *query.Request, question question[T], each func(T) error) (*query.Report, error) {
	leave, err := fleet.room.enter(len(fleet.of(r)))
	if err != nil {
		return &query.Report{}, err
	}
	defer leave()
	outer := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f := &following[T]{fleet: fleet, request: r, question: question, all: newQueue[T](heldBytes), stop: cancel, tails: map[string]*tail[T]{}}
	f.tasks.Go(func() { f.watch(ctx) })
	go func() {
		f.tasks.Wait()
		close(f.all.items)
	}()
	for item, ok := f.all.take(); ok; item, ok = f.all.take() {
		if err != nil {
			continue // until all have ended
		}
		if err = each(item); err != nil {
			cancel()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.tails {
		if t.missing != "" {
			f.joined.Nodes = append(f.joined.Nodes, query.NodeReport{Node: t.name, Missing: t.missing, Part: t.part})
		}
	}
	switch {
	case errors.Is(err, query.ErrStop):
		err = nil
	case err == nil:
		if err = f.failed; err == nil {
			err = outer.Err()
		}
	}
	return &f.joined, err
}

// watch asks nodes that come, and ends with those that go.
func (f *following[T]) watch(ctx context.Context) {
	for {
		var changed <-chan struct{}
		if f.fleet.changed != nil {
			changed = f.fleet.changed() // before the members: a change in between is seen
		}
		f.update(ctx, f.fleet.of(f.request))
		if changed == nil {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// update compares who is asked with who is there.
func (f *following[T]) update(ctx context.Context, members []Member) {
	f.mu.Lock()
	defer f.mu.Unlock()
	listed := map[string]bool{}
	for _, m := range members {
		listed[m.Name] = true
		t := f.tails[m.Name]
		switch {
		case t == nil:
			t = &tail[T]{f: f, name: m.Name, source: m.Source, moved: make(chan struct{}), past: newPast(len(members))}
			f.tails[m.Name] = t
			f.tasks.Go(func() { t.run(ctx) })
		case t.source != m.Source || t.gone:
			t.move(m.Source, false)
		}
	}
	for name, t := range f.tails {
		if !listed[name] && !t.gone {
			t.move(nil, true)
		}
	}
}

// move points a tail to another source. f.mu is held.
func (t *tail[T]) move(source query.Source, gone bool) {
	t.source, t.gone = source, gone
	close(t.moved)
	t.moved = make(chan struct{})
	if t.asked != nil {
		t.asked()
	}
}

// run asks the node again and again, until the asker is gone or the node has said all.
func (t *tail[T]) run(ctx context.Context) {
	f := t.f
	for wait := againFirst; ; wait = min(2*wait, againMost) {
		f.mu.Lock()
		source, moved, gone := t.source, t.moved, t.gone
		asked, cancel := context.WithCancel(ctx)
		t.asked = cancel
		f.mu.Unlock()
		err := error(&missing{"it is no longer listed"})
		var report *query.Report
		if !gone {
			report, err = t.ask(asked, source, func() { wait = againFirst })
		}
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case closed(moved):
			continue
		case errors.Is(err, ErrUnreachable):
			t.lost(reason(err))
		default:
			f.mu.Lock()
			add(&f.joined, report)
			if err != nil && !errors.Is(err, query.ErrNoSuchFlow) && f.failed == nil {
				f.failed = err
				f.stop()
			}
			f.mu.Unlock()
			return
		}
		var again <-chan time.Time
		if !gone {
			again = time.After(wait)
		}
		select {
		case <-again:
		case <-moved:
			wait = againFirst
		case <-ctx.Done():
			return
		}
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// ask asks the node for what it was not heard of yet. alive is called when it answers.
func (t *tail[T]) ask(ctx context.Context, source query.Source, alive func()) (*query.Report, error) {
	r := *t.f.request
	r.Since = t.past.resume(r.Since)
	var once sync.Once
	heard := func() {
		once.Do(func() {
			alive()
			t.back()
		})
	}
	r.Notice = func(query.NodeReport) { heard() }
	return t.f.question(ctx, Member{t.name, source}, &r, func(item T) error {
		heard()
		at, id := sign(item)
		if at != 0 && !t.past.fresh(mark{at, id}) {
			return nil
		}
		t.part = true
		return t.f.all.put(ctx, item)
	})
}

// lost tells the asker that the node is missing, unless that was told before.
func (t *tail[T]) lost(why string) {
	t.f.mu.Lock()
	first := t.missing == ""
	t.missing = why
	t.f.mu.Unlock()
	if first {
		t.f.notice(query.NodeReport{Node: t.name, Missing: why, Part: t.part})
	}
}

// back tells the asker that a node that was missing answers.
func (t *tail[T]) back() {
	t.f.mu.Lock()
	was := t.missing != ""
	t.missing = ""
	t.f.mu.Unlock()
	if was {
		t.f.notice(query.NodeReport{Node: t.name})
	}
}

func (f *following[T]) notice(n query.NodeReport) {
	if f.request.Notice == nil {
		return
	}
	f.noticed.Lock()
	defer f.noticed.Unlock()
	f.request.Notice(n)
}
