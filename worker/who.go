package worker

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/servicemap/identity"
	"github.com/sshark/sshark/worker/query"
)

// Who is what this worker knows of who is who, and where a hub adds to it: see package server.
// Pods of this node are told; the owners of other addresses are asked for when they are seen.
// All that is learnt is kept with the packets. Without a hub, pods are known by their UID,
// and get their names when one comes. It is safe for concurrent use.
type Who struct {
	w      *Worker
	roster *roster
	peers  *peers
	never  []uint16 // ports of this program at the node's addresses, besides those a hub tells

	mu      sync.Mutex
	hubs    int // that are connected
	heard   time.Time
	told    []uint16 // ports of the console
	control []uint16 // ports of the node's own programs that carry an operator's words
}

func newWho(w *Worker) (*Who, error) {
	r, err := newRoster(w.o.Targets)
	if err != nil {
		return nil, err
	}
	return &Who{w: w, roster: r, peers: newPeers(time.Now), never: w.o.Capture.ExcludePorts}, nil
}

// Met says that a hub has come, until left is called. What was not answered, and what was
// nobody's, is asked for again.
func (n *Who) Met() (left func()) {
	n.mu.Lock()
	n.hubs++
	n.mu.Unlock()
	n.peers.again(time.Time{}, true)
	return sync.OnceFunc(func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.hubs--
	})
}

// hear notes that the hub said something.
func (n *Who) hear() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.heard = time.Now()
}

// State says whether a hub is connected, when it said something last (the zero time: never),
// and how many addresses it has not said anything of yet.
func (n *Who) State() (connected bool, heard time.Time, waiting int) {
	waiting = n.peers.open()
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.hubs > 0, n.heard, waiting
}

// Pods takes what the hub says of this node's pods: those that came or changed, and the UIDs
// of those that are gone. whole: pods is all there are.
func (n *Who) Pods(pods []identity.Pod, gone []string, whole bool) {
	n.hear()
	changed := n.roster.tell(pods, gone, whole)
	if len(changed) == 0 && len(gone) == 0 && !whole {
		return
	}
	n.w.capture.Renew()
	now := time.Now().UnixNano()
	for i := range changed {
		id := changed[i].Identity
		for _, a := range addresses(&changed[i]) {
			// A pod that has ended still names its address, which may be another one's by now.
			if known := n.w.names.Owner(a, now).Identity; known == nil || known.PodUID == id.PodUID || !n.peers.isOwn(a) {
				n.learn(a, now, identity.Owner{Identity: id})
			}
		}
	}
}

// Owner takes the hub's answer to who has an address, since when in ns (0: it does not say).
func (n *Who) Owner(a netip.Addr, o identity.Owner, from int64) {
	n.hear()
	a = a.Unmap()
	now := time.Now().UnixNano()
	switch {
	case len(o.Ports) > 0 || o.Identity != nil && o.Node != "" && o.Pod == "" && o.Service == "":
		n.peers.answered(a, ports)
	case o.Identity == nil:
		n.peers.answered(a, nobody)
		if n.w.names.Owner(a, now).Identity != nil {
			n.w.names.Learn(a, now, identity.Owner{})
			n.w.store.SetName(pcap.Name{Addr: a})
		}
		return // what DNS said of it stays
	default:
		n.peers.answered(a, whole)
	}
	if from > 0 && from < now {
		n.learn(a, from, o)
	}
	n.learn(a, now, o) // if another owner is known of since then
}

// At is who has an address and port now, as far as this worker knows; nil: it does not.
func (n *Who) At(a netip.AddrPort) *dissect.Identity {
	o := n.w.names.Owner(a.Addr().Unmap(), time.Now().UnixNano())
	return o.At(a.Port())
}

// Was takes the hub's word of who had an address since a time, in ns, and has it no longer.
func (n *Who) Was(a netip.Addr, o identity.Owner, from int64) {
	n.hear()
	n.learn(a.Unmap(), from, o)
}

// NeverPorts replaces the ports at this node's addresses that lead to the console.
func (n *Who) NeverPorts(list []uint16) {
	n.hear()
	n.w.capture.SetExcludePorts(slices.Concat(n.never, list))
	n.mu.Lock()
	n.told = slices.Clone(list)
	n.mu.Unlock()
	n.quiet()
}

// listen takes the ports of the node's own programs that carry what an operator is shown.
func (n *Who) listen(ports []uint16) {
	n.mu.Lock()
	n.control = ports
	n.mu.Unlock()
	n.quiet()
}

// quiet leaves the operators' own traffic out of the node's.
func (n *Who) quiet() {
	n.mu.Lock()
	ports := slices.Concat(n.told, n.control)
	n.mu.Unlock()
	slices.Sort(ports)
	if n.roster.setOwn(slices.Compact(ports)) {
		n.w.capture.Renew()
	}
}

// owned learns an address of the node that no captured interface has, such as a bridge's, from
// which the node's programs speak to its pods. The cluster's API does not know these.
func (n *Who) owned(a netip.Addr, now int64) {
	if n.w.names.Owner(a, now).Identity == nil {
		n.learn(a, now, identity.Owner{Identity: query.PodIdentity(pcap.Pod{}, n.w.o.Node)})
	}
}

// Ask waits until there are addresses to ask for, and gives them once.
func (n *Who) Ask(ctx context.Context) ([]netip.AddrPort, error) { return n.peers.ask(ctx) }

// learn makes an address an owner's from a time on, and keeps that with the packets.
func (n *Who) learn(a netip.Addr, from int64, o identity.Owner) {
	known := n.w.names.Owner(a, from)
	if identity.Equal(known.Identity, o.Identity) && len(o.Ports) == 0 && known.Identity != nil {
		return
	}
	n.w.names.Learn(a, from, o)
	fresh := n.w.names.Owner(a, from)
	if fresh.Equal(known) {
		return
	}
	name, ok := n.w.namer(a)
	switch now := n.w.names.Owner(a, time.Now().UnixNano()); {
	case !now.Equal(fresh): // it is of the past, and who has it now is told behind
		n.w.store.SetName(pcap.Name{Addr: a, Names: identity.WithSince(identity.Encode(fresh), from)})
		if !ok {
			name = pcap.Name{Addr: a}
		}
		n.w.store.SetName(name)
	case ok:
		name.Names = identity.WithSince(name.Names, from)
		n.w.store.SetName(name)
	case known.Identity != nil:
		// The segment that is open must not go on to call the address as before; those that
		// follow say nothing, so that the name counts that the pod gets later.
		n.w.store.SetName(pcap.Name{Addr: a, Names: identity.Encode(fresh)})
		n.w.store.SetName(pcap.Name{Addr: a})
	}
}

// sighted learns an interface's addresses: they are its pod's, or the node's.
func (n *Who) sighted(i *pcap.Interface, at int64) {
	id := n.identity(i)
	own := i.Pod != (pcap.Pod{})
	for _, p := range i.Addrs {
		a := p.Addr().Unmap()
		if a.IsLoopback() || a.IsMulticast() {
			continue
		}
		if own {
			n.peers.addOwn(a)
		}
		known := n.w.names.Owner(a, at).Identity
		if known != nil && (!own && known.Node == id.Node && known.Pod == "" && known.PodUID == "" ||
			identity.Bare(id) && known.PodUID == id.PodUID) {
			continue // a hub said more of it
		}
		n.learn(a, at, identity.Owner{Identity: id})
	}
}

// pod is the name of a pod, by its UID.
func (n *Who) pod(uid string) (pcap.Pod, bool) {
	p := n.roster.name(pcap.Pod{UID: uid})
	return p, p.Name != ""
}

// identity is who an interface belongs to.
func (n *Who) identity(i *pcap.Interface) *dissect.Identity {
	if id := n.roster.identity(i.Pod.UID); id != nil {
		return id
	}
	return query.PodIdentity(i.Pod, i.Node)
}

// met asks for the ends of a flow, if they are not known. The store calls it.
func (n *Who) met(k flow.Key, o flow.Opener) {
	a, b := k.Addr(flow.AtoB), k.Addr(flow.BtoA)
	switch {
	case o == flow.OpenerB: // the other one serves
		b = netip.AddrPortFrom(b.Addr(), 0)
	case o == flow.OpenerA:
		a = netip.AddrPortFrom(a.Addr(), 0)
	case a.Port() < b.Port(): // servers have the lower port
		b = netip.AddrPortFrom(b.Addr(), 0)
	case a.Port() > b.Port():
		a = netip.AddrPortFrom(a.Addr(), 0)
	}
	n.peers.met(a, b)
}

// look brings in line what is known with what is captured now: the UIDs of the pods, and their
// addresses. An address is nobody's when its pod is gone, unless another pod has it by now.
func (n *Who) look(uids map[string]bool, own map[netip.Addr]bool, now int64) {
	left := n.peers.setOwn(own)
	for _, p := range n.roster.sweep(uids) {
		left = append(left, addresses(&p)...)
	}
	for _, a := range left {
		id := n.w.names.Owner(a, now).Identity
		if id == nil || id.PodUID == "" || own[a] || uids[id.PodUID] || n.roster.has(id.PodUID) {
			continue
		}
		n.w.names.Learn(a, now, identity.Owner{})
		n.w.store.SetName(pcap.Name{Addr: a})
	}
}
