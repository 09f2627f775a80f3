package query

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/servicemap/identity"
)

func TestAccessTells(t *testing.T) {
	end := func(ns string) dissect.Endpoint {
		if ns == "?" {
			return dissect.Endpoint{}
		}
		return dissect.Endpoint{Identity: &dissect.Identity{Namespace: ns}}
	}
	shop := []string{"shop", ""} // an empty name is no name
	for _, tt := range []struct {
		access         Access
		client, server string
		tells, hides   bool
	}{
		{Access{}, "bank", "bank", true, false},
		{Access{}, "?", "?", true, false},
		{Access{Limited: true}, "shop", "shop", false, false},
		{Access{Limited: true, Namespaces: shop}, "shop", "shop", true, false},
		{Access{Limited: true, Namespaces: shop}, "shop", "bank", true, false},
		{Access{Limited: true, Namespaces: shop}, "bank", "shop", true, false},
		{Access{Limited: true, Namespaces: shop}, "?", "shop", true, false},
		{Access{Limited: true, Namespaces: shop}, "bank", "bank", false, false},
		{Access{Limited: true, Namespaces: shop}, "shopping", "sho", false, false},
		{Access{Limited: true, Namespaces: shop}, "", "", false, false},
		{Access{Limited: true, Namespaces: shop}, "?", "?", false, false},
		{Access{Metadata: true}, "shop", "shop", true, true},
		{Access{Metadata: true, Payload: shop}, "bank", "shop", true, false},
		{Access{Metadata: true, Payload: shop}, "bank", "bank", true, true},
		{Access{Metadata: true, Payload: shop}, "", "?", true, true},
	} {
		f := &dissect.Flow{Client: end(tt.client), Server: end(tt.server)}
		if tt.access.Tells(f) != tt.tells || tt.access.Hides(f) != tt.hides {
			t.Errorf("%+v of %s to %s: tells %v, hides %v", tt.access, tt.client, tt.server, tt.access.Tells(f), tt.access.Hides(f))
		}
	}
}

// TestAccessOfSources: a file and a store tell nothing of flows of which nobody knows the
// namespace, and refuse what metadata must not be asked.
func TestAccessOfSources(t *testing.T) {
	file, stored, _ := kept(t, capture(t, 8)) // its pods have no namespace
	limited := Access{Limited: true, Namespaces: []string{"shop", ""}}
	for name, s := range map[string]Source{"file": file, "store": stored} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			var id flow.ID
			if _, err := s.Flows(ctx, &Request{}, func(f *dissect.Flow) error { id = f.ID; return nil }); err != nil || id == 0 {
				t.Fatal(err)
			}
			for _, r := range []Request{{}, {Last: 5}, {First: 1}, {Stream: id}, {Vantage: Both}, {Filter: "http"}, {Filter: "true"}} {
				r.Access = limited
				told := 0
				report, err := s.Calls(ctx, &r, func(*dissect.Call) error { told++; return nil })
				if err != nil || told != 0 || report.Nodes[0].Matched != 0 {
					t.Errorf("%+v: %d calls, %+v, %v", r, told, report, err)
				}
				report, err = s.Flows(ctx, &r, func(*dissect.Flow) error { told++; return nil })
				if err != nil || told != 0 || report.Nodes[0].Matched != 0 {
					t.Errorf("%+v: %d flows, %+v, %v", r, told, report, err)
				}
				var got counter
				report, err = s.Packets(ctx, &r, &got)
				if err != nil || got.packets != 0 || report.Nodes[0].Matched != 0 {
					t.Errorf("%+v: %d packets, %+v, %v", r, got.packets, report, err)
				}
			}
			var got bytesOf
			if _, err := s.Stream(ctx, &Request{Stream: id, Access: limited}, &got); !errors.Is(err, ErrNoSuchFlow) || got[0].Len()+got[1].Len() != 0 {
				t.Errorf("stream: %v", err)
			}
			metadata := Access{Metadata: true}
			if _, err := s.Stream(ctx, &Request{Stream: id, Access: metadata}, &got); !errors.Is(err, ErrRefused) {
				t.Errorf("stream: %v", err)
			}
			if _, err := s.Calls(ctx, &Request{Filter: "status_code == 200", Access: metadata}, nil); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "status_code") {
				t.Errorf("filter: %v", err)
			}
			lines := jsonLines(t, s, Request{Access: metadata, Bodies: 100, Filter: "http && !error"})
			for _, l := range lines {
				if strings.Contains(l, "item") || strings.Contains(l, "status_code") || !strings.Contains(l, `"elapsed_time"`) {
					t.Errorf("metadata is %s", l)
				}
			}
			if len(lines) != 8 {
				t.Errorf("%d calls", len(lines))
			}
		})
	}
}

// named writes the names down that it is told.
type named struct {
	counter
	names []string
}

func (n *named) Name(name pcap.Name) error {
	n.names = append(n.names, strings.Join(append([]string{name.Addr.String()}, name.Names...), " "))
	return nil
}

// TestIntroducer: of an address that belongs to many only the one at the port is told, once,
// until it is somebody else.
func TestIntroducer(t *testing.T) {
	table := identity.New()
	node := netip.MustParseAddr("10.0.0.2")
	table.Learn(addrs[0], 0, identity.Owner{Identity: &dissect.Identity{Namespace: "shop", Pod: "web"}})
	table.Learn(addrs[0], 50, identity.Owner{Identity: &dissect.Identity{Namespace: "shop", Pod: "web-2"}})
	table.Learn(node, 0, identity.Owner{Identity: &dissect.Identity{Node: "a"}, Ports: map[uint16]*dissect.Identity{80: {Pod: "agent"}, 81: {Pod: "other"}}})
	var got named
	i := NewIntroducer(&got, func(end netip.AddrPort, at int64) identity.Owner { return OwnerAt(end, at, table) })
	b := make([]byte, 40)
	b[0], b[8], b[9], b[3], b[32] = 0x45, 64, 6, 40, 0x50
	copy(b[12:], addrs[0].AsSlice())
	copy(b[16:], node.AsSlice())
	b[20], b[21], b[23] = 0x9c, 0x40, 80
	iface := &pcap.Interface{Link: pcap.LinkRaw}
	for _, at := range []int64{1, 2, 60, 61} {
		if err := i.Packet(&pcap.Packet{Time: at, Data: b, Iface: iface}); err != nil {
			t.Fatal(err)
		}
	}
	if err := i.Name(pcap.Name{Addr: node, Names: []string{"other"}}); err != nil {
		t.Fatal(err)
	}
	want := []string{"10.0.0.1 shop/web ns=shop pod=web", "10.0.0.2 a node=a 80/pod=agent", "10.0.0.1 shop/web-2 ns=shop pod=web-2"}
	slices.Sort(want)
	slices.Sort(got.names)
	if !slices.Equal(got.names, want) || got.packets != 4 {
		t.Errorf("%q, %d packets", got.names, got.packets)
	}
}

func TestCodes(t *testing.T) {
	for status, want := range map[string]string{"200": "200", "NXDOMAIN": "NXDOMAIN", "": "", "ERR no such key": "", "x\x1b": "", strings.Repeat("9", 25): "", "é": ""} {
		if got := string(codeOf([]byte(status))); got != want {
			t.Errorf("%q is told as %q", status, got)
		}
	}
}
