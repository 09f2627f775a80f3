package memtest

import (
	"runtime"
	"testing"
)

// failing notes whether a test failed.
type failing struct {
	testing.TB
	failed bool
}

func (f *failing) Helper()               {}
func (f *failing) Errorf(string, ...any) { f.failed = true }

func TestGauge(t *testing.T) {
	const limit = 8 << 20
	g := New(limit)
	var kept [][]byte
	take := func(n int) bool {
		f := &failing{TB: t}
		for range n / (1 << 20) {
			kept = append(kept, make([]byte, 1<<20))
			g.Check(f)
		}
		return f.failed
	}
	if take(limit * 3 / 4) {
		t.Error("what is within the limit fails")
	}
	kept = nil
	for range 10 {
		if take(limit / 2) {
			t.Error("what is not in use fails")
		}
		kept = nil
	}
	if !take(limit * 3 / 2) {
		t.Error("what is beyond the limit passes")
	}
	runtime.KeepAlive(kept)
}

func BenchmarkCheck(b *testing.B) {
	g := New(1 << 20)
	for b.Loop() {
		g.Check(b)
	}
}
