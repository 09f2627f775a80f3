package vantage

import "github.com/sshark/sshark/dissect"

// Flows joins the sightings of flows. It takes them when they are over, or as far as they
// have come.
type Flows struct {
	table
	tell  func(*dissect.Flow) error
	live  bool
	hold  int64
	clock int64
	held  queue[*ended]
	told  past[*ended]

	// Merged is called for each sighting that is told with another one, if it is not nil.
	Merged func(*dissect.Flow)
}

// ended is a flow that waits for its other sightings, or was told.
type ended struct {
	flow *dissect.Flow // of one that cannot have been seen elsewhere, else nil
	by   *sighting
	due  int64
}

func (e *ended) when() int64 {
	if e.by == nil {
		return e.flow.First
	}
	return e.by.flow.First
}

func (e *ended) until() int64 { return e.due }

// NewFlows makes a joiner that hands flows to tell, as NewCalls. Flows that are handed out are
// lent until tell returns.
func NewFlows(live bool, tell func(*dissect.Flow) error) *Flows {
	j := &Flows{table: newTable(true), tell: tell, live: live, hold: int64(Hold)}
	if live {
		j.hold = int64(HoldLive)
	}
	return j
}

// Add takes a flow; those of one place come about in the order of their first packet. now is
// the caller's clock, in ns, which counts if the joiner is live. The error is that of tell.
func (j *Flows) Add(f *dissect.Flow, now int64) error {
	if j.live {
		j.clock = max(j.clock, now)
	} else {
		j.clock = max(j.clock, f.First)
	}
	switch {
	case Sighted(f):
		if j.flows[f.ID] == nil { // a flow is over once
			s := j.of(f)
			s.conn.users++
			j.held.add(&ended{by: s, due: j.clock + j.hold})
		}
	case j.held.len() == 0:
		return j.tell(f)
	default:
		own := *f
		j.held.add(&ended{flow: &own, due: j.clock})
	}
	return j.drain(j.clock)
}

// Due hands out what waits no longer, as Calls.Due.
func (j *Flows) Due(now int64) (next int64, err error) {
	j.clock = max(j.clock, now)
	if err := j.drain(j.clock); err != nil || j.held.len() == 0 {
		return 0, err
	}
	return j.held.first().due, nil
}

// Close hands out all that waits.
func (j *Flows) Close() error { return j.drain(1<<63 - 1) }

func (j *Flows) drain(clock int64) error {
	for j.held.len() > 0 && (j.held.first().due <= clock || j.held.len() > maxHeld) {
		if err := j.done(j.held.pop()); err != nil {
			return err
		}
	}
	return nil
}

// done ends the waiting of a sighting: it is told if it is the best of its connection.
func (j *Flows) done(e *ended) (err error) {
	if e.by == nil {
		return j.tell(e.flow)
	}
	c := e.by.conn
	best := e.by
	for _, s := range c.seen {
		if rank(&s.flow) > rank(&best.flow) {
			best = s
		}
	}
	switch {
	case c.told:
		if j.Merged != nil {
			j.Merged(&e.by.flow)
		}
	case best == e.by:
		c.told = true
		if len(c.seen) == 1 {
			err = j.tell(&best.flow)
			break
		}
		var all []*dissect.Flow
		for _, s := range c.seen {
			all = append(all, &s.flow)
		}
		f, _ := compose(&best.flow, all)
		err = j.tell(&f)
	case j.Merged != nil:
		j.Merged(&e.by.flow)
	}
	j.told.add(e)
	for j.told.over(j.live, j.clock) {
		if c := j.told.pop().by.conn; c.users == 1 {
			j.release(c)
		} else {
			c.users--
		}
	}
	return err
}
