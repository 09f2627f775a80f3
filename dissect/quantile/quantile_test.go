package quantile

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestQuantile: estimates are within 2 % of what nearest rank says of all values.
func TestQuantile(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for name, draw := range map[string]func() int64{
		"small":       func() int64 { return random.Int64N(40) },
		"even":        func() int64 { return random.Int64N(1e9) },
		"exponential": func() int64 { return int64(random.ExpFloat64() * 3e6) },
		"wide":        func() int64 { return int64(math.Exp(random.Float64() * 29)) },
		"two peaks":   func() int64 { return []int64{200_000, 3_000_000_000}[random.IntN(2)] + random.Int64N(1000) },
		"one":         func() int64 { return 1234567 },
	} {
		for _, n := range []int{1, 2, 3, 100, 20000} {
			var h Histogram
			all := make([]int64, n)
			for i := range all {
				all[i] = draw()
				h.Add(all[i])
			}
			slices.Sort(all)
			for _, q := range []float64{0, 0.5, 0.9, 0.99, 1} {
				want := all[max(int(math.Ceil(q*float64(n))), 1)-1]
				if got := h.Quantile(q); math.Abs(float64(got-want)) > 0.02*float64(want) {
					t.Errorf("%s, %d values, %v: %d, want %d", name, n, q, got, want)
				}
			}
			if h.Count() != uint64(n) {
				t.Errorf("%s: %d counted of %d", name, h.Count(), n)
			}
		}
	}
}

func TestEdges(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 || h.Count() != 0 {
		t.Error("nothing has a quantile")
	}
	h.Add(-5)
	h.Add(math.MaxInt64)
	if h.Quantile(0) != 0 || h.Quantile(1) < Max/50*49 {
		t.Errorf("%d to %d", h.Quantile(0), h.Quantile(1))
	}
}

// TestBuckets: each value is in the bucket that its middle is in, and no bucket is wider than 1/32.
func TestBuckets(t *testing.T) {
	for v := int64(0); v < Max; v += 1 + v/70 {
		octave, sub := place(v)
		m := middle(octave, sub)
		if o, s := place(m); o != octave || s != sub {
			t.Fatalf("%d: bucket %d.%d, its middle %d is in %d.%d", v, octave, sub, m, o, s)
		}
		if d := max(m-v, v-m); d*60 > v {
			t.Fatalf("%d is taken for %d", v, m)
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	b.ReportAllocs()
	var h Histogram
	for i := range b.N {
		h.Add(int64(i) * 977)
	}
}
