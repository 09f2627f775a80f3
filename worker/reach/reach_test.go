package reach

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/worker/reach/reachtest"
)

func TestCheck(t *testing.T) {
	own := func() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("10.1.0.7")}, nil }
	owner := func(a netip.AddrPort) *dissect.Identity {
		switch a.Addr().String() {
		case "10.1.0.1":
			return &dissect.Identity{Namespace: "shop", Pod: "cart-0"}
		case "10.1.0.2":
			return &dissect.Identity{Namespace: "bank", Pod: "vault-0"}
		case "10.9.0.1":
			return &dissect.Identity{Node: "node-a"}
		}
		return nil
	}
	pod := Options{Own: own, Owner: owner}
	machine := Options{Own: own, Loopback: true, Ports: []uint16{2222}}
	shop := []string{"shop"}
	for _, tt := range []struct {
		name    string
		o       Options
		addr    string
		limited []string
		why     string // "": allowed
	}{
		{"a pod", pod, "10.1.0.1:80", nil, ""},
		{"over IPv6", pod, "[fd00::1]:80", nil, ""},
		{"off", Options{Off: "it is off"}, "10.1.0.1:80", nil, "it is off"},
		{"loopback", pod, "127.0.0.1:80", nil, "own address"},
		{"loopback otherwise", pod, "127.9.9.9:80", nil, "own address"},
		{"loopback over IPv6", pod, "[::1]:80", nil, "own address"},
		{"loopback, mapped", pod, "[::ffff:127.0.0.1]:80", nil, "own address"},
		{"itself", pod, "10.1.0.7:80", nil, "own address"},
		{"itself, mapped", pod, "[::ffff:10.1.0.7]:4290", nil, "own address"},
		{"any", pod, "0.0.0.0:80", nil, "no machine's address"},
		{"any over IPv6", pod, "[::]:80", nil, "no machine's address"},
		{"multicast", pod, "224.0.0.1:53", nil, "many machines"},
		{"multicast over IPv6", pod, "[ff02::1]:53", nil, "many machines"},
		{"broadcast", pod, "255.255.255.255:53", nil, "many machines"},
		{"link-local", pod, "169.254.169.254:80", nil, "credentials"},
		{"link-local over IPv6", pod, "[fe80::1]:80", nil, "credentials"},
		{"link-local, mapped", pod, "[::ffff:169.254.169.254]:80", nil, "credentials"},
		{"a zone", pod, "[fe80::1%eth0]:80", nil, "no address to connect to"},
		{"a cloud's metadata", pod, "[fd00:ec2::254]:80", nil, "credentials"},
		{"another cloud's", pod, "168.63.129.16:80", nil, "credentials"},
		{"link-local, allowed", Options{Own: own, LinkLocal: true}, "169.254.1.1:80", nil, ""},
		{"no port", pod, "10.1.0.1:0", nil, "no address to connect to"},
		{"on a machine", machine, "127.0.0.1:80", nil, ""},
		{"on a machine, its own", machine, "10.1.0.7:80", nil, ""},
		{"on a machine, the console", machine, "127.0.0.1:2222", nil, "this program itself"},
		{"on a machine, the console elsewhere", machine, "10.1.0.9:2222", nil, ""},
		{"the own namespace", pod, "10.1.0.1:80", shop, ""},
		{"another namespace", pod, "10.1.0.2:80", shop, "not in the namespaces"},
		{"nobody known", pod, "10.1.0.3:80", shop, ""},
		{"a node's port", pod, "10.9.0.1:80", shop, ""},
		{"no namespaces", pod, "10.1.0.1:80", []string{}, "not in the namespaces"},
		{"own addresses unknown", Options{Own: func() ([]netip.Addr, error) { return nil, errors.New("no way") }}, "10.1.0.1:80", nil, "no way"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &Request{Transport: flow.TCP, Addr: netip.MustParseAddrPort(tt.addr), Limited: tt.limited != nil, Namespaces: tt.limited}
			d := NewDialer(tt.o)
			err := d.Check(r)
			if (err == nil) != (tt.why == "") || err != nil && !strings.Contains(err.Error(), tt.why) {
				t.Errorf("%v, want %q", err, tt.why)
			}
			if err != nil {
				if _, reached := d.Reach(t.Context(), r); reached == nil || reached.Error() != err.Error() {
					t.Errorf("reached: %v, want %v", reached, err)
				}
			}
		})
	}
	if err := NewDialer(machine).Check(&Request{Transport: flow.SCTP, Addr: netip.MustParseAddrPort("127.0.0.1:80")}); !errors.Is(err, ErrRefused) {
		t.Errorf("SCTP: %v", err)
	}
}

// echo is a server of both transports that says what it hears.
func echo(t *testing.T, transport flow.Proto) netip.AddrPort {
	t.Helper()
	if transport == flow.UDP {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		go func() {
			b := make([]byte, 64<<10)
			for {
				n, from, err := c.ReadFromUDPAddrPort(b)
				if err != nil {
					return
				}
				c.WriteToUDPAddrPort(b[:n], from)
			}
		}()
		return c.LocalAddr().(*net.UDPAddr).AddrPort()
	}
	return reachtest.Serve(t, func(c net.Conn) { io.Copy(c, c) })
}

func TestReach(t *testing.T) {
	d := NewDialer(Options{Loopback: true})
	for _, transport := range []flow.Proto{flow.TCP, flow.UDP} {
		t.Run(transport.String(), func(t *testing.T) {
			c, err := d.Reach(t.Context(), &Request{Transport: transport, Addr: echo(t, transport)})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for _, text := range []string{"tea", "milk"} {
				if err := c.Send([]byte(text)); err != nil {
					t.Fatal(err)
				}
				before := time.Now().Add(-time.Minute).UnixNano()
				if b, at, err := c.Receive(); err != nil || string(b) != text || at < before {
					t.Fatalf("got %q at %d: %v", b, at, err)
				}
			}
			if err := c.CloseSend(); err != nil {
				t.Fatal(err)
			}
			if transport == flow.UDP {
				return
			}
			if _, _, err := c.Receive(); !errors.Is(err, io.EOF) {
				t.Errorf("at the end: %v", err)
			}
		})
	}
	if n := d.open.Load(); n != 0 {
		t.Errorf("%d connections are open", n)
	}
}

// TestInside: connections are opened where the client is, where that can be entered.
func TestInside(t *testing.T) {
	client, apart, failed := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), errors.New("it is gone")
	var entered []netip.Addr
	d := NewDialer(Options{Loopback: true, Inside: func(a netip.Addr, f func() error) (bool, error) {
		switch a {
		case client:
			entered = append(entered, a)
			return true, f()
		case apart:
			return false, failed
		}
		return false, nil
	}})
	addr := echo(t, flow.TCP)
	for _, tt := range []struct {
		client netip.Addr
		inside int
		fails  bool
	}{{client, 1, false}, {netip.AddrFrom16(client.As16()), 2, false}, {apart, 2, true}, {netip.MustParseAddr("10.0.0.3"), 2, false}, {netip.Addr{}, 2, false}} {
		c, err := d.Reach(t.Context(), &Request{Transport: flow.TCP, Addr: addr, Client: tt.client})
		if (err != nil) != tt.fails || len(entered) != tt.inside {
			t.Errorf("%s: %v, entered %v", tt.client, err, entered)
		}
		if err == nil {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestBounds(t *testing.T) {
	d := NewDialer(Options{Loopback: true})
	to := echo(t, flow.TCP)
	reach := func(ctx context.Context, r Request) Conn {
		t.Helper()
		r.Transport, r.Addr = flow.TCP, to
		c, err := d.Reach(ctx, &r)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	// Bytes count both ways.
	c := reach(t.Context(), Request{Bytes: 10})
	if err := c.Send([]byte("12345678")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Receive(); !errors.Is(err, ErrLimit) {
		t.Errorf("received beyond the limit: %v", err)
	}
	if err := c.Send([]byte("1")); !errors.Is(err, ErrLimit) {
		t.Errorf("sent beyond the limit: %v", err)
	}
	c.Close()
	// Nobody gets more than there is.
	c = reach(t.Context(), Request{Bytes: 1 << 60})
	if err := c.Send(bytes.Repeat([]byte("x"), MaxBytes+1)); !errors.Is(err, ErrLimit) {
		t.Errorf("sent beyond all: %v", err)
	}
	c.Close()
	// Time.
	late, err := d.Reach(t.Context(), &Request{Transport: flow.TCP, Addr: to, Time: 50 * time.Millisecond})
	if err == nil { // a busy machine takes longer to connect
		_, _, err = late.Receive()
		late.Close()
	}
	if !errors.Is(err, ErrTarget) || !strings.Contains(err.Error(), "in time") {
		t.Errorf("late: %v", err)
	}
	// The asker.
	ctx, cancel := context.WithCancel(t.Context())
	c = reach(ctx, Request{})
	cancel()
	if _, _, err := c.Receive(); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	c.Close()
	c.Close() // again is no harm
	// How many at once.
	var open []Conn
	for range maxConns {
		open = append(open, reach(t.Context(), Request{}))
	}
	if _, err := d.Reach(t.Context(), &Request{Transport: flow.TCP, Addr: to}); !errors.Is(err, ErrBusy) {
		t.Errorf("one too many: %v", err)
	}
	for _, c := range open {
		c.Close()
	}
	reach(t.Context(), Request{}).Close()
	// Dry: nobody is reached.
	c = reach(t.Context(), Request{Dry: true})
	if _, _, err := c.Receive(); !errors.Is(err, io.EOF) || d.open.Load() != 0 {
		t.Errorf("dry: %v, %d connections", err, d.open.Load())
	}
	c.Close()
	// Nobody there.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to = ln.Addr().(*net.TCPAddr).AddrPort()
	ln.Close()
	if _, err := d.Reach(t.Context(), &Request{Transport: flow.TCP, Addr: to}); !errors.Is(err, ErrTarget) || err.Error() != "the target refused the connection" {
		t.Errorf("nobody: %v", err)
	}
	if n := d.open.Load(); n != 0 {
		t.Errorf("%d connections are open", n)
	}
}

func TestResolve(t *testing.T) {
	got, err := NewDialer(Options{}).Resolve(t.Context(), "localhost")
	if err != nil || len(got) == 0 || !got[0].IsLoopback() {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := NewDialer(Options{}).Resolve(t.Context(), "none.invalid"); !errors.Is(err, ErrTarget) {
		t.Errorf("a name that is not: %v", err)
	}
	if _, err := NewDialer(Options{Off: "off"}).Resolve(t.Context(), "localhost"); !errors.Is(err, ErrRefused) {
		t.Errorf("off: %v", err)
	}
}

func TestParseTarget(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.1:80": "10.0.0.1 80", "[fd00::1]:443": "fd00::1 443", "cart.shop:8080": "cart.shop 8080",
		"": "", ":80": "", "cart": "", "cart:": "", "cart:http": "", "cart:0": "", "cart:70000": "", "fd00::1:80": "", "a:b:80": "",
	} {
		host, port, err := ParseTarget(text)
		got := ""
		if err == nil {
			got = fmt.Sprint(host, " ", port)
		}
		if got != want {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
}
