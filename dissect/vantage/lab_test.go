package vantage

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// ms is a millisecond in ns; all times in the tests begin at start.
const (
	ms    = int64(1e6)
	start = int64(1_700_000_000_000_000_000)
)

var http = &dissect.Protocol{Name: "http"}

// say is a message with a summary and a status.
type say [2]string

func (s say) AppendSummary(b []byte) []byte { return append(b, s[0]...) }
func (s say) AppendStatus(b []byte) []byte  { return append(b, s[1]...) }
func (s say) AppendFields(b []byte) []byte  { return b }
func (say) Body(int) *dissect.Body          { return nil }

// Who is who in the tests.
var (
	gateway = &dissect.Identity{Namespace: "shop", Pod: "gateway-1", Node: "node-a"}
	service = &dissect.Identity{Namespace: "shop", Service: "cart"}
	cart    = &dissect.Identity{Namespace: "shop", Pod: "cart-7", Service: "cart", Node: "node-b"}
	bare    = &dissect.Identity{Namespace: "shop", Pod: "cart-7", Node: "node-b"}
	nodeA   = &dissect.Identity{Node: "node-a"}
)

const (
	podA      = "10.1.0.2:40000"
	podB      = "10.1.1.7:8080"
	clusterIP = "10.96.0.9:80"
	nodePort  = "192.168.0.11:30080"
	masked    = "192.168.0.11:51000" // the node's address in place of the client's
	outside   = "203.0.113.9:40000"
)

// place is where a connection is seen: by its ends, in time of its clock.
type place struct {
	node           string
	side           dissect.Side
	client, server string
	from, to       *dissect.Identity
	behind         int64 // when it sees what happens at start, ns
	opening        uint64
	transport      flow.Proto
	ahead          int64 // how long before start it saw the opening
}

var (
	atClient  = place{node: "node-a", side: dissect.SideClient, client: podA, server: clusterIP, from: gateway, to: service}
	atServer  = place{node: "node-b", side: dissect.SideServer, client: podA, server: podB, from: gateway, to: cart, behind: ms / 5}
	direct    = place{node: "node-a", side: dissect.SideClient, client: podA, server: podB, from: gateway, to: cart}
	near1     = place{node: "node-a", side: dissect.SideServer, client: podA, server: podB, from: gateway, to: cart, behind: ms / 10}
	atPort    = place{node: "node-a", side: dissect.SideClient, client: podA, server: nodePort, from: gateway, to: service}
	atNode    = place{node: "node-a", side: dissect.SideServer, client: podA, server: nodePort, from: gateway, to: service, behind: ms / 20}
	forwarded = place{node: "node-a", side: dissect.SideClient, client: masked, server: podB, from: nodeA, to: cart, behind: ms / 10}
	afterMask = place{node: "node-b", side: dissect.SideServer, client: masked, server: podB, from: nodeA, to: cart, behind: ms / 5}
	onTheWay  = place{node: "node-b", client: podA, server: podB, from: gateway, to: bare, behind: ms / 8}
)

// opened is the place of a connection whose opening was seen; skewed of a node whose clock is
// ahead; as of another transport.
func (p place) opened(o uint64) place  { p.opening = o; return p }
func (p place) skewed(ns int64) place  { p.behind += ns; return p }
func (p place) as(t flow.Proto) place  { p.transport = t; return p }
func (p place) port(c, s string) place { p.client, p.server = c, s; return p }
func (p place) unnamed() place         { p.to = bare; return p }
func (p place) at(n int64) int64       { return start + n + p.behind }
func (p place) key() string {
	return fmt.Sprint(p.node, p.side, p.client, p.server, p.opening, p.transport)
}

// named is a place that sees the server as a service or pod; early is one that saw the opening
// so much earlier.
func (p place) named(service, pod string) place {
	p.to = &dissect.Identity{Namespace: "shop", Service: service, Pod: pod}
	return p
}
func (p place) early(ns int64) place { p.ahead = ns; return p }

func (p place) nth(n int) (id flow.ID) {
	id = 14695981039346656037
	for _, b := range []byte(fmt.Sprint(p.key(), n)) {
		id = (id ^ flow.ID(b)) * 1099511628211
	}
	return id >> 12
}

// flow is the nth flow that the place sees, first at a time after start.
func (p place) flow(n int, first int64) *dissect.Flow {
	return &dissect.Flow{ID: p.nth(n), Node: p.node, Transport: max(p.transport, flow.TCP), Vantage: p.side, Opening: p.opening,
		Client: dissect.Endpoint{Addr: netip.MustParseAddrPort(p.client), Identity: p.from},
		Server: dissect.Endpoint{Addr: netip.MustParseAddrPort(p.server), Identity: p.to},
		First:  p.at(first) - p.ahead, Last: p.at(first) + 1000*ms, Packets: [2]uint64{uint64(p.side), 1}}
}

// call is one that the client began at a time after start; the server took 5 ms. Of the way
// between them, what lies behind the place's own is 1 ms.
func (p place) call(at int64, what, status string) *dissect.Call {
	c := &dissect.Call{Flow: p.flow(0, 0), Protocol: http, Time: p.at(at), RequestEnd: p.at(at), ResponseStart: p.at(at) + 5*ms,
		ResponseEnd: p.at(at) + 5*ms, RequestSize: uint64(len(what)), ResponseSize: uint64(len(status)), Message: say{what, status}}
	if p.side == dissect.SideClient {
		c.ResponseStart, c.ResponseEnd = c.ResponseStart+ms, c.ResponseEnd+ms
	}
	if status == "" {
		c.ResponseStart, c.ResponseEnd = 0, 0
	}
	return c
}

// calls are n of them, each gap after the one before; name makes their summaries.
func (p place) calls(n int, gap int64, name func(int) string, lost ...int) (out []*dissect.Call) {
	for i := range n {
		if !slices.Contains(lost, i) {
			out = append(out, p.call(int64(i)*gap, name(i), "200"))
		}
	}
	return out
}

// netipPort is a client's address, one of many.
func netipPort(n int, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 2, byte(n)}), port)
}

func same(int) string     { return "GET /health" }
func unlike(i int) string { return fmt.Sprint("GET /item/", i) }

// merged puts what several places saw into the order of time, as a fleet does.
func merged(seen ...[]*dissect.Call) (all []*dissect.Call) {
	for _, s := range seen {
		all = append(all, s...)
	}
	slices.SortStableFunc(all, func(a, b *dissect.Call) int { return int(a.Time - b.Time) })
	return all
}

// line is what is told of a call.
func line(c *dissect.Call) string {
	f := c.Flow
	s := fmt.Sprintf("%s %s>%s %s", f.Vantage, f.Client.Display(), f.Server.Display(), c.Message.AppendSummary(nil))
	if f.Server.Identity != nil && f.Server.Pod != "" {
		s += " by " + f.Server.Pod
	}
	if ns, ok := c.Network(); ok {
		s += fmt.Sprintf(" network %dus", ns/1000)
	}
	return s
}

// joined is what a joiner tells of calls that are over.
func joinedCalls(t *testing.T, all []*dissect.Call) (told []*dissect.Call) {
	t.Helper()
	j := NewCalls(false, func(c *dissect.Call) error {
		told = append(told, c)
		return nil
	})
	for _, c := range all {
		if err := j.Add(c, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(told, func(a, b *dissect.Call) int { return int(a.Time - b.Time) }) {
		t.Error("they are not in the order of time")
	}
	return told
}

// counted sums lines up: "3 x line".
func counted(told []*dissect.Call) string {
	n := map[string]int{}
	var order []string
	for _, c := range told {
		l := line(c)
		if n[l]++; n[l] == 1 {
			order = append(order, l)
		}
	}
	slices.Sort(order)
	for i, l := range order {
		order[i] = fmt.Sprintf("%d x %s", n[l], l)
	}
	return strings.Join(order, "\n")
}
