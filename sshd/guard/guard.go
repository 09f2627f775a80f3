// Package guard stands between a session and the fleet: a query.Source that asks for what its
// user may see and no more, and judges what comes back again, so that a worker that does not
// obey is no leak.
//
// Guard holds nothing of its own but the options; the scope is asked for with each question,
// and from time to time while one follows. What a worker told and should not have is left out
// and logged. It is safe for concurrent use.
//
// Errors are those of the source, and *auth.Refusal.
package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/worker/query"
)

// Options of a Guard. Source, Scope and Log are needed.
type Options struct {
	Source   query.Source
	Language *filter.Language // nil: only the workers judge what a filter asks for
	// Scope says where the user may do something at the moment; its error is a *auth.Refusal.
	Scope func(ctx context.Context, v auth.Verb) (auth.Scope, error)
	// Begin is called before each question, and what it returns at its end; its error keeps the
	// question from being asked. nil: questions are not counted.
	Begin func() (end func(), err error)
	// Spend is told of the bytes of packets and streams before they are handed on; its error
	// ends the question. nil: they are not counted.
	Spend func(bytes int) error
	// Done is told at the end of each question but those for nodes; nil: nobody.
	Done  func(*Asked)
	Log   *slog.Logger
	Again time.Duration // how often the scope of one who follows is looked at again; 0: 10s
}

// Asked is a question that was answered, or not.
type Asked struct {
	What    string // calls, flows, packets, stream
	Request *query.Request
	Scope   auth.Scope
	Told    uint64 // calls, flows, packets or pieces of a stream
	Bytes   uint64 // of packets and streams
	Err     error
}

// Guard is a source for one user.
type Guard struct{ o Options }

// New makes one.
func New(o Options) *Guard {
	if o.Again == 0 {
		o.Again = 10 * time.Second
	}
	return &Guard{o}
}

var _ query.Source = (*Guard)(nil)

// errChanged ends a question whose asker may see other things by now.
var errChanged = fmt.Errorf("%w: the permissions have changed; ask again", auth.ErrRefused)

// asking is one question on its way.
type asking struct {
	g        *Guard
	request  query.Request // with the access
	asked    Asked
	withheld atomic.Uint64
	ctx      context.Context
	end      func()
}

// verbs of a question: the first decides what is told of, the second whether what was said is.
type verbs struct{ where, said auth.Verb }

var (
	metadata = verbs{auth.See, auth.Payload}
	packets  = verbs{auth.Export, auth.Export}
	streams  = verbs{auth.Payload, auth.Payload}
)

// begin finds out what may be asked. Its error is told of as an answer is.
func (g *Guard) begin(ctx context.Context, what string, r *query.Request, v verbs) (*asking, error) {
	q := &asking{g: g, request: *r, asked: Asked{What: what, Request: r}, ctx: ctx, end: func() {}}
	q.request.Withheld = func() { q.withheld.Add(1) }
	if err := q.prepare(v); err != nil {
		q.asked.Err = err
		q.done()
		return nil, err
	}
	if r.Follow {
		q.watch(v)
	}
	return q, nil
}

func (q *asking) prepare(v verbs) (err error) {
	if q.request.Access, q.asked.Scope, err = q.g.access(q.ctx, q.asked.Request, v); err != nil || q.g.o.Begin == nil {
		return err
	}
	end, err := q.g.o.Begin()
	if err == nil {
		q.end = end
	}
	return err
}

// access is what an answer may tell.
func (g *Guard) access(ctx context.Context, r *query.Request, v verbs) (query.Access, auth.Scope, error) {
	where, err := g.o.Scope(ctx, v.where)
	if err != nil {
		return query.Access{}, where, err
	}
	a := query.Access{Limited: !where.All, Namespaces: where.Namespaces}
	if v.said == v.where {
		return a, where, nil
	}
	said, refusal := g.o.Scope(ctx, v.said)
	if said.Equal(where) && refusal == nil {
		return a, where, nil
	}
	a.Metadata, a.Payload = true, said.Namespaces
	if g.o.Language == nil {
		return a, where, nil
	}
	f, err := g.o.Language.Compile(r.Filter)
	if err != nil {
		return a, where, err
	}
	field := f.Payload()
	switch {
	case field == "":
		return a, where, nil
	case refusal != nil:
		var why *auth.Refusal
		if errors.As(refusal, &why) {
			refusal = &auth.Refusal{User: why.User, Verb: v.said, Why: fmt.Errorf("%w: the filter asks for %s", auth.ErrRefused, field)}
		}
		return a, where, refusal
	}
	// The filter is an oracle: it is judged only where the user may see what it asks for.
	return query.Access{Limited: true, Namespaces: said.Namespaces}, said, nil
}

// watch ends a question that follows when its asker may see other things.
func (q *asking) watch(v verbs) {
	ctx, cancel := context.WithCancelCause(q.ctx)
	q.ctx = ctx
	end := q.end
	q.end = func() {
		cancel(nil)
		end()
	}
	access := q.request.Access
	go func() {
		again := time.NewTicker(q.g.o.Again)
		defer again.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-again.C:
			}
			now, _, err := q.g.access(ctx, q.asked.Request, v)
			if ctx.Err() == nil && (err != nil || !same(access, now)) {
				cancel(errChanged)
				return
			}
		}
	}()
}

func same(a, b query.Access) bool {
	scope := func(x query.Access) (auth.Scope, auth.Scope) { return auth.In(x.Namespaces...), auth.In(x.Payload...) }
	where, said := scope(a)
	where2, said2 := scope(b)
	return a.Limited == b.Limited && a.Metadata == b.Metadata && where.Equal(where2) && said.Equal(said2)
}

// finish ends a question with what came of it.
func (q *asking) finish(report *query.Report, err error) (*query.Report, error) {
	if cause := context.Cause(q.ctx); errors.Is(cause, errChanged) {
		err = errChanged
	}
	q.end()
	if q.withheld.Load() > 0 {
		// What a worker counted that does not obey says something too.
		for i := range report.Nodes {
			report.Nodes[i].Matched = min(report.Nodes[i].Matched, q.asked.Told)
		}
	}
	q.asked.Err = err
	q.done()
	return report, err
}

func (q *asking) done() {
	if n := q.withheld.Load(); n > 0 {
		q.g.o.Log.Error("workers told what they were not asked for: it was left out", "what", q.asked.What, "count", n, "namespaces", q.asked.Scope.Names())
	}
	if q.g.o.Done != nil {
		q.g.o.Done(&q.asked)
	}
}

// spend counts bytes that are exported.
func (q *asking) spend(n int) error {
	if q.g.o.Spend != nil {
		if err := q.g.o.Spend(n); err != nil {
			return err
		}
	}
	q.asked.Bytes += uint64(n)
	return nil
}

// Calls implements query.Source.
func (g *Guard) Calls(ctx context.Context, r *query.Request, each func(*dissect.Call) error) (*query.Report, error) {
	q, err := g.begin(ctx, "calls", r, metadata)
	if err != nil {
		return nil, err
	}
	a := &q.request.Access
	return q.finish(known(g.o.Source.Calls(q.ctx, &q.request, func(c *dissect.Call) error {
		if !a.Tells(c.Flow) {
			q.withheld.Add(1)
			return nil
		}
		if a.Hides(c.Flow) {
			bare, had := query.Bare(c)
			if had {
				q.withheld.Add(1)
			}
			c = bare
		}
		q.asked.Told++
		return each(c)
	})))
}

// Flows implements query.Source.
func (g *Guard) Flows(ctx context.Context, r *query.Request, each func(*dissect.Flow) error) (*query.Report, error) {
	q, err := g.begin(ctx, "flows", r, metadata)
	if err != nil {
		return nil, err
	}
	a := &q.request.Access
	return q.finish(known(g.o.Source.Flows(q.ctx, &q.request, func(f *dissect.Flow) error {
		if !a.Tells(f) {
			q.withheld.Add(1)
			return nil
		}
		q.asked.Told++
		return each(f)
	})))
}

// Packets implements query.Source.
func (g *Guard) Packets(ctx context.Context, r *query.Request, out query.PacketSink) (*query.Report, error) {
	q, err := g.begin(ctx, "packets", r, packets)
	if err != nil {
		return nil, err
	}
	return q.finish(known(g.o.Source.Packets(q.ctx, &q.request, q.sink(out))))
}

// Stream implements query.Source. Bytes do not say whose they are: the flow is looked up first.
func (g *Guard) Stream(ctx context.Context, r *query.Request, out query.StreamSink) (*query.Report, error) {
	q, err := g.begin(ctx, "stream", r, streams)
	if err != nil {
		return nil, err
	}
	if report, err := q.owned(); err != nil {
		return q.finish(known(report, err))
	}
	return q.finish(known(g.o.Source.Stream(q.ctx, &q.request, &streamSink{q, out})))
}

// owned says whether the flow of a stream may be told of.
func (q *asking) owned() (*query.Report, error) {
	a := &q.request.Access
	if !a.Limited {
		return nil, nil
	}
	found := false
	report, err := q.g.o.Source.Flows(q.ctx, &query.Request{Stream: q.request.Stream, Vantage: query.Both, Access: *a}, func(f *dissect.Flow) error {
		if f.ID == q.request.Stream && a.Tells(f) {
			found = true
			return query.ErrStop
		}
		q.withheld.Add(1)
		return nil
	})
	if errors.Is(err, query.ErrStop) {
		err = nil
	}
	if err == nil && !found {
		err = fmt.Errorf("stream %s: %w", q.request.Stream, query.ErrNoSuchFlow)
	}
	return report, err
}

// known makes sure that there is a report to write to.
func known(r *query.Report, err error) (*query.Report, error) {
	if r == nil {
		r = &query.Report{}
	}
	return r, err
}

// Nodes implements query.Source. Pods of other namespaces are left out; a node's totals stay.
func (g *Guard) Nodes(ctx context.Context) ([]query.Node, *query.Report, error) {
	see, err := g.o.Scope(ctx, auth.See)
	if err != nil {
		return nil, nil, err
	}
	nodes, report, err := g.o.Source.Nodes(ctx)
	if see.All {
		return nodes, report, err
	}
	own := make([]query.Node, len(nodes))
	for i, n := range nodes {
		pods := n.Pods
		n.Pods = nil
		for _, p := range pods {
			if see.Has(p.Pod.Namespace) {
				n.Pods = append(n.Pods, p)
			}
		}
		own[i] = n
	}
	return own, report, err
}
