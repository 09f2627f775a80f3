package quic

import "slices"

// Limits of what is held of one side's hellos.
const (
	maxCrypto    = 32 << 10 // bytes
	maxFragments = 256
)

// fragment is what one CRYPTO frame brought.
type fragment struct {
	off, n int // in the stream
	at     int // in memory
}

// cryptoStream is the beginning of one side's stream of handshake messages, put together from
// frames in any order (RFC 9000, 19.6). It holds no more than was sent.
type cryptoStream struct {
	mem       []byte
	fragments []fragment // by offset
	joined    []byte
	read      int // messages before here were taken
}

// add takes a frame; one that says nothing new, or is beyond the limits, is not kept.
func (s *cryptoStream) add(off uint64, b []byte) {
	if len(b) == 0 || off+uint64(len(b)) > maxCrypto || len(s.mem)+len(b) > maxCrypto || len(s.fragments) >= maxFragments {
		return
	}
	f := fragment{off: int(off), n: len(b), at: len(s.mem)}
	for _, g := range s.fragments {
		if g.off <= f.off && g.off+g.n >= f.off+f.n {
			return
		}
	}
	i, _ := slices.BinarySearchFunc(s.fragments, f.off, func(g fragment, off int) int { return g.off - off })
	s.fragments = slices.Insert(s.fragments, i, f)
	s.mem = append(s.mem, b...)
}

// bytes is the stream as far as it has no hole. It is valid until the next one is asked for.
func (s *cryptoStream) bytes() []byte {
	s.joined = s.joined[:0]
	for _, f := range s.fragments {
		if f.off > len(s.joined) {
			break
		}
		if skip := len(s.joined) - f.off; skip < f.n {
			s.joined = append(s.joined, s.mem[f.at+skip:f.at+f.n]...)
		}
	}
	return s.joined
}

// next is the next message, with its header; nil if it is not all there.
func (s *cryptoStream) next() []byte {
	b := s.bytes()[s.read:]
	if len(b) < 4 {
		return nil
	}
	n := 4 + int(b[1])<<16 + int(b[2])<<8 + int(b[3])
	if n > len(b) {
		return nil
	}
	s.read += n
	return b[:n]
}
