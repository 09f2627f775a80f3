// Package fleet is the hub's view of all nodes: it asks each of them, merges their ordered
// answers, and says which did not answer.
//
// A Fleet implements query.Source. Each node is asked when somebody asks, and waits while its
// answers are not taken: what waits to be merged is bounded in bytes. It is safe for concurrent
// use.
//
// What several follow alike is asked once, for as long as one of them does, and all hear it, each
// at their own pace: what it told lately is held (see sharing). Other questions that follow are
// admitted as long as there is memory for them; one too many is ErrNoRoom. How the nodes are is
// asked once a second at most where that takes long.
//
// A node that cannot be reached, or that falls silent, is named in the report with the reason,
// and the others' answer goes on without it. Who follows is told at once, and hears the node
// again when it is back, from where it stopped; nodes that are new are asked too.
//
// Members are the nodes of a cluster: one connection to each worker that is listed, for as
// long as it is. Over it each worker is also told who is who.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/worker/query"
)

// Member is one node of the fleet. What its source hands out stays valid after the callback
// (as it does from a Node), but for packets. A worker that is gone ends its answers by itself
// with ErrUnreachable, as a Node does.
type Member struct {
	Name   string
	Source query.Source
}

// Fleet is all nodes that are known at the moment.
type Fleet struct {
	members func() []Member
	timeout time.Duration
	changed func() <-chan struct{} // closed when members may say something else; nil: they never do

	sharedCalls sharing[*dissect.Call]
	sharedFlows sharing[*dissect.Flow]
	roll        roll
	room        room
}

// New makes a fleet of the nodes that members returns whenever somebody asks. A node that has
// not said how it is within timeout is missing from Nodes.
func New(members func() []Member, timeout time.Duration) *Fleet {
	return &Fleet{members: members, timeout: timeout}
}

// of are the members that a request asks.
func (f *Fleet) of(r *query.Request) []Member {
	members := f.members()
	if r.Node == "" {
		return members
	}
	return slices.DeleteFunc(slices.Clone(members), func(m Member) bool { return m.Name != r.Node })
}

// Calls implements query.Source.
func (f *Fleet) Calls(ctx context.Context, r *query.Request, each func(*dissect.Call) error) (*query.Report, error) {
	return f.sharedCalls.ask(ctx, f, r, each, func(ctx context.Context, r *query.Request, each func(*dissect.Call) error) (*query.Report, error) {
		return query.CallsOnce(ctx, r, each, f.calls)
	})
}

// Flows implements query.Source.
func (f *Fleet) Flows(ctx context.Context, r *query.Request, each func(*dissect.Flow) error) (*query.Report, error) {
	return f.sharedFlows.ask(ctx, f, r, each, func(ctx context.Context, r *query.Request, each func(*dissect.Flow) error) (*query.Report, error) {
		if lend := each; r.Follow {
			each = func(f *dissect.Flow) error {
				own := *f
				return lend(&own)
			}
		}
		return query.FlowsOnce(ctx, r, each, f.flows)
	})
}

// event is what a packet query hands out: a packet, a name, or word that there is no more
// for the moment.
type event struct {
	packet *pcap.Packet
	name   *pcap.Name
}

// relay turns a sink's calls into events. Packets are copied: they are borrowed.
type relay struct {
	item  func(event) error
	block []byte
}

// relayBlock is how many bytes of packets lie together.
const relayBlock = 16 << 10

func (r *relay) Packet(p *pcap.Packet) error {
	own := *p
	if cap(r.block)-len(r.block) < len(p.Data) {
		r.block = make([]byte, 0, max(relayBlock, len(p.Data)))
	}
	start := len(r.block)
	r.block = append(r.block, p.Data...)
	own.Data = r.block[start:len(r.block):len(r.block)]
	return r.item(event{packet: &own})
}
func (r *relay) Name(n pcap.Name) error { return r.item(event{name: &n}) }
func (r *relay) Flush() error           { return r.item(event{}) }

func (e *event) time() int64 {
	if e.packet != nil {
		return e.packet.Time
	}
	return 0 // names come before the packets that they are for
}

// counted counts the packets that go through it.
type counted struct {
	query.PacketSink
	n int
}

func (c *counted) Packet(p *pcap.Packet) error {
	c.n++
	return c.PacketSink.Packet(p)
}

// Packets implements query.Source.
func (f *Fleet) Packets(ctx context.Context, r *query.Request, out query.PacketSink) (*query.Report, error) {
	// What one node says needs no merging, and its packets no copies.
	if members := f.of(r); len(members) == 1 && r.Last == 0 && (!r.Follow || f.changed == nil) {
		sink := counted{PacketSink: out}
		report, err := members[0].Source.Packets(ctx, r, &sink)
		if errors.Is(err, ErrUnreachable) {
			return absent(members[0].Name, report, err, sink.n > 0), nil
		}
		return report, err
	}
	if r.Last == 0 {
		return f.packets(ctx, r, out)
	}
	// Each node tells its newest. They are cut to those of all here, where a name is not taken
	// for one of them.
	kept := query.NewNewest(r.Last, newestBytes)
	report, err := f.packets(ctx, r, kept)
	if err == nil {
		err = kept.HandOn(out)
	}
	if errors.Is(err, query.ErrStop) {
		err = nil
	}
	return report, err
}

// packets merges what all nodes tell.
func (f *Fleet) packets(ctx context.Context, r *query.Request, out query.PacketSink) (*query.Report, error) {
	whole := *r
	whole.Last = 0
	return gather(ctx, f, &whole, func(ctx context.Context, m Member, part *query.Request, item func(event) error) (*query.Report, error) {
		own := *part
		own.Last = r.Last
		return m.Source.Packets(ctx, &own, &relay{item: item})
	}, (*event).time, func(e event) error {
		switch {
		case e.packet != nil:
			return out.Packet(e.packet)
		case e.name != nil:
			return out.Name(*e.name)
		}
		return out.Flush()
	})
}

// claim lets the first node that has the flow speak, and ends the others.
type claim struct {
	query.StreamSink
	winner *atomic.Int64 // 1 + number of that node
	number int64
	won    func() // called once, by the winner
}

func (c *claim) mine() bool {
	if c.winner.CompareAndSwap(0, c.number) {
		c.won()
	}
	return c.winner.Load() == c.number
}

func (c *claim) Data(d flow.Dir, b []byte, at int64) error {
	if !c.mine() {
		return query.ErrStop
	}
	return c.StreamSink.Data(d, b, at)
}

func (c *claim) Gap(d flow.Dir, n, at int64) error {
	if !c.mine() {
		return query.ErrStop
	}
	return c.StreamSink.Gap(d, n, at)
}

// Stream implements query.Source. A flow is one node's: all are asked at once, and as soon as
// one has it the others are left alone.
func (f *Fleet) Stream(ctx context.Context, r *query.Request, out query.StreamSink) (*query.Report, error) {
	members := f.of(r)
	if len(members) == 0 {
		return nobody(r)
	}
	answers := make([]answer[struct{}], len(members))
	cancels := make([]context.CancelFunc, len(members))
	contexts := make([]context.Context, len(members))
	for i := range members {
		contexts[i], cancels[i] = context.WithCancel(ctx)
		defer cancels[i]()
	}
	var winner atomic.Int64
	var asked sync.WaitGroup
	for i, m := range members {
		asked.Go(func() {
			sink := &claim{StreamSink: out, winner: &winner, number: int64(i) + 1, won: func() {
				for k, cancel := range cancels {
					if k != i {
						cancel()
					}
				}
			}}
			answers[i].report, answers[i].err = m.Source.Stream(contexts[i], r, sink)
		})
	}
	asked.Wait()
	if w := winner.Load(); w > 0 {
		a := &answers[w-1]
		if errors.Is(a.err, ErrUnreachable) {
			return absent(members[w-1].Name, a.report, a.err, true), nil
		}
		return a.report, a.err
	}
	joined := &query.Report{}
	found := false // by a node that has nothing of its payload
	for i := range answers {
		switch a := &answers[i]; {
		case a.err == nil:
			found = true
			add(joined, a.report)
		case errors.Is(a.err, query.ErrNoSuchFlow):
		case errors.Is(a.err, ErrUnreachable):
			add(joined, absent(members[i].Name, a.report, a.err, false))
		default:
			return joined, a.err
		}
	}
	if found {
		return joined, nil
	}
	return joined, fmt.Errorf("stream %s: %w", r.Stream, query.ErrNoSuchFlow)
}
