package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sshark/sshark/worker/api"
	"github.com/sshark/sshark/worker/query"
	"github.com/sshark/sshark/worker/reach"
)

var (
	_ reach.Reacher = (*Node)(nil)
	_ reach.Reacher = (*connection)(nil)
	_ reach.Reacher = (*absentee)(nil)
)

// From is who opens connections from a node. Its errors are ErrNoNode, and ErrUnreachable with the
// reason.
func (f *Fleet) From(node string) (reach.Reacher, error) {
	members := f.of(&query.Request{Node: node})
	if node == "" || len(members) == 0 {
		return nil, fmt.Errorf("%w %q; nodes are listed by: nodes", ErrNoNode, node)
	}
	r, ok := members[0].Source.(reach.Reacher)
	if !ok {
		return nil, unreachable("%s opens no connections", node)
	}
	return r, nil
}

// reachError makes the error of a worker one of package reach, or of this one.
func reachError(err error) error {
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	wrapped := func(sentinel error) error {
		return fmt.Errorf("%w%s", sentinel, strings.TrimPrefix(st.Message(), sentinel.Error()))
	}
	switch st.Code() {
	case codes.Aborted:
		return wrapped(reach.ErrBusy)
	case codes.ResourceExhausted:
		return wrapped(reach.ErrLimit)
	case codes.FailedPrecondition:
		return wrapped(reach.ErrTarget)
	case codes.Unimplemented:
		return unreachable("its worker opens no connections for replays: it is older than the hub, or replay is turned off")
	}
	return fromStatus(err)
}

// Resolve implements reach.Reacher.
func (n *Node) Resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	m, err := n.client.Resolve(ctx, &api.ResolveRequest{Host: host})
	if err != nil {
		return nil, reachError(err)
	}
	var found []netip.Addr
	for _, ip := range m.Ips {
		if a, ok := netip.AddrFromSlice(ip); ok {
			found = append(found, a.Unmap())
		}
	}
	return found, nil
}

// Reach implements reach.Reacher.
func (n *Node) Reach(ctx context.Context, r *reach.Request) (reach.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := n.client.Reach(ctx)
	if err != nil {
		cancel()
		return nil, reachError(err)
	}
	// An error of sending is told by what is received (grpc.ClientStream.SendMsg).
	_ = stream.Send(&api.ReachRequest{Target: &api.Target{Transport: uint32(r.Transport), Ip: r.Addr.Addr().Unmap().AsSlice(), Port: uint32(r.Addr.Port()),
		Bytes: r.Bytes, Time: int64(r.Time), Limited: r.Limited, Namespaces: r.Namespaces, Dry: r.Dry}})
	if _, err := stream.Recv(); err != nil {
		cancel()
		return nil, reachError(err)
	}
	return &remote{stream: stream, cancel: cancel}, nil
}

// remote is a connection from a worker.
type remote struct {
	stream interface {
		Send(*api.ReachRequest) error
		Recv() (*api.ReachReply, error)
	}
	cancel context.CancelFunc
	ended  bool
}

// maxSent is how many bytes go into one message.
const maxSent = 256 << 10

// Send implements reach.Conn. A datagram is never longer than one message.
func (c *remote) Send(b []byte) error {
	for len(b) > 0 {
		n := min(len(b), maxSent)
		if err := c.stream.Send(&api.ReachRequest{Data: b[:n]}); err != nil {
			return fmt.Errorf("%w broke the connection off", reach.ErrTarget) // Receive says more
		}
		b = b[n:]
	}
	return nil
}

// CloseSend implements reach.Conn.
func (c *remote) CloseSend() error {
	if err := c.stream.Send(&api.ReachRequest{End: true}); err != nil {
		return fmt.Errorf("%w broke the connection off", reach.ErrTarget)
	}
	return nil
}

// Receive implements reach.Conn.
func (c *remote) Receive() ([]byte, int64, error) {
	for !c.ended {
		m, err := c.stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			c.ended = true
		case err != nil:
			return nil, 0, reachError(err)
		case len(m.Data) > 0:
			return m.Data, m.Time, nil
		default:
			c.ended = m.End
		}
	}
	return nil, 0, io.EOF
}

// Close implements reach.Conn.
func (c *remote) Close() error {
	c.cancel()
	return nil
}

// Resolve implements reach.Reacher.
func (c *connection) Resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	end, err := c.begin()
	if err != nil {
		return nil, err
	}
	defer end()
	return c.Node.Resolve(ctx, host)
}

// Reach implements reach.Reacher. The connection counts as a question until it is closed.
func (c *connection) Reach(ctx context.Context, r *reach.Request) (reach.Conn, error) {
	end, err := c.begin()
	if err != nil {
		return nil, err
	}
	conn, err := c.Node.Reach(ctx, r)
	if err != nil {
		end()
		return nil, err
	}
	return &counting{Conn: conn, end: sync.OnceFunc(end)}, nil
}

// counting is a connection that ends a question when it is closed.
type counting struct {
	reach.Conn
	end func()
}

// Close implements reach.Conn.
func (c *counting) Close() error {
	defer c.end()
	return c.Conn.Close()
}

// Resolve implements reach.Reacher.
func (a *absentee) Resolve(context.Context, string) ([]netip.Addr, error) { return nil, a.err() }

// Reach implements reach.Reacher.
func (a *absentee) Reach(context.Context, *reach.Request) (reach.Conn, error) { return nil, a.err() }
