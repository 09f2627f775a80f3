// Package identity knows who an address was at a time. It is pure: others tell it (a capture
// its pods, the hub the cluster's, a file its names, a DNS answer the name that was asked
// for), and it answers.
//
// A Table keeps for each address the identities it had, each from a moment on, so that an
// address that another pod gets an hour later does not rename the past. It is safe for
// concurrent use. Identities are immutable once learnt.
package identity

import (
	"maps"
	"net/netip"
	"slices"
	"sync"

	"github.com/sshark/sshark/dissect"
)

// Bounds on what is remembered: an attacker can make up as many names as it likes.
const (
	maxAddresses = 1 << 18
	maxHistory   = 64
	maxPorts     = 1 << 12 // of one address
)

// Owner is who an address belongs to. A node's address may belong to others at some ports:
// to the pods that share its network, and to the services that it forwards to (node ports).
type Owner struct {
	*dissect.Identity                              // nil: only ports are known
	Ports             map[uint16]*dissect.Identity // who is at these ports
}

// At is who is at a port, nil if nobody is known to be.
func (o *Owner) At(port uint16) *dissect.Identity {
	if o == nil {
		return nil
	}
	if id := o.Ports[port]; id != nil {
		return id
	}
	return o.Identity
}

// Equal compares what two owners say.
func (o *Owner) Equal(p Owner) bool {
	return Equal(o.Identity, p.Identity) && len(o.Ports) == len(p.Ports) && samePorts(o.Ports, p.Ports)
}

// Pod is a pod as the cluster knows it.
type Pod struct {
	*dissect.Identity // with its UID
	Addrs             []netip.Addr
	HostNetwork       bool // it shares its node's network: Addrs are the node's
}

// entry is who an address was from a moment on; an Owner without anything is nobody.
type entry struct {
	from int64 // ns
	Owner
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

// Learn says who owns an address from a time on, in ns; the zero Owner says that it is
// nobody's any more. What was known of earlier times stays. Ports that the owner before had
// and this one does not speak of are kept, as long as the address stays with the same owner;
// and what is learnt late of ports holds on as long, but where more is known. That an address
// was nobody's is forgotten where somebody is learnt late who had it before that.
func (t *Table) Learn(addr netip.Addr, from int64, o Owner) {
	addr = addr.Unmap()
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.known[addr]
	nobody := o.Identity == nil && len(o.Ports) == 0
	if len(h) == 0 && (nobody || len(t.known) >= maxAddresses) {
		return
	}
	i := len(h)
	for i > 0 && h[i-1].from > from {
		i--
	}
	if i > 0 && !nobody {
		last := &h[i-1].Owner
		if Bare(last.Identity) && o.Identity != nil && o.PodUID == last.PodUID {
			from = h[i-1].from
		}
		if o.Identity == nil {
			o.Identity = last.Identity
		}
		if Equal(last.Identity, o.Identity) {
			if samePorts(last.Ports, o.Ports) {
				inherit(h[i:], &o)
				return
			}
			o.Ports = joinPorts(last.Ports, o.Ports)
		}
	}
	inherit(h[i:], &o)
	if i > 0 && h[i-1].from == from {
		h[i-1].Owner = o
	} else {
		h = slices.Insert(h, i, entry{from, o})
		i++
	}
	for !nobody && i < len(h) && h[i].Identity == nil && len(h[i].Ports) == 0 {
		h = slices.Delete(h, i, i+1) // it was somebody's already
	}
	if len(h) > maxHistory {
		h = h[1:]
	}
	t.known[addr] = h
}

// inherit gives those who come after an owner, and are the same, the ports that they do not
// know. A node is the same whatever else is said of it.
func inherit(after []entry, o *Owner) {
	for i := range after {
		a := &after[i]
		if len(o.Ports) == 0 || !Equal(a.Identity, o.Identity) && !(isNode(a.Identity) && isNode(o.Identity) && a.Node == o.Node) {
			return
		}
		a.Ports = joinPorts(o.Ports, a.Ports)
	}
}

func isNode(id *dissect.Identity) bool {
	return id != nil && id.Node != "" && id.Pod == "" && id.PodUID == "" && id.Service == ""
}

// samePorts says whether all that is new is known.
func samePorts(known, fresh map[uint16]*dissect.Identity) bool {
	for p, id := range fresh {
		if old, ok := known[p]; !ok || !Equal(old, id) {
			return false
		}
	}
	return true
}

func joinPorts(known, fresh map[uint16]*dissect.Identity) map[uint16]*dissect.Identity {
	if len(known) == 0 || len(known) >= maxPorts {
		return fresh
	}
	all := maps.Clone(known) // readers may have the old one
	maps.Copy(all, fresh)
	return all
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

// Resolve says who was at an address and port at a time, in ns; nil if nobody knows. Of times
// before the first that was learnt it says the first: a capture often begins before it is
// told whom it sees.
func (t *Table) Resolve(at netip.AddrPort, when int64) *dissect.Identity {
	addr := at.Addr().Unmap()
	t.mu.RLock()
	defer t.mu.RUnlock()
	if o := t.owner(addr, when); o != nil {
		if id := o.At(at.Port()); id != nil {
			return id
		}
	}
	return t.names[addr]
}

// Owner says who owned an address at a time, as Resolve; the zero Owner if nobody knows.
func (t *Table) Owner(addr netip.Addr, when int64) Owner {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if o := t.owner(addr.Unmap(), when); o != nil {
		return *o
	}
	return Owner{}
}

// owner is nil where nobody is known; mu is held.
func (t *Table) owner(addr netip.Addr, when int64) *Owner {
	h := t.known[addr]
	for i := len(h) - 1; i >= 0; i-- {
		if h[i].from <= when || i == 0 {
			return &h[i].Owner
		}
	}
	return nil
}

// Bare says that of a pod no more than its UID is known: what a worker finds by itself.
func Bare(id *dissect.Identity) bool { return id != nil && id.PodUID != "" && id.Pod == "" }

// Equal compares what two identities say.
func Equal(a, b *dissect.Identity) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a == b || a.Namespace == b.Namespace && a.Pod == b.Pod && a.PodUID == b.PodUID && a.Service == b.Service &&
		a.Workload == b.Workload && a.Kind == b.Kind && a.Node == b.Node && a.DNS == b.DNS &&
		maps.Equal(a.Labels, b.Labels) && maps.Equal(a.Annotations, b.Annotations)
}
