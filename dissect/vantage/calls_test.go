package vantage

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

func TestCalls(t *testing.T) {
	const whole = "both shop/gateway-1>shop/cart GET /health by cart-7 network 1000us"
	one := func(places ...place) (seen [][]*dissect.Call) {
		for _, p := range places {
			seen = append(seen, p.calls(1, 0, same))
		}
		return seen
	}
	cases := map[string]struct {
		seen [][]*dissect.Call
		want string
	}{
		"a service, two nodes":           {one(atClient.opened(7), atServer.opened(7)), "1 x " + whole},
		"a service, one node":            {one(atClient.opened(7), near1.opened(7)), "1 x " + whole},
		"a pod":                          {one(direct.opened(7), near1.opened(7)), "1 x " + whole},
		"seen on the way too":            {one(direct.opened(7), onTheWay.opened(7), atServer.opened(7)), "1 x " + whole},
		"a node port":                    {one(atPort.opened(7), afterMask.opened(7)), "1 x " + whole},
		"a node port, all places":        {one(atPort.opened(7), atNode.opened(7), forwarded.opened(7), afterMask.opened(7)), "1 x " + whole},
		"under way, a service":           {one(atClient, atServer), "1 x " + whole},
		"under way, a pod":               {one(direct, near1), "1 x " + whole},
		"SYN-ACK lost at one place":      {one(atClient.opened(7), atServer), "1 x " + whole},
		"datagrams through a service":    {one(atClient.as(flow.UDP), atServer.as(flow.UDP)), "1 x " + whole},
		"the pod's service is not known": {one(atClient.opened(7), atServer.unnamed().opened(7)), "1 x " + whole},
		"the server's end only":          {one(atServer.opened(7)), "1 x server shop/gateway-1>shop/cart GET /health by cart-7"},
		"the client's end only":          {one(atClient.opened(7)), "1 x client shop/gateway-1>shop/cart GET /health"},
		"two clients, poor openings": {one(atClient.opened(7), atServer.opened(7), atClient.port("10.1.0.3:40000", clusterIP).opened(7),
			atServer.port("10.1.0.3:40000", podB).opened(7)), "2 x " + whole},
		"one client, two services": {one(atClient.as(flow.UDP), atServer.as(flow.UDP), atClient.as(flow.UDP).port(podA, "10.96.0.53:53").named("dns", "")),
			"1 x " + whole + "\n1 x client shop/gateway-1>shop/dns GET /health"},
		"datagrams, a pod of two services": {one(atClient.as(flow.UDP).named("cart-headless", ""), atServer.as(flow.UDP)), "1 x both shop/gateway-1>shop/cart-headless GET /health by cart-7 network 1000us"},
		"one port, two services": {one(atClient.as(flow.UDP), atServer.as(flow.UDP), atClient.as(flow.UDP).port(podA, "10.96.0.10:80").named("tills", ""),
			atServer.as(flow.UDP).port(podA, "10.1.1.9:8080").named("tills", "tills-1")), "1 x " + whole + "\n1 x both shop/gateway-1>shop/tills GET /health by tills-1 network 1000us"},
		"from outside, through a node": {one(place{node: "node-a", side: dissect.SideServer, client: outside, server: nodePort, to: service}.opened(7), afterMask.opened(7)),
			"1 x server 203.0.113.9>shop/cart GET /health by cart-7"},
		"a plain file": {one(place{client: podA, server: podB}, place{client: podA, server: podB, opening: 7}),
			"2 x  10.1.0.2>10.1.1.7 GET /health"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := counted(joinedCalls(t, merged(c.seen...))); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// Calls that say the same stay as many as there are, whatever was lost, and each is told with
// its own other sighting.
func TestRepeated(t *testing.T) {
	const n = 3000
	few := []int{0, 1, 5, 77, 78, 79, 1500, n - 1}
	odd := []int{3, 300, 301, 2000}
	for name, c := range map[string]struct {
		client, server         place
		gap                    int64
		what                   func(int) string
		lostClient, lostServer []int
	}{
		"keep-alive":                     {atClient.opened(7), atServer.opened(7), ms, unlike, nil, nil},
		"keep-alive, all alike":          {atClient.opened(7), atServer.opened(7), ms, same, nil, nil},
		"losses at one place":            {atClient.opened(7), atServer.opened(7), ms, same, nil, few},
		"losses at the other":            {atClient.opened(7), atServer.opened(7), ms, same, few, nil},
		"losses at both":                 {atClient.opened(7), atServer.opened(7), 50 * ms, same, odd, few},
		"losses at both, unlike":         {atClient.opened(7), atServer.opened(7), ms, unlike, odd, few},
		"a clock ahead":                  {atClient.opened(7), atServer.opened(7).skewed(300 * ms), 10 * ms, same, nil, nil},
		"a clock behind":                 {atClient.opened(7), atServer.opened(7).skewed(-300 * ms), 10 * ms, same, nil, nil},
		"a clock ahead, losses at both":  {atClient.opened(7), atServer.opened(7).skewed(300 * ms), 50 * ms, same, odd, few},
		"a clock behind, losses at both": {atClient.opened(7), atServer.opened(7).skewed(-300 * ms), 50 * ms, same, odd, few},
		"under way, a clock ahead":       {atClient, atServer.skewed(300 * ms), 10 * ms, unlike, odd, few},
		"under way, a clock behind":      {atClient, atServer.skewed(-300 * ms), 10 * ms, unlike, odd, few},
		"under way, all alike":           {atClient, atServer.skewed(300 * ms), 10 * ms, same, nil, nil},
		"datagrams, a clock behind":      {atClient.as(flow.UDP), atServer.as(flow.UDP).skewed(-300 * ms), 10 * ms, unlike, odd, few},
		"one node, under way, losses":    {atClient, near1, 50 * ms, same, odd, few},
		"an opening that was sent again": {atClient.opened(7).early(1000 * ms), atServer.opened(7), 10 * ms, unlike, odd, few},
	} {
		t.Run(name, func(t *testing.T) {
			told := joinedCalls(t, merged(c.client.calls(n, c.gap, c.what, c.lostClient...), c.server.calls(n, c.gap, c.what, c.lostServer...)))
			both, client, server := 0, 0, 0
			for _, x := range told {
				switch {
				case x.Client != nil:
					both++
					if d := x.Time - x.Client.Time - (c.server.behind - c.client.behind); abs(d) > near {
						t.Fatalf("call %d is told with one that was %d ms from it", len(told), (x.Time-start-c.server.behind)/c.gap*1000+d/ms)
					}
				case x.Flow.Vantage == dissect.SideClient:
					client++
				default:
					server++
				}
			}
			// Alike and closer than clocks can tell, one may stand for another: then at least
			// none is lost, and none told twice.
			exact := c.gap > near || c.what(0) != c.what(1)
			if len(c.lostClient) > 0 && len(c.lostServer) > 0 && !exact {
				t.Fatal("a case that cannot be judged")
			}
			if len(told) != n || exact && (client != len(c.lostServer) || server != len(c.lostClient)) || both != n-client-server {
				t.Errorf("%d calls of %d: %d at both ends, %d at the client's only (%d), %d at the server's only (%d)",
					len(told), n, both, client, len(c.lostServer), server, len(c.lostClient))
			}
		})
	}
}

// The whole sighting is told of a call that is damaged at one end.
func TestDamaged(t *testing.T) {
	damage := map[string]func(*dissect.Call){
		"no answer": func(c *dissect.Call) {
			c.ResponseStart, c.ResponseEnd, c.ResponseSize, c.Message = 0, 0, 0, say{"GET /health", ""}
		},
		"cut answer":  func(c *dissect.Call) { c.Incomplete, c.ResponseSize = true, 1 },
		"cut request": func(c *dissect.Call) { c.Incomplete, c.RequestSize, c.Message = true, 1, say{"GET", "200"} },
		"answer only": func(c *dissect.Call) {
			c.Time, c.RequestEnd, c.RequestSize, c.Reverse, c.Message = c.ResponseStart, 0, 0, true, say{"200 OK", "200"}
		},
		"hidden text": func(c *dissect.Call) { c.Message = say{"", "200"} },
	}
	for name, harm := range damage {
		t.Run(name, func(t *testing.T) {
			for _, hurt := range []int{0, 1} {
				seen := [2][]*dissect.Call{atClient.opened(7).calls(100, 50*ms, same), atServer.opened(7).calls(100, 50*ms, same)}
				for i := 0; i < 100; i += 10 {
					harm(seen[hurt][i])
				}
				told := joinedCalls(t, merged(seen[0], seen[1]))
				if len(told) != 100 {
					t.Fatalf("%d calls of 100, hurt at %d", len(told), hurt)
				}
				for i, c := range told {
					if (c.Incomplete || c.ResponseStart == 0 || c.RequestEnd == 0) && name != "hidden text" {
						t.Errorf("call %d is told damaged", i)
					}
				}
			}
		})
	}
}

// A client's port that is used again is another connection.
func TestPortAgain(t *testing.T) {
	var seen [][]*dissect.Call
	for i := range 50 {
		at := int64(i) * 30 * ms
		for _, p := range []place{atClient.opened(uint64(i + 1)), atServer.opened(uint64(i + 1))} {
			c := p.call(at, "GET /health", "200")
			c.Flow.First = p.at(at)
			seen = append(seen, []*dissect.Call{c})
		}
	}
	// The same where neither opening was seen.
	for i := range 50 {
		for _, p := range []place{atClient.port("10.1.0.2:50000", clusterIP), atServer.port("10.1.0.2:50000", podB)} {
			c := p.call(int64(2000+i*30)*ms, "GET /health", "200")
			c.Flow = p.flow(i, int64(2000+i*30)*ms)
			seen = append(seen, []*dissect.Call{c})
		}
	}
	if got, want := counted(joinedCalls(t, merged(seen...))), "100 x both shop/gateway-1>shop/cart GET /health by cart-7 network 1000us"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// What comes when the other sighting was told already is left out.
func TestLate(t *testing.T) {
	first, late := atClient.opened(7).calls(10, ms, unlike), atServer.opened(7).calls(10, ms, unlike)
	others := atServer.opened(8).port("10.1.0.9:1000", podB).calls(10, 1000*ms, unlike)
	all := append(append(first, others...), late...)
	var told []string
	j := NewCalls(false, func(c *dissect.Call) error {
		told = append(told, line(c))
		return nil
	})
	left := 0
	j.Merged = func(*dissect.Flow) { left++ }
	for _, c := range all {
		if err := j.Add(c, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil || len(told) != 20 || left != 10 {
		t.Errorf("%d calls of 20, %d left out (%v)", len(told), left, err)
	}
}

// Memory is bounded, and given back.
func TestBounds(t *testing.T) {
	told, n := 0, 0
	j := NewCalls(false, func(*dissect.Call) error { told++; return nil })
	for round := range 3 {
		for i := range maxHeld + maxTold {
			p := atClient
			if i%2 == 1 {
				p = atServer
			}
			port := uint16(i / 2)
			c := p.call(int64(round)*1000*ms+int64(i), "A shop", "NOERROR") // one each ns: nothing is old
			c.Flow.ID = flow.ID(round<<40 | i + 1)
			c.Flow.Client.Addr = netipPort(round, port)
			if err := j.Add(c, 0); err != nil {
				t.Fatal(err)
			}
			n++
		}
		if j.held.len() > maxHeld || j.told.len() > maxTold || len(j.flows) > 2*(maxHeld+maxTold) {
			t.Fatalf("%d wait, %d are remembered, of %d flows", j.held.len(), j.told.len(), len(j.flows))
		}
	}
	if err := j.Close(); err != nil || told != n/2 {
		t.Errorf("%d calls of %d sightings (%v)", told, n, err)
	}
}

// Who follows for days remembers few, and none that nobody tells any more.
func TestBoundsLive(t *testing.T) {
	told := 0
	j := NewCalls(true, func(*dissect.Call) error { told++; return nil })
	n := 4 * maxToldLive
	for i := range n {
		c := atClient.call(int64(i), "A shop", "NOERROR")
		c.Flow.ID = flow.ID(i + 1)
		c.Flow.Client.Addr = netipPort(0, uint16(i))
		if err := j.Add(c, int64(i)*1000); err != nil {
			t.Fatal(err)
		}
	}
	now := int64(n)*1000 + int64(HoldLive)
	if _, err := j.Due(now); err != nil {
		t.Fatal(err)
	}
	if told != n || j.told.len() > maxToldLive || len(j.flows) > maxToldLive {
		t.Errorf("%d of %d are told, %d are remembered, of %d flows", told, n, j.told.len(), len(j.flows))
	}
	c := atClient.call(now+int64(late), "A shop", "NOERROR")
	c.Flow.ID = 1 << 40
	if err := j.Add(c, now+int64(late)+1); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Due(now + int64(late) + int64(HoldLive) + 1); err != nil || told != n+1 || j.told.len() != 1 || len(j.flows) != 1 {
		t.Errorf("%d are told, %d are remembered, of %d flows (%v): want what is new", told, j.told.len(), len(j.flows), err)
	}
}

// Who follows gets a call when all its sightings are there, else when it has waited.
func TestLive(t *testing.T) {
	var told []string
	j := NewCalls(true, func(c *dissect.Call) error {
		told = append(told, line(c))
		return nil
	})
	const hold = int64(HoldLive)
	lone := place{node: "node-a", side: dissect.SideClient, client: podA, server: outside, from: gateway}
	const whole, part = "both shop/gateway-1>shop/cart GET /a by cart-7 network 1000us", "client shop/gateway-1>shop/cart GET /b"
	for i, step := range []struct {
		now  int64
		add  *dissect.Call
		next int64
		want string
	}{
		{0, atClient.opened(7).call(0, "GET /a", "200"), hold, ""},
		{60 * ms, atServer.opened(7).skewed(300*ms).call(0, "GET /a", "200"), 0, whole},
		{100 * ms, atClient.opened(7).call(100*ms, "GET /b", "200"), 100*ms + hold, ""},
		{200 * ms, nil, 100*ms + hold, ""},
		{100*ms + hold, nil, 0, part},
		{700 * ms, atServer.opened(7).skewed(300*ms).call(100*ms, "GET /b", "200"), 700*ms + hold, ""},
		{700*ms + hold, nil, 0, ""},
		{2000 * ms, lone.call(5, "GET /c", "200"), 0, "client shop/gateway-1>203.0.113.9 GET /c"},
		{2001 * ms, place{client: podA, server: podB}.call(6, "GET /d", "200"), 0, " 10.1.0.2>10.1.1.7 GET /d"},
	} {
		told = nil
		var err error
		if step.add != nil {
			err = j.Add(step.add, step.now)
		}
		next, err2 := j.Due(step.now)
		if got := strings.Join(told, ", "); errors.Join(err, err2) != nil || got != step.want || next != step.next {
			t.Errorf("step %d: told %q, next at %d ms (%v), want %q, %d ms", i, got, next/ms, errors.Join(err, err2), step.want, step.next/ms)
		}
	}
}

// An error of who is told ends it.
func TestStop(t *testing.T) {
	full := errors.New("full")
	told := 0
	j := NewCalls(false, func(*dissect.Call) error { told++; return full })
	var err error
	for _, c := range merged(atClient.opened(7).calls(5000, ms, unlike), atServer.opened(7).calls(5000, ms, unlike)) {
		if err = j.Add(c, 0); err != nil {
			break
		}
	}
	if !errors.Is(err, full) || told != 1 {
		t.Errorf("%v after %d calls", err, told)
	}
}

// Whatever comes in whatever order, no call is lost and none is told more often than it was
// seen.
func FuzzCalls(f *testing.F) {
	f.Add([]byte("0123456789abcdefghijklmnopqrstuvwxyz"), false)
	f.Add([]byte{0, 0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0, 255, 255, 255}, true)
	places := []place{atClient, atServer, direct, near1, atPort, atNode, forwarded, afterMask, onTheWay, {client: podA, server: podB}}
	f.Fuzz(func(t *testing.T, b []byte, live bool) {
		told, sightings, alone := 0, 0, map[string]int{}
		j := NewCalls(live, func(c *dissect.Call) error { told++; return nil })
		left := 0
		j.Merged = func(*dissect.Flow) { left++ }
		at := int64(0)
		for ; len(b) >= 3; b = b[3:] {
			p := places[int(b[0])%len(places)].opened(uint64(b[0] >> 5))
			at += int64(b[1]) * ms * 4
			c := p.call(at, fmt.Sprint("GET ", b[2]&3), []string{"200", ""}[b[2]>>2&1])
			c.Incomplete = b[2]&8 != 0
			c.Flow.ID += flow.ID(b[2] >> 6)
			if b[2]&16 != 0 {
				c.RequestEnd = 0
			}
			if err := j.Add(c, at); err != nil {
				t.Fatal(err)
			}
			sightings++
			alone[p.key()]++
		}
		if err := j.Close(); err != nil || told+left != sightings {
			t.Errorf("%d told and %d left out of %d (%v)", told, left, sightings, err)
		}
		for _, n := range alone {
			if told < min(n, 1) {
				t.Errorf("%d told, one place saw %d", told, n)
			}
		}
	})
}

func benchmarkCalls(b *testing.B, all func(n int) []*dissect.Call) {
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		calls := all(20_000)
		j := NewCalls(false, func(*dissect.Call) error { return nil })
		b.StartTimer()
		for _, c := range calls {
			if err := j.Add(c, 0); err != nil {
				b.Fatal(err)
			}
		}
		if err := j.Close(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(calls)), "sightings/op")
	}
}

func BenchmarkCalls(b *testing.B) {
	pair := func(p place, what func(int) string) func(n int) []*dissect.Call {
		return func(n int) []*dissect.Call {
			return merged(atClient.opened(7).calls(n/2, ms/10, what), p.opened(7).calls(n/2, ms/10, what))
		}
	}
	b.Run("plain", func(b *testing.B) {
		benchmarkCalls(b, func(n int) []*dissect.Call { return place{client: podA, server: podB}.calls(n, ms/10, unlike) })
	})
	b.Run("one connection", func(b *testing.B) { benchmarkCalls(b, pair(atServer, unlike)) })
	b.Run("all alike", func(b *testing.B) { benchmarkCalls(b, pair(atServer, same)) })
	b.Run("clock ahead", func(b *testing.B) { benchmarkCalls(b, pair(atServer.skewed(300*ms), same)) })
	b.Run("a flow each", func(b *testing.B) {
		benchmarkCalls(b, func(n int) []*dissect.Call {
			all := pair(atServer, unlike)(n)
			for i, c := range all {
				c.Flow.ID, c.Flow.Opening = flow.ID(i+1), 0
				c.Flow.Client.Addr = netipPort(i>>17, uint16(i/2))
			}
			return all
		})
	})
	b.Run("nothing fits", func(b *testing.B) {
		benchmarkCalls(b, func(n int) []*dissect.Call {
			return merged(atClient.opened(7).calls(n/2, ms/10, unlike), atServer.opened(7).calls(n/2, ms/10, same))
		})
	})
}

func TestQueue(t *testing.T) {
	var q queue[*entry]
	var want []int64
	for i := range int64(1000) {
		at := i * 7919 % 97
		q.add(&entry{time: at + i})
		want = append(want, at+i)
	}
	slices.Sort(want)
	q.remove(q.all()[3])
	want = slices.Delete(want, 3, 4)
	for n := 0; q.len() > 0; n++ {
		if got := q.pop().time; got != want[n] {
			t.Fatalf("%d comes as number %d, want %d", got, n, want[n])
		}
	}
}
