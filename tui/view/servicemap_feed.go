package view

import (
	"context"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/servicemap"
	"github.com/sshark/sshark/tui/component"
)

// How often a map is told anew, how long at least between two readings of a live window and how
// long after one that took long, and how many seconds are told in which nothing happened, for
// rates to come down.
const (
	mapEvery   = time.Second
	readEvery  = 30 * time.Second
	mapDuty    = 20 // times as long as it took
	quietTicks = 30
)

// mapFeed asks for the flows and the calls of one window and filter, and tells the map each
// second in which it changed. Those of a live window are followed, and read anew now and then:
// flows since following tells them when they have ended only, calls to forget those that are
// older than the window. All it holds are builders, which are bounded.
type mapFeed struct {
	backend Backend
	ctx     context.Context
	cancel  context.CancelFunc
	now     func() time.Time
	window  Window
	by      servicemap.By
	filter  string
	calls   bool
	out     chan mapMsg

	mu    sync.Mutex
	flows mapPart
	told  mapPart // calls
	dirty bool
	seen  *component.Series // calls, else flows, that were not told yet
	state mapAnswers
	last  *servicemap.Map
	wake  chan struct{}
}

// mapPart counts what is kept, and what comes in since that was read.
type mapPart struct {
	now   *servicemap.Builder
	next  *servicemap.Builder // takes its place when all of the window was read; nil: it is not read anew
	since int64               // when the reading of next began, else of now
}

// add counts what came in at a time.
func (p *mapPart) add(at int64, count func(*servicemap.Builder)) {
	if p.next == nil {
		if at >= p.since {
			count(p.now)
		}
		return
	}
	count(p.now)
	if at >= p.since {
		count(p.next)
	}
}

// mapAnswers is how far the questions are; nil: it goes on.
type mapAnswers struct{ flows, calls, live *answer }

// mapMsg is what a feed found so far; m is nil if it is as before.
type mapMsg struct {
	feed *mapFeed
	m    *servicemap.Map
	seen *component.Series // what came since the last one; nil: nothing
	at   time.Time
	mapAnswers
}

func newMapFeed(h *Host, scope Scope, by servicemap.By, calls bool, seen *component.Series) *mapFeed {
	f := &mapFeed{backend: h.Backend, now: h.Clock.Now, window: scope.Window, by: by, filter: scope.Filter, calls: calls, seen: seen.Empty(),
		flows: mapPart{now: servicemap.NewBuilder(by)}, told: mapPart{now: servicemap.NewBuilder(by)}, out: make(chan mapMsg), wake: make(chan struct{}, 1)}
	f.ctx, f.cancel = context.WithCancel(h.Context)
	return f
}

// start is the command that begins the questions and waits for the first map.
func (f *mapFeed) start() tea.Msg {
	at := f.now()
	f.flows.since, f.told.since = at.UnixNano(), at.UnixNano()
	go f.read(at, &f.flows, &f.state.flows, readEvery, f.readFlows)
	if f.calls {
		go f.read(at, &f.told, &f.state.calls, max(f.window.Last/4, readEvery), f.readCalls)
	} else {
		f.state.calls = &answer{}
	}
	if f.window.Live() {
		go f.follow(at)
	}
	go f.deliver()
	return f.wait()
}

// wait is the command that waits for the next map.
func (f *mapFeed) wait() tea.Msg {
	select {
	case m := <-f.out:
		return m
	case <-f.ctx.Done():
		return nil
	}
}

// query is the question for the window as it is at a time.
func (f *mapFeed) query(at time.Time) Query {
	q := Query{Filter: f.filter}
	q.Since, q.Until = f.window.Bounds(at)
	return q
}

// set changes what is told.
func (f *mapFeed) set(change func()) {
	f.mu.Lock()
	change()
	f.dirty = true
	f.mu.Unlock()
}

// ended wakes the teller: a question has an answer.
func (f *mapFeed) ended() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// rest waits after a reading that began at a time; false: it is over.
func (f *mapFeed) rest(begun time.Time, least time.Duration) bool {
	t := time.NewTimer(max(least, mapDuty*f.now().Sub(begun)))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-f.ctx.Done():
		return false
	}
}

// read reads what is kept into a part, and if the window is live again and again.
func (f *mapFeed) read(at time.Time, p *mapPart, done **answer, every time.Duration, ask func(time.Time, *servicemap.Builder) *answer) {
	into := p.now
	for {
		a := ask(at, into)
		f.set(func() {
			if p.next != nil && a.err == nil {
				p.now = p.next
			}
			p.next, *done = nil, a
		})
		f.ended()
		if !f.window.Live() || !f.rest(at, every) {
			return
		}
		at, into = f.now(), servicemap.NewBuilder(f.by)
		f.set(func() { p.next, p.since = into, at.UnixNano() })
	}
}

func (f *mapFeed) readFlows(at time.Time, into *servicemap.Builder) *answer {
	a := &answer{}
	defer guard(&a.err)
	a.report, a.err = f.backend.Flows(f.ctx, f.query(at), func(fl *dissect.Flow) error {
		f.set(func() {
			if into.Flow(fl); into == f.flows.now {
				f.sawFlow(fl)
			}
		})
		return f.ctx.Err()
	})
	return a
}

func (f *mapFeed) readCalls(at time.Time, into *servicemap.Builder) *answer {
	a := &answer{}
	defer guard(&a.err)
	a.report, a.err = f.backend.Calls(f.ctx, f.query(at), func(c *dissect.Call) error {
		f.set(func() {
			if into.Call(c); into == f.told.now { // else it is read again
				f.sawCall(c)
			}
		})
		return f.ctx.Err()
	})
	return a
}

// sawCall counts a call for the chart, sawFlow the beginning of a flow where no calls are asked for.
// The feed is locked.
func (f *mapFeed) sawCall(c *dissect.Call) {
	n := component.Count{All: 1}
	if c.Error {
		n.Errors = 1
	}
	f.seen.Add(c.Time, n)
}

func (f *mapFeed) sawFlow(fl *dissect.Flow) {
	if !f.calls {
		f.seen.Add(fl.First, flowCount(fl))
	}
}

// follow counts what comes in: calls, or where those are not asked for the connections that have
// ended. Those that were open when they were read are counted when they are read again.
func (f *mapFeed) follow(at time.Time) {
	a := &answer{}
	defer func() {
		f.set(func() { f.state.live = a })
		f.ended()
	}()
	defer guard(&a.err)
	q := Query{Since: at.UnixNano(), Filter: f.filter, Follow: true}
	if f.calls {
		a.report, a.err = f.backend.Calls(f.ctx, q, func(c *dissect.Call) error {
			f.set(func() {
				f.told.add(c.Time, func(b *servicemap.Builder) { b.Call(c) })
				f.sawCall(c)
			})
			return f.ctx.Err()
		})
		return
	}
	a.report, a.err = f.backend.Flows(f.ctx, q, func(fl *dissect.Flow) error {
		if fl.Opening != 0 { // its beginning was seen
			f.set(func() {
				f.flows.add(fl.First, func(b *servicemap.Builder) { b.Flow(fl) })
				f.sawFlow(fl)
			})
		}
		return f.ctx.Err()
	})
}

// deliver tells the map when it has changed: at once when a question has an answer, else each
// second, and less often if it takes long to make.
func (f *mapFeed) deliver() {
	tick := time.NewTicker(mapEvery)
	defer tick.Stop()
	quiet := quietTicks
	var due time.Time
	for {
		select {
		case <-f.ctx.Done():
			return
		case <-tick.C:
			if f.now().Before(due) {
				continue
			}
		case <-f.wake:
		}
		begun := f.now()
		msg := f.snapshot(begun)
		if quiet++; msg.m != nil {
			quiet = 0
		}
		due = begun.Add(mapDuty * f.now().Sub(begun))
		if quiet > quietTicks {
			continue
		}
		select {
		case f.out <- msg:
		case <-f.ctx.Done():
			return
		}
	}
}

func (f *mapFeed) snapshot(at time.Time) mapMsg {
	f.mu.Lock()
	defer f.mu.Unlock()
	msg := mapMsg{feed: f, at: at, mapAnswers: f.state}
	if !f.dirty {
		return msg
	}
	f.dirty = false
	msg.seen, f.seen = f.seen, f.seen.Empty()
	all := servicemap.NewBuilder(f.by)
	all.Merge(f.flows.now)
	all.Merge(f.told.now)
	f.last = all.MapAfter(f.last)
	msg.m = f.last
	return msg
}
