package quantile

// Merge adds the values of another histogram, which stays as it is.
func (h *Histogram) Merge(o *Histogram) {
	if o.n == 0 {
		return
	}
	if h.n == 0 {
		h.min, h.max = o.min, o.max
	}
	h.min, h.max = min(h.min, o.min), max(h.max, o.max)
	for octave, c := range o.counts {
		if c == nil {
			continue
		}
		if h.counts[octave] == nil {
			h.counts[octave] = new([subs]uint32)
		}
		for sub, n := range c {
			n = min(n, 1<<32-1-h.counts[octave][sub])
			h.counts[octave][sub] += n
			h.n += uint64(n)
		}
	}
}
