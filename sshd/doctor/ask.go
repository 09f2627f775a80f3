package doctor

import (
	"context"
	"time"

	"github.com/sshark/sshark/worker/query"
)

// Asker asks for the facts, and examines them. It is safe for concurrent use.
type Asker struct {
	Source  query.Source
	Cluster func() *Cluster  // what should be captured, at once; nil: nobody knows
	Version string           // of who asks, "": not known
	Now     func() time.Time // who asks has this clock
}

// Ask asks the nodes how they are. What was found is nil if none of them could be asked; an
// error may come with it.
func (a *Asker) Ask(ctx context.Context) (found []Finding, nodes int, r *query.Report, err error) {
	f := Facts{Version: a.Version, Asked: a.Now()}
	if f.Nodes, r, err = a.Source.Nodes(ctx); err != nil && len(f.Nodes) == 0 {
		return nil, 0, r, err
	}
	f.Answered = a.Now()
	if a.Cluster != nil {
		f.Cluster = a.Cluster()
	}
	return Examine(f), len(f.Nodes), r, nil
}
