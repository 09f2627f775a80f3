package query

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/store"
	"github.com/sshark/sshark/servicemap/identity"
)

// lead is how long before the window packets are read, for the beginnings of what is under
// way when it opens: without them an answer would be told as one that nobody asked for.
const lead = 10 * time.Second

// arrived is after what time all packets have come in, and been shown to a follower who is idle.
const arrived = time.Second

// followBuffer is how many bytes of packets wait for a follower who is busy.
const followBuffer = 64 << 20

// StoredOptions say what a Stored is made of. All are needed.
type StoredOptions struct {
	Node  string
	Store *store.Store
	Names *identity.Table // who is who now, for what the packets themselves do not say
	State func() Node     // how the node is
	// Pod says who a pod is by its UID, where it is known by now; nil: nobody can say.
	Pod       func(uid string) (pcap.Pod, bool)
	Protocols []*dissect.Protocol
	Language  *filter.Language // of the protocols
}

// Stored is a node's store, and what comes into it, as a Source.
type Stored struct {
	o       StoredOptions
	queries atomic.Int64 // being answered
	kinds   kinds        // of long connections
	room    *room
}

// NewStored makes the source of a node. The store stays the caller's.
func NewStored(o StoredOptions) *Stored { return &Stored{o: o, room: newRoom()} }

// begin waits until there is room for a question, and counts it until the end that it returns
// is called, which is never nil.
func (s *Stored) begin(ctx context.Context, r *Request) (end func(), err error) {
	s.queries.Add(1)
	leave, err := s.room.enter(ctx, r.Follow)
	if err != nil {
		leave = func() {}
	}
	return func() {
		leave()
		s.queries.Add(-1)
	}, err
}

// refused is the answer to a question for which there is no room.
func (s *Stored) refused(err error) (*Report, error) {
	return (&reading{s: s}).report(0), err
}

// What one question may take of a node's memory.
const (
	storedFlows  = 100_000  // that are dissected at once
	storedHeld   = 16 << 20 // bytes of early segments
	storedNewest = 96 << 20 // bytes of what is kept until it is known to be the newest
)

// reading is one question in the making.
type reading struct {
	s       *Stored
	r       *Request
	filter  *filter.Filter
	names   *identity.Table // as the packets tell them
	hints   *hints
	ends    *dissect.Ends
	wants   map[flow.ID]verdict
	opener  map[flow.ID]flow.Opener
	dropped uint64
	lagged  uint64
	gone    int
	held    *store.Iter // what a reading before this one held for it, nil: nothing
	notes   []string
}

func (s *Stored) reading(r *Request) (*reading, error) {
	f, err := s.o.Language.Compile(r.Filter)
	if err != nil {
		return nil, err
	}
	if err := r.Access.check(f); err != nil {
		return nil, err
	}
	q := &reading{s: s, r: r, filter: f, names: identity.New(), hints: newHints(s.o.Names),
		wants: map[flow.ID]verdict{}, opener: map[flow.ID]flow.Opener{}}
	q.ends = dissect.NewEnds(q.hints.resolve)
	return q, nil
}

func (q *reading) dissection(r *Request) *dissection {
	d := newDissection(r, q.filter, q.s.o.Protocols, q.resolve)
	d.options.MaxFlows, d.options.Held, d.newest = storedFlows, storedHeld, storedNewest
	return d
}

// resolve asks what was kept with the packets: before them, then anywhere in their segment (a
// name may be learnt after the flow's first packet); then what the node knows now. A pod that
// was kept by its UID alone may have got its name since.
func (q *reading) resolve(a netip.AddrPort, at int64) *dissect.Identity {
	id := q.names.Resolve(a, at)
	if id == nil {
		id = q.hints.only(a)
	}
	if id == nil || identity.Bare(id) {
		if now := q.s.o.Names.Resolve(a, at); id == nil || now != nil && now.PodUID == id.PodUID {
			return now
		}
	}
	return id
}

// verdict is how a flow was judged by its names. A refusal holds until more names are known.
type verdict struct {
	want  bool
	names uint64 // hints.news then
}

// match prunes flows by their ends, before any of their packets is read, and remembers how it
// judged: it is called when the names of the flow's segment are known, but those of a later one,
// where its peer has got a name, are not.
func (q *reading) match(i *flow.Info) bool {
	if !q.asked(i) {
		return false // costs less than to remember it
	}
	v, known := q.wants[i.ID]
	if names := q.hints.version(); !known || !v.want && v.names != names {
		v = verdict{q.byNames(i), names}
		q.wants[i.ID] = v
	}
	if v.want {
		q.opens(i)
	}
	return v.want
}

// asked prunes flows by what needs no names.
func (q *reading) asked(i *flow.Info) bool {
	if q.r.Stream != 0 && i.ID != q.r.Stream {
		return false
	}
	only := q.filter.Stream()
	return !q.filter.RulesOut(&i.Key) && (only == 0 || i.ID == only)
}

// byNames prunes flows by the names that are known now.
func (q *reading) byNames(i *flow.Info) bool {
	return q.r.Stream != 0 || q.hints.ambiguous(i) || q.mayMatch(i)
}

// opens notes who began a flow, as far as a segment tells.
func (q *reading) opens(i *flow.Info) {
	if o := q.opener[i.ID]; o != flow.OpenerA && o != flow.OpenerB {
		q.opener[i.ID] = i.Opener
	}
}

// only is the only flow that match chooses, 0: there may be others.
func (q *reading) only() flow.ID {
	if q.r.Stream != 0 {
		return q.r.Stream
	}
	return q.filter.Stream()
}

// mayMatch judges by the names that are known so far. What has no ends is judged by its packets.
func (q *reading) mayMatch(i *flow.Info) bool {
	f := q.ends.Of(i)
	return (f.Transport == 0 || q.r.Access.Tells(f)) && q.filter.Flow(f) != filter.Never
}

// hints are the names that a segment has, before it is known when they were learnt: enough to
// leave out flows that cannot match, as long as an address had one name only. They come in
// while flows are dissected.
type hints struct {
	live *identity.Table

	mu     sync.RWMutex
	names  map[netip.Addr]identity.Owner // from name records
	owners map[netip.Addr]identity.Owner // from interfaces: less is known of these
	many   map[netip.Addr]bool
	news   uint64              // how often an address got a name, or another one
	pods   map[string]pcap.Pod // by UID; this and seen are the reader's alone
	seen   map[*pcap.Interface]bool
}

// pod says who a pod is by its UID.
func (q *reading) pod(uid string) (pcap.Pod, bool) {
	if p, ok := q.hints.pods[uid]; ok {
		return p, true
	}
	if q.s.o.Pod == nil {
		return pcap.Pod{}, false
	}
	return q.s.o.Pod(uid)
}

func newHints(live *identity.Table) *hints {
	return &hints{live: live, names: map[netip.Addr]identity.Owner{}, owners: map[netip.Addr]identity.Owner{}, many: map[netip.Addr]bool{},
		pods: map[string]pcap.Pod{}, seen: map[*pcap.Interface]bool{}}
}

func (h *hints) known(n pcap.Name) { h.add(h.names, n.Addr, identity.Decode(n.Names)) }

func (h *hints) present(i *pcap.Interface) {
	if i.Pod.Name == "" || h.seen[i] { // most segments have the same
		return
	}
	h.seen[i] = true
	if i.Pod.UID != "" {
		h.pods[i.Pod.UID] = i.Pod
	}
	for _, a := range i.Addrs {
		h.add(h.owners, a.Addr(), identity.Owner{Identity: PodIdentity(i.Pod, i.Node)})
	}
}

// version tells one state of what is known from another.
func (h *hints) version() uint64 {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.news
}

func (h *hints) add(to map[netip.Addr]identity.Owner, a netip.Addr, o identity.Owner) {
	a = a.Unmap()
	h.mu.Lock()
	defer h.mu.Unlock()
	old, ok := to[a]
	if ok && old.Equal(o) {
		return
	}
	if ok && !(identity.Bare(old.Identity) && o.Identity != nil && o.PodUID == old.PodUID) {
		h.many[a] = true
	}
	to[a] = o
	h.news++
}

func (h *hints) resolve(a netip.AddrPort, at int64) *dissect.Identity {
	h.mu.RLock()
	id := h.kept(a)
	h.mu.RUnlock()
	if id != nil {
		return id
	}
	return h.live.Resolve(a, at)
}

// only is who an address is, if it had one name only.
func (h *hints) only(a netip.AddrPort) *dissect.Identity {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.many[a.Addr().Unmap()] {
		return nil
	}
	return h.kept(a)
}

// kept is what segments say; mu is held.
func (h *hints) kept(a netip.AddrPort) *dissect.Identity {
	for _, from := range []map[netip.Addr]identity.Owner{h.names, h.owners} {
		if o, ok := from[a.Addr().Unmap()]; ok {
			if id := o.At(a.Port()); id != nil {
				return id
			}
		}
	}
	return nil
}

// ambiguous says that a flow's ends cannot be judged yet: an address had several names, or
// it is a part of a packet, whose ports are in another part.
func (h *hints) ambiguous(i *flow.Info) bool {
	if i.Key.PortA|i.Key.PortB == 0 && (i.Key.Proto == flow.TCP || i.Key.Proto == flow.UDP) {
		return true
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.many[i.Key.Addr(flow.AtoB).Addr()] || h.many[i.Key.Addr(flow.BtoA).Addr()]
}

// input feeds an engine with what is kept of a window, and then, for a follower, with what
// comes in; if whole, also with what long connections said before that calls depend on.
func (q *reading) input(r *Request, whole bool) input {
	return func(ctx context.Context, e *dissect.Engine) error {
		if whole {
			until := r.Until
			if until != 0 {
				until += int64(tail)
			}
			if err := q.beginnings(ctx, e, r.Since-int64(lead), until); err != nil {
				return err
			}
		}
		feed := func(p *pcap.Packet, id flow.ID, opener flow.Opener) error {
			e.Packet(p, id, opener)
			return nil
		}
		err := q.read(ctx, r, lead, tail, nil, feed, func() error {
			e.Clock(time.Now().Add(-arrived).UnixNano())
			e.Flush()
			return nil
		})
		q.notes = append(q.notes, engineNotes(e)...)
		return err
	}
}

// visitor takes a packet with its flow and what is known of who began that.
type visitor func(*pcap.Packet, flow.ID, flow.Opener) error

// read visits the packets of a window, widened by before and after, in order of arrival.
// idle is called whenever a follower has seen all that there is.
func (q *reading) read(ctx context.Context, r *Request, before, after time.Duration, name func(pcap.Name) error,
	visit visitor, idle func() error) error {
	since, until := r.Since-int64(before), r.Until
	if until != 0 {
		until += int64(after)
	}
	learn := newLearner(q.names)
	learn.next, learn.pod = name, q.pod
	if !r.Follow {
		it := q.s.o.Store.Packets(ctx, since, until, q.match)
		defer it.Close()
		it.OnName, it.Known, it.Present, it.Only = learn.name, q.hints.known, q.hints.present, q.only()
		if r.Hold {
			it.Hold()
			if q.held != nil {
				q.held.Close()
			}
		}
		return q.drain(r, it, learn, visit)
	}
	it, tail, err := q.s.o.Store.Follow(ctx, since, q.match, followBuffer)
	if err != nil {
		return err
	}
	defer it.Close()
	it.OnName, it.Known, it.Present, it.Only = learn.name, q.hints.known, q.hints.present, q.only()
	tail.OnName = learn.name
	if err := q.drain(r, it, learn, visit); err != nil {
		return err
	}
	it.Close()
	q.wants, q.opener = nil, nil // from here on the packets bring it along
	return q.follow(r, tail, learn, visit, idle)
}

func (q *reading) drain(r *Request, it *store.Iter, l *learner, visit visitor) error {
	var p pcap.Packet
	defer func() {
		q.dropped += it.Drops()
		if back := it.Back(); back > 0 {
			q.notes = append(q.notes, fmt.Sprintf("the clock of %s was set back by %s in the window: packets are told in the order in which they came", q.s.o.Node, back.Round(time.Second)))
		}
		if n := it.Gone(); n > 0 {
			q.gone += n
			q.notes = append(q.notes, fmt.Sprintf("%d segments of the window had to go while it was read: what was in them is missing", n))
		}
	}()
	for {
		err := it.Next(&p)
		switch {
		case l.err != nil:
			return l.err
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		l.packet(&p)
		if err := visit(&p, it.Flow(), q.opener[it.Flow()]); err != nil {
			return err
		}
	}
}

func (q *reading) follow(r *Request, t *store.Tail, l *learner, visit visitor, idle func() error) error {
	var p pcap.Packet
	for {
		if !t.Pending() {
			if err := idle(); err != nil {
				return err
			}
		}
		err := t.Next(&p)
		q.lagged = t.Lost()
		switch {
		case l.err != nil:
			return l.err
		case err != nil:
			return err
		case r.Until != 0 && p.Time >= r.Until:
			return nil
		}
		id := t.Flow()
		if r.Stream != 0 && id != r.Stream {
			continue
		}
		l.packet(&p)
		q.dropped += p.Drops
		if err := visit(&p, id, t.Opener()); err != nil {
			return err
		}
	}
}

// report says how the answer came about.
func (q *reading) report(matched uint64) *Report {
	st := q.s.o.Store.Stats()
	n := NodeReport{Node: q.s.o.Node, Oldest: st.Oldest, Newest: st.Newest, Matched: matched, Dropped: q.dropped, Lagged: q.lagged, Gone: q.gone, Notes: q.notes}
	return &Report{Nodes: []NodeReport{n}}
}

// Calls implements Source.
func (s *Stored) Calls(ctx context.Context, r *Request, each func(*dissect.Call) error) (*Report, error) {
	end, err := s.begin(ctx, r)
	defer end()
	if err != nil {
		return s.refused(err)
	}
	return CallsOnce(ctx, r, each, s.calls)
}

// calls hands out all sightings; they stay valid.
func (s *Stored) calls(ctx context.Context, r *Request, each func(*dissect.Call) error) (*Report, error) {
	if r.Last > 0 && !r.Follow && r.Stream == 0 {
		return s.newest(ctx, r, each)
	}
	q, err := s.reading(r)
	if err != nil {
		return nil, err
	}
	matched, err := q.dissection(r).calls(ctx, q.input(r, true), each)
	return q.report(matched), err
}

// newest looks for the newest calls from the window's end backwards, in steps that grow, so
// that a few of them do not cost the reading of all that is kept.
func (s *Stored) newest(ctx context.Context, r *Request, each func(*dissect.Call) error) (*Report, error) {
	until := r.Until
	st := s.o.Store.Stats()
	if until == 0 || until > st.Newest {
		until = st.Newest + 1
	}
	since := max(r.Since, st.Oldest)
	for width := int64(2 * time.Second); ; width *= 8 {
		part := *r
		part.Since = max(since, until-width)
		whole := part.Since <= since
		if whole {
			part.Since = r.Since
		}
		q, err := s.reading(&part)
		if err != nil {
			return nil, err
		}
		var calls []*dissect.Call
		matched, err := q.dissection(&part).calls(ctx, q.input(&part, true), func(c *dissect.Call) error {
			calls = append(calls, c) // the newest are kept until the end: nothing of them is used again
			return nil
		})
		report := q.report(matched)
		if err != nil || !whole && len(calls) < r.Last {
			if err != nil {
				return report, err
			}
			continue
		}
		report.Nodes[0].More = !whole
		for _, c := range calls {
			if err := each(c); err != nil {
				if errors.Is(err, ErrStop) {
					err = nil
				}
				return report, err
			}
		}
		return report, nil
	}
}

// Flows implements Source.
func (s *Stored) Flows(ctx context.Context, r *Request, each func(*dissect.Flow) error) (*Report, error) {
	end, err := s.begin(ctx, r)
	defer end()
	if err != nil {
		return s.refused(err)
	}
	return FlowsOnce(ctx, r, each, s.flows)
}

// flows hands out all sightings.
func (s *Stored) flows(ctx context.Context, r *Request, each func(*dissect.Flow) error) (*Report, error) {
	q, err := s.reading(r)
	if err != nil {
		return nil, err
	}
	matched, err := q.dissection(r).flows(ctx, q.input(r, q.filter.Calls()), each)
	return q.report(matched), err
}

// Nodes implements Source.
func (s *Stored) Nodes(context.Context) ([]Node, *Report, error) {
	n := s.o.State()
	st := s.o.Store.Stats()
	n.Oldest, n.Newest = st.Oldest, st.Newest
	n.StoreUsed, n.StoreLimit, n.Segments = uint64(st.Used), uint64(st.Limit), st.Segments
	n.QueueDrops, n.DiskDrops = st.QueueDrops, st.DiskDrops
	n.Queries = int(s.queries.Load())
	for _, p := range st.Problems {
		if n.Problem != "" {
			n.Problem += "; "
		}
		n.Problem += p
		n.State = "degraded"
	}
	return []Node{n}, &Report{Nodes: []NodeReport{{Node: n.Name, Oldest: n.Oldest, Newest: n.Newest}}}, nil
}

// errFlow says that nothing is kept of a flow.
func errFlow(id flow.ID) error { return fmt.Errorf("stream %s: %w", id, ErrNoSuchFlow) }
