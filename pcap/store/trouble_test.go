package store

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sshark/sshark/pcap/segment"
	"github.com/sshark/sshark/pcap/segment/errorfs"
)

// What was wrong with the disk is told while it lasts, and no longer, also if no packet comes
// that would show that it works again.
func TestTroubleEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		fail func(*errorfs.FS)
	}{
		{"EIO on write", func(f *errorfs.FS) { f.FailOn(syscall.EIO, segment.ExtSegment, "write") }},
		{"EIO on sync", func(f *errorfs.FS) { f.FailOn(syscall.EIO, segment.ExtSegment, "sync") }},
		{"no new files", func(f *errorfs.FS) { f.FailOn(syscall.EROFS, "", "create") }},
		{"no rename", func(f *errorfs.FS) { f.FailOn(syscall.EACCES, "", "rename") }},
		{"index cannot be written", func(f *errorfs.FS) { f.FailOn(syscall.EIO, segment.ExtIndex, "write") }},
		{"full disk", func(f *errorfs.FS) { f.SetRoom(0) }},
		{"no names", func(f *errorfs.FS) { f.FailOn(syscall.EIO, "", "syncdir") }},
		{"disk that cannot be read either", func(f *errorfs.FS) {
			f.FailOn(syscall.EIO, segment.ExtSegment, "write", "open")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Options{SegmentBytes: 128 << 10, SegmentAge: time.Minute, Wait: true})
			r.add(traffic(0, 100))
			r.tick(time.Second)
			c.fail(r.fs)
			r.add(traffic(100, 100))
			r.tick(2 * time.Minute) // the segment's time is over
			r.add(traffic(200, 100))
			for range 10 {
				r.tick(time.Second)
				if len(r.Stats().Problems) == 0 {
					t.Fatal("no problem is told while it lasts")
				}
			}
			r.fs.Fail(nil)
			r.fs.SetRoom(-1)
			for range 3 {
				r.tick(2 * time.Second)
			}
			if p := r.Stats().Problems; len(p) != 0 {
				t.Errorf("it is over, and told: %q", p)
			}
			for _, f := range r.files() {
				if strings.Contains(f, probe) {
					t.Errorf("left %s", f)
				}
			}
			if err := r.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}

// The same, where what is read is all that there is room for.
func TestTroubleOfPinsEnds(t *testing.T) {
	r := newRig(t, Options{MaxBytes: MinBytes, Wait: true})
	pin := func(by int) {
		r.Store.mu.Lock()
		defer r.Store.mu.Unlock()
		r.other += int64(by) * MinBytes / 2 // of damaged segments
		for _, e := range r.segments {
			e.pins += by
		}
	}
	for n := 0; r.Stats().Segments < 8; n += 100 {
		r.add(traffic(n, 100))
		if err := r.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	r.tick(time.Hour)
	r.tick(time.Second)
	pin(1)
	r.add(traffic(0, 100))
	r.problem("the quota of")
	r.tick(3 * time.Second)
	r.problem("the quota of")
	pin(-1)
	r.tick(3 * time.Second)
	if p := r.Stats().Problems; len(p) != 0 {
		t.Errorf("it is over, and told: %q", p)
	}
}

// What a crash leaves of the look whether the disk works is removed.
func TestProbeIsLeft(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{probe + segment.ExtSegment, segment.Hidden(probe + segment.ExtSegment)} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, 100), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := newRig(t, Options{Dir: dir})
	if p := r.Stats().Problems; len(p) != 0 || len(r.files()) != 0 {
		t.Errorf("%q, files %q", p, r.files())
	}
}
