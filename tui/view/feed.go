package view

import (
	"context"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/tui/component"
)

// flushEvery is how long rows are gathered before the screen sees them. After a batch that
// nobody could read (more than manyRows) the next one waits longer, for each of them draws
// the whole screen anew and a line to an operator is thin.
const (
	flushEvery = 250 * time.Millisecond
	manyRows   = 40
	slowTicks  = 2
)

// openAfter is how long a row is selected before its details are read.
const openAfter = 150 * time.Millisecond

// batchMsg is what a feed gathered.
type batchMsg struct {
	feed    *feed
	rows    []*row
	counts  []moment
	history *answer // the query of what is kept has ended
	live    *answer // following has ended
}

// moment is how many calls there were in one bin.
type moment struct {
	at int64
	n  component.Count
}

type answer struct {
	report Report
	err    error
}

// feed runs the queries of one window and filter, and hands rows over in batches. It keeps at
// most MaxRows that were not handed over; what is older is counted, not kept.
type feed struct {
	backend Backend
	ctx     context.Context
	cancel  context.CancelFunc
	step    int64 // ns of a bin
	history *Query
	live    *Query
	columns []string // fields that are columns
	shared  *Shared
	out     chan batchMsg

	mu   sync.Mutex
	next batchMsg // guarded by mu
	wake chan struct{}
}

func newFeed(ctx context.Context, b Backend, step time.Duration, history, live *Query) *feed {
	f := &feed{backend: b, step: int64(step), history: history, live: live,
		out: make(chan batchMsg), wake: make(chan struct{}, 1)}
	f.ctx, f.cancel = context.WithCancel(ctx)
	return f
}

// start is the command that begins the queries and waits for the first batch.
func (f *feed) start() tea.Msg {
	open := 0
	if f.history != nil {
		open++
		go f.ask(f.history, func(b *batchMsg, a *answer) { b.history = a })
	}
	if f.live != nil {
		open++
		go f.ask(f.live, func(b *batchMsg, a *answer) { b.live = a })
	}
	go f.deliver(open)
	return f.wait()
}

// wait is the command that waits for the next batch.
func (f *feed) wait() tea.Msg {
	select {
	case b, ok := <-f.out:
		if ok {
			return b
		}
	case <-f.ctx.Done():
	}
	return nil
}

func (f *feed) ask(q *Query, end func(*batchMsg, *answer)) {
	a := &answer{}
	defer func() {
		f.mu.Lock()
		end(&f.next, a)
		f.mu.Unlock()
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}()
	defer guard(&a.err)
	c := copier{shared: f.shared}
	if c.fields = len(f.columns); c.fields > 0 {
		if c.read, a.err = f.backend.Columns(f.columns...); a.err != nil {
			return
		}
	}
	a.report, a.err = f.backend.Calls(f.ctx, *q, func(call *dissect.Call) error {
		if err := f.ctx.Err(); err != nil {
			return err
		}
		f.add(c.row(call))
		return nil
	})
}

func (f *feed) add(r *row) {
	n := component.Count{All: 1}
	if r.err {
		n.Errors = 1
	}
	at := r.time / f.step * f.step
	f.mu.Lock()
	defer f.mu.Unlock()
	b := &f.next
	if len(b.rows) >= 2*MaxRows {
		k := copy(b.rows, b.rows[len(b.rows)-MaxRows:])
		clear(b.rows[k:])
		b.rows = b.rows[:k]
	}
	b.rows = append(b.rows, r)
	if k := len(b.counts); k > 0 && b.counts[k-1].at == at {
		b.counts[k-1].n.All += n.All
		b.counts[k-1].n.Errors += n.Errors
	} else {
		b.counts = append(b.counts, moment{at, n})
	}
}

// deliver hands a batch over each flushEvery, and at once when a query has ended. It ends
// with the last query, or with the context.
func (f *feed) deliver(open int) {
	defer close(f.out)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	skip := 0
	for open > 0 {
		select {
		case <-f.ctx.Done():
			return
		case <-tick.C:
			if skip > 0 {
				skip--
				continue
			}
		case <-f.wake:
		}
		f.mu.Lock()
		b := f.next
		f.next = batchMsg{}
		f.mu.Unlock()
		if len(b.rows) == 0 && b.history == nil && b.live == nil {
			continue
		}
		if b.feed = f; len(b.rows) > manyRows && b.history == nil {
			skip = slowTicks - 1
		}
		if b.history != nil {
			open--
		}
		if b.live != nil {
			open--
		}
		select {
		case f.out <- b:
		case <-f.ctx.Done():
			return
		}
	}
}
