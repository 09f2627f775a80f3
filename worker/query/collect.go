package query

import (
	"container/heap"
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
)

// How much is held back at most to keep the order of calls.
const (
	maxReorder      = 16384    // calls
	maxReorderBytes = 12 << 20 // of them and of what they say
)

// slab is what one worker found in one batch.
type slab struct {
	found []*found
	clock int64 // time of the newest call or flow end
}

// collector takes the calls of one worker: it judges them, and keeps what matches.
type collector struct {
	eval         *filter.Filter
	since, until int64
	last         int
	vantage      Vantage
	access       *Access
	newest       newest
	bytes, most  int // that newest takes, and may take; 0: no bound
	shelf        shelf
	clock        int64
	matched      uint64
	failed       error // the filter could not judge a call, or there is no room for the newest
	out          chan<- slab
	quit         <-chan struct{}
}

// Call implements dissect.Handler.
func (c *collector) Call(call *dissect.Call) {
	c.clock = max(c.clock, call.Time)
	if call.Time < c.since || call.Time >= c.until || !c.vantage.tells(call.Flow.Vantage) || !c.access.Tells(call.Flow) {
		return
	}
	ok, err := c.eval.Call(call)
	if err != nil && c.failed == nil {
		c.failed = err
	}
	if !ok {
		return
	}
	c.matched++
	hide := c.access.Hides(call.Flow)
	if c.last == 0 {
		c.shelf.found = append(c.shelf.found, c.shelf.keep(call, hide))
		return
	}
	if c.full() {
		return
	}
	if len(c.newest) < c.last {
		f := c.shelf.keep(call, hide)
		heap.Push(&c.newest, f)
		c.bytes += f.size()
	} else if probe := (found{call: *call}); c.newest[0].before(&probe) {
		// The one that goes is the oldest. Its block is free once all in it have gone.
		f := c.shelf.keep(call, hide)
		c.bytes += f.size() - c.newest[0].size()
		c.newest[0] = f
		heap.Fix(&c.newest, 0)
	}
	if c.full() {
		c.newest, c.failed = nil, ErrTooMuch
	}
}

// full says that the newest do not fit.
func (c *collector) full() bool { return c.most > 0 && c.bytes > c.most }

// FlowEnd implements dissect.Handler.
func (c *collector) FlowEnd(*dissect.Flow) {}

// Batch implements dissect.Handler.
func (c *collector) Batch() {
	s := slab{found: c.shelf.found, clock: c.clock}
	c.shelf.found = make([]*found, 0, len(s.found))
	select {
	case c.out <- s:
	case <-c.quit:
	}
}

// newest is a heap with the oldest call on top.
type newest []*found

func (n newest) Len() int           { return len(n) }
func (n newest) Less(i, j int) bool { return n[i].before(n[j]) }
func (n newest) Swap(i, j int)      { n[i], n[j] = n[j], n[i] }
func (n *newest) Push(x any)        { *n = append(*n, x.(*found)) }
func (n *newest) Pop() any {
	old := *n
	x := old[len(old)-1]
	*n = old[:len(old)-1]
	return x
}

// input feeds an engine with the packets of a source until they end or ctx does. With follow
// it calls flush when it waits for more.
type input func(ctx context.Context, e *dissect.Engine) error

// dissection is one run of an engine over an input.
type dissection struct {
	options dissect.Options
	request *Request
	filter  *filter.Filter
	newest  int // bytes that the newest of two workers may take, 0: no bound
}

// newDissection prepares a run; resolve says who an address was.
func newDissection(r *Request, f *filter.Filter, protocols []*dissect.Protocol, resolve func(netip.AddrPort, int64) *dissect.Identity) *dissection {
	bodies := r.Bodies
	if f.Bodies() {
		bodies = max(bodies, DefaultBody)
	}
	return &dissection{request: r, filter: f, options: dissect.Options{Protocols: protocols, Bodies: bodies, Resolve: resolve}}
}

// DefaultBody is how many bytes of a body a filter sees.
const DefaultBody = 512 << 10

// calls runs the engine and hands out what matches, in order. It returns how many matched.
func (d *dissection) calls(ctx context.Context, in input, each func(*dissect.Call) error) (matched uint64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := d.request
	var workers []*collector
	var outs []chan slab
	quit := make(chan struct{})
	o := d.options
	o.Select, o.CallsOnly, o.Follow = selector(d.filter, r), true, r.Follow
	if r.Follow {
		o.Workers = 1 // it is to keep up with a node, next to others
	}
	o.Handler = func(int) dissect.Handler {
		out := make(chan slab, 2)
		c := &collector{eval: d.filter, since: r.Since, until: end(r), last: r.Last, vantage: r.Vantage, access: &r.Access, out: out, quit: quit, most: d.newest / 2}
		c.shelf.small = r.Follow
		workers, outs = append(workers, c), append(outs, out)
		return c
	}
	engine := dissect.NewEngine(o)
	fed := make(chan error, 1)
	go func() {
		err := in(ctx, engine)
		engine.Close()
		for _, out := range outs {
			close(out)
		}
		fed <- err
	}()

	merge := merger{first: r.First, follow: r.Follow, each: each}
	err = merge.run(outs)
	cancel()
	close(quit)
	fedErr := <-fed
	for _, c := range workers {
		matched += c.matched
		if c.failed != nil && err == nil {
			err = c.failed
		}
	}
	switch {
	case errors.Is(err, ErrStop):
		return matched, nil
	case err != nil:
		return matched, err
	case r.Last > 0 && (fedErr == nil || !errors.Is(fedErr, context.Canceled)):
		if err := tellNewest(workers, r.Last, each); err != nil && !errors.Is(err, ErrStop) {
			return matched, err
		}
	}
	return matched, fedErr
}

// tellNewest hands out the newest of all workers.
func tellNewest(workers []*collector, last int, each func(*dissect.Call) error) error {
	var all []*found
	for _, c := range workers {
		all = append(all, c.newest...)
	}
	slices.SortFunc(all, compare)
	for _, f := range all[max(0, len(all)-last):] {
		if err := each(&f.call); err != nil {
			return err
		}
	}
	return nil
}

func compare(a, b *found) int {
	switch {
	case a.before(b):
		return -1
	case b.before(a):
		return 1
	}
	return 0
}

// end is the request's exclusive end, for comparing.
func end(r *Request) int64 {
	if r.Until == 0 {
		return 1<<63 - 1
	}
	return r.Until
}

// merger puts what the workers found into the order of time.
type merger struct {
	first  int
	follow bool
	each   func(*dissect.Call) error
	held   []*found
	bytes  int // that held takes
	spare  []*found
	clock  int64
	told   int
}

// run takes slabs in turn from each worker, so that the same input gives the same output.
func (m *merger) run(outs []chan slab) error {
	var fresh []*found
	for {
		fresh = fresh[:0]
		open := false
		for _, out := range outs {
			s, ok := <-out
			open = open || ok
			fresh = append(fresh, s.found...)
			for _, f := range s.found {
				m.bytes += f.size()
			}
			m.clock = max(m.clock, s.clock)
		}
		if len(fresh) > 0 {
			slices.SortFunc(fresh, compare)
			m.merge(fresh)
		}
		if err := m.tell(!open); err != nil {
			return err
		}
		if !open {
			return nil
		}
	}
}

func (m *merger) merge(fresh []*found) {
	out := m.spare[:0]
	held := m.held
	for len(held) > 0 && len(fresh) > 0 {
		if fresh[0].before(held[0]) {
			out, fresh = append(out, fresh[0]), fresh[1:]
		} else {
			out, held = append(out, held[0]), held[1:]
		}
	}
	out = append(append(out, held...), fresh...)
	m.spare, m.held = m.held, out
}

// tell hands out what nothing older can come before any more.
func (m *merger) tell(all bool) error {
	n := len(m.held)
	if !all && !m.follow {
		limit := m.clock - int64(ReorderWindow/time.Nanosecond)
		n, _ = slices.BinarySearchFunc(m.held, limit, func(f *found, t int64) int {
			if f.call.Time < t {
				return -1
			}
			return 1
		})
		n = max(n, len(m.held)-maxReorder)
	}
	i := 0
	for ; i < n || i < len(m.held) && m.bytes > maxReorderBytes; i++ {
		f := m.held[i]
		m.held[i] = nil
		m.bytes -= f.size()
		if err := m.each(&f.call); err != nil {
			return err
		}
		if m.told++; m.told == m.first {
			return ErrStop
		}
	}
	m.held = append(m.held[:0], m.held[i:]...)
	return nil
}
