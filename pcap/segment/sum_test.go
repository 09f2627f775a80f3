package segment

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// Sums vouch for what was written and synced, whatever byte of it is not what it was.
func TestVouched(t *testing.T) {
	b := newBench(t)
	packets := traffic(60)
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
	if end, ok, err := Vouched(bytes.NewReader(segment)); end != int64(len(segment)) || !ok || err != nil {
		t.Fatalf("whole: %d of %d, %v %v", end, len(segment), ok, err)
	}
	first, _, _ := Vouched(bytes.NewReader(segment[:ends[0]-1]))
	for at := first; at < int64(len(segment)); at += 7 {
		want := first
		for _, e := range ends {
			if at >= e {
				want = e
			}
		}
		bad := bytes.Clone(segment)
		bad[at] ^= 0x10
		if end, ok, err := Vouched(bytes.NewReader(bad)); end != want || !ok || err != nil {
			t.Fatalf("byte %d is wrong: %d, %v %v, want %d", at, end, ok, err, want)
		}
		if end, ok, err := Vouched(bytes.NewReader(segment[:at])); end != want || !ok || err != nil {
			t.Fatalf("cut at byte %d: %d, %v %v, want %d", at, end, ok, err, want)
		}
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
