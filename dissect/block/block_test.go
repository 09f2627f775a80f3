package block

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/snappy"

	"github.com/sshark/sshark/pcap/memtest"
)

func samples() [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 3000)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	return [][]byte{
		{}, []byte("a"), []byte("hello, hello, hello, hello"), bytes.Repeat([]byte{0}, 100_000),
		[]byte(strings.Repeat("the quick brown fox jumps over the lazy dog. ", 3000)), noise,
		append(append([]byte(nil), noise...), noise...),
	}
}

// TestSnappy: all of a block and its beginnings are what the library says.
func TestSnappy(t *testing.T) {
	for _, want := range samples() {
		enc := snappy.Encode(nil, want)
		if n, ok := SnappyLen(enc); !ok || n != uint64(len(want)) {
			t.Errorf("length %d, want %d", n, len(want))
		}
		got, err := Snappy(nil, enc, 1<<20)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes, want %d: %v", len(got), len(want), err)
		}
		for n := 0; n < len(enc); n += 1 + len(enc)/100 {
			got, err := Snappy([]byte("kept"), enc[:n], 1<<20)
			if !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.HasPrefix(want, got[4:]) {
				t.Errorf("cut at %d: %d bytes, %v", n, len(got), err)
			}
		}
		limit := len(want) / 2
		if got, err := Snappy(nil, enc, limit); err != nil || !bytes.Equal(got, want[:limit]) {
			t.Errorf("limit %d: %d bytes, %v", limit, len(got), err)
		}
	}
}

func TestLZ4(t *testing.T) {
	for _, test := range []struct {
		name, hex, want string
		err             error
	}{
		{"empty", "00", "", nil},
		{"literal", "1061", "a", nil},
		{"match", "16610100" + "5062626262" + "62", "a" + strings.Repeat("a", 10) + "bbbbb", nil},
		{"long match", "1f610100ff00" + "5062626262" + "62", "a" + strings.Repeat("a", 274) + "bbbbb", nil},
		{"long literal", "f00161616161" + "61616161616161616161" + "6162", strings.Repeat("a", 15) + "b", nil},
		{"cut literal", "506162", "ab", io.ErrUnexpectedEOF},
		{"cut length", "f0ff", "", io.ErrUnexpectedEOF},
		{"cut offset", "106101", "a", io.ErrUnexpectedEOF},
		{"offset 0", "10610000", "a", ErrCorrupt},
		{"too far", "10610200", "a", ErrCorrupt},
	} {
		src, err := hex.DecodeString(test.hex)
		if err != nil {
			t.Fatal(err)
		}
		got, err := LZ4(nil, 0, src, 1<<20)
		if string(got) != test.want || !errors.Is(err, test.err) {
			t.Errorf("%s: %q, %v", test.name, got, err)
		}
		for limit := range len(test.want) {
			if got, _ := LZ4([]byte("x"), 1, src, limit); string(got) != "x"+test.want[:limit] {
				t.Errorf("%s, limit %d: %q", test.name, limit, got)
			}
		}
	}
	got, err := LZ4([]byte("abcd"), 0, []byte{0x00, 4, 0, 0}, 100)
	if string(got) != "abcdabcd" || err != nil {
		t.Errorf("a block that depends on the last: %q, %v", got, err)
	}
}

func FuzzSnappy(f *testing.F) {
	for _, s := range samples() {
		f.Add(snappy.Encode(nil, s)[:])
	}
	memory := memtest.New(16 << 20)
	f.Fuzz(func(t *testing.T, src []byte) {
		memory.Input()
		defer memory.Check(t)
		if n, _ := SnappyLen(src); n > 1<<20 {
			return
		}
		got, err := Snappy(nil, src, 1<<20)
		// The library also takes S2's repeats, which a Snappy block has not.
		if want, bad := snappy.Decode(nil, src); bad == nil && err == nil && !bytes.Equal(got, want) {
			t.Errorf("%q; want %q", got, want)
		}
		if got, err := Snappy(nil, snappy.Encode(nil, src), 1<<20); err != nil || !bytes.Equal(got, src[:min(len(src), 1<<20)]) {
			t.Errorf("%q, %v; want %q", got, err, src)
		}
	})
}

func FuzzLZ4(f *testing.F) {
	for _, s := range []string{"16610100506262626262", "1f610100ff00506262626262", "f0ff"} {
		b, _ := hex.DecodeString(s)
		f.Add(b)
	}
	memory := memtest.New(16 << 20)
	f.Fuzz(func(t *testing.T, src []byte) {
		memory.Input()
		defer memory.Check(t)
		const limit = 1 << 16
		got, err := LZ4(nil, 0, src, limit)
		if len(got) > limit {
			t.Errorf("%d bytes", len(got))
		}
		again, _ := LZ4(nil, 0, src, len(got)/2)
		if !bytes.Equal(again, got[:len(again)]) || len(again) != len(got)/2 && err == nil {
			t.Error("a limit changes what is decoded")
		}
	})
}
