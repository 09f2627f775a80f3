// Package screen lets the TUI ask a query.Source, which may be the fleet or a file. It holds
// nothing but the source and the language, and is safe for concurrent use.
package screen

import (
	"context"
	"errors"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/tui"
	"github.com/sshark/sshark/worker/query"
)

// Backend is what the screen asks.
type Backend struct {
	source   query.Source
	language *filter.Language
}

// New makes a backend; the language must be the source's.
func New(source query.Source, language *filter.Language) *Backend { return &Backend{source, language} }

var _ tui.Backend = (*Backend)(nil)

// errGone: a call that was shown is no longer kept.
var errGone = errors.New("this call is no longer kept: its packets were the oldest and had to go")

// Calls implements tui.Backend.
func (b *Backend) Calls(ctx context.Context, q tui.Query, each func(*dissect.Call) error) (tui.Report, error) {
	asked, err := request(&q)
	if err != nil {
		return tui.Report{}, err
	}
	r, err := b.source.Calls(ctx, asked, each)
	return report(r), err
}

// Flows implements tui.Backend.
func (b *Backend) Flows(ctx context.Context, q tui.Query, each func(*dissect.Flow) error) (tui.Report, error) {
	asked, err := request(&q)
	if err != nil {
		return tui.Report{}, err
	}
	r, err := b.source.Flows(ctx, asked, each)
	return report(r), err
}

// request is a question as a source understands it.
func request(q *tui.Query) (*query.Request, error) {
	r := &query.Request{Since: q.Since, Until: q.Until, Filter: q.Filter, Last: q.Last, Follow: q.Follow}
	if q.Stream == "" {
		return r, nil
	}
	var err error
	r.Stream, err = flow.ParseID(q.Stream)
	r.Vantage = query.Both // the sighting that was named
	return r, err
}

func report(r *query.Report) tui.Report {
	var out tui.Report
	if r == nil {
		return out
	}
	for i := range r.Nodes {
		n := &r.Nodes[i]
		if n.Missing != "" {
			out.Missing = append(out.Missing, tui.Missing{Node: n.Node, Why: n.Missing})
		}
		// What all nodes together still have begins where the last of them begins.
		if n.Oldest > out.Oldest {
			out.Oldest, out.OldestNode = n.Oldest, n.Node
		}
		out.Newest = max(out.Newest, n.Newest)
		out.Matched += n.Matched
		out.More, out.Most = out.More || n.More, out.Most || n.Most
		out.Dropped += n.Dropped
		out.Lagged += n.Lagged
		out.Notes = append(out.Notes, n.Notes...)
	}
	return out
}

// Detail implements tui.Backend. The flow is read again around the call's time.
func (b *Backend) Detail(ctx context.Context, ref tui.Ref) (*tui.Detail, error) {
	id, err := flow.ParseID(ref.Stream)
	if err != nil {
		return nil, err
	}
	var found *tui.Detail
	_, err = b.source.Calls(ctx, &query.Request{Since: ref.Time, Until: ref.Time + 1, Stream: id, Bodies: query.DefaultBody, Vantage: query.Both},
		func(c *dissect.Call) error {
			if c.ID() != ref.ID {
				return nil
			}
			if ref.Client != nil { // the list joined it, of one stream there is nothing to join
				own := *c
				own.Client = ref.Client
				c = &own
			}
			found = tui.NewDetail(c)
			return query.ErrStop
		})
	switch {
	case found != nil:
		return found, nil
	case err != nil:
		return nil, err
	}
	return nil, errGone
}

// Nodes implements tui.Backend.
func (b *Backend) Nodes(ctx context.Context) ([]tui.Node, error) {
	nodes, _, err := b.source.Nodes(ctx)
	out := make([]tui.Node, 0, len(nodes))
	for i := range nodes {
		n := &nodes[i]
		t := tui.Node{Name: n.Name, State: n.State, Problem: n.Problem, PacketRate: n.PacketRate, ByteRate: n.ByteRate, DropRate: n.DropRate,
			Seen: n.Stats.Seen, Dropped: n.Stats.Dropped + n.QueueDrops + n.DiskDrops, Oldest: n.Oldest, Newest: n.Newest,
			StoreUsed: n.StoreUsed, StoreLimit: n.StoreLimit}
		if n.State == "reading" {
			t.StoreLimit = 0 // a file does not fill up
		}
		for j := range n.Pods {
			p := &n.Pods[j]
			if p.Problem != "" {
				t.Problems = append(t.Problems, tui.PodProblem{Pod: p.Pod.String(), Problem: p.Problem})
			} else if p.Own() {
				continue
			}
			t.Pods++
		}
		out = append(out, t)
	}
	return out, err
}

// Check implements tui.Backend.
func (b *Backend) Check(text string) error {
	_, err := b.language.Compile(text)
	return err
}

// Columns implements tui.Backend.
func (b *Backend) Columns(names ...string) (tui.ColumnReader, error) {
	c, err := b.language.Columns(names...)
	if err != nil {
		return nil, err
	}
	return c.Read, nil
}

// Complete implements tui.Backend.
func (b *Backend) Complete(text string, cursor int) []tui.Completion {
	var out []tui.Completion
	for _, c := range b.language.Complete(text, cursor) {
		out = append(out, tui.Completion{Text: c.Text, Start: c.Start, Kind: kinds[c.Kind], Help: c.Help})
	}
	return out
}

var kinds = [...]string{filter.CompleteField: "field", filter.CompleteFunction: "function", filter.CompleteValue: "value", filter.CompleteOperator: "operator"}
