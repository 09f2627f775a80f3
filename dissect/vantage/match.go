package vantage

import (
	"hash/maphash"
	"time"
)

// How far two sightings of one call may be apart, in ns, once their clocks are compared.
const (
	nearest = int64(time.Millisecond)
	near    = int64(20 * time.Millisecond)
	far     = int64(1500 * time.Millisecond) // a SYN that was lost is sent again after 1 s
	unknown = int64(Hold)                    // if nothing is known of the clocks
)

// Bounds on the search for a call among others of its flow, in calls.
const (
	searchTuned   = 256
	searchUnknown = 4096
)

// said is what one message of a call says: the hash of its text (0: none, or it was hidden) and
// its size.
type said struct{ text, size uint64 }

func (s said) like(o said) bool {
	return s.size == o.size && (s.text == o.text || s.text == 0 || o.text == 0)
}

// digest notes what a call says.
func (j *Calls) digest(e *entry) {
	c := e.call
	e.says = [2]said{{size: c.RequestSize}, {size: c.ResponseSize}}
	if c.Message != nil {
		j.text = c.Message.AppendSummary(j.text[:0])
		e.says[0].text = j.hash()
		j.text = c.Message.AppendStatus(j.text[:0])
		e.says[1].text = j.hash()
	}
	if c.RequestEnd != 0 {
		e.parts |= hasRequest
	}
	if c.ResponseStart != 0 {
		e.parts |= hasResponse
	}
	if !c.Incomplete {
		e.parts |= isWhole
	}
}

func (j *Calls) hash() uint64 {
	if len(j.text) == 0 {
		return 0
	}
	return maphash.Bytes(j.seed, j.text) | 1
}

// alike says whether two sightings say the same. damaged: only as far as both were seen.
func alike(a, b *entry) (same, damaged bool) {
	both := a.parts & b.parts
	switch {
	case a.protocol != b.protocol || a.reverse != b.reverse && (a.parts^b.parts)&hasRequest == 0:
		return false, false // an answer alone is a message of the server's
	case a.parts == b.parts && both&isWhole != 0:
		return a.says[0].like(b.says[0]) && a.says[1].like(b.says[1]), false
	case both&isWhole == 0:
		return true, true // of what has gaps neither size nor text can be trusted
	case both&hasRequest != 0:
		return a.says[0].like(b.says[0]), true
	case both&hasResponse != 0:
		return a.says[1].like(b.says[1]), true
	}
	return false, true
}

// apart is how far b was seen after a, by request or response, whichever is nearer: the other
// may have been held up on its way. The clocks of their places are compared as far as they are
// known.
func apart(a, b *entry) int64 {
	clock := int64(0)
	if a.by.tuned && b.by.tuned {
		clock = b.by.apart - a.by.apart
	}
	d := b.time - a.time - clock
	if (a.parts^b.parts)&hasRequest != 0 {
		return b.answered - a.answered - clock
	}
	if a.parts&b.parts&hasResponse != 0 {
		if r := b.answered - a.answered - clock; abs(r) < abs(d) {
			return r
		}
	}
	return d
}

// match looks for a call's other sightings. close: only for those of which there is no doubt.
func (j *Calls) match(e *entry, close bool) {
	for _, s := range e.by.conn.seen {
		if s.slot == e.by.slot || e.seenAt(s.slot) {
			continue
		}
		tuned := s.tuned && e.by.tuned
		if close && !tuned {
			continue
		}
		o, sure := s.find(e, tuned, close)
		if o == nil {
			continue
		}
		j.learn(e, o, tuned, sure)
		told := e.told || o.told
		e.twin, o.twin = o.twin, e.twin
		for x := e; ; {
			if x.told = told; told {
				j.drop(x)
			}
			if x = x.twin; x == e {
				break
			}
		}
	}
}

// learn takes what a match tells of the clocks of two places.
func (j *Calls) learn(e, o *entry, tuned, sure bool) {
	d, base := apart(e, o), e.by.conn.seen[0]
	by := d / 8
	if abs(d) > near {
		by = d / 2
	}
	switch {
	case tuned && !sure:
	case tuned && o.by == base:
		e.by.apart -= by
	case tuned:
		o.by.apart += by
	case o.by.tuned:
		e.by.apart, e.by.tuned = o.by.apart-d, true
	default:
		o.by.apart, o.by.tuned = e.by.apart+d, e.by.tuned
	}
	if !tuned && sure {
		j.compared(e.by, o.by, d)
	}
}

// seenAt says whether another sighting of the call, at a place, is known.
func (e *entry) seenAt(slot int) bool {
	for o := e.twin; o != e; o = o.twin {
		if o.by.slot == slot {
			return true
		}
	}
	return false
}

// free says whether two sightings have no place in common, with all that they were joined to.
// Where bytes were lost in between, one place may have seen a request and its answer as two.
func free(e, o *entry) bool {
	for x := e; ; {
		for y := o; ; {
			if x.by.slot == y.by.slot && x.parts&y.parts&(hasRequest|hasResponse) != 0 {
				return false
			}
			if y = y.twin; y == o {
				break
			}
		}
		if x = x.twin; x == e {
			return true
		}
	}
}

// find looks for a call's sighting at place s: the nearer the better, and of those that are
// about as near the oldest. Beyond near there must be no doubt. sure: there was no choice.
func (s *sighting) find(e *entry, tuned, close bool) (found *entry, sure bool) {
	if !tuned {
		if close {
			return nil, false
		}
		w := s.within(e, e.time, unknown, searchUnknown)
		return w.oldest, w.free == 1
	}
	from := e.time + s.apart - e.by.apart
	w := s.within(e, from, nearest, searchTuned)
	if w.oldest == nil {
		w = s.within(e, from, near, searchTuned)
	}
	switch {
	case w.oldest != nil:
		return w.oldest, w.free == 1
	case w.damaged != nil:
		return w.damaged, false
	case close:
		return nil, false
	}
	w = s.within(e, from, far, searchTuned)
	if w.alike > 1 || w.oldest == nil || e.by.within(e, e.time, far, searchTuned).alike > 1 {
		return nil, false
	}
	return w.oldest, true
}

// like are the calls of a place that say what another one says.
type like struct {
	alike   int    // all of them
	free    int    // those that have no sighting yet where that one was seen
	oldest  *entry // of the free ones
	damaged *entry // the nearest free one that may be it, as far as one can see
}

// within looks at no more than limit calls on either side of a time.
func (s *sighting) within(e *entry, from, reach int64, limit int) (w like) {
	at, all := s.held.from(from), s.held.all()
	look := func(o *entry) bool { // false: far enough
		// An answer alone has the time of the answer, so the calls around it may be farther away.
		lone := (e.parts^o.parts)&hasRequest != 0
		d := abs(apart(e, o))
		if d > reach {
			return lone || abs(o.time-from) <= reach
		}
		same, damaged := alike(e, o)
		switch {
		case !same:
		case damaged:
			if d <= near && (w.damaged == nil || d < abs(apart(e, w.damaged))) && free(e, o) {
				w.damaged = o
			}
		default:
			w.alike++
			if !free(e, o) {
				break
			}
			if w.free++; w.oldest == nil || o.time < w.oldest.time {
				w.oldest = o
			}
		}
		return true
	}
	for i := at - 1; i >= 0 && i >= at-limit && look(all[i]); i-- {
	}
	for i := at; i < len(all) && i < at+limit && look(all[i]); i++ {
	}
	return w
}

func abs(d int64) int64 { return max(d, -d) }
