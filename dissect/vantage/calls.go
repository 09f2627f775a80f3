package vantage

import (
	"hash/maphash"

	"github.com/sshark/sshark/dissect"
)

// Calls joins the sightings of calls.
type Calls struct {
	table
	tell      func(*dissect.Call) error
	live      bool
	hold      int64
	seed      maphash.Seed
	text      []byte
	clock     int64
	held      queue[*entry] // those that wait
	told      past[*entry]  // those that are done with
	spare     []*entry
	sightings []dissect.Sighting // unused ones

	// Merged is called for each sighting that is told with another one, if it is not nil.
	Merged func(*dissect.Flow)
}

// entry is one sighting of a call.
type entry struct {
	call     *dissect.Call // nil: told, or left out
	by       *sighting
	twin     *entry // the next sighting of the same call, in a ring
	time     int64
	due      int64   // when it waits no longer, by the clock
	answered int64   // when the response began
	says     [2]said // request and response
	protocol string
	reverse  bool
	parts    uint8
	told     bool // it, or a sighting of the same call
}

func (e *entry) when() int64  { return e.time }
func (e *entry) until() int64 { return e.due }

// What is there of a call.
const (
	hasRequest uint8 = 1 << iota
	isWhole          // no byte is missing of what is there
	hasResponse
)

// NewCalls makes a joiner that hands calls to tell. What is given to Add must be valid until
// it was handed out, and may be changed until then. Live says that the clock is not that of
// the packets: see Add.
func NewCalls(live bool, tell func(*dissect.Call) error) *Calls {
	j := &Calls{table: newTable(false), tell: tell, live: live, hold: int64(Hold), seed: maphash.MakeSeed()}
	if live {
		j.hold = int64(HoldLive)
	}
	return j
}

// Add takes a call; those of one place come about in the order of time. now is the caller's
// clock, in ns, which counts if the joiner is live. The error is that of tell.
func (j *Calls) Add(c *dissect.Call, now int64) error {
	j.tick(c.Time, now)
	sighted := Sighted(c.Flow)
	if !sighted {
		if j.held.len() == 0 {
			return j.tell(c)
		}
		e := j.entry()
		*e = entry{call: c, time: c.Time, due: j.clock}
		e.twin = e
		j.held.add(e)
		return j.drain(j.clock)
	}
	s := j.of(c.Flow)
	e := j.entry()
	*e = entry{call: c, by: s, time: c.Time, due: j.clock, answered: c.ResponseStart, protocol: c.Protocol.Name, reverse: c.Reverse}
	e.twin = e
	j.digest(e)
	switch {
	case !j.live: // a call that took long may be told as late elsewhere
		e.due = max(j.clock, c.ResponseEnd) + j.hold
	case Expected(c.Flow):
		e.due += j.hold
	}
	s.held.add(e)
	s.conn.users++
	j.held.add(e)
	if j.live {
		j.settle(e)
	}
	return j.drain(j.clock)
}

func (j *Calls) tick(time, now int64) {
	if j.live {
		j.clock = max(j.clock, now)
	} else {
		j.clock = max(j.clock, time)
	}
}

// Due hands out what waits no longer at a time of the caller's clock. It returns when there is
// more to do, 0: not before another call comes.
func (j *Calls) Due(now int64) (next int64, err error) {
	j.tick(0, now)
	if err := j.drain(j.clock); err != nil || j.held.len() == 0 {
		return 0, err
	}
	return j.held.first().due, nil
}

// Close hands out all that waits.
func (j *Calls) Close() error { return j.drain(1<<63 - 1) }

func (j *Calls) drain(clock int64) error {
	for j.held.len() > 0 && (j.held.first().due <= clock || j.held.len() > maxHeld) {
		if err := j.done(j.held.pop()); err != nil {
			return err
		}
	}
	return nil
}

// done ends the waiting of a sighting: it is told if it is the best of its call.
func (j *Calls) done(e *entry) (err error) {
	if e.by == nil {
		err = j.tell(e.call)
		e.call = nil
		j.spare = append(j.spare, e)
		return err
	}
	if !e.told {
		j.match(e, false)
	}
	best := e
	for o := e.twin; o != e; o = o.twin {
		if better(o, best) {
			best = o
		}
	}
	switch {
	case e.told:
		j.drop(e)
	case best == e:
		err = j.hand(e)
	}
	j.told.add(e)
	for j.told.over(j.live, j.clock) {
		j.forget(j.told.pop())
	}
	return err
}

// drop leaves out a sighting of a call that is told.
func (j *Calls) drop(e *entry) {
	if e.call != nil && j.Merged != nil {
		j.Merged(&e.by.flow)
	}
	e.call = nil
}

// hand tells a call, with what its other sightings have to add.
func (j *Calls) hand(e *entry) error {
	call := e.call
	e.told, e.call = true, nil
	places := uint8(1) << e.by.slot
	for o := e.twin; o != e; o = o.twin {
		o.told = true
		places |= 1 << o.by.slot
	}
	if e.twin == e {
		return j.tell(call)
	}
	with := e.join(places)
	call.Flow = with.flow
	for o := e.twin; o != e; o = o.twin {
		if o.by == with.client && o.call != nil {
			call.Client = j.sighting(o.call)
		}
		j.drop(o)
	}
	return j.tell(call)
}

// sighting is when a call was seen. They are made in larger pieces.
func (j *Calls) sighting(c *dissect.Call) *dissect.Sighting {
	if len(j.sightings) == 0 {
		j.sightings = make([]dissect.Sighting, 64)
	}
	s := &j.sightings[0]
	j.sightings = j.sightings[1:]
	*s = dissect.Sighting{Node: c.Flow.Node, Time: c.Time, RequestEnd: c.RequestEnd, ResponseStart: c.ResponseStart, ResponseEnd: c.ResponseEnd}
	return s
}

// join is the flow that a call is told with that was seen at these places; calls share it.
func (e *entry) join(places uint8) *joined {
	c := e.by.conn
	for i := range c.joined {
		if c.joined[i].places == places && c.joined[i].told == e.by {
			return &c.joined[i]
		}
	}
	var all []*dissect.Flow
	for o := e; ; {
		all = append(all, &o.by.flow)
		if o = o.twin; o == e {
			break
		}
	}
	f, client := compose(&e.by.flow, all)
	w := joined{places: places, told: e.by, flow: &f}
	for _, s := range c.seen {
		if &s.flow == client {
			w.client = s
		}
	}
	c.joined = append(c.joined, w)
	return &c.joined[len(c.joined)-1]
}

// better says whether a sighting is better to tell than another: whole rather than damaged,
// then by its place. It never depends on what else was seen, so that a call that was passed
// over in favour of another is told with that.
func better(e, o *entry) bool {
	if e.parts != o.parts {
		return e.parts > o.parts
	}
	a, b := rank(&e.by.flow), rank(&o.by.flow)
	if a != b {
		return a > b
	}
	return e.by.slot < o.by.slot
}

// settle lets a call go that was seen at both ends, with all its sightings.
func (j *Calls) settle(e *entry) {
	j.match(e, true)
	if e.told {
		return
	}
	places, client, server := 1, false, false
	for o := e; ; {
		client = client || o.by.flow.Vantage == dissect.SideClient
		server = server || o.by.flow.Vantage == dissect.SideServer
		if o = o.twin; o == e {
			break
		}
		places++
	}
	if !client || !server || places < e.by.conn.slots {
		return
	}
	for o := e; ; {
		o.due = j.clock
		if o = o.twin; o == e {
			break
		}
	}
}

// forget drops what is known of a sighting.
func (j *Calls) forget(e *entry) {
	e.by.held.remove(e)
	before := e
	for before.twin != e {
		before = before.twin
	}
	before.twin = e.twin
	if c := e.by.conn; c.users == 1 {
		j.release(c)
	} else {
		c.users--
	}
	*e = entry{}
	j.spare = append(j.spare, e)
}

// entry is one to be filled in.
func (j *Calls) entry() *entry {
	if n := len(j.spare); n > 0 {
		e := j.spare[n-1]
		j.spare = j.spare[:n-1]
		return e
	}
	block := make([]entry, 64)
	for i := range block[1:] {
		j.spare = append(j.spare, &block[1+i])
	}
	return &block[0]
}
