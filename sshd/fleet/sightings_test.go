package fleet

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/sshd/sourcetest"
	"github.com/sshark/sshark/worker/query"
)

// half is a node that saw one end of each connection of a shop: calls are numbered, ten on each
// connection.
type half struct {
	*sourcetest.Source
	side dissect.Side
	skew time.Duration
	n    int
	lost func(int) bool
}

func (h *half) flow(n int) *dissect.Flow {
	f := h.Source.Flow(n)
	f.ID, f.Node, f.Vantage, f.Opening = flow.ID(1000*int(h.side)+n), "node-"+h.side.String(), h.side, uint64(n+1)<<32|7
	f.First += int64(h.skew)
	f.Last = f.First + 1e9
	if h.side == dissect.SideClient {
		f.Server = dissect.Endpoint{Addr: netip.MustParseAddrPort("10.96.0.9:80"), Identity: &dissect.Identity{Namespace: "shop", Service: "cart"}}
	}
	return f
}

func (h *half) Calls(ctx context.Context, r *query.Request, each func(*dissect.Call) error) (*query.Report, error) {
	if r.Vantage != query.Both {
		return nil, fmt.Errorf("asked for vantage %d", r.Vantage)
	}
	matched := uint64(0)
	var all []*dissect.Call
	for n := range h.n {
		if h.lost != nil && h.lost(n) {
			continue
		}
		c := h.Source.Call(n)
		c.Flow = h.flow(n / 10)
		for _, at := range []*int64{&c.Time, &c.RequestEnd, &c.ResponseStart, &c.ResponseEnd} {
			*at += int64(h.skew)
		}
		if h.side == dissect.SideClient {
			c.Time, c.RequestEnd, c.ResponseStart = c.Time-1e5, c.RequestEnd-1e5, c.ResponseStart+1e5
		}
		if matched++; c.Time >= r.Since {
			all = append(all, c)
		}
	}
	if r.First > 0 {
		all = all[:min(r.First, len(all))]
	}
	if r.Last > 0 {
		all = all[max(0, len(all)-r.Last):]
	}
	for _, c := range all {
		if err := each(c); err != nil {
			return nil, err
		}
	}
	return &query.Report{Nodes: []query.NodeReport{{Node: "node-" + h.side.String(), Matched: matched}}}, nil
}

func (h *half) Flows(_ context.Context, _ *query.Request, each func(*dissect.Flow) error) (*query.Report, error) {
	for n := range h.n / 10 {
		if err := each(h.flow(n)); err != nil {
			return nil, err
		}
	}
	return &query.Report{Nodes: []query.NodeReport{{Node: "node-" + h.side.String(), Matched: uint64(h.n / 10)}}}, nil
}

// What two nodes saw of one call is told once, with the times of both, whatever their clocks
// say and whatever one of them lost.
func TestSightings(t *testing.T) {
	const n = 2000
	for name, skew := range map[string]time.Duration{"clocks agree": 0, "ahead": 300 * time.Millisecond, "behind": -300 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			client := &half{Source: &sourcetest.Source{Step: time.Millisecond}, side: dissect.SideClient, n: n, lost: func(n int) bool { return n%100 == 17 }}
			server := &half{Source: &sourcetest.Source{Step: time.Millisecond}, side: dissect.SideServer, n: n, skew: skew, lost: func(n int) bool { return n%100 == 55 }}
			ma, _ := behind(t, "node-client", client)
			mb, _ := behind(t, "node-server", server)
			f := of(ma, mb)
			for _, r := range []query.Request{{}, {Last: 100}, {First: 100}, {Last: n}} {
				var told []string
				sides := map[dissect.Side]int{}
				report, err := f.Calls(context.Background(), &r, func(c *dissect.Call) error {
					told = append(told, string(c.Message.AppendSummary(nil)))
					sides[c.Flow.Vantage]++
					if ns, ok := c.Network(); ok != (c.Flow.Vantage == dissect.SideBoth) || ok && (ns != 2e5 || c.Client.Node != "node-client" || c.Flow.Node != "node-server") {
						t.Errorf("%s: %d ns on the way, %+v", told[len(told)-1], ns, c.Client)
					}
					return nil
				})
				want := n
				if r.First+r.Last > 0 {
					want = r.First + r.Last
				}
				if err != nil || len(told) != want || len(slices.Compact(slices.Sorted(slices.Values(told)))) != want ||
					sides[dissect.SideBoth] < want*95/100 {
					t.Errorf("last %d, first %d: %d calls, %v (%v)", r.Last, r.First, len(told), sides, err)
				}
				matched, most := uint64(0), false
				for _, x := range report.Nodes {
					matched, most = matched+x.Matched, most || x.Most
				}
				if r.First == 0 && (matched < n || matched > n && !most || r.Last == 0 && matched != n) {
					t.Errorf("last %d: matched %d, at most: %v", r.Last, matched, most)
				}
			}
			flows := 0
			if _, err := f.Flows(context.Background(), &query.Request{}, func(fl *dissect.Flow) error {
				if flows++; fl.Vantage != dissect.SideBoth || fl.Node != "node-server" {
					t.Errorf("flow %d: %s, %s", flows, fl.Vantage, fl.Node)
				}
				return nil
			}); err != nil || flows != n/10 {
				t.Errorf("%d flows of %d (%v)", flows, n/10, err)
			}
		})
	}
}

// others is a half whose ends are in another namespace, and which tells them to everybody.
type others struct{ half }

func (o *others) disguise(f *dissect.Flow) {
	f.Client.Identity, f.Server.Identity = &dissect.Identity{Namespace: "bank", Pod: "vault"}, &dissect.Identity{Namespace: "bank", Pod: "ledger"}
}

func (o *others) Calls(ctx context.Context, r *query.Request, each func(*dissect.Call) error) (*query.Report, error) {
	return o.half.Calls(ctx, r, func(c *dissect.Call) error { o.disguise(c.Flow); return each(c) })
}

func (o *others) Flows(ctx context.Context, r *query.Request, each func(*dissect.Flow) error) (*query.Report, error) {
	return o.half.Flows(ctx, r, func(f *dissect.Flow) error { o.disguise(f); return each(f) })
}

// What a node should not have told is left out before it is joined with anything.
func TestSightingsOfOthers(t *testing.T) {
	const n = 200
	client := &half{Source: &sourcetest.Source{Step: time.Millisecond}, side: dissect.SideClient, n: n}
	server := &others{half{Source: &sourcetest.Source{Step: time.Millisecond}, side: dissect.SideServer, n: n}}
	f := of(Member{Name: "node-client", Source: client}, Member{Name: "node-server", Source: server})
	var withheld atomic.Int64
	r := query.Request{Access: query.Access{Limited: true, Namespaces: []string{"shop"}}, Withheld: func() { withheld.Add(1) }}
	check := func(what string, f *dissect.Flow) {
		if f.Vantage != dissect.SideClient || f.Client.Identity.Namespace != "shop" || f.Server.Identity.Namespace != "shop" {
			t.Errorf("%s of %s, %+v -> %+v", what, f.Vantage, f.Client.Identity, f.Server.Identity)
		}
	}
	told := 0
	if _, err := f.Calls(t.Context(), &r, func(c *dissect.Call) error { told++; check("call", c.Flow); return nil }); err != nil || told != n || withheld.Load() != n {
		t.Errorf("%d calls of %d, %d withheld: %v", told, n, withheld.Load(), err)
	}
	told = 0
	withheld.Store(0)
	if _, err := f.Flows(t.Context(), &r, func(f *dissect.Flow) error { told++; check("flow", f); return nil }); err != nil || told != n/10 || withheld.Load() != n/10 {
		t.Errorf("%d flows of %d, %d withheld: %v", told, n/10, withheld.Load(), err)
	}
}
