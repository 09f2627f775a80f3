package servicemap

import (
	"cmp"
	"slices"

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

// name is the node that an endpoint belongs to.
func (b By) name(ep *dissect.Endpoint) nodeKey {
	id := ep.Identity
	if id == nil {
		return nodeKey{name: ep.Addr.Addr().Unmap().String(), kind: kindAddress}
	}
	workload := nodeKey{id.Namespace, id.Workload, cmp.Or(id.Kind, "Workload")}
	service := nodeKey{id.Namespace, id.Service, kindService}
	pod := nodeKey{id.Namespace, id.Pod, kindPod}
	node := nodeKey{name: id.Node, kind: kindNode}
	var order []nodeKey
	switch b {
	case Workload:
		order = []nodeKey{workload, service, pod}
	case Service:
		order = []nodeKey{service, workload, pod}
	case Pod:
		order = []nodeKey{pod, service, workload}
	case Namespace:
		order = []nodeKey{{name: id.Namespace, kind: kindNamespace}}
	case ClusterNode:
		// The address of a service is on no node.
		order = []nodeKey{node, service}
	}
	if b != ClusterNode {
		order = append(order, node)
	}
	order = append(order, nodeKey{name: id.DNS, kind: kindDNS})
	for _, k := range order {
		if k.name != "" {
			return k
		}
	}
	return nodeKey{name: ep.Addr.Addr().Unmap().String(), kind: kindAddress}
}

// fold puts the nodes into the map, those outside that are too many as one, and says where
// each of the builder's nodes went.
func (b *Builder) fold(m *Map) (target []int) {
	bytes := make([]uint64, len(b.list))
	for k, e := range b.edges {
		bytes[k.from] += e.Bytes
		bytes[k.to] += e.Bytes
	}
	var folded []int
	for _, kind := range []string{kindDNS, kindAddress} {
		var of []int
		for i := range b.list {
			if b.list[i].Kind == kind {
				of = append(of, i)
			}
		}
		if len(of) <= MaxOutside {
			continue
		}
		if kind == kindDNS {
			slices.SortFunc(of, func(x, y int) int {
				return cmp.Or(cmp.Compare(bytes[y], bytes[x]), cmp.Compare(b.list[x].Name, b.list[y].Name))
			})
			of = of[MaxOutside:]
		}
		folded = append(folded, of...)
	}
	if b.overflow >= 0 {
		folded = append(folded, b.overflow)
	}
	in := make([]bool, len(b.list))
	for _, i := range folded {
		in[i] = true
	}
	order := make([]int, 0, len(b.list))
	for i := range b.list {
		if !in[i] {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(x, y int) int {
		a, c := &b.list[x], &b.list[y]
		return cmp.Or(cmp.Compare(a.Namespace, c.Namespace), cmp.Compare(a.Name, c.Name), cmp.Compare(a.Kind, c.Kind))
	})
	target = make([]int, len(b.list))
	for at, i := range order {
		target[i] = at
		m.Nodes = append(m.Nodes, b.list[i])
	}
	if len(folded) > 0 {
		for _, i := range folded {
			target[i] = len(m.Nodes)
		}
		m.Nodes = append(m.Nodes, Node{Name: "outside", Kind: kindOutside, Members: len(folded)})
		m.Left.Addresses = len(folded)
	}
	return target
}

// ByNamespace is the map with each namespace as one node; what is outside of namespaces stays
// as it is.
func (m *Map) ByNamespace() *Map {
	g := &Map{Left: m.Left, First: m.First, Last: m.Last}
	target := make([]int, len(m.Nodes))
	at := map[string]int{}
	for i, n := range m.Nodes {
		j, ok := at[n.Namespace]
		switch {
		case n.Namespace == "":
			j = len(g.Nodes)
			g.Nodes = append(g.Nodes, n)
		case !ok:
			j = len(g.Nodes)
			at[n.Namespace] = j
			g.Nodes = append(g.Nodes, Node{Name: n.Namespace, Kind: kindNamespace})
		}
		if n.Namespace != "" {
			g.Nodes[j].Members++
		}
		target[i] = j
	}
	edges := map[edgeKey]int{}
	for i := range m.Edges {
		e := &m.Edges[i]
		k := edgeKey{pair: pair{target[e.From], target[e.To]}, transport: e.Transport}
		j, ok := edges[k]
		if !ok {
			j = len(g.Edges)
			edges[k] = j
			g.Edges = append(g.Edges, Edge{From: k.from, To: k.to, Transport: k.transport, Port: e.Port, Protocol: e.Protocol, Protocols: slices.Clone(e.Protocols)})
		}
		to := &g.Edges[j]
		if to.Port != e.Port {
			to.Port = 0
		}
		to.add(e)
		to.also(e)
	}
	slices.SortFunc(g.Edges, func(a, b Edge) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), cmp.Compare(a.Transport, b.Transport))
	})
	return g
}

// also names the protocols of another edge, behind those that are named.
func (e *Edge) also(o *Edge) {
	names := o.Protocols
	if len(names) == 0 && o.Protocol != "" {
		names = []string{o.Protocol}
	}
	all := e.Protocols
	if len(all) == 0 && e.Protocol != "" {
		all = []string{e.Protocol}
	}
	for _, n := range names {
		if !slices.Contains(all, n) && len(all) < maxProtocols {
			all = append(all, n)
		}
	}
	if len(all) > 0 {
		e.Protocol = all[0]
	}
	if len(all) > 1 {
		e.Protocols = all
	}
}

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
