package store

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
)

// The clock is set while the store is open: what is kept, for how long, and when it is written
// goes by the time that passes.
func TestClockIsSet(t *testing.T) {
	for name, by := range map[string]time.Duration{"on": 40 * 24 * time.Hour, "back": -40 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{MaxAge: 8 * time.Hour, SegmentAge: time.Hour})
			r.add(traffic(0, 10))
			r.tick(2 * time.Hour) // the segment's time is over
			r.tick(time.Second)
			r.clock.set(by)
			r.tick(time.Second)
			if st := r.Stats(); st.Segments != 1 {
				t.Fatalf("an hour old: %+v", st)
			}
			later := traffic(10, 10)
			for n := range later {
				later[n].Time += int64(by)
			}
			r.add(later)
			r.tick(time.Minute)
			r.tick(2 * time.Hour)
			r.tick(time.Second)
			if n := len(r.files()); n != 4 {
				t.Errorf("%d files: the second segment is not complete after its time", n)
			}
			r.tick(5 * time.Hour)
			r.tick(time.Second)
			if got := r.all(); len(got) != 10 || got[0].Time != later[0].Time {
				t.Errorf("the first segment is over eight hours old, and %d packets are kept", len(got))
			}
			r.tick(3 * time.Hour)
			if st := r.Stats(); st.Segments != 0 {
				t.Errorf("over eight hours old: %+v", st)
			}
		})
	}
}

// What was wrong while the clock was set back is tried again after a second, not after hours.
func TestClockIsSetWhileTheDiskFails(t *testing.T) {
	r := newRig(t, Options{})
	r.fs.FailOn(errors.New("input/output error"), "", "create")
	r.add(traffic(0, 10))
	r.tick(time.Second)
	r.add(traffic(10, 10))
	r.fs.Fail(nil)
	r.clock.set(-5 * time.Hour)
	r.tick(2 * time.Second)
	r.add(traffic(20, 10))
	if got := r.all(); len(got) != 10 || got[0].Time != traffic(20, 1)[0].Time {
		t.Errorf("writing did not resume: %d packets", len(got))
	}
}

// Segments from before Open: what is behind one in the order is younger, whatever their times say.
func TestAgeAfterTheClockWasWrong(t *testing.T) {
	o := Options{SegmentAge: time.Minute}
	r := newRig(t, o)
	o.Dir = r.o.Dir
	hour := int64(time.Hour)
	for _, at := range []int64{0, 10 * 365 * 24 * hour, 1 * hour} { // ten years ahead for a while
		list := traffic(0, 5)
		for n := range list {
			list[n].Time += at
		}
		r.add(list)
		r.tick(2 * time.Minute)
		r.tick(time.Second)
	}
	if n := r.Stats().Segments; n != 3 {
		t.Fatalf("%d segments", n)
	}
	r.Close()
	for _, c := range []struct {
		now  int64
		want int
	}{{2 * hour, 3}, {4*hour + hour/2, 2}, {6 * hour, 0}} {
		clock := &manual{now: time.Unix(0, start+c.now), c: make(chan time.Time)}
		s, err := Open(Options{Dir: o.Dir, FS: r.fs, Clock: clock, MaxAge: 4 * time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		// The first is as old as it says; the second is no younger than the third.
		if n := s.Stats().Segments; n != c.want {
			t.Errorf("after %v: %d segments, want %d", time.Duration(c.now), n, c.want)
		}
		s.Close()
	}
}

// The times of packets go back and on: windows have what is in them, in the order of arrival,
// which is said not to be that of time; a connection is one flow all the while.
func TestTimesGoBack(t *testing.T) {
	r := newRig(t, Options{SegmentBytes: 64 << 10, Wait: true})
	const n = 300
	var all []pcap.Packet
	hour := int64(time.Hour)
	for part, shift := range []int64{0, 5 * hour, -3 * hour, -3*hour + n*1e6, 9 * hour} {
		list := traffic(part*n, n)
		for k := range list {
			list[k].Time += shift - int64(part*n)*1e6
		}
		all = append(all, list...)
		r.add(list)
	}
	r.want(all)
	if n := r.Stats().Segments; n < 5 {
		t.Fatalf("%d segments: the test wants several", n)
	}
	st := r.Stats()
	if st.Oldest != start-3*hour || st.Newest != start+9*hour+(n-1)*1e6 {
		t.Errorf("from %d to %d", st.Oldest-start, st.Newest-start)
	}
	for _, c := range []struct{ since, until, back int64 }{
		{start, start + 100e6, 0},
		{start - 3*hour, start - 3*hour + 450e6, 0},
		{start - 3*hour + 100e6, start + 100e6, 3 * hour},
		{start - 4*hour, start + 5*hour + 50e6, 8 * hour},
		{start + 5*hour, 0, 0},
		{start + 6*hour, start + 8*hour, 0},
	} {
		var want []pcap.Packet
		for k := range all {
			if all[k].Time >= c.since && (c.until == 0 || all[k].Time < c.until) {
				want = append(want, all[k])
			}
		}
		it := r.Packets(context.Background(), c.since, c.until, any1)
		got := drain(t, it)
		it.Close()
		if len(got) != len(want) {
			t.Errorf("from %v to %v: %d packets, want %d", time.Duration(c.since-start), time.Duration(c.until-start), len(got), len(want))
			continue
		}
		for k := range got {
			if got[k].Time != want[k].Time {
				t.Errorf("packet %d of a window is another one", k)
				break
			}
		}
		if back := it.Back().Round(time.Second); back != time.Duration(c.back) {
			t.Errorf("from %v to %v: set back by %v, want %v", time.Duration(c.since-start), time.Duration(c.until-start), back, time.Duration(c.back))
		}
	}
	type sighting struct {
		key flow.Key
		pod pcap.Pod
	}
	ids := map[sighting]flow.ID{}
	for id, i := range r.flows() {
		at := sighting{i.Key, i.Iface.Pod}
		if _, twice := ids[at]; twice && i.Key.Proto == flow.TCP {
			t.Errorf("connection %v has two IDs", i.Key)
		}
		ids[at] = id
	}
	// After a restart the IDs go on, and so does all the rest.
	before := r.flows()
	r.Close()
	again := newRig(t, Options{Dir: r.o.Dir, SegmentBytes: 64 << 10, Wait: true})
	again.want(all)
	if after := again.flows(); len(after) != len(before) {
		t.Errorf("%d flows after a restart, %d before", len(after), len(before))
	}
}
