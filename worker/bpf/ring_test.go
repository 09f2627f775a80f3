package bpf

import (
	"encoding/binary"
	"testing"
)

// fakeRing is a ring in plain memory, and how the kernel would write to it.
type fakeRing struct {
	*Ring
	memory   []byte
	size     int
	produced uint64
}

func newFakeRing(size int) *fakeRing {
	const page = 4096
	f := &fakeRing{memory: make([]byte, page+2*size), size: size}
	f.Ring = ringOf(make([]byte, page), f.memory, page, size)
	return f
}

func (f *fakeRing) put(flags uint32, slot uint32, data []byte) {
	ne := binary.NativeEndian
	rec := make([]byte, recordHeader+int(headerSize), recordHeader+int(headerSize)+len(data))
	ne.PutUint32(rec, uint32(int(headerSize)+len(data))|flags)
	ne.PutUint32(rec[8+8:], slot)
	ne.PutUint32(rec[8+12:], uint32(len(data)))
	ne.PutUint32(rec[8+16:], uint32(len(data)))
	rec = append(rec, data...)
	at := int(f.produced) & (f.size - 1)
	for i, b := range rec { // the second half is the first one again
		f.memory[4096+at+i] = b
		f.memory[4096+(at+i+f.size)%(2*f.size)] = b
	}
	f.produced += uint64(len(rec)+7) &^ 7
	ne.PutUint64(f.memory, f.produced)
}

func TestRing(t *testing.T) {
	f := newFakeRing(4096)
	if h, _ := f.Next(); h != nil {
		t.Fatal("an empty ring has a record")
	}
	for i := range uint32(500) { // around many times
		data := make([]byte, i%700)
		for j := range data {
			data[j] = byte(i)
		}
		f.put(recordVoid, 9999, []byte("discarded"))
		f.put(0, i, data)
		h, got := f.Next()
		if h == nil || h.Slot != i || string(got) != string(data) || h.Captured != uint32(len(data)) {
			t.Fatalf("record %d: %+v %q", i, h, got)
		}
		if h, _ := f.Next(); h != nil {
			t.Fatalf("record %d comes twice", i)
		}
		f.Release()
		if f.Consumed() != f.produced || f.Produced() != f.produced {
			t.Fatalf("consumed %d of %d", f.Consumed(), f.produced)
		}
	}
}

// A record that is reserved and not yet submitted holds up those behind it.
func TestRingBusy(t *testing.T) {
	f := newFakeRing(4096)
	at := f.produced
	f.put(recordBusy, 1, []byte("first"))
	f.put(0, 2, []byte("second"))
	if h, _ := f.Next(); h != nil {
		t.Fatal("a busy record was given out")
	}
	binary.NativeEndian.PutUint32(f.memory[4096+at:], uint32(headerSize)+5)
	for _, want := range []string{"first", "second"} {
		if _, got := f.Next(); string(got) != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
}

func BenchmarkRing(b *testing.B) {
	f := newFakeRing(1 << 20)
	data := make([]byte, 64)
	n := 0
	for ; f.produced < 1<<20-256; n++ {
		f.put(0, 1, data)
	}
	b.ReportAllocs()
	sum := 0
	for b.Loop() {
		h, d := f.Next()
		if h == nil {
			f.at = 0
			continue
		}
		sum += len(d) + int(h.Slot)
	}
	if sum == 0 {
		b.Fatal("nothing was read")
	}
}
