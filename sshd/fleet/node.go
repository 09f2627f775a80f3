package fleet

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
	"github.com/sshark/sshark/worker/api"
	"github.com/sshark/sshark/worker/query"
)

// Node asks one worker over gRPC. It implements query.Source; the calls, flows and packets
// that it hands out, other than those of sources in general, stay valid for ever. What is
// wrong with the question comes back as ErrRefused, what is wrong with the worker or the
// way to it as ErrUnreachable.
//
// A worker gives a sign of life at once and then each second, whatever it is busy with, so one
// that is silent while it is listened to is gone: its answer ends then. One that is slow is
// waited for.
type Node struct {
	client    api.WorkerClient
	protocols map[string]*dissect.Protocol
	silence   time.Duration
	problem   func() string // what others know to be wrong with it, nil: nothing
}

// silence is how long a worker may say nothing, if nobody says otherwise.
const silence = 5 * time.Second

// NewNode asks over a connection, which stays the caller's.
func NewNode(conn grpc.ClientConnInterface, protocols []*dissect.Protocol) *Node {
	n := &Node{client: api.NewWorkerClient(conn), protocols: map[string]*dissect.Protocol{}, silence: silence}
	for _, p := range protocols {
		n.protocols[p.Name] = p
	}
	return n
}

// protocol is the description of a protocol that the worker named, also of one that only a
// newer worker knows.
func (n *Node) protocol(name string) *dissect.Protocol {
	if p := n.protocols[name]; p != nil {
		return p
	}
	return &dissect.Protocol{Name: name, Title: name}
}

// errSilent is the cause of a question's end if the worker fell silent.
var errSilent = errors.New("silent")

// asking is a question under way.
type asking struct {
	node   *Node
	ctx    context.Context // of the stream
	outer  context.Context // of the asker
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

// ask begins to wait for a worker.
func (n *Node) ask(ctx context.Context) *asking {
	a := &asking{node: n, outer: ctx}
	a.ctx, a.cancel = context.WithCancelCause(ctx)
	a.timer = time.AfterFunc(n.silence, func() { a.cancel(errSilent) })
	return a
}

// listen waits again, and heard is called when something came: what the hub does in between
// is not the worker's silence.
func (a *asking) listen() { a.timer.Reset(a.node.silence) }
func (a *asking) heard()  { a.timer.Stop() }

func (a *asking) end() {
	a.timer.Stop()
	a.cancel(nil)
}

// failed makes the error of a stream one of ours.
func (a *asking) failed(err error) error {
	if a.outer.Err() != nil {
		return a.outer.Err()
	}
	if errors.Is(context.Cause(a.ctx), errSilent) {
		err = unreachable("nothing came for %v", a.node.silence)
	} else {
		err = fromStatus(err)
	}
	if a.node.problem != nil && errors.Is(err, ErrUnreachable) {
		if problem := a.node.problem(); problem != "" {
			err = unreachable("%s (%s)", reason(err), problem)
		}
	}
	return err
}

// begin waits for the worker's first sign of life, and tells it.
func (a *asking) begin(stream grpc.ClientStream, r *query.Request) error {
	if _, err := stream.Header(); err != nil {
		return a.failed(err)
	}
	a.heard()
	if r.Notice != nil {
		r.Notice(query.NodeReport{})
	}
	return nil
}

// receive reads a stream to its end. each returns the report once that has come.
func receive[T any](a *asking, r *query.Request, stream grpc.ServerStreamingClient[T], err error, each func(*T) (*api.Report, error)) (*query.Report, error) {
	defer a.end()
	if err != nil {
		return nil, a.failed(err)
	}
	if err := a.begin(stream, r); err != nil {
		return nil, err
	}
	var report *query.Report
	for {
		a.listen()
		m, err := stream.Recv()
		a.heard()
		switch {
		case errors.Is(err, io.EOF):
			if report == nil {
				return nil, unreachable("the answer ended early")
			}
			return report, nil
		case err != nil:
			return report, a.failed(err)
		}
		r, err := each(m)
		if r != nil {
			report = api.ToReport(r)
		}
		if err != nil {
			return report, err
		}
	}
}

// Calls implements query.Source.
func (n *Node) Calls(ctx context.Context, r *query.Request, each func(*dissect.Call) error) (*query.Report, error) {
	a := n.ask(ctx)
	stream, err := n.client.Calls(a.ctx, api.FromRequest(r))
	var flows []*dissect.Flow
	var names api.Names
	return receive(a, r, stream, err, func(m *api.CallsReply) (*api.Report, error) {
		if m.Anew {
			flows = nil // calls that were handed out keep theirs
		}
		for _, f := range m.Flows {
			flows = append(flows, api.ToFlow(f, n.protocols, &names))
		}
		for _, c := range m.Calls {
			if int(c.Flow) >= len(flows) {
				return nil, unreachable("it told a call of flow %d, of which nothing was said", c.Flow)
			}
			if err := each(api.ToCall(c, flows[c.Flow], n.protocol(c.Protocol))); err != nil {
				return nil, err
			}
		}
		return m.Report, nil
	})
}

// Flows implements query.Source.
func (n *Node) Flows(ctx context.Context, r *query.Request, each func(*dissect.Flow) error) (*query.Report, error) {
	a := n.ask(ctx)
	stream, err := n.client.Flows(a.ctx, api.FromRequest(r))
	var names api.Names
	return receive(a, r, stream, err, func(m *api.FlowsReply) (*api.Report, error) {
		for _, f := range m.Flows {
			if err := each(api.ToFlow(f, n.protocols, &names)); err != nil {
				return nil, err
			}
		}
		return m.Report, nil
	})
}

// pipe makes the packets of an answer one stream of bytes. Before it waits for more it hands
// on the worker's word that there was no more at the moment.
type pipe struct {
	asking *asking
	stream grpc.ServerStreamingClient[api.PacketsReply]
	out    query.PacketSink
	rest   []byte
	flush  bool
	report *api.Report
	err    error // why the stream ended, nil: as it should
}

// Read implements io.Reader.
func (p *pipe) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		if p.flush {
			p.flush = false
			if p.err = p.out.Flush(); p.err != nil {
				return 0, io.EOF
			}
		}
		p.asking.listen()
		m, err := p.stream.Recv()
		p.asking.heard()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				p.err = p.asking.failed(err)
			}
			return 0, io.EOF
		}
		p.rest, p.flush = m.Pcapng, m.Flush
		if m.Report != nil {
			p.report = m.Report
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// Packets implements query.Source. Packets' bytes are borrowed, as from any source.
func (n *Node) Packets(ctx context.Context, r *query.Request, out query.PacketSink) (*query.Report, error) {
	a := n.ask(ctx)
	defer a.end()
	stream, err := n.client.Packets(a.ctx, api.FromRequest(r))
	if err != nil {
		return nil, a.failed(err)
	}
	if err := a.begin(stream, r); err != nil {
		return nil, err
	}
	p := &pipe{asking: a, stream: stream, out: out}
	err = p.packets(out)
	if p.err != nil {
		err = p.err
	}
	if err == nil && p.report == nil {
		err = unreachable("the answer ended early")
	}
	if p.report == nil {
		return nil, err
	}
	return api.ToReport(p.report), err
}

// packets reads the stream to its end.
func (p *pipe) packets(out query.PacketSink) error {
	var nameErr error
	reader, err := pcapng.NewReader(p, pcapng.ReaderOptions{Buffer: 64 << 10, OnName: func(name pcap.Name) {
		if nameErr == nil {
			nameErr = out.Name(name)
		}
	}})
	if err != nil {
		return unreachable("its packets cannot be read: %v", err)
	}
	var packet pcap.Packet
	for {
		err := reader.Next(&packet)
		switch {
		case nameErr != nil:
			return nameErr
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return unreachable("its packets cannot be read: %v", err)
		}
		if err := out.Packet(&packet); err != nil {
			return err
		}
	}
}

// Stream implements query.Source.
func (n *Node) Stream(ctx context.Context, r *query.Request, out query.StreamSink) (*query.Report, error) {
	a := n.ask(ctx)
	stream, err := n.client.Stream(a.ctx, api.FromRequest(r))
	return receive(a, r, stream, err, func(m *api.StreamReply) (*api.Report, error) {
		for _, p := range m.Pieces {
			var err error
			if d := flow.Dir(p.Direction & 1); len(p.Data) > 0 {
				err = out.Data(d, p.Data, p.Time)
			} else {
				err = out.Gap(d, p.Gap, p.Time)
			}
			if err != nil {
				return nil, err
			}
		}
		return m.Report, nil
	})
}

// Nodes implements query.Source.
func (n *Node) Nodes(ctx context.Context) ([]query.Node, *query.Report, error) {
	a := n.ask(ctx)
	defer a.end()
	m, err := n.client.Nodes(a.ctx, &api.NodesRequest{})
	if err != nil {
		return nil, nil, a.failed(err)
	}
	var nodes []query.Node
	for _, x := range m.Nodes {
		nodes = append(nodes, api.ToNode(x))
	}
	return nodes, api.ToReport(m.Report), nil
}
