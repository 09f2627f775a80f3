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
	defer s.begin()()
	q, err := s.reading(r)
	if err != nil {
		return nil, err
	}
	if r.Follow && needsDissection(q.filter) {
		return q.followMatching(ctx, out)
	}
	wanted, err := q.wanted(ctx)
	if err != nil {
		return q.report(0), err
	}
	var matched uint64
	visit := func(p *pcap.Packet, id flow.ID, opener flow.Opener) error {
		if p.Time < r.Since || p.Time >= end(r) || !wanted(p, id, opener) {
			return nil
		}
		matched++
		if err := out.Packet(p); err != nil {
			return err
		}
		if r.First > 0 && matched == uint64(r.First) {
			return ErrStop
		}
		return nil
	}
	err = q.read(ctx, r, 0, 0, out.Name, visit, out.Flush)
	if errors.Is(err, ErrStop) {
		err = nil
	}
	if err == nil {
		err = out.Flush()
	}
	return q.report(matched), err
}

// wanted makes what judges packets by their flow.
func (q *reading) wanted(ctx context.Context) (func(*pcap.Packet, flow.ID, flow.Opener) bool, error) {
	r := q.r
	switch {
	case r.Filter == "" && (r.Vantage == Auto || r.Vantage == Both):
		return func(*pcap.Packet, flow.ID, flow.Opener) bool { return true }, nil
	case needsDissection(q.filter):
		ids, err := q.found(ctx)
		return func(_ *pcap.Packet, id flow.ID, _ flow.Opener) bool { return ids[id] }, err
	}
	known := map[flow.ID]bool{}
	ends := dissect.NewEnds(q.resolve)
	return func(p *pcap.Packet, id flow.ID, opener flow.Opener) bool {
		ok, seen := known[id]
		if !seen {
			fl := ends.OfPacket(p, id, opener)
			ok = r.Vantage.tells(fl.Vantage) && byEnds(q.filter, fl)
			known[id] = ok
		}
		return ok
	}, nil
}

// found dissects the window for the flows that match.
func (q *reading) found(ctx context.Context) (map[flow.ID]bool, error) {
	r := *q.r
	r.First, r.Last, r.Bodies = 0, 0, 0
	d := q.dissection(&r)
	d.options.Once = false // packets are told from every vantage that has them
	ids := map[flow.ID]bool{}
	_, err := d.flows(ctx, q.input(&r), func(fl *dissect.Flow) error {
		ids[fl.ID] = true
		return nil
	})
	return ids, err
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
	ok, err := u.filter.MatchFlow(f)
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
	u := &undecided{filter: q.filter, matched: map[flow.ID]bool{}}
	o := q.dissection(r).options
	o.Once, o.Select = false, selector(q.filter, r.Stream)
	o.Handler = func(int) dissect.Handler { return u }
	e := dissect.NewEngine(o)
	defer e.Close()
	n := 0
	err := q.read(ctx, r, 0, 0, out.Name, func(p *pcap.Packet, id flow.ID, opener flow.Opener) error {
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
