package fleet

import (
	"context"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/worker/query"
)

// Nodes tell all sightings of what they saw; they are joined here, where those of all nodes
// come together, so that none is joined twice. Each is judged before that: what a node should
// not have told must not become part of what may be told.

// calls hands out all nodes' sightings of calls.
func (f *Fleet) calls(ctx context.Context, r *query.Request, each func(*dissect.Call) error) (*query.Report, error) {
	return gather(ctx, f, r, func(ctx context.Context, m Member, r *query.Request, item func(*dissect.Call) error) (*query.Report, error) {
		return m.Source.Calls(ctx, r, func(c *dissect.Call) error {
			if !r.Access.Tells(c.Flow) {
				withhold(r)
				return nil
			}
			if r.Access.Hides(c.Flow) {
				bare, had := query.Bare(c)
				if c = bare; had {
					withhold(r)
				}
			}
			return item(c)
		})
	}, func(c **dissect.Call) int64 { return (*c).Time }, each)
}

// flows hands out all nodes' sightings of flows.
func (f *Fleet) flows(ctx context.Context, r *query.Request, each func(*dissect.Flow) error) (*query.Report, error) {
	return gather(ctx, f, r, func(ctx context.Context, m Member, r *query.Request, item func(*dissect.Flow) error) (*query.Report, error) {
		return m.Source.Flows(ctx, r, func(f *dissect.Flow) error {
			if !r.Access.Tells(f) {
				withhold(r)
				return nil
			}
			return item(f)
		})
	}, func(f **dissect.Flow) int64 { return (*f).First }, each)
}

func withhold(r *query.Request) {
	if r.Withheld != nil {
		r.Withheld()
	}
}
