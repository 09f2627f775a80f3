package fleet

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// listenBytes is about what listening to one node takes, with 13 KB for the stacks of those who wait
// for it and the rest for its stream, its names and flows, and what it told last. A third of the
// memory may go into that; questions that do not follow, and screens, have the others.
const (
	listenBytes = 48 << 10
	listenPart  = 3
)

// room admits questions that follow, by the number of nodes that they listen to: who would take the
// memory of all sessions is refused. The zero value is ready.
type room struct {
	limit func() int64 // bytes that there are; nil: Go's soft limit (GOMEMLIMIT), which the chart sets

	mu        sync.Mutex
	questions int
	nodes     int // of all questions together
}

// enter admits a question that follows n nodes, until leave is called. The first one always is.
func (r *room) enter(n int) (leave func(), err error) {
	limit := debug.SetMemoryLimit(-1)
	if r.limit != nil {
		limit = r.limit()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.questions > 0 && int64(r.nodes+n) > limit/listenPart/listenBytes {
		return nil, fmt.Errorf("%w: %d others are followed, at %d nodes; ask what others ask, leave a view that follows, or give hub.resources.limits.memory more",
			ErrNoRoom, r.questions, n)
	}
	r.questions++
	r.nodes += n
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.questions--
		r.nodes -= n
	}, nil
}
