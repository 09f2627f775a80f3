package dissect

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
)

// The tests' protocol: the client says "Q text\n", the server "A text\n"; "UP\n" switches.
type line struct {
	sink    Sink
	rest    [2][]byte
	pending []*Call
}

type text string

func (t text) AppendSummary(b []byte) []byte { return append(b, t...) }
func (t text) AppendStatus(b []byte) []byte  { return b }
func (t text) AppendFields(b []byte) []byte  { return b }
func (t text) Body(int) *Body                { return nil }

func (l *line) Data(d flow.Dir, b []byte, at Stamp) error {
	l.rest[d] = append(l.rest[d], b...)
	for {
		s, after, ok := bytes.Cut(l.rest[d], []byte("\n"))
		if !ok {
			return nil
		}
		switch {
		case d == 0 && bytes.HasPrefix(s, []byte("Q ")):
			l.pending = append(l.pending, &Call{Time: at.Time, RequestEnd: at.Time, Message: text(s[2:])})
		case d == 1 && bytes.HasPrefix(s, []byte("A ")) && len(l.pending) > 0:
			c := l.pending[0]
			l.pending = l.pending[1:]
			c.ResponseStart, c.ResponseEnd = at.Time, at.Time
			l.sink.Call(c)
		case string(s) == "UP":
			l.sink.Switch("", after)
			return nil
		default:
			return ErrNotMine
		}
		l.rest[d] = after
	}
}

func (l *line) Gap(flow.Dir, int64, Stamp) error { return nil }
func (l *line) Idle() bool                       { return len(l.pending) == 0 }
func (l *line) Reuse(_ *Flow, sink Sink)         { *l = line{sink: sink} }

func (l *line) Close(Stamp) {
	for _, c := range l.pending {
		l.sink.Call(c)
	}
}

func protocol(name, request, response string) *Protocol {
	return &Protocol{Name: name, Title: name, Transport: []flow.Proto{flow.TCP, flow.UDP},
		Detect: func(p *Probe) Verdict {
			for d := range p.Data {
				switch b := p.Data[d]; {
				case bytes.HasPrefix(b, []byte(request)):
					p.Swap = d == 1
					return Yes
				case bytes.HasPrefix(b, []byte(response)):
					p.Swap = d == 0
					return Yes
				case len(b) > 0 && len(b) < 2:
					return Unsure
				}
			}
			return No
		},
		New: func(_ *Flow, sink Sink) Parser { return &line{sink: sink} }}
}

// wire writes packets as the tests need them.
type wire struct {
	t       int64
	packets []pcap.Packet
	iface   *pcap.Interface
}

var (
	client = netip.MustParseAddrPort("10.0.0.1:40000")
	server = netip.MustParseAddrPort("10.0.0.2:7")
)

// tcp adds a packet at the time of the wire; the clock goes on by a millisecond.
func (w *wire) tcp(src, dst netip.AddrPort, seq, ack uint32, flags uint8, payload string) *wire {
	b := make([]byte, 40, 40+len(payload))
	b[0], b[8], b[9] = 0x45, 64, 6
	binary.BigEndian.PutUint16(b[2:], uint16(40+len(payload)))
	copy(b[12:], src.Addr().AsSlice())
	copy(b[16:], dst.Addr().AsSlice())
	binary.BigEndian.PutUint16(b[20:], src.Port())
	binary.BigEndian.PutUint16(b[22:], dst.Port())
	binary.BigEndian.PutUint32(b[24:], seq)
	binary.BigEndian.PutUint32(b[28:], ack)
	b[32], b[33] = 0x50, flags
	w.t += 1e6
	iface := w.iface
	if iface == nil {
		iface = &pcap.Interface{Link: pcap.LinkRaw}
		w.iface = iface
	}
	w.packets = append(w.packets, pcap.Packet{Time: w.t, Data: append(b, payload...), Length: uint32(40 + len(payload)), Iface: iface})
	return w
}

// cut takes n bytes from what was captured of the last packet.
func (w *wire) cut(n int) *wire {
	p := &w.packets[len(w.packets)-1]
	p.Data = p.Data[:len(p.Data)-n]
	return w
}

// udp adds a datagram.
func (w *wire) udp(src, dst netip.AddrPort, payload string) *wire {
	w.tcp(src, dst, 0, 0, 0, "")
	p := &w.packets[len(w.packets)-1]
	b := append(p.Data[:24], 0, 0, 0, 0)
	b[9] = 17
	p.Data = append(b, payload...)
	p.Length = uint32(len(p.Data))
	binary.BigEndian.PutUint16(p.Data[2:], uint16(len(p.Data)))
	binary.BigEndian.PutUint16(p.Data[24:], uint16(8+len(payload)))
	return w
}

// results gathers what an engine tells, safe for both workers.
type results struct {
	mu    sync.Mutex
	calls []string
	flows []Flow
}

func (r *results) Call(c *Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, answered := c.Elapsed()
	r.calls = append(r.calls, fmt.Sprintf("%s %s>%s %s %v", c.Protocol.Name, c.Src().Display(), c.Dst().Display(), c.Message.AppendSummary(nil), answered))
}

func (r *results) FlowEnd(f *Flow) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flows = append(r.flows, *f)
}
func (r *results) Batch() {}

func run(o Options, packets []pcap.Packet) *results {
	r := &results{}
	o.Handler = func(int) Handler { return r }
	if o.Protocols == nil {
		o.Protocols = []*Protocol{protocol("line", "Q ", "A ")}
	}
	e := NewEngine(o)
	for i := range packets {
		e.Packet(&packets[i], 0, 0)
	}
	e.Close()
	return r
}

const (
	syn    = flow.SYN
	ack    = flow.ACK
	synack = flow.SYN | flow.ACK
	fin    = flow.FIN | flow.ACK
)

// open is a handshake; both sides' bytes begin at 101 and 201.
func (w *wire) open() *wire {
	return w.tcp(client, server, 100, 0, syn, "").tcp(server, client, 200, 101, synack, "").tcp(client, server, 101, 201, ack, "")
}

func TestEngine(t *testing.T) {
	both := []*Protocol{protocol("line", "Q ", "A "), protocol("other", "X ", "Y ")}
	both[1].New = func(_ *Flow, sink Sink) Parser { return &line{sink: sink} }
	cases := map[string]struct {
		packets []pcap.Packet
		want    []string
	}{
		"a call": {new(wire).open().tcp(client, server, 101, 201, ack, "Q hi\n").tcp(server, client, 201, 106, ack, "A hi\n").packets,
			[]string{"line 10.0.0.1>10.0.0.2 hi true"}},
		"no answer": {new(wire).open().tcp(client, server, 101, 201, ack, "Q hi\n").packets,
			[]string{"line 10.0.0.1>10.0.0.2 hi false"}},
		"byte by byte": {new(wire).open().tcp(client, server, 101, 201, ack, "Q").tcp(client, server, 102, 201, ack, " hi\n").tcp(server, client, 201, 106, ack, "A hi\n").packets,
			[]string{"line 10.0.0.1>10.0.0.2 hi true"}},
		"the answer's side is told by content": {new(wire).tcp(server, client, 300, 200, ack, "Q odd\n").tcp(client, server, 200, 306, ack, "A odd\n").packets,
			[]string{"line 10.0.0.2>10.0.0.1 odd true"}},
		"from the middle": {new(wire).tcp(client, server, 101, 201, ack, "rest of something\n").tcp(server, client, 201, 119, ack, "more of it\n").
			tcp(client, server, 119, 212, ack, "Q hi\n").tcp(server, client, 212, 124, ack, "A hi\n").packets,
			[]string{"line 10.0.0.1>10.0.0.2 hi true"}},
		"a beginning that was cut": {new(wire).open().tcp(client, server, 101, 201, ack, "Q and more\n").cut(10).tcp(server, client, 201, 112, ack, "more\n").
			tcp(client, server, 112, 206, ack, "Q hi\n").tcp(server, client, 206, 117, ack, "A hi\n").packets,
			[]string{"line 10.0.0.1>10.0.0.2 hi true"}},
		"a beginning that was lost": {new(wire).open().tcp(server, client, 201, 106, ack, "more of it\n").
			tcp(client, server, 106, 212, ack, "Q hi\n").tcp(server, client, 212, 111, ack, "A hi\n").packets,
			[]string{"line 10.0.0.1>10.0.0.2 hi false"}},
		"nobody's": {new(wire).open().tcp(client, server, 101, 201, ack, "something\n").tcp(client, server, 111, 201, ack, "Q hi\n").packets, nil},
		"a switch": {new(wire).open().tcp(client, server, 101, 201, ack, "Q hi\nUP\nQ a").tcp(client, server, 112, 201, ack, "gain\n").tcp(server, client, 201, 117, ack, "A again\n").packets,
			[]string{"line 10.0.0.1>10.0.0.2 hi false", "line 10.0.0.1>10.0.0.2 again true"}},
		"given up": {new(wire).open().tcp(client, server, 101, 201, ack, "Q hi\nnonsense\nQ ho\n").packets,
			[]string{"line 10.0.0.1>10.0.0.2 hi false"}},
		"out of order": {new(wire).open().tcp(client, server, 103, 201, ack, "hi\n").tcp(client, server, 101, 201, ack, "Q ").tcp(server, client, 201, 106, ack, "A hi\n").packets,
			[]string{"line 10.0.0.1>10.0.0.2 hi true"}},
		"one port, two connections": {new(wire).open().tcp(client, server, 101, 201, ack, "Q one\n").tcp(client, server, 107, 201, flow.RST, "").
			tcp(client, server, 900, 0, syn, "").tcp(client, server, 901, 201, ack, "Q two\n").packets,
			[]string{"line 10.0.0.1>10.0.0.2 one false", "line 10.0.0.1>10.0.0.2 two false"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := run(Options{Protocols: both}, c.packets)
			if !slices.Equal(got.calls, c.want) {
				t.Errorf("got  %s\nwant %s", strings.Join(got.calls, "\n     "), strings.Join(c.want, "\n     "))
			}
		})
	}
}

// TestUndecided: who only waits for more does not keep a flow from those behind it when no more
// is to be shown.
func TestUndecided(t *testing.T) {
	waits := protocol("waits", "W ", "V ")
	waits.Detect = func(*Probe) Verdict { return Unsure }
	all := []*Protocol{waits, protocol("line", "Q ", "A ")}
	long := "Q " + strings.Repeat("x", ProbeSize) + "\n"
	next := uint32(101 + len(long))
	n := uint64(len(long))
	for name, c := range map[string]struct {
		packets []pcap.Packet
		payload [2]uint64
	}{
		"at its end": {new(wire).open().tcp(client, server, 101, 201, ack, long).packets, [2]uint64{n, 0}},
		"when the other side is heard": {new(wire).open().tcp(client, server, 101, 201, ack, long).tcp(server, client, 201, next, ack, "A "+long[2:]).
			tcp(client, server, next, 201+next-101, ack, "Q hi\n").packets, [2]uint64{n + 5, n}},
	} {
		got := run(Options{Protocols: all}, c.packets)
		if len(got.calls) == 0 || !strings.HasPrefix(got.calls[0], "line 10.0.0.1>10.0.0.2 xxx") {
			t.Errorf("%s: %.80q", name, got.calls)
		}
		if len(got.flows) != 1 || got.flows[0].Payload != c.payload {
			t.Errorf("%s: %v", name, got.flows)
		}
	}
}

// A flow is told for each place that saw it, and all of them know it by its opening.
func TestOpening(t *testing.T) {
	a := &pcap.Interface{Name: "eth0", Link: pcap.LinkRaw, Pod: pcap.Pod{Name: "shop"}, Vantage: 1, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}}
	b := &pcap.Interface{Name: "eth0", Link: pcap.LinkRaw, Pod: pcap.Pod{Name: "cart"}, Vantage: 2, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24")}}
	const known = 100<<32 | 200
	talk := func(w *wire) *wire {
		return w.tcp(client, server, 101, 201, ack, "Q hi\n").tcp(server, client, 201, 106, ack, "A hi\n")
	}
	cases := map[string]struct {
		w    *wire
		want uint64
	}{
		"whole":              {talk(new(wire).open()), known},
		"no SYN":             {talk(new(wire).tcp(server, client, 200, 101, synack, "")), known},
		"no SYN with ACK":    {talk(new(wire).tcp(client, server, 100, 0, syn, "")), 0},
		"from the middle":    {talk(new(wire)), 0},
		"the answer is late": {talk(new(wire).tcp(client, server, 100, 0, syn, "").tcp(client, server, 100, 0, syn, "").tcp(server, client, 200, 101, synack, "")), known},
		"turned": {new(wire).tcp(client, server, 100, 0, syn, "").tcp(server, client, 200, 101, synack, "").
			tcp(server, client, 201, 101, ack, "Q hi\n").tcp(client, server, 101, 206, ack, "A hi\n"), known},
		"datagrams": {new(wire).udp(client, server, "Q hi\n").udp(server, client, "A hi\n"), 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var packets []pcap.Packet
			for _, p := range c.w.packets {
				for _, at := range []*pcap.Interface{a, b} {
					p.Iface = at
					packets = append(packets, p)
				}
			}
			got := run(Options{}, packets)
			if len(got.flows) != 2 || len(got.calls) != 2 || got.flows[0].Vantage == got.flows[1].Vantage {
				t.Fatalf("%d flows, %d calls", len(got.flows), len(got.calls))
			}
			for _, f := range got.flows {
				want := c.want
				if f.Client.Addr == server && want != 0 {
					want = 200<<32 | 100
				}
				if f.Opening != want {
					t.Errorf("seen by the %s: opening %x, want %x", f.Vantage, f.Opening, want)
				}
			}
		})
	}
}

// The same input gives the same output, and what the flows counted is what was fed.
func TestFlows(t *testing.T) {
	w := new(wire).open().tcp(client, server, 101, 201, ack, "Q hi\n").tcp(client, server, 110, 201, ack, "lost\n")
	got := run(Options{}, w.packets)
	if len(got.flows) != 1 {
		t.Fatalf("%d flows", len(got.flows))
	}
	f := got.flows[0]
	if f.Packets != [2]uint64{4, 1} || f.Lost[0] != 4 || f.Payload[0] != 10 || f.Client.Addr != client || f.State != InProgress || f.Protocol.Name != "line" {
		t.Errorf("got %+v", f)
	}
}

// What is read around a window serves the calls, and is not told as the flow's.
func TestFlowsOfWindow(t *testing.T) {
	p := new(wire).open().tcp(client, server, 101, 201, ack, "Q hi\n").tcp(server, client, 201, 106, ack, "A hi\n").
		tcp(client, server, 106, 206, ack, "Q again\n").tcp(client, server, 114, 206, fin, "").tcp(server, client, 206, 115, fin, "").packets
	for _, c := range []struct {
		since, until int // numbers of packets
		packets      [2]uint64
		payload      [2]uint64
		first, last  int
		state        State
	}{
		{0, len(p), [2]uint64{5, 3}, [2]uint64{13, 5}, 0, 7, Closed},
		{3, 5, [2]uint64{1, 1}, [2]uint64{5, 5}, 3, 4, InProgress},
		{4, 7, [2]uint64{2, 1}, [2]uint64{8, 5}, 4, 6, InProgress},
		{0, 1, [2]uint64{1, 0}, [2]uint64{}, 0, 0, Open},
	} {
		o := Options{Since: p[c.since].Time}
		if c.until < len(p) {
			o.Until = p[c.until].Time
		}
		got := run(o, p)
		if len(got.flows) != 1 || len(got.calls) != 2 {
			t.Fatalf("%d to %d: %d flows, calls %q", c.since, c.until, len(got.flows), got.calls)
		}
		f := got.flows[0]
		if f.Packets != c.packets || f.Payload != c.payload || f.First != p[c.first].Time || f.Last != p[c.last].Time || f.State != c.state {
			t.Errorf("%d to %d: %+v", c.since, c.until, f)
		}
	}
	if f := run(Options{Until: p[0].Time - 1}, p).flows; len(f) != 1 || f[0].Packets != [2]uint64{} {
		t.Errorf("no packet in the window: %+v", f)
	}
}

// A follower is told of a connection soon after it was closed, by the time that its source says;
// what comes later is still of the same one.
func TestClosedSoon(t *testing.T) {
	for _, follow := range []bool{true, false} {
		p := new(wire).open().tcp(client, server, 101, 201, ack, "Q hi\n").tcp(server, client, 201, 106, fin, "A hi\n").
			tcp(client, server, 106, 207, fin, "").tcp(server, client, 207, 107, ack, "").packets
		last := p[len(p)-1].Time
		r := &results{}
		e := NewEngine(Options{Protocols: []*Protocol{protocol("line", "Q ", "A ")}, Workers: 1, Follow: follow, Handler: func(int) Handler { return r }})
		told := func(clock int64) int {
			e.Clock(clock)
			e.Sync()
			r.mu.Lock()
			defer r.mu.Unlock()
			return len(r.flows)
		}
		for i := range p {
			e.Packet(&p[i], 1, flow.UnknownOpener)
		}
		if n := told(last + closedAfter - 1); n != 0 {
			t.Errorf("following %v: told before it is known to be over", follow)
		}
		want := 0
		if follow {
			want = 1
		}
		if n := told(last + 2*closedAfter); n != want {
			t.Errorf("following %v: %d flows are told, want %d", follow, n, want)
		}
		e.Packet(&p[len(p)-1], 1, flow.UnknownOpener)
		e.Close()
		if len(r.flows) != 1 || r.flows[0].State != Closed {
			t.Errorf("following %v: %+v", follow, r.flows)
		}
	}
}

// Flows that the source identifies are bounded, those that are quiet for longest end first, and
// what comes of them later is not lost.
func TestMaxFlows(t *testing.T) {
	const most, n = 100, 1000
	at := func(n int) netip.AddrPort { return netip.AddrPortFrom(client.Addr(), uint16(40000+n)) }
	for _, callsOnly := range []bool{false, true} {
		r := &results{}
		e := NewEngine(Options{Protocols: []*Protocol{protocol("line", "Q ", "A ")}, Workers: 1, MaxFlows: most, CallsOnly: callsOnly,
			Handler: func(int) Handler { return r }})
		w := new(wire)
		for i := range n {
			w.udp(at(i), server, "Q hi\n").udp(server, at(i), "A hi\n")
		}
		for i := range w.packets {
			e.Packet(&w.packets[i], flow.ID(1+i/2), flow.UnknownOpener)
			if i%64 == 0 {
				e.Sync()
				if known := len(e.workers[0].known); known > most {
					t.Fatalf("%d flows are remembered, want %d at most", known, most)
				}
			}
		}
		again := new(wire).udp(at(0), server, "Q hi\n").udp(server, at(0), "A hi\n")
		for i := range again.packets {
			again.packets[i].Time = w.t
			e.Packet(&again.packets[i], 1, flow.UnknownOpener)
		}
		e.Close()
		if len(r.calls) != n+1 {
			t.Errorf("%d calls of %d", len(r.calls), n+1)
		}
		if !callsOnly && len(r.flows) != n+1 {
			t.Errorf("%d flows ended of %d", len(r.flows), n+1)
		}
	}
}

// What was laid to rest comes again as the flow that it was, also if the source identified it.
func TestRest(t *testing.T) {
	at := func(n int) netip.AddrPort { return netip.AddrPortFrom(client.Addr(), uint16(40000+n)) }
	for _, c := range []struct {
		vantage    uint32
		identified bool
	}{{0, false}, {3, false}, {3, true}} {
		vantage := c.vantage
		r := &results{}
		e := NewEngine(Options{Protocols: []*Protocol{protocol("line", "Q ", "A ")}, Workers: 1, CallsOnly: true,
			Handler: func(int) Handler { return r }})
		w := &wire{iface: &pcap.Interface{Name: "eth0", Link: pcap.LinkRaw, Vantage: vantage,
			Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24")}}}
		said := 0
		say := func(port int, seconds int64) {
			w.t += seconds * 1e9
			w.udp(at(port), server, "Q hi\n").udp(server, at(port), "A hi\n")
			for ; said < len(w.packets); said++ {
				id := flow.ID(0)
				if c.identified {
					id = flow.ID(port)
				}
				e.Packet(&w.packets[said], id, 0)
			}
			e.Sync()
		}
		say(1, 0)
		say(2, 3) // lays 1 to rest
		if known := len(e.workers[0].known); known > 1 {
			t.Errorf("%d flows that were identified are remembered, one is quiet", known)
		}
		say(3, 0) // in the memory of 1
		say(1, 0)
		e.Close()
		if len(r.calls) != 4 {
			t.Errorf("%d calls of 4: %q", len(r.calls), r.calls)
		}
	}
}

func TestSelect(t *testing.T) {
	w := new(wire).open().tcp(client, server, 101, 201, ack, "Q hi\n")
	got := run(Options{Select: func(f *Flow) bool { return f.Server.Addr.Port() != 7 }}, w.packets)
	if len(got.calls)+len(got.flows) > 0 {
		t.Errorf("an unwanted flow is told: %v %v", got.calls, got.flows)
	}
}

func BenchmarkEngine(b *testing.B) {
	const conns = 64
	w := &wire{}
	for i := range conns {
		c := netip.AddrPortFrom(client.Addr(), uint16(10000+i))
		w.tcp(c, server, 100, 0, syn, "").tcp(server, c, 200, 101, synack, "")
		for n := range uint32(100) {
			w.tcp(c, server, 101+n*5, 201+n*5, ack, "Q hi\n").tcp(server, c, 201+n*5, 106+n*5, ack, "A hi\n")
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		e := NewEngine(Options{Protocols: []*Protocol{protocol("line", "Q ", "A ")}, Handler: func(int) Handler { return &results{} }})
		for i := range w.packets {
			e.Packet(&w.packets[i], 0, 0)
		}
		e.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(w.packets)), "ns/packet")
}
