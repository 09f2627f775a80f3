package store

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
	"github.com/sshark/sshark/pcap/segment/errorfs"
)

// A connection of hours, two packets in each of hundreds of segments: it is one flow, told
// once, and reading it reads hardly more than its packets. Most of its segments are of before a
// restart.
func TestLongFlow(t *testing.T) {
	const segments = 300
	d := errorfs.NewDisk()
	o := Options{SegmentBytes: 64 << 10, SegmentAge: time.Hour, Wait: true}
	r := diskRig(t, d, o)
	var long []pcap.Packet
	total := 0
	for k := 0; r.Stats().Segments < segments; k++ {
		if k == 200 {
			r.Close()
			r = diskRig(t, d, o)
		}
		flags := uint8(flow.ACK)
		if k == 0 {
			flags = flow.SYN
		}
		batch := traffic(total, 90) // most of a segment
		at := batch[45].Time + 1
		for n, b := range [][]byte{frame(flow.TCP, "10.7.7.7:7777", "10.0.1.1:80", flags, 100), frame(flow.TCP, "10.0.1.1:80", "10.7.7.7:7777", flow.ACK, 200)} {
			p := pcap.Packet{Time: at + int64(n), Data: b, Length: uint32(len(b)), Flags: 1, Iface: podA}
			long = append(long, p)
			batch = append(batch, p)
		}
		for n := range batch { // each batch two minutes after the one before
			batch[n].Time += int64(k) * int64(2*time.Minute)
		}
		copy(long[len(long)-2:], batch[90:])
		total += 90
		r.add(batch)
	}
	if err := r.Sync(); err != nil {
		t.Fatal(err)
	}
	var id flow.ID
	var size int64
	for i, f := range r.flows() {
		if f.Key.PortA == 7777 || f.Key.PortB == 7777 {
			if id != 0 {
				t.Errorf("a second flow: %v", f)
			}
			id = i
			if n := f.Packets[0] + f.Packets[1]; n != uint64(len(long)) || f.First != long[0].Time || f.Last != long[len(long)-1].Time {
				t.Errorf("told with %d packets of %d, from %d to %d", n, len(long), f.First, f.Last)
			}
		}
	}
	for n := range long {
		size += int64(pcapng.PacketSize(&long[n]))
	}
	for name, c := range map[string]struct {
		since, until int64
		want         []pcap.Packet
	}{
		"whole":  {0, 0, long},
		"window": {long[200].Time, long[240].Time, long[200:240]},
	} {
		was := d.ReadBytes()
		it := r.Packets(context.Background(), c.since, c.until, func(i *flow.Info) bool { return i.ID == id })
		it.Only = id
		got := drain(t, it)
		it.Close()
		read := d.ReadBytes() - was
		if len(got) != len(c.want) {
			t.Fatalf("%s: %d packets, want %d", name, len(got), len(c.want))
		}
		for n := range got {
			if !bytes.Equal(got[n].Data, c.want[n].Data) || got[n].Time != c.want[n].Time {
				t.Fatalf("%s: packet %d is another one", name, n)
			}
		}
		t.Logf("%s: %d packets of %d bytes, %d bytes read of %d", name, len(got), size, read, r.Stats().Used)
		// The index of each segment, and for each pair of packets two pages.
		if limit := int64(len(got)/2+8) * (11 << 10); read > limit {
			t.Errorf("%s: %d bytes were read, at most %d were expected", name, read, limit)
		}
	}
	r.Close()
}
