package store

import (
	"context"
	"testing"
)

// TestHold: what a reader holds is there when it comes to it, however much came in meanwhile;
// the quota holds all the same.
func TestHold(t *testing.T) {
	const quota = 1 << 20
	for _, tt := range []struct {
		name    string
		kept    int  // packets when the reader begins
		hold    bool // or not, to see that it matters
		low     bool // the disk is nearly full
		all     bool // the reader gets all of them
		readers int
	}{
		{"not held", 500, false, false, false, 1},
		{"held", 500, true, false, true, 1},
		{"held by two", 500, true, false, true, 2},
		{"more than half of the quota", 2000, true, false, false, 1},
		{"on a full disk", 500, true, true, false, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, Options{MaxBytes: quota, SegmentBytes: 64 << 10, Wait: true})
			r.add(traffic(0, tt.kept))
			if err := r.Sync(); err != nil {
				t.Fatal(err)
			}
			var readers []*Iter
			for range tt.readers {
				it := r.Packets(context.Background(), 0, 0, any1)
				if tt.hold {
					it.Hold()
				}
				readers = append(readers, it)
			}
			if tt.low {
				r.mu.Lock()
				r.low = "the test says so"
				r.mu.Unlock()
			}
			there := 0
			for k := range 80 {
				r.add(traffic(tt.kept+k*100, 100))
				if err := r.Sync(); err != nil {
					t.Fatal(err)
				}
				if n := diskUsage(t, r.o.Dir); n > quota {
					t.Fatalf("after batch %d: %d bytes", k, n)
				}
				r.mu.Lock()
				if r.held > quota/2 {
					t.Fatalf("%d bytes are held", r.held)
				}
				r.mu.Unlock()
			}
			if d := r.Stats().DiskDrops + r.Stats().QueueDrops; d != 0 {
				t.Errorf("%d packets were not kept", d)
			}
			for _, it := range readers {
				list := drain(t, it)
				there = len(list)
				if whole := there == tt.kept && it.Gone() == 0; whole != tt.all || !whole && it.Gone() == 0 {
					t.Errorf("%d of %d packets, %d segments gone", there, tt.kept, it.Gone())
				}
				it.Close()
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.held != 0 {
				t.Errorf("%d bytes are held by nobody", r.held)
			}
			for _, e := range r.segments {
				if e.holds != 0 {
					t.Errorf("segment %s is held by nobody", e.base)
				}
			}
		})
	}
}

// TestHoldGivenUp: a reader that is closed before it came to the end holds nothing.
func TestHoldGivenUp(t *testing.T) {
	r := newRig(t, Options{MaxBytes: 1 << 20, SegmentBytes: 64 << 10, Wait: true})
	r.add(traffic(0, 1000))
	it := r.Packets(context.Background(), 0, 0, any1)
	it.Hold()
	it.Hold()
	it.Close()
	it.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held != 0 {
		t.Errorf("%d bytes are held", r.held)
	}
}
