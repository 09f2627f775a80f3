package replay

import (
	"encoding/binary"
	"net/netip"
	"sync"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
)

// Bounds of the calls that are held of one conversation.
const (
	maxCalls  = 20_000
	maxKept   = 16 << 20 // bytes of their fields and bodies
	maxBody   = 1 << 20  // bytes of one body, decoded
	heldEarly = 1 << 20  // bytes that wait in the engine, where nothing comes early
)

// Call is a call of one of the conversations. It is immutable.
type Call struct {
	Protocol string // title
	Summary  string
	Status   string
	Reverse  bool // a lone message of the server
	Answered bool
	Cut      bool // bytes of it are missing, or the stream ended inside it
	Time     int64
	Elapsed  int64 // ns from the request's end to the response's start, -1: not known
	Sizes    [2]uint64

	fields []byte // JSON members, as dissect.Message.AppendFields writes them
	body   *body  // of the response (of a lone message: of it), nil: none
	last   int64  // time of its last byte
}

// body is what is kept of one.
type body struct {
	kind string // media type
	data []byte
	size int64 // as sent
	cut  bool  // data is not all of it
}

// reading dissects a conversation while it goes on, from the bytes of both sides. The engine
// knows flows by their packets, so the bytes are put into some, between the ends of the recorded
// flow. One goroutine feeds it; calls may be looked at after sync.
type reading struct {
	engine *dissect.Engine
	flow   *dissect.Flow
	iface  *pcap.Interface
	opener flow.Opener
	next   [2]uint32
	now    int64
	packet []byte

	mu       sync.Mutex
	calls    []*Call
	kept     int
	more     int    // calls that were not kept
	answered int    // calls that were
	name     string // of the protocol that claimed the flow, "": none did
	parsed   map[string]bool
}

// newReading begins a conversation between the ends of a flow.
func newReading(f *dissect.Flow, protocols []*dissect.Protocol, at int64) *reading {
	r := &reading{flow: f, iface: &pcap.Interface{Name: "replay", Link: pcap.LinkRaw}, now: at, next: [2]uint32{1000, 2000}, parsed: map[string]bool{}}
	r.engine = dissect.NewEngine(dissect.Options{Protocols: protocols, Workers: 1, MaxFlows: 16, Held: heldEarly, Bodies: maxBody,
		Handler: func(int) dissect.Handler { return r }})
	var h flow.Header
	h.Parse(pcap.LinkRaw, append(r.network(f.Client.Addr, f.Server.Addr, flow.UDP, 8), ports(f.Client.Addr, f.Server.Addr)...))
	if r.opener = flow.OpenerA; h.Dir == flow.BtoA {
		r.opener = flow.OpenerB
	}
	if f.Transport == flow.TCP {
		r.segment(0, flow.SYN, nil, 0)
		r.segment(1, flow.SYN|flow.ACK, nil, 0)
		r.segment(0, flow.ACK, nil, 0)
	}
	return r
}

// ports is a UDP header without payload.
func ports(src, dst netip.AddrPort) []byte {
	b := binary.BigEndian.AppendUint16(nil, src.Port())
	return append(binary.BigEndian.AppendUint16(b, dst.Port()), 0, 8, 0, 0)
}

// Call implements dissect.Handler.
func (r *reading) Call(c *dissect.Call) {
	k := &Call{Protocol: c.Protocol.Title, Reverse: c.Reverse, Answered: c.ResponseStart != 0, Cut: c.Incomplete, Time: c.Time, Elapsed: -1,
		Sizes: [2]uint64{c.RequestSize, c.ResponseSize}, last: max(c.Time, c.RequestEnd, c.ResponseEnd)}
	if ns, ok := c.Elapsed(); ok {
		k.Elapsed = ns
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.parsed[c.Protocol.Name] = true
	if k.Answered {
		r.answered++
	}
	if len(r.calls) >= maxCalls || r.kept >= maxKept {
		r.more++
		return
	}
	if m := c.Message; m != nil {
		k.Summary, k.Status = string(m.AppendSummary(nil)), string(m.AppendStatus(nil))
		k.fields = m.AppendFields(nil)
		part := 1
		if !k.Answered {
			part = 0 // of a lone message
		}
		if b := m.Body(part); b != nil && (k.Answered || c.Reverse) {
			k.body = &body{kind: b.Type, data: append([]byte(nil), b.Data...), size: b.Size, cut: b.Truncated || b.Err != nil}
			r.kept += len(b.Data)
		}
	}
	r.kept += len(k.fields) + len(k.Summary) + len(k.Status) + 200
	r.calls = append(r.calls, k)
}

// FlowEnd implements dissect.Handler.
func (r *reading) FlowEnd(f *dissect.Flow) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.Protocol != nil && r.name == "" {
		r.name = f.Protocol.Name
	}
	if f.Protocol != nil {
		r.parsed[f.Protocol.Name] = true
	}
}

// Batch implements dissect.Handler.
func (r *reading) Batch() {}

// done is how many calls were answered, by what sync handed over.
func (r *reading) done() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.answered
}

// sync waits until what was said is dissected.
func (r *reading) sync() { r.engine.Sync() }

// close ends the conversation: calls without an answer are told as such.
func (r *reading) close() {
	if r.flow.Transport == flow.TCP {
		r.segment(0, flow.FIN|flow.ACK, nil, 0)
		r.segment(1, flow.FIN|flow.ACK, nil, 0)
		r.segment(0, flow.ACK, nil, 0)
	}
	r.engine.Close()
}

// tick moves the time on; it never goes back.
func (r *reading) tick(at int64) { r.now = max(r.now+1, at) }

// maxSegment is how many bytes go into one packet.
const maxSegment = 32 << 10

// data takes what one side said.
func (r *reading) data(d flow.Dir, b []byte, at int64) {
	r.tick(at)
	if r.flow.Transport == flow.UDP {
		r.datagram(d, b)
		return
	}
	for len(b) > 0 {
		n := min(len(b), maxSegment)
		r.segment(d, flow.ACK|flow.PSH, b[:n], 0)
		b = b[n:]
	}
}

// gap takes word of missing bytes: a packet of which only the headers were captured.
func (r *reading) gap(d flow.Dir, n, at int64) {
	r.tick(at)
	if r.flow.Transport != flow.TCP {
		return
	}
	for n = max(n, 1); n > 0; n -= maxSegment {
		r.segment(d, flow.ACK, nil, int(min(n, maxSegment)))
	}
}

// ends are the sender and the receiver of a direction.
func (r *reading) ends(d flow.Dir) (src, dst netip.AddrPort) {
	if d == 0 {
		return r.flow.Client.Addr, r.flow.Server.Addr
	}
	return r.flow.Server.Addr, r.flow.Client.Addr
}

// segment makes a TCP segment (RFC 9293, 3.1); missing bytes are behind payload.
func (r *reading) segment(d flow.Dir, flags uint8, payload []byte, missing int) {
	src, dst := r.ends(d)
	b := r.network(src, dst, flow.TCP, 20+len(payload)+missing)
	b = binary.BigEndian.AppendUint16(b, src.Port())
	b = binary.BigEndian.AppendUint16(b, dst.Port())
	b = binary.BigEndian.AppendUint32(b, r.next[d])
	ack := r.next[d.Other()]
	if flags&flow.ACK == 0 {
		ack = 0
	}
	b = binary.BigEndian.AppendUint32(b, ack)
	b = append(b, 5<<4, flags, 0xff, 0xff, 0, 0, 0, 0)
	r.next[d] += uint32(len(payload) + missing)
	if flags&(flow.SYN|flow.FIN) != 0 {
		r.next[d]++
	}
	r.feed(append(b, payload...), missing)
}

// datagram makes a UDP datagram (RFC 768).
func (r *reading) datagram(d flow.Dir, payload []byte) {
	src, dst := r.ends(d)
	payload = payload[:min(len(payload), 0xffff-48)]
	b := r.network(src, dst, flow.UDP, 8+len(payload))
	b = binary.BigEndian.AppendUint16(b, src.Port())
	b = binary.BigEndian.AppendUint16(b, dst.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	r.feed(append(append(b, 0, 0), payload...), 0)
}

// network begins a packet with the header of IPv4 (RFC 791, 3.1) or IPv6 (RFC 8200, 3).
func (r *reading) network(src, dst netip.AddrPort, proto flow.Proto, n int) []byte {
	b := r.packet[:0]
	s, d := src.Addr().Unmap(), dst.Addr().Unmap()
	if s.Is4() && d.Is4() {
		b = append(b, 0x45, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(20+n))
		b = append(b, 0, 0, 0x40, 0, 64, byte(proto), 0, 0)
		return append(append(b, s.AsSlice()...), d.AsSlice()...)
	}
	b = append(b, 0x60, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(n))
	b = append(b, byte(proto), 64)
	s16, d16 := s.As16(), d.As16()
	return append(append(b, s16[:]...), d16[:]...)
}

func (r *reading) feed(b []byte, missing int) {
	r.packet = b
	r.engine.Packet(&pcap.Packet{Time: r.now, Data: b, Length: uint32(len(b) + missing), Iface: r.iface}, r.flow.ID, r.opener)
}
