package servicemap

import (
	"cmp"
	"slices"
)

// ByNamespace is the map with each namespace as one node; what is outside of namespaces stays
// as it is.
func (m *Map) ByNamespace() *Map { return m.Fold(func(string) bool { return true }) }

// Fold is the map with each namespace that closed names as one node.
func (m *Map) Fold(closed func(namespace string) bool) *Map {
	g := &Map{By: m.By, Left: m.Left, First: m.First, Last: m.Last}
	target := make([]int, len(m.Nodes))
	at := map[string]int{}
	for i, n := range m.Nodes {
		if n.Namespace == "" || !closed(n.Namespace) {
			target[i] = len(g.Nodes)
			g.Nodes = append(g.Nodes, n)
			continue
		}
		j, ok := at[n.Namespace]
		if !ok {
			j = len(g.Nodes)
			at[n.Namespace] = j
			g.Nodes = append(g.Nodes, Node{Name: n.Namespace, Kind: kindNamespace})
		}
		g.Nodes[j].Members++
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

// Part is the map of the nodes that keep names, and the edges between them. It shares what the
// edges have with m.
func (m *Map) Part(keep func(i int) bool) *Map {
	p := &Map{By: m.By, Left: m.Left, First: m.First, Last: m.Last}
	target := make([]int, len(m.Nodes))
	for i := range m.Nodes {
		if target[i] = -1; keep(i) {
			target[i] = len(p.Nodes)
			p.Nodes = append(p.Nodes, m.Nodes[i])
		}
	}
	for _, e := range m.Edges {
		if e.From, e.To = target[e.From], target[e.To]; e.From >= 0 && e.To >= 0 {
			p.Edges = append(p.Edges, e)
		}
	}
	return p
}

// Around says which nodes are at most depth calls away from one, as its callers, their callers
// and so on, or as what it calls, what that calls and so on.
func (m *Map) Around(node, depth int) []bool {
	near := make([]bool, len(m.Nodes))
	near[node] = true
	for _, callers := range []bool{true, false} {
		reached := make([]bool, len(m.Nodes))
		reached[node] = true
		for range depth {
			next := slices.Clone(reached)
			for i := range m.Edges {
				from, to := m.Edges[i].To, m.Edges[i].From
				if !callers {
					from, to = to, from
				}
				if reached[from] {
					next[to], near[to] = true, true
				}
			}
			reached = next
		}
	}
	return near
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
