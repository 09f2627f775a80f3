package identity

import (
	"net/netip"
	"reflect"
	"testing"

	"github.com/sshark/sshark/dissect"
)

func TestHistory(t *testing.T) {
	a := netip.MustParseAddr("10.0.0.1")
	cart, shop := &dissect.Identity{Pod: "cart"}, &dissect.Identity{Pod: "shop"}
	table := New()
	table.Named(a, "example.com")
	table.Learn(a, 100, Owner{Identity: cart})
	table.Learn(a, 150, Owner{Identity: &dissect.Identity{Pod: "cart"}}) // the same again
	table.Learn(a, 200, Owner{})
	table.Learn(a, 300, Owner{Identity: shop})
	table.Learn(netip.MustParseAddr("10.0.0.2"), 5, Owner{})
	for at, want := range map[int64]string{0: "cart", 100: "cart", 199: "cart", 200: "example.com", 299: "example.com", 300: "shop", 1000: "shop"} {
		if got := table.Resolve(port(a), at).Name(); got != want {
			t.Errorf("at %d: %q, want %q", at, got, want)
		}
	}
	if got := table.Resolve(port(netip.MustParseAddr("::ffff:10.0.0.1")), 1000).Name(); got != "shop" {
		t.Errorf("the mapped address is %q", got)
	}
	if table.Resolve(port(netip.MustParseAddr("10.0.0.2")), 10) != nil {
		t.Error("an address that was never anybody's has a name")
	}
}

func TestLearntLate(t *testing.T) {
	a := netip.MustParseAddr("10.0.0.1")
	table := New()
	for _, at := range []int64{300, 100, 200} {
		table.Learn(a, at, Owner{Identity: &dissect.Identity{Pod: string(rune('a' + at/100))}})
	}
	for at, want := range map[int64]string{50: "b", 150: "b", 250: "c", 350: "d"} {
		if got := table.Resolve(port(a), at).Name(); got != want {
			t.Errorf("at %d: %q, want %q", at, got, want)
		}
	}
}

func TestBounded(t *testing.T) {
	table := New()
	a := netip.MustParseAddr("10.0.0.1")
	for i := range 1000 {
		table.Learn(a, int64(i), Owner{Identity: &dissect.Identity{Pod: string(rune(i))}})
	}
	if n := len(table.known[a]); n > maxHistory {
		t.Errorf("%d identities are kept of one address", n)
	}
}

func TestPorts(t *testing.T) {
	a := netip.MustParseAddr("192.0.2.1")
	node, agent, web := &dissect.Identity{Node: "a"}, &dissect.Identity{Pod: "agent"}, &dissect.Identity{Service: "web"}
	table := New()
	table.Learn(a, 100, Owner{Identity: node})
	table.Learn(a, 200, Owner{Ports: map[uint16]*dissect.Identity{80: agent}})
	table.Learn(a, 300, Owner{Identity: node, Ports: map[uint16]*dissect.Identity{30080: web}})
	table.Learn(a, 400, Owner{Identity: &dissect.Identity{Node: "b"}}) // another machine has the address
	for _, tt := range []struct {
		port uint16
		at   int64
		want string
	}{{80, 150, "a"}, {80, 250, "agent"}, {80, 350, "agent"}, {30080, 250, "a"}, {30080, 350, "web"}, {443, 350, "a"}, {80, 450, "b"}} {
		if got := table.Resolve(netip.AddrPortFrom(a, tt.port), tt.at).Name(); got != tt.want {
			t.Errorf("port %d at %d: %q, want %q", tt.port, tt.at, got, tt.want)
		}
	}
}

// An address was believed to be nobody's until it was told whose it had been already.
func TestNobodyForAMoment(t *testing.T) {
	a := netip.MustParseAddr("192.0.2.1")
	first, second, third := &dissect.Identity{Pod: "a"}, &dissect.Identity{Pod: "b"}, &dissect.Identity{Pod: "c"}
	table := New()
	table.Learn(a, 100, Owner{Identity: first})
	table.Learn(a, 150, Owner{})
	table.Learn(a, 210, Owner{})
	table.Learn(a, 300, Owner{Identity: third})
	table.Learn(a, 400, Owner{})
	table.Learn(a, 200, Owner{Identity: second})
	for at, want := range map[int64]string{120: "a", 160: "", 205: "b", 250: "b", 350: "c", 450: ""} {
		if id := table.Resolve(netip.AddrPortFrom(a, 80), at); (id == nil) != (want == "") || id != nil && id.Pod != want {
			t.Errorf("at %d: %+v, want %q", at, id, want)
		}
	}
}

// What is learnt late of a node's port holds from then on, also where the node was learnt since.
func TestPortsLearntLate(t *testing.T) {
	a := netip.MustParseAddr("192.0.2.1")
	web, other := &dissect.Identity{Service: "web"}, &dissect.Identity{Service: "other"}
	table := New()
	table.Learn(a, 300, Owner{Identity: &dissect.Identity{Node: "a"}})
	table.Learn(a, 400, Owner{Identity: &dissect.Identity{Node: "a"}, Ports: map[uint16]*dissect.Identity{30081: other}})
	table.Learn(a, 500, Owner{Identity: &dissect.Identity{Node: "b"}})
	table.Learn(a, 100, Owner{Identity: &dissect.Identity{Node: "a", Kind: "Node"}, Ports: map[uint16]*dissect.Identity{30080: web, 30081: web}})
	for _, tt := range []struct {
		port uint16
		at   int64
		want string
	}{{30080, 150, "web"}, {30080, 350, "web"}, {30080, 450, "web"}, {30081, 350, "web"}, {30081, 450, "other"}, {30080, 550, "b"}, {80, 350, "a"}} {
		if got := table.Resolve(netip.AddrPortFrom(a, tt.port), tt.at).Name(); got != tt.want {
			t.Errorf("port %d at %d: %q, want %q", tt.port, tt.at, got, tt.want)
		}
	}
}

func port(a netip.Addr) netip.AddrPort { return netip.AddrPortFrom(a, 80) }

func TestNames(t *testing.T) {
	for _, id := range []*dissect.Identity{
		{Pod: "cart"},
		{DNS: "example.com"},
		{Namespace: "shop", Pod: "cart-0", PodUID: "u-1", Service: "cart", Workload: "cart", Kind: "StatefulSet", Node: "a",
			DNS: "cart.shop.svc", Labels: map[string]string{"app": "cart", "tier": "a=b"}},
	} {
		names := Encode(Owner{Identity: id})
		if got := Decode(names); !reflect.DeepEqual(got.Identity, id) || got.Ports != nil {
			t.Errorf("%v is read as %+v", names, got)
		}
	}
	ports := Owner{Ports: map[uint16]*dissect.Identity{80: {Pod: "agent", Annotations: map[string]string{"team": "x"}}, 30080: {Service: "web"}}}
	for _, o := range []Owner{ports, {Identity: &dissect.Identity{Node: "a"}, Ports: ports.Ports}} {
		names := Encode(o)
		if got := Decode(names); !reflect.DeepEqual(got, o) {
			t.Errorf("%v is read as %+v", names, got)
		}
	}
	if got := Decode([]string{"www.example.com"}); got.Identity == nil || got.DNS != "www.example.com" {
		t.Errorf("a plain name is read as %+v", got)
	}
	if Decode(nil).Identity != nil || Decode([]string{""}).Identity != nil {
		t.Error("no name is read as one")
	}
}

// A pod that the hub names after its first packets has had its name since then.
func TestBare(t *testing.T) {
	a := netip.MustParseAddr("10.0.0.1")
	table := New()
	table.Learn(a, 100, Owner{Identity: &dissect.Identity{Pod: "old", PodUID: "1"}})
	table.Learn(a, 200, Owner{Identity: &dissect.Identity{PodUID: "2", Node: "n"}})
	table.Learn(a, 300, Owner{Identity: &dissect.Identity{Pod: "cart", PodUID: "2", Node: "n"}})
	table.Learn(a, 400, Owner{Identity: &dissect.Identity{Pod: "cart", PodUID: "2", Node: "n", Service: "shop"}})
	for at, want := range map[int64]string{150: "old", 200: "cart", 299: "cart", 399: "cart", 400: "shop"} {
		if got := table.Resolve(port(a), at).Name(); got != want {
			t.Errorf("at %d: %q, want %q", at, got, want)
		}
	}
	bare := Owner{Identity: &dissect.Identity{PodUID: "2", Node: "n"}}
	if names := Encode(bare); names[0] != "2" || !Equal(Decode(names).Identity, bare.Identity) {
		t.Errorf("written as %q", names)
	}
	table.Learn(a, 500, Owner{Identity: &dissect.Identity{PodUID: "3"}})
	table.Learn(a, 600, Owner{Identity: &dissect.Identity{Pod: "db", PodUID: "4"}})
	if got := table.Resolve(port(a), 550); got.PodUID != "3" || !Bare(got) {
		t.Errorf("another pod's name went to %+v", got)
	}
}

func TestSince(t *testing.T) {
	names := Encode(Owner{Identity: &dissect.Identity{Pod: "cart"}})
	if got := WithSince(names, 1767366245123456789); Since(got) != 1767366245123456789 || !reflect.DeepEqual(Decode(got), Decode(names)) {
		t.Errorf("%v", got)
	}
	for _, none := range [][]string{nil, names, WithSince(names, 0), WithSince(nil, 7), {"x", "since=soon"}, {"x", "since=-1"}, {"since=7"}} {
		if Since(none) != 0 {
			t.Errorf("%v is since %d", none, Since(none))
		}
	}
}
