package query

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/servicemap/identity"
)

// learner learns who is who from packets and names, in the order in which they come.
type learner struct {
	names *identity.Table
	next  func(pcap.Name) error // also gets the names, may be nil
	err   error                 // of next: the reading must end
	now   int64                 // time of the last packet
	seen  map[*pcap.Interface]bool
	last  *pcap.Interface
}

func newLearner(names *identity.Table) *learner {
	return &learner{names: names, seen: map[*pcap.Interface]bool{}}
}

// name takes a name: it holds from the last packet on.
func (l *learner) name(n pcap.Name) {
	l.names.Learn(n.Addr, l.now, identity.Decode(n.Names))
	if l.next != nil && l.err == nil {
		l.err = l.next(n)
	}
}

// packet takes a packet, of whose interface the addresses are learnt.
func (l *learner) packet(p *pcap.Packet) {
	l.now = p.Time
	if p.Iface == l.last {
		return
	}
	l.last = p.Iface
	if !l.seen[p.Iface] {
		l.seen[p.Iface] = true
		learnInterface(l.names, p.Iface, p.Time)
	}
}

// learnInterface makes an interface's addresses its pod's.
func learnInterface(t *identity.Table, i *pcap.Interface, from int64) {
	if i.Pod.Name == "" {
		return
	}
	for _, a := range i.Addrs {
		if !a.Addr().IsLoopback() && t.Owner(a.Addr(), from).Identity == nil {
			t.Learn(a.Addr(), from, identity.Owner{Identity: PodIdentity(i.Pod, i.Node)})
		}
	}
}

// PodIdentity is what a pod's name alone says.
func PodIdentity(p pcap.Pod, node string) *dissect.Identity {
	return &dissect.Identity{Namespace: p.Namespace, Pod: p.Name, PodUID: p.UID, Node: node}
}
