package quantile

import (
	"math/rand/v2"
	"testing"
)

// TestMerge: what was counted in parts is as if it was counted in one.
func TestMerge(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var whole, merged Histogram
	for range 5 {
		var part Histogram
		for range 1000 {
			v := r.Int64() >> (20 + r.IntN(43))
			part.Add(v)
			whole.Add(v)
		}
		merged.Merge(&part)
		merged.Merge(&Histogram{})
	}
	if merged.Count() != whole.Count() {
		t.Errorf("%d values, want %d", merged.Count(), whole.Count())
	}
	for _, q := range []float64{0, 0.1, 0.5, 0.9, 0.99, 1} {
		if got, want := merged.Quantile(q), whole.Quantile(q); got != want {
			t.Errorf("Quantile(%v) = %d, want %d", q, got, want)
		}
	}
}
