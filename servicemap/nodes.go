package servicemap

import (
	"cmp"
	"net/netip"

	"github.com/sshark/sshark/dissect"
)

// Kinds of nodes besides those of workloads.
const (
	kindService   = "Service"
	kindPod       = "Pod"
	kindNamespace = "Namespace"
	kindNode      = "Node"
	kindDNS       = "DNS"
	kindAddress   = "Address"
	kindOutside   = "Outside"
)

// Outside says whether a node is not of the cluster.
func (n *Node) Outside() bool { return outside(n.Kind) || n.Kind == kindOutside }

func outside(kind string) bool { return kind == kindDNS || kind == kindAddress }

// candidates are what an endpoint may be as a node, the best first; those without a name are
// nothing. filter.go says the same in the filter's words.
func (b By) candidates(id *dissect.Identity) [5]ID {
	workload := ID{id.Namespace, id.Workload, cmp.Or(id.Kind, "Workload")}
	service := ID{id.Namespace, id.Service, kindService}
	pod := ID{id.Namespace, id.Pod, kindPod}
	node := ID{Name: id.Node, Kind: kindNode}
	dns := ID{Name: id.DNS, Kind: kindDNS}
	switch b {
	case Service:
		return [5]ID{service, workload, pod, node, dns}
	case Pod:
		return [5]ID{pod, service, workload, node, dns}
	case Namespace:
		return [5]ID{{Name: id.Namespace, Kind: kindNamespace}, node, dns}
	case ClusterNode:
		return [5]ID{node, service, dns} // the address of a service is on no node
	}
	return [5]ID{workload, service, pod, node, dns}
}

// name is the node that an endpoint belongs to.
func (b By) name(ep *dissect.Endpoint) ID {
	if ep.Identity != nil {
		for _, k := range b.candidates(ep.Identity) {
			if k.Name != "" {
				return k
			}
		}
	}
	return ID{Name: ep.Addr.Addr().Unmap().String(), Kind: kindAddress}
}

// neighbours says whether an end of a flow is an address of one link: to many, of nobody, or of
// IPv6's own. IPv4's are not: clusters have servers there (169.254.20.10 answers DNS).
func neighbours(f *dissect.Flow) bool {
	for _, e := range []*dissect.Endpoint{&f.Client, &f.Server} {
		a := e.Addr.Addr().Unmap()
		if e.Identity == nil && (a.IsMulticast() || a.IsUnspecified() || a == broadcast || a.Is6() && a.IsLinkLocalUnicast()) {
			return true
		}
	}
	return false
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// Key is the filter's word for what the name is (src.Key == name), "" where there is none.
func (n *Node) Key() string {
	switch n.Kind {
	case kindService:
		return "service"
	case kindPod:
		return "pod"
	case kindNamespace:
		return "namespace"
	case kindNode:
		return "node"
	case kindDNS:
		return "dns"
	case kindAddress:
		return "ip"
	case kindOutside:
		return ""
	}
	return "workload"
}
