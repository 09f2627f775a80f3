// Package block decodes the beginning of blocks of Snappy (its format description, google/snappy)
// and LZ4 (its block format description, lz4/lz4).
//
// Who dissects holds the beginning of a message and wants the beginning of what is in it.
// Libraries decode whole blocks or nothing, and a whole block may be far larger than what is
// asked for; here a block that was cut gives what it has, and a limit bounds time and memory.
package block

import (
	"encoding/binary"
	"errors"
	"io"
)

// ErrCorrupt says that a block is none. io.ErrUnexpectedEOF says that it was cut. With either
// come the bytes that were decoded before.
var ErrCorrupt = errors.New("corrupt block")

// SnappyLen is the decoded length that a Snappy block claims.
func SnappyLen(src []byte) (n uint64, ok bool) {
	n, k := binary.Uvarint(src)
	return n, k > 0 && n <= 1<<32-1
}

// Snappy appends up to limit bytes of what src decodes to.
func Snappy(dst, src []byte, limit int) ([]byte, error) {
	n, k := binary.Uvarint(src)
	switch {
	case k == 0:
		return dst, io.ErrUnexpectedEOF
	case k < 0 || n > 1<<32-1:
		return dst, ErrCorrupt
	}
	o := out{dst: dst, base: len(dst), limit: len(dst) + int(min(uint64(limit), n))}
	for src = src[k:]; len(o.dst) < o.limit; {
		if len(src) == 0 {
			return o.dst, io.ErrUnexpectedEOF
		}
		tag := src[0]
		n, need := int(tag>>2)+1, 0
		switch tag & 3 {
		case 0:
			if need = n - 60; need <= 0 {
				need = 0
			}
		case 1:
			n, need = int(tag>>2&7)+4, 1
		case 2:
			need = 2
		case 3:
			need = 4
		}
		if src = src[1:]; len(src) < need {
			return o.dst, io.ErrUnexpectedEOF
		}
		arg := 0
		for i := range need {
			arg |= int(src[i]) << (8 * i)
		}
		src = src[need:]
		if tag&3 == 0 {
			if need > 0 {
				n = arg + 1
			}
			var ok bool
			if src, ok = o.literal(src, n); !ok {
				return o.dst, io.ErrUnexpectedEOF
			}
			continue
		}
		if tag&3 == 1 {
			arg |= int(tag>>5) << 8
		}
		if !o.copy(arg, n) {
			return o.dst, ErrCorrupt
		}
	}
	return o.dst, nil
}

// LZ4 appends up to limit bytes of what src decodes to. A block does not tell how long that
// is. What dst has from base on may be referred to, as in blocks that depend on each other.
func LZ4(dst []byte, base int, src []byte, limit int) ([]byte, error) {
	o := out{dst: dst, base: base, limit: len(dst) + limit}
	for len(src) > 0 && len(o.dst) < o.limit {
		token := src[0]
		n, rest, ok := lz4Length(int(token>>4), src[1:])
		if !ok {
			return o.dst, io.ErrUnexpectedEOF
		}
		if src, ok = o.literal(rest, n); !ok {
			return o.dst, io.ErrUnexpectedEOF
		}
		if len(src) == 0 || len(o.dst) >= o.limit { // the last sequence has no match
			break
		}
		if len(src) < 2 {
			return o.dst, io.ErrUnexpectedEOF
		}
		offset := int(binary.LittleEndian.Uint16(src))
		if n, src, ok = lz4Length(int(token&15), src[2:]); !ok {
			return o.dst, io.ErrUnexpectedEOF
		}
		if !o.copy(offset, n+4) {
			return o.dst, ErrCorrupt
		}
	}
	return o.dst, nil
}

// lz4Length goes on with a length of four bits.
func lz4Length(n int, src []byte) (int, []byte, bool) {
	if n < 15 {
		return n, src, true
	}
	for i, c := range src {
		if n += int(c); c < 255 {
			return n, src[i+1:], true
		}
	}
	return n, nil, false
}

// out is what was decoded.
type out struct {
	dst   []byte
	base  int // where in dst references end
	limit int // of len(dst)
}

// literal takes n bytes of src, or what there is of them.
func (o *out) literal(src []byte, n int) (rest []byte, ok bool) {
	k := min(n, len(src))
	o.dst = append(o.dst, src[:min(k, o.limit-len(o.dst))]...)
	return src[k:], k == n
}

// copy repeats n bytes from offset bytes back.
func (o *out) copy(offset, n int) bool {
	from := len(o.dst) - offset
	if offset <= 0 || from < o.base {
		return false
	}
	for n = min(n, o.limit-len(o.dst)); n > 0; {
		k := min(n, len(o.dst)-from)
		o.dst = append(o.dst, o.dst[from:from+k]...)
		from += k
		n -= k
	}
	return true
}
