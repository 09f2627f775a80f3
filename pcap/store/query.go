package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/segment"
)

// within lists the segments that may have packets in a window, and for those that are being
// written how far they are.
func (s *Store) within(since, until int64) (list []*entry, ends map[*entry]uint64) {
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
	ends = map[*entry]uint64{}
	for e, l := range live {
		switch n, open := l.Packets(); {
		case !open: // it was completed meanwhile
		case n == 0:
			list = slices.DeleteFunc(list, func(x *entry) bool { return x == e })
		default:
			ends[e] = n
		}
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

// opened is a segment with its index. The segment's file is opened when it is read from.
type opened struct {
	index *segment.Index
	idx   io.Closer

	open func() (segment.File, error)
	file segment.File
}

// ReadAt reads the segment.
func (o *opened) ReadAt(b []byte, off int64) (int, error) {
	if o.file == nil {
		var err error
		if o.file, err = o.open(); err != nil {
			return 0, err
		}
	}
	return o.file.ReadAt(b, off)
}

// close may be called for nil.
func (o *opened) close() {
	if o == nil {
		return
	}
	if o.idx != nil {
		o.idx.Close() // they were only read from
	}
	if o.file != nil {
		o.file.Close()
	}
}

// read opens a complete segment; a damaged index is made anew. It returns nil if only one flow
// is asked for, and that is not in the segment; 0: all flows.
func (s *Store) read(e *entry, only flow.ID) (*opened, error) {
	o := &opened{open: func() (segment.File, error) { return s.o.FS.Open(s.path(e.base, segment.ExtSegment)) }}
	f, why := s.o.FS.Open(s.path(e.base, segment.ExtIndex))
	if why == nil {
		var lacks bool
		if only != 0 {
			lacks, why = segment.Lacks(f, only)
		}
		if why == nil && !lacks {
			o.index, why = segment.ReadIndex(f, s.known)
		}
		if why == nil && !lacks && (o.index.Size != e.header.Size || o.index.Seq != e.seq) {
			why = segment.ErrIndex
		}
		if why != nil || lacks {
			why = errors.Join(why, f.Close())
		} else {
			o.idx = f
		}
		if lacks && why == nil {
			return nil, nil
		}
	}
	if why != nil {
		var err error
		if o.index, err = s.remake(e, why); err != nil {
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
	return segment.ReadIndex(bytes.NewReader(index), s.known)
}

// Flows calls visit for each flow that matches and may have packets in [since, until), until 0
// being no bound, in the order of their first packets: once for each ID, with the counters of
// all segments of the window together. The Info is borrowed. Its Iface may be kept. Its Last is
// that of the last packet or about a millisecond later at most, as complete segments round it up. match
// is as for Packets, and should say the same of a flow in each segment.
func (s *Store) Flows(ctx context.Context, since, until int64, match func(*flow.Info) bool, visit func(*flow.Info) error) error {
	it := s.Packets(ctx, since, until, nil)
	defer it.Close()
	var flows []flow.Info
	numbers := map[flow.ID]int{}
	take := func(i *flow.Info) error {
		if i.Last < since || until != 0 && i.First >= until || !match(i) {
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
	for ; len(it.list) > 0; it.drop() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := it.eachFlow(take); err != nil {
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

// eachFlow visits the flows of the first segment of the list.
func (it *Iter) eachFlow(visit func(*flow.Info) error) error {
	e := it.list[0]
	if !it.s.pin(e) { // deleted meanwhile: it is not kept any more
		return nil
	}
	defer it.s.unpin(e)
	if l := it.s.liveOf(e); l != nil {
		// A segment that failed is gone; what is left of it is listed anew.
		return l.EachFlow(visit)
	}
	o, err := it.load()
	if err != nil {
		return err
	}
	defer o.close()
	return o.index.EachFlow(it.q.Since, it.q.Until, visit)
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
	// Only, if set before the first Next, says that match chooses nothing but this flow: then
	// segments that do not have it cost next to nothing.
	Only flow.ID

	s      *Store
	ctx    context.Context
	q      segment.Query
	list   []*entry          // not yet read; the first one is being read
	ends   map[*entry]uint64 // of the segments that were being written, how many packets to read
	ahead  []*loading        // of the first ones of the list
	cursor *segment.Cursor
	open   *opened
	pinned bool // the first one of the list
	holds  bool // Hold was called
	held   int  // how many of the list are held
	gone   int
	given  int // packets of the current segment
	flow   flow.ID
	latest int64 // time of a packet so far
	back   int64
	drops  uint64
	calls  uint
	err    error
}

// Packets hands out the packets in [since, until), until 0 being no bound, of the flows that
// match, in the order of their arrival, up to what is there now. match is called once for a
// flow and segment, from Next; its Info is borrowed and tells of that segment only. Close the
// Iter: until then the segment that it is in cannot be deleted. Those behind can be, when the
// reader is slower than what comes in: see Gone and Hold.
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

// Back is by how much the time of packets fell behind that of packets before them, 0: not at
// all. Less than a second is what the kernel's CPUs mix up; more says that the node's clock
// was set back, and that what was handed out is in the order of arrival and not of time.
func (it *Iter) Back() time.Duration {
	if it.back < int64(time.Second) {
		return 0
	}
	return time.Duration(it.back)
}

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
				it.drop()
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
			it.back = max(it.back, it.latest-p.Time)
			it.latest = max(it.latest, p.Time)
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
		if it.open, err = it.load(); err != nil {
			return err
		}
		if it.open == nil {
			it.cursor = &segment.Cursor{}
			it.drops += e.header.Drops
			return nil
		}
	} else if err := it.fresh(e, misled); err != nil {
		return err
	}
	it.cursor, err = it.open.index.Cursor(it.open, it.q)
	if errors.Is(err, segment.ErrIndex) && misled == nil {
		if err = it.fresh(e, err); err == nil {
			it.cursor, err = it.open.index.Cursor(it.open, it.q)
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

// readAhead is how many indexes are read at a time: most of the time that goes into looking
// for a flow in many segments is waiting for the disk.
const readAhead = 4

// loading is a segment whose index is being read.
type loading struct {
	done chan struct{}
	read bool    // false: it is gone, or was being written when it was looked at
	o    *opened // nil if it lacks the flow that is asked for
	err  error
}

// load opens the first segment of the list, and begins with those behind.
func (it *Iter) load() (*opened, error) {
	for n := len(it.ahead); n < min(readAhead, len(it.list)); n++ {
		l := &loading{done: make(chan struct{})}
		it.ahead = append(it.ahead, l)
		e := it.list[n]
		if !it.s.pin(e) {
			close(l.done)
			continue
		}
		go func() {
			defer close(l.done)
			defer it.s.unpin(e)
			if l.read = it.s.liveOf(e) == nil; l.read {
				l.o, l.err = it.s.read(e, it.Only)
			}
		}()
	}
	l := it.ahead[0]
	<-l.done
	if !l.read {
		return it.s.read(it.list[0], it.Only)
	}
	o := l.o
	l.o = nil
	return o, l.err
}

// discard closes what nobody will read.
func (l *loading) discard() {
	<-l.done
	l.o.close()
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
	it.open.close()
	it.open = nil
	it.cursor = nil
	it.s.unpin(it.list[0])
	it.pinned = false
	it.drop()
}

// drop takes the first segment off the list.
func (it *Iter) drop() {
	it.release(1)
	if len(it.ahead) > 0 {
		it.ahead[0].discard()
		it.ahead = it.ahead[1:]
	}
	it.list = it.list[1:]
	if it.holds {
		it.hold()
	}
}

// Close releases the segments. It may be called at any time, and again.
func (it *Iter) Close() {
	it.open.close()
	it.open = nil
	for _, l := range it.ahead {
		l.discard()
	}
	it.ahead = nil
	if it.pinned {
		it.s.unpin(it.list[0])
		it.pinned = false
	}
	it.release(it.held)
	it.list = nil
	if it.err == nil {
		it.err = ErrClosed
	}
}
