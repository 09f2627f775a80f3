package fleet

import (
	"context"
	"errors"
	"io"

	"golang.org/x/sync/semaphore"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/worker/query"
)

// What waits in the hub to be merged is bounded in bytes, for one question and all of its
// nodes together. A node always has room for one item.
const (
	heldBytes = 64 << 20
	heldLeast = 16 << 10 // of one node
	heldItems = 64
)

// weight is about how many bytes an item holds.
func weight(item any) int64 {
	const call, flow = 512, 1024 // with what they point to
	switch v := item.(type) {
	case *dissect.Call:
		n := int64(call)
		if k, ok := v.Message.(*query.Kept); ok {
			n += int64(len(k.Summary) + len(k.Status) + len(k.Fields))
			for _, b := range k.Bodies {
				if b != nil {
					n += int64(len(b.Data))
				}
			}
		}
		return n
	case *dissect.Flow:
		return flow
	case event:
		if v.packet != nil {
			return int64(len(v.packet.Data)) + 128
		}
	}
	return 64
}

// queue holds items until they are taken, as many as it has room for.
type queue[T any] struct {
	items chan T
	limit int64 // bytes
	room  *semaphore.Weighted
}

func newQueue[T any](limit int64) queue[T] {
	return queue[T]{make(chan T, heldItems), limit, semaphore.NewWeighted(limit)}
}

// put waits for room.
func (q *queue[T]) put(ctx context.Context, item T) error {
	if err := q.room.Acquire(ctx, min(weight(item), q.limit)); err != nil {
		return err
	}
	select {
	case q.items <- item:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// take waits for an item; ok is false at the end.
func (q *queue[T]) take() (item T, ok bool) {
	if item, ok = <-q.items; ok {
		q.room.Release(min(weight(item), q.limit))
	}
	return item, ok
}

// answer is what one node has to say, in its order.
type answer[T any] struct {
	queue[T]
	told   int // items, once the queue is closed
	report *query.Report
	err    error
}

// Next makes an answer a source of pcap/merge. What went wrong is in the report.
func (a *answer[T]) Next(v *T) error {
	item, ok := a.take()
	if !ok {
		return io.EOF
	}
	*v = item
	return nil
}

// question puts a request to one member: what it is asked for may be less than what the asker
// wants of all.
type question[T any] func(ctx context.Context, m Member, r *query.Request, item func(T) error) (*query.Report, error)

// ask puts a question to all nodes at once. Each answers into a queue of its own, which is
// closed when the report is there.
func ask[T any](ctx context.Context, members []Member, r *query.Request, question question[T]) []*answer[T] {
	all := make([]*answer[T], len(members))
	share := int64(max(heldBytes/max(len(members), 1), heldLeast))
	for i, m := range members {
		a := &answer[T]{queue: newQueue[T](share)}
		all[i] = a
		go func() {
			defer close(a.items)
			a.report, a.err = question(ctx, m, r, func(item T) error {
				a.told++
				return a.put(ctx, item)
			})
		}()
	}
	return all
}

// end waits until all nodes have ended; what they still say is dropped.
func end[T any](answers []*answer[T]) {
	for _, a := range answers {
		for _, ok := a.take(); ok; _, ok = a.take() {
		}
	}
}

// report joins the nodes' reports. A node that failed is missing; an error that is the
// question's is returned. All queues must have been closed.
func report[T any](members []Member, answers []*answer[T], stopped bool) (*query.Report, error) {
	joined := &query.Report{}
	for i, a := range answers {
		switch {
		case a.err == nil, stopped && errors.Is(a.err, context.Canceled):
		case errors.Is(a.err, ErrUnreachable):
			a.report = absent(members[i].Name, a.report, a.err, a.told > 0)
		case errors.Is(a.err, query.ErrNoSuchFlow) && len(members) > 1: // another node has it
		default:
			add(joined, a.report)
			return joined, a.err
		}
		add(joined, a.report)
	}
	return joined, nil
}

// absent notes in a node's report, which may be nil, that it failed.
func absent(node string, r *query.Report, err error, part bool) *query.Report {
	if r == nil || len(r.Nodes) == 0 {
		r = &query.Report{Nodes: []query.NodeReport{{Node: node}}}
	}
	r.Nodes[0].Missing, r.Nodes[0].Part = reason(err), part
	return r
}

// add adds a node's report, which may be nil.
func add(joined, r *query.Report) {
	if r != nil {
		joined.Nodes = append(joined.Nodes, r.Nodes...)
	}
}
