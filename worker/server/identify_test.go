package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/servicemap/identity"
	"github.com/sshark/sshark/worker/api"
)

// scribe writes down what it is told, and asks what it is handed.
type scribe struct {
	told chan string
	ask  chan []netip.AddrPort
}

func newScribe() *scribe {
	return &scribe{make(chan string, 100), make(chan []netip.AddrPort)}
}

func (s *scribe) Met() func() {
	s.told <- "met"
	return func() { s.told <- "left" }
}

func (s *scribe) Pods(pods []identity.Pod, gone []string, whole bool) {
	text := fmt.Sprint("pods ", whole, " ", gone)
	for _, p := range pods {
		text += fmt.Sprint(" ", p.PodUID, "=", p.Namespace, "/", p.Pod, " ", p.Addrs, " ", p.HostNetwork)
	}
	s.told <- text
}

func (s *scribe) Owner(a netip.Addr, o identity.Owner, from int64) {
	name := "nobody"
	if o.Identity != nil {
		name = o.Name()
	}
	s.told <- fmt.Sprint("owner ", a, " ", name, " ", len(o.Ports), " ", from)
}

func (s *scribe) Was(a netip.Addr, o identity.Owner, from int64) {
	name := "nobody"
	if o.Identity != nil {
		name = o.Name()
	}
	s.told <- fmt.Sprint("past ", a, " ", name, " ", len(o.Ports), " ", from)
}

func (s *scribe) NeverPorts(ports []uint16) { s.told <- fmt.Sprint("never ", ports) }

func (s *scribe) Ask(ctx context.Context) ([]netip.AddrPort, error) {
	select {
	case list := <-s.ask:
		return list, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// next is what it is told next.
func (s *scribe) next(t *testing.T) string {
	t.Helper()
	select {
	case text := <-s.told:
		return text
	case <-time.After(20 * time.Second):
		t.Fatal("nothing is told")
		return ""
	}
}

func (s *scribe) wants(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		if got := s.next(t); got != w {
			t.Errorf("told %q, want %q", got, w)
		}
	}
}

func dial(t *testing.T, s *Server) api.WorkerClient {
	t.Helper()
	pipe := bufconn.Listen(1 << 20)
	g := grpc.NewServer()
	s.Register(g)
	go g.Serve(pipe)
	t.Cleanup(g.Stop)
	conn, err := grpc.NewClient("passthrough:///worker", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return pipe.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return api.NewWorkerClient(conn)
}

func TestIdentify(t *testing.T) {
	who := newScribe()
	client := dial(t, New(nil).Identified(who))
	stream, err := client.Identify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a := netip.MustParseAddr("10.0.0.1")
	send := func(m *api.Told) {
		t.Helper()
		if err := stream.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	send(&api.Told{Never: true, NeverPorts: []uint32{30022, 0, 70000}})
	who.wants(t, "met", "never [30022]")
	pod := identity.Pod{Identity: &dissect.Identity{PodUID: "u", Namespace: "shop", Pod: "cart"}, Addrs: []netip.Addr{a}}
	send(&api.Told{Whole: true, Pods: []*api.Pod{api.FromPod(&pod)}})
	who.wants(t, "pods true [] u=shop/cart [10.0.0.1] false")
	send(&api.Told{Gone: []string{"u"}})
	who.wants(t, "pods false [u]")
	send(&api.Told{Whole: true}) // no pods at all
	who.wants(t, "pods true []")
	send(&api.Told{Owners: []*api.Owner{
		api.FromOwner(a, identity.Owner{Identity: pod.Identity}, 7),
		{Ip: []byte{1, 2, 3}},
		api.FromOwner(netip.MustParseAddr("fd00::1"), identity.Owner{}, 0),
		api.FromOwner(a, identity.Owner{Ports: map[uint16]*dissect.Identity{80: pod.Identity}}, 0),
	}})
	who.wants(t, "owner 10.0.0.1 cart 0 7", "owner fd00::1 nobody 0 0", "owner 10.0.0.1 nobody 1 0")

	who.ask <- []netip.AddrPort{netip.AddrPortFrom(a, 80), netip.MustParseAddrPort("[fd00::1]:0")}
	m, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	var got []netip.AddrPort
	for _, x := range m.Addresses {
		addr, _ := netip.AddrFromSlice(x.Ip)
		got = append(got, netip.AddrPortFrom(addr, uint16(x.Port)))
	}
	if want := []netip.AddrPort{netip.AddrPortFrom(a, 80), netip.MustParseAddrPort("[fd00::1]:0")}; !slices.Equal(got, want) {
		t.Errorf("asked %v, want %v", got, want)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the hub's end: %v", err)
	}
	who.wants(t, "left")
}

// The hub that came last is heard; the one before learns that.
func TestIdentifyNewest(t *testing.T) {
	who := newScribe()
	client := dial(t, New(nil).Identified(who))
	first, err := client.Identify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Send(&api.Told{Gone: []string{"1"}}); err != nil {
		t.Fatal(err)
	}
	who.wants(t, "met", "pods false [1]")
	second, err := client.Identify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Recv(); status.Code(err) != codes.Aborted {
		t.Errorf("the first hub was told %v", err)
	}
	if err := second.Send(&api.Told{Gone: []string{"2"}}); err != nil {
		t.Fatal(err)
	}
	rest := []string{who.next(t), who.next(t), who.next(t)}
	slices.Sort(rest)
	if want := []string{"left", "met", "pods false [2]"}; !slices.Equal(rest, want) {
		t.Errorf("told %q, want %q", rest, want)
	}
	who.ask <- []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:80")}
	if m, err := second.Recv(); err != nil || len(m.Addresses) != 1 {
		t.Errorf("the second hub was asked %v: %v", m, err)
	}
}

// A worker that needs no hub says so.
func TestIdentifyNobody(t *testing.T) {
	stream, err := dial(t, New(nil)).Identify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Unimplemented {
		t.Errorf("it said %v", err)
	}
}
