package http2

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/dissect/http"
	"github.com/sshark/sshark/pcap/memtest"
)

func text(pairs []http.Pair) string {
	var b strings.Builder
	for _, p := range pairs {
		fmt.Fprintf(&b, "%s: %s\n", p.Name, p.Value)
	}
	return b.String()
}

// TestTable: header lists that the library has compressed, with tables of changing sizes.
func TestTable(t *testing.T) {
	names := []string{":path", "accept", "x-a", "x-b", "cookie", "a-name-that-is-rather-long-for-a-header"}
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 7))
		var block bytes.Buffer
		enc := hpack.NewEncoder(&block)
		enc.SetMaxDynamicTableSizeLimit(1 << 20)
		table := newTable()
		for range 100 {
			block.Reset()
			if r.IntN(10) == 0 {
				enc.SetMaxDynamicTableSize(uint32(r.IntN(9000)))
			}
			var want strings.Builder
			for range 1 + r.IntN(10) {
				value := make([]byte, r.IntN(40))
				for i := range value {
					value[i] = byte(r.IntN(256))
					if r.IntN(3) > 0 {
						value[i] = "etaoin 0123"[r.IntN(11)]
					}
				}
				name := names[r.IntN(len(names))]
				fmt.Fprintf(&want, "%s: %s\n", name, value)
				enc.WriteField(hpack.HeaderField{Name: name, Value: string(value), Sensitive: r.IntN(10) == 0})
			}
			var l list
			if !table.decode(block.Bytes(), &l) || l.unknown > 0 || text(l.pairs) != want.String() {
				t.Fatalf("seed %d: %d unknown\n%q, want\n%q", seed, l.unknown, text(l.pairs), want.String())
			}
			if size := table.max; table.size > size || len(table.data) > 4*maxTableSize {
				t.Fatalf("table of %d in %d bytes, limit %d", table.size, len(table.data), size)
			}
		}
	}
}

// TestHuffman: each byte, and what is no code.
func TestHuffman(t *testing.T) {
	var all []byte
	for c := range 256 {
		all = append(all, byte(c))
		for n := 1; n < 9; n++ {
			s := bytes.Repeat([]byte{byte(c)}, n)
			if got, ok := appendHuffman(nil, hpack.AppendHuffmanString(nil, string(s))); !ok || !bytes.Equal(got, s) {
				t.Errorf("%d times %#x: %q, %v", n, c, got, ok)
			}
		}
	}
	if got, ok := appendHuffman(nil, hpack.AppendHuffmanString(nil, string(all))); !ok || !bytes.Equal(got, all) {
		t.Errorf("%q, %v", got, ok)
	}
	for _, bad := range []string{"\xff", "\xff\xff\xff\xff", "\x00", "\x07\xff\xff"} {
		if got, ok := appendHuffman(nil, []byte(bad)); ok {
			t.Errorf("%q is %q", bad, got)
		}
	}
}

// TestBadBlocks: what is no header block, and what is one as long as the table is not known.
func TestBadBlocks(t *testing.T) {
	for _, tt := range []struct {
		block   string
		ok      bool
		unknown int
	}{
		{"", true, 0},
		{"\x82", true, 0},
		{"\x80", false, 0},                          // index 0
		{"\xbe", true, 1},                           // the newest entry
		{"\x7f\x00\x03abc", true, 1},                // value of an unknown name
		{"\x40\x01a\x01b\xbe\xbf", true, 1},         // what was added is known, what is older is not
		{"\x40\x05a", false, 0},                     // cut
		{"\x40\x81\x00\x00", false, 0},              // bad padding
		{"\xff\xff\xff\xff\xff\xff\x7f", false, 0},  // a number without end
		{"\x3f\xe1\x1f\x82", true, 0},               // change of the size
		{"\x20\x40\x01a\x01b\xbe", true, 1},         // no table at all
		{"\x10\x01a\x01b\x00\x01c\x01d", true, 0},   // never and not indexed
		{"\x00\x7f\xff\xff\xff\xff\x00a", false, 0}, // longer than there is
	} {
		table := newTable()
		var l list
		if ok := table.decode([]byte(tt.block), &l); ok != tt.ok || ok && l.unknown != tt.unknown {
			t.Errorf("%q: %v, %d unknown; want %v, %d", tt.block, ok, l.unknown, tt.ok, tt.unknown)
		}
	}
}

// endless says whether a number may have more bytes than ours may, which the library bears.
func endless(b []byte) bool {
	run := 0
	for _, c := range b {
		if run++; c < 0x80 {
			run = 0
		}
		if run == 5 {
			return true
		}
	}
	return false
}

// FuzzBlock: where the library knows what a block says, we say the same.
func FuzzBlock(f *testing.F) {
	f.Add([]byte("\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"), []byte("\x82\x86\x84\xbe\x58\x08no-cache"))
	f.Add([]byte("\x3f\xe1\x1f\x40\x0acustom-key\x0dcustom-header"), []byte("\x20\xbe"))
	memory := memtest.New(cuttest.Memory)
	f.Fuzz(func(t *testing.T, first, second []byte) {
		memory.Input()
		defer memory.Check(t)
		table := newTable()
		d := hpack.NewDecoder(firstTableSize, nil)
		d.SetAllowedMaxDynamicTableSize(1 << 31)
		for _, b := range [][]byte{first, second} {
			want, err := d.DecodeFull(b)
			var l, scratch list
			ok := table.decode(b, &l)
			if len(l.mem) > maxList+len(b)*2 || len(l.pairs) > http.MaxPairs {
				t.Errorf("%d bytes, %d fields", len(l.mem), len(l.pairs))
			}
			if w := classify(b, &scratch); w != garbage && !ok {
				t.Error("what can be no block makes sense")
			}
			if err != nil {
				return
			}
			if l.cut || table.max > maxTableSize || !ok && endless(b) {
				return
			}
			var s strings.Builder
			for _, f := range want {
				fmt.Fprintf(&s, "%s: %s\n", f.Name, f.Value)
			}
			if !ok || l.unknown > 0 || text(l.pairs) != s.String() {
				t.Fatalf("%v, %d unknown: %q, want %q", ok, l.unknown, text(l.pairs), s.String())
			}
		}
	})
}
