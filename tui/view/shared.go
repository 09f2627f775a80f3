package view

import (
	"sync"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Shared is what the screens of one console have in common: what their lists tell of the newest
// calls, so that a hundred lists of the same calls hold little more than one. A screen gets what
// another one has made only if it would make the same of what it was told itself, to the byte: so
// nobody sees what they may not. It is bounded, and safe for concurrent use; nil shares nothing.
type Shared struct {
	mu    sync.Mutex
	calls newest[uint64, *told]
	flows newest[flow.ID, *flowInfo]
}

// NewShared has nothing yet.
func NewShared() *Shared {
	return &Shared{calls: newNewest[uint64, *told](2 * MaxRows), flows: newNewest[flow.ID, *flowInfo](MaxRows)}
}

// call is what is known already of a call whose summary and client are lent, nil: nothing.
func (s *Shared) call(t *told, summary []byte) *told {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	known := s.calls.of[t.id]
	s.mu.Unlock()
	if known == nil || !known.is(t, summary) {
		return nil
	}
	return known
}

// is says whether it tells the same as another one, whose summary comes with it.
func (t *told) is(o *told, summary []byte) bool {
	text := t.raw
	if text == "" {
		text = string(t.summary)
	}
	same := t.client == nil && o.client == nil || t.client != nil && o.client != nil && *t.client == *o.client
	return same && text == string(summary) && t.time == o.time && t.id == o.id && t.latency == o.latency && t.flow == o.flow && t.proto == o.proto &&
		t.status == o.status && t.seq == o.seq && t.err == o.err && t.reverse == o.reverse && t.cut == o.cut && t.overlong == o.overlong
}

func (s *Shared) keepCall(t *told) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls.put(t.id, t)
}

// flow is what is known already of a flow, nil: nothing.
func (s *Shared) flow(f *dissect.Flow) *flowInfo {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	known := s.flows.of[f.ID]
	s.mu.Unlock()
	if known == nil || !known.tells(f) {
		return nil
	}
	return known
}

func (s *Shared) keepFlow(id flow.ID, i *flowInfo) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flows.put(id, i)
}

// newest is a map that forgets what it learnt first.
type newest[K comparable, V any] struct {
	of    map[K]V
	order []K // a ring once it is full
	next  int
	most  int
}

func newNewest[K comparable, V any](most int) newest[K, V] {
	return newest[K, V]{of: map[K]V{}, most: most}
}

func (n *newest[K, V]) put(k K, v V) {
	if _, known := n.of[k]; !known {
		if len(n.order) < n.most {
			n.order = append(n.order, k)
		} else {
			delete(n.of, n.order[n.next])
			n.order[n.next] = k
			n.next = (n.next + 1) % n.most
		}
	}
	n.of[k] = v
}
