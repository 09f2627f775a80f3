package cassandra

import (
	"github.com/sshark/sshark/dissect/block"
)

// segment is the header of one (specification of version 5, 2.2): without compression 17 bits of
// length, one that says whether the messages in it are whole, and 24 of a checksum; with
// compression 17 bits more, of the length before it. What is in it, and its checksum, follow.
type segment struct {
	head   int // bytes of the header
	length int // of what follows, without the checksum
	plain  int // bytes that it decodes to, 0: it is not compressed
	whole  bool
}

const (
	plainHead  = 6
	packedHead = 8
	trailer    = 4 // a checksum
	lengthBits = 17
	maxSegment = 1<<lengthBits - 1
)

// verdict is what a look at bytes came to.
type verdict uint8

const (
	bad verdict = iota
	more
	good
)

// parseSegment reads the header of a segment, of the form that it has with compression or
// without.
func parseSegment(b []byte, packed bool) (s segment, v verdict) {
	s.head = plainHead
	if packed {
		s.head = packedHead
	}
	if len(b) < s.head {
		return s, more
	}
	n := s.head - 3
	var bits uint64
	for i := range n {
		bits |= uint64(b[i]) << (8 * i)
	}
	if crc24(b[:n]) != uint32(b[n])|uint32(b[n+1])<<8|uint32(b[n+2])<<16 {
		return s, bad
	}
	s.length = int(bits & maxSegment)
	bits >>= lengthBits
	if packed {
		s.plain = int(bits & maxSegment)
		bits >>= lengthBits
	}
	s.whole = bits&1 != 0
	if bits>>1 != 0 || s.length == 0 {
		return s, bad
	}
	return s, good
}

// open appends up to limit bytes of what is in a segment, as far as it is there.
func (s *segment) open(dst, b []byte, limit int) []byte {
	if s.plain == 0 {
		return append(dst, b[:min(len(b), limit)]...)
	}
	dst, _ = block.LZ4(dst, len(dst), b, min(limit, s.plain))
	return dst
}

// size is how many bytes the messages in it have.
func (s *segment) size() int {
	if s.plain > 0 {
		return s.plain
	}
	return s.length
}

// crc24 is the checksum of a segment's header (2.2.1).
func crc24(b []byte) uint32 {
	const (
		begin = 0x875060
		poly  = 0x1974F0B
	)
	crc := uint32(begin)
	for _, c := range b {
		crc ^= uint32(c) << 16
		for range 8 {
			if crc <<= 1; crc&0x1000000 != 0 {
				crc ^= poly
			}
		}
	}
	return crc
}
