package vantage

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// flowLine is what is told of a flow; its packets say at which end they were counted.
func flowLine(f *dissect.Flow) string {
	s := fmt.Sprintf("%s %s %s>%s", f.Vantage, f.Client.Addr.Addr(), f.Client.Display(), f.Server.Display())
	if f.Server.Identity != nil && f.Server.Pod != "" {
		s += " by " + f.Server.Pod
	}
	return s + " counted by the " + dissect.Side(f.Packets[0]).String()
}

func TestFlows(t *testing.T) {
	const whole = "both 10.1.0.2 shop/gateway-1>shop/cart by cart-7 counted by the server"
	ext := place{node: "node-a", side: dissect.SideServer, client: outside, server: nodePort, to: service, opening: 7}
	egress := []place{{node: "node-a", side: dissect.SideClient, client: masked, server: outside, from: nodeA, opening: 7},
		{node: "node-a", side: dissect.SideClient, client: podA, server: outside, from: gateway, opening: 7}}
	for name, c := range map[string]struct {
		seen []place
		want string
	}{
		"a service":                 {[]place{atClient.opened(7), atServer.opened(7)}, whole},
		"server first":              {[]place{atClient.opened(7).skewed(50 * ms), atServer.opened(7)}, whole},
		"a clock ahead":             {[]place{atClient.opened(7), atServer.opened(7).skewed(900 * ms)}, whole},
		"a node port":               {[]place{atPort.opened(7), atNode.opened(7), forwarded.opened(7), afterMask.opened(7)}, whole},
		"under way":                 {[]place{atClient, atServer}, whole},
		"under way, a node port":    {[]place{atPort, afterMask}, "client 10.1.0.2 shop/gateway-1>shop/cart counted by the client\nserver 192.168.0.11 node-a>shop/cart by cart-7 counted by the server"},
		"datagrams":                 {[]place{atClient.as(flow.UDP), atServer.as(flow.UDP)}, whole},
		"two transports":            {[]place{atClient, atClient.as(flow.UDP), atServer.as(flow.UDP), atServer}, whole + "\n" + whole},
		"from outside":              {[]place{ext, afterMask.opened(7)}, "server 203.0.113.9 203.0.113.9>shop/cart by cart-7 counted by the server"},
		"to the outside":            {egress, "client 10.1.0.2 shop/gateway-1>203.0.113.9 counted by the client"},
		"a plain file":              {[]place{{client: podA, server: podB}}, " 10.1.0.2 10.1.0.2>10.1.1.7 counted by the "},
		"the server's pod, no name": {[]place{atClient.opened(7), atServer.unnamed().opened(7)}, whole},
	} {
		t.Run(name, func(t *testing.T) {
			var all []*dissect.Flow
			for _, p := range c.seen {
				all = append(all, p.flow(0, 0))
			}
			slices.SortStableFunc(all, func(a, b *dissect.Flow) int { return int(a.First - b.First) })
			var told []string
			left := 0
			j := NewFlows(false, func(f *dissect.Flow) error {
				told = append(told, flowLine(f))
				return nil
			})
			j.Merged = func(*dissect.Flow) { left++ }
			for _, f := range all {
				if err := j.Add(f, 0); err != nil {
					t.Fatal(err)
				}
			}
			if err := j.Close(); err != nil || strings.Join(told, "\n") != c.want || len(told)+left != len(all) {
				t.Errorf("got\n%s\nwant\n%s\n%d left out (%v)", strings.Join(told, "\n"), c.want, left, err)
			}
		})
	}
}

// Many flows of few ports, with and without openings, are told once each, in order, from
// whichever end begins to be kept earlier.
func TestManyFlows(t *testing.T) {
	for name, opening := range map[string]uint64{"opened": 1, "under way": 0} {
		t.Run(name, func(t *testing.T) {
			const n = 2000
			var all []*dissect.Flow
			for i := range n {
				port := fmt.Sprintf("10.1.0.2:%d", 40000+i%3)
				at := int64(i) * 5000 * ms
				c := atClient.port(port, clusterIP).opened(opening*uint64(i+1)).flow(i, at)
				s := atServer.port(port, podB).opened(opening*uint64(i+1)).flow(i, at)
				if i%10 == 0 { // seen there long before
					c.First, c.Last = c.First-9000*ms, c.Last+100*ms
					s.First -= 20 * ms
				}
				all = append(all, c, s)
			}
			slices.SortStableFunc(all, func(a, b *dissect.Flow) int { return int(a.First - b.First) })
			told, last := 0, int64(0)
			j := NewFlows(false, func(f *dissect.Flow) error {
				if told++; f.First < last {
					t.Error("out of order")
				}
				last = f.First
				return nil
			})
			for _, f := range all {
				if err := j.Add(f, 0); err != nil {
					t.Fatal(err)
				}
			}
			if err := j.Close(); err != nil || told != n {
				t.Errorf("%d flows of %d (%v)", told, n, err)
			}
		})
	}
}

func TestLiveFlows(t *testing.T) {
	var told []string
	j := NewFlows(true, func(f *dissect.Flow) error {
		told = append(told, f.Vantage.String())
		return nil
	})
	const hold = int64(HoldLive)
	for i, step := range []struct {
		now  int64
		add  *dissect.Flow
		next int64
		want string
	}{
		{0, atClient.opened(1).flow(0, 0), hold, ""},
		{hold / 2, atServer.opened(1).flow(0, 0), hold, ""},
		{hold, nil, hold + hold/2, ""},
		{hold + hold/2, nil, 0, "both"},
		{2 * hold, atClient.opened(2).flow(1, 5), 3 * hold, ""},
		{3 * hold, nil, 0, "client"},
		{20 * hold, atServer.opened(2).flow(1, 5), 21 * hold, ""},
		{21 * hold, nil, 0, ""},
	} {
		told = nil
		if step.add != nil {
			if err := j.Add(step.add, step.now); err != nil {
				t.Fatal(err)
			}
		}
		next, err := j.Due(step.now)
		if got := strings.Join(told, ","); err != nil || got != step.want || next != step.next {
			t.Errorf("step %d: told %q, next at %d ms (%v)", i, got, next/ms, err)
		}
	}
}

func BenchmarkFlows(b *testing.B) {
	const n = 20_000
	var all []*dissect.Flow
	for i := range n / 2 {
		for _, p := range []place{atClient.opened(uint64(i + 1)), atServer.opened(uint64(i + 1))} {
			f := p.flow(i, int64(i)*ms)
			f.Client.Addr = netipPort(i>>16, uint16(i))
			all = append(all, f)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		j := NewFlows(false, func(*dissect.Flow) error { return nil })
		for _, f := range all {
			if err := j.Add(f, 0); err != nil {
				b.Fatal(err)
			}
		}
		if err := j.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/sighting")
}
