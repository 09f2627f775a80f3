package view

import (
	"errors"
	"slices"
	"sort"
	"time"
)

// liveSteps are the live windows that zooming goes through.
var liveSteps = []time.Duration{
	time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 3 * 24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour, maxWindow,
}

// minWindow is the shortest window that zooming leads to, ns.
const minWindow = int64(time.Millisecond)

// Why a window cannot be changed.
var (
	errNarrow  = errors.New("a millisecond is the shortest window")
	errWide    = errors.New("this is the longest window: w and all shows everything that is kept")
	errAllKept = errors.New("this is everything that is kept")
	errNothing = errors.New("nothing is known of the time yet: it is still being read")
	errNewest  = errors.New("nothing later is kept; 0 leads back to where this began")
)

// sight is what the keys and the mouse that change a window know: its edges as they are shown,
// the moment that they are about, and how far back and on something is kept. Times are ns.
type sight struct {
	since, until int64
	at           int64 // 0: none
	now          int64
	oldest       int64 // 0: not known
	newest       int64 // of a file or snapshot; 0: it goes on
	node         string
}

// around is the moment that a change is about: the selected one, or the middle.
func (s *sight) around() int64 {
	if s.at >= s.since && s.at < s.until {
		return s.at
	}
	return s.since + (s.until-s.since)/2
}

// end is the last moment that can be looked at.
func (s *sight) end() int64 {
	if s.newest != 0 {
		return s.newest
	}
	return s.now
}

// zoom is half the window or twice it, about a moment that stays where it is. A live window
// stays live unless a moment of it was picked.
func (w Window) zoom(s sight, in bool) (Window, error) {
	if w.Live() && (s.at == 0 || !in) {
		return w.zoomLive(in)
	}
	if w.All() && !in {
		return w, errAllKept
	}
	span := s.until - s.since
	if span <= 0 {
		return w, errNothing
	}
	at, to := s.around(), span*2
	if in {
		to = span / 2
	}
	switch {
	case in && span <= minWindow:
		return w, errNarrow
	case to > int64(maxWindow):
		return w, errWide
	}
	to = max(to, minWindow)
	since := at - int64(float64(at-s.since)*float64(to)/float64(span))
	out := Window{Since: since, Until: since + to}
	if over := out.Until - s.end(); !in && over > 0 {
		out.Until = max(s.until, s.end())
		out.Since -= min(over, max(0, out.Since-s.oldest)) // what is not there at one end is shown at the other
	}
	return out, nil
}

func (w Window) zoomLive(in bool) (Window, error) {
	i := sort.Search(len(liveSteps), func(i int) bool { return liveSteps[i] >= w.Last })
	if in {
		if i == 0 {
			return w, errors.New("a second is the shortest live window")
		}
		return Window{Last: liveSteps[i-1]}, nil
	}
	if _, exact := slices.BinarySearch(liveSteps, w.Last); exact {
		i++
	}
	if i >= len(liveSteps) {
		return w, errWide
	}
	return Window{Last: liveSteps[i]}, nil
}

// move goes back (by < 0) or on by that much, ns. It goes no further than there is something.
func (w Window) move(s sight, by int64) (Window, error) {
	span := s.until - s.since
	switch {
	case span <= 0:
		return w, errNothing
	case w.All():
		return w, errAllKept
	case by > 0 && s.until >= s.end():
		return w, errNewest
	case by < 0 && s.oldest != 0 && s.since <= s.oldest:
		return w, errors.New("nothing older is kept" + onNode(s.node))
	case by > 0:
		by = min(by, s.end()-s.until)
	}
	return Window{Since: s.since + by, Until: s.until + by}, nil
}
