package stream

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/memtest"
)

// told is a receiver that notes messages and gaps.
type told struct{ list []string }

func (t *told) Data(d flow.Dir, b []byte, time int64) {
	t.list = append(t.list, fmt.Sprintf("%d %s", d, b))
}

func (t *told) Gap(d flow.Dir, n int64, time int64) {
	t.list = append(t.list, fmt.Sprintf("%d -%d", d, n))
}

// chunk is one chunk, padded.
func sctpChunk(kind, flags byte, value []byte) []byte {
	b := append([]byte{kind, flags}, binary.BigEndian.AppendUint16(nil, uint16(4+len(value)))...)
	b = append(b, value...)
	return append(b, make([]byte, -len(b)&3)...)
}

// data is a DATA chunk: its flags are letters of B, E and U.
func data(flags string, tsn uint32, stream, ssn uint16, text string) []byte {
	be := binary.BigEndian
	v := be.AppendUint32(nil, tsn)
	v = be.AppendUint16(be.AppendUint16(v, stream), ssn)
	v = append(be.AppendUint32(v, 46), text...)
	return sctpChunk(chunkData, bits(flags), v)
}

// idata is an I-DATA chunk.
func idata(flags string, tsn uint32, stream uint16, mid, fsn uint32, text string) []byte {
	be := binary.BigEndian
	v := be.AppendUint32(nil, tsn)
	v = be.AppendUint32(be.AppendUint16(be.AppendUint16(v, stream), 0), mid)
	v = append(be.AppendUint32(v, fsn), text...)
	return sctpChunk(chunkIData, bits(flags), v)
}

func bits(flags string) (b byte) {
	for i, c := range "EBU" {
		if strings.ContainsRune(flags, c) {
			b |= 1 << i
		}
	}
	return b
}

func TestSCTP(t *testing.T) {
	sack := sctpChunk(3, 0, make([]byte, 12))
	begin := sctpChunk(chunkInit, 0, make([]byte, 16))
	for _, tt := range []struct {
		name    string
		packets [][]byte // odd ones by the other side where the name ends in "both"
		want    []string
	}{
		{"one part", [][]byte{data("BE", 1, 0, 0, "hello")}, []string{"0 hello"}},
		{"bundled with others", [][]byte{slices.Concat(sack, data("BE", 1, 0, 0, "a"), data("BE", 2, 0, 1, "bc"))}, []string{"0 a", "0 bc"}},
		{"parts", [][]byte{data("B", 1, 0, 0, "a"), data("", 2, 0, 0, "b"), data("E", 3, 0, 0, "c")}, []string{"0 abc"}},
		{"parts in another order", [][]byte{data("E", 3, 0, 0, "c"), data("B", 1, 0, 0, "a"), data("B", 4, 0, 1, "d"), data("", 2, 0, 0, "b"), data("E", 5, 0, 1, "e")}, []string{"0 abc", "0 de"}},
		{"messages side by side", [][]byte{data("B", 1, 0, 0, "a"), data("E", 2, 0, 0, "b"), data("B", 3, 0, 1, "c"), data("E", 4, 0, 1, "d")}, []string{"0 ab", "0 cd"}},
		{"of other streams", [][]byte{data("B", 1, 0, 0, "a"), data("E", 2, 1, 0, "b")}, []string{"0 -2"}},
		{"twice", [][]byte{data("BE", 1, 0, 0, "a"), data("BE", 1, 0, 0, "a"), data("BE", 2, 0, 1, "b"), data("BE", 1, 0, 0, "a")}, []string{"0 a", "0 b"}},
		{"late", [][]byte{data("BE", 2, 0, 1, "b"), data("BE", 1, 0, 0, "a")}, []string{"0 b", "0 a"}},
		{"far behind", [][]byte{data("BE", 5000, 0, 1, "b"), data("BE", 5000-tsnWindow, 0, 0, "a")}, []string{"0 b"}},
		{"far ahead", [][]byte{data("BE", 1, 0, 1, "a"), data("BE", 9000, 0, 0, "b"), data("BE", 9000, 0, 0, "b"), data("BE", 8999, 0, 0, "c")}, []string{"0 a", "0 b", "0 c"}},
		{"numbers that begin again", [][]byte{data("B", 0xffffffff, 0, 0, "a"), data("E", 0, 0, 0, "b"), data("BE", 1, 0, 1, "c"), data("BE", 0, 0, 1, "c")}, []string{"0 ab", "0 c"}},
		{"a new association", [][]byte{data("BE", 1, 0, 0, "a"), data("B", 2, 0, 1, "lost"), begin, data("BE", 1, 0, 0, "a")}, []string{"0 a", "0 -4", "0 a"}},
		{"part that is missing", [][]byte{data("B", 1, 0, 0, "a"), data("E", 3, 0, 0, "c")}, []string{"0 -2"}},
		{"interleaved", [][]byte{idata("B", 1, 0, 0, 46, "a"), idata("B", 2, 1, 0, 46, "x"), idata("", 3, 0, 0, 1, "b"), idata("E", 4, 1, 0, 1, "y"), idata("E", 5, 0, 0, 2, "c"), idata("BE", 6, 0, 1, 46, "z")},
			[]string{"0 xy", "0 abc", "0 z"}},
		{"unordered", [][]byte{data("UB", 1, 0, 0, "a"), data("UE", 2, 0, 0, "b")}, []string{"0 ab"}},
		{"cut", [][]byte{data("BE", 1, 0, 0, "hello")[:19], data("B", 2, 0, 0, "hello")[:18]}, []string{"0 hel", "0 -2"}},
		{"no data", [][]byte{data("BE", 1, 0, 0, ""), {0, 3, 0, 3}, {0, 3}, sctpChunk(chunkData, 3, []byte{1})}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := &told{}
			var s SCTP
			for _, b := range tt.packets {
				s.Packet(0, b, 1, k)
			}
			s.Close(1, k)
			if !slices.Equal(k.list, tt.want) {
				t.Errorf("got %q, want %q", k.list, tt.want)
			}
		})
	}
}

// TestSCTPAnyOrder: whatever the order of the parts, each message is told once.
func TestSCTPAnyOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var packets [][]byte
		var want []string
		tsn := r.Uint32()
		for m := range 10 {
			n := 1 + r.IntN(6)
			text := ""
			for i := range n {
				flags := ""
				if i == 0 {
					flags = "B"
				}
				if i == n-1 {
					flags += "E"
				}
				part := fmt.Sprintf("%d.%d;", m, i)
				packets = append(packets, data(flags, tsn, 0, uint16(m), part))
				text += part
				tsn++
			}
			want = append(want, "1 "+text)
		}
		r.Shuffle(len(packets), func(i, j int) { packets[i], packets[j] = packets[j], packets[i] })
		k := &told{}
		var s SCTP
		for _, b := range packets {
			s.Packet(1, b, 1, k)
		}
		s.Close(1, k)
		slices.Sort(k.list)
		slices.Sort(want)
		if !slices.Equal(k.list, want) {
			t.Fatalf("got %q, want %q", k.list, want)
		}
	}
}

// TestSCTPBounded: parts of messages that never end do not pile up.
func TestSCTPBounded(t *testing.T) {
	k := &told{}
	var s SCTP
	for n := range uint32(5000) {
		s.Packet(0, data("B", 2*n, 0, uint16(n), strings.Repeat("x", 1000)), 1, k)
		if h := &s.half[0]; len(h.parts) > maxParts || h.held > maxPartsHeld || len(h.order) > 2*maxParts+1 {
			t.Fatalf("%d parts of %d bytes, %d in order", len(h.parts), h.held, len(h.order))
		}
	}
	s.Close(1, k)
}

func FuzzSCTP(f *testing.F) {
	f.Add(slices.Concat(data("B", 1, 0, 0, "a"), data("E", 2, 0, 0, "b")), data("BE", 1, 0, 0, "c"))
	f.Add(slices.Concat(idata("B", 1, 0, 0, 46, "a"), idata("E", 2, 0, 0, 1, "b")), sctpChunk(chunkInit, 0, make([]byte, 16)))
	memory := memtest.New(16 << 20)
	f.Fuzz(func(t *testing.T, a, b []byte) {
		memory.Input()
		defer memory.Check(t)
		k := &told{}
		var s SCTP
		s.Packet(0, a, 1, k)
		s.Packet(1, b, 1, k)
		s.Packet(0, b, 1, k)
		s.Close(1, k)
		if s.half[0].held+s.half[1].held != 0 {
			t.Error("bytes are held after the end")
		}
	})
}

func BenchmarkSCTP(b *testing.B) {
	var packet []byte
	for i := range uint32(4) {
		packet = append(packet, data("BE", i, 0, uint16(i), strings.Repeat("x", 300))...)
	}
	var s SCTP
	none := nothing{}
	b.ReportAllocs()
	b.SetBytes(int64(len(packet)))
	for n := uint32(0); b.Loop(); n += 4 {
		for i, at := uint32(0), 4; at < len(packet); i, at = i+1, at+len(packet)/4 {
			binary.BigEndian.PutUint32(packet[at:], n+i)
		}
		s.Packet(0, packet, 1, none)
	}
}

type nothing struct{}

func (nothing) Data(flow.Dir, []byte, int64) {}
func (nothing) Gap(flow.Dir, int64, int64)   {}
