package worker

import (
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/store"
	"github.com/sshark/sshark/servicemap/identity"
)

// testWho is a Who without a capture.
func testWho(t *testing.T) *Who {
	t.Helper()
	s, err := store.Open(store.Options{Dir: filepath.Join(t.TempDir(), "store")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w := &Worker{o: Options{Node: "node-a"}, names: identity.New(), store: s}
	if w.who, err = newWho(w); err != nil {
		t.Fatal(err)
	}
	return w.who
}

func (n *Who) is(t *testing.T, what, addr string, when int64, want string) {
	t.Helper()
	id := n.w.names.Resolve(at(addr), when)
	got := id.Name()
	if identity.Bare(id) {
		got = id.PodUID
	}
	if got != want {
		t.Errorf("%s: %s is %q, want %q", what, addr, got, want)
	}
}

// kept is the first name that is kept with the packets of an address from now on.
func (n *Who) kept(addr string) string {
	name, _ := n.w.namer(netip.MustParseAddr(addr))
	if len(name.Names) == 0 {
		return ""
	}
	return name.Names[0]
}

func iface(p pcap.Pod, addr string) *pcap.Interface {
	return &pcap.Interface{Name: "eth0", Node: "node-a", Pod: p, Addrs: []netip.Prefix{netip.MustParsePrefix(addr)}}
}

// An address that another pod gets, which has no name for a while.
func TestAddressReused(t *testing.T) {
	n := testWho(t)
	n.roster.tell([]identity.Pod{pod("a", "shop", "cart", nil)}, nil, true)
	n.sighted(iface(n.roster.name(pcap.Pod{UID: "a"}), "10.0.0.1/24"), 100)
	n.is(t, "the first pod", "10.0.0.1:80", 150, "cart")
	if got := n.kept("10.0.0.1"); got != "shop/cart" {
		t.Errorf("kept as %q", got)
	}
	n.sighted(iface(pcap.Pod{UID: "b"}, "10.0.0.1/24"), 200)
	n.is(t, "the second pod", "10.0.0.1:80", 250, "b")
	n.is(t, "the first pod's past", "10.0.0.1:80", 150, "cart")
	if got := n.kept("10.0.0.1"); got != "" {
		t.Errorf("kept as %q", got)
	}
	n.roster.tell([]identity.Pod{pod("b", "shop", "db", nil)}, nil, false)
	n.sighted(iface(n.roster.name(pcap.Pod{UID: "b"}), "10.0.0.1/24"), 300)
	n.is(t, "the second pod, named", "10.0.0.1:80", 250, "db")
	n.is(t, "the first pod's past", "10.0.0.1:80", 150, "cart")
	n.sighted(iface(pcap.Pod{UID: "b"}, "10.0.0.1/24"), 400) // a packet that was under way
	n.is(t, "the second pod, still", "10.0.0.1:80", 400, "db")

	// It is gone, and so is its namespace.
	n.roster.tell(nil, []string{"b"}, false)
	n.look(map[string]bool{"b": true}, map[netip.Addr]bool{netip.MustParseAddr("10.0.0.1"): true}, 500)
	n.is(t, "while it is captured", "10.0.0.1:80", 500, "db")
	n.look(nil, nil, 600)
	n.is(t, "after that", "10.0.0.1:80", 600, "")
	n.is(t, "its past", "10.0.0.1:80", 599, "db")
}

// What the hub answers.
func TestOwner(t *testing.T) {
	n := testWho(t)
	now := time.Now().UnixNano()
	hour := int64(time.Hour)
	addr := netip.MustParseAddr("10.1.0.1")
	web := identity.Owner{Identity: &dissect.Identity{Pod: "web", PodUID: "1", Namespace: "shop"}}
	n.Owner(addr, web, now-2*hour)
	db := identity.Owner{Identity: &dissect.Identity{Pod: "db", PodUID: "2", Namespace: "shop"}}
	n.Owner(addr, db, now-hour)
	n.is(t, "before", "10.1.0.1:80", now-hour-1, "web")
	n.is(t, "since then", "10.1.0.1:80", now-hour, "db")
	if got := n.kept("10.1.0.1"); got != "shop/db" {
		t.Errorf("kept as %q", got)
	}
	n.Owner(addr, web, 0) // it does not say since when
	n.is(t, "now", "10.1.0.1:80", time.Now().UnixNano(), "web")
	n.is(t, "an hour ago", "10.1.0.1:80", now-hour, "db")
	n.w.names.Named(addr, "web.example.com")
	n.Owner(addr, identity.Owner{}, 0)
	n.is(t, "nobody's", "10.1.0.1:80", time.Now().UnixNano(), "web.example.com")
	n.is(t, "the past", "10.1.0.1:80", now-hour, "db")

	// Who had it for a moment in between keeps that, and who has it now has it.
	n.Owner(addr, web, now-hour/2)
	n.Was(addr, db, now-hour/4)
	n.Owner(addr, web, now-hour/8)
	n.is(t, "before the moment", "10.1.0.1:80", now-hour/3, "web")
	n.is(t, "in the moment", "10.1.0.1:80", now-hour/5, "db")
	n.is(t, "after the moment", "10.1.0.1:80", now-hour/9, "web")
	if got := n.kept("10.1.0.1"); got != "shop/web" {
		t.Errorf("kept as %q", got)
	}

	// An address outside keeps what DNS said.
	n.w.names.Named(netip.MustParseAddr("198.51.100.1"), "example.com")
	n.Owner(netip.MustParseAddr("198.51.100.1"), identity.Owner{}, 0)
	n.is(t, "outside", "198.51.100.1:443", now, "example.com")
	if got := n.kept("198.51.100.1"); got != "example.com" {
		t.Errorf("kept as %q", got)
	}
}

// A node's address has owners by port, each of which is asked for; what the hub knows of the
// node is not forgotten when its interface is seen.
func TestOwnerPorts(t *testing.T) {
	n := testWho(t)
	node := iface(pcap.Pod{}, "192.0.2.1/24")
	n.sighted(node, 100)
	n.is(t, "by itself", "192.0.2.1:80", 100, "node-a")
	id := &dissect.Identity{Node: "node-a", Labels: map[string]string{"zone": "a"}}
	addr := netip.MustParseAddr("192.0.2.1")
	for port, name := range map[uint16]string{80: "web", 9100: "exporter"} {
		n.Owner(addr, identity.Owner{Identity: id, Ports: map[uint16]*dissect.Identity{port: {Pod: name, Namespace: "shop"}}}, 50)
	}
	n.sighted(node, time.Now().UnixNano())
	for at, want := range map[string]string{"192.0.2.1:80": "web", "192.0.2.1:9100": "exporter", "192.0.2.1:22": "node-a"} {
		n.is(t, "by port", at, time.Now().UnixNano(), want)
	}
	if got := n.w.names.Owner(addr, time.Now().UnixNano()); got.Labels["zone"] != "a" {
		t.Errorf("the node is %+v", got.Identity)
	}
	name, _ := n.w.namer(addr)
	if o := identity.Decode(name.Names); len(o.Ports) != 2 {
		t.Errorf("kept: %q", name.Names)
	}
}

// Which end of a flow is asked for with its port: the one that serves.
func TestMetPorts(t *testing.T) {
	client, server := at("10.0.0.1:40000"), at("10.0.0.2:30080")
	for name, c := range map[string]struct {
		src, dst netip.AddrPort
		flags    uint8
		want     string
	}{
		"SYN":                {client, server, flow.SYN, "10.0.0.1:0 10.0.0.2:30080"},
		"SYN and ACK":        {server, client, flow.SYN | flow.ACK, "10.0.0.1:0 10.0.0.2:30080"},
		"server's port high": {at("10.0.0.1:1000"), at("10.0.0.2:50000"), flow.SYN, "10.0.0.1:0 10.0.0.2:50000"},
		"in the middle":      {server, client, flow.ACK, "10.0.0.1:0 10.0.0.2:30080"},
		"addresses reversed": {at("10.0.0.9:40000"), at("10.0.0.2:53"), 0, "10.0.0.2:53 10.0.0.9:0"},
		"equal ports":        {at("10.0.0.1:5353"), at("10.0.0.2:5353"), 0, "10.0.0.1:5353 10.0.0.2:5353"},
	} {
		n := testWho(t)
		var h flow.Header
		h.Key, h.Dir = flow.NewKey(c.src, c.dst, flow.TCP)
		h.Flags = c.flags
		n.met(h.Key, flow.OpenerOf(&h))
		if got := asks(t, n.peers, time.Second); got != c.want {
			t.Errorf("%s: asked %q, want %q", name, got, c.want)
		}
	}
}
