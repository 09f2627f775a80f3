package main

import (
	"net"
	"net/netip"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/servicemap/kube"
)

// TestOwn: replays never go to the hub, to its service or to a worker.
func TestOwn(t *testing.T) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var me netip.Addr // the hub's pod
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil && !p.Addr().IsLoopback() && p.Addr().Is4() {
			me = p.Addr()
		}
	}
	if !me.IsValid() {
		t.Skip("this machine has no address but loopback")
	}
	who := func(a netip.AddrPort) *dissect.Identity {
		switch a.Addr().String() {
		case me.String():
			return &dissect.Identity{Namespace: "sshark", Pod: "hub-1", Service: "hub"}
		case "198.51.100.1":
			return &dissect.Identity{Namespace: "sshark", Service: "hub"}
		case "198.51.100.2":
			return &dissect.Identity{Namespace: "shop", Service: "hub"}
		case "198.51.100.3":
			return &dissect.Identity{Node: "node-a", Kind: "Node"}
		case "198.51.100.4":
			return &dissect.Identity{Namespace: "sshark", Pod: "other"}
		}
		return nil
	}
	workers := []kube.Worker{{Node: "node-a", Addr: "198.51.100.9:4290"}, {Node: "node-b"}}
	for _, tt := range []struct {
		what, addr string
		want       bool
	}{
		{"the hub", netip.AddrPortFrom(me, 2222).String(), true},
		{"its metrics", netip.AddrPortFrom(me, 9090).String(), true},
		{"its service", "198.51.100.1:22", true},
		{"a worker", "198.51.100.9:4290", true},
		{"a worker's metrics, mapped", "[::ffff:198.51.100.9]:9090", true},
		{"a node's port that leads to it", "198.51.100.3:30022", true},
		{"another port of a node", "198.51.100.3:80", false},
		{"another's service of that name", "198.51.100.2:80", false},
		{"another pod beside it", "198.51.100.4:80", false},
		{"nobody", "198.51.100.5:80", false},
	} {
		if got := isOwn(netip.MustParseAddrPort(tt.addr), who, workers, []uint16{30022}, "sshark"); got != tt.want {
			t.Errorf("%s: %v", tt.what, got)
		}
	}
}
