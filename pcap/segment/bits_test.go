package segment

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/sshark/sshark/pcap/flow"
)

// A column gives back its values, with any parameter that they fit, and the chosen one is not
// longer than the others.
func TestColumns(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, values := range [][]uint64{
		{0, 0, 0}, {7}, {0, 1}, {1, 2, 3, 1 << 40}, {math.MaxUint64, 0, 1}, {math.MaxUint64},
		func() (v []uint64) {
			for range 1000 {
				v = append(v, uint64(1<<15+r.IntN(1<<15))) // evenly spread
			}
			return v
		}(),
		func() (v []uint64) {
			for range 1000 {
				v = append(v, uint64(r.ExpFloat64()*1e4))
			}
			return v
		}(),
	} {
		var l lengths
		top := 0
		for _, v := range values {
			l.add(v)
			top = max(top, bits.Len64(v))
		}
		best := uint64(math.MaxUint64)
		for param := uint(0); param <= maxParam; param++ {
			if param >= noBits && param < noBits+uint(top) {
				continue // they do not fit
			}
			var w bitWriter
			w.bits(1, 3)
			for _, v := range values {
				w.value(v, param)
			}
			best = min(best, w.len()-3)
			in := bitReader{b: w.close()}
			in.bits(3)
			for n, v := range values {
				if got := in.value(param); got != v {
					t.Fatalf("value %d of %d with parameter %d: %d, want %d", n, len(values), param, got, v)
				}
			}
			if in.over() {
				t.Fatalf("parameter %d: it reads on behind the end", param)
			}
		}
		var w bitWriter
		for _, v := range values {
			w.value(v, l.column())
		}
		if w.len() != best {
			t.Errorf("column of %d values: %d bits with parameter %d, the best takes %d", len(values), w.len(), l.column(), best)
		}
	}
}

// Durations are never too short, less than an eighth too long, and less than about a millisecond.
func TestDurations(t *testing.T) {
	last := uint64(0)
	check := func(ns uint64) {
		t.Helper()
		v := rounded(ns)
		got := duration(v)
		if got < ns || got-ns > ns/8 || got-ns >= 1<<durationShift {
			t.Fatalf("%d ns are kept as %d", ns, got)
		}
		if rounded(got) != v {
			t.Fatalf("%d ns are kept as %d, and these as %d", ns, got, duration(rounded(got)))
		}
	}
	for ns := range uint64(1 << 14) {
		check(ns)
		if v := rounded(ns); v < last || v > last+1 {
			t.Fatalf("%d ns: number %d after %d", ns, v, last)
		} else {
			last = v
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		check(r.Uint64() >> (2 + r.IntN(60)))
	}
	for n := range 63 {
		check(1<<n - 1)
		check(1 << n)
		check(1<<n + 1)
	}
}

// The filter knows all of its flows, and few others; it is the same in whatever order they come.
func TestFilter(t *testing.T) {
	if appendFilter(nil, nil) != nil || mayHave(nil, 1) {
		t.Error("a segment without flows has some")
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 63, 64, 65, 1000, 50_000} {
		flows := make([]record, n)
		for k := range flows {
			flows[k].id = flow.ID(r.Uint64() >> 12)
		}
		flows = append(flows, flows[0]) // two of one ID are nothing special
		filter := appendFilter(nil, flows)
		for k := range flows {
			if !mayHave(filter, uint64(flows[k].id)) {
				t.Fatalf("flow %d of %d is not found", k, n)
			}
		}
		const others = 20_000
		found := 0
		for range others {
			if mayHave(filter, r.Uint64()>>12) {
				found++
			}
		}
		if found > others/25 {
			t.Errorf("%d flows: of %d others %d look as if they were there", n, others, found)
		}
		r.Shuffle(n, func(i, k int) { flows[i], flows[k] = flows[k], flows[i] })
		if string(appendFilter(nil, flows)) != string(filter) {
			t.Errorf("%d flows: the filter depends on their order", n)
		}
		if bits := len(filter) * 8; bits > n*6+1024 {
			t.Errorf("%d flows: %d bits", n, bits)
		}
	}
}
