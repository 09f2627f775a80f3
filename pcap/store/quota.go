package store

import (
	"fmt"
	"io"
	"slices"

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
		if s.free(e) {
			s.segments = append(s.segments[:n:n], s.segments[n+1:]...)
			e.gone = true
			return e
		}
	}
	return nil
}

// spare removes the oldest segment from the list if more is used than half of the share.
func (s *Store) spare() *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used() <= s.share()/2 {
		return nil
	}
	return s.take()
}

// share is what the store takes of a disk that others fill up: a quarter of its quota, or a
// few segments without one. MaxBytes is at least 8 segments.
func (s *Store) share() int64 {
	if s.o.MaxBytes > 0 {
		return s.o.MaxBytes / 4
	}
	return 8 * s.o.SegmentBytes
}

// limit is how much may be used now, 0: no bound; with mu held.
func (s *Store) limit() int64 {
	if s.low != "" {
		return s.share()
	}
	return s.o.MaxBytes
}

// roomy says whether there is room for another segment, or can be made; with mu held.
func (s *Store) roomy() bool {
	limit := s.limit()
	return limit == 0 || s.used()+s.o.SegmentBytes <= limit || slices.ContainsFunc(s.segments, s.free)
}

// makeRoom asks for the oldest segments to be deleted until there is room for another. The
// flusher deletes them before it writes anything of the new one.
func (s *Store) makeRoom() bool {
	s.mu.Lock()
	limit := s.limit()
	for limit > 0 && s.used()+s.o.SegmentBytes > limit {
		e := s.take()
		if e == nil {
			used := s.used()
			s.mu.Unlock()
			s.setTrouble(fmt.Sprintf("the quota of %d bytes is used up (%d) by segments that are being read or written", limit, used))
			return false
		}
		s.jobs <- job{kind: removeSegment, e: e}
	}
	s.mu.Unlock()
	return true
}

// tidy deletes what is too old, and makes room on a disk that fills up.
func (s *Store) tidy() {
	if s.o.MaxAge > 0 {
		limit := s.o.Clock.Uptime() - s.o.MaxAge
		var old []*entry
		s.mu.Lock()
		for n := 0; n < len(s.segments); {
			e := s.segments[n]
			if s.free(e) && e.lastAt < limit {
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
	if s.o.MinFree > 0 {
		s.leaveFree()
	}
}

// leaveFree deletes the oldest until MinFree is free on the disk, or only the store's share is
// left: what others put on the disk does not take that away.
func (s *Store) leaveFree() {
	for {
		free, err := s.o.FS.Free(s.o.Dir)
		if err != nil {
			s.o.Log.Warn("free space is not known", "store", s.o.Dir, "error", err)
			return
		}
		low := ""
		if int64(free) < s.o.MinFree {
			low = fmt.Sprintf("%d bytes are free on the disk of %s, and %d are to stay free: until then no more than %d bytes of packets are kept",
				free, s.o.Dir, s.o.MinFree, s.share())
		}
		s.mu.Lock()
		was := s.low
		s.low = low
		var e *entry
		if low != "" && s.used() > s.share() {
			e = s.take()
		}
		s.mu.Unlock()
		switch {
		case low != "" && was == "":
			s.o.Log.Warn("the disk fills up", "store", s.o.Dir, "reason", low)
		case low == "" && was != "":
			s.o.Log.Info("the disk has room again", "store", s.o.Dir)
			s.setTrouble("") // what failed is tried again with the next packet
		}
		if e == nil {
			return
		}
		s.remove(e)
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
