package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"slices"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
)

// Query chooses packets of one segment.
type Query struct {
	Since, Until int64 // ns, half open; Until 0: no bound
	// End bounds the packets to so many from the beginning of the segment; 0: no bound.
	End uint64
	// Match chooses flows. The Info is borrowed, and its counters are of this segment only.
	// It may be called for flows that have no packet in the window after all.
	Match func(*flow.Info) bool
	// Known gets all names of the segment, in its order, and Present its interfaces, before
	// Match is asked. May be nil.
	Known   func(pcap.Name)
	Present func(*pcap.Interface)
	// OnName gets the names of the matching flows' addresses, from Next, in the order of the
	// segment; the first name of an address comes before the first packet. May be nil.
	OnName func(pcap.Name)
}

// Cursor reads the packets of the matching flows, in the order of the segment.
type Cursor struct {
	q      Query
	src    io.ReaderAt
	size   int64 // of the segment
	ifaces []*pcap.Interface
	flows  []flow.ID
	addrs  map[netip.Addr]struct{} // of the flows; nil: all
	names  []Name
	recs   []uint64 // number of a packet << 32 | number in flows
	next   int
	id     flow.ID
	drops  uint64

	marks  []mark // where packets are: for each that is read the last one before it
	mark   int    // the last one before the next packet
	at     int64  // the next block
	number uint64 // of the next packet at or behind it

	buf    []byte
	window []byte // what of buf is read
	from   int64  // its offset
}

// ErrGone: the segment is not in memory any more. Its index on the disk is complete.
var ErrGone = errors.New("segment was completed")

const (
	windowBytes = 1 << 20
	gapBytes    = 32 << 10 // what is rather read than skipped
	guessBytes  = 2 << 10  // what is read of a block that is behind the last mark, at first
	packetBlock = 6        // type of a block that is a packet (pcapng, 4.3)
)

// tell hands out what is known of a segment before its flows are chosen.
func (q *Query) tell(ifaces []*pcap.Interface, names iter.Seq[pcap.Name]) {
	if q.Present != nil {
		for _, i := range ifaces {
			q.Present(i)
		}
	}
	if q.Known != nil {
		names(func(n pcap.Name) bool {
			q.Known(n)
			return true
		})
	}
}

// choose notes a flow if it matches.
func (c *Cursor) choose(i *flow.Info) bool {
	if i.Last < c.q.Since || c.q.Until != 0 && i.First >= c.q.Until || !c.q.Match(i) {
		return false
	}
	c.flows = append(c.flows, i.ID)
	if c.q.OnName != nil {
		c.addrs[i.Key.Addr(flow.AtoB).Addr()] = struct{}{}
		c.addrs[i.Key.Addr(flow.BtoA).Addr()] = struct{}{}
	}
	return true
}

// Cursor reads from src, the segment of the index.
func (x *Index) Cursor(src io.ReaderAt, q Query) (*Cursor, error) {
	c := &Cursor{q: q, src: src, size: x.Size, ifaces: x.Interfaces, addrs: map[netip.Addr]struct{}{}, drops: q.drops(x.spans)}
	q.tell(x.Interfaces, func(yield func(pcap.Name) bool) {
		for i := range x.Names {
			if !yield(x.Names[i].Name) {
				return
			}
		}
	})
	var lists []postings
	if err := x.eachFlow(q.Since, q.Until, func(i *flow.Info, p *postings) error {
		if c.choose(i) {
			lists = append(lists, *p)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	lo, hi := q.within(x.spans, x.Packets)
	r := restReader{x: x}
	for n := range lists {
		p := &lists[n]
		number := p.number
		c.add(number, uint32(n), lo, hi)
		ok, err := r.gaps(p, func(gap uint64) bool {
			number += gap + 1
			c.add(number, uint32(n), lo, hi)
			return gap < x.Packets && number < x.Packets && uint64(len(c.recs)) <= x.Packets
		})
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fmt.Errorf("%w: postings of flow %v", ErrIndex, c.flows[n])
		}
	}
	c.order(x.Names)
	last := -1
	for _, rec := range c.recs {
		n := last
		for n+1 < len(x.spans) && uint64(x.spans[n+1].number) <= rec>>32 {
			n++
		}
		if n < 0 {
			return nil, fmt.Errorf("%w: places", ErrIndex)
		}
		if n == last {
			continue
		}
		last = n
		var err error
		if c.marks, err = r.marks(c.marks, n); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Cursor reads the segment as it is now.
func (l *Live) Cursor(q Query) (*Cursor, error) {
	c := &Cursor{q: q, src: l, addrs: map[netip.Addr]struct{}{}}
	q.tell(l.Interfaces(), slices.Values(l.Names()))
	var lists []uint32
	if err := l.eachFlow(func(n uint32, i *flow.Info) error {
		if c.choose(i) {
			lists = append(lists, n)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	var list []byte
	var lo, hi uint64
	for from := 0; from < len(lists) || from == 0; {
		l.mu.RLock()
		if l.b == nil {
			l.mu.RUnlock()
			return nil, ErrGone
		}
		if from == 0 {
			c.size = l.size
			lo, hi = q.within(l.b.spans, l.b.packets)
			c.drops = q.drops(l.b.spans)
			for i := range l.b.ifaces {
				c.ifaces = append(c.ifaces, l.b.ifaces[i].iface)
			}
			c.names = slices.Clone(l.b.names)
			c.marks = l.b.marks[:len(l.b.marks):len(l.b.marks)] // what is there does not change
		}
		to := min(from+256, len(lists))
		for n := from; n < to; n++ {
			f := &l.b.flows[lists[n]]
			number := uint64(f.number)
			c.add(number, uint32(n), lo, hi)
			list = l.b.appendPosts(list[:0], f)
			eachGap(list, func(gap uint64) {
				number += gap + 1
				c.add(number, uint32(n), lo, hi)
			})
		}
		l.mu.RUnlock()
		if from = to; from == 0 {
			break
		}
	}
	c.order(c.names)
	return c, nil
}

// eachFlow calls visit without the lock; the Info is borrowed.
func (l *Live) eachFlow(visit func(n uint32, i *flow.Info) error) error {
	infos := make([]flow.Info, 0, 512)
	for from := 0; ; from += len(infos) {
		infos = infos[:0]
		l.mu.RLock()
		if l.b == nil {
			l.mu.RUnlock()
			return ErrGone
		}
		for n := from; n < len(l.b.flows) && len(infos) < cap(infos); n++ {
			infos = infos[:len(infos)+1]
			l.b.info(n, &infos[len(infos)-1])
		}
		l.mu.RUnlock()
		if len(infos) == 0 {
			return nil
		}
		for n := range infos {
			if err := visit(uint32(from+n), &infos[n]); err != nil {
				return err
			}
		}
	}
}

// EachFlow calls visit for each flow of the segment; the Info is borrowed.
func (l *Live) EachFlow(visit func(*flow.Info) error) error {
	return l.eachFlow(func(_ uint32, i *flow.Info) error { return visit(i) })
}

// EachFlow calls visit for each flow of the segment that may have packets in [since, until);
// until 0 is no bound. The Info is borrowed.
func (x *Index) EachFlow(since, until int64, visit func(*flow.Info) error) error {
	return x.eachFlow(since, until, func(i *flow.Info, _ *postings) error { return visit(i) })
}

// within is which packets of the segment may be in the window.
func (q *Query) within(spans []span, packets uint64) (lo, hi uint64) {
	since, until := q.Since, q.Until
	if hi = packets; q.End > 0 {
		hi = min(hi, q.End)
	}
	for n := range spans {
		if spans[n].max >= since {
			break
		}
		if lo = packets; n+1 < len(spans) {
			lo = uint64(spans[n+1].number)
		}
	}
	for n := len(spans) - 1; n >= 0 && until != 0 && spans[n].min >= until; n-- {
		hi = min(hi, uint64(spans[n].number))
	}
	return lo, hi
}

// drops is how many drops the packets of the window report, of all flows: of the parts of the
// segment that reach into it.
func (q *Query) drops(spans []span) (n uint64) {
	for i := range spans {
		if s := &spans[i]; s.max >= q.Since && (q.Until == 0 || s.min < q.Until) {
			n += s.drops
		}
	}
	return n
}

// add notes a packet of a flow if it may be in the window.
func (c *Cursor) add(number uint64, n uint32, lo, hi uint64) {
	if number >= lo && number < hi {
		c.recs = append(c.recs, number<<32|uint64(n))
	}
}

// order sorts what was chosen, and the names for it.
func (c *Cursor) order(names []Name) {
	if len(c.flows) > 1 {
		c.recs = sortRecords(c.recs)
	}
	c.names = nil
	if c.q.OnName == nil {
		return
	}
	known := map[netip.Addr]struct{}{}
	for _, n := range names {
		if _, ok := c.addrs[n.Addr]; !ok {
			continue
		}
		if _, ok := known[n.Addr]; !ok {
			known[n.Addr] = struct{}{}
			n.Offset = 0
		}
		c.names = append(c.names, n)
	}
	slices.SortStableFunc(c.names, func(a, b Name) int { return int(a.Offset - b.Offset) })
	c.addrs = nil
}

// sortRecords sorts by the upper 32 bits.
func sortRecords(r []uint64) []uint64 {
	if len(r) < 1024 {
		slices.Sort(r)
		return r
	}
	const bits = 11
	other := make([]uint64, len(r))
	for shift := 32; shift < 64; shift += bits {
		var count [1 << bits]int
		for _, v := range r {
			count[v>>shift&(1<<bits-1)]++
		}
		sum := 0
		for i, n := range count {
			count[i], sum = sum, sum+n
		}
		for _, v := range r {
			k := v >> shift & (1<<bits - 1)
			other[count[k]] = v
			count[k]++
		}
		r, other = other, r
	}
	return r
}

// Drops is how many packets were lost in the window, as the packets of all flows report.
func (c *Cursor) Drops() uint64 { return c.drops }

// Len is the number of packets that may come.
func (c *Cursor) Len() int { return len(c.recs) }

// Flow is the flow of the last packet.
func (c *Cursor) Flow() flow.ID { return c.id }

// Next fills p, borrowed until the next Next. It returns io.EOF at the end, and ErrIndex if
// the index does not fit the segment.
func (c *Cursor) Next(p *pcap.Packet) error {
	for c.next < len(c.recs) {
		rec := c.recs[c.next]
		b, err := c.seek(rec >> 32)
		if err != nil {
			return err
		}
		off := c.at
		id, size := pcapng.DecodePacket(b, p)
		if size == 0 {
			if b, err = c.read(off, int64(binary.LittleEndian.Uint32(b[4:]))); err != nil {
				return err
			}
			if id, size = pcapng.DecodePacket(b, p); size == 0 {
				return fmt.Errorf("%w: no packet at byte %d", ErrIndex, off)
			}
		}
		if int64(id) >= int64(len(c.ifaces)) {
			return fmt.Errorf("%w: packet without interface at byte %d", ErrIndex, off)
		}
		c.next++
		c.at += int64(size)
		c.number++
		if p.Time < c.q.Since || c.q.Until != 0 && p.Time >= c.q.Until {
			continue
		}
		for len(c.names) > 0 && c.names[0].Offset < off {
			c.q.OnName(c.names[0].Name)
			c.names = c.names[1:]
		}
		p.Iface = c.ifaces[id]
		c.id = c.flows[uint32(rec)]
		return nil
	}
	return io.EOF
}

// seek goes to the packet of this number, and returns what is read from its block on: at least
// the block's head.
func (c *Cursor) seek(number uint64) ([]byte, error) {
	for c.mark+1 < len(c.marks) && uint64(c.marks[c.mark+1].number) <= number {
		c.mark++
	}
	if m := c.marks[c.mark]; uint64(m.number) > c.number || c.at == 0 {
		c.at, c.number = int64(m.offset)<<2, uint64(m.number)
	}
	for {
		b, err := c.read(c.at, 8)
		if err != nil {
			return nil, err
		}
		kind, size := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
		if size < 12 || size&3 != 0 || size > pcapng.MaxBlock || c.number > number {
			return nil, fmt.Errorf("%w: no block at byte %d", ErrIndex, c.at)
		}
		if kind == packetBlock {
			if c.number == number {
				return b, nil
			}
			c.number++
		}
		c.at += int64(size)
	}
}

// read is what there is from off on: at least need bytes.
func (c *Cursor) read(off, need int64) ([]byte, error) {
	if skip := off - c.from; skip >= 0 && skip+need <= int64(len(c.window)) {
		return c.window[skip:], nil
	}
	size := int(min(max(need, c.plan(off)-off), c.size-off))
	if int64(size) < need {
		return nil, fmt.Errorf("%w: the segment ends before byte %d", ErrIndex, off+need)
	}
	if cap(c.buf) < size {
		c.buf = make([]byte, size, min(max(size, 2*cap(c.buf)), pcapng.MaxBlock))
	}
	n, err := c.src.ReadAt(c.buf[:size], off)
	c.from, c.window = off, c.buf[:n]
	if n < size && err != io.EOF {
		return nil, fmt.Errorf("read segment at byte %d: %w", off, err)
	}
	if int64(n) < need {
		return nil, fmt.Errorf("%w: the segment ends before byte %d", ErrIndex, off+need)
	}
	return c.window, nil
}

// plan is how far it is worth to read from off on: to the end of the packets that come one
// after the other, as far as marks tell.
func (c *Cursor) plan(off int64) int64 {
	end := off
	ahead := c.mark
	for _, rec := range c.recs[c.next:] {
		for ahead+1 < len(c.marks) && uint64(c.marks[ahead+1].number) <= rec>>32 {
			ahead++
		}
		from := int64(c.marks[ahead].offset) << 2
		to := from + markBytes
		if ahead+1 < len(c.marks) && c.marks[ahead+1].number == c.marks[ahead].number+1 {
			to = int64(c.marks[ahead+1].offset) << 2 // a large packet
		}
		if to <= end {
			continue
		}
		if from-end > gapBytes && end > off || to-off > windowBytes {
			break
		}
		end = to
	}
	return max(end, off) + guessBytes
}
