package replay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/worker/query"
	"github.com/sshark/sshark/worker/reach"
)

// The ends of tapes that are made by hand.
var (
	somebody = netip.MustParseAddrPort("127.0.0.1:40000")
	nowhere  = netip.MustParseAddrPort("127.0.0.1:1")
)

// get is a tape of HTTP requests of so many bytes each.
func get(n int, change func(*spoken)) *tape {
	t := newTape()
	s := t.speak(somebody, nowhere, flow.TCP)
	if change != nil {
		change(s)
	}
	for range n {
		s.say(0, []byte("GET /a HTTP/1.1\r\nHost: a\r\nX: "+strings.Repeat("x", 1500)+"\r\n\r\n"))
		s.say(1, []byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntea"))
	}
	s.end()
	return t
}

// planned is a plan of the only flow of a tape.
func (t *tape) planned(tb testing.TB, d *Desk, o Order) (*Plan, error) {
	tb.Helper()
	source := t.source(tb)
	o.Stream = flows(tb, source)[0].ID
	return d.Plan(tb.Context(), source, o)
}

func TestAgainst(t *testing.T) {
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "tea") }))
	defer shop.Close()
	to := shop.Listener.Addr().String()
	sealed := httptest.NewTLSServer(shop.Config.Handler)
	defer sealed.Close()
	encrypted := newTape()
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	if answer, err := c.Get("https://" + encrypted.proxy(t, sealed.Listener.Addr().String())); err != nil {
		t.Fatal(err)
	} else {
		answer.Body.Close()
	}
	c.CloseIdleConnections()
	until(t, "the connection has ended", encrypted.ended)
	late := newTape()
	s := &spoken{tape: late, ends: [2]netip.AddrPort{somebody, nowhere}, proto: flow.TCP, seq: [2]uint32{1, 1}}
	s.say(0, []byte("GET /a HTTP/1.1\r\nHost: a\r\n\r\n"))
	s.say(1, []byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntea"))
	snapped := get(2, nil)
	silent := newTape()
	silent.speak(somebody, nowhere, flow.TCP).end()
	cut := newTape()
	cut.snap = 100
	u := cut.speak(somebody, nowhere, flow.UDP)
	u.say(0, make([]byte, 300))
	long := newTape()
	big := long.speak(somebody, nowhere, flow.TCP)
	for range MaxTranscript/(1<<20) + 1 {
		big.say(0, make([]byte, 1<<20))
	}
	for n := range snapped.packets {
		if p := &snapped.packets[n]; len(p.Data) > 1000 {
			p.Data = p.Data[:200]
		}
	}
	for _, tt := range []struct {
		name  string
		tape  *tape
		order Order
		why   string // of what is against it
		final bool
	}{
		{"nothing", get(2, nil), Order{}, "", false},
		{"lost bytes of the client", get(3, func(s *spoken) { s.drop = func(n int) bool { return n == 5 } }), Order{}, "bytes of what the client said are missing (gaps: 1)", false},
		{"lost bytes of the server", get(3, func(s *spoken) { s.drop = func(n int) bool { return n == 3 } }), Order{}, "bytes of what the server said are missing", false},
		{"a snap length", snapped, Order{}, "cut off by a snap length", false},
		{"a datagram that was cut", cut, Order{}, "bytes of what the client said are missing", false},
		{"no beginning", late, Order{}, "it began before what is kept", false},
		{"nothing said", silent, Order{}, "nothing is kept of what the client said", true},
		{"TLS", encrypted, Order{}, "encrypted with keys of that one connection (TLS)", true},
		{"too long", long, Order{}, "more was said than 32 MiB", true},
		{"too often", long, Order{Times: 1000}, "more was said", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.order.To, tt.order.Wait = to, 200*time.Millisecond
			d := desk()
			p, err := tt.tape.planned(t, d, tt.order)
			if err != nil {
				t.Fatal(err)
			}
			err = p.Against()
			if tt.why == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !errors.Is(err, ErrAgainst) || !strings.Contains(err.Error(), tt.why) {
				t.Fatalf("against it is %v, want %q", err, tt.why)
			}
			if !strings.Contains(text(p.Lines()), "against") {
				t.Errorf("the plan does not say it:\n%s", text(p.Lines()))
			}
			if r, err := d.Run(t.Context(), p, nil); !errors.Is(err, ErrAgainst) || r.Sent != 0 {
				t.Errorf("it was run: %v, %d bytes", err, r.Sent)
			}
			tt.order.Force = true
			p, err = tt.tape.planned(t, d, tt.order)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Against(); (got != nil) != tt.final {
				t.Errorf("forced: %v, final %v", got, tt.final)
			}
			if !tt.final {
				if r, err := d.Run(t.Context(), p, nil); err != nil || r.Runs() != 1 {
					t.Errorf("forced: %v, %d runs", err, r.Runs())
				}
			}
		})
	}
}

// A server that answers while it is still being spoken to is listened to meanwhile.
func TestBothWays(t *testing.T) {
	tape := newTape()
	s := tape.speak(somebody, nowhere, flow.TCP)
	text := make([]byte, 1<<20)
	for n := range text {
		text[n] = byte(n>>8) ^ byte(n)
	}
	const most = 14 // MiB, more than the system holds on the way
	for range most {
		s.say(0, text)
	}
	for range most {
		s.say(1, text)
	}
	s.end()
	addr := serve(t, func(c net.Conn) {
		c.(*net.TCPConn).SetReadBuffer(64 << 10)
		c.(*net.TCPConn).SetWriteBuffer(64 << 10)
		io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c}) // without sendfile
	})
	r := tape.play(t, Order{To: addr})
	r.same(t, 0)
	if r.Sent != most<<20 || r.Received != most<<20 {
		t.Errorf("%d bytes sent, %d received", r.Sent, r.Received)
	}
}

// Segments that were sent twice are played once.
func TestRetransmission(t *testing.T) {
	tape := newTape()
	s := tape.speak(somebody, nowhere, flow.TCP)
	s.say(0, []byte("onetwo"))
	at := s.seq[0]
	s.seq[0] = at - 6
	s.say(0, []byte("onetwo"))
	s.seq[0] = at - 3
	s.say(0, []byte("twothree"))
	s.say(1, []byte("ok"))
	s.end()
	var got atomic.Pointer[string]
	addr := serve(t, func(c net.Conn) {
		b := make([]byte, 11)
		n, _ := io.ReadFull(c, b)
		io.WriteString(c, "ok")
		rest, _ := io.ReadAll(c)
		said := string(b[:n]) + string(rest)
		got.Store(&said)
	})
	r := tape.play(t, Order{To: addr})
	r.same(t, 0)
	until(t, "the server has heard all", func() bool { return got.Load() != nil })
	if *got.Load() != "onetwothree" || r.Sent != 11 {
		t.Errorf("sent %q, %d bytes", *got.Load(), r.Sent)
	}
}

// Servers that are not what they were: each ends in time, and says what was wrong.
func TestServers(t *testing.T) {
	request := make([]byte, 2000)
	for _, tt := range []struct {
		name   string
		server func(net.Conn)
		says   []string
	}{
		{"never answers", func(c net.Conn) { io.Copy(io.Discard, c) }, []string{"the server said nothing for 200ms"}},
		{"closes at once", func(c net.Conn) {}, []string{"failed"}},
		{"closes early", func(c net.Conn) {
			io.ReadFull(c, request[:1500])
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntea")
		}, []string{"call 1", "failed"}},
		{"sends without end", func(c net.Conn) {
			go io.Copy(io.Discard, c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n")
			for {
				if _, err := c.Write(request); err != nil {
					return
				}
			}
		}, []string{"more than 64 MiB went to and fro"}},
		{"speaks something else", func(c net.Conn) {
			io.WriteString(c, "220 mail ESMTP\r\n")
			io.Copy(io.Discard, c)
		}, []string{"is gone"}},
		{"answers with a part", func(c net.Conn) {
			io.ReadFull(c, request[:1500])
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nt")
			io.Copy(io.Discard, c)
		}, []string{"call 1", "different"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			wait := 200 * time.Millisecond
			if tt.name == "sends without end" {
				wait = 30 * time.Second // so that it is the bytes that end it
			}
			r := get(2, nil).play(t, Order{To: serve(t, tt.server), Wait: wait})
			runtime.GC()
			runtime.ReadMemStats(&after)
			if r.err != nil || r.AllSame() || r.Runs() != 1 {
				t.Errorf("%v, %d the same of %d", r.err, r.Same, r.Runs())
			}
			for _, w := range tt.says {
				if !strings.Contains(r.text, w) {
					t.Errorf("it does not say %q:\n%s", w, r.text)
				}
			}
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
				t.Errorf("%d bytes are held after it", grown)
			}
		})
	}
	r := get(1, nil).play(t, Order{To: free(t)})
	if r.Failed != 1 || !strings.Contains(r.text, "the target refused the connection") {
		t.Errorf("nobody there: %s", r.text)
	}
}

// A replay ends with its asker.
func TestCancelled(t *testing.T) {
	tape := get(2, nil)
	reached := make(chan struct{}, 10)
	addr := serve(t, func(c net.Conn) {
		io.ReadFull(c, make([]byte, 1))
		reached <- struct{}{}
		io.Copy(io.Discard, c)
	})
	d := desk()
	p, err := tape.planned(t, d, Order{To: addr, Wait: time.Minute, Times: 10})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-reached
		cancel()
	}()
	r, err := d.Run(ctx, p, nil)
	if !errors.Is(err, context.Canceled) || r.Runs() != 1 {
		t.Errorf("%v after %d runs", err, r.Runs())
	}
	if len(reached) > 0 {
		t.Error("it went on")
	}
}

// Timed: what was said a second apart is said so, or ten times as fast.
func TestPace(t *testing.T) {
	tape := newTape()
	s := tape.speak(somebody, nowhere, flow.TCP)
	s.say(0, []byte("one"))
	s.say(0, []byte("two"))
	s.end()
	begun := tape.packets[3].Time
	for n := 4; n < len(tape.packets); n++ {
		tape.packets[n].Time = begun + 2e9
	}
	addr := serve(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	r := tape.play(t, Order{To: addr, Pace: Pace{Timed: true, Speed: 10}, Wait: 100 * time.Millisecond})
	if r.Took < 200*time.Millisecond { // it can only be late
		t.Errorf("what was said 2s apart, ten times as fast, took %v", r.Took)
	}
	if r.err != nil || r.Sent != 6 {
		t.Errorf("%v, %d bytes", r.err, r.Sent)
	}
}

// What guards a desk is asked before anything is sent, and again before each run.
func TestGuard(t *testing.T) {
	sent := make(chan struct{}, 10)
	addr := serve(t, func(c net.Conn) { sent <- struct{}{} })
	refuse := errors.Join(auth.ErrNoRule)
	var deeds []Deed
	var allowed, asked int
	d := desk()
	d.Guard = func(_ context.Context, r *reach.Request) error {
		if asked++; asked > allowed {
			return refuse
		}
		return nil
	}
	d.Did = func(x *Deed) { deeds = append(deeds, *x) }
	p, err := get(1, nil).planned(t, d, Order{To: addr, Times: 3})
	if err != nil || !errors.Is(p.Against(), ErrRefused) {
		t.Fatalf("%v, %v", err, p.Against())
	}
	if _, err := d.Run(t.Context(), p, nil); !errors.Is(err, ErrRefused) || len(sent) > 0 {
		t.Errorf("run: %v", err)
	}
	if len(deeds) != 2 || deeds[0].Run || !deeds[1].Run || !errors.Is(deeds[0].Err, ErrRefused) || !errors.Is(deeds[1].Err, ErrRefused) || deeds[1].Target != addr {
		t.Errorf("told %+v", deeds)
	}
	asked, allowed = 0, 2 // the plan, and one run
	if p, err = get(1, nil).planned(t, d, Order{To: addr, Times: 3, Wait: 100 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	if r, err := d.Run(t.Context(), p, nil); !errors.Is(err, ErrRefused) || r.Runs() != 1 {
		t.Errorf("%v after %d runs, want one", err, r.Runs())
	}
}

// A pod's address that another pod has by now is no target unless it is named.
func TestMoved(t *testing.T) {
	was := &dissect.Identity{Namespace: "shop", Pod: "cart-0", PodUID: "1"}
	for _, tt := range []struct {
		name    string
		now     *dissect.Identity
		to      string
		against bool
	}{
		{"the same", was, "", false},
		{"the same name", &dissect.Identity{Namespace: "shop", Pod: "cart-0", PodUID: "2"}, "", false},
		{"another", &dissect.Identity{Namespace: "bank", Pod: "vault-0", PodUID: "2"}, "", true},
		{"another that is meant", &dissect.Identity{Namespace: "bank", Pod: "vault-0"}, nowhere.String(), false},
		{"nobody", nil, "", false},
	} {
		d := desk()
		d.Who = func(netip.AddrPort) *dissect.Identity { return tt.now }
		p := &Plan{Order: Order{To: tt.to}, Flow: &dissect.Flow{Transport: flow.TCP, Server: dissect.Endpoint{Addr: nowhere, Identity: was}}}
		d.aim(t.Context(), p)
		if got := p.Against(); (got != nil) != tt.against {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// A node that cannot be asked does not hide where the plan goes.
func TestNoNode(t *testing.T) {
	d := desk()
	d.Here = false
	d.From = func(node string) (reach.Reacher, error) { return nil, fmt.Errorf("there is no node %q", node) }
	p := &Plan{Order: Order{Node: "node-x"}, Flow: &dissect.Flow{Transport: flow.TCP, Server: dissect.Endpoint{Addr: nowhere}}}
	d.aim(t.Context(), p)
	if said := text(p.Lines()); !strings.Contains(said, nowhere.String()+", from node node-x") || p.Against() == nil {
		t.Errorf("%v:\n%s", p.Against(), said)
	}
}

func TestOrders(t *testing.T) {
	for _, o := range []Order{{Times: -1}, {Times: MaxTimes + 1}, {Wait: -1}, {Wait: time.Hour}, {Pace: Pace{Speed: -1}}, {Pace: Pace{Speed: 1e9}}, {Ignore: []string{" . "[1:2]}}, {To: "cart"}, {To: "cart:0"}} {
		if _, err := desk().Plan(t.Context(), get(1, nil).source(t), o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	if _, err := desk().Plan(t.Context(), get(1, nil).source(t), Order{Stream: 1}); !errors.Is(err, query.ErrNoSuchFlow) {
		t.Errorf("a flow that is not there: %v", err)
	}
}
