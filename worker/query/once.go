package query

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/vantage"
)

// How many of the newest sightings are asked for so that the newest calls have theirs among
// them: two for each and some more, and so many times that if clocks differ by more than that.
const (
	sightings = 2
	slack     = 64
	manyMore  = 8
)

// CallsOnce asks for calls so that each is told once: with Vantage Auto it asks for all
// sightings and joins them. What ask hands out must stay valid until ask returns, and is
// changed. In the report Matched counts what was told, as far as that is known: see
// NodeReport.Most.
func CallsOnce(ctx context.Context, r *Request, each func(*dissect.Call) error,
	ask func(context.Context, *Request, func(*dissect.Call) error) (*Report, error)) (*Report, error) {
	return once(ctx, r, each, ask, func(c *dissect.Call) *dissect.Flow { return c.Flow },
		func(tell func(*dissect.Call) error, merged func(*dissect.Flow)) joiner[*dissect.Call] {
			j := vantage.NewCalls(r.Follow, tell)
			j.Merged = merged
			return j
		})
}

// FlowsOnce is CallsOnce for flows; what ask hands out may be borrowed.
func FlowsOnce(ctx context.Context, r *Request, each func(*dissect.Flow) error,
	ask func(context.Context, *Request, func(*dissect.Flow) error) (*Report, error)) (*Report, error) {
	return once(ctx, r, each, ask, func(f *dissect.Flow) *dissect.Flow { return f },
		func(tell func(*dissect.Flow) error, merged func(*dissect.Flow)) joiner[*dissect.Flow] {
			j := vantage.NewFlows(r.Follow, func(f *dissect.Flow) error {
				if r.Last > 0 { // it is kept
					own := *f
					f = &own
				}
				return tell(f)
			})
			j.Merged = merged
			return j
		})
}

// joiner is vantage.Calls or vantage.Flows.
type joiner[T any] interface {
	Add(v T, now int64) error
	Due(now int64) (next int64, err error)
	Close() error
}

// joining is one question whose answer is joined.
type joining[T any] struct {
	request *Request
	flow    func(T) *dissect.Flow
	make    func(tell func(T) error, merged func(*dissect.Flow)) joiner[T]
	ask     func(context.Context, *Request, func(T) error) (*Report, error)
	merged  map[string]uint64 // sightings that were told with another one, by node
	sighted bool              // something may have been seen at several places
	taken   int
}

func once[T any](ctx context.Context, r *Request, each func(T) error, ask func(context.Context, *Request, func(T) error) (*Report, error),
	flow func(T) *dissect.Flow, make func(func(T) error, func(*dissect.Flow)) joiner[T]) (*Report, error) {
	if r.Vantage != Auto || r.Stream != 0 {
		return ask(ctx, r, each)
	}
	j := &joining[T]{request: r, flow: flow, make: make, ask: ask}
	switch {
	case r.Follow:
		return j.follow(ctx, each)
	case r.Last > 0:
		return j.newest(ctx, each)
	}
	told := 0
	return j.run(ctx, 0, func(v T) error {
		if err := each(v); err != nil {
			return err
		}
		if told++; told == r.First {
			return ErrStop
		}
		return nil
	})
}

// run asks for so many of the newest sightings, 0: all, and joins them.
func (j *joining[T]) run(ctx context.Context, bound int, each func(T) error) (*Report, error) {
	part := *j.request
	part.Vantage, part.First, part.Last = Both, 0, bound
	j.merged, j.sighted, j.taken = map[string]uint64{}, false, 0
	join := j.make(each, func(f *dissect.Flow) { j.merged[f.Node]++ })
	stopped := false
	report, err := j.ask(ctx, &part, func(v T) (err error) {
		j.taken++
		if !j.sighted && !vantage.Sighted(j.flow(v)) { // as all of a file that names no places
			err = each(v)
		} else {
			j.sighted = true
			err = join.Add(v, 0)
		}
		stopped = err != nil
		return err
	})
	if !stopped && ctx.Err() == nil {
		if closeErr := join.Close(); closeErr != nil && err == nil && !errors.Is(closeErr, ErrStop) {
			err = closeErr
		}
	}
	j.count(report)
	return report, err
}

// count makes Matched what it says: sightings that were told with others do not count.
func (j *joining[T]) count(r *Report) {
	if r == nil {
		return
	}
	matched := uint64(0)
	for i := range r.Nodes {
		matched += r.Nodes[i].Matched
	}
	rest := maps.Clone(j.merged)
	less := func(n *NodeReport, by uint64) (left uint64) {
		by, left = min(by, n.Matched), by-min(by, n.Matched)
		n.Matched -= by
		return left
	}
	for i := range r.Nodes {
		n := &r.Nodes[i]
		less(n, rest[n.Node])
		delete(rest, n.Node)
		n.Most = j.sighted && matched > uint64(j.taken)
	}
	for _, by := range rest { // a file's name is no node's
		for i := range r.Nodes {
			by = less(&r.Nodes[i], by)
		}
	}
}

// newest tells the newest. Should there have been more sightings of each than is usual, or
// should many seem to lack their other one, more of them are asked for.
func (j *joining[T]) newest(ctx context.Context, each func(T) error) (*Report, error) {
	last := j.request.Last
	again := true
	for bound := last*sightings + slack; ; {
		var kept []T
		report, err := j.run(ctx, bound, func(v T) error {
			kept = append(kept, v)
			if len(kept) >= 2*last {
				kept = append(kept[:0], kept[len(kept)-last:]...)
			}
			return nil
		})
		if err != nil {
			return report, err
		}
		kept = kept[max(0, len(kept)-last):]
		if more := j.taken >= bound; more && len(kept) < last {
			bound *= 2
			continue
		} else if more && again && 4*j.expected(kept) > last {
			again = false
			bound *= manyMore
			continue
		}
		for _, v := range kept {
			if err := each(v); err != nil {
				if errors.Is(err, ErrStop) {
					err = nil
				}
				return report, err
			}
		}
		return report, nil
	}
}

// expected counts those that should have been seen elsewhere too.
func (j *joining[T]) expected(all []T) (n int) {
	for _, v := range all {
		if vantage.Expected(j.flow(v)) {
			n++
		}
	}
	return n
}

// follow tells what comes in. What waits for its other sightings is told when its time has
// come, also if nothing else comes.
func (j *joining[T]) follow(ctx context.Context, each func(T) error) (*Report, error) {
	outer := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	part := *j.request
	part.Vantage = Both
	var mu sync.Mutex
	var failed error
	var timer *time.Timer
	ended, waiting := false, false
	began := time.Now()
	now := func() int64 { return int64(time.Since(began)) }
	join := j.make(each, func(*dissect.Flow) {})
	due := func() { // mu is held
		var next int64
		if next, failed = join.Due(now()); failed != nil {
			cancel()
		} else if waiting = next != 0; waiting {
			timer.Reset(max(time.Duration(next-now()), time.Millisecond))
		}
	}
	timer = time.AfterFunc(time.Hour, func() {
		mu.Lock()
		defer mu.Unlock()
		if !ended && failed == nil {
			due()
		}
	})
	report, err := j.ask(ctx, &part, func(v T) error {
		mu.Lock()
		defer mu.Unlock()
		if failed == nil {
			failed = join.Add(v, now())
		}
		if failed == nil && !waiting {
			due()
		}
		return failed
	})
	mu.Lock()
	defer mu.Unlock()
	ended = true
	timer.Stop()
	if failed == nil && outer.Err() == nil {
		if failed = join.Close(); failed == nil {
			return report, err
		}
	}
	switch {
	case errors.Is(failed, ErrStop):
		return report, nil
	case failed != nil:
		return report, failed
	}
	return report, err
}
