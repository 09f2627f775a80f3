package query

import (
	"context"
	"errors"
	"math"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshark/sshark/dissect"
)

// A question waits for its turn and for memory, and is told when there is none; who does not
// read his answer stops nobody for long.
func TestRoom(t *testing.T) {
	for name, test := range map[string]struct {
		ahead  int // of others that never end
		follow bool
		used   int64         // of 100
		freed  time.Duration // when used falls to 10; 0: never
		cancel time.Duration // when the asker goes; 0: never
		after  time.Duration // when it is admitted, or refused
		err    error
	}{
		"alone":                      {used: 75},
		"the last turn":              {ahead: 1},
		"behind others":              {ahead: 2, after: waitTurn},
		"following needs no turn":    {ahead: 2, follow: true},
		"memory comes back":          {used: 76, freed: 3*time.Second - lookAgain/2, after: 3 * time.Second},
		"no memory":                  {used: 76, after: waitMemory, err: ErrBusy},
		"no memory to follow":        {used: 76, follow: true, after: waitMemory, err: ErrBusy},
		"behind others, no memory":   {ahead: 2, used: 90, after: waitTurn + waitMemory, err: ErrBusy},
		"gone while it waits":        {ahead: 2, cancel: time.Second, after: time.Second, err: context.Canceled},
		"gone while memory is short": {used: 90, cancel: time.Second, after: time.Second, err: context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var used atomic.Int64
				r := &room{turns: make(chan struct{}, 2), limit: func() int64 { return 100 }, used: used.Load}
				for range test.ahead {
					if _, err := r.enter(t.Context(), false); err != nil {
						t.Fatal(err)
					}
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				used.Store(test.used)
				if test.freed > 0 {
					defer time.AfterFunc(test.freed, func() { used.Store(10) }).Stop()
				}
				if test.cancel > 0 {
					defer time.AfterFunc(test.cancel, cancel).Stop()
				}
				start, before := time.Now(), len(r.turns)
				leave, err := r.enter(ctx, test.follow)
				if took := time.Since(start); !errors.Is(err, test.err) || took != test.after {
					t.Errorf("%v after %v, want %v after %v", err, took, test.err, test.after)
				}
				if err == nil {
					leave()
				}
				if len(r.turns) != before {
					t.Errorf("%d turns are taken, %d were", len(r.turns), before)
				}
			})
		})
	}
}

// What Go tells of its memory has the units that room expects.
func TestMemory(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(math.MaxInt64))
	r := newRoom()
	keep := make([]byte, 8<<20)
	debug.FreeOSMemory()
	if used := memoryUsed(); used < int64(len(keep)) || used > 4<<30 || r.short() {
		t.Errorf("%d bytes are used of %d, short: %v", used, memoryLimit(), r.short())
	}
	debug.SetMemoryLimit(int64(len(keep)))
	if !r.short() {
		t.Errorf("%d bytes of %d are not too many", memoryUsed(), memoryLimit())
	}
	keep[0] = 1
}

// The newest are held as long as they fit; more are refused, and none of them is told.
func TestTooMuch(t *testing.T) {
	f := openFile(t, capture(t, 500))
	ask := func(last, room int) (told int, err error) {
		p, r := f.pass(), Request{Last: last, Vantage: Both}
		d, err := p.dissection(&r)
		if err != nil {
			t.Fatal(err)
		}
		d.newest = room
		_, err = d.calls(t.Context(), p.input(&r), func(*dissect.Call) error { told++; return nil })
		return told, err
	}
	for _, c := range []struct {
		last, room, told int
		err              error
	}{{1000, 0, 1000, nil}, {1000, 4 << 20, 1000, nil}, {1000, 100 << 10, 0, ErrTooMuch}, {10, 100 << 10, 10, nil}} {
		if told, err := ask(c.last, c.room); told != c.told || !errors.Is(err, c.err) {
			t.Errorf("the newest %d in %d bytes: %d told, %v; want %d, %v", c.last, c.room, told, err, c.told, c.err)
		}
	}
}

// What is held back for the order of calls is bounded in bytes too.
func TestReorderBytes(t *testing.T) {
	var told atomic.Int64
	m := merger{each: func(*dissect.Call) error { told.Add(1); return nil }}
	out := make(chan slab)
	done := make(chan error, 1)
	go func() { done <- m.run([]chan slab{out}) }()
	const n, each = 64, 1 << 20
	for i := range n { // all of one moment: no time has passed for any
		out <- slab{found: []*found{{call: dissect.Call{Flow: &dissect.Flow{}, Time: 1}, kept: Kept{Fields: make([]byte, each)}}}, clock: int64(i)}
	}
	out <- slab{} // what was before it has been told by now, or is held
	if most := int64(maxReorderBytes / each); told.Load() < n-most || told.Load() == n {
		t.Errorf("%d of %d are told, want all but %d", told.Load(), n, most)
	}
	close(out)
	if err := <-done; err != nil || told.Load() != n || m.bytes != 0 {
		t.Errorf("%d of %d are told, %d bytes are left (%v)", told.Load(), n, m.bytes, err)
	}
}
