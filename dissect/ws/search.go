package ws

import "unicode/utf8"

// How frames are found again: what is held, and how many must follow each other.
const (
	maxSearch = 64 << 10
	manyOfIt  = 3
)

// search looks for frames behind a hole.
type search struct{ buf []byte }

func (s *search) reset() { s.buf = s.buf[:0] }

// data takes a segment, and returns what is to be read once frames were found.
func (s *search) data(b []byte) []byte {
	if len(s.buf)+len(b) > maxSearch {
		s.reset()
	}
	if len(b) > maxSearch {
		return nil
	}
	from := len(s.buf)
	s.buf = append(s.buf, b...)
	whole := s.buf
	n, exact, ok := frames(whole)
	if !ok && from > 0 {
		whole = whole[from:]
		n, exact, ok = frames(whole)
		s.buf = s.buf[:copy(s.buf, whole)]
		whole = s.buf
	}
	switch {
	case !ok:
		s.reset()
		return nil
	case n < manyOfIt || !exact:
		return nil
	}
	s.buf = nil
	return whole
}

// frames counts the frames that b is made of; exact says that it ends where one does, ok that
// nothing in it speaks against it.
func frames(b []byte) (n int, exact, ok bool) {
	masked := len(b) >= 2 && b[1]&0x80 != 0 // as all of a side are
	for len(b) > 0 {
		var f frame
		need, valid := f.parse(b)
		if !valid || len(b) >= 2 && f.masked != masked {
			return n, false, false
		}
		if len(b) < need || uint64(len(b)-need) < f.length {
			return n, false, true
		}
		payload := b[need : need+int(f.length)]
		if f.opcode == opText && f.fin && !f.packed && !f.masked && !utf8.Valid(payload) {
			return n, false, false
		}
		n++
		b = b[need+int(f.length):]
	}
	return n, true, true
}
