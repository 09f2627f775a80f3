package store

import (
	"fmt"
	"io"

	"github.com/sshark/sshark/pcap/segment"
)

// section reads a file from its beginning.
func section(f io.ReaderAt, size int64) io.Reader { return io.NewSectionReader(f, 0, size) }

// used is what is on the disk or reserved for what is being written; with mu held.
func (s *Store) used() int64 {
	n := s.other
	for _, e := range s.segments {
		n += e.bytes
	}
	return n
}

// take removes the oldest segment that nobody reads from the list, nil if there is none;
// with mu held.
func (s *Store) take() *entry {
	for n, e := range s.segments {
		if e.done && e.pins == 0 {
			s.segments = append(s.segments[:n:n], s.segments[n+1:]...)
			e.gone = true
			return e
		}
	}
	return nil
}

func (s *Store) oldest() *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.take()
}

// makeRoom asks for the oldest segments to be deleted until there is room for another. The
// flusher deletes them before it writes anything of the new one.
func (s *Store) makeRoom() bool {
	s.mu.Lock()
	low := s.lowSpace
	for !low && s.o.MaxBytes > 0 && s.used()+s.o.SegmentBytes > s.o.MaxBytes {
		e := s.take()
		if e == nil {
			used := s.used()
			s.mu.Unlock()
			s.setTrouble(fmt.Sprintf("the quota of %d bytes is used up (%d) by segments that are being read or written", s.o.MaxBytes, used))
			return false
		}
		s.jobs <- job{kind: removeSegment, e: e}
	}
	s.mu.Unlock()
	return !low
}

// tidy deletes what is too old, and makes room on a disk that fills up.
func (s *Store) tidy() {
	if s.o.MaxAge > 0 {
		limit := s.o.Clock.Now().Add(-s.o.MaxAge).UnixNano()
		var old []*entry
		s.mu.Lock()
		for n := 0; n < len(s.segments); {
			e := s.segments[n]
			if e.done && e.pins == 0 && e.header.Last < limit {
				e.gone = true
				old = append(old, e)
				s.segments = append(s.segments[:n:n], s.segments[n+1:]...)
				continue
			}
			n++
		}
		s.mu.Unlock()
		for _, e := range old {
			s.remove(e)
		}
	}
	s.mu.Lock()
	for s.o.MaxBytes > 0 && s.used() > s.o.MaxBytes { // the quota was lowered, or a pin held it up
		e := s.take()
		if e == nil {
			break
		}
		s.mu.Unlock()
		s.remove(e)
		s.mu.Lock()
	}
	s.mu.Unlock()
	if s.o.MinFree <= 0 {
		return
	}
	for {
		free, err := s.o.FS.Free(s.o.Dir)
		if err != nil {
			s.o.Log.Warn("free space is not known", "store", s.o.Dir, "error", err)
			return
		}
		low := int64(free) < s.o.MinFree
		if low {
			if e := s.oldest(); e != nil {
				s.remove(e)
				continue
			}
		}
		s.mu.Lock()
		was := s.lowSpace
		s.lowSpace = low
		s.mu.Unlock()
		if low {
			s.setTrouble(fmt.Sprintf("%d bytes are free on the disk of %s, and %d are to stay free", free, s.o.Dir, s.o.MinFree))
			// The open segment ends here; its bytes are the first to go.
			if s.ap.TryLock() {
				s.finish()
				s.ap.Unlock()
			}
		} else if was {
			s.setTrouble("")
		}
		return
	}
}

// remove deletes a segment that was taken from the list.
func (s *Store) remove(e *entry) {
	// The index goes last: without its segment it means nothing, and is deleted at Open.
	for _, ext := range [...]string{segment.ExtSegment, segment.ExtIndex} {
		if err := s.o.FS.Remove(s.path(e.base, ext)); err != nil {
			s.note("delete %s%s: %v", e.base, ext, err)
		}
	}
}
