package fleet

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/sshark/sshark/worker/query"
)

// What the nodes said of themselves is told again while it is not older than so many times as long
// as it took to ask, and than a second at most: each screen asks every two seconds, and a thousand
// nodes are not to be asked by each of a hundred screens.
const (
	freshTimes = 10
	freshMost  = time.Second
)

// roll is what the nodes said of themselves last. The zero value is ready.
type roll struct {
	mu   sync.Mutex
	last *rollCall
}

// rollCall is one question to all nodes, for all who ask it meanwhile.
type rollCall struct {
	members []Member
	cancel  context.CancelFunc
	done    chan struct{} // closed when what follows is known
	until   time.Time     // it is fresh
	nodes   []query.Node
	report  *query.Report
	err     error

	waiting int // guarded by roll.mu
}

// Nodes implements query.Source: it says how the nodes are, or were within the last second. Missing nodes
// are listed as gone. What the nodes' pods are is not to be changed.
func (f *Fleet) Nodes(ctx context.Context) ([]query.Node, *query.Report, error) {
	members := f.members()
	f.roll.mu.Lock()
	c := f.roll.last
	if c == nil || !slices.Equal(c.members, members) || closed(c.done) && (c.err != nil || time.Now().After(c.until)) {
		c = &rollCall{members: members, done: make(chan struct{})}
		var asked context.Context
		asked, c.cancel = context.WithCancel(context.Background()) // the last who waits ends it
		f.roll.last = c
		go func() {
			defer c.cancel()
			begun := time.Now()
			c.nodes, c.report, c.err = f.nodes(asked, members)
			c.until = time.Now().Add(min(freshMost, freshTimes*time.Since(begun)))
			close(c.done)
		}()
	}
	c.waiting++
	f.roll.mu.Unlock()
	select {
	case <-c.done:
	case <-ctx.Done():
	}
	f.roll.mu.Lock()
	if c.waiting--; c.waiting == 0 && !closed(c.done) {
		c.cancel()
		if f.roll.last == c {
			f.roll.last = nil
		}
	}
	f.roll.mu.Unlock()
	if !closed(c.done) {
		return nil, &query.Report{}, ctx.Err()
	}
	return slices.Clone(c.nodes), &query.Report{Nodes: slices.Clone(c.report.Nodes)}, c.err
}

// nodes asks all nodes.
func (f *Fleet) nodes(ctx context.Context, members []Member) ([]query.Node, *query.Report, error) {
	outer := ctx
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	answers := ask(ctx, members, nil, func(ctx context.Context, m Member, _ *query.Request, item func(query.Node) error) (*query.Report, error) {
		nodes, report, err := m.Source.Nodes(ctx)
		for _, n := range nodes {
			if err := item(n); err != nil {
				return report, err
			}
		}
		if err != nil && ctx.Err() != nil && outer.Err() == nil {
			err = unreachable("nothing came for %v", f.timeout)
		}
		return report, err
	})
	var nodes []query.Node
	for _, a := range answers {
		for n, ok := a.take(); ok; n, ok = a.take() {
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
