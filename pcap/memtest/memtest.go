// Package memtest watches how much memory what reads hostile input takes. For tests only.
package memtest

import (
	"io"
	"runtime"
	"runtime/metrics"
	"testing"
)

// Gauge watches the memory that is in use from when it was made. It finds out how much that is
// only where much was allocated since it last did, so it may be asked often. One goroutine uses
// it.
type Gauge struct {
	limit  uint64
	before uint64 // in use when it was made
	looked uint64 // allocated in all when it last found out
	asked  uint64 // the same when it was last asked
	sample [2]metrics.Sample
}

// New makes one that bears limit bytes more than are in use now.
func New(limit uint64) *Gauge {
	g := &Gauge{limit: limit}
	g.sample[0].Name, g.sample[1].Name = "/gc/heap/allocs:bytes", "/memory/classes/heap/objects:bytes"
	g.begin()
	return g
}

func (g *Gauge) begin() {
	runtime.GC()
	g.looked, g.before = g.read()
	g.asked = g.looked
}

// Input says that the fuzzer comes with another input. What it has allocated for itself since
// the last Check does not count; what earlier inputs have left behind does.
func (g *Gauge) Input() {
	if allocated, _ := g.read(); allocated-g.asked > g.limit/8 {
		g.begin()
	}
}

func (g *Gauge) read() (allocated, used uint64) {
	metrics.Read(g.sample[:])
	return g.sample[0].Value.Uint64(), g.sample[1].Value.Uint64()
}

// Check fails the test if more is in use than may be: call it while what is watched is alive.
// What was allocated since it last found out, at most an eighth of the limit, is not seen.
func (g *Gauge) Check(tb testing.TB) {
	tb.Helper()
	var used uint64
	if g.asked, _ = g.read(); g.asked-g.looked < g.limit/8 {
		return
	}
	runtime.GC()
	g.looked, used = g.read()
	if g.asked = g.looked; used > g.before+g.limit {
		tb.Errorf("%d KiB more are in use than before", (used-g.before)>>10)
	}
}

// Reader checks whenever it is read from.
func (g *Gauge) Reader(tb testing.TB, r io.Reader) io.Reader { return &reader{g, tb, r} }

type reader struct {
	gauge *Gauge
	tb    testing.TB
	r     io.Reader
}

func (r *reader) Read(b []byte) (int, error) {
	r.gauge.Check(r.tb)
	return r.r.Read(b)
}
