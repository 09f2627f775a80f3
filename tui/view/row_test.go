package view

import (
	"net/netip"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Rows of one flow share what is told of it, and flows of one identity its names, until either
// is told otherwise.
func TestRowsShare(t *testing.T) {
	cart := &dissect.Identity{Namespace: "shop", Pod: "cart-0"}
	of := func(id int, client *dissect.Identity, side dissect.Side) *dissect.Flow {
		return &dissect.Flow{ID: flow.ID(id), Node: "node-a", Vantage: side,
			Client: dissect.Endpoint{Addr: netip.MustParseAddrPort("10.0.0.1:40000"), Identity: client},
			Server: dissect.Endpoint{Addr: netip.MustParseAddrPort("10.0.0.2:80")}}
	}
	var c copier
	first := c.flowInfo(of(1, cart, dissect.SideClient))
	if string(first.peers[0].full) != "shop/cart-0" || string(first.peers[0].short) != "cart-0" || string(first.peers[1].full) != "10.0.0.2" {
		t.Errorf("%+v", first.peers)
	}
	other := c.flowInfo(of(2, cart, dissect.SideClient))
	if other == first || other.peers[0] != first.peers[0] {
		t.Error("two flows of one identity do not have the same names")
	}
	if c.flowInfo(of(1, cart, dissect.SideClient)) != first {
		t.Error("a flow is kept twice")
	}
	if got := c.flowInfo(of(1, &dissect.Identity{Namespace: "shop", Pod: "cart-0", Service: "cart"}, dissect.SideClient)); string(got.peers[0].full) != "shop/cart" {
		t.Errorf("a name that was learnt later is not told: %+v", got.peers[0])
	}
	if !c.flowInfo(of(2, cart, dissect.SideBoth)).both || other.both {
		t.Error("that a flow was seen at both ends is told of the wrong rows")
	}
	for i := range 3 * maxShared {
		c.flowInfo(of(i, &dissect.Identity{Pod: "p"}, dissect.SideClient))
		if len(c.flows) > maxShared || len(c.called) > maxShared {
			t.Fatalf("%d flows and %d identities are remembered", len(c.flows), len(c.called))
		}
	}
}
