package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/segment"
)

// within lists the segments that may have packets in a window, and for those that are being
// written how far they are.
func (s *Store) within(since, until int64) (list []*entry, ends map[*entry]int64) {
	s.mu.Lock()
	live := map[*entry]*segment.Live{}
	for _, e := range s.segments {
		if e.live != nil && !e.done {
			live[e] = e.live
		} else if !e.header.Overlaps(since, until) {
			continue
		}
		list = append(list, e)
	}
	s.mu.Unlock()
	// Append locks a live segment and then the list: not the other way round here.
	ends = map[*entry]int64{}
	for e, l := range live {
		ends[e] = l.Size()
	}
	return list, ends
}

// pin holds a segment, so that it is not deleted while it is read. It is false if it is gone.
func (s *Store) pin(e *entry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.gone {
		return false
	}
	e.pins++
	return true
}

func (s *Store) unpin(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.pins--; e.pins == 0 && e.live != nil && (e.done || e.gone) {
		e.live.Close() // it was only read from
		if e.done {
			e.live = nil
		}
	}
}

// opened is a segment with its index.
type opened struct {
	index *segment.Index
	file  segment.File
	idx   io.Closer
}

func (o *opened) close() {
	if o.idx != nil {
		o.idx.Close() // they were only read from
	}
	o.file.Close()
}

// read opens a complete segment; a damaged index is made anew.
func (s *Store) read(e *entry) (*opened, error) {
	file, err := s.o.FS.Open(s.path(e.base, segment.ExtSegment))
	if err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	o := &opened{file: file}
	var why error
	if f, err := s.o.FS.Open(s.path(e.base, segment.ExtIndex)); err != nil {
		why = err
	} else if o.index, err = segment.ReadIndex(f); err != nil {
		why = errors.Join(err, f.Close())
	} else if o.index.Size != e.header.Size || o.index.Seq != e.seq {
		why = errors.Join(segment.ErrIndex, f.Close())
	} else {
		o.idx = f
	}
	if why != nil {
		if o.index, err = s.remake(e, why); err != nil {
			file.Close()
			return nil, err
		}
	}
	s.mu.Lock()
	for n, i := range o.index.Interfaces {
		o.index.Interfaces[n] = s.intern(i).Iface
	}
	s.mu.Unlock()
	return o, nil
}

// remake makes the index of a listed segment anew, in memory and if it can be on the disk.
func (s *Store) remake(e *entry, why error) (*segment.Index, error) {
	s.rebuild.Lock()
	defer s.rebuild.Unlock()
	found, err := s.scan(e.base, e.seq, false)
	if err != nil {
		return nil, fmt.Errorf("segment %s: %w", e.base, err)
	}
	if found.Damage != nil {
		s.note("%s%s is damaged: %v; what is behind is not read", e.base, segment.ExtSegment, found.Damage)
	}
	index := found.Encode(e.header.Size)
	s.o.Log.Warn("index is made anew", "segment", e.base, "reason", why)
	if err := segment.WriteFile(s.o.FS, s.path(e.base, segment.ExtIndex), index); err != nil {
		s.o.Log.Warn("index cannot be written", "segment", e.base, "error", err)
	}
	return segment.ReadIndex(bytes.NewReader(index))
}

// Flows calls visit for each flow that may have packets in [since, until), until 0 being no
// bound, in the order of their first packets: once for each ID, with the counters of all
// segments of the window together. The Info is borrowed. Its Iface may be kept.
func (s *Store) Flows(ctx context.Context, since, until int64, visit func(*flow.Info) error) error {
	list, _ := s.within(since, until)
	var flows []flow.Info
	numbers := map[flow.ID]int{}
	take := func(i *flow.Info) error {
		if i.Last < since || until != 0 && i.First >= until {
			return nil
		}
		n, ok := numbers[i.ID]
		if !ok {
			numbers[i.ID] = len(flows)
			flows = append(flows, *i)
			return nil
		}
		merge(&flows[n], i)
		return nil
	}
	for _, e := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.eachFlow(e, take); err != nil {
			return err
		}
	}
	slices.SortStableFunc(flows, func(a, b flow.Info) int { return cmp.Compare(a.First, b.First) })
	for n := range flows {
		if n&255 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		if err := visit(&flows[n]); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) eachFlow(e *entry, visit func(*flow.Info) error) error {
	if !s.pin(e) { // deleted meanwhile: it is not kept any more
		return nil
	}
	defer s.unpin(e)
	if l := s.liveOf(e); l != nil {
		// A segment that failed is gone; what is left of it is listed anew.
		return l.EachFlow(visit)
	}
	o, err := s.read(e)
	if err != nil {
		return err
	}
	defer o.close()
	return o.index.EachFlow(visit)
}

func (s *Store) liveOf(e *entry) *segment.Live {
	s.mu.Lock()
	defer s.mu.Unlock()
	return e.live
}

// merge adds what another segment knows of a flow.
func merge(f, i *flow.Info) {
	f.First, f.Last = min(f.First, i.First), max(f.Last, i.Last)
	for d := range f.Packets {
		f.Packets[d] += i.Packets[d]
		f.Bytes[d] += i.Bytes[d]
		f.Flags[d] |= i.Flags[d]
	}
	if f.Opener != flow.OpenerA && f.Opener != flow.OpenerB && i.Opener != flow.UnknownOpener {
		f.Opener = i.Opener
	}
}

// Iter hands out packets.
type Iter struct {
	// OnName, if set before the first Next, gets the names of the packets' addresses: called
	// from Next, before the first packet that they are for.
	OnName func(pcap.Name)
	// Known and Present, if set before the first Next, get all names and interfaces of a
	// segment before its flows are matched.
	Known   func(pcap.Name)
	Present func(*pcap.Interface)

	s      *Store
	ctx    context.Context
	q      segment.Query
	list   []*entry         // not yet read; the first one is being read
	ends   map[*entry]int64 // of the segments that were being written, how far to read
	cursor *segment.Cursor
	open   *opened
	pinned bool // the first one of the list
	gone   int
	given  int // packets of the current segment
	flow   flow.ID
	drops  uint64
	calls  uint
	err    error
}

// Packets hands out the packets in [since, until), until 0 being no bound, of the flows that
// match, in the order of their arrival, up to what is there now. match is called once for a
// flow and segment, from Next; its Info is borrowed and tells of that segment only. Close the
// Iter: until then the segment that it is in cannot be deleted. Those behind can be, when the
// reader is slower than what comes in: see Gone.
func (s *Store) Packets(ctx context.Context, since, until int64, match func(*flow.Info) bool) *Iter {
	it := &Iter{s: s, ctx: ctx, q: segment.Query{Since: since, Until: until, Match: match}}
	it.list, it.ends = s.within(since, until)
	return it
}

// Follow hands out what is there, and then what comes in: each packet is in one of the two.
// See Packets and Tail.
func (s *Store) Follow(ctx context.Context, since int64, match func(*flow.Info) bool, buffer int64) (*Iter, *Tail, error) {
	s.ap.Lock()
	defer s.ap.Unlock()
	t, err := s.tail(ctx, buffer)
	if err != nil {
		return nil, nil, err
	}
	return s.Packets(ctx, since, 0, match), t, nil
}

// Gone is the number of segments that were deleted before they could be read.
func (it *Iter) Gone() int { return it.gone }

// Drops is how many packets were lost in the window so far, of all flows, as the packets
// that were kept report.
func (it *Iter) Drops() uint64 { return it.drops }

// Flow is the flow of the last packet.
func (it *Iter) Flow() flow.ID { return it.flow }

// Next fills p, whose data is borrowed until the next Next. It returns io.EOF at the end.
func (it *Iter) Next(p *pcap.Packet) error {
	if it.calls++; it.calls&255 == 1 && it.err == nil {
		it.err = it.ctx.Err()
	}
	for it.err == nil {
		if it.cursor == nil {
			if len(it.list) == 0 {
				it.err = io.EOF
				break
			}
			if it.pinned = it.s.pin(it.list[0]); !it.pinned {
				it.gone++
				it.list = it.list[1:]
				continue
			}
			if err := it.begin(nil); err != nil {
				it.err = err
				break
			}
			it.drops += it.cursor.Drops()
		}
		err := it.cursor.Next(p)
		switch {
		case err == nil:
			it.given++
			it.flow = it.cursor.Flow()
			return nil
		case errors.Is(err, segment.ErrIndex) && it.open != nil && it.open.idx != nil:
			it.err = it.begin(err)
			continue
		case err != io.EOF && !it.list[0].failed.Load():
			it.err = fmt.Errorf("segment %s: %w", it.list[0].base, err)
			continue
		}
		it.leave()
	}
	return it.err
}

// begin opens the first segment of the list. If its index misled the cursor it is made anew,
// and reading goes on behind what was given.
func (it *Iter) begin(misled error) error {
	e := it.list[0]
	it.q.OnName, it.q.Known, it.q.Present, it.q.End = it.OnName, it.Known, it.Present, it.ends[e]
	var err error
	if misled == nil {
		it.given = 0
		if l := it.s.liveOf(e); l != nil {
			it.cursor, err = l.Cursor(it.q)
			return err
		}
		if it.open, err = it.s.read(e); err != nil {
			return err
		}
	} else if err := it.fresh(e, misled); err != nil {
		return err
	}
	it.cursor, err = it.open.index.Cursor(it.open.file, it.q)
	if errors.Is(err, segment.ErrIndex) && misled == nil {
		if err = it.fresh(e, err); err == nil {
			it.cursor, err = it.open.index.Cursor(it.open.file, it.q)
		}
	}
	if err != nil {
		return fmt.Errorf("segment %s: %w", e.base, err)
	}
	for n := 0; n < it.given; n++ {
		if err := it.cursor.Next(&pcap.Packet{}); err != nil {
			return fmt.Errorf("segment %s: %w", e.base, err)
		}
	}
	return nil
}

func (it *Iter) fresh(e *entry, why error) error {
	index, err := it.s.remake(e, why)
	if err != nil {
		return err
	}
	it.s.mu.Lock()
	for n, i := range index.Interfaces {
		index.Interfaces[n] = it.s.intern(i).Iface
	}
	it.s.mu.Unlock()
	if it.open.idx != nil {
		it.open.idx.Close() // it was only read from
	}
	it.open.idx, it.open.index = nil, index
	return nil
}

// leave is done with the first segment of the list.
func (it *Iter) leave() {
	if it.open != nil {
		it.open.close()
		it.open = nil
	}
	it.cursor = nil
	it.s.unpin(it.list[0])
	it.pinned = false
	it.list = it.list[1:]
}

// Close releases the segments. It may be called at any time, and again.
func (it *Iter) Close() {
	if it.open != nil {
		it.open.close()
		it.open = nil
	}
	if it.pinned {
		it.s.unpin(it.list[0])
		it.pinned = false
	}
	it.list = nil
	if it.err == nil {
		it.err = ErrClosed
	}
}
