package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/segment"
	"github.com/sshark/sshark/pcap/segment/errorfs"
)

// diskRig is a store on a disk that remembers.
func diskRig(t *testing.T, d *errorfs.Disk, o Options) *rig {
	t.Helper()
	o.Dir, o.FS, o.Node = "/store", d, "node-a"
	clock := &manual{now: time.Unix(0, start)}
	o.Clock = clock
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{Store: s, t: t, clock: clock, o: o}
}

// afterCrash opens what a crash left, and checks it: what was promised is there, whole and
// once; what is there is what was appended; nothing is told to be wrong; indexes are what the
// packets say; the store goes on.
func afterCrash(t *testing.T, d *errorfs.Disk, o Options, appended []pcap.Packet, promised int, deep bool) {
	t.Helper()
	r := diskRig(t, d, o)
	got := r.all()
	first := 0
	if len(got) > 0 {
		first = int((got[0].Time - start) / 1e6)
	}
	if o.MaxBytes == 0 && first != 0 && len(got) > 0 {
		t.Fatalf("the first packet is number %d", first)
	}
	if first+len(got) < promised {
		t.Fatalf("%d packets from %d on are there, %d were promised", len(got), first, promised)
	}
	for k := range got {
		if w := &appended[first+k]; got[k].Time != w.Time || !bytes.Equal(got[k].Data, w.Data) {
			t.Fatalf("packet %d is not what was appended", first+k)
		}
	}
	if p := r.Stats().Problems; len(p) != 0 {
		t.Fatalf("problems: %q", p)
	}
	if deep {
		for name, index := range d.Files() {
			base, isIndex := strings.CutSuffix(name, segment.ExtIndex)
			if !isIndex {
				continue
			}
			h, err := segment.ParseHeader(index)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			found, err := segment.Scan(bytes.NewReader(d.Files()[base+segment.ExtSegment]), h.Seq)
			if err != nil || found.Damage != nil || !bytes.Equal(found.Encode(found.End), index) {
				t.Fatalf("%s is not what its segment says: %v", name, err)
			}
		}
		r.add(traffic(len(appended), 2))
		if again := r.all(); o.MaxBytes == 0 && len(again) != len(got)+2 {
			t.Fatalf("%d packets after two more, %d before", len(again), len(got))
		}
		if err := r.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// The power fails after each step of a store's life, and whatever the disk makes of what was
// not synced: what was is there.
func TestPowerFails(t *testing.T) {
	for _, quota := range []int64{0, MinBytes} {
		t.Run(fmt.Sprintf("quota %d", quota), func(t *testing.T) {
			o := Options{SegmentBytes: 64 << 10, MaxBytes: quota, Wait: true}
			d := errorfs.NewDisk()
			r := diskRig(t, d, o)
			var appended []pcap.Packet
			batches := 12
			if quota > 0 {
				batches = 60
			}
			for k := range batches {
				n := 20 + k*37%150
				more := traffic(len(appended), n)
				r.add(more)
				appended = append(appended, more...)
				if k%3 != 2 {
					if err := r.Sync(); err != nil {
						t.Fatal(err)
					}
					d.Mark(len(appended))
				}
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			d.Mark(len(appended))
			if n := r.Stats().Segments; n < 6 {
				t.Fatalf("%d segments: the test wants several", n)
			}
			steps := d.Steps()
			every := 1
			if testing.Short() || quota > 0 {
				every = 1 + steps/80
			}
			random := rand.New(rand.NewPCG(uint64(quota), 7))
			for n := 0; n <= steps; n += every {
				others := [...]errorfs.Loss{errorfs.Parts, errorfs.Tails, errorfs.Nothing}
				for _, loss := range []errorfs.Loss{errorfs.Unsynced, others[n/every%3]} {
					afterCrash(t, d.After(n, loss, random), o, appended, d.Marked(n), n/every%4 == 0)
				}
			}
			t.Logf("%d steps", steps)
		})
	}
}

// A segment that was being written is cut at each byte behind what was synced, and filled up
// with nothing, zeros to the sector and page, or what was there before.
func TestCrashAtEachByte(t *testing.T) {
	o := Options{SegmentBytes: 64 << 10, Wait: true}
	d := errorfs.NewDisk()
	r := diskRig(t, d, o)
	var packets []pcap.Packet
	for k := range 40 {
		b := frame(flow.UDP, fmt.Sprintf("10.0.0.%d:4000", k%3+1), "10.0.1.53:53", 0, 60)
		binary.BigEndian.PutUint32(b[len(b)-4:], uint32(k))
		packets = append(packets, pcap.Packet{Time: start + int64(k)*1e6, Data: b, Length: uint32(len(b)), Flags: 1, Iface: podA})
	}
	const promised = 20
	r.add(packets[:promised])
	if err := r.Sync(); err != nil {
		t.Fatal(err)
	}
	r.add(packets[promised:])
	hidden := ""
	for name := range d.Files() {
		if strings.HasSuffix(name, segment.ExtSegment) {
			hidden = name
		}
	}
	sure := (len(bytes.TrimRight(d.Files()[hidden], "\x00")) + 3) &^ 3
	if err := r.Sync(); err != nil {
		t.Fatal(err)
	}
	whole := d.Files()[hidden]
	end := (len(bytes.TrimRight(whole, "\x00")) + 3) &^ 3
	step := 1
	if testing.Short() {
		step = 7
	}
	for n := sure; n <= end; n += step {
		for _, fill := range []int{n, n + 1, (n + 511) &^ 511, (n + 4095) &^ 4095} {
			if fill == n+1 && n%5 > 0 {
				continue
			}
			torn := append(bytes.Clone(whole[:n]), make([]byte, fill-n)...)
			at := errorfs.NewDisk()
			at.Put(hidden, torn)
			afterCrash(t, at, o, packets, promised, n%64 == 0)
		}
	}
	// A sector that was not written has what was synced before, or nothing.
	old := append(bytes.Clone(whole[:sure]), make([]byte, len(whole)-sure)...)
	for n := sure &^ 511; n < end; n += 512 {
		torn := bytes.Clone(whole)
		copy(torn[n:n+512], old[n:])
		at := errorfs.NewDisk()
		at.Put(hidden, torn)
		afterCrash(t, at, o, packets, promised, true)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}
