package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/sshd/sourcetest"
	"github.com/sshark/sshark/worker/query"
	"github.com/sshark/sshark/worker/server"
)

// behind puts a source behind gRPC, as a worker does. kill takes the worker away.
func behind(t *testing.T, name string, s query.Source) (m Member, kill func()) {
	t.Helper()
	pipe := bufconn.Listen(1 << 20)
	g := grpc.NewServer()
	server.New(s).Register(g)
	go func() { _ = g.Serve(pipe) }()
	conn, err := grpc.NewClient("passthrough:///"+name, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return pipe.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		g.Stop()
	})
	return Member{name, NewNode(conn, []*dissect.Protocol{sourcetest.HTTP})}, g.Stop
}

func of(members ...Member) *Fleet {
	return New(func() []Member { return members }, 5*time.Second)
}

func calls(t *testing.T, s query.Source, r query.Request) (lines []string, report *query.Report, err error) {
	t.Helper()
	report, err = s.Calls(context.Background(), &r, func(c *dissect.Call) error {
		lines = append(lines, string(dissect.AppendCall(nil, c)))
		return nil
	})
	return lines, report, err
}

// What a node says over gRPC is what its source says.
func TestNodeIsItsSource(t *testing.T) {
	source := &sourcetest.Source{Kept: 20000} // more flows than an answer numbers at once
	m, _ := behind(t, "node-a", source)
	want, _, _ := calls(t, source, query.Request{})
	got, report, err := calls(t, m.Source, query.Request{})
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("%d calls, want %d (%v)", len(got), len(want), err)
	}
	if len(report.Nodes) != 1 || report.Nodes[0].Matched != 20000 {
		t.Errorf("report %+v", report)
	}
	var flows, wantFlows []string
	each := func(to *[]string) func(*dissect.Flow) error {
		return func(f *dissect.Flow) error {
			*to = append(*to, string(dissect.AppendFlow(nil, f)))
			return nil
		}
	}
	if _, err := source.Flows(context.Background(), &query.Request{}, each(&wantFlows)); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Source.Flows(context.Background(), &query.Request{}, each(&flows)); err != nil || !slices.Equal(flows, wantFlows) {
		t.Errorf("%d flows, want %d (%v)", len(flows), len(wantFlows), err)
	}
	nodes, _, err := m.Source.Nodes(context.Background())
	wantNodes, _, _ := source.Nodes(context.Background())
	if err != nil || fmt.Sprintf("%+v", nodes) != fmt.Sprintf("%+v", wantNodes) {
		t.Errorf("nodes\n%+v, want\n%+v (%v)", nodes, wantNodes, err)
	}
}

// taken writes down what a packet query hands out.
type taken struct {
	bytes.Buffer
	packets []string
	times   []int64
}

func (s *taken) Packet(p *pcap.Packet) error {
	s.times = append(s.times, p.Time)
	s.packets = append(s.packets, fmt.Sprintf("%d %x %d %d %s %s", p.Time, p.Data, p.Length, p.Flags, p.Iface.Name, p.Iface.Pod))
	return nil
}
func (s *taken) Name(n pcap.Name) error { fmt.Fprintln(s, n); return nil }
func (s *taken) Flush() error           { return nil }

func (s *taken) Data(d flow.Dir, b []byte, _ int64) error { fmt.Fprintf(s, "%d:%s", d, b); return nil }
func (s *taken) Gap(d flow.Dir, n int64, _ int64) error   { fmt.Fprintf(s, "%d<%d>", d, n); return nil }

func TestPacketsAndBytes(t *testing.T) {
	source := &sourcetest.Source{Kept: 500, Payload: 900}
	m, _ := behind(t, "node-a", source)
	var want, got, alone taken
	for _, x := range []struct {
		s query.Source
		t *taken
	}{{source, &want}, {of(m), &got}, {m.Source, &alone}} {
		if _, err := x.s.Packets(context.Background(), &query.Request{}, x.t); err != nil {
			t.Fatal(err)
		}
	}
	if len(want.packets) == 0 || !slices.Equal(got.packets, want.packets) || !slices.Equal(alone.packets, want.packets) {
		t.Errorf("%d and %d packets, want %d", len(got.packets), len(alone.packets), len(want.packets))
	}
	want, got = taken{}, taken{}
	if _, err := source.Stream(context.Background(), &query.Request{Stream: 0x1001}, &want); err != nil {
		t.Fatal(err)
	}
	if _, err := of(m).Stream(context.Background(), &query.Request{Stream: 0x1001}, &got); err != nil || got.String() != want.String() || got.Len() == 0 {
		t.Errorf("bytes %q, want %q (%v)", got.String(), want.String(), err)
	}
}

// The answer of several nodes is one, in the order of time, cut as if it were one node's.
func TestMerge(t *testing.T) {
	a, b := &sourcetest.Source{Kept: 400, Step: time.Second}, &sourcetest.Source{Kept: 300, Step: 1700 * time.Millisecond}
	ma, _ := behind(t, "node-a", a)
	mb, _ := behind(t, "node-b", b)
	f := of(ma, mb)
	times := func(r query.Request) (out []int64) {
		t.Helper()
		_, err := f.Calls(context.Background(), &r, func(c *dissect.Call) error {
			out = append(out, c.Time)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	all := times(query.Request{})
	if len(all) != 700 || !slices.IsSorted(all) {
		t.Fatalf("%d calls, in order: %v", len(all), slices.IsSorted(all))
	}
	if got := times(query.Request{Last: 7}); !slices.Equal(got, all[693:]) {
		t.Errorf("the last 7 are %v", got)
	}
	if got := times(query.Request{First: 7}); !slices.Equal(got, all[:7]) {
		t.Errorf("the first 7 are %v", got)
	}
	var sink taken
	if _, err := f.Packets(context.Background(), &query.Request{}, &sink); err != nil || len(sink.times) < 700 || !slices.IsSorted(sink.times) {
		t.Errorf("%d packets, in order: %v (%v)", len(sink.times), slices.IsSorted(sink.times), err)
	}
}

// A node that does not answer is named, and the others' answer is whole.
func TestMissing(t *testing.T) {
	source := &sourcetest.Source{Kept: 50}
	ma, _ := behind(t, "node-a", source)
	mb, kill := behind(t, "node-b", source)
	kill()
	f := of(ma, mb)
	got, report, err := calls(t, f, query.Request{})
	if err != nil || len(got) != 50 {
		t.Fatalf("%d calls (%v)", len(got), err)
	}
	if !report.Partial() || !slices.ContainsFunc(report.Nodes, func(n query.NodeReport) bool { return n.Node == "node-b" && n.Missing != "" }) {
		t.Errorf("report %+v", report)
	}
	nodes, _, err := f.Nodes(context.Background())
	if err != nil || !slices.ContainsFunc(nodes, func(n query.Node) bool { return n.Name == "node-b" && n.State == "gone" }) {
		t.Errorf("nodes %+v (%v)", nodes, err)
	}
	if _, report, err := calls(t, of(mb), query.Request{}); err != nil || !report.Partial() {
		t.Errorf("alone: %+v (%v)", report, err)
	}
}

// What is wrong with the question is said by all nodes, and told once.
func TestWrongQuestion(t *testing.T) {
	language, err := filter.New([]*dissect.Protocol{sourcetest.HTTP})
	if err != nil {
		t.Fatal(err)
	}
	m, _ := behind(t, "node-a", &sourcetest.Source{Kept: 5, Language: language})
	_, _, err = calls(t, of(m), query.Request{Filter: "staus_code == 200"})
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "staus_code") {
		t.Errorf("got %v", err)
	}
	if _, err := of().Stream(context.Background(), &query.Request{Stream: 7}, &taken{}); !errors.Is(err, ErrNoWorkers) {
		t.Errorf("got %v", err)
	}
}

// A query ends at the node when its asker does.
func TestCancel(t *testing.T) {
	source := &sourcetest.Source{Kept: 5}
	ma, _ := behind(t, "node-a", source)
	mb, _ := behind(t, "node-b", source)
	for name, f := range map[string]*Fleet{"one node": of(ma), "two nodes": of(ma, mb)} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			_, err := f.Calls(ctx, &query.Request{Follow: true}, func(*dissect.Call) error {
				cancel()
				return nil
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			deadline := time.After(10 * time.Second)
			for source.Running() > 0 {
				select {
				case <-deadline:
					t.Fatalf("%d queries still run", source.Running())
				case <-time.After(time.Millisecond):
				}
			}
		})
	}
}

// TestOneNode: a question for one node goes to that one alone; of one that is not known it is said
// that it is missing.
func TestOneNode(t *testing.T) {
	a, b := &sourcetest.Source{Kept: 3}, &sourcetest.Source{Kept: 5}
	f := of(Member{"node-a", a}, Member{"node-b", b})
	for node, want := range map[string]int{"node-a": 3, "node-b": 5, "": 8, "node-c": 0} {
		n := &counted{PacketSink: nothing{}}
		report, err := f.Packets(t.Context(), &query.Request{Node: node}, n)
		if err != nil || n.n != want || report.Partial() != (node == "node-c") {
			t.Errorf("%q: %d packets, %+v, %v", node, n.n, report, err)
		}
		lines, _, err := calls(t, f, query.Request{Node: node, Vantage: query.Both})
		if err != nil || len(lines) != want {
			t.Errorf("%q: %d calls, %v", node, len(lines), err)
		}
	}
}

// nothing takes packets.
type nothing struct{}

func (nothing) Packet(*pcap.Packet) error { return nil }
func (nothing) Name(pcap.Name) error      { return nil }
func (nothing) Flush() error              { return nil }
