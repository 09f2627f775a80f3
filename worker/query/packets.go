package query

import (
	"context"
	"errors"
	"sync"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
)

// byEnds judges a flow by its ends.
func byEnds(f *filter.Filter, fl *dissect.Flow) bool {
	switch f.Flow(fl) {
	case filter.Always:
		return true
	case filter.Never:
		return false
	}
	ok, err := f.MatchFlow(fl)
	return err == nil && ok
}

// needsDissection says whether ends cannot decide.
func needsDissection(f *filter.Filter) bool { return f.Calls() || f.Detects() || f.Flows() }

// Packets implements Source.
func (s *Stored) Packets(ctx context.Context, r *Request, out PacketSink) (*Report, error) {
	end, err := s.begin(ctx, r)
	defer end()
	if err != nil {
		return s.refused(err)
	}
	q, err := s.reading(r)
	if err != nil {
		return nil, err
	}
	if r.Follow && needsDissection(q.filter) {
		return q.followMatching(ctx, out)
	}
	defer q.hold(ctx)()
	wanted, err := q.wanted(ctx)
	if err != nil {
		return q.report(0), err
	}
	out, told := bounded(r, out, storedNewest)
	out, name := q.guarded(out)
	t := taker{r: r, out: out}
	err = q.read(ctx, r, 0, 0, name, func(p *pcap.Packet, id flow.ID, opener flow.Opener) error {
		if !wanted(p, id, opener) {
			return nil
		}
		return t.take(p)
	}, out.Flush)
	return q.report(t.matched), told(t.finish(err))
}

// hold holds what is going to be read twice, until the second reading holds it itself.
func (q *reading) hold(ctx context.Context) (release func()) {
	if !q.r.Hold || q.r.Follow || !needsDissection(q.filter) {
		return func() {}
	}
	q.held = q.s.o.Store.Packets(ctx, q.r.Since, q.r.Until, nil) // is never asked for a packet
	q.held.Hold()
	return q.held.Close
}

// wanted makes what judges packets by their flow.
func (q *reading) wanted(ctx context.Context) (func(*pcap.Packet, flow.ID, flow.Opener) bool, error) {
	r := q.r
	switch {
	case r.Filter == "" && (r.Vantage == Auto || r.Vantage == Both) && !r.Access.Limited:
		return func(*pcap.Packet, flow.ID, flow.Opener) bool { return true }, nil
	case needsDissection(q.filter):
		all := r.uncut()
		ids, err := q.dissection(all).matching(ctx, q.input(all, true))
		return func(_ *pcap.Packet, id flow.ID, _ flow.Opener) bool { return ids[id] }, err
	}
	known := map[flow.ID]bool{}
	ends := dissect.NewEnds(q.resolve)
	return func(p *pcap.Packet, id flow.ID, opener flow.Opener) bool {
		ok, seen := known[id]
		if !seen {
			fl := ends.OfPacket(p, id, opener)
			ok = r.Vantage.tells(fl.Vantage) && r.Access.TellsPacket(fl, p.Iface) && byEnds(q.filter, fl)
			known[id] = ok
		}
		return ok
	}, nil
}

// uncut is the request for all that matches, without bodies.
func (r *Request) uncut() *Request {
	all := *r
	all.First, all.Last, all.Bodies, all.Hold = 0, 0, 0, false
	return &all
}

// matching finds the flows that match, for their packets to be told: from every vantage that
// has them.
func (d *dissection) matching(ctx context.Context, in input) (map[flow.ID]bool, error) {
	ids := map[flow.ID]bool{}
	_, err := d.flows(ctx, in, func(fl *dissect.Flow) error {
		ids[fl.ID] = true
		return nil
	})
	return ids, err
}

// taker hands the packets of a request's window on, as many as it asks for.
type taker struct {
	r       *Request
	out     PacketSink
	matched uint64
}

// take takes a packet of a flow that matches. It returns ErrStop after the last one.
func (t *taker) take(p *pcap.Packet) error {
	if p.Time < t.r.Since || p.Time >= end(t.r) {
		return nil
	}
	t.matched++
	if err := t.out.Packet(p); err != nil {
		return err
	}
	if t.r.First > 0 && t.matched == uint64(t.r.First) {
		return ErrStop
	}
	return nil
}

// finish ends a reading that ended with err.
func (t *taker) finish(err error) error {
	if err == nil || errors.Is(err, ErrStop) {
		return t.out.Flush()
	}
	return err
}

// What is held of flows of which it is not known yet whether they match.
const (
	maxHeld        = 64 << 20 // bytes
	maxHeldPackets = 1 << 16
)

// undecided holds the packets of a live window back until a call tells that their flow
// matches.
type undecided struct {
	mu      sync.Mutex
	filter  *filter.Filter
	access  *Access
	matched map[flow.ID]bool
	fresh   bool      // something matched since the last look
	ended   []flow.ID // flows that matched and are over: no more packets of theirs come

	held  []heldPacket // in the order of their arrival
	bytes int
}

type heldPacket struct {
	id     flow.ID
	packet pcap.Packet
}

// Call implements dissect.Handler.
func (u *undecided) Call(c *dissect.Call) {
	if !u.access.Tells(c.Flow) {
		return
	}
	if ok, err := u.filter.Call(c); err != nil || !ok {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.matched[c.Flow.ID] {
		u.matched[c.Flow.ID], u.fresh = true, true
	}
}

// FlowEnd implements dissect.Handler.
func (u *undecided) FlowEnd(f *dissect.Flow) {
	ok, err := false, error(nil)
	if u.access.Tells(f) {
		ok, err = u.filter.MatchFlow(f)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if err == nil && ok && !u.matched[f.ID] {
		u.matched[f.ID], u.fresh = true, true
	}
	if u.matched[f.ID] {
		u.ended = append(u.ended, f.ID)
	}
}

// Batch implements dissect.Handler.
func (u *undecided) Batch() {}

// add takes a packet: it goes out at once if its flow matches, else it is held.
func (u *undecided) add(p *pcap.Packet, id flow.ID, out PacketSink) error {
	u.mu.Lock()
	ok := u.matched[id]
	u.mu.Unlock()
	if ok {
		return out.Packet(p)
	}
	own := *p
	own.Data = append([]byte(nil), p.Data...)
	u.held = append(u.held, heldPacket{id, own})
	u.bytes += len(own.Data)
	n := 0
	for u.bytes > maxHeld || len(u.held)-n > maxHeldPackets {
		u.bytes -= len(u.held[n].packet.Data)
		n++
	}
	u.held = append(u.held[:0], u.held[n:]...)
	return nil
}

// release hands out what was held of flows that match by now.
func (u *undecided) release(out PacketSink) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	defer u.forget()
	if !u.fresh {
		return nil
	}
	u.fresh = false
	rest := u.held[:0]
	for _, h := range u.held {
		if !u.matched[h.id] {
			rest = append(rest, h)
			continue
		}
		u.bytes -= len(h.packet.Data)
		if err := out.Packet(&h.packet); err != nil {
			return err
		}
	}
	clear(u.held[len(rest):])
	u.held = rest
	return nil
}

// forget drops what is known of flows that are over; mu is held.
func (u *undecided) forget() {
	for _, id := range u.ended {
		delete(u.matched, id)
	}
	u.ended = u.ended[:0]
}

// followMatching follows the packets of flows that a dissection finds to match. Their packets
// come once that is known: a little late, and those of other flows in between.
func (q *reading) followMatching(ctx context.Context, out PacketSink) (*Report, error) {
	r := q.r
	out, name := q.guarded(out)
	u := &undecided{filter: q.filter, access: &r.Access, matched: map[flow.ID]bool{}}
	o := q.dissection(r).options
	o.Select, o.Follow = selector(q.filter, r), r.Follow
	o.Handler = func(int) dissect.Handler { return u }
	e := dissect.NewEngine(o)
	defer e.Close()
	n := 0
	err := q.read(ctx, r, 0, 0, name, func(p *pcap.Packet, id flow.ID, opener flow.Opener) error {
		e.Packet(p, id, opener)
		if err := u.add(p, id, out); err != nil {
			return err
		}
		if n++; n%1024 == 0 {
			e.Sync()
			return u.release(out)
		}
		return nil
	}, func() error {
		e.Sync()
		return errors.Join(u.release(out), out.Flush())
	})
	return q.report(0), err
}
