package servicemap

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/pcap/flow"
)

// TestFilter: a node's filter matches the flows that were counted at it, and no others.
func TestFilter(t *testing.T) {
	language, err := filter.New([]*dissect.Protocol{http, grpc, redis})
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(7, 7))
	some := func(of ...string) string { return of[r.IntN(len(of))] }
	var flows []*dissect.Flow
	side := func() dissect.Endpoint {
		e := end(fmt.Sprintf("10.0.%d.%d:80", r.IntN(2), r.IntN(3)), nil)
		switch r.IntN(6) {
		case 0: // an address that never had a name
			return end(fmt.Sprintf("192.0.2.%d:80", r.IntN(5)), nil)
		case 1:
			e.Identity = &dissect.Identity{DNS: some("db.example.com", "api.example.com", "a.other.org", `x"y\z.org`)}
		case 2:
			e.Identity = &dissect.Identity{Node: some("n1", "n2")}
		default: // a pod has its own workload and node
			p := r.IntN(4)
			e.Identity = &dissect.Identity{Namespace: some("shop", "bank"), Node: fmt.Sprint("n", p%2+1), Pod: fmt.Sprint("p", p), Kind: "Deployment"}
			e.Identity.Workload = []string{"cart", "cart", "web", ""}[p]
			e.Identity.Service = []string{"", "cart", "web", "lone"}[p]
		}
		return e
	}
	for i := range 400 {
		f := talk(side(), side(), http)
		f.ID = flow.ID(i + 1)
		flows = append(flows, f)
	}
	for by := Workload; by <= ClusterNode; by++ {
		b := NewBuilder(by)
		for _, f := range flows {
			b.Flow(f)
		}
		m := b.Map()
		if m.By != by {
			t.Fatal("the map does not say what its nodes are")
		}
		for i := range m.Nodes {
			for _, s := range []string{"src", "dst"} {
				text := m.Filter(i, s)
				compiled, err := language.Compile(text)
				if err != nil {
					t.Fatalf("%s: %v", text, err)
				}
				for _, f := range flows {
					e := &f.Client
					if s == "dst" {
						e = &f.Server
					}
					got, err := compiled.MatchFlow(f)
					if err != nil {
						t.Fatal(err)
					}
					if want := by.name(e) == m.Nodes[i].ID(); got != want {
						t.Fatalf("by %s: %s is %v for %s %+v, node %+v", by, text, got, e.Addr, e.Identity, m.Nodes[i])
					}
				}
			}
		}
	}
}

// TestFilterOfGroups: the names of a domain, what is outside, and a namespace have filters too.
func TestFilterOfGroups(t *testing.T) {
	language, err := filter.New([]*dissect.Protocol{http})
	if err != nil {
		t.Fatal(err)
	}
	b := NewBuilder(Workload)
	var flows []*dissect.Flow
	for i := range 200 {
		for _, to := range []dissect.Endpoint{
			end(fmt.Sprintf("198.51.100.%d:443", i), nil),
			end(fmt.Sprintf("203.0.113.%d:443", i), &dissect.Identity{DNS: fmt.Sprintf("n%d.cdn.example.co.uk", i)}),
			end(fmt.Sprintf("192.0.2.%d:443", i), &dissect.Identity{DNS: fmt.Sprintf("n%d.org", i)}),
			cart,
		} {
			f := talk(web0, to, http)
			flows = append(flows, f)
			b.Flow(f)
		}
	}
	m := b.Map()
	group := m.ByNamespace()
	for _, tt := range []struct {
		m    *Map
		name string
		want int
	}{{m, "*.example.co.uk", 200}, {m, "outside", 400 - (MaxOutside - 1)}, {group, "shop", 200}} {
		i := 0
		for i < len(tt.m.Nodes) && tt.m.Nodes[i].Name != tt.name {
			i++
		}
		if i == len(tt.m.Nodes) {
			t.Errorf("no %s in %+v", tt.name, tt.m.Nodes)
			continue
		}
		f, err := language.Compile(tt.m.Filter(i, "dst"))
		if err != nil {
			t.Error(err)
			continue
		}
		got := 0
		for _, fl := range flows {
			if ok, err := f.MatchFlow(fl); err != nil {
				t.Fatal(err)
			} else if ok {
				got++
			}
		}
		if got != tt.want {
			t.Errorf("%s matches %d flows, want %d", tt.m.Filter(i, "dst"), got, tt.want)
		}
	}
}

// TestMerge: flows and calls that were counted apart are the same map as if they were not.
func TestMerge(t *testing.T) {
	whole, flows, calls := NewBuilder(Workload), NewBuilder(Workload), NewBuilder(Workload)
	for i := range 3000 {
		to := end(fmt.Sprintf("198.51.%d.%d:443", i/250, i%250), nil)
		if i%3 == 0 {
			to = cart
		}
		f := talk(web0, to, http)
		whole.Flow(f)
		flows.Flow(f)
		if i%2 == 0 {
			c := call(f, http, int64(i)*1e5, i%5 == 0)
			whole.Call(c)
			calls.Call(c)
		}
	}
	both := NewBuilder(Workload)
	both.Merge(flows)
	both.Merge(calls)
	a, b := strings.Join(describe(whole.Map()), "\n"), strings.Join(describe(both.Map()), "\n")
	if a != b {
		t.Errorf("counted together:\n%s\napart:\n%s", a, b)
	}
	if l := both.Map().Left; l.Addresses != 2000 || l != whole.Map().Left {
		t.Errorf("left %+v and %+v", l, whole.Map().Left)
	}
}

// TestOutsideTakesNoRoom: whoever makes up addresses and names pushes nobody of the cluster out
// of the map, and what they are is said.
func TestOutsideTakesNoRoom(t *testing.T) {
	b := NewBuilder(Pod)
	for i := range 100_000 {
		b.Flow(talk(end(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255), nil), cart, nil))
	}
	for i := range 2000 {
		b.Flow(talk(end("10.1.1.1:1", &dissect.Identity{Namespace: "x", Pod: fmt.Sprint("p", i)}), cart, http))
	}
	m := b.Map()
	if len(m.Nodes) != 2000+1+1 || m.Left.Flows != 0 {
		t.Errorf("%d nodes, left %+v", len(m.Nodes), m.Left)
	}
	if !m.Left.Uncounted || m.Left.Addresses != maxApart+maxCounted {
		t.Errorf("left %+v", m.Left)
	}
	if n := len(b.beyond); n > maxCounted {
		t.Errorf("%d hashes", n)
	}
}

// TestNamesStay: who looks at a map does not see names come and go that have much the same.
func TestNamesStay(t *testing.T) {
	b := NewBuilder(Workload)
	name := func(i int) dissect.Endpoint {
		return end(fmt.Sprintf("203.0.113.%d:443", i), &dissect.Identity{DNS: fmt.Sprintf("n%02d.org", i)})
	}
	send := func(i int, bytes uint64) {
		f := talk(web0, name(i), nil)
		f.Bytes = [2]uint64{bytes, 0}
		b.Flow(f)
	}
	for i := range 2 * MaxOutside {
		send(i, 1000)
	}
	first := b.Map()
	for i := range 2 * MaxOutside {
		send(i, uint64(300*i/MaxOutside))
	}
	ids := func(m *Map) (s string) {
		for i := range m.Nodes {
			s += m.Nodes[i].Name + " "
		}
		return s
	}
	if ids(b.MapAfter(first)) != ids(first) {
		t.Errorf("%s after %s", ids(b.MapAfter(first)), ids(first))
	}
	send(2*MaxOutside-1, 10_000)
	if !strings.Contains(ids(b.MapAfter(first)), fmt.Sprintf("n%02d.org", 2*MaxOutside-1)) {
		t.Errorf("the one with most is not there: %s", ids(b.MapAfter(first)))
	}
}

func TestAround(t *testing.T) {
	b := NewBuilder(Workload)
	at := func(n string) dissect.Endpoint {
		return end("10.0.0.1:80", &dissect.Identity{Namespace: "a", Workload: n})
	}
	for _, pair := range []string{"a b", "b c", "c d", "e c", "f e", "b g", "x y"} {
		from, to, _ := strings.Cut(pair, " ")
		b.Flow(talk(at(from), at(to), nil))
	}
	m := b.Map()
	for depth, want := range []string{"c", "bcde", "abcdef"} {
		center := 0
		for m.Nodes[center].Name != "c" {
			center++
		}
		got := ""
		p := m.Part(func(i int) bool { return m.Around(center, depth)[i] })
		for _, n := range p.Nodes {
			got += n.Name
		}
		if got != want {
			t.Errorf("%d around c: %s, want %s", depth, got, want)
		}
		for _, e := range p.Edges {
			if e.From >= len(p.Nodes) || e.To >= len(p.Nodes) {
				t.Errorf("edge %+v", e)
			}
		}
	}
}
