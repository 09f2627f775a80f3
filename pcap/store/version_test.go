package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/segment"
)

var update = flag.Bool("update", false, "write golden files")

// A segment of forty packets with the index that version 2 wrote of it: it is made anew, at Open
// and when it comes while the store is open, and is then what the golden file has. If that changes
// so must segment.IndexVersion, or indexes of this version are misread.
func TestOlderIndex(t *testing.T) {
	const base, golden = "00000001-20260102T150405.000000000Z", "testdata/index.golden"
	dir := t.TempDir()
	copyFile := func(ext string) {
		b, err := os.ReadFile(filepath.Join("testdata/version2", base+ext))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, base+ext), b, 0o640)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	copyFile(segment.ExtSegment)
	copyFile(segment.ExtIndex)
	r := newRig(t, Options{Dir: dir})
	for _, when := range []string{"at Open", "while it is open"} {
		r.want(traffic(0, 40))
		flows := r.flows()
		for id := range flows {
			var packets, bytes uint64
			it := r.Packets(context.Background(), 0, 0, func(i *flow.Info) bool { return i.ID == id })
			it.Only = id
			for _, p := range drain(t, it) {
				packets++
				bytes += uint64(p.Length)
			}
			if i := flows[id]; i.Packets[0]+i.Packets[1] != packets || i.Bytes[0]+i.Bytes[1] != bytes {
				t.Errorf("%s: flow %v has %d packets of %d bytes: %+v", when, id, packets, bytes, i)
			}
		}
		if p := r.Stats().Problems; len(p) != 0 || len(flows) == 0 {
			t.Errorf("%s: %d flows, problems: %q", when, len(flows), p)
		}
		got, err := os.ReadFile(filepath.Join(dir, base+segment.ExtIndex))
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) || binary.LittleEndian.Uint32(got[8:]) != segment.IndexVersion {
			t.Errorf("%s: the index is not that of %s", when, golden)
		}
		copyFile(segment.ExtIndex)
	}
}
