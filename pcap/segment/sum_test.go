package segment

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// Sums vouch for what was written and synced: not for what is cut, and for nothing behind a
// sector that is zeros although something was written to it.
func TestVouched(t *testing.T) {
	b := newBench(t)
	packets := traffic(60)
	for n := range packets { // sectors within packets, as text
		for k := 60; k < len(packets[n].Data); k++ {
			packets[n].Data[k] = 'x'
		}
	}
	l := b.begin(packets[0].Time)
	var ends []int64 // of what was synced
	for k := 0; k < len(packets); k += 20 {
		b.append(l, packets[k:k+20])
		for range 2 { // nothing new: no sum more
			if err := l.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		ends = append(ends, l.Size())
	}
	b.finish(l)
	segment, _ := b.read(l.Base)
	if ends[len(ends)-1] != int64(len(segment)) {
		t.Fatalf("the segment has %d bytes, %d were synced", len(segment), ends[len(ends)-1])
	}
	first, _, _ := Vouched(bytes.NewReader(segment[:ends[0]-1]))
	check := func(what string, at int64, file []byte) {
		t.Helper()
		want := first
		for _, e := range ends {
			if at >= e {
				want = e
			}
		}
		if end, ok, err := Vouched(bytes.NewReader(file)); end != want || !ok || err != nil {
			t.Fatalf("%s at byte %d: %d, %v %v, want %d", what, at, end, ok, err, want)
		}
	}
	check("whole", int64(len(segment)), segment)
	for at := first; at < int64(len(segment)); at++ {
		check("cut", at, segment[:at])
	}
	before := first
	for _, end := range ends {
		for at := before &^ 511; at < end; at += 512 { // what the disk did not write of it
			bad := bytes.Clone(segment[:end])
			clear(bad[max(at, before):min(at+512, end)])
			check("sector lost", before, bad)
		}
		before = end
	}
	if end, ok, err := Vouched(bytes.NewReader(make([]byte, 8192))); end != 0 || !ok || err != nil {
		t.Errorf("zeros: %d, %v %v", end, ok, err)
	}
	if _, ok, err := Vouched(bytes.NewReader(withoutSums(segment))); ok || err != nil {
		t.Errorf("without sums: %v %v", ok, err)
	}
}

// withoutSums is the segment as it was before there were sums.
func withoutSums(segment []byte) (out []byte) {
	for len(segment) > 0 {
		size := binary.LittleEndian.Uint32(segment[4:])
		if binary.LittleEndian.Uint32(segment) != blockSum {
			out = append(out, segment[:size]...)
		}
		segment = segment[size:]
	}
	return out
}
