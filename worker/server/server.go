// Package server answers a hub's questions over gRPC: it is a query.Source made remote.
//
// Answers are sent in batches: a batch goes out when it is large, or when a tenth of a second
// has passed, so a follower waits no longer than that. Sending blocks while the hub does not
// read, which holds the query back. An error of the query becomes a gRPC status; the report
// is sent all the same, as the last message.
package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
	"github.com/sshark/sshark/worker/api"
	"github.com/sshark/sshark/worker/query"
	"github.com/sshark/sshark/worker/reach"
)

const (
	batchCalls = 128
	// A hub with 1,000 workers holds a batch or two of each. gRPC takes a buffer of 32 KiB for what
	// fits into that, and one of 1 MiB for all that is larger.
	batchBytes = 24 << 10
	callBytes  = 64 // about, of one without its text
	batchTime  = 100 * time.Millisecond
	lifeTime   = time.Second // between signs of life
	// maxFlows is about how many flows an answer speaks of before their indexes begin anew, so
	// that a follower may stay for days.
	maxFlows = 1 << 10
)

// Server is the gRPC service over a source.
type Server struct {
	api.UnimplementedWorkerServer
	source query.Source
	hubs   hubs
	reach  reach.Reacher // nil: nothing is reached
}

// New makes the service. Where no hub is to tell who is who, that is all.
func New(source query.Source) *Server { return &Server{source: source} }

// Register adds the service to a gRPC server.
func (s *Server) Register(g *grpc.Server) { api.RegisterWorkerServer(g, s) }

// toStatus makes an error one that the hub understands.
func toStatus(err error) error {
	var wrong *filter.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, query.ErrRefused):
		return status.Error(codes.PermissionDenied, err.Error())
	case errors.Is(err, query.ErrNoSuchFlow):
		return status.Error(codes.NotFound, err.Error())
	case errors.Is(err, query.ErrBusy), errors.Is(err, query.ErrTooMuch):
		return status.Error(codes.ResourceExhausted, err.Error())
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, err.Error())
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, err.Error())
	}
	return status.Error(codes.Internal, err.Error())
}

// ended is why an answer ends: for the query's reason, or as its report could not be sent. Joined,
// the hub would be told the text of both, with gRPC's own words.
func ended(sent, failed error) error {
	if failed != nil {
		return failed
	}
	return sent
}

// sender gathers a batch and sends it when it is large, or by the clock.
type sender struct {
	mu     sync.Mutex
	send   func() error // sends and empties the batch; called with mu held
	due    bool         // there is something to send
	quiet  bool         // nothing was sent since the last sign of life
	closed bool
	err    error
	timer  *time.Timer
	life   *time.Timer
}

// newSender begins an answer. send must send a message also when there is nothing to tell.
func newSender(out grpc.ServerStream, send func() error) *sender {
	s := &sender{send: send, err: out.SendHeader(nil)}
	s.timer = time.AfterFunc(time.Hour, s.late)
	s.timer.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.life = time.AfterFunc(lifeTime, s.alive)
	return s
}

func (s *sender) late() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flush()
}

// alive gives a sign of life if nothing else did since the last.
func (s *sender) alive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.err != nil {
		return
	}
	if s.quiet {
		s.due = true
		s.flush()
	}
	s.quiet = true
	s.life.Reset(lifeTime)
}

// flush sends what there is. mu is held.
func (s *sender) flush() error {
	if s.due && s.err == nil {
		s.due, s.quiet = false, false
		s.err = s.send()
	}
	return s.err
}

// add runs put, which adds to the batch and says whether it is large by now.
func (s *sender) add(put func() bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	full := put()
	if !s.due {
		s.due = true
		s.timer.Reset(batchTime)
	}
	if full {
		return s.flush()
	}
	return nil
}

// close sends the rest. Nothing is sent after it.
func (s *sender) close() error {
	s.timer.Stop()
	s.life.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return s.flush()
}

// Calls implements api.WorkerServer.
func (s *Server) Calls(m *api.Request, out grpc.ServerStreamingServer[api.CallsReply]) error {
	reply := &api.CallsReply{}
	known := map[flow.ID]uint32{}
	size := 0
	send := newSender(out, func() error {
		err := out.Send(reply)
		reply, size = &api.CallsReply{}, 0
		return err
	})
	report, err := s.source.Calls(out.Context(), api.ToRequest(m), func(c *dissect.Call) error {
		return send.add(func() bool {
			if len(known) >= maxFlows && len(reply.Calls) == 0 {
				clear(known)
				reply.Anew = true
			}
			n, ok := known[c.Flow.ID]
			if !ok {
				n = uint32(len(known))
				known[c.Flow.ID] = n
				reply.Flows = append(reply.Flows, api.FromEnds(c.Flow))
			}
			call := api.FromCall(c, n)
			reply.Calls = append(reply.Calls, call)
			size += callBytes + len(call.Fields) + len(call.Summary) + len(call.GetRequestBody().GetData()) + len(call.GetResponseBody().GetData())
			return len(reply.Calls) >= batchCalls || size >= batchBytes
		})
	})
	if sendErr := send.close(); sendErr != nil {
		return sendErr
	}
	return ended(out.Send(&api.CallsReply{Report: api.FromReport(report)}), toStatus(err))
}

// Flows implements api.WorkerServer.
func (s *Server) Flows(m *api.Request, out grpc.ServerStreamingServer[api.FlowsReply]) error {
	reply := &api.FlowsReply{}
	send := newSender(out, func() error {
		err := out.Send(reply)
		reply = &api.FlowsReply{}
		return err
	})
	report, err := s.source.Flows(out.Context(), api.ToRequest(m), func(f *dissect.Flow) error {
		return send.add(func() bool {
			reply.Flows = append(reply.Flows, api.FromFlow(f))
			return len(reply.Flows) >= batchCalls
		})
	})
	if sendErr := send.close(); sendErr != nil {
		return sendErr
	}
	return ended(out.Send(&api.FlowsReply{Report: api.FromReport(report)}), toStatus(err))
}

// packetSender turns packets into a pcapng stream.
type packetSender struct {
	out     grpc.ServerStreamingServer[api.PacketsReply]
	send    *sender
	buf     []byte
	ids     map[*pcap.Interface]uint32
	flushed bool
}

func (p *packetSender) Packet(packet *pcap.Packet) error {
	return p.send.add(func() bool {
		id, ok := p.ids[packet.Iface]
		if !ok {
			id = uint32(len(p.ids))
			p.ids[packet.Iface] = id
			p.buf = pcapng.AppendInterface(p.buf, packet.Iface)
		}
		p.buf = pcapng.AppendPacket(p.buf, id, packet)
		return len(p.buf) >= batchBytes
	})
}

func (p *packetSender) Name(n pcap.Name) error {
	return p.send.add(func() bool {
		p.buf = pcapng.AppendNames(p.buf, n)
		return len(p.buf) >= batchBytes
	})
}

func (p *packetSender) Flush() error {
	return p.send.add(func() bool {
		p.flushed = true
		return true
	})
}

// Packets implements api.WorkerServer.
func (s *Server) Packets(m *api.Request, out grpc.ServerStreamingServer[api.PacketsReply]) error {
	p := &packetSender{out: out, ids: map[*pcap.Interface]uint32{}}
	p.buf = pcapng.AppendSection(nil, pcapng.Section{})
	p.send = newSender(out, func() error {
		err := out.Send(&api.PacketsReply{Pcapng: p.buf, Flush: p.flushed})
		// The message may still be read after Send: its bytes are not used again.
		p.buf, p.flushed = make([]byte, 0, len(p.buf)), false
		return err
	})
	report, err := s.source.Packets(out.Context(), api.ToRequest(m), p)
	if sendErr := p.send.close(); sendErr != nil {
		return sendErr
	}
	return ended(out.Send(&api.PacketsReply{Report: api.FromReport(report)}), toStatus(err))
}

// streamSender turns the bytes of a flow into messages.
type streamSender struct {
	send  *sender
	reply *api.StreamReply
	size  int
}

func (s *streamSender) add(p *api.Piece) error {
	return s.send.add(func() bool {
		s.reply.Pieces = append(s.reply.Pieces, p)
		s.size += len(p.Data)
		return s.size >= batchBytes || len(s.reply.Pieces) >= batchCalls
	})
}

// Data implements query.StreamSink. The bytes are copied: they wait for others.
func (s *streamSender) Data(d flow.Dir, b []byte, at int64) error {
	return s.add(&api.Piece{Direction: uint32(d), Time: at, Data: append([]byte(nil), b...)})
}

// Gap implements query.StreamSink.
func (s *streamSender) Gap(d flow.Dir, n int64, at int64) error {
	return s.add(&api.Piece{Direction: uint32(d), Time: at, Gap: n})
}

// Stream implements api.WorkerServer.
func (s *Server) Stream(m *api.Request, out grpc.ServerStreamingServer[api.StreamReply]) error {
	p := &streamSender{reply: &api.StreamReply{}}
	p.send = newSender(out, func() error {
		err := out.Send(p.reply)
		p.reply, p.size = &api.StreamReply{}, 0
		return err
	})
	report, err := s.source.Stream(out.Context(), api.ToRequest(m), p)
	if sendErr := p.send.close(); sendErr != nil {
		return sendErr
	}
	return ended(out.Send(&api.StreamReply{Report: api.FromReport(report)}), toStatus(err))
}

// Nodes implements api.WorkerServer.
func (s *Server) Nodes(ctx context.Context, _ *api.NodesRequest) (*api.NodesReply, error) {
	nodes, report, err := s.source.Nodes(ctx)
	if err != nil {
		return nil, toStatus(err)
	}
	reply := &api.NodesReply{Report: api.FromReport(report)}
	for i := range nodes {
		reply.Nodes = append(reply.Nodes, api.FromNode(&nodes[i]))
	}
	return reply, nil
}
