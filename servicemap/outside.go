package servicemap

import (
	"cmp"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// unit is what becomes one node, or part of "outside": a name, or the names of a domain.
type unit struct {
	node    Node
	members []int // of the builder's nodes
	bytes   uint64
}

// fold puts the nodes into the map, those outside that are too many as one, and says where
// each of the builder's nodes went.
func (b *Builder) fold(m, before *Map) (target []int) {
	bytes := make([]uint64, len(b.list))
	for k, e := range b.edges {
		bytes[k.from] += e.Bytes
		bytes[k.to] += e.Bytes
	}
	var units []unit
	var names, addresses []int
	for i := range b.list {
		switch {
		case i == b.overflow:
		case b.list[i].Kind == kindDNS:
			names = append(names, i)
		case b.list[i].Kind == kindAddress:
			addresses = append(addresses, i)
		default:
			units = append(units, unit{node: b.list[i], members: []int{i}})
		}
	}
	outside := unit{node: Node{Name: "outside", Kind: kindOutside}}
	if len(addresses) > MaxOutside {
		outside.members = addresses
		addresses = nil
	}
	for _, i := range addresses {
		units = append(units, unit{node: b.list[i], members: []int{i}})
	}
	stay, rest := b.named(names, bytes, before)
	units = append(units, stay...)
	for _, u := range rest {
		outside.members = append(outside.members, u.members...)
	}
	slices.SortFunc(units, func(x, y unit) int {
		a, c := &x.node, &y.node
		return cmp.Or(cmp.Compare(a.Namespace, c.Namespace), cmp.Compare(a.Name, c.Name), cmp.Compare(a.Kind, c.Kind))
	})
	if outside.node.Members = len(outside.members) + len(b.beyond); outside.node.Members > 0 {
		if b.overflow >= 0 {
			outside.members = append(outside.members, b.overflow)
		}
		outside.node.Least = len(b.beyond) >= maxCounted
		m.Left.Addresses, m.Left.Uncounted = outside.node.Members, outside.node.Least
		units = append(units, outside)
	}
	target = make([]int, len(b.list))
	for at := range units {
		for _, i := range units[at].members {
			target[i] = at
		}
		m.Nodes = append(m.Nodes, units[at].node)
	}
	return target
}

// named says which DNS names are nodes of their own, or of their domain, and which are not.
func (b *Builder) named(names []int, bytes []uint64, before *Map) (stay, rest []unit) {
	at := map[string]int{}
	for _, i := range names {
		u := unit{node: b.list[i], members: []int{i}, bytes: bytes[i]}
		if len(names) <= MaxOutside {
			stay = append(stay, u)
			continue
		}
		domain := domainOf(u.node.Name)
		j, ok := at[domain]
		if !ok {
			at[domain] = len(stay)
			stay = append(stay, u)
			continue
		}
		d := &stay[j]
		d.members, d.bytes = append(d.members, i), d.bytes+u.bytes
		d.node = Node{Name: "*." + domain, Kind: kindDNS, Members: len(d.members)}
	}
	if len(stay) <= MaxOutside {
		return stay, nil
	}
	shown := map[ID]bool{}
	if before != nil {
		for i := range before.Nodes {
			shown[before.Nodes[i].ID()] = true
		}
	}
	weight := func(u *unit) uint64 {
		if shown[u.node.ID()] {
			return 2 * u.bytes
		}
		return u.bytes
	}
	slices.SortFunc(stay, func(x, y unit) int {
		return cmp.Or(cmp.Compare(weight(&y), weight(&x)), cmp.Compare(x.node.Name, y.node.Name))
	})
	return stay[:MaxOutside], stay[MaxOutside:]
}

// domainOf is the domain that a DNS name was registered under: example.co.uk of
// api.example.co.uk; the name itself where there is none.
func domainOf(name string) string {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if d, err := publicsuffix.EffectiveTLDPlusOne(name); err == nil {
		return d
	}
	return name
}
