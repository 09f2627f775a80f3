// Package fleet is the hub's view of all nodes: it asks each of them, merges their ordered
// answers, and says which did not answer.
//
// A Fleet implements query.Source. It holds no answers: each node is asked when somebody
// asks, and waits while its answers are not taken. It is safe for concurrent use.
package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/merge"
	"github.com/sshark/sshark/worker/query"
)

// Member is one node of the fleet. What its source hands out stays valid after the callback
// (as it does from a Node), but for packets.
type Member struct {
	Name   string
	Source query.Source
}

// Fleet is all nodes that are known at the moment.
type Fleet struct {
	members func() []Member
	timeout time.Duration
}

// New makes a fleet of the nodes that members returns whenever somebody asks. A node that has
// not begun to say how it is within timeout is missing.
func New(members func() []Member, timeout time.Duration) *Fleet { return &Fleet{members, timeout} }

// answer is what one node has to say, in its order.
type answer[T any] struct {
	items  chan T
	report *query.Report
	err    error
}

// ask puts a question to all nodes at once. Each answers into a channel of its own, which is
// closed when the report is there.
func ask[T any](ctx context.Context, members []Member, question func(context.Context, Member, func(T) error) (*query.Report, error)) []*answer[T] {
	all := make([]*answer[T], len(members))
	for i, m := range members {
		a := &answer[T]{items: make(chan T, 64)}
		all[i] = a
		go func() {
			defer close(a.items)
			a.report, a.err = question(ctx, m, func(item T) error {
				select {
				case a.items <- item:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
		}()
	}
	return all
}

// report joins the nodes' reports. A node that failed is missing; an error that is the
// question's is returned. All channels must have been closed.
func report[T any](members []Member, answers []*answer[T], stopped bool) (*query.Report, error) {
	joined := &query.Report{}
	for i, a := range answers {
		if a.report != nil {
			joined.Nodes = append(joined.Nodes, a.report.Nodes...)
		}
		switch {
		case a.err == nil, stopped && errors.Is(a.err, context.Canceled):
			continue
		case errors.Is(a.err, ErrUnreachable):
			joined.Nodes = append(joined.Nodes, query.NodeReport{Node: members[i].Name, Missing: a.err.Error()})
		case errors.Is(a.err, query.ErrNoSuchFlow) && len(members) > 1:
			continue // another node has it
		default:
			return joined, a.err
		}
	}
	return joined, nil
}

// Next makes an answer a source of pcap/merge. What went wrong is in the report.
func (a *answer[T]) Next(v *T) error {
	item, ok := <-a.items
	if !ok {
		return io.EOF
	}
	*v = item
	return nil
}

// ordered hands out the items of all answers in the order of time; with follow, as they come.
func ordered[T any](ctx context.Context, answers []*answer[T], follow bool, time func(*T) int64, each func(T) error) error {
	if follow || len(answers) == 1 {
		return mix(ctx, answers, each)
	}
	sources := make([]merge.Source[T], len(answers))
	for i, a := range answers {
		sources[i] = a
	}
	m := merge.New(time, sources...)
	for {
		var item T
		if err := m.Next(&item); err != nil {
			return nil // their end: an answer knows no other error
		}
		if err := each(item); err != nil {
			return err
		}
	}
}

// mix hands out items in the order in which they come.
func mix[T any](ctx context.Context, answers []*answer[T], each func(T) error) error {
	if len(answers) == 1 {
		for item := range answers[0].items {
			if err := each(item); err != nil {
				return err
			}
		}
		return nil
	}
	all := make(chan T)
	var wg sync.WaitGroup
	for _, a := range answers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for item := range a.items {
				select {
				case all <- item:
				case <-ctx.Done():
				}
			}
		}()
	}
	go func() {
		wg.Wait()
		close(all)
	}()
	for item := range all {
		if err := each(item); err != nil {
			return err
		}
	}
	return nil
}

// gather asks, merges, cuts to the newest or oldest, and reports.
func gather[T any](ctx context.Context, f *Fleet, r *query.Request, question func(context.Context, Member, func(T) error) (*query.Report, error),
	time func(*T) int64, each func(T) error) (*query.Report, error) {
	outer := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	members := f.members()
	answers := ask(ctx, members, question)
	var newest []T
	told := 0
	take := func(item T) error {
		if r.Last > 0 {
			newest = append(newest, item)
			if len(newest) >= 2*r.Last {
				newest = append(newest[:0], newest[len(newest)-r.Last:]...)
			}
			return nil
		}
		if err := each(item); err != nil {
			return err
		}
		if told++; told == r.First {
			return query.ErrStop
		}
		return nil
	}
	err := ordered(ctx, answers, r.Follow, time, take)
	stopped := err != nil
	if stopped {
		cancel()
	}
	for _, a := range answers {
		for range a.items { // until the node has ended
		}
	}
	joined, reportErr := report(members, answers, stopped)
	for _, item := range newest[max(0, len(newest)-max(r.Last, 0)):] {
		if err != nil || outer.Err() != nil {
			break
		}
		err = each(item)
	}
	if errors.Is(err, query.ErrStop) {
		err = nil
	}
	return joined, cmp.Or(err, reportErr)
}

// Calls implements query.Source.
func (f *Fleet) Calls(ctx context.Context, r *query.Request, each func(*dissect.Call) error) (*query.Report, error) {
	return gather(ctx, f, r, func(ctx context.Context, m Member, item func(*dissect.Call) error) (*query.Report, error) {
		return m.Source.Calls(ctx, r, item)
	}, func(c **dissect.Call) int64 { return (*c).Time }, each)
}

// Flows implements query.Source.
func (f *Fleet) Flows(ctx context.Context, r *query.Request, each func(*dissect.Flow) error) (*query.Report, error) {
	return gather(ctx, f, r, func(ctx context.Context, m Member, item func(*dissect.Flow) error) (*query.Report, error) {
		return m.Source.Flows(ctx, r, item)
	}, func(f **dissect.Flow) int64 { return (*f).First }, each)
}

// event is what a packet query hands out: a packet, a name, or word that there is no more
// for the moment.
type event struct {
	packet *pcap.Packet
	name   *pcap.Name
}

// relay turns a sink's calls into events. Packets are copied: they are borrowed.
type relay struct {
	item func(event) error
}

func (r relay) Packet(p *pcap.Packet) error {
	own := *p
	own.Data = append([]byte(nil), p.Data...)
	return r.item(event{packet: &own})
}
func (r relay) Name(n pcap.Name) error { return r.item(event{name: &n}) }
func (r relay) Flush() error           { return r.item(event{}) }

func (e *event) time() int64 {
	if e.packet != nil {
		return e.packet.Time
	}
	return 0 // names come before the packets that they are for
}

// Packets implements query.Source.
func (f *Fleet) Packets(ctx context.Context, r *query.Request, out query.PacketSink) (*query.Report, error) {
	if members := f.members(); len(members) == 1 {
		report, err := members[0].Source.Packets(ctx, r, out)
		if errors.Is(err, ErrUnreachable) {
			if report == nil {
				report = &query.Report{}
			}
			report.Nodes = append(report.Nodes, query.NodeReport{Node: members[0].Name, Missing: err.Error()})
			err = nil
		}
		return report, err
	}
	return gather(ctx, f, r, func(ctx context.Context, m Member, item func(event) error) (*query.Report, error) {
		return m.Source.Packets(ctx, r, relay{item})
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

// Stream implements query.Source. A flow is one node's: the others are asked in turn until
// one has it.
func (f *Fleet) Stream(ctx context.Context, r *query.Request, out query.StreamSink) (*query.Report, error) {
	joined := &query.Report{}
	for _, m := range f.members() {
		report, err := m.Source.Stream(ctx, r, out)
		switch {
		case errors.Is(err, query.ErrNoSuchFlow):
			continue
		case errors.Is(err, ErrUnreachable):
			joined.Nodes = append(joined.Nodes, query.NodeReport{Node: m.Name, Missing: err.Error()})
			continue
		}
		if report != nil {
			joined.Nodes = append(joined.Nodes, report.Nodes...)
		}
		return joined, err
	}
	return joined, fmt.Errorf("stream %s: %w", r.Stream, query.ErrNoSuchFlow)
}

// Nodes implements query.Source. Missing nodes are listed as gone.
func (f *Fleet) Nodes(ctx context.Context) ([]query.Node, *query.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	members := f.members()
	answers := ask(ctx, members, func(ctx context.Context, m Member, item func(query.Node) error) (*query.Report, error) {
		nodes, report, err := m.Source.Nodes(ctx)
		for _, n := range nodes {
			if err := item(n); err != nil {
				return report, err
			}
		}
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			err = errors.Join(ErrUnreachable, err)
		}
		return report, err
	})
	var nodes []query.Node
	for _, a := range answers {
		for n := range a.items {
			nodes = append(nodes, n)
		}
	}
	joined, err := report(members, answers, false)
	for _, n := range joined.Nodes {
		if n.Missing != "" {
			nodes = append(nodes, query.Node{Name: n.Node, State: "gone", Problem: n.Missing})
		}
	}
	slices.SortFunc(nodes, func(a, b query.Node) int { return cmp.Compare(a.Name, b.Name) })
	return nodes, joined, err
}
