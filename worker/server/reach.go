package server

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/worker/api"
	"github.com/sshark/sshark/worker/reach"
)

// Reaching makes the service open connections for replays, and returns it. It is called before
// the service is used; without it nothing is reached.
func (s *Server) Reaching(r reach.Reacher) *Server {
	s.reach = r
	return s
}

// errUnreaching is for those who ask a worker that reaches nothing.
var errUnreaching = status.Error(codes.Unimplemented, "this worker opens no connections for replays")

// reachStatus makes an error of a connection one that the hub understands.
func reachStatus(err error) error {
	switch {
	case errors.Is(err, reach.ErrBusy):
		return status.Error(codes.Aborted, err.Error())
	case errors.Is(err, reach.ErrLimit):
		return status.Error(codes.ResourceExhausted, err.Error())
	case errors.Is(err, reach.ErrTarget):
		return status.Error(codes.FailedPrecondition, err.Error())
	}
	return toStatus(err)
}

// Resolve implements api.WorkerServer.
func (s *Server) Resolve(ctx context.Context, m *api.ResolveRequest) (*api.ResolveReply, error) {
	if s.reach == nil {
		return nil, errUnreaching
	}
	found, err := s.reach.Resolve(ctx, m.Host)
	if err != nil {
		return nil, reachStatus(err)
	}
	reply := &api.ResolveReply{}
	for _, a := range found {
		reply.Ips = append(reply.Ips, a.AsSlice())
	}
	return reply, nil
}

// Reach implements api.WorkerServer.
func (s *Server) Reach(hub grpc.BidiStreamingServer[api.ReachRequest, api.ReachReply]) error {
	if s.reach == nil {
		return errUnreaching
	}
	m, err := hub.Recv()
	if err != nil {
		return toStatus(err)
	}
	r, ok := toTarget(m.Target)
	if !ok {
		return status.Error(codes.InvalidArgument, "the first message must say where to")
	}
	conn, err := s.reach.Reach(hub.Context(), r)
	if err != nil {
		return reachStatus(err)
	}
	defer conn.Close() // what it was for is over, well or not
	if err := hub.Send(&api.ReachReply{}); err != nil {
		return err
	}
	refused := make(chan error, 1) // by the target: why nothing more can be sent
	go func() { refused <- forward(hub, conn) }()
	for {
		b, at, err := conn.Receive()
		switch {
		case errors.Is(err, io.EOF):
			if err := hub.Send(&api.ReachReply{Time: at, End: true}); err != nil {
				return err
			}
			select { // the other direction may go on
			case err := <-refused:
				return reachStatus(err)
			case <-hub.Context().Done():
				return toStatus(hub.Context().Err())
			}
		case err != nil:
			select {
			case why := <-refused:
				if why != nil {
					err = why
				}
			default:
			}
			return reachStatus(err)
		}
		if err := hub.Send(&api.ReachReply{Data: b, Time: at}); err != nil {
			return err
		}
	}
}

// forward sends what the hub says until that says no more, and then, or when that fails, ends
// the connection. A hub that is gone is told nothing.
func forward(hub grpc.BidiStreamingServer[api.ReachRequest, api.ReachReply], conn reach.Conn) error {
	for {
		m, err := hub.Recv()
		if err != nil {
			_ = conn.Close() // nobody reads it any more
			return nil
		}
		if len(m.Data) > 0 {
			err = conn.Send(m.Data)
		}
		if err == nil && m.End {
			err = conn.CloseSend()
		}
		if errors.Is(err, reach.ErrLimit) {
			_ = conn.Close() // which ends Receive
			return err
		}
		if err != nil { // what the target said before is still to be read
			return err
		}
	}
}

// toTarget is the request of a message; ok is false where it makes no sense.
func toTarget(m *api.Target) (*reach.Request, bool) {
	ip, ok := netip.AddrFromSlice(m.GetIp())
	if !ok || m.Port > 0xffff || m.Transport > 0xff {
		return nil, false
	}
	return &reach.Request{Transport: flow.Proto(m.Transport), Addr: netip.AddrPortFrom(ip, uint16(m.Port)), Bytes: m.Bytes, Time: time.Duration(m.Time),
		Limited: m.Limited, Namespaces: m.Namespaces, Dry: m.Dry}, true
}
