package fleet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/sshd/sourcetest"
	"github.com/sshark/sshark/worker/query"
)

// timed is a node whose calls are at these times, sorted.
type timed struct {
	query.Source
	times []int64
	fail  int // ends with an error at this question, from 1 on
	asked int
}

func (s *timed) Calls(_ context.Context, r *query.Request, each func(*dissect.Call) error) (*query.Report, error) {
	s.asked++
	if s.asked == s.fail {
		return nil, unreachable("the connection broke")
	}
	var in []int64
	for _, at := range s.times {
		if at >= r.Since && (r.Until == 0 || at < r.Until) {
			in = append(in, at)
		}
	}
	report := &query.Report{Nodes: []query.NodeReport{{Matched: uint64(len(in)), More: r.Last > 0 && len(in) > r.Last}}}
	if r.Last > 0 {
		in = in[max(0, len(in)-r.Last):]
	}
	for _, at := range in {
		if err := each(&dissect.Call{Flow: &dissect.Flow{ID: flow.ID(at)}, Time: at}); err != nil {
			return report, err
		}
	}
	return report, nil
}

// The newest of many nodes are found without asking each for all of them, however they are
// spread.
func TestNewestOfMany(t *testing.T) {
	for round := range 300 {
		rng := rand.New(rand.NewPCG(uint64(round), 1))
		last := 50 + rng.IntN(150)
		span := int64(1 + rng.IntN(5000)) // many at the same time
		var members []Member
		var all []int64
		for n := range 30 + rng.IntN(100) {
			s := &timed{}
			many := rng.IntN(12)
			if rng.IntN(20) == 0 {
				many = rng.IntN(400) // a busy one
			}
			for range many {
				s.times = append(s.times, 1+rng.Int64N(span))
			}
			slices.Sort(s.times)
			all = append(all, s.times...)
			members = append(members, Member{fmt.Sprint("node-", n), s})
		}
		slices.Sort(all)
		r := query.Request{Last: last, Since: rng.Int64N(span)}
		from, _ := slices.BinarySearch(all, r.Since)
		matched := len(all) - from
		want := all[max(from, len(all)-last):]
		var got []int64
		report, err := of(members...).Calls(context.Background(), &r, func(c *dissect.Call) error {
			got = append(got, c.Time)
			return nil
		})
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("round %d: %d newest %v, want %d %v (%v)", round, len(got), got, len(want), want, err)
		}
		sum := 0
		for i := range report.Nodes {
			sum += int(report.Nodes[i].Matched)
		}
		if sum != matched || len(report.Nodes) != len(members) {
			t.Fatalf("round %d: %d matched of %d nodes, want %d of %d", round, sum, len(report.Nodes), matched, len(members))
		}
	}
}

// A node that fails when it is asked again has answered in part.
func TestNewestFails(t *testing.T) {
	var members []Member
	for n := range 50 {
		s := &timed{times: []int64{int64(n)}}
		if n == 7 {
			s.fail = 2
			for at := range int64(200) {
				s.times = append(s.times, 100+at)
			}
		}
		members = append(members, Member{fmt.Sprintf("node-%02d", n), s})
	}
	told := 0
	report, err := of(members...).Calls(context.Background(), &query.Request{Last: 100}, func(*dissect.Call) error { told++; return nil })
	if err != nil || told != 49 {
		t.Errorf("%d calls (%v)", told, err)
	}
	n := report.Nodes[7]
	if n.Missing != "the connection broke" || !n.Part || n.Matched != 201 {
		t.Errorf("report %+v", n)
	}
}

// flood is a node with very many packets. It counts what it handed out.
type flood struct {
	query.Source
	handed *atomic.Int64
	begin  int64
}

func (s *flood) Packets(_ context.Context, _ *query.Request, out query.PacketSink) (*query.Report, error) {
	data := make([]byte, 64<<10)
	for n := range int64(1000) {
		if err := out.Packet(&pcap.Packet{Time: s.begin + n*1000, Data: data, Iface: sourcetest.Device}); err != nil {
			return nil, err
		}
		s.handed.Add(1)
	}
	return &query.Report{}, nil
}

// sink takes packets one at a time.
type sink struct{ each func(*pcap.Packet) error }

func (s sink) Packet(p *pcap.Packet) error { return s.each(p) }
func (s sink) Name(pcap.Name) error        { return nil }
func (s sink) Flush() error                { return nil }

// What waits to be merged is bounded in bytes, however many nodes and however large packets
// are; the nodes wait meanwhile.
func TestHeldBounded(t *testing.T) {
	const nodes = 1000
	synctest.Test(t, func(t *testing.T) {
		var handed atomic.Int64
		var members []Member
		for n := range nodes {
			members = append(members, Member{fmt.Sprint("node-", n), &flood{handed: &handed, begin: int64(n)}})
		}
		taken := int64(0)
		_, err := of(members...).Packets(context.Background(), &query.Request{}, sink{func(*pcap.Packet) error {
			if taken++; taken < 2*nodes {
				return nil
			}
			// A slow reader: everybody goes on as far as there is room.
			synctest.Wait()
			if waits := handed.Load() - taken; waits > 3*nodes {
				t.Errorf("%d packets of 64 KiB wait", waits)
			}
			return query.ErrStop
		}})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// The newest packets are held only as far as there is memory for them.
func TestNewestPackets(t *testing.T) {
	var handed atomic.Int64
	members := []Member{{"node-a", &flood{handed: &handed}}, {"node-b", &flood{handed: &handed, begin: 1}}, {"node-c", &flood{handed: &handed, begin: 2}}}
	var times []int64
	take := sink{func(p *pcap.Packet) error { times = append(times, p.Time); return nil }}
	if _, err := of(members...).Packets(context.Background(), &query.Request{Last: 1500}, take); err != nil || len(times) != 1500 ||
		times[0] != 500*1000 || times[1499] != 999*1000+2 {
		t.Errorf("%d packets (%v)", len(times), err)
	}
	if _, err := of(append(members, members...)...).Packets(context.Background(), &query.Request{Last: 2500}, take); !errors.Is(err, query.ErrTooMuch) {
		t.Errorf("got %v", err)
	}
}

// named is a node that tells a name before each packet, and that it has told all.
type named struct {
	query.Source
	begin int64
}

func (s *named) Packets(_ context.Context, r *query.Request, out query.PacketSink) (*query.Report, error) {
	if r.Last != 3 {
		return nil, fmt.Errorf("asked for the newest %d", r.Last)
	}
	for n := range int64(3) {
		at := s.begin + 10*n
		if err := errors.Join(out.Name(pcap.Name{Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(s.begin)}), Names: []string{fmt.Sprint(at)}}),
			out.Packet(&pcap.Packet{Time: at, Iface: sourcetest.Device})); err != nil {
			return nil, err
		}
	}
	return &query.Report{}, out.Flush()
}

// Of the newest packets none is taken for a name or a word, and their names come with them.
func TestNewestPacketsNames(t *testing.T) {
	for nodes, want := range map[int][]string{1: {"0", "10", "20"}, 2: {"11", "20", "21"}} {
		var members []Member
		for n := range nodes {
			members = append(members, Member{fmt.Sprint("node-", n), &named{begin: int64(n)}})
		}
		var got timesOfNamed
		if _, err := of(members...).Packets(context.Background(), &query.Request{Last: 3}, &got); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.times, want) {
			t.Errorf("%d nodes: packets %q, want %q", nodes, got.times, want)
		}
	}
}

// timesOfNamed takes packets that were named before.
type timesOfNamed struct{ names, times []string }

func (s *timesOfNamed) Packet(p *pcap.Packet) error {
	at := fmt.Sprint(p.Time)
	if !slices.Contains(s.names, at) {
		return fmt.Errorf("packet %s before its name", at)
	}
	s.times = append(s.times, at)
	return nil
}
func (s *timesOfNamed) Name(n pcap.Name) error { s.names = append(s.names, n.Names[0]); return nil }
func (s *timesOfNamed) Flush() error           { return nil }

// What is larger than all room waits alone.
func TestHeldLarge(t *testing.T) {
	q := newQueue[event](1 << 20)
	ctx, cancel := context.WithCancel(context.Background())
	var stuck sync.WaitGroup
	large := event{packet: &pcap.Packet{Data: make([]byte, 4<<20)}}
	if err := q.put(ctx, large); err != nil { // more than there is room for: alone
		t.Fatal(err)
	}
	var err error
	stuck.Go(func() { err = q.put(ctx, event{}) })
	cancel()
	stuck.Wait()
	if !errors.Is(err, context.Canceled) {
		t.Errorf("put beside it: %v", err)
	}
	if item, ok := q.take(); !ok || item.packet != large.packet {
		t.Error("it is gone")
	}
	if err := q.put(context.Background(), event{}); err != nil {
		t.Error(err)
	}
}

// one is a node that has the flow, or has not.
type one struct {
	query.Source
	has  bool
	err  error // of the one that has not
	wait bool  // until the asker goes
}

func (s *one) Stream(ctx context.Context, _ *query.Request, out query.StreamSink) (*query.Report, error) {
	switch {
	case s.wait:
		<-ctx.Done()
		return nil, ctx.Err()
	case !s.has:
		return nil, s.err
	}
	for range 3 {
		if err := out.Data(0, []byte("x"), 1); err != nil {
			return nil, err
		}
	}
	return &query.Report{Nodes: []query.NodeReport{{Node: "has"}}}, s.err
}

// A stream is told by the node that has it, and nobody waits for those that say nothing.
func TestStreamOfOne(t *testing.T) {
	none := &one{err: query.ErrNoSuchFlow}
	for _, tt := range []struct {
		name    string
		nodes   []query.Source
		bytes   string
		missing string
		err     error
	}{
		{"one of three", []query.Source{none, &one{has: true}, none}, "xxx", "", nil},
		{"one is silent", []query.Source{&one{wait: true}, &one{has: true}}, "xxx", "", nil},
		{"nobody", []query.Source{none, none}, "", "", query.ErrNoSuchFlow},
		{"perhaps one that is gone", []query.Source{none, &one{err: unreachable("refused")}}, "", "refused", query.ErrNoSuchFlow},
		{"it breaks", []query.Source{none, &one{has: true, err: unreachable("broke")}}, "xxx", "broke", nil},
		{"refused", []query.Source{none, &one{err: ErrRefused}}, "", "", ErrRefused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var members []Member
			for n, s := range tt.nodes {
				members = append(members, Member{fmt.Sprint("node-", n), s})
			}
			var bytes string
			report, err := of(members...).Stream(context.Background(), &query.Request{Stream: 7}, bytesOf{to: &bytes})
			if bytes != tt.bytes || !errors.Is(err, tt.err) {
				t.Errorf("%q %v", bytes, err)
			}
			missing := ""
			for _, n := range report.Nodes {
				missing += n.Missing
			}
			if missing != tt.missing {
				t.Errorf("missing %q", missing)
			}
		})
	}
}

type bytesOf struct {
	query.StreamSink
	to *string
}

func (b bytesOf) Data(_ flow.Dir, p []byte, _ int64) error { *b.to += string(p); return nil }

func TestNobody(t *testing.T) {
	for _, follow := range []bool{false, true} {
		_, err := of().Calls(context.Background(), &query.Request{Follow: follow}, func(*dissect.Call) error { return nil })
		if !errors.Is(err, ErrNoWorkers) {
			t.Errorf("got %v", err)
		}
	}
}
