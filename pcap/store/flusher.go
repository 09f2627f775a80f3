package store

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"
	"time"

	"github.com/sshark/sshark/pcap/segment"
)

// job is what the producer asks of the flusher. Jobs are done in order.
type job struct {
	kind  jobKind
	e     *entry
	buf   *segment.Buffer
	reply chan error
}

type jobKind uint8

const (
	writeBuffer jobKind = iota
	finishSegment
	abandonSegment
	removeSegment
	syncNow
)

// run is the flusher.
func (s *Store) run(ticks <-chan time.Time, stop func()) {
	defer close(s.done)
	defer stop()
	for {
		select {
		case j := <-s.jobs:
			s.do(j)
		case <-ticks:
			s.drain()
			s.tick()
		case <-s.quit:
			s.drain()
			return
		}
	}
}

func (s *Store) drain() {
	for {
		select {
		case j := <-s.jobs:
			s.do(j)
		default:
			return
		}
	}
}

func (s *Store) do(j job) {
	switch j.kind {
	case writeBuffer:
		if !j.e.failed.Load() {
			s.try(j.e, func() error { return j.e.live.WriteBuffer(j.buf) })
		}
	case finishSegment:
		var h segment.Header
		if !j.e.failed.Load() {
			s.try(j.e, func() (err error) { h, err = j.e.live.Finish(); return err })
		}
		if j.e.failed.Load() {
			s.salvage(j.e)
			return
		}
		s.complete(j.e, h)
	case abandonSegment:
		s.salvage(j.e)
	case removeSegment:
		s.remove(j.e)
	case syncNow:
		j.reply <- s.flush()
	}
}

// try writes; a full disk is given room by deleting the oldest, but for what is the store's in
// any case: others may take the room at once.
func (s *Store) try(e *entry, write func() error) error {
	err := write()
	for errors.Is(err, syscall.ENOSPC) {
		old := s.spare()
		if old == nil {
			break
		}
		s.remove(old)
		err = write()
	}
	if err != nil {
		e.failed.Store(true)
		s.setTrouble(err.Error())
		s.pool.Wake() // Append may wait for a buffer that will not come
		return err
	}
	s.setTrouble("")
	return nil
}

// flush writes and syncs what is in memory of the open segment.
func (s *Store) flush() error {
	s.mu.Lock()
	var e *entry
	if n := len(s.segments); n > 0 && !s.segments[n-1].done {
		e = s.segments[n-1]
	}
	s.mu.Unlock()
	if e == nil || e.failed.Load() {
		return nil
	}
	return s.try(e, e.live.Flush)
}

// Sync waits until all that was appended is on the disk.
func (s *Store) Sync() error {
	reply := make(chan error, 1)
	select {
	case s.jobs <- job{kind: syncNow, reply: reply}:
	case <-s.done:
		return ErrClosed
	}
	select {
	case err := <-reply:
		return err
	case <-s.done:
		return ErrClosed
	}
}

// tick is what is done every SyncEvery.
func (s *Store) tick() {
	s.flush() // a failure is in trouble, and is tried again
	s.tidy()
	s.finishLimbo()
	now := s.o.Clock.Uptime()
	// When the producer is at work it looks after its segment itself.
	if !s.ap.TryLock() {
		return
	}
	quiet := false
	switch {
	case s.live == nil:
		quiet = now-s.appendedAt >= 2*retryAfter
	case s.live.failed.Load():
		s.abandon(now)
	case now-s.begunAt >= s.o.SegmentAge:
		s.finish()
	}
	s.ap.Unlock()
	if quiet {
		s.recheck()
	}
}

// recheck finds out whether what was wrong is over while no packet comes that would show it.
func (s *Store) recheck() {
	s.mu.Lock()
	over := s.trouble != "" && s.roomy()
	s.mu.Unlock()
	if !over || len(s.limbo) > 0 {
		return
	}
	if free, err := s.o.FS.Free(s.o.Dir); err != nil || free < minBuffer {
		return
	}
	name := s.path(probe, segment.ExtSegment)
	err := segment.WriteFile(s.o.FS, name, make([]byte, 4<<10))
	if err == nil {
		err = errors.Join(s.o.FS.SyncDir(s.o.Dir), s.o.FS.Remove(name))
	}
	if err == nil {
		s.setTrouble("")
	}
}

// probe is the name of the file that is written to see whether the disk takes one.
const probe = "probe"

// complete takes over a segment that is on the disk.
func (s *Store) complete(e *entry, h segment.Header) {
	s.mu.Lock()
	e.header, e.done, e.bytes = h, true, h.Size+h.IndexSize()
	if e.pins == 0 {
		e.live.Close() // it was only read from
		if b := e.live.TakeBuilder(); len(s.builders) < 2 {
			s.builders = append(s.builders, b)
		}
		e.live = nil
	}
	s.mu.Unlock()
}

// salvage keeps what a failed segment has on the disk, and counts what it has not.
func (s *Store) salvage(e *entry) {
	e.live.Abandon()
	s.mu.Lock()
	for n := range s.segments {
		if s.segments[n] == e {
			s.segments = append(s.segments[:n:n], s.segments[n+1:]...)
			break
		}
	}
	e.gone = true
	if e.pins == 0 {
		e.live.Close() // it was only read from
	}
	s.mu.Unlock()
	// All of it counts as lost until it is known what the disk has.
	s.diskDrops.Add(e.live.Builder().Packets())
	if len(s.limbo) >= maxLimbo {
		s.account(s.limbo[0].e, nil)
		s.limbo = s.limbo[1:]
	}
	s.limbo = append(s.limbo, limbo{e.base, e, e.lastAt})
	s.finishLimbo()
}

// account makes known what a failed segment lost: all but what was found.
func (s *Store) account(e *entry, found *segment.Scanned) {
	if e == nil {
		return
	}
	b := e.live.Builder()
	lost := b.Counts()
	if found != nil {
		for n, kept := range found.Counts() {
			lost[n] -= min(kept, lost[n])
		}
		s.diskDrops.Add(-min(found.Packets(), b.Packets()))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, i := range b.Interfaces() {
		if src, ok := s.sources[i]; ok && lost[n] > 0 {
			s.lost[src] += lost[n]
			s.anyLost.Store(true)
		}
	}
}

// scan reads a segment from the disk, a hidden one as far as its sums vouch for it.
func (s *Store) scan(base string, seq uint64, hidden bool) (*segment.Scanned, error) {
	name := s.path(base, segment.ExtSegment)
	if hidden {
		name = segment.Hidden(name)
	}
	f, err := s.o.FS.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // it was only read from
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if hidden {
		end, ok, err := segment.Vouched(section(f, size))
		if err != nil {
			return nil, err
		}
		if ok {
			size = end
		}
	}
	return segment.Scan(section(f, size), seq)
}

// limbo is a hidden segment that is still to be completed. e is what it was in memory, until
// it is known what the disk has of it; nil after that, or after a restart.
type limbo struct {
	base   string
	e      *entry
	lastAt time.Duration
}

// maxLimbo bounds how many segments wait in memory for the disk to be readable.
const maxLimbo = 16

// finishLimbo completes the segments that a failure cut short; the flusher's, and Open's.
func (s *Store) finishLimbo() {
	left := s.limbo[:0]
	var waiting []string
	for _, x := range s.limbo {
		if err := s.adopt(&x); err != nil {
			waiting = append(waiting, incomplete(x.base, err))
			left = append(left, x)
		}
	}
	s.limbo = left
	s.mu.Lock()
	was := s.waiting
	s.waiting = waiting
	s.mu.Unlock()
	for _, text := range waiting {
		if !slices.Contains(was, text) {
			s.o.Log.Warn(text, "store", s.o.Dir)
		}
	}
}

func incomplete(base string, err error) string {
	return fmt.Sprintf("segment %s cannot be completed yet, it is tried again: %v", base, err)
}

// adopt cuts a hidden segment where its whole blocks end, completes it and lists it.
func (s *Store) adopt(x *limbo) error {
	hidden := segment.Hidden(s.path(x.base, segment.ExtSegment))
	_, seq, _, _, ok := segment.ParseName(x.base + segment.ExtSegment)
	if !ok {
		return nil
	}
	found, err := s.scan(x.base, seq, true)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.account(x.e, found)
	x.e = nil
	if err != nil {
		return nil
	}
	if found.Packets() == 0 {
		return s.o.FS.Remove(hidden)
	}
	if err := s.o.FS.Truncate(hidden, found.End); err != nil {
		return fmt.Errorf("cut torn tail: %w", err)
	}
	index := found.Encode(found.End)
	if err := segment.Publish(s.o.FS, s.o.Dir, x.base, index); err != nil {
		return err
	}
	h, err := segment.ParseHeader(index)
	if err != nil {
		return err
	}
	s.insert(&entry{base: x.base, seq: seq, header: h, done: true, bytes: h.Size + h.IndexSize(), lastAt: x.lastAt})
	return nil
}

// insert keeps the list in order.
func (s *Store) insert(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.segments)
	for n > 0 && s.segments[n-1].seq > e.seq {
		n--
	}
	s.segments = append(s.segments[:n:n], append([]*entry{e}, s.segments[n:]...)...)
}
