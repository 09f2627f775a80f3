package screen

import (
	"bytes"
	"context"
	"net/netip"
	"time"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/tui"
	"github.com/sshark/sshark/worker/query"
)

// Packets implements tui.Backend.
func (b *Backend) Packets(ctx context.Context, q tui.Query, out tui.PacketSink) (tui.Report, error) {
	r, err := request(&q)
	if err != nil {
		return tui.Report{}, err
	}
	if r.Last > 0 {
		return b.newest(ctx, r, out)
	}
	got, err := b.source.Packets(ctx, r, packetSink{out})
	return report(got), err
}

// packetSink is a tui.PacketSink as a query.PacketSink.
type packetSink struct{ tui.PacketSink }

// Flush implements query.PacketSink.
func (packetSink) Flush() error { return nil }

// A window is searched for its newest packets from its end on, in steps that grow: a cluster
// keeps millions of packets where a screen shows some.
const (
	firstStep = int64(time.Second)
	growth    = 16
)

// newest hands out the newest packets of a window.
func (b *Backend) newest(ctx context.Context, r *query.Request, out tui.PacketSink) (tui.Report, error) {
	n := r.Last
	oldest, newest, whole := b.kept(ctx)
	until := newest + 1
	if r.Until != 0 {
		until = min(r.Until, until)
	}
	since := max(r.Since, oldest)
	for step := firstStep; ; step *= growth {
		part := *r
		part.Last, part.Since, part.Until = 0, until-step, until
		last := whole || part.Since <= since || step > int64(time.Hour)
		if last { // all of it, also what is older than the nodes know of
			part.Since, part.Until = r.Since, r.Until
		}
		ring := ring{max: n}
		got, err := b.source.Packets(ctx, &part, packetSink{&ring})
		if err != nil {
			return report(got), err
		}
		if !last && len(ring.list) < n {
			continue
		}
		for _, name := range ring.names {
			if err := out.Name(name); err != nil {
				return report(got), err
			}
		}
		for i := range ring.list {
			if err := out.Packet(&ring.list[(ring.next+i)%len(ring.list)]); err != nil {
				return report(got), err
			}
		}
		return report(got), nil
	}
}

// kept is the span of time that the nodes have packets of; whole says that it is read as a
// whole in any case, as files are.
func (b *Backend) kept(ctx context.Context) (oldest, newest int64, whole bool) {
	nodes, _, err := b.source.Nodes(ctx)
	whole = true
	for i := range nodes {
		n := &nodes[i]
		whole = whole && n.State == "reading"
		newest = max(newest, n.Newest)
		if n.Oldest != 0 && (oldest == 0 || n.Oldest < oldest) {
			oldest = n.Oldest
		}
	}
	return oldest, newest, whole || err != nil
}

// ring keeps copies of the newest packets, and the last name of each address.
type ring struct {
	names map[netip.Addr]pcap.Name
	list  []pcap.Packet
	next  int // that is written over
	max   int
}

// maxNames bounds the names of a ring.
const maxNames = 1 << 14

// Name implements tui.PacketSink.
func (g *ring) Name(n pcap.Name) error {
	if g.names == nil {
		g.names = map[netip.Addr]pcap.Name{}
	}
	if len(g.names) < maxNames {
		g.names[n.Addr] = n
	}
	return nil
}

// Packet implements tui.PacketSink.
func (g *ring) Packet(p *pcap.Packet) error {
	own := *p
	own.Data = bytes.Clone(p.Data)
	if len(g.list) < g.max {
		g.list = append(g.list, own)
		return nil
	}
	g.list[g.next] = own
	g.next = (g.next + 1) % g.max
	return nil
}

// Stream implements tui.Backend.
func (b *Backend) Stream(ctx context.Context, stream string, out tui.StreamSink) (tui.Report, error) {
	id, err := flow.ParseID(stream)
	if err != nil {
		return tui.Report{}, err
	}
	r, err := b.source.Stream(ctx, &query.Request{Stream: id, Vantage: query.Both}, out)
	return report(r), err
}
