// Package quantile estimates quantiles of many durations in little memory.
//
// A Histogram counts values in buckets whose width grows with the value, 32 to each doubling,
// so an estimate is wrong by less than 2 % (half a bucket of 1/32). It takes at most 6 kB,
// less where its values are alike. It is a value of its owner and not safe for concurrent use.
package quantile

import "math/bits"

const (
	subBits = 5
	subs    = 1 << subBits
	// Values of Max and more are one: about 73 minutes of nanoseconds.
	maxBits = 42
	octaves = maxBits - subBits + 1
)

// Max is the largest value that is told from others, in ns.
const Max = 1<<maxBits - 1

// Histogram is a set of values of at least 0. The zero value is empty.
type Histogram struct {
	n        uint64
	min, max int64
	counts   [octaves]*[subs]uint32 // allocated when a value first falls there
}

// Add counts a value; less than 0 is 0. A bucket that has 2³²-1 values takes no more.
func (h *Histogram) Add(v int64) {
	v = min(max(v, 0), Max)
	if h.n == 0 {
		h.min, h.max = v, v
	}
	h.min, h.max = min(h.min, v), max(h.max, v)
	octave, sub := place(v)
	if h.counts[octave] == nil {
		h.counts[octave] = new([subs]uint32)
	}
	if c := &h.counts[octave][sub]; *c < 1<<32-1 {
		*c++
		h.n++
	}
}

// Count is how many values were counted.
func (h *Histogram) Count() uint64 { return h.n }

// Quantile estimates the value that a part q of all values (0 to 1) does not exceed, by the
// nearest-rank method; 0 of no values.
func (h *Histogram) Quantile(q float64) int64 {
	rank := min(max(uint64(q*float64(h.n)+1-1e-9), 1), h.n)
	var seen uint64
	for octave, c := range h.counts {
		if c == nil {
			continue
		}
		for sub, n := range c {
			if seen += uint64(n); n > 0 && seen >= rank {
				return min(max(middle(octave, sub), h.min), h.max)
			}
		}
	}
	return 0
}

// place is the bucket of a value: octave 0 holds values below subs, each its own.
func place(v int64) (octave, sub int) {
	if v < subs {
		return 0, int(v)
	}
	octave = bits.Len64(uint64(v)) - subBits
	return octave, int(v>>(octave-1)) - subs
}

// middle is the value in the middle of a bucket.
func middle(octave, sub int) int64 {
	if octave == 0 {
		return int64(sub)
	}
	width := int64(1) << (octave - 1)
	return int64(subs+sub)*width + (width-1)/2
}
