// Package sourcetest is a query.Source for the tests of the console: a shop whose calls,
// flows and packets are made up from their number, so that a test knows each of them.
// Nothing but tests imports it.
package sourcetest

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/worker/query"
)

// Start is the time of the first call.
var Start = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)

// HTTP is the protocol of all its calls.
var HTTP = &dissect.Protocol{
	Name: "http", Title: "HTTP", Transport: []flow.Proto{flow.TCP},
	Fields: []dissect.Field{
		{Name: "method", Kind: dissect.String, Help: "method", Example: `"GET"`, Get: func(*dissect.Call) any { return "GET" }},
		{Name: "path", Kind: dissect.String, Help: "path", Example: `"/"`, Get: func(c *dissect.Call) any { return c.Message.(*message).path() }},
		{Name: "status_code", Kind: dissect.Int, Help: "status", Example: "200", Get: func(c *dissect.Call) any { return int64(c.Message.(*message).status()) }},
	},
}

// Source answers like a fleet. Set its fields before the first question.
type Source struct {
	Kept     int           // calls that are kept, one each Step
	Step     time.Duration // default 1s
	Language *filter.Language
	Report   []query.NodeReport // default: one node that answers
	NodeList []query.Node
	Err      error // of every query, after what it found
	Payload  int   // bytes of each packet, default 64
	// Summary replaces the summaries' text.
	Summary string

	running atomic.Int64
	started atomic.Int64
}

// Running is how many queries have not ended.
func (s *Source) Running() int64 { return s.running.Load() }

// Started is how many queries have begun.
func (s *Source) Started() int64 { return s.started.Load() }

type message struct {
	n       int
	summary string
}

func (m *message) path() string { return "/cart/" + strconv.Itoa(m.n) }
func (m *message) status() int {
	if m.n%5 == 4 {
		return 503
	}
	return 200
}

func (m *message) AppendSummary(dst []byte) []byte {
	if m.summary != "" {
		return append(dst, m.summary...)
	}
	return append(append(dst, "GET "...), m.path()...)
}

func (m *message) AppendStatus(dst []byte) []byte {
	return strconv.AppendInt(dst, int64(m.status()), 10)
}

func (m *message) AppendFields(dst []byte) []byte {
	dst = append(dst, `,"method":"GET","path":`...)
	dst = dissect.AppendString(dst, m.path())
	return strconv.AppendInt(append(dst, `,"status_code":`...), int64(m.status()), 10)
}

func (*message) Body(int) *dissect.Body { return nil }

func (s *Source) at(n int) int64 {
	step := s.Step
	if step == 0 {
		step = time.Second
	}
	return Start.UnixNano() + int64(n)*int64(step)
}

// Flow is the flow of call n.
func (s *Source) Flow(n int) *dissect.Flow {
	return &dissect.Flow{
		ID: flow.ID(0x1000 + n), Node: "node-" + string(rune('a'+n%2)), Transport: flow.TCP, Protocol: HTTP,
		Client:  dissect.Endpoint{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 0, byte(n % 250)}), uint16(40000+n%20000)), Identity: &dissect.Identity{Namespace: "shop", Pod: "gateway-7d9f"}},
		Server:  dissect.Endpoint{Addr: netip.MustParseAddrPort("10.2.0.1:8080"), Identity: &dissect.Identity{Namespace: "shop", Pod: "cart-0", Service: "cart"}},
		Vantage: dissect.SideServer, First: s.at(n), Last: s.at(n) + 3e6, Packets: [2]uint64{4, 3}, Bytes: [2]uint64{400, 3000}, State: dissect.Closed,
	}
}

// Call is call n.
func (s *Source) Call(n int) *dissect.Call {
	t := s.at(n)
	m := &message{n, s.Summary}
	return &dissect.Call{
		Flow: s.Flow(n), Protocol: HTTP, Seq: 1, Time: t, RequestEnd: t + 1e5, ResponseStart: t + 1e5 + 1234567, ResponseEnd: t + 2e6,
		RequestSize: 120, ResponseSize: 900, Error: m.status() >= 500, Message: m,
	}
}

// pick lists the numbers that a request wants, of those that are kept.
func (s *Source) pick(r *query.Request, match func(n int) bool) (out []int, matched uint64) {
	for n := range s.Kept {
		t := s.at(n)
		if t < r.Since || r.Until != 0 && t >= r.Until || r.Stream != 0 && r.Stream != flow.ID(0x1000+n) || !match(n) {
			continue
		}
		out = append(out, n)
	}
	matched = uint64(len(out))
	if r.First > 0 && len(out) > r.First {
		out = out[:r.First]
	}
	if r.Last > 0 && len(out) > r.Last {
		out = out[len(out)-r.Last:]
	}
	return out, matched
}

func (s *Source) matcher(r *query.Request) (func(n int) bool, error) {
	if s.Language == nil || r.Filter == "" {
		return func(int) bool { return true }, nil
	}
	f, err := s.Language.Compile(r.Filter)
	if err != nil {
		return nil, err
	}
	return func(n int) bool {
		ok, err := f.Call(s.Call(n))
		return ok && err == nil
	}, nil
}

func (s *Source) report(matched uint64) *query.Report {
	if s.Report != nil {
		nodes := append([]query.NodeReport(nil), s.Report...)
		nodes[0].Matched = matched
		return &query.Report{Nodes: nodes}
	}
	n := query.NodeReport{Node: "node-a", Matched: matched}
	if s.Kept > 0 {
		n.Oldest, n.Newest = s.at(0), s.at(s.Kept-1)
	}
	return &query.Report{Nodes: []query.NodeReport{n}}
}

// run asks each for every number, kept and then live, until ctx ends.
func (s *Source) run(ctx context.Context, r *query.Request, each func(n int) error, flush func() error) (*query.Report, error) {
	s.started.Add(1)
	s.running.Add(1)
	defer s.running.Add(-1)
	match, err := s.matcher(r)
	if err != nil {
		return nil, err
	}
	kept, matched := s.pick(r, match)
	for _, n := range kept {
		if err := ctx.Err(); err != nil {
			return s.report(matched), err
		}
		if err := each(n); err != nil {
			return s.report(matched), err
		}
	}
	if r.Follow {
		if r.Notice != nil {
			for _, n := range s.Report {
				r.Notice(n)
			}
		}
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for n := s.Kept; ; n++ {
			if err := flush(); err != nil {
				return s.report(matched), err
			}
			select {
			case <-ctx.Done():
				return s.report(matched), ctx.Err()
			case <-tick.C:
			}
			if !match(n) {
				continue
			}
			if err := each(n); err != nil {
				return s.report(matched), err
			}
		}
	}
	return s.report(matched), s.Err
}

// Calls implements query.Source.
func (s *Source) Calls(ctx context.Context, r *query.Request, each func(*dissect.Call) error) (*query.Report, error) {
	return s.run(ctx, r, func(n int) error { return each(s.Call(n)) }, func() error { return nil })
}

// Flows implements query.Source.
func (s *Source) Flows(ctx context.Context, r *query.Request, each func(*dissect.Flow) error) (*query.Report, error) {
	return s.run(ctx, r, func(n int) error { return each(s.Flow(n)) }, func() error { return nil })
}

// Device is where all packets were seen.
var Device = &pcap.Interface{Name: "eth0", Link: pcap.LinkRaw, Node: "node-a", Pod: pcap.Pod{Namespace: "shop", Name: "cart-0"}}

// Packets implements query.Source: one UDP packet a call, with the number of the call in it.
func (s *Source) Packets(ctx context.Context, r *query.Request, out query.PacketSink) (*query.Report, error) {
	size := max(s.Payload, 64)
	b := make([]byte, size)
	ip := b[:20]
	ip[0], ip[8], ip[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(ip[2:], uint16(size))
	copy(ip[12:], []byte{10, 1, 0, 1})
	copy(ip[16:], []byte{10, 2, 0, 1})
	binary.BigEndian.PutUint16(b[20:], 40000)
	binary.BigEndian.PutUint16(b[22:], 8080)
	binary.BigEndian.PutUint16(b[24:], uint16(size-20))
	named := false
	report, err := s.run(ctx, r, func(n int) error {
		if !named {
			named = true
			if err := out.Name(pcap.Name{Addr: netip.MustParseAddr("10.2.0.1"), Names: []string{"cart-0.shop"}}); err != nil {
				return err
			}
		}
		binary.BigEndian.PutUint64(b[28:], uint64(n))
		return out.Packet(&pcap.Packet{Time: s.at(n), Data: b, Length: uint32(size), Flags: pcap.FlagInbound, Iface: Device})
	}, out.Flush)
	if err == nil && r.Stream != 0 && !named {
		err = fmt.Errorf("flow %s: %w", r.Stream, query.ErrNoSuchFlow)
	}
	return report, err
}

// Nodes implements query.Source.
func (s *Source) Nodes(context.Context) ([]query.Node, *query.Report, error) {
	if s.NodeList != nil {
		return s.NodeList, s.report(0), s.Err
	}
	n := query.Node{
		Name: "node-a", State: "capturing", Time: s.at(s.Kept), PacketRate: 1234, ByteRate: 1e6,
		Stats:     pcap.Stats{Seen: 1010, Stored: 1000, Dropped: 10, Bytes: 1 << 20},
		StoreUsed: 5 << 20, StoreLimit: 10 << 30, Segments: 2,
		Pods: []query.PodState{{Pod: pcap.Pod{Namespace: "shop", Name: "cart-0", UID: "u1"}, Interfaces: []string{"eth0"}, Stats: pcap.Stats{Seen: 500, Stored: 500}}},
	}
	if s.Kept > 0 {
		n.Oldest, n.Newest = s.at(0), s.at(s.Kept-1)
	}
	return []query.Node{n}, s.report(0), s.Err
}

// Stream implements query.Source: each flow that is kept has the same bytes, with a gap in them.
func (s *Source) Stream(_ context.Context, r *query.Request, out query.StreamSink) (*query.Report, error) {
	if n := int64(r.Stream) - 0x1000; n < 0 || n >= int64(s.Kept) {
		return s.report(0), fmt.Errorf("stream %s: %w", r.Stream, query.ErrNoSuchFlow)
	}
	for _, step := range []func() error{
		func() error { return out.Data(0, []byte("GET / HTTP/1.1\r\n"), 1) },
		func() error { return out.Data(1, []byte("HTTP/1.1 200 OK\r\n"), 2) },
		func() error { return out.Gap(1, 100, 3) },
		func() error { return out.Data(1, []byte("tail"), 4) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return &query.Report{Nodes: []query.NodeReport{{Node: "node-a"}}}, nil
}
