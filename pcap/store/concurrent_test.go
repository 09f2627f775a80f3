package store

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
)

// Everything at once: one appends, segments come and go, others ask and follow. Readers see
// times that rise without a hole, and each packet once.
func TestConcurrent(t *testing.T) {
	r := newRig(t, Options{SegmentBytes: 64 << 10, Wait: true})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r.add(traffic(0, 100))
	var done atomic.Bool
	var wg sync.WaitGroup
	const total = 12000
	it, tail, err := r.Follow(ctx, 0, any1, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	wg.Go(func() { // what is there and what comes: all of it, once
		defer it.Close()
		var p pcap.Packet
		for want := int64(0); want < total; want++ {
			err := it.Next(&p)
			if err == io.EOF {
				err = tail.Next(&p)
			}
			if err != nil || p.Time != start+want*1e6 {
				t.Errorf("follower: packet %d has time %d, error %v", want, p.Time-start, err)
				return
			}
		}
	})
	for range 2 {
		wg.Go(func() {
			for !done.Load() {
				it := r.Packets(ctx, 0, 0, any1)
				last := int64(0)
				for {
					var p pcap.Packet
					err := it.Next(&p)
					if err == io.EOF {
						break
					}
					if err != nil || last != 0 && p.Time != last+1e6 {
						t.Errorf("reader: time %d after %d, error %v", p.Time-start, last-start, err)
						break
					}
					last = p.Time
				}
				it.Close()
			}
		})
	}
	wg.Go(func() {
		for !done.Load() {
			if err := r.Flows(ctx, 0, 0, any1, func(*flow.Info) error { return nil }); err != nil {
				t.Errorf("flows: %v", err)
				return
			}
			r.Stats()
			r.SetName(pcap.Name{Addr: netip.MustParseAddr("10.0.1.1"), Names: []string{"x"}})
			if err := r.Sync(); err != nil {
				t.Errorf("sync: %v", err)
			}
		}
	})
	for k := 100; k < total; k += 100 {
		r.add(traffic(k, 100))
	}
	done.Store(true)
	wg.Wait()
	st := r.Stats()
	if st.DiskDrops+st.QueueDrops > 0 {
		t.Errorf("drops: %+v", st)
	}
	r.Close()
	if err := r.Append(nil); !errors.Is(err, ErrClosed) {
		t.Errorf("append to a closed store: %v", err)
	}
	if _, err := r.Tail(ctx, 0); !errors.Is(err, ErrClosed) {
		t.Errorf("follow a closed store: %v", err)
	}
}
