package http2

import (
	"strings"

	"golang.org/x/net/http2/hpack"
)

// huffman is the code of HPACK (RFC 7541, appendix B). Codes of one length are consecutive
// numbers, and longer ones are greater, so the first code of each length tells them all.
type huffman struct {
	short [512]code // by the next nine bits; n is 0 where the code is longer
	first [32]uint64
	count [32]uint64
	index [32]int
	order [257]byte // symbols by length and code
}

type code struct{ symbol, n uint8 }

// codes are made from the library's encoder.
var codes = func() (h huffman) {
	type coded struct {
		bits uint64 // left aligned
		n    int
	}
	var table [256]coded
	for c := range table {
		s := string([]byte{byte(c)})
		n := int(hpack.HuffmanEncodeLength(strings.Repeat(s, 8)))
		var bits uint64
		for i, b := range hpack.AppendHuffmanString(nil, s) {
			bits |= uint64(b) << (56 - 8*i)
		}
		table[c] = coded{bits &^ (1<<(64-n) - 1), n}
	}
	at := 0
	for n := range h.first {
		h.index[n], h.first[n] = at, 1<<63
		for at < 256 {
			// The least code of this length that is not in order yet.
			least := -1
			for c, x := range table {
				if x.n == n && (least < 0 || x.bits < table[least].bits) {
					least = c
				}
			}
			if least < 0 {
				break
			}
			if h.count[n] == 0 {
				h.first[n] = table[least].bits >> (64 - n)
			}
			if n <= 9 {
				from := table[least].bits >> 55
				for i := range uint64(1) << (9 - n) {
					h.short[from+i] = code{byte(least), byte(n)}
				}
			}
			h.order[at] = byte(least)
			h.count[n]++
			at++
			table[least].n = -1
		}
	}
	return h
}()

// appendHuffman appends what was coded; ok is false where it is no code or ends in one.
func appendHuffman(dst, b []byte) (out []byte, ok bool) {
	var bits uint64 // left aligned
	n := 0
	for {
		for n <= 56 && len(b) > 0 {
			bits |= uint64(b[0]) << (56 - n)
			b = b[1:]
			n += 8
		}
		c := codes.short[bits>>55]
		if c.n == 0 {
			if c = codes.long(bits); c.n == 0 {
				break
			}
		}
		if int(c.n) > n {
			break
		}
		dst = append(dst, c.symbol)
		bits <<= c.n
		n -= int(c.n)
	}
	// What is left is padding: less than a byte, all ones.
	return dst, len(b) == 0 && n < 8 && bits>>(64-n) == 1<<n-1
}

// long finds a code of ten bits or more; n is 0 if there is none.
func (h *huffman) long(bits uint64) code {
	for n := 10; n <= 30; n++ {
		if i := bits>>(64-n) - h.first[n]; i < h.count[n] {
			return code{h.order[h.index[n]+int(i)], uint8(n)}
		}
	}
	return code{}
}
