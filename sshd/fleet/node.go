package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

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
type Node struct {
	client    api.WorkerClient
	protocols map[string]*dissect.Protocol
}

// Errors of a node.
var (
	ErrUnreachable = errors.New("node did not answer")
	ErrRefused     = errors.New("node refused the question")
)

// NewNode asks over a connection, which stays the caller's.
func NewNode(conn grpc.ClientConnInterface, protocols []*dissect.Protocol) *Node {
	n := &Node{client: api.NewWorkerClient(conn), protocols: map[string]*dissect.Protocol{}}
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

// fromStatus makes a gRPC error one of ours.
func fromStatus(err error) error {
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	switch st.Code() {
	case codes.OK:
		return nil
	case codes.Canceled:
		return context.Canceled
	case codes.InvalidArgument, codes.PermissionDenied:
		return fmt.Errorf("%w: %s", ErrRefused, st.Message())
	case codes.NotFound:
		return fmt.Errorf("%w: %s", query.ErrNoSuchFlow, st.Message())
	}
	return fmt.Errorf("%w: %s", ErrUnreachable, st.Message())
}

// receive reads a stream to its end. each returns the report once that has come.
func receive[T any](stream grpc.ServerStreamingClient[T], err error, each func(*T) (*api.Report, error)) (*query.Report, error) {
	if err != nil {
		return nil, fromStatus(err)
	}
	var report *query.Report
	for {
		m, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			if report == nil {
				return nil, fmt.Errorf("%w: the answer ended early", ErrUnreachable)
			}
			return report, nil
		case err != nil:
			return report, fromStatus(err)
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
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := n.client.Calls(ctx, api.FromRequest(r))
	var flows []*dissect.Flow
	return receive(stream, err, func(m *api.CallsReply) (*api.Report, error) {
		if m.Anew {
			flows = nil // calls that were handed out keep theirs
		}
		for _, f := range m.Flows {
			flows = append(flows, api.ToFlow(f, n.protocols))
		}
		for _, c := range m.Calls {
			if int(c.Flow) >= len(flows) {
				return nil, fmt.Errorf("%w: a call of flow %d, of which nothing was said", ErrUnreachable, c.Flow)
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
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := n.client.Flows(ctx, api.FromRequest(r))
	return receive(stream, err, func(m *api.FlowsReply) (*api.Report, error) {
		for _, f := range m.Flows {
			if err := each(api.ToFlow(f, n.protocols)); err != nil {
				return nil, err
			}
		}
		return m.Report, nil
	})
}

// pipe makes the packets of an answer one stream of bytes. Before it waits for more it hands
// on the worker's word that there was no more at the moment.
type pipe struct {
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
		m, err := p.stream.Recv()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				p.err = fromStatus(err)
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
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := n.client.Packets(ctx, api.FromRequest(r))
	if err != nil {
		return nil, fromStatus(err)
	}
	p := &pipe{stream: stream, out: out}
	err = p.packets(out)
	if p.err != nil {
		err = p.err
	}
	if err == nil && p.report == nil {
		err = fmt.Errorf("%w: the answer ended early", ErrUnreachable)
	}
	if p.report == nil {
		return nil, err
	}
	return api.ToReport(p.report), err
}

// packets reads the stream to its end.
func (p *pipe) packets(out query.PacketSink) error {
	var nameErr error
	reader, err := pcapng.NewReader(p, pcapng.ReaderOptions{Buffer: 256 << 10, OnName: func(name pcap.Name) {
		if nameErr == nil {
			nameErr = out.Name(name)
		}
	}})
	if err != nil {
		return fmt.Errorf("%w: its packets cannot be read: %w", ErrUnreachable, err)
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
			return fmt.Errorf("%w: its packets cannot be read: %w", ErrUnreachable, err)
		}
		if err := out.Packet(&packet); err != nil {
			return err
		}
	}
}

// Stream implements query.Source.
func (n *Node) Stream(ctx context.Context, r *query.Request, out query.StreamSink) (*query.Report, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := n.client.Stream(ctx, api.FromRequest(r))
	return receive(stream, err, func(m *api.StreamReply) (*api.Report, error) {
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
	m, err := n.client.Nodes(ctx, &api.NodesRequest{})
	if err != nil {
		return nil, nil, fromStatus(err)
	}
	var nodes []query.Node
	for _, x := range m.Nodes {
		nodes = append(nodes, api.ToNode(x))
	}
	return nodes, api.ToReport(m.Report), nil
}
