// Package servicemap is the graph of who speaks with whom: nodes are workloads (or services,
// pods, namespaces, nodes of the cluster), edges lead from client to server. It is pure: it is
// fed with flows and calls, and says what it was told.
//
// A Builder is used by one goroutine, and bounded, whatever it is fed with: what does not fit
// is counted in Left. The Map that it makes is the caller's own.
package servicemap

import (
	"cmp"
	"slices"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/quantile"
	"github.com/sshark/sshark/pcap/flow"
)

// Bounds: addresses, ports and DNS names can be made up by whoever sends packets.
const (
	maxNodes     = 4096
	maxEdges     = 16384
	maxPorts     = 16 // of one pair of nodes; further ones are one edge with port 0
	maxProtocols = 8  // of one edge
)

// MaxOutside is how many addresses without a name are nodes of their own; if there are more,
// all of them are one node. As many DNS names are nodes, those with the most bytes: where there
// are more, the names of one domain are one node, *.example.com.
const MaxOutside = 12

// Outside of the cluster anybody makes up addresses and names: only so many of each are told
// apart, so that they take no room from the cluster's own, and so many more are counted.
const (
	maxApart   = 1024
	maxCounted = 1 << 16
)

// Node is one box of the map.
type Node struct {
	Name      string
	Namespace string // "" outside of namespaces
	Kind      string // "Deployment" and so on, "Service", "Pod", "Namespace", "Node", "DNS", "Address" or "Outside"
	Members   int    // how many nodes this one stands for, if it is a group; else 0
	Least     bool   // Members is not all: too many to be counted
}

// ID tells a node from all others of a map, also of a later one.
type ID struct{ Namespace, Name, Kind string }

// ID is the node's.
func (n *Node) ID() ID { return ID{n.Namespace, n.Name, n.Kind} }

// Display is the name with its namespace.
func (n *Node) Display() string {
	if n.Namespace == "" {
		return n.Name
	}
	return n.Namespace + "/" + n.Name
}

// Edge is what one node asked of another at one port.
type Edge struct {
	From, To  int // indices of Map.Nodes; they may be the same
	Transport flow.Proto
	Port      uint16 // of the server; 0: of several, or the transport has none
	// Protocol is the one that most calls had, else most flows; "" if none was found.
	Protocol  string
	Protocols []string // all of them, most first, if there are several

	Flows   uint64
	Packets uint64
	Bytes   uint64

	Calls   uint64
	Errors  uint64             // of Calls
	Latency quantile.Histogram // ns, of the calls that were answered: end of request to start of response
}

// Map is a finished graph. Nodes are sorted by namespace and name, edges by From, To, transport
// and port.
type Map struct {
	By    By // what made the nodes; those of ByNamespace are of namespaces where they have one
	Nodes []Node
	Edges []Edge
	Left  Left
	// First and Last are the times of the first and the last packet or call, ns; 0: of none.
	First, Last int64
}

// Left is what is not in the map as it was fed.
type Left struct {
	Flows     uint64 // flows and calls that no node or edge was free for
	Calls     uint64
	Addresses int  // nodes outside of the cluster that are one node, "outside"
	Uncounted bool // Addresses is not all
	// Neighbours are flows with addresses of one link only: what systems say to find each other
	// says nothing of who needs whom.
	Neighbours uint64
}

// By is what makes a node.
type By uint8

// What is not known falls back to the next best name: a pod without a workload is itself.
const (
	Workload By = iota
	Service
	Pod
	Namespace
	ClusterNode
)

var byNames = []string{"workload", "service", "pod", "namespace", "node"}

// Groupings are the words of By, in its order.
func Groupings() []string { return slices.Clone(byNames) }

// ParseBy reads a word of Groupings.
func ParseBy(s string) (by By, ok bool) {
	i := slices.Index(byNames, s)
	return By(max(i, 0)), i >= 0
}

func (b By) String() string { return byNames[b] }

type pair struct{ from, to int }

type edgeKey struct {
	pair
	transport flow.Proto
	port      uint16
}

// edge is an edge that is being counted.
type edge struct {
	Edge
	protocols []tally
}

type tally struct {
	name         string
	calls, flows uint64
}

// Builder counts flows and calls.
type Builder struct {
	by       By
	nodes    map[ID]int
	list     []Node
	edges    map[edgeKey]*edge
	ports    map[pair]int
	left     Left
	first    int64
	last     int64
	apart    map[string]int      // nodes outside of the cluster, by kind
	overflow int                 // the node of outside addresses that came when there was no room, -1: none
	beyond   map[uint64]struct{} // hashes of those addresses
}

// NewBuilder makes an empty one.
func NewBuilder(by By) *Builder {
	return &Builder{by: by, nodes: map[ID]int{}, edges: map[edgeKey]*edge{}, ports: map[pair]int{}, apart: map[string]int{}, overflow: -1}
}

// Flow counts one flow; what it holds is not kept.
func (b *Builder) Flow(f *dissect.Flow) {
	if neighbours(f) {
		b.left.Neighbours++
		return
	}
	e := b.edge(f)
	if e == nil {
		b.left.Flows++
		return
	}
	b.seen(f.First, f.Last)
	e.Flows++
	e.Packets += f.Packets[0] + f.Packets[1]
	e.Bytes += f.Bytes[0] + f.Bytes[1]
	if f.Protocol != nil {
		if t := e.tally(f.Protocol.Name); t != nil {
			t.flows++
		}
	}
}

// Call counts one call, on the edge of its flow, whichever side it came from.
func (b *Builder) Call(c *dissect.Call) {
	if neighbours(c.Flow) {
		return
	}
	e := b.edge(c.Flow)
	if e == nil {
		b.left.Calls++
		return
	}
	b.seen(c.Time, max(c.Time, c.ResponseEnd))
	e.Calls++
	if c.Error {
		e.Errors++
	}
	if ns, ok := c.Elapsed(); ok {
		e.Latency.Add(ns)
	}
	if c.Protocol != nil {
		if t := e.tally(c.Protocol.Name); t != nil {
			t.calls++
		}
	}
}

func (b *Builder) seen(first, last int64) {
	if first == 0 {
		return
	}
	if b.first == 0 || first < b.first {
		b.first = first
	}
	b.last = max(b.last, last)
}

// edge finds or makes the edge of a flow; nil: there is no room for it.
func (b *Builder) edge(f *dissect.Flow) *edge {
	from, to := b.node(&f.Client), b.node(&f.Server)
	if from < 0 || to < 0 {
		return nil
	}
	k := edgeKey{pair{from, to}, f.Transport, f.Server.Addr.Port()}
	if e := b.edges[k]; e != nil {
		return e
	}
	if b.ports[k.pair] >= maxPorts && k.port != 0 {
		k.port = 0
		if e := b.edges[k]; e != nil {
			return e
		}
	}
	if len(b.edges) >= maxEdges {
		return nil
	}
	b.ports[k.pair]++
	e := &edge{Edge: Edge{From: from, To: to, Transport: k.transport, Port: k.port}}
	b.edges[k] = e
	return e
}

func (e *edge) tally(name string) *tally {
	for i := range e.protocols {
		if e.protocols[i].name == name {
			return &e.protocols[i]
		}
	}
	if len(e.protocols) >= maxProtocols {
		return nil
	}
	e.protocols = append(e.protocols, tally{name: name})
	return &e.protocols[len(e.protocols)-1]
}

// node finds or makes the node of an endpoint; -1: there is no room for it.
func (b *Builder) node(ep *dissect.Endpoint) int { return b.nodeOf(b.by.name(ep)) }

func (b *Builder) nodeOf(k ID) int {
	if i, ok := b.nodes[k]; ok {
		return i
	}
	if outside(k.Kind) {
		if b.apart[k.Kind] >= maxApart {
			return b.further(k)
		}
		b.apart[k.Kind]++
	}
	if len(b.list) >= maxNodes {
		return -1
	}
	i := len(b.list)
	b.nodes[k] = i
	b.list = append(b.list, Node{Name: k.Name, Namespace: k.Namespace, Kind: k.Kind})
	return i
}

// further is the node of what is outside beyond maxApart; it is not in nodes, and always has room.
func (b *Builder) further(k ID) int {
	if b.overflow < 0 {
		b.overflow = len(b.list)
		b.list = append(b.list, Node{Name: "outside", Kind: kindOutside})
		b.beyond = map[uint64]struct{}{}
	}
	if len(b.beyond) < maxCounted {
		b.beyond[k.hash()] = struct{}{}
	}
	return b.overflow
}

// hash is FNV-1a: whoever makes names collide is counted less.
func (k ID) hash() uint64 {
	h := uint64(14695981039346656037)
	for i := range len(k.Name) {
		h = (h ^ uint64(k.Name[i])) * 1099511628211
	}
	return h
}

// Merge adds what another builder of the same grouping counted, which stays as it is.
func (b *Builder) Merge(o *Builder) {
	to := make([]int, len(o.list))
	for i := range o.list {
		if i != o.overflow {
			to[i] = b.nodeOf(o.list[i].ID())
			continue
		}
		to[i] = b.further(ID{Name: "outside"})
		delete(b.beyond, ID{Name: "outside"}.hash())
		for h := range o.beyond {
			if len(b.beyond) < maxCounted {
				b.beyond[h] = struct{}{}
			}
		}
	}
	b.left.Flows += o.left.Flows
	b.left.Calls += o.left.Calls
	b.left.Neighbours += o.left.Neighbours
	b.seen(o.first, o.last)
	for k, e := range o.edges {
		k.pair = pair{to[k.from], to[k.to]}
		if k.from < 0 || k.to < 0 {
			b.left.Flows += e.Flows
			b.left.Calls += e.Calls
			continue
		}
		mine := b.edges[k]
		if mine == nil {
			mine = &edge{Edge: Edge{From: k.from, To: k.to, Transport: k.transport, Port: k.port}}
			b.edges[k] = mine
			b.ports[k.pair]++
		}
		mine.add(&e.Edge)
		mine.protocols = addTallies(mine.protocols, e.protocols)
	}
}

// Map is what was counted so far; the builder goes on.
func (b *Builder) Map() *Map { return b.MapAfter(nil) }

// MapAfter is Map for somebody who looks at the one before, nil: nobody. Names outside that
// were nodes there stay nodes until others have clearly more.
func (b *Builder) MapAfter(before *Map) *Map {
	m := &Map{By: b.by, Left: b.left, First: b.first, Last: b.last}
	target := b.fold(m, before)
	at := map[edgeKey]int{}
	var protocols [][]tally
	for k, e := range b.edges {
		k.pair = pair{target[k.from], target[k.to]}
		i, ok := at[k]
		if !ok {
			i = len(m.Edges)
			at[k] = i
			m.Edges = append(m.Edges, Edge{From: k.from, To: k.to, Transport: k.transport, Port: k.port})
			protocols = append(protocols, nil)
		}
		m.Edges[i].add(&e.Edge)
		protocols[i] = addTallies(protocols[i], e.protocols)
	}
	for i := range m.Edges {
		m.Edges[i].named(protocols[i])
	}
	slices.SortFunc(m.Edges, func(a, b Edge) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), cmp.Compare(a.Transport, b.Transport), cmp.Compare(a.Port, b.Port))
	})
	return m
}

func (e *Edge) add(o *Edge) {
	e.Flows += o.Flows
	e.Packets += o.Packets
	e.Bytes += o.Bytes
	e.Calls += o.Calls
	e.Errors += o.Errors
	e.Latency.Merge(&o.Latency)
}

func addTallies(to, from []tally) []tally {
next:
	for _, t := range from {
		for i := range to {
			if to[i].name == t.name {
				to[i].calls += t.calls
				to[i].flows += t.flows
				continue next
			}
		}
		to = append(to, t)
	}
	return to
}

func (e *Edge) named(protocols []tally) {
	slices.SortFunc(protocols, func(a, b tally) int {
		return cmp.Or(cmp.Compare(b.calls, a.calls), cmp.Compare(b.flows, a.flows), cmp.Compare(a.name, b.name))
	})
	if len(protocols) == 0 {
		return
	}
	e.Protocol = protocols[0].name
	if len(protocols) > 1 {
		for _, t := range protocols {
			e.Protocols = append(e.Protocols, t.name)
		}
	}
}
