package fleet

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/sshd/sourcetest"
	"github.com/sshark/sshark/worker/api"
	"github.com/sshark/sshark/worker/query"
	"github.com/sshark/sshark/worker/server"
)

// overMemory connects a node to what serves. end ends both.
func overMemory(t *testing.T, service api.WorkerServer) (n *Node, end func()) {
	t.Helper()
	pipe := bufconn.Listen(1 << 20)
	g := grpc.NewServer()
	api.RegisterWorkerServer(g, service)
	go func() { _ = g.Serve(pipe) }()
	conn, err := grpc.NewClient("passthrough:///worker", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return pipe.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	return NewNode(conn, []*dissect.Protocol{sourcetest.HTTP}), func() {
		conn.Close()
		g.Stop()
	}
}

// hushed is a worker that says so many calls and then nothing, not even that it lives.
type hushed struct {
	api.UnimplementedWorkerServer
	calls  int
	header bool
}

func (h *hushed) Calls(_ *api.Request, out grpc.ServerStreamingServer[api.CallsReply]) error {
	if h.header {
		if err := out.SendHeader(nil); err != nil {
			return err
		}
	}
	for n := range h.calls {
		c := shop.Call(n)
		if err := out.Send(&api.CallsReply{Flows: []*api.Flow{api.FromEnds(c.Flow)}, Calls: []*api.Call{api.FromCall(c, uint32(n))}}); err != nil {
			return err
		}
	}
	<-out.Context().Done()
	return out.Context().Err()
}

func (h *hushed) Nodes(ctx context.Context, _ *api.NodesRequest) (*api.NodesReply, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// A worker that says nothing is named after five seconds, one that stops in the middle too,
// and the answer of the others comes.
func TestSilence(t *testing.T) {
	for _, tt := range []struct {
		name    string
		service *hushed
		absence string
	}{
		{"nothing", &hushed{}, "node-a did not answer: nothing came for 5s"},
		{"only the header", &hushed{header: true}, "node-a did not answer: nothing came for 5s"},
		{"stops in the middle", &hushed{calls: 3}, "node-a stopped answering: nothing came for 5s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, end := overMemory(t, tt.service)
				defer end()
				b, endB := overMemory(t, server.New(&sourcetest.Source{Kept: 40}))
				defer endB()
				f := of(Member{"node-a", a}, Member{"node-b", b})
				began := time.Now()
				got, report, err := calls(t, f, query.Request{})
				if err != nil || len(got) != 40+tt.service.calls || report.Nodes[0].Absence() != tt.absence {
					t.Errorf("%d calls, %+v (%v)", len(got), report, err)
				}
				if took := time.Since(began); took != silence { // virtual
					t.Errorf("after %v", took)
				}
				nodes, _, err := f.Nodes(context.Background())
				if err != nil || len(nodes) != 2 || nodes[0].State != "gone" && nodes[1].State != "gone" {
					t.Errorf("nodes %+v (%v)", nodes, err)
				}
			})
		})
	}
}

// laborious looks for a long time before it finds something.
type laborious struct {
	sourcetest.Source
	takes time.Duration
}

func (s *laborious) wait(ctx context.Context) error {
	select {
	case <-time.After(s.takes):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *laborious) Calls(ctx context.Context, r *query.Request, each func(*dissect.Call) error) (*query.Report, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	return s.Source.Calls(ctx, r, each)
}

func (s *laborious) Packets(ctx context.Context, r *query.Request, out query.PacketSink) (*query.Report, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	return s.Source.Packets(ctx, r, out)
}

// A worker that is busy gives signs of life, and is waited for.
func TestSlowIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, end := overMemory(t, server.New(&laborious{sourcetest.Source{Kept: 2000}, time.Hour}))
		defer end()
		got, report, err := calls(t, of(Member{"node-a", n}), query.Request{})
		if err != nil || len(got) != 2000 || report.Partial() {
			t.Errorf("%d calls, %+v (%v)", len(got), report, err)
		}
		var sink taken
		if _, err := n.Packets(context.Background(), &query.Request{}, &sink); err != nil || len(sink.packets) != 2000 {
			t.Errorf("%d packets (%v)", len(sink.packets), err)
		}
	})
}

// The time that an asker takes is not the worker's silence.
func TestSlowAsker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const kept = 260 // two messages, which both find room on their way: a bubble's time stands still while one waits in a lock
		n, end := overMemory(t, server.New(&sourcetest.Source{Kept: kept}))
		defer end()
		told := 0
		report, err := n.Calls(context.Background(), &query.Request{}, func(*dissect.Call) error {
			if told++; told == 100 {
				<-time.After(time.Hour)
			}
			return nil
		})
		if err != nil || told != kept || report.Partial() {
			t.Errorf("%d calls, %+v (%v)", told, report, err)
		}
	})
}

// crowded is a node that has no memory for one more question.
type crowded struct{ sourcetest.Source }

func (*crowded) Calls(context.Context, *query.Request, func(*dissect.Call) error) (*query.Report, error) {
	return &query.Report{Nodes: []query.NodeReport{{Node: "node-a"}}}, query.ErrBusy
}

// A node that refuses a question for want of memory is named with that reason, and the answer of
// the others comes.
func TestBusy(t *testing.T) {
	busy, end := overMemory(t, server.New(&crowded{}))
	defer end()
	other, endOther := overMemory(t, server.New(&sourcetest.Source{Kept: 20}))
	defer endOther()
	got, report, err := calls(t, of(Member{"node-a", busy}, Member{"node-b", other}), query.Request{})
	if err != nil || len(got) != 20 {
		t.Errorf("%d calls (%v)", len(got), err)
	}
	want := "node-a did not answer: " + query.ErrBusy.Error()
	said := false
	for i := range report.Nodes {
		n := &report.Nodes[i]
		said = said || n.Absence() == want
		if n.Missing != "" && n.Absence() != want {
			t.Errorf("%q, want %q", n.Absence(), want)
		}
	}
	if !said {
		t.Error("nobody is missing")
	}
}

// What gRPC says about a connection is cut down to its cause.
func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		`connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused"`: "dial tcp 127.0.0.1:1: connect: connection refused",
		`connection error: desc = "transport: authentication handshake failed: tls: \"x\" is bad"`:                     `tls: "x" is bad`,
		`error reading from server: EOF`: "the connection broke",
		`store is broken`:                "store is broken",
		`desc = "`:                       `desc = "`,
	} {
		if got := plain(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
	if !strings.Contains(unreachable("why %d", 7).Error(), "why 7") {
		t.Error("the reason is lost")
	}
}
