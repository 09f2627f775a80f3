// Package identity knows who an address was at a time. It is pure: others tell it (a capture
// its pods, a file its names, a DNS answer the name that was asked for), and it answers.
//
// A Table keeps for each address the identities it had, each from a moment on, so that an
// address that another pod gets an hour later does not rename the past. It is safe for
// concurrent use. Identities are immutable once learnt.
package identity

import (
	"net/netip"
	"slices"
	"sync"

	"github.com/sshark/sshark/dissect"
)

// Bounds on what is remembered: an attacker can make up as many names as it likes.
const (
	maxAddresses = 1 << 18
	maxHistory   = 64
)

// entry is who an address was from a moment on.
type entry struct {
	from int64 // ns
	id   *dissect.Identity
}

// Table is the memory of addresses.
type Table struct {
	mu    sync.RWMutex
	known map[netip.Addr][]entry
	names map[netip.Addr]*dissect.Identity // DNS names of addresses that nobody else names
}

// New makes an empty table.
func New() *Table {
	return &Table{known: map[netip.Addr][]entry{}, names: map[netip.Addr]*dissect.Identity{}}
}

// Learn says who an address is from a time on, in ns; nil says that it is nobody's any more.
// What was known of earlier times stays.
func (t *Table) Learn(addr netip.Addr, from int64, id *dissect.Identity) {
	addr = addr.Unmap()
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.known[addr]
	if len(h) == 0 && (id == nil || len(t.known) >= maxAddresses) {
		return
	}
	i := len(h)
	for i > 0 && h[i-1].from > from {
		i--
	}
	switch {
	case i > 0 && Equal(h[i-1].id, id):
		return
	case i > 0 && h[i-1].from == from:
		h[i-1].id = id
	default:
		h = slices.Insert(h, i, entry{from, id})
	}
	if len(h) > maxHistory {
		h = h[1:]
	}
	t.known[addr] = h
}

// Named says that a DNS answer gave an address for a name. It counts only where nothing
// better is known of the address.
func (t *Table) Named(addr netip.Addr, name string) {
	addr = addr.Unmap()
	t.mu.Lock()
	defer t.mu.Unlock()
	if id := t.names[addr]; id != nil && id.DNS == name || len(t.names) >= maxAddresses {
		return
	}
	t.names[addr] = &dissect.Identity{DNS: name}
}

// Resolve says who an address was at a time, in ns; nil if nobody knows. Of times before
// the first that was learnt it says the first: a capture often begins before it is told
// whom it sees.
func (t *Table) Resolve(addr netip.Addr, at int64) *dissect.Identity {
	addr = addr.Unmap()
	t.mu.RLock()
	defer t.mu.RUnlock()
	h := t.known[addr]
	for i := len(h) - 1; i >= 0; i-- {
		if h[i].from <= at || i == 0 {
			if h[i].id != nil {
				return h[i].id
			}
			break
		}
	}
	return t.names[addr]
}

// Equal compares what two identities say.
func Equal(a, b *dissect.Identity) bool {
	if a == nil || b == nil {
		return a == b
	}
	if len(a.Labels) != len(b.Labels) {
		return false
	}
	for k, v := range a.Labels {
		if w, ok := b.Labels[k]; !ok || v != w {
			return false
		}
	}
	return a.Namespace == b.Namespace && a.Pod == b.Pod && a.PodUID == b.PodUID && a.Service == b.Service &&
		a.Workload == b.Workload && a.Kind == b.Kind && a.Node == b.Node && a.DNS == b.DNS
}
