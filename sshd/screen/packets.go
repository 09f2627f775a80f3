package screen

import (
	"context"
	"time"

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
		part.Since, part.Until = until-step, until
		last := whole || part.Since <= since || step > int64(time.Hour)
		if last { // all of it, also what is older than the nodes know of
			part.Since, part.Until = r.Since, r.Until
		}
		kept := query.NewNewest(n, newestBytes)
		got, err := b.source.Packets(ctx, &part, kept)
		if err != nil {
			return report(got), err
		}
		if !last && kept.Len() < n {
			continue
		}
		return report(got), kept.HandOn(packetSink{out})
	}
}

// newestBytes bounds what is held of packets until they are known to be the newest.
const newestBytes = 64 << 20

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

// Stream implements tui.Backend.
func (b *Backend) Stream(ctx context.Context, stream string, out tui.StreamSink) (tui.Report, error) {
	id, err := flow.ParseID(stream)
	if err != nil {
		return tui.Report{}, err
	}
	r, err := b.source.Stream(ctx, &query.Request{Stream: id, Vantage: query.Both}, out)
	return report(r), err
}
