package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/worker/query"
	"github.com/sshark/sshark/worker/reach"
	"github.com/sshark/sshark/worker/reach/reachtest"
	"github.com/sshark/sshark/worker/server"
)

// reaching is a node whose worker reaches by r; nil: it reaches nothing.
func reaching(t *testing.T, r reach.Reacher) *Node {
	t.Helper()
	pipe := bufconn.Listen(1 << 20)
	g := grpc.NewServer()
	s := server.New(nil)
	if r != nil {
		s.Reaching(r)
	}
	s.Register(g)
	go g.Serve(pipe)
	conn, err := grpc.NewClient("passthrough:///worker", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return pipe.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		g.Stop()
	})
	return NewNode(conn, nil)
}

// TestReachRemote: what a worker reaches is the same over gRPC as it is there.
func TestReachRemote(t *testing.T) {
	n := reaching(t, reach.NewDialer(reach.Options{Loopback: true}))
	to := reachtest.Serve(t, func(c net.Conn) {
		b, _ := io.ReadAll(c) // until nothing more is sent
		fmt.Fprintf(c, "%d bytes", len(b))
	})
	c, err := n.Reach(t.Context(), &reach.Request{Transport: flow.TCP, Addr: to})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 3 {
		if err := c.Send(make([]byte, maxSent+1)); err != nil { // more than one message holds
			t.Fatal(err)
		}
	}
	if err := c.CloseSend(); err != nil {
		t.Fatal(err)
	}
	b, at, err := c.Receive()
	if want := fmt.Sprintf("%d bytes", 3*(maxSent+1)); err != nil || string(b) != want || time.Since(time.Unix(0, at)) > time.Minute {
		t.Errorf("got %q at %d: %v, want %q", b, at, err, want)
	}
	if _, _, err := c.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	if found, err := n.Resolve(t.Context(), "localhost"); err != nil || len(found) == 0 || !found[0].IsLoopback() {
		t.Errorf("resolved %v: %v", found, err)
	}
}

// TestReachErrors: errors are the same ones over gRPC.
func TestReachErrors(t *testing.T) {
	local := reach.NewDialer(reach.Options{Loopback: true, Ports: []uint16{1}})
	silent := reachtest.Serve(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	endless := reachtest.Serve(t, func(c net.Conn) {
		for {
			if _, err := c.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	})
	gone := reachtest.Serve(t, func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) })
	n := reaching(t, local)
	for _, tt := range []struct {
		name string
		node *Node
		r    reach.Request
		want error
		says string
	}{
		{"refused", n, reach.Request{Addr: netip.MustParseAddrPort("127.0.0.1:1")}, reach.ErrRefused, "refused: 127.0.0.1:1 is this program itself"},
		{"nobody there", n, reach.Request{Addr: netip.MustParseAddrPort("127.0.0.1:2")}, reach.ErrTarget, "the target refused the connection"},
		{"no transport", n, reach.Request{Transport: flow.ICMP, Addr: silent}, reach.ErrRefused, "only TCP and UDP"},
		{"late", n, reach.Request{Addr: silent, Time: 50 * time.Millisecond}, reach.ErrTarget, "in time"},
		{"too much", n, reach.Request{Addr: endless, Bytes: 1 << 20}, reach.ErrLimit, "the limit of a replay is reached"},
		{"broken off", n, reach.Request{Addr: gone}, reach.ErrTarget, "broke the connection off"},
		{"no address", n, reach.Request{}, ErrRefused, "must say where to"},
		{"an older worker", reaching(t, nil), reach.Request{Addr: silent}, ErrUnreachable, "opens no connections for replays"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.r.Transport == 0 {
				tt.r.Transport = flow.TCP
			}
			c, err := tt.node.Reach(t.Context(), &tt.r)
			for err == nil {
				_, _, err = c.Receive()
			}
			if c != nil {
				c.Close()
			}
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want %v: %q", err, tt.want, tt.says)
			}
		})
	}
	// Who goes away ends the connection, so that others get theirs.
	for range 20 {
		c, err := n.Reach(t.Context(), &reach.Request{Transport: flow.TCP, Addr: silent})
		if errors.Is(err, reach.ErrBusy) {
			break // the worker has not noticed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		c, err := n.Reach(t.Context(), &reach.Request{Transport: flow.TCP, Addr: silent})
		if err == nil {
			c.Close()
			break
		}
		if !errors.Is(err, reach.ErrBusy) || time.Now().After(deadline) {
			t.Fatalf("connections are left behind: %v", err)
		}
	}
}

// TestReachFrom: nodes are known by name, and one without a worker says why.
func TestReachFrom(t *testing.T) {
	n := reaching(t, reach.NewDialer(reach.Options{Loopback: true}))
	f := New(func() []Member { return []Member{{"node-a", n}, {"node-b", &absentee{"its worker has no address"}}} }, time.Second)
	if r, err := f.From("node-a"); err != nil || r != reach.Reacher(n) {
		t.Errorf("%v, %v", r, err)
	}
	for _, node := range []string{"", "node-x"} {
		if _, err := f.From(node); !errors.Is(err, ErrNoNode) || errors.Is(err, ErrUnreachable) || errors.Is(err, query.ErrRefused) {
			t.Errorf("%q: %v", node, err)
		}
	}
	r, err := f.From("node-b")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Reach(t.Context(), &reach.Request{}); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "has no address") {
		t.Errorf("%v", err)
	}
	if _, err := r.Resolve(t.Context(), "cart"); !errors.Is(err, ErrUnreachable) {
		t.Errorf("%v", err)
	}
}
