package query

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/pcap/flow"
)

// flowCollector takes the flows of one worker.
type flowCollector struct {
	eval    *filter.Filter
	request *Request
	calls   bool // the filter speaks of calls: a flow matches that has one
	matches map[flow.ID]bool
	flows   []dissect.Flow
	live    func(*dissect.Flow)
	failed  error
}

// Call implements dissect.Handler.
func (c *flowCollector) Call(call *dissect.Call) {
	if !c.calls || call.Time < c.request.Since || call.Time >= end(c.request) || !c.request.Vantage.tells(call.Flow.Vantage) ||
		!c.request.Access.Tells(call.Flow) {
		return
	}
	ok, err := c.eval.Call(call)
	if err != nil && c.failed == nil {
		c.failed = err
	}
	if ok {
		c.matches[call.Flow.ID] = true
	}
}

// FlowEnd implements dissect.Handler.
func (c *flowCollector) FlowEnd(f *dissect.Flow) {
	if f.Packets == [2]uint64{} || !c.request.Vantage.tells(f.Vantage) || !c.request.Access.Tells(f) {
		return
	}
	ok := c.matches[f.ID]
	if !ok {
		var err error
		if ok, err = c.eval.MatchFlow(f); err != nil && c.failed == nil {
			c.failed = err
		}
	}
	delete(c.matches, f.ID)
	if !ok {
		return
	}
	if c.live != nil {
		c.live(f)
		return
	}
	c.flows = append(c.flows, *f)
}

// Batch implements dissect.Handler.
func (c *flowCollector) Batch() {}

// flows runs the engine and hands out the flows that match, by the time of their first packet.
// A follower gets them as they end.
func (d *dissection) flows(ctx context.Context, in input, each func(*dissect.Flow) error) (matched uint64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := d.request
	var mu sync.Mutex
	var live func(*dissect.Flow)
	var liveErr error
	if r.Follow {
		live = func(f *dissect.Flow) {
			mu.Lock()
			defer mu.Unlock()
			if liveErr == nil {
				if liveErr = each(f); liveErr != nil {
					cancel()
				}
			}
		}
	}
	all, err := d.collectFlows(ctx, in, live)
	switch {
	case errors.Is(liveErr, ErrStop):
		return 0, nil
	case liveErr != nil:
		return 0, liveErr
	case err != nil:
		return uint64(len(all)), err
	}
	slices.SortFunc(all, func(a, b dissect.Flow) int {
		return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.ID, b.ID))
	})
	matched = uint64(len(all))
	if r.Last > 0 {
		all = all[max(0, len(all)-r.Last):]
	}
	if r.First > 0 {
		all = all[:min(len(all), r.First)]
	}
	for i := range all {
		if err := each(&all[i]); err != nil {
			if errors.Is(err, ErrStop) {
				err = nil
			}
			return matched, err
		}
	}
	return matched, nil
}

func (d *dissection) collectFlows(ctx context.Context, in input, live func(*dissect.Flow)) ([]dissect.Flow, error) {
	var workers []*flowCollector
	o := d.options
	o.Select, o.Follow = selector(d.filter, d.request), d.request.Follow
	o.Since, o.Until = d.request.Since, d.request.Until
	o.Handler = func(int) dissect.Handler {
		c := &flowCollector{eval: d.filter, request: d.request, calls: d.filter.Calls(), matches: map[flow.ID]bool{}, live: live}
		workers = append(workers, c)
		return c
	}
	engine := dissect.NewEngine(o)
	err := in(ctx, engine)
	engine.Close()
	var all []dissect.Flow
	for _, c := range workers {
		all = append(all, c.flows...)
		err = cmp.Or(err, c.failed)
	}
	return all, err
}

// selector prunes flows by what is known of them before any payload is read.
func selector(f *filter.Filter, r *Request) func(*dissect.Flow) bool {
	return func(fl *dissect.Flow) bool {
		switch {
		case !r.Access.Tells(fl):
			return false
		case r.Stream != 0:
			return fl.ID == r.Stream
		}
		return f.Flow(fl) != filter.Never
	}
}
