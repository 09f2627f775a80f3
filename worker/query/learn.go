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
	named *pcap.Interface // last, with its pod's name
	// pod says who a pod is of which its interface tells the UID only: it was captured before its
	// name came. nil: nobody can say.
	pod     func(uid string) (pcap.Pod, bool)
	renamed map[*pcap.Interface]*pcap.Interface
}

// maxInterfaces is how many interfaces a reading remembers.
const maxInterfaces = 1 << 16

func newLearner(names *identity.Table) *learner {
	return &learner{names: names, seen: map[*pcap.Interface]bool{}}
}

// name takes a name: it holds from the last packet on, or since when it says.
func (l *learner) name(n pcap.Name) {
	from := l.now
	if since := identity.Since(n.Names); since > 0 {
		from = min(from, since)
	}
	l.names.Learn(n.Addr, from, identity.Decode(n.Names))
	if l.next != nil && l.err == nil {
		l.err = l.next(n)
	}
}

// packet takes a packet, of whose interface the addresses are learnt, and gives the interface
// its pod's name.
func (l *learner) packet(p *pcap.Packet) {
	l.now = p.Time
	if p.Iface != l.last {
		l.last = p.Iface
		l.named = l.withName(p.Iface)
		if !l.seen[l.named] {
			if len(l.seen) == maxInterfaces { // of many sections; learning one again changes nothing
				clear(l.seen)
			}
			l.seen[l.named] = true
			learnInterface(l.names, l.named, p.Time)
		}
	}
	p.Iface = l.named
}

// withName is an interface with its pod's name, the same one each time.
func (l *learner) withName(i *pcap.Interface) *pcap.Interface {
	if i.Pod.UID == "" || i.Pod.Name != "" || l.pod == nil {
		return i
	}
	if known := l.renamed[i]; known != nil {
		return known
	}
	pod, ok := l.pod(i.Pod.UID)
	if !ok {
		return i
	}
	own := *i
	own.Pod = pod
	if l.renamed == nil || len(l.renamed) == maxInterfaces {
		l.renamed = map[*pcap.Interface]*pcap.Interface{}
	}
	l.renamed[i] = &own
	return &own
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
