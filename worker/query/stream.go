package query

import (
	"context"
	"net/netip"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/stream"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
)

// StreamSink takes the bytes of a flow; d is 0 for client to server. Bytes are borrowed until
// the call returns. n missing bytes are a Gap (0: unknown how many).
type StreamSink interface {
	Data(d flow.Dir, b []byte, at int64) error
	Gap(d flow.Dir, n int64, at int64) error
}

// heldOfStream bounds what waits behind holes of one flow, in bytes.
const heldOfStream = 16 << 20

// assembly puts the packets of one flow in order.
type assembly struct {
	id     flow.ID
	client netip.AddrPort
	out    StreamSink
	tcp    stream.TCP
	header flow.Header
	ready  bool
	turned bool // direction 0 of the key is the server's
	last   int64
	err    error
}

func newAssembly(f *dissect.Flow, out StreamSink) *assembly {
	return &assembly{id: f.ID, client: f.Client.Addr, out: out}
}

// packet takes one packet of the flow.
func (a *assembly) packet(p *pcap.Packet) error {
	h := &a.header
	if !h.Parse(p.Iface.Link, p.Data) {
		return nil
	}
	if !a.ready {
		a.ready = true
		a.tcp.Init(stream.NewPool(heldOfStream, heldOfStream))
		a.turned = h.Key.Addr(flow.AtoB) != a.client
	}
	a.last = p.Time
	switch {
	case h.Fragments: // of a datagram or segment that is not put together here
		a.Gap(h.Dir, 0, p.Time)
	case h.Key.Proto == flow.TCP:
		a.tcp.Segment(h, h.Dir, h.Data(p.Data), uint32(h.WireEnd-h.End), p.Time, a)
	default:
		if b := h.Data(p.Data); len(b) > 0 {
			a.Data(h.Dir, b, p.Time)
		}
		if n := h.WireEnd - h.End; n > 0 { // a snap length cut it
			a.Gap(h.Dir, int64(n), p.Time)
		}
	}
	return a.err
}

// close hands on what waits behind holes.
func (a *assembly) close() error {
	if a.ready && a.err == nil {
		a.tcp.Close(a.last, a)
	}
	return a.err
}

func (a *assembly) side(d flow.Dir) flow.Dir {
	if a.turned {
		return d.Other()
	}
	return d
}

// Data implements stream.Receiver.
func (a *assembly) Data(d flow.Dir, b []byte, time int64) {
	if a.err == nil {
		a.err = a.out.Data(a.side(d), b, time)
	}
}

// Gap implements stream.Receiver.
func (a *assembly) Gap(d flow.Dir, n int64, time int64) {
	if a.err == nil {
		a.err = a.out.Gap(a.side(d), n, time)
	}
}

// one finds the flow that a question about a stream means.
func one(ctx context.Context, s Source, asked *Request) (*dissect.Flow, *Report, error) {
	var found *dissect.Flow
	report, err := s.Flows(ctx, &Request{Stream: asked.Stream, Vantage: Both, Access: asked.Access}, func(f *dissect.Flow) error {
		own := *f
		found = &own
		return ErrStop
	})
	if err == nil && found == nil {
		err = errFlow(asked.Stream)
	}
	return found, report, err
}

// Stream implements Source.
func (s *Stored) Stream(ctx context.Context, asked *Request, out StreamSink) (*Report, error) {
	if asked.Access.Metadata {
		return nil, errStream
	}
	f, report, err := one(ctx, s, asked)
	if err != nil {
		return report, err
	}
	r := &Request{Stream: asked.Stream}
	q, err := s.reading(r)
	if err != nil {
		return report, err
	}
	a := newAssembly(f, out)
	if err := q.read(ctx, r, 0, 0, nil, func(p *pcap.Packet, _ flow.ID, _ flow.Opener) error { return a.packet(p) }, nil); err != nil {
		return q.report(1), err
	}
	return q.report(1), a.close()
}

// Stream implements Source.
func (f *File) Stream(ctx context.Context, asked *Request, out StreamSink) (*Report, error) {
	if asked.Access.Metadata {
		return nil, errStream
	}
	fl, report, err := one(ctx, f, asked)
	if err != nil {
		return report, err
	}
	a := newAssembly(fl, out)
	p := f.pass()
	tracker := flow.NewTracker[bool](trackedFlows, nil)
	var h flow.Header
	err = p.read(ctx, nil, func(packet *pcap.Packet) error {
		h.Parse(packet.Iface.Link, packet.Data)
		if e, _ := tracker.Packet(packet, &h); e.ID != asked.Stream {
			return nil
		}
		return a.packet(packet)
	})
	if err != nil {
		return p.reported(1), err
	}
	return p.reported(1), a.close()
}
