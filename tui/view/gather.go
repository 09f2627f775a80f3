package view

import (
	"context"
	"errors"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
)

// gatherer runs one question and hands what it finds over in batches. It is asked by a command
// and ends with the question, or with cancel.
type gatherer[T any] struct {
	ctx    context.Context
	cancel context.CancelFunc
	ask    func(ctx context.Context, add func(T)) (Report, error)
	out    chan gathered[T]

	mu   sync.Mutex
	next gathered[T] // guarded by mu
	done chan struct{}
}

// gathered is what a gatherer found since the batch before.
type gathered[T any] struct {
	by    *gatherer[T]
	items []T
	end   *answer // the question has ended
}

// errEnough ends a question whose answer is as long as it may be.
var errEnough = errors.New("this is enough")

// newGatherer prepares a question: ask hands out what must stay valid, as much as may be held.
func newGatherer[T any](ctx context.Context, ask func(ctx context.Context, add func(T)) (Report, error)) *gatherer[T] {
	g := &gatherer[T]{ask: ask, out: make(chan gathered[T]), done: make(chan struct{})}
	g.ctx, g.cancel = context.WithCancel(ctx)
	return g
}

// start is the command that asks and waits for the first batch.
func (g *gatherer[T]) start() tea.Msg {
	go g.run()
	go g.deliver()
	return g.wait()
}

func (g *gatherer[T]) run() {
	a := &answer{}
	defer func() {
		g.mu.Lock()
		g.next.end = a
		g.mu.Unlock()
		close(g.done)
	}()
	defer guard(&a.err)
	a.report, a.err = g.ask(g.ctx, func(v T) {
		g.mu.Lock()
		g.next.items = append(g.next.items, v)
		g.mu.Unlock()
	})
}

// wait is the command that waits for the next batch.
func (g *gatherer[T]) wait() tea.Msg {
	select {
	case b, ok := <-g.out:
		if ok {
			return b
		}
	case <-g.ctx.Done():
	}
	return nil
}

// deliver hands a batch over each flushEvery, and the last one at once.
func (g *gatherer[T]) deliver() {
	defer close(g.out)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-g.ctx.Done():
			return
		case <-tick.C:
		case <-g.done:
		}
		g.mu.Lock()
		b := g.next
		g.next = gathered[T]{}
		g.mu.Unlock()
		if len(b.items) == 0 && b.end == nil {
			continue
		}
		b.by = g
		select {
		case g.out <- b:
		case <-g.ctx.Done():
			return
		}
		if b.end != nil {
			return
		}
	}
}

// stopped is the answer of a question that its asker has stopped.
func stopped() *answer { return &answer{err: context.Canceled} }

// failed is why an answer is not whole, "" where it is, or where the asker stopped it.
func (a *answer) failed() string {
	if a == nil || a.err == nil || errors.Is(a.err, errEnough) || errors.Is(a.err, context.Canceled) {
		return ""
	}
	return a.err.Error()
}

// more says that there was more than might be held.
func (a *answer) more() bool { return a != nil && errors.Is(a.err, errEnough) }
