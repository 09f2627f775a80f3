package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
	"github.com/sshark/sshark/pcap/segment"
	"github.com/sshark/sshark/pcap/segment/errorfs"
)

// What is appended is there at once, over many segments, in order, with one ID for a flow.
func TestAppendAndAsk(t *testing.T) {
	r := newRig(t, Options{SegmentBytes: 64 << 10, Wait: true})
	var want []pcap.Packet
	for k := range 20 {
		batch := traffic(k*100, 100)
		want = append(want, batch...)
		r.add(batch)
		r.want(want)
	}
	if n := r.Stats().Segments; n < 5 {
		t.Fatalf("%d segments: the test wants several", n)
	}
	flows := r.flows()
	var packets uint64
	type seen struct {
		key flow.Key
		pod pcap.Pod
	}
	distinct := map[seen]bool{}
	for _, i := range flows {
		packets += i.Packets[0] + i.Packets[1]
		distinct[seen{i.Key, i.Iface.Pod}] = true
	}
	if packets != 2000 || len(distinct) != len(flows) {
		t.Errorf("%d packets in %d flows, %d of them distinct", packets, len(flows), len(distinct))
	}
	for id, info := range flows { // one flow alone, and in a window
		it := r.Packets(context.Background(), 0, 0, func(i *flow.Info) bool { return i.ID == id })
		list := drain(t, it)
		if uint64(len(list)) != info.Packets[0]+info.Packets[1] || it.Flow() != id {
			t.Fatalf("flow %v: %d packets, want %v", id, len(list), info.Packets)
		}
		it.Close()
	}
	it := r.Packets(context.Background(), want[500].Time, want[1500].Time, any1)
	if list := drain(t, it); len(list) != 1000 || list[0].Time != want[500].Time {
		t.Errorf("a window of 1000 has %d", len(list))
	}
	it.Close()
	ctx, cancel := context.WithCancel(context.Background())
	it = r.Packets(ctx, 0, 0, any1)
	defer it.Close()
	cancel()
	if err := it.Next(&pcap.Packet{}); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
	// After the end and a new beginning the same is there, and IDs go on.
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r2 := newRig(t, Options{Dir: r.o.Dir, SegmentBytes: 64 << 10})
	r2.want(want)
	more := traffic(2000, 400)
	r2.add(more)
	r2.want(append(want, more...))
	if again := r2.flows(); len(again) != len(flows) {
		t.Errorf("%d flows after a restart, %d before", len(again), len(flows))
	}
	if p := r2.Stats().Problems; len(p) != 0 {
		t.Errorf("problems: %q", p)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(Options{Dir: dir, MaxBytes: 1000}); !errors.Is(err, ErrQuota) {
		t.Errorf("tiny quota: %v", err)
	}
	fs := errorfs.New()
	fs.FailOn(os.ErrPermission, "", "lock")
	if _, err := Open(Options{Dir: dir, FS: fs}); !errors.Is(err, ErrNotWritable) || !errors.Is(err, os.ErrPermission) {
		t.Errorf("no rights: %v", err)
	}
	s, err := Open(Options{Dir: dir, MaxBytes: 4 << 20, SegmentBytes: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if p := s.Stats().Problems; len(p) != 1 || !strings.Contains(p[0], "do not fit a quota") || s.o.SegmentBytes != 512<<10 {
		t.Errorf("a quota smaller than a segment: %q, %d", p, s.o.SegmentBytes)
	}
	if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrInUse) {
		t.Errorf("opened twice: %v", err)
	}
}

// Damage done to a folder with three segments, and what must survive it.
func TestDamage(t *testing.T) {
	base := newRig(t, Options{SegmentBytes: 64 << 10, Wait: true})
	packets := traffic(0, 1200)
	base.add(packets)
	base.Close()
	var segments []string
	for _, f := range base.files() {
		if strings.HasSuffix(f, segment.ExtSegment) {
			segments = append(segments, strings.TrimSuffix(f, segment.ExtSegment))
		}
	}
	if len(segments) < 4 {
		t.Fatalf("%d segments", len(segments))
	}
	second := segments[1]
	whole := func(t *testing.T, r *rig) { r.want(packets) }
	without := func(t *testing.T, r *rig) { // all but the second segment
		s, err := os.Open(filepath.Join(base.o.Dir, second+segment.ExtSegment))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		x, err := segment.Scan(s, 2)
		if err != nil {
			t.Fatal(err)
		}
		first := 0
		f, _ := os.Open(filepath.Join(base.o.Dir, segments[0]+segment.ExtSegment))
		defer f.Close()
		y, _ := segment.Scan(f, 1)
		first = int(y.Packets())
		r.want(append(append([]pcap.Packet{}, packets[:first]...), packets[first+int(x.Packets()):]...))
	}
	for _, c := range []struct {
		name    string
		damage  func(path func(ext string) string) error
		check   func(*testing.T, *rig)
		problem string
		index   bool // the index is the same bytes as before
	}{
		{"nothing", func(func(string) string) error { return nil }, whole, "", true},
		{"index lost", func(p func(string) string) error { return os.Remove(p(segment.ExtIndex)) }, whole, "", true},
		{"index empty", func(p func(string) string) error { return os.Truncate(p(segment.ExtIndex), 0) }, whole, "", true},
		{"index header", func(p func(string) string) error { return flip(p(segment.ExtIndex), 40) }, whole, "", true},
		{"index head", func(p func(string) string) error { return flip(p(segment.ExtIndex), 400) }, whole, "", true},
		{"index end", func(p func(string) string) error { return flip(p(segment.ExtIndex), -3) }, whole, "", true},
		{"index cut", func(p func(string) string) error { return os.Truncate(p(segment.ExtIndex), 200) }, whole, "", true},
		{"index of another segment", func(p func(string) string) error {
			b, _ := os.ReadFile(filepath.Join(filepath.Dir(p("")), segments[2]+segment.ExtIndex))
			return os.WriteFile(p(segment.ExtIndex), b, 0o644)
		}, whole, "", true},
		{"newer index", func(p func(string) string) error { return poke(p(segment.ExtIndex), 8, segment.IndexVersion+1) }, without, fmt.Sprintf("its index has format version %d", segment.IndexVersion+1), false},
		{"older index", func(p func(string) string) error { return poke(p(segment.ExtIndex), 8, 1) }, whole, "", true},
		{"older index, shorter than the header of this one", func(p func(string) string) error {
			return errors.Join(poke(p(segment.ExtIndex), 8, 1), os.Truncate(p(segment.ExtIndex), 112))
		}, whole, "", true},
		{"rename lost", func(p func(string) string) error {
			return errors.Join(os.Rename(p(segment.ExtSegment), segment.Hidden(p(segment.ExtSegment))),
				os.Rename(p(segment.ExtIndex), segment.Hidden(p(segment.ExtIndex))))
		}, whole, "", true},
		{"rename of the index lost", func(p func(string) string) error {
			return os.Rename(p(segment.ExtIndex), segment.Hidden(p(segment.ExtIndex)))
		}, whole, "", true},
		{"segment lost", func(p func(string) string) error { return os.Remove(p(segment.ExtSegment)) }, without, "", false},
		{"foreign file with its name", func(p func(string) string) error {
			return os.WriteFile(p(segment.ExtSegment), []byte("hello, world"), 0o644)
		}, without, "left alone: not a segment of sshark", false},
		{"newer segment", func(p func(string) string) error {
			b, err := os.ReadFile(p(segment.ExtSegment))
			return errors.Join(err, os.WriteFile(p(segment.ExtSegment), bytes.Replace(b, []byte("sshark segment 1"), []byte("sshark segment 2"), 1), 0o644))
		}, without, "format version 2", false},
		{"older segment", func(p func(string) string) error {
			b, err := os.ReadFile(p(segment.ExtSegment))
			return errors.Join(err, os.WriteFile(p(segment.ExtSegment), bytes.Replace(b, []byte("sshark segment 1"), []byte("sshark segment 0"), 1), 0o644))
		}, without, "format version 0", false},
		{"segment damaged within, index lost", func(p func(string) string) error {
			return errors.Join(os.Remove(p(segment.ExtIndex)), poke(p(segment.ExtSegment), middle(p(segment.ExtSegment))+4, 77))
		}, without, "set aside", false},
		{"segment cut", func(p func(string) string) error { return os.Truncate(p(segment.ExtSegment), 5001) }, without, "set aside", false},
		{"other files", func(p func(string) string) error {
			return os.WriteFile(filepath.Join(filepath.Dir(p("")), "notes.txt"), []byte("x"), 0o644)
		}, whole, "notes.txt is no segment", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			base.t = t
			base.copyTo(dir)
			path := func(ext string) string { return filepath.Join(dir, second+ext) }
			if err := c.damage(path); err != nil {
				t.Fatal(err)
			}
			r := newRig(t, Options{Dir: dir, SegmentBytes: 64 << 10})
			c.check(t, r)
			if c.problem != "" {
				r.problem(c.problem)
			} else if p := r.Stats().Problems; len(p) != 0 {
				t.Errorf("problems: %q", p)
			}
			if c.index {
				got, _ := os.ReadFile(path(segment.ExtIndex))
				want, _ := os.ReadFile(filepath.Join(base.o.Dir, second+segment.ExtIndex))
				if !bytes.Equal(got, want) {
					t.Error("the index is not what was lost")
				}
			}
		})
	}
}

func diskUsage(t *testing.T, dir string) (n int64) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if i, err := e.Info(); err == nil {
			n += i.Size()
		}
	}
	return n
}

// The quota is never passed, what is read stays, and the newest is kept.
func TestQuotaAndPins(t *testing.T) {
	r := newRig(t, Options{MaxBytes: 1 << 20, SegmentBytes: 64 << 10, Wait: true})
	r.add(traffic(0, 500))
	it := r.Packets(context.Background(), 0, 0, any1)
	var first pcap.Packet
	if err := it.Next(&first); err != nil {
		t.Fatal(err)
	}
	for k := range 60 {
		r.add(traffic(500+k*100, 100))
		if err := r.Sync(); err != nil {
			t.Fatal(err)
		}
		if n := diskUsage(t, r.o.Dir); n > 1<<20 {
			t.Fatalf("after batch %d: %d bytes", k, n)
		}
	}
	// The segment being read is whole; those behind it may be gone, and are told.
	list := drain(t, it)
	if len(list) == 0 || list[0].Time != start+1e6 || len(list) < 499 && it.Gone() == 0 {
		t.Errorf("a reader lost its segment: %d packets, %d segments gone", len(list), it.Gone())
	}
	for k := 1; k < 50; k++ {
		if list[k].Time != list[k-1].Time+1e6 {
			t.Errorf("packet %d is missing", k)
		}
	}
	it.Close()
	if it = r.Packets(context.Background(), 0, 0, any1); it.Gone() != 0 {
		t.Error("gone before it began")
	}
	it.Close()
	r.add(traffic(6500, 2000))
	r.tick(time.Second)
	got := r.all()
	if got[0].Time == start || got[len(got)-1].Time != start+8499*1e6 {
		t.Errorf("kept %d packets from %d to %d", len(got), got[0].Time, got[len(got)-1].Time)
	}
	if st := r.Stats(); st.Used > st.Limit || st.Oldest != got[0].Time || st.Newest != got[len(got)-1].Time {
		t.Errorf("stats: %+v", st)
	}
}

func TestAge(t *testing.T) {
	r := newRig(t, Options{MaxAge: time.Hour, SegmentAge: time.Minute})
	r.add(traffic(0, 10))
	r.tick(2 * time.Minute)
	r.tick(time.Second)
	if n := r.Stats().Segments; n != 1 || len(r.files()) != 2 {
		t.Errorf("after two minutes: %d segments, %q", n, r.files())
	}
	r.tick(time.Hour)
	if st := r.Stats(); st.Segments != 0 || len(r.files()) != 0 {
		t.Errorf("after an hour: %+v, %q", st, r.files())
	}
}

func TestMinFree(t *testing.T) {
	const segment = 64 << 10
	for name, c := range map[string]struct {
		quota int64
		share int64
	}{
		"quota":    {64 * segment, 16 * segment},
		"no quota": {0, 8 * segment},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{MaxBytes: c.quota, MinFree: 1000, SegmentBytes: segment, Wait: true})
			n := 0
			fill := func(packets int) {
				for range packets / 100 { // a segment and a half
					r.add(traffic(n, 100))
					n += 100
					if err := r.Sync(); err != nil {
						t.Fatal(err)
					}
				}
			}
			fill(4500)
			before := r.Stats()
			if before.Used < 2*c.share {
				t.Fatalf("%d bytes before the disk is full, too few for the test", before.Used)
			}
			// Others fill the disk: the newest packets stay, and new ones are kept.
			r.fs.SetFree(10)
			r.tick(time.Second)
			r.problem("10 bytes are free")
			if st := r.Stats(); st.Used > c.share || st.Used < c.share/2 || st.Newest != before.Newest {
				t.Errorf("%+v, want at most %d bytes and a good part of them", st, c.share)
			}
			fill(4500)
			got := r.all()
			st := r.Stats()
			if st.Used > c.share || st.Used < c.share/2 || st.DiskDrops != 0 || got[len(got)-1].Time != traffic(n-1, 1)[0].Time {
				t.Errorf("%+v, want at most %d bytes and the newest packets", st, c.share)
			}
			// There is room again.
			r.fs.SetFree(1 << 40)
			r.tick(time.Second)
			fill(4500)
			if st := r.Stats(); st.Used < 2*c.share || st.DiskDrops != 0 || len(st.Problems) != 0 {
				t.Errorf("%+v, want more than %d bytes", st, c.share)
			}
		})
	}
}

// Whatever the disk does: Append goes on, each packet is kept or counted, writing resumes.
func TestDiskFailures(t *testing.T) {
	for _, c := range []struct {
		name string
		fail func(*errorfs.FS)
	}{
		{"EIO on write", func(f *errorfs.FS) { f.FailOn(syscall.EIO, segment.ExtSegment, "write") }},
		{"torn write", func(f *errorfs.FS) { f.FailOn(errorfs.ErrTorn, segment.ExtSegment, "write") }},
		{"short write", func(f *errorfs.FS) { f.FailOn(errorfs.ErrShort, segment.ExtSegment, "write") }},
		{"EIO on sync", func(f *errorfs.FS) { f.FailOn(syscall.EIO, segment.ExtSegment, "sync") }},
		{"no new files", func(f *errorfs.FS) { f.FailOn(syscall.EROFS, "", "create") }},
		{"no rename", func(f *errorfs.FS) { f.FailOn(syscall.EACCES, "", "rename") }},
		{"index cannot be written", func(f *errorfs.FS) { f.FailOn(syscall.EIO, segment.ExtIndex, "write") }},
		{"full disk", func(f *errorfs.FS) { f.SetRoom(0) }},
		{"nearly full disk", func(f *errorfs.FS) { f.SetRoom(50_000) }},
		{"no names", func(f *errorfs.FS) { f.FailOn(syscall.EIO, "", "syncdir") }},
		{"disk that cannot be read either", func(f *errorfs.FS) {
			f.FailOn(syscall.EIO, segment.ExtSegment, "write", "open")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Options{SegmentBytes: 128 << 10, Wait: true})
			total := 0
			put := func(n int) { r.add(traffic(total, n)); total += n }
			put(100)
			r.tick(time.Second)
			c.fail(r.fs)
			for range 6 {
				put(200)
				r.tick(time.Second)
			}
			if len(r.Stats().Problems) == 0 {
				t.Error("no problem is told")
			}
			r.fs.Fail(nil)
			r.fs.SetRoom(-1)
			r.tick(2 * time.Second)
			put(50)
			r.tick(2 * time.Second)
			put(50)
			r.tick(2 * time.Second)
			st := r.Stats()
			kept := r.all()
			if uint64(len(kept))+st.DiskDrops+st.QueueDrops != uint64(total) {
				t.Errorf("kept %d and lost %d+%d of %d", len(kept), st.DiskDrops, st.QueueDrops, total)
			}
			drops := uint64(0)
			for _, p := range kept {
				drops += p.Drops
			}
			if !strings.Contains(c.name, "full disk") && drops != st.DiskDrops { // there the oldest segment was deleted
				t.Errorf("packets report %d drops, stats %d", drops, st.DiskDrops)
			}
			if n := len(kept); n < 100 || kept[n-1].Time != start+int64(total-1)*1e6 {
				t.Errorf("writing did not resume: %d packets", n)
			}
			if err := r.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			again := newRig(t, Options{Dir: r.o.Dir, SegmentBytes: 128 << 10})
			if n := len(again.all()); n < len(kept) {
				t.Errorf("%d packets after a restart, %d before", n, len(kept))
			}
		})
	}
}

// A disk that cannot be read: it is said which segment, and it passes.
func TestReadFailures(t *testing.T) {
	r := newRig(t, Options{SegmentBytes: 64 << 10, Wait: true})
	packets := traffic(0, 400)
	r.add(packets)
	if err := r.Sync(); err != nil {
		t.Fatal(err)
	}
	r.fs.FailOn(syscall.EIO, "00000002-", "read")
	it := r.Packets(context.Background(), 0, 0, any1)
	defer it.Close()
	var err error
	n := 0
	for p := new(pcap.Packet); err == nil; n++ {
		err = it.Next(p)
	}
	if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "00000002-") || n < 50 {
		t.Errorf("after %d packets: %v", n, err)
	}
	r.fs.Fail(nil)
	r.want(packets)
}

// A disk that is too slow: the queue overflows, and it is counted.
func TestSlowDisk(t *testing.T) {
	r := newRig(t, Options{SegmentBytes: 64 << 20, Buffers: 3})
	hold := make(chan struct{})
	r.fs.Fail(func(op, name string) error {
		if op == "create" {
			<-hold
		}
		return nil
	})
	packets := traffic(0, 30000)
	r.add(packets)
	st := r.Stats()
	if st.QueueDrops == 0 || st.QueueDrops > 29000 {
		t.Errorf("queue drops: %d", st.QueueDrops)
	}
	close(hold)
	if err := r.Sync(); err != nil {
		t.Fatal(err)
	}
	if n := uint64(len(r.all())); n+st.QueueDrops != 30000 {
		t.Errorf("kept %d, dropped %d", n, st.QueueDrops)
	}
}

func TestNames(t *testing.T) {
	web := netip.MustParseAddr("10.0.1.1")
	dns := netip.MustParseAddr("10.0.1.53")
	r := newRig(t, Options{SegmentBytes: 64 << 10, Wait: true, Namer: func(a netip.Addr) (pcap.Name, bool) {
		return pcap.Name{Addr: a, Names: []string{"shop/web"}}, a == web
	}})
	r.add(traffic(0, 100))
	r.SetName(pcap.Name{Addr: dns, Names: []string{"kube-system/dns"}})
	r.add(traffic(100, 900))
	ask := func(match func(*flow.Info) bool) string {
		it := r.Packets(context.Background(), 0, 0, match)
		defer it.Close()
		seen, early := map[string]bool{}, ""
		n := 0
		it.OnName = func(name pcap.Name) {
			seen[name.Names[0]] = true
			if n == 0 {
				early += name.Names[0] + " "
			}
		}
		var p pcap.Packet
		for it.Next(&p) == nil {
			n++
		}
		return fmt.Sprintf("%sof %d", early, len(seen))
	}
	if got := ask(any1); got != "shop/web kube-system/dns of 2" {
		t.Errorf("all: %s", got)
	}
	if got := ask(func(i *flow.Info) bool { return i.Key.Proto == flow.UDP }); got != "kube-system/dns of 1" {
		t.Errorf("DNS only: %s", got)
	}
	r.Close()
	files, _ := filepath.Glob(filepath.Join(r.o.Dir, "0*"+segment.ExtSegment))
	for _, f := range files { // each segment says who is who
		b, _ := os.ReadFile(f)
		if !bytes.Contains(b, []byte("shop/web")) || !bytes.Contains(b, []byte("kube-system/dns")) {
			t.Errorf("%s lacks a name", f)
		}
	}
}

func TestTail(t *testing.T) {
	r := newRig(t, Options{Namer: func(a netip.Addr) (pcap.Name, bool) {
		return pcap.Name{Addr: a, Names: []string{"name of " + a.String()}}, true
	}})
	r.add(traffic(0, 10)) // before: not seen, but named
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	tail, err := r.Tail(ctx, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	names := 0
	tail.OnName = func(pcap.Name) { names++ }
	packets := traffic(10, 10)
	r.add(packets)
	var p pcap.Packet
	for k := range packets {
		if err := tail.Next(&p); err != nil || !bytes.Equal(p.Data, packets[k].Data) || tail.Flow() == 0 || tail.Opener() == flow.UnknownOpener {
			t.Fatalf("packet %d: %v", k, err)
		}
	}
	if names == 0 || tail.Pending() {
		t.Errorf("%d names, pending %v", names, tail.Pending())
	}
	r.fs.FailOn(syscall.EIO, "", "write")
	r.tick(time.Second)
	for k := range 100 { // also while the disk takes nothing
		r.add(traffic(20+k*10, 10))
	}
	n := 0
	for tail.Pending() {
		if err := tail.Next(&p); err != nil {
			t.Fatal(err)
		}
		n++
	}
	if lost := tail.Lost(); n == 0 || lost == 0 || n+int(lost) != 1000 {
		t.Errorf("%d packets and %d lost of 1000", n, lost)
	}
	cancel()
	if err := tail.Next(&p); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
	r.fs.Fail(nil)
}

// Statistics and drops can be read in the file.
func TestStatsInFile(t *testing.T) {
	r := newRig(t, Options{})
	list := traffic(0, 10)
	list[4].Drops = 3
	r.add(list)
	r.SetStats(podB, pcap.Stats{Seen: 1000, Stored: 900, Dropped: 60, Filtered: 40})
	silent := &pcap.Interface{Name: "eth0", Link: pcap.LinkEthernet, Pod: pcap.Pod{Name: "silent"}} // all of its packets were lost
	r.SetStats(silent, pcap.Stats{Seen: 7, Dropped: 7})
	r.Close()
	files, _ := filepath.Glob(filepath.Join(r.o.Dir, "0*"+segment.ExtSegment))
	f, err := os.Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := map[string][2]uint64{}
	rd, _ := pcapng.NewReader(f, pcapng.ReaderOptions{OnStats: func(i *pcap.Interface, received, dropped uint64) {
		got[i.Pod.Name] = [2]uint64{received, dropped}
	}})
	var p pcap.Packet
	for rd.Next(&p) == nil {
	}
	if got["db"] != [2]uint64{1000, 60} || got["cart"] != [2]uint64{6, 0} || got["silent"] != [2]uint64{7, 7} {
		t.Errorf("statistics: %v", got)
	}
}

// tshark reads each segment without a complaint, with the pods' names.
func TestTshark(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not installed")
	}
	r := newRig(t, Options{SegmentBytes: 64 << 10, Wait: true, Namer: func(a netip.Addr) (pcap.Name, bool) {
		return pcap.Name{Addr: a, Names: []string{"web.shop"}}, a == netip.MustParseAddr("10.0.1.1")
	}})
	r.add(traffic(0, 400))
	r.Close()
	files, _ := filepath.Glob(filepath.Join(r.o.Dir, "0*"+segment.ExtSegment))
	if len(files) < 2 {
		t.Fatalf("%d segments", len(files))
	}
	total := 0
	for _, f := range files {
		cmd := exec.Command("tshark", "-r", f, "-N", "nN", "-T", "fields", "-e", "frame.interface_name", "-e", "ip.src_host", "-e", "ip.dst_host", "-e", "_ws.malformed")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		complaint := strings.TrimSpace(strings.ReplaceAll(stderr.String(), "Running as user \"root\" and group \"root\". This could be dangerous.", ""))
		if err != nil || complaint != "" {
			t.Errorf("%s: %v %s", f, err, complaint)
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		total += len(lines)
		for _, l := range lines {
			if !strings.HasPrefix(l, "shop/cart:eth0\t") && !strings.HasPrefix(l, "shop/db:eth0\t") {
				t.Fatalf("%s: %q", f, l)
			}
		}
		if !bytes.Contains(out, []byte("web.shop")) {
			t.Errorf("%s: no name:\n%s", f, out[:200])
		}
	}
	if total != 400 {
		t.Errorf("tshark sees %d packets of 400", total)
	}
}
