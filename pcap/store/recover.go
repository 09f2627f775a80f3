package store

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/segment"
)

// recover lists the segments, and puts in order what is not.
func (s *Store) recover() error {
	files, err := s.o.FS.List(s.o.Dir)
	if err != nil {
		return err
	}
	slices.SortFunc(files, func(a, b segment.FileInfo) int { return strings.Compare(a.Name, b.Name) })
	sizes := map[string]int64{}
	for _, f := range files {
		sizes[f.Name] = f.Size
	}
	var hidden []string
	for _, f := range files {
		base, seq, isHidden, ext, ok := segment.ParseName(f.Name)
		switch {
		case f.Name == lockFile:
		case f.Name == probe+segment.ExtSegment, f.Name == segment.Hidden(probe+segment.ExtSegment):
			if err := s.o.FS.Remove(s.path("", f.Name)); err != nil {
				s.note("delete %s: %v", f.Name, err)
			}
		case !ok && strings.HasSuffix(f.Name, brokenExt):
			s.other += f.Size
			s.note("%s is a damaged segment that was set aside; delete it when it is not needed", f.Name)
		case !ok:
			s.note("%s is no segment: it is left alone", f.Name)
		case isHidden && ext == segment.ExtIndex:
			if err := s.o.FS.Remove(s.path("", f.Name)); err != nil {
				s.note("delete %s: %v", f.Name, err)
			}
		case isHidden:
			hidden = append(hidden, base)
			s.seq = max(s.seq, seq)
		case ext == segment.ExtIndex:
			if _, has := sizes[base+segment.ExtSegment]; !has {
				s.orphan(base)
			}
		default:
			s.seq = max(s.seq, seq)
			s.list(base, seq, f.Size)
		}
	}
	for _, base := range hidden {
		x := limbo{base: base}
		err := s.adopt(&x)
		var version *segment.VersionError
		switch {
		case err == nil:
		case errors.As(err, &version), errors.Is(err, segment.ErrForeign):
			s.note(".%s%s is left alone: %v", base, segment.ExtSegment, err)
		default:
			s.waiting = append(s.waiting, incomplete(base, err))
			s.o.Log.Warn(incomplete(base, err), "store", s.o.Dir)
			s.limbo = append(s.limbo, x)
		}
	}
	s.seq++
	s.ages()
	s.restore()
	return nil
}

// ages tells how old the segments are, from the time of their packets. From now on it does not
// matter what the clock is set to. As segments are in order none is younger than those behind
// it, whatever the clock said when it was written.
func (s *Store) ages() {
	now, up := s.o.Clock.Now().UnixNano(), s.o.Clock.Uptime()
	last := now
	for _, e := range slices.Backward(s.segments) {
		last = min(last, e.header.Last)
		e.lastAt = up - time.Duration(now-last)
	}
	for n := range s.limbo {
		s.limbo[n].lastAt = up
	}
}

// orphan deletes an index whose segment is gone, if it is one.
func (s *Store) orphan(base string) {
	name := s.path(base, segment.ExtIndex)
	f, err := s.o.FS.Open(name)
	if err == nil {
		_, err = segment.ReadHeader(f)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		s.note("%s%s has no segment and is left alone: %v", base, segment.ExtIndex, err)
		return
	}
	if err := s.o.FS.Remove(name); err != nil {
		s.note("delete %s%s: %v", base, segment.ExtIndex, err)
	}
}

// list takes up a complete segment.
func (s *Store) list(base string, seq uint64, size int64) {
	name := base + segment.ExtSegment
	var version *segment.VersionError
	err := s.check(base)
	switch {
	case errors.As(err, &version), errors.Is(err, segment.ErrForeign):
		s.note("%s is left alone: %v", name, err)
		return
	case err != nil:
		s.note("%s cannot be read, it is left alone: %v", name, err)
		return
	}
	h, err := s.header(base)
	if err == nil && (h.Seq != seq || h.Size != size) {
		err = fmt.Errorf("%w: it is of segment %d with %d bytes, not %d with %d", segment.ErrIndex, h.Seq, h.Size, seq, size)
	}
	if errors.As(err, &version) {
		s.note("%s is left alone: its index has %v", name, err)
		return
	}
	if err != nil {
		if h, err = s.reindex(base, seq, err); err != nil {
			s.note("%s: %v", name, err)
			return
		}
	}
	s.insert(&entry{base: base, seq: seq, header: h, done: true, bytes: h.Size + h.IndexSize()})
}

func (s *Store) check(base string) error {
	f, err := s.o.FS.Open(s.path(base, segment.ExtSegment))
	if err != nil {
		return err
	}
	size, err := f.Size()
	if err == nil {
		err = segment.Check(section(f, size))
	}
	return errors.Join(err, f.Close())
}

func (s *Store) header(base string) (segment.Header, error) {
	f, err := s.o.FS.Open(s.path(base, segment.ExtIndex))
	if err != nil {
		return segment.Header{}, err
	}
	h, err := segment.ReadHeader(f)
	return h, errors.Join(err, f.Close())
}

// reindex makes a lost index anew; why says what was wrong with it. A segment that is damaged
// itself is set aside.
func (s *Store) reindex(base string, seq uint64, why error) (segment.Header, error) {
	found, err := s.scan(base, seq, false)
	if err == nil && found.Damage != nil {
		name := s.path(base, segment.ExtSegment)
		if err := s.o.FS.Rename(name, name+brokenExt); err != nil {
			return segment.Header{}, fmt.Errorf("it is damaged (%w) and could not be set aside: %w", found.Damage, err)
		}
		s.mu.Lock()
		s.other += found.End
		s.mu.Unlock()
		return segment.Header{}, fmt.Errorf("it is damaged (%w) and was set aside as %s%s", found.Damage, base+segment.ExtSegment, brokenExt)
	}
	if err != nil {
		return segment.Header{}, err
	}
	index := found.Encode(found.End)
	if !errors.Is(why, fs.ErrNotExist) {
		s.o.Log.Warn("index is made anew", "segment", base, "reason", why)
	}
	if err := segment.WriteFile(s.o.FS, s.path(base, segment.ExtIndex), index); err != nil {
		return segment.Header{}, fmt.Errorf("write index: %w", err)
	}
	return segment.ParseHeader(index)
}

// restoreSegments is from how many of the newest segments flows are taken over.
const restoreSegments = 16

// restore takes over the flows of the newest segments, so that their IDs go on.
func (s *Store) restore() {
	for _, e := range s.segments[max(0, len(s.segments)-restoreSegments):] {
		if err := s.restoreFrom(e); err != nil {
			s.note("%s: %v", e.base, err)
		}
	}
}

func (s *Store) restoreFrom(e *entry) error {
	r, err := s.read(e, 0)
	if err != nil {
		return err
	}
	defer r.close()
	return r.index.EachFlow(math.MinInt64, 0, func(i *flow.Info) error {
		s.table.Restore(i, i.Iface.Vantage)
		return nil
	})
}
