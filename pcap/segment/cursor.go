package segment

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"slices"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
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

// Cursor reads the packets of the matching flows, in the order of the segment: in each page that
// has some it looks for those that are of one of the flows there.
type Cursor struct {
	q        Query
	src      io.ReaderAt
	size     int64 // of the segment
	ifaces   []*pcap.Interface
	vantages []uint32 // of the interfaces
	flows    []chosen
	addrs    map[netip.Addr]struct{} // of the flows; nil: all
	names    []Name
	recs     []uint64 // for each packet its page << 32 | number in flows
	pages    []mark   // what is needed of them
	end      uint64   // packets from the beginning of the segment that may be read
	more     bool     // there may be packets behind end: recs has them too
	next     int      // of recs: the first one behind the page in hand
	id       flow.ID
	drops    uint64

	page   uint32   // in hand
	wanted []wanted // flows with packets in it
	left   int      // of them, still to come
	at     int64    // the next block
	number uint64   // of the next packet at or behind it
	h      flow.Header

	buf    []byte
	window []byte // what of buf is read
	from   int64  // its offset
}

// chosen is a flow that matches. Its packets are those of its key and vantage from its first one
// on, up to the first one of the flow that has them next.
type chosen struct {
	id      flow.ID
	key     flow.Key
	vantage uint32
	number  uint32 // of its first packet
}

// ErrGone: the segment is not in memory any more. Its index on the disk is complete.
var ErrGone = errors.New("segment was completed")

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

// choose notes a flow if it matches. Its vantage is that of an interface.
func (c *Cursor) choose(i *flow.Info, vantage, number uint32) bool {
	if i.Last < c.q.Since || c.q.Until != 0 && i.First >= c.q.Until || !c.q.Match(i) {
		return false
	}
	c.flows = append(c.flows, chosen{i.ID, i.Key, vantage, number})
	if c.q.OnName != nil {
		c.addrs[i.Key.Addr(flow.AtoB).Addr()] = struct{}{}
		c.addrs[i.Key.Addr(flow.BtoA).Addr()] = struct{}{}
	}
	return true
}

// Cursor reads from src, the segment of the index.
func (x *Index) Cursor(src io.ReaderAt, q Query) (*Cursor, error) {
	c := &Cursor{q: q, src: src, size: x.Size, ifaces: x.Interfaces, addrs: map[netip.Addr]struct{}{}, drops: q.drops(x.spans), end: x.Packets}
	if q.End > 0 {
		c.end, c.more = min(c.end, q.End), true
	}
	q.tell(x.Interfaces, func(yield func(pcap.Name) bool) {
		for i := range x.Names {
			if !yield(x.Names[i].Name) {
				return
			}
		}
	})
	var vantages Vantages
	for _, name := range x.vantages {
		c.vantages = append(c.vantages, vantages.number(name))
	}
	var lists []postings
	if err := x.eachFlow(q.Since, q.Until, func(i *flow.Info, p *postings) error {
		if c.choose(i, c.vantages[p.iface], p.number) {
			lists = append(lists, *p)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	if len(lists) == 0 {
		return c, nil
	}
	r := restReader{x: x}
	c.pages = make([]mark, x.pages)
	first := make([]uint32, len(lists)) // pages: places are read, and then postings, each in order
	at := -1
	for n := range lists {
		var err error
		if at, err = r.reach(c.pages, at, func(s *span) bool { return s.number <= lists[n].number }); err != nil {
			return nil, err
		}
		from := x.spans[at].marks
		first[n] = from + pageOf(c.pages[from:][:x.places[at].marks+1], lists[n].number)
	}
	lo, hi := q.within(x.spans, uint32(x.pages))
	for n := range lists {
		p, page := &lists[n], uint64(first[n])
		c.add(page, uint32(n), lo, hi)
		ok, err := r.gaps(p, func(gap uint64) bool {
			page += gap
			c.add(page, uint32(n), lo, hi)
			return gap < uint64(x.pages) && page < uint64(x.pages) && uint64(len(c.recs)) <= x.Packets
		})
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fmt.Errorf("%w: postings of flow %v", ErrIndex, c.flows[n].id)
		}
	}
	c.order(x.Names)
	at = -1
	for _, rec := range c.recs {
		var err error
		if at, err = r.reach(c.pages, at, func(s *span) bool { return uint64(s.marks) <= rec>>32 }); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// pageOf is the page that a packet is in.
func pageOf(pages []mark, number uint32) uint32 {
	n, found := slices.BinarySearchFunc(pages, number, func(m mark, number uint32) int { return cmp.Compare(m.number, number) })
	if !found {
		n--
	}
	return uint32(max(n, 0))
}

// Cursor reads the segment as it is now.
func (l *Live) Cursor(q Query) (*Cursor, error) {
	c := &Cursor{q: q, src: l, addrs: map[netip.Addr]struct{}{}, more: true}
	q.tell(l.Interfaces(), slices.Values(l.Names()))
	var lists []uint32
	if err := l.eachFlow(func(n uint32, i *flow.Info) error {
		if c.choose(i, 0, 0) {
			lists = append(lists, n)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	var list []byte
	var lo, hi uint32
	for from := 0; from < len(lists) || from == 0; {
		l.mu.RLock()
		if l.b == nil {
			l.mu.RUnlock()
			return nil, ErrGone
		}
		if from == 0 {
			c.size = l.size
			if c.end = l.b.packets; q.End > 0 {
				c.end = min(c.end, q.End)
			}
			var vantages Vantages
			for i := range l.b.ifaces {
				c.ifaces = append(c.ifaces, l.b.ifaces[i].iface)
				c.vantages = append(c.vantages, vantages.number(flow.Vantage(c.ifaces[i])))
			}
			c.names = slices.Clone(l.b.names)
			c.pages = l.b.marks[:len(l.b.marks):len(l.b.marks)] // what is there does not change
			lo, hi = q.within(l.b.spans, uint32(len(c.pages)))
			c.drops = q.drops(l.b.spans)
		}
		to := min(from+256, len(lists))
		for n := from; n < to; n++ {
			f := &l.b.flows[lists[n]]
			if int(f.iface) >= len(c.ifaces) || uint64(f.number) >= c.end { // it came when the segment was looked at already
				continue
			}
			c.flows[n].vantage, c.flows[n].number = c.vantages[f.iface], f.number
			page := uint64(pageOf(c.pages, f.number))
			c.add(page, uint32(n), lo, hi)
			list = l.b.appendPosts(list[:0], f)
			eachGap(list, func(gap uint64) {
				page += gap
				c.add(page, uint32(n), lo, hi)
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

// within is which of so many pages of the segment may have packets in the window.
func (q *Query) within(spans []span, pages uint32) (lo, hi uint32) {
	since, until := q.Since, q.Until
	hi = pages
	for n := range spans {
		if spans[n].max >= since {
			break
		}
		if lo = pages; n+1 < len(spans) {
			lo = spans[n+1].marks
		}
	}
	for n := len(spans) - 1; n >= 0 && until != 0 && spans[n].min >= until; n-- {
		hi = min(hi, spans[n].marks)
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

// add notes that a packet of a flow is in a page, if that may be in the window.
func (c *Cursor) add(page uint64, n uint32, lo, hi uint32) {
	if page >= uint64(lo) && page < uint64(hi) {
		c.recs = append(c.recs, page<<32|uint64(n))
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
