package vantage

import (
	"net/netip"
	"slices"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// maxSightings is how many sightings of one connection are told apart.
const maxSightings = 8

// sighting is a flow as one place saw it.
type sighting struct {
	flow  dissect.Flow // the tables' own copy
	conn  *connection
	slot  int   // number of its place in the connection
	over  bool  // a later flow between the same ends was seen at its place
	tuned bool  // apart is known
	apart int64 // ns, how far its clock is ahead of that of the connection's first sighting

	held queue[*entry] // its calls that are remembered
}

// connection is what several places saw of one.
type connection struct {
	seen    []*sighting
	slots   int // places
	opening uint64
	users   int // entries that are remembered
	told    bool
	joined  []joined
}

// joined is the flow that calls with sightings at some of the places are told with.
type joined struct {
	places uint8 // bit n: place n
	told   *sighting
	flow   *dissect.Flow
	client *sighting // nil: not seen there
}

// ends is what sightings have in common if no opening was seen: the client, and the server, its
// service, or where that is.
type ends struct {
	transport          flow.Proto
	client, server     netip.AddrPort // server is zero if the rest is meant
	namespace, service string
}

// nodes are two places with clocks of their own.
type nodes struct{ a, b string }

// clocks are the last comparisons of two nodes' clocks, in ns that b is ahead of a. The one in
// the middle counts: some openings were sent again, and a clock may be set.
type clocks struct {
	ahead [5]int64
	n     int
}

func (c *clocks) add(d int64) {
	c.ahead[c.n%len(c.ahead)] = d
	c.n++
}

func (c *clocks) middle() int64 {
	sorted := c.ahead
	n := min(c.n, len(sorted))
	slices.Sort(sorted[:n])
	return sorted[n/2]
}

// maxNodes bounds the pairs of nodes whose clocks are compared.
const maxNodes = 1 << 14

// table knows which sightings are of one connection.
type table struct {
	flows   map[flow.ID]*sighting
	openers map[uint64]*connection
	ends    map[ends]*connection
	skew    map[nodes]*clocks
	// whole: flows come when they are over, so First and Last say when they were.
	whole bool

	spare      []*sighting
	spareConns []*connection
}

func newTable(whole bool) table {
	return table{flows: map[flow.ID]*sighting{}, openers: map[uint64]*connection{}, ends: map[ends]*connection{},
		skew: map[nodes]*clocks{}, whole: whole}
}

// of finds or makes the sighting that a flow is.
func (t *table) of(f *dissect.Flow) *sighting {
	if s := t.flows[f.ID]; s != nil {
		return s
	}
	c, before := t.match(f)
	if c == nil {
		c = t.connection()
	}
	var s *sighting
	if n := len(t.spare); n > 0 {
		s, t.spare = t.spare[n-1], t.spare[:n-1]
	} else {
		s = &sighting{}
	}
	*s = sighting{flow: *f, conn: c, held: s.held}
	if before != nil {
		before.over, s.slot = true, before.slot
	} else {
		s.slot = c.slots
		c.slots++
	}
	t.tune(s)
	c.seen = append(c.seen, s)
	t.flows[f.ID] = s
	if f.Opening != 0 {
		c.opening = f.Opening
		t.openers[f.Opening] = c
	}
	t.ends[exact(f)] = c
	for _, k := range behind(f) {
		if k != (ends{}) {
			t.ends[k] = c
		}
	}
	return s
}

func (t *table) connection() *connection {
	if n := len(t.spareConns); n > 0 {
		c := t.spareConns[n-1]
		t.spareConns = t.spareConns[:n-1]
		return c
	}
	return &connection{}
}

func exact(f *dissect.Flow) ends {
	return ends{transport: f.Transport, client: f.Client.Addr, server: f.Server.Addr}
}

// behind are the ends if the server is a service or one of its pods: the service that is known,
// and any of its namespace, as a pod may be of several. Zero: it is not.
func behind(f *dissect.Flow) (k [2]ends) {
	i := f.Server.Identity
	if i == nil {
		return k
	}
	if i.Service != "" {
		k[0] = ends{transport: f.Transport, client: f.Client.Addr, namespace: i.Namespace, service: i.Service}
	}
	if i.Namespace != "" && (i.Service != "" || i.Pod != "") {
		k[1] = ends{transport: f.Transport, client: f.Client.Addr, namespace: i.Namespace}
	}
	return k
}

// match finds the connection of a flow that is new, nil: it is the first that is seen of it.
// before is the flow that was seen at the same place and is over by now, nil if there is none.
func (t *table) match(f *dissect.Flow) (c *connection, before *sighting) {
	if c := t.ends[exact(f)]; c != nil {
		if ok, before := t.fits(c, f, false); ok {
			return c, before
		}
	}
	for _, k := range behind(f) {
		if c := t.ends[k]; c != nil && k != (ends{}) {
			if ok, before := t.fits(c, f, true); ok {
				return c, before
			}
		}
	}
	if c := t.openers[f.Opening]; c != nil && len(c.seen) < maxSightings && !c.seenAt(f) {
		return c, nil
	}
	return nil, nil
}

// seenAt says whether a connection was seen where a flow was: then that is another one, and
// whoever made the two chose poor sequence numbers.
func (c *connection) seenAt(f *dissect.Flow) bool {
	for _, s := range c.seen {
		if samePlace(&s.flow, f) {
			return true
		}
	}
	return false
}

// samePlace says whether two flows were seen at the same end, or each at a pod that is that end:
// a connection has one at most. It is not known of those that were seen on the way.
func samePlace(f, g *dissect.Flow) bool {
	if f.Vantage == dissect.SideUnknown || f.Vantage != g.Vantage {
		return false
	}
	a, b := own(f), own(g)
	return f.Node == g.Node && a.Addr.Addr() == b.Addr.Addr() || a.Identity != nil && b.Identity != nil && a.Pod != "" && b.Pod != ""
}

// own is the end that a flow was seen at.
func own(f *dissect.Flow) *dissect.Endpoint {
	if f.Vantage == dissect.SideClient {
		return &f.Client
	}
	return &f.Server
}

// fits says whether a flow between the same ends is another sighting of a connection, and not
// one before or after it.
func (t *table) fits(c *connection, f *dissect.Flow, service bool) (ok bool, before *sighting) {
	if len(c.seen) == maxSightings || c.opening != 0 && f.Opening != 0 && (c.opening != f.Opening || c.seenAt(f)) {
		return false, nil
	}
	for _, s := range c.seen {
		switch {
		case s.over, t.whole && !overlap(&s.flow, f):
			continue
		case samePlace(&s.flow, f):
			if t.whole || c.opening != 0 || f.Vantage == dissect.SideClient && exact(&s.flow) != exact(f) {
				return false, nil
			}
			before = s // one after the other
			continue
		}
		if !service || pod(&s.flow) != pod(f) || s.flow.Server.Addr == f.Server.Addr {
			ok = true
		}
	}
	return ok, before
}

// pod says whether the server that was seen is a pod, and not a service in front of it.
func pod(f *dissect.Flow) bool { return f.Server.Identity != nil && f.Server.Pod != "" }

// overlap says whether two flows were alive at one time, as far as clocks agree.
func overlap(f, g *dissect.Flow) bool {
	return f.First <= g.Last+int64(Hold) && g.First <= f.Last+int64(Hold)
}

// tune compares a sighting's clock with those of the connection: by the packet that opened it,
// by what is known of the two nodes. On one node there is one clock.
func (t *table) tune(s *sighting) {
	c := s.conn
	s.tuned = len(c.seen) == 0
	for _, o := range c.seen {
		switch {
		case !o.tuned:
			continue
		case o.flow.Node == s.flow.Node:
			s.apart, s.tuned = o.apart, true
			return
		case s.flow.Opening != 0 && s.flow.Opening == o.flow.Opening:
			t.compared(o, s, s.flow.First-o.flow.First)
		}
		if d, ok := t.ahead(o, s); ok {
			s.apart, s.tuned = o.apart+d, true
		}
	}
}

// compared notes that b's clock was seen to be ahead of a's.
func (t *table) compared(a, b *sighting, d int64) {
	pair := nodes{a.flow.Node, b.flow.Node}
	if pair.a > pair.b {
		pair, d = nodes{pair.b, pair.a}, -d
	}
	k := t.skew[pair]
	if k == nil {
		if len(t.skew) >= maxNodes {
			return
		}
		k = &clocks{}
		t.skew[pair] = k
	}
	k.add(d)
}

// ahead is how far b's clock is ahead of a's, as far as that is known.
func (t *table) ahead(a, b *sighting) (d int64, ok bool) {
	pair := nodes{a.flow.Node, b.flow.Node}
	turned := pair.a > pair.b
	if turned {
		pair = nodes{pair.b, pair.a}
	}
	k := t.skew[pair]
	if k == nil {
		return 0, false
	}
	if d = k.middle(); turned {
		d = -d
	}
	return d, true
}

// release forgets a connection of which nothing is remembered.
func (t *table) release(c *connection) {
	if t.openers[c.opening] == c {
		delete(t.openers, c.opening)
	}
	for _, s := range c.seen {
		f := &s.flow
		delete(t.flows, f.ID)
		if k := exact(f); t.ends[k] == c {
			delete(t.ends, k)
		}
		for _, k := range behind(f) {
			if t.ends[k] == c {
				delete(t.ends, k)
			}
		}
		s.held.reset()
		t.spare = append(t.spare, s)
	}
	clear(c.seen)
	clear(c.joined)
	*c = connection{seen: c.seen[:0], joined: c.joined[:0]}
	t.spareConns = append(t.spareConns, c)
}
