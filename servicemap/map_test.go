package servicemap

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

var (
	http  = &dissect.Protocol{Name: "http"}
	grpc  = &dissect.Protocol{Name: "grpc"}
	redis = &dissect.Protocol{Name: "redis"}
)

func end(addr string, id *dissect.Identity) dissect.Endpoint {
	return dissect.Endpoint{Addr: netip.MustParseAddrPort(addr), Identity: id}
}

var (
	web0 = end("10.0.0.1:40000", &dissect.Identity{Namespace: "shop", Pod: "web-0", Workload: "web", Kind: "Deployment", Node: "a"})
	web1 = end("10.0.0.2:40001", &dissect.Identity{Namespace: "shop", Pod: "web-1", Workload: "web", Kind: "Deployment", Node: "b"})
	cart = end("10.0.1.1:8080", &dissect.Identity{Namespace: "shop", Pod: "cart-0", Workload: "cart", Kind: "StatefulSet", Service: "cart", Node: "b"})
	db   = end("10.0.2.1:6379", &dissect.Identity{Namespace: "data", Pod: "redis-0", Workload: "redis", Kind: "StatefulSet", Service: "redis", Node: "a"})
	api  = end("203.0.113.1:443", &dissect.Identity{DNS: "api.example.com"})
	who  = end("198.51.100.1:5000", nil)
)

func talk(from, to dissect.Endpoint, p *dissect.Protocol) *dissect.Flow {
	return &dissect.Flow{Transport: flow.TCP, Client: from, Server: to, Protocol: p, First: 1e9, Last: 2e9,
		Packets: [2]uint64{3, 4}, Bytes: [2]uint64{100, 200}}
}

func call(f *dissect.Flow, p *dissect.Protocol, ns int64, bad bool) *dissect.Call {
	return &dissect.Call{Flow: f, Protocol: p, Time: 15e8, RequestEnd: 15e8, ResponseStart: 15e8 + ns, ResponseEnd: 15e8 + ns, Error: bad}
}

// describe tells a map in lines.
func describe(m *Map) []string {
	var out []string
	for i := range m.Edges {
		e := &m.Edges[i]
		s := fmt.Sprintf("%s > %s %s/%d %s: %d flows, %d packets, %d bytes", m.Nodes[e.From].Display(), m.Nodes[e.To].Display(),
			e.Transport, e.Port, strings.Join(append([]string{e.Protocol}, e.Protocols...), ","), e.Flows, e.Packets, e.Bytes)
		if e.Calls > 0 {
			s += fmt.Sprintf(", %d calls, %d errors", e.Calls, e.Errors)
		}
		out = append(out, s)
	}
	return out
}

func TestGroupings(t *testing.T) {
	for _, tt := range []struct {
		by   string
		want []string
	}{
		{"workload", []string{
			"198.51.100.1 > shop/web tcp/40000 : 1 flows, 7 packets, 300 bytes",
			"shop/cart > api.example.com tcp/443 : 1 flows, 7 packets, 300 bytes",
			"shop/cart > data/redis tcp/6379 redis: 1 flows, 7 packets, 300 bytes",
			"shop/web > shop/cart tcp/8080 grpc,grpc,http: 2 flows, 14 packets, 600 bytes, 3 calls, 1 errors",
		}},
		{"pod", []string{
			"198.51.100.1 > shop/web-0 tcp/40000 : 1 flows, 7 packets, 300 bytes",
			"shop/cart-0 > api.example.com tcp/443 : 1 flows, 7 packets, 300 bytes",
			"shop/cart-0 > data/redis-0 tcp/6379 redis: 1 flows, 7 packets, 300 bytes",
			"shop/web-0 > shop/cart-0 tcp/8080 http: 1 flows, 7 packets, 300 bytes, 1 calls, 0 errors",
			"shop/web-1 > shop/cart-0 tcp/8080 grpc,grpc,http: 1 flows, 7 packets, 300 bytes, 2 calls, 1 errors",
		}},
		{"namespace", []string{
			"198.51.100.1 > shop tcp/40000 : 1 flows, 7 packets, 300 bytes",
			"shop > api.example.com tcp/443 : 1 flows, 7 packets, 300 bytes",
			"shop > data tcp/6379 redis: 1 flows, 7 packets, 300 bytes",
			"shop > shop tcp/8080 grpc,grpc,http: 2 flows, 14 packets, 600 bytes, 3 calls, 1 errors",
		}},
		{"node", []string{
			"198.51.100.1 > a tcp/40000 : 1 flows, 7 packets, 300 bytes",
			"a > b tcp/8080 http: 1 flows, 7 packets, 300 bytes, 1 calls, 0 errors",
			"b > a tcp/6379 redis: 1 flows, 7 packets, 300 bytes",
			"b > api.example.com tcp/443 : 1 flows, 7 packets, 300 bytes",
			"b > b tcp/8080 grpc,grpc,http: 1 flows, 7 packets, 300 bytes, 2 calls, 1 errors",
		}},
	} {
		t.Run(tt.by, func(t *testing.T) {
			by, ok := ParseBy(tt.by)
			if !ok || by.String() != tt.by {
				t.Fatal("not a grouping")
			}
			b := NewBuilder(by)
			first, second := talk(web0, cart, http), talk(web1, cart, http)
			for _, f := range []*dissect.Flow{first, second, talk(cart, db, redis), talk(cart, api, nil), talk(who, web0, nil)} {
				b.Flow(f)
			}
			b.Call(call(first, http, 1e6, false))
			b.Call(call(second, grpc, 2e6, true))
			b.Call(call(second, grpc, 3e6, false))
			m := b.Map()
			if got := describe(m); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
			if m.First != 1e9 || m.Last != 2e9 || m.Left != (Left{}) {
				t.Errorf("from %d to %d, left %+v", m.First, m.Last, m.Left)
			}
			if again := b.Map(); !reflect.DeepEqual(m, again) {
				t.Error("asked again, it says something else")
			}
		})
	}
}

func TestByNamespace(t *testing.T) {
	b := NewBuilder(Workload)
	b.Flow(talk(web0, cart, http))
	b.Flow(talk(web0, db, redis))
	b.Flow(talk(cart, db, http))
	b.Flow(talk(cart, api, nil))
	m := b.Map().ByNamespace()
	want := []string{
		"shop > api.example.com tcp/443 : 1 flows, 7 packets, 300 bytes",
		"shop > data tcp/6379 http,http,redis: 2 flows, 14 packets, 600 bytes",
		"shop > shop tcp/8080 http: 1 flows, 7 packets, 300 bytes",
	}
	got := describe(m)
	for i := range got { // the order of the nodes is by first name
		if !contains(want, got[i]) {
			t.Errorf("%s", got[i])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d edges", len(got))
	}
	for _, n := range m.Nodes {
		if n.Name == "shop" && n.Members != 2 || n.Name == "data" && n.Members != 1 {
			t.Errorf("%+v", n)
		}
	}
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

// TestOutside: many addresses are one node, the DNS names with the most bytes stay.
func TestOutside(t *testing.T) {
	b := NewBuilder(Workload)
	for i := range 40 {
		b.Flow(talk(web0, end(fmt.Sprintf("198.51.100.%d:443", i), nil), nil))
		f := talk(web0, end(fmt.Sprintf("203.0.113.%d:443", i), &dissect.Identity{DNS: fmt.Sprintf("n%d.example", i)}), nil)
		f.Bytes[0] = uint64(i)
		b.Flow(f)
	}
	m := b.Map()
	if len(m.Nodes) != 1+MaxOutside+1 || m.Left.Addresses != 40+40-MaxOutside {
		t.Fatalf("%d nodes, left %+v: %+v", len(m.Nodes), m.Left, m.Nodes)
	}
	var flows uint64
	for i := range m.Edges {
		e := &m.Edges[i]
		flows += e.Flows
		to := m.Nodes[e.To]
		if to.Kind == "DNS" && e.Bytes < 200+40-MaxOutside {
			t.Errorf("%s is a node of its own with %d bytes", to.Name, e.Bytes)
		}
		if to.Kind == "Outside" && (e.Flows != 68 || to.Members != 68) {
			t.Errorf("%d flows, %d members", e.Flows, to.Members)
		}
	}
	if flows != 80 {
		t.Errorf("%d flows", flows)
	}
}

// TestBounds: whatever it is fed, what it holds is bounded, and nothing goes without a word.
func TestBounds(t *testing.T) {
	b := NewBuilder(Pod)
	const n = 3 * maxEdges
	for i := range n {
		from := end(fmt.Sprintf("10.%d.%d.1:1", i>>8&255, i&255), nil)
		if i%3 == 0 {
			from = end("10.0.0.1:1", &dissect.Identity{Namespace: "x", Pod: fmt.Sprint("p", i)})
		}
		to := cart
		to.Addr = netip.AddrPortFrom(to.Addr.Addr(), uint16(i))
		f := talk(from, to, http)
		b.Flow(f)
		b.Call(call(f, http, 1, false))
	}
	m := b.Map()
	if len(b.list) > maxNodes || len(b.edges) > maxEdges {
		t.Errorf("%d nodes, %d edges", len(b.list), len(b.edges))
	}
	var flows, calls uint64
	for i := range m.Edges {
		flows += m.Edges[i].Flows
		calls += m.Edges[i].Calls
	}
	if flows+m.Left.Flows != n || calls+m.Left.Calls != n || m.Left.Flows == 0 {
		t.Errorf("%d flows and %d left, of %d", flows, m.Left.Flows, n)
	}
}

// TestPorts: a server that is spoken to at many ports (passive FTP) is not as many edges.
func TestPorts(t *testing.T) {
	b := NewBuilder(Workload)
	for i := range 1000 {
		to := cart
		to.Addr = netip.AddrPortFrom(to.Addr.Addr(), uint16(1000+i))
		b.Flow(talk(web0, to, nil))
	}
	m := b.Map()
	if len(m.Edges) != maxPorts+1 || m.Edges[0].Port != 0 || m.Edges[0].Flows != 1000-maxPorts {
		t.Errorf("%d edges: %+v", len(m.Edges), m.Edges[0])
	}
}

func BenchmarkFlow(b *testing.B) {
	m := NewBuilder(Workload)
	f := talk(web0, cart, http)
	m.Flow(f)
	b.ReportAllocs()
	for range b.N {
		m.Flow(f)
	}
}

// TestNeighbours: what systems say to their neighbours is counted, and no box.
func TestNeighbours(t *testing.T) {
	b := NewBuilder(Workload)
	for _, to := range []string{"[ff02::2]:1", "224.0.0.251:5353", "255.255.255.255:67", "[fe80::1]:1", "169.254.20.10:53", "10.0.0.9:80"} {
		f := talk(web0, end(to, nil), nil)
		b.Flow(f)
		b.Call(call(f, http, 1, false))
	}
	b.Flow(talk(end("0.0.0.0:68", nil), cart, nil))
	m := b.Map()
	if got := len(m.Edges); got != 2 || m.Left.Neighbours != 5 || m.Left.Calls != 0 {
		t.Errorf("%d edges, left %+v: %s", got, m.Left, strings.Join(describe(m), "\n"))
	}
}
