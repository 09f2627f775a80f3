package component

import "time"

// Series counts events over time, in bins of one width. It keeps maxBins of them: the newest,
// or, if it may widen, all, in wider bins.
type Series struct {
	Step  int64 // ns per bin
	widen bool
	first int64 // number of bins[0] since 1970
	bins  []Count
}

// Count is what happened in one bin.
type Count struct{ All, Errors uint64 }

const maxBins = 4096

// NewSeries makes a series with bins of the given width.
func NewSeries(step time.Duration) *Series { return &Series{Step: max(1, int64(step))} }

// NewWideningSeries makes a series for a span that is not known before: where maxBins bins do
// not hold all events, bins become wider.
func NewWideningSeries(step time.Duration) *Series {
	s := NewSeries(step)
	s.widen = true
	return s
}

// Empty is a series of the same bins without events.
func (s *Series) Empty() *Series { return &Series{Step: s.Step, widen: s.widen} }

// Merge adds the events of another series.
func (s *Series) Merge(o *Series) {
	for i, c := range o.bins {
		if c.All > 0 {
			s.Add((o.first+int64(i))*o.Step, c)
		}
	}
}

// fit widens bins until an event at a moment has one.
func (s *Series) fit(at int64) {
	for s.widen && len(s.bins) > 0 {
		n := at / s.Step
		if max(n, s.first+int64(len(s.bins))-1)-min(n, s.first) < maxBins {
			return
		}
		first := s.first / 2
		wide := make([]Count, (s.first+int64(len(s.bins))-1)/2-first+1)
		for i, c := range s.bins {
			w := &wide[(s.first+int64(i))/2-first]
			w.All += c.All
			w.Errors += c.Errors
		}
		s.Step, s.first, s.bins = s.Step*2, first, wide
	}
}

// Add counts events of one moment, ns since 1970.
func (s *Series) Add(at int64, c Count) {
	s.fit(at)
	n := at / s.Step
	switch {
	case len(s.bins) == 0:
		s.first = n
		s.bins = append(s.bins, Count{})
	case n < s.first:
		d := s.first - n
		if int64(len(s.bins))+d > maxBins {
			return // older than what is kept
		}
		s.bins = append(make([]Count, d, d+int64(len(s.bins))), s.bins...)
		s.first = n
	}
	if d := n - s.first - int64(len(s.bins)) + 1; d > maxBins {
		s.first, s.bins = n, append(s.bins[:0], Count{})
	} else if d > 0 {
		s.bins = append(s.bins, make([]Count, d)...)
		if over := len(s.bins) - maxBins; over > 0 {
			s.bins = append(s.bins[:0], s.bins[over:]...)
			s.first += int64(over)
		}
	}
	b := &s.bins[n-s.first]
	b.All += c.All
	b.Errors += c.Errors
}

// Sum is what happened from since until before until.
func (s *Series) Sum(since, until int64) (c Count) {
	from := max(0, ceilDiv(since, s.Step)-s.first)
	to := min(int64(len(s.bins)), ceilDiv(until, s.Step)-s.first)
	for i := from; i < to; i++ {
		c.All += s.bins[i].All
		c.Errors += s.bins[i].Errors
	}
	return c
}

// Span is from the first bin to the end of the last, 0 0 if there is none.
func (s *Series) Span() (since, until int64) {
	if len(s.bins) == 0 {
		return 0, 0
	}
	return s.first * s.Step, (s.first + int64(len(s.bins))) * s.Step
}

func ceilDiv(a, b int64) int64 {
	q := a / b
	if a%b > 0 {
		q++
	}
	return q
}

// steps are the widths that a bin may have.
var steps = [...]time.Duration{
	time.Microsecond, 10 * time.Microsecond, 100 * time.Microsecond,
	time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
	time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute,
	time.Hour, 6 * time.Hour, 24 * time.Hour,
}

// StepFor is the smallest usual width with which span fits into n bins.
func StepFor(span time.Duration, n int) time.Duration {
	for _, s := range steps {
		if int64(span) <= int64(s)*int64(max(1, n)) {
			return s
		}
	}
	return max(steps[len(steps)-1], span/time.Duration(max(1, n))+1)
}
