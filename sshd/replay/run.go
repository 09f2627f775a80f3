package replay

import (
	"context"
	"time"
)

// Progress is how far a replay has come.
type Progress struct {
	Run, Runs      int // from 1
	Turn, Turns    int // sent
	Sent, Received int64
}

// Result is what came of a replay.
type Result struct {
	Plan      *Plan
	Same      int // runs whose answers were the same
	Different int
	Failed    int  // runs that did not come to their end, different or not
	Shown     *Run // the first that failed or differed, else the first
	Sent      int64
	Received  int64
	Took      time.Duration // of all runs
}

// Runs is how often it was played.
func (r *Result) Runs() int { return r.Same + r.Different + r.Failed }

// Run is one playing.
type Run struct {
	Number         int
	Outcomes       []Outcome
	Sent, Received int64
	Took           time.Duration
	Problem        string       // why it did not come to its end, "": it did
	Notes          []string     // what else happened
	Bytes          []Difference // of a stream in which no calls were found
}

// Outcome is one call of the recording beside that of the run; one of them may be nil.
type Outcome struct {
	Was, Is     *Call
	Differences []Difference
	More        int      // differences beyond them
	Ignored     []string // fields that differ and may
}

// Same says whether all was as it was.
func (r *Run) Same() bool {
	if r.Problem != "" || len(r.Bytes) > 0 {
		return false
	}
	for i := range r.Outcomes {
		if len(r.Outcomes[i].Differences) > 0 {
			return false
		}
	}
	return true
}

// Run plays a plan, and tells progress as it goes; nil: nobody. The result is what came of it
// also where the error says that it ended early.
func (d *Desk) Run(ctx context.Context, p *Plan, progress func(Progress)) (result *Result, err error) {
	result = &Result{Plan: p}
	begun := time.Now()
	defer func() {
		result.Took = time.Since(begun)
		deed := &Deed{Order: &p.Order, Target: p.target(), Node: p.Node, Run: true, Runs: result.Runs(), Sent: result.Sent, Received: result.Received, Err: err}
		d.did(deed)
	}()
	if err := p.Against(); err != nil {
		return result, err
	}
	if d.Begin != nil {
		end, err := d.Begin()
		if err != nil {
			return result, err
		}
		defer end()
	}
	for n := 1; n <= p.Order.Times; n++ {
		request := p.request
		if d.Guard != nil { // what the user may can change between two runs
			if err := d.Guard(ctx, &request); err != nil {
				return result, err
			}
		}
		run, err := d.once(ctx, p, &request, n, progress)
		if run != nil {
			result.add(run)
		}
		if err != nil {
			return result, err
		}
	}
	return result, nil
}

// add counts a run. Of those that are alike one is kept.
func (r *Result) add(run *Run) {
	r.Sent += run.Sent
	r.Received += run.Received
	same := run.Same()
	switch {
	case same:
		r.Same++
	case run.Problem != "":
		r.Failed++
	default:
		r.Different++
	}
	if r.Shown == nil || r.Shown.Same() && !same {
		r.Shown = run
	}
}
