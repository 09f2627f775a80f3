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
	// End bounds the packets to those that begin below this offset; 0: no bound.
	End int64
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
	ifaces []*pcap.Interface
	flows  []flow.ID
	addrs  map[netip.Addr]struct{} // of the flows; nil: all
	names  []Name
	recs   []uint64 // offset / 4 << 32 | number in flows
	next   int
	id     flow.ID
	drops  uint64

	buf    []byte
	bufAt  int64
	window []byte // what of buf is read
}

// ErrGone: the segment is not in memory any more. Its index on the disk is complete.
var ErrGone = errors.New("segment was completed")

const (
	windowBytes = 1 << 20
	gapBytes    = 32 << 10 // what is rather read than skipped
	guessBytes  = 2 << 10  // what is read of the last packet of a window, at first
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
	c := &Cursor{q: q, src: src, ifaces: x.Interfaces, addrs: map[netip.Addr]struct{}{}, drops: q.drops(x.spans)}
	q.tell(x.Interfaces, func(yield func(pcap.Name) bool) {
		for i := range x.Names {
			if !yield(x.Names[i].Name) {
				return
			}
		}
	})
	var lists []postings
	err := x.eachFlow(func(i *flow.Info, p postings) error {
		if c.choose(i) {
			lists = append(lists, p)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	lo, hi := q.within(x.spans, x.Size)
	r := postReader{x: x}
	for n, p := range lists {
		list, err := r.read(p)
		if err != nil {
			return nil, err
		}
		if !c.add(list, p.packets, uint32(n), lo, hi, x.Size) {
			return nil, fmt.Errorf("%w: postings of flow %v", ErrIndex, c.flows[n])
		}
	}
	c.order(x.Names)
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
	var lo, hi, size int64
	for from := 0; from < len(lists) || from == 0; {
		l.mu.RLock()
		if l.b == nil {
			l.mu.RUnlock()
			return nil, ErrGone
		}
		if from == 0 {
			size = l.size
			lo, hi = q.within(l.b.spans, size)
			c.drops = q.drops(l.b.spans)
			for i := range l.b.ifaces {
				c.ifaces = append(c.ifaces, l.b.ifaces[i].iface)
			}
			c.names = slices.Clone(l.b.names)
		}
		to := min(from+256, len(lists))
		for n := from; n < to; n++ {
			f := &l.b.flows[lists[n]]
			list = l.b.appendPosts(list[:0], f)
			c.add(list, uint64(f.packets[0])+uint64(f.packets[1]), uint32(n), lo, hi, 1<<62)
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

// EachFlow calls visit for each flow of the segment; the Info is borrowed.
func (x *Index) EachFlow(visit func(*flow.Info) error) error {
	return x.eachFlow(func(i *flow.Info, _ postings) error { return visit(i) })
}

// within is the part of the segment that may hold packets in the window.
func (q *Query) within(spans []span, size int64) (lo, hi int64) {
	since, until := q.Since, q.Until
	if hi = size; q.End > 0 {
		hi = min(hi, q.End)
	}
	for n := range spans {
		if spans[n].max >= since {
			break
		}
		if lo = size; n+1 < len(spans) {
			lo = spans[n+1].offset
		}
	}
	for n := len(spans) - 1; n >= 0 && until != 0 && spans[n].min >= until; n-- {
		hi = min(hi, spans[n].offset)
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

// add decodes a posting list. It is false if the list cannot be right.
func (c *Cursor) add(list []byte, packets uint64, n uint32, lo, hi, size int64) bool {
	var off uint64
	for ; len(list) > 0; packets-- {
		d, k := binary.Uvarint(list)
		if k <= 0 || d == 0 || packets == 0 {
			return false
		}
		list = list[k:]
		if off += d; off > 1<<32-1 || int64(off)<<2 >= size {
			return false
		}
		if at := int64(off) << 2; at >= lo && at < hi {
			c.recs = append(c.recs, off<<32|uint64(n))
		}
	}
	return packets == 0
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
		off := int64(rec>>32) << 2
		b, err := c.at(off, 0)
		if err != nil {
			return err
		}
		id, size := pcapng.DecodePacket(b, p)
		if size == 0 && len(b) >= 8 {
			if claimed := int(binary.LittleEndian.Uint32(b[4:])); claimed > len(b) && claimed <= pcapng.MaxBlock {
				if b, err = c.at(off, claimed); err != nil {
					return err
				}
				id, size = pcapng.DecodePacket(b, p)
			}
		}
		if size == 0 || int64(id) >= int64(len(c.ifaces)) {
			return fmt.Errorf("%w: no packet at byte %d", ErrIndex, off)
		}
		c.next++
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

// at is what can be read from off on: at least need bytes, unless the segment ends.
func (c *Cursor) at(off int64, need int) ([]byte, error) {
	if skip := off - c.bufAt; skip >= 0 && skip < int64(len(c.window)) && int64(len(c.window))-skip >= int64(max(need, 32)) && need == 0 {
		return c.window[skip:], nil
	}
	end := off + max(int64(need), guessBytes)
	for n := c.next + 1; n < len(c.recs) && need == 0; n++ {
		next := int64(c.recs[n]>>32) << 2
		if next-end > gapBytes || next+guessBytes-off > windowBytes {
			break
		}
		end = next + guessBytes
	}
	size := int(end - off)
	if cap(c.buf) < size {
		c.buf = make([]byte, size, min(max(size, 2*cap(c.buf)), pcapng.MaxBlock))
	}
	n, err := c.src.ReadAt(c.buf[:size], off)
	if err != nil && err != io.EOF || n == 0 {
		return nil, fmt.Errorf("read segment at byte %d: %w", off, err)
	}
	c.bufAt, c.window = off, c.buf[:n]
	return c.window, nil
}
