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
	table.Learn(a, 100, cart)
	table.Learn(a, 150, &dissect.Identity{Pod: "cart"}) // the same again
	table.Learn(a, 200, nil)
	table.Learn(a, 300, shop)
	table.Learn(netip.MustParseAddr("10.0.0.2"), 5, nil)
	for at, want := range map[int64]string{0: "cart", 100: "cart", 199: "cart", 200: "example.com", 299: "example.com", 300: "shop", 1000: "shop"} {
		if got := table.Resolve(a, at).Name(); got != want {
			t.Errorf("at %d: %q, want %q", at, got, want)
		}
	}
	if got := table.Resolve(netip.MustParseAddr("::ffff:10.0.0.1"), 1000).Name(); got != "shop" {
		t.Errorf("the mapped address is %q", got)
	}
	if table.Resolve(netip.MustParseAddr("10.0.0.2"), 10) != nil {
		t.Error("an address that was never anybody's has a name")
	}
}

func TestLearntLate(t *testing.T) {
	a := netip.MustParseAddr("10.0.0.1")
	table := New()
	for _, at := range []int64{300, 100, 200} {
		table.Learn(a, at, &dissect.Identity{Pod: string(rune('a' + at/100))})
	}
	for at, want := range map[int64]string{50: "b", 150: "b", 250: "c", 350: "d"} {
		if got := table.Resolve(a, at).Name(); got != want {
			t.Errorf("at %d: %q, want %q", at, got, want)
		}
	}
}

func TestBounded(t *testing.T) {
	table := New()
	a := netip.MustParseAddr("10.0.0.1")
	for i := range 1000 {
		table.Learn(a, int64(i), &dissect.Identity{Pod: string(rune(i))})
	}
	if n := len(table.known[a]); n > maxHistory {
		t.Errorf("%d identities are kept of one address", n)
	}
}

func TestNames(t *testing.T) {
	for _, id := range []*dissect.Identity{
		{Pod: "cart"},
		{DNS: "example.com"},
		{Namespace: "shop", Pod: "cart-0", PodUID: "u-1", Service: "cart", Workload: "cart", Kind: "StatefulSet", Node: "a",
			DNS: "cart.shop.svc", Labels: map[string]string{"app": "cart", "tier": "a=b"}},
	} {
		names := Encode(id)
		if got := Decode(names); !reflect.DeepEqual(got, id) {
			t.Errorf("%v is read as %+v", names, got)
		}
	}
	if got := Decode([]string{"www.example.com"}); got == nil || got.DNS != "www.example.com" {
		t.Errorf("a plain name is read as %+v", got)
	}
	if Decode(nil) != nil || Decode([]string{""}) != nil {
		t.Error("no name is read as one")
	}
}
