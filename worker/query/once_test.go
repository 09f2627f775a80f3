package query

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/vantage"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
	"github.com/sshark/sshark/servicemap/identity"
)

// hop is a place on the way of a connection: who sees it, and between which addresses.
type hop struct {
	iface          *pcap.Interface
	client, server netip.AddrPort
	after          int64 // what leaves the client is seen so much later, ns
}

// The places and names of a small cluster.
var (
	shopPod = &pcap.Interface{Name: "eth0", Link: pcap.LinkRaw, Node: "node-a", Pod: pcap.Pod{Namespace: "shop", Name: "shop-1", UID: "u1"}, Vantage: 1,
		Addrs: []netip.Prefix{netip.MustParsePrefix("10.1.0.2/24")}}
	cartPod = &pcap.Interface{Name: "eth0", Link: pcap.LinkRaw, Node: "node-a", Pod: pcap.Pod{Namespace: "shop", Name: "cart-7", UID: "u2"}, Vantage: 2,
		Addrs: []netip.Prefix{netip.MustParsePrefix("10.1.0.7/24")}}
	nodeEth = &pcap.Interface{Name: "eth0", Link: pcap.LinkRaw, Node: "node-a", Vantage: 3, Addrs: []netip.Prefix{netip.MustParsePrefix("192.168.0.11/24")}}

	ofShop, ofCart, ofService = netip.MustParseAddrPort("10.1.0.2:40000"), netip.MustParseAddrPort("10.1.0.7:8080"), netip.MustParseAddrPort("10.96.0.9:80")
	ofPort, ofMask            = netip.MustParseAddrPort("192.168.0.11:30080"), netip.MustParseAddrPort("192.168.0.11:51000")
)

var known = []pcap.Name{
	{Addr: ofService.Addr(), Names: identity.Encode(identity.Owner{Identity: &dissect.Identity{Namespace: "shop", Service: "cart"}})},
	{Addr: ofCart.Addr(), Names: identity.Encode(identity.Owner{Identity: &dissect.Identity{Namespace: "shop", Service: "cart", Pod: "cart-7", PodUID: "u2", Node: "node-a"}})},
	{Addr: nodeEth.Addrs[0].Addr(), Names: identity.Encode(identity.Owner{Identity: &dissect.Identity{Node: "node-a"},
		Ports: map[uint16]*dissect.Identity{30080: {Namespace: "shop", Service: "cart"}}})},
}

// way is where the packets of a connection pass by; a hop may lose some.
type way struct {
	hops []hop
	lost func(hop, packet int) bool
	udp  bool
	n    int
	all  []pcap.Packet
}

// pass adds a packet, as each hop sees it: later at the server's when the client sends it.
func (w *way) pass(fromClient bool, at int64, seq, ack uint32, flags uint8, payload string) {
	for i, h := range w.hops {
		src, dst, time := h.client, h.server, at+h.after
		if !fromClient {
			src, dst, time = dst, src, at+w.hops[len(w.hops)-1].after*2-h.after
		}
		header := 40
		if w.udp {
			header = 28
		}
		b := make([]byte, header, header+len(payload))
		b[0], b[8], b[9] = 0x45, 64, 6
		binary.BigEndian.PutUint16(b[2:], uint16(header+len(payload)))
		copy(b[12:], src.Addr().AsSlice())
		copy(b[16:], dst.Addr().AsSlice())
		binary.BigEndian.PutUint16(b[20:], src.Port())
		binary.BigEndian.PutUint16(b[22:], dst.Port())
		if w.udp {
			b[9] = 17
			binary.BigEndian.PutUint16(b[24:], uint16(8+len(payload)))
		} else {
			binary.BigEndian.PutUint32(b[24:], seq)
			binary.BigEndian.PutUint32(b[28:], ack)
			b[32], b[33] = 0x50, flags
		}
		b = append(b, payload...)
		if w.lost == nil || !w.lost(i, w.n) {
			w.all = append(w.all, pcap.Packet{Time: time, Data: b, Length: uint32(len(b)), Iface: h.iface})
		}
	}
	w.n++
}

// http makes n requests on one connection, each 10 ms after the one before; the server takes
// 2 ms.
func (w *way) http(n int, opened bool) *way {
	at, seq := began, [2]uint32{1001, 5001}
	if opened {
		w.pass(true, at, 1000, 0, flow.SYN, "")
		w.pass(false, at, 5000, 1001, flow.SYN|flow.ACK, "")
	}
	for i := range n {
		at += 10e6
		request := fmt.Sprintf("GET /item/%d HTTP/1.1\r\nHost: cart\r\n\r\n", i)
		w.pass(true, at, seq[0], seq[1], flow.ACK, request)
		seq[0] += uint32(len(request))
		response := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
		w.pass(false, at+2e6, seq[1], seq[0], flow.ACK, response)
		seq[1] += uint32(len(response))
	}
	return w
}

// dns asks n times for the same name.
func (w *way) dns(n int) *way {
	w.udp = true
	for i := range n {
		at := began + int64(i)*10e6
		const name = "\x04cart\x00\x00\x01\x00\x01"
		id := string([]byte{0, byte(i)})
		w.pass(true, at, 0, 0, 0, id+"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"+name)
		w.pass(false, at+2e6, 0, 0, 0, id+"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00"+name+"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x00\x00\x09")
	}
	return w
}

// file writes it down, in the order of time.
func (w *way) file(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "way.pcapng")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out, err := pcapng.NewWriter(f, pcapng.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range known {
		if err := out.Name(n); err != nil {
			t.Fatal(err)
		}
	}
	slices.SortStableFunc(w.all, func(a, b pcap.Packet) int { return int(a.Time - b.Time) })
	for i := range w.all {
		if err := out.Write(&w.all[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	return path
}

var (
	throughService  = []hop{{shopPod, ofShop, ofService, 0}, {cartPod, ofShop, ofCart, 50e3}}
	straight        = []hop{{shopPod, ofShop, ofCart, 0}, {cartPod, ofShop, ofCart, 50e3}}
	throughNodePort = []hop{{shopPod, ofShop, ofPort, 0}, {nodeEth, ofShop, ofPort, 20e3}, {nodeEth, ofMask, ofCart, 30e3}, {cartPod, ofMask, ofCart, 50e3}}
)

// What was seen at several places is told once, from packets on, by files and stores.
func TestOnce(t *testing.T) {
	const n = 300
	cases := map[string]struct {
		w    *way
		want string // of each call
	}{
		"a service":              {(&way{hops: throughService}).http(n, true), "both shop/shop-1>shop/cart cart-7 100us"},
		"a pod":                  {(&way{hops: straight}).http(n, true), "both shop/shop-1>shop/cart cart-7 100us"},
		"a node port":            {(&way{hops: throughNodePort}).http(n, true), "both shop/shop-1>shop/cart cart-7 100us"},
		"a service, under way":   {(&way{hops: throughService}).http(n, false), "both shop/shop-1>shop/cart cart-7 100us"},
		"DNS through a service":  {(&way{hops: throughService}).dns(n), "both shop/shop-1>shop/cart cart-7 100us"},
		"the client's end only":  {(&way{hops: throughService[:1]}).http(n, true), "client shop/shop-1>shop/cart  "},
		"the server's end only":  {(&way{hops: throughService[1:]}).http(n, true), "server 10.1.0.2>shop/cart cart-7 "},
		"the first of many hops": {(&way{hops: throughNodePort[:3]}).http(n, true), "both shop/shop-1>shop/cart  40us"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			file, stored, _ := kept(t, c.w.file(t))
			for source, s := range map[string]Source{"file": file, "store": stored} {
				got := map[string]int{}
				last := int64(0)
				report, err := s.Calls(context.Background(), &Request{}, func(c *dissect.Call) error {
					f, network := c.Flow, ""
					if ns, ok := c.Network(); ok {
						network = fmt.Sprintf("%dus", ns/1000)
					}
					pod := ""
					if f.Server.Identity != nil {
						pod = f.Server.Pod
					}
					got[fmt.Sprintf("%s %s>%s %s %s", f.Vantage, f.Client.Display(), f.Server.Display(), pod, network)]++
					if c.Time < last {
						t.Error("out of order")
					}
					last = c.Time
					return nil
				})
				if err != nil || len(got) != 1 || got[c.want] != n || report.Nodes[0].Matched != n {
					t.Errorf("%s: %v, matched %d (%v), want %d of %q", source, got, report.Nodes[0].Matched, err, n, c.want)
				}
				flows := 0
				report, err = s.Flows(context.Background(), &Request{}, func(f *dissect.Flow) error { flows++; return nil })
				if err != nil || flows != 1 || report.Nodes[0].Matched != 1 {
					t.Errorf("%s: %d flows, matched %d (%v)", source, flows, report.Nodes[0].Matched, err)
				}
				for _, r := range []Request{{Last: 10}, {First: 10}, {Last: n}, {First: n}, {Last: 2 * n}} {
					told := 0
					report, err := s.Calls(context.Background(), &r, func(*dissect.Call) error { told++; return nil })
					if want := min(r.Last+r.First, n); err != nil || told != want {
						t.Errorf("%s: last %d, first %d: %d calls (%v)", source, r.Last, r.First, told, err)
					}
					if m := report.Nodes[0]; r.Last > 0 && (m.Matched < n || m.Matched > n && !m.Most) && !m.More {
						t.Errorf("%s: last %d: %+v", source, r.Last, m)
					}
				}
				var sink counter
				if _, err := s.Packets(context.Background(), &Request{Filter: `status_code == 200 || dns_request`}, &sink); err != nil || sink.packets != len(c.w.all) {
					t.Errorf("%s: %d packets of %d (%v)", source, sink.packets, len(c.w.all), err)
				}
			}
		})
	}
}

// A capture that lost packets at either end tells each call that one end saw whole.
func TestOnceLosses(t *testing.T) {
	const n = 200
	for name, lost := range map[string]func(hop, packet int) bool{
		"answers at the server":     func(h, p int) bool { return h == 1 && p > 2 && p%20 == 3 },
		"requests at the server":    func(h, p int) bool { return h == 1 && p > 2 && p%20 == 4 },
		"answers at the client":     func(h, p int) bool { return h == 0 && p > 2 && p%20 == 3 },
		"both, at different places": func(h, p int) bool { return p > 2 && p%20 == 3+8*h },
	} {
		t.Run(name, func(t *testing.T) {
			f := openFile(t, (&way{hops: throughService, lost: lost}).http(n, true).file(t))
			got := map[string]int{}
			if _, err := f.Calls(context.Background(), &Request{}, func(c *dissect.Call) error {
				got[string(c.Message.AppendSummary(nil))]++
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			for i := range n {
				if what := fmt.Sprintf("GET /item/%d", i); got[what] != 1 {
					t.Errorf("%s is told %d times", what, got[what])
				}
				delete(got, fmt.Sprintf("GET /item/%d", i))
			}
			if len(got) > 0 {
				t.Errorf("and %v", got)
			}
		})
	}
}

// seenBy is a call as a source tells it.
func seenBy(side dissect.Side, id flow.ID, at int64) *dissect.Call {
	f := &dissect.Flow{ID: id, Node: "node-" + side.String(), Vantage: side, Opening: 9, First: began,
		Client: dissect.Endpoint{Addr: ofShop, Identity: &dissect.Identity{Pod: "shop-1"}}, Server: dissect.Endpoint{Addr: ofCart, Identity: &dissect.Identity{Pod: "cart-7"}}}
	return &dissect.Call{Flow: f, Protocol: &dissect.Protocol{Name: "http"}, Time: began + at, RequestEnd: began + at, ResponseStart: began + at + 1,
		Message: &Kept{Summary: fmt.Appendf(nil, "GET /%d", at)}}
}

// Who follows is told in time, whether the other end comes or not, and an error of who is told
// ends the question, also while nothing comes.
func TestOnceFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := make(chan *dissect.Call)
		ask := func(ctx context.Context, r *Request, each func(*dissect.Call) error) (*Report, error) {
			if r.Vantage != Both || !r.Follow {
				t.Errorf("asked %+v", r)
			}
			for {
				select {
				case c := <-in:
					if err := each(c); err != nil {
						return &Report{}, err
					}
				case <-ctx.Done():
					return &Report{}, ctx.Err()
				}
			}
		}
		full := errors.New("full")
		type told struct {
			at   time.Duration
			side string
		}
		var got []told
		start := time.Now()
		done := make(chan error)
		go func() {
			_, err := CallsOnce(context.Background(), &Request{Follow: true}, func(c *dissect.Call) error {
				got = append(got, told{time.Since(start), c.Flow.Vantage.String()})
				if len(got) == 4 {
					return full
				}
				return nil
			}, ask)
			done <- err
		}()
		in <- seenBy(dissect.SideClient, 1, 0)
		<-time.After(100 * time.Millisecond) // virtual, as all of it
		in <- seenBy(dissect.SideServer, 2, 0)
		<-time.After(time.Second)
		in <- seenBy(dissect.SideClient, 1, 1)
		<-time.After(100 * time.Millisecond)
		in <- seenBy(dissect.SideClient, 1, 2)
		<-time.After(time.Second)
		in <- seenBy(dissect.SideServer, 2, 3)
		if err := <-done; !errors.Is(err, full) {
			t.Errorf("ended with %v", err)
		}
		hold := time.Duration(vantage.HoldLive)
		want := []told{{100 * time.Millisecond, "both"}, {1100*time.Millisecond + hold, "client"}, {1200*time.Millisecond + hold, "client"}, {2200*time.Millisecond + hold, "server"}}
		if !slices.Equal(got, want) {
			t.Errorf("told %v, want %v", got, want)
		}
	})
}

// Should each call have been seen at more places than is usual, more are asked for.
func TestOnceMany(t *testing.T) {
	const n = 3000
	var all []*dissect.Call
	for i := range int64(n) {
		for place := range 6 {
			c := seenBy(dissect.SideUnknown, flow.ID(place+1), i*1e6+int64(place))
			c.Message = &Kept{Summary: fmt.Appendf(nil, "GET /%d", i)}
			c.Flow.Node = fmt.Sprint("node-", place)
			all = append(all, c)
		}
	}
	asked := 0
	ask := func(_ context.Context, r *Request, each func(*dissect.Call) error) (*Report, error) {
		asked++
		for _, c := range all[len(all)-min(r.Last, len(all)):] {
			own := *c
			if err := each(&own); err != nil {
				return nil, err
			}
		}
		return &Report{Nodes: []NodeReport{{Matched: uint64(len(all))}}}, nil
	}
	var got []string
	_, err := CallsOnce(context.Background(), &Request{Last: 500}, func(c *dissect.Call) error {
		got = append(got, string(c.Message.AppendSummary(nil)))
		return nil
	}, ask)
	if err != nil || len(got) != 500 || asked < 2 || got[0] != "GET /2500" || !strings.HasSuffix(got[499], "/2999") {
		t.Errorf("%d calls, asked %d times (%v)", len(got), asked, err)
	}
}
