// Package reach opens connections from where it runs to what a replay speaks with, over TCP and
// UDP, and nothing that must not be spoken to.
//
// A Reacher names addresses and opens connections; a Dialer is the one that runs here, others
// ask one that runs elsewhere. What may be reached is an address, never a name, so that who
// judged it judged what is dialled. A Dialer refuses the machine's own addresses and what is no
// single other machine (Options), and bounds each connection in bytes and time, and how many
// there are at once.
//
// A Reacher is safe for concurrent use. Of a Conn one goroutine sends and another receives;
// Close may come from anywhere, ends both, and must come at last.
package reach

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/worker/query"
)

// Bounds of one connection, and of what a request may ask for.
const (
	MaxBytes = 64 << 20         // sent and received together
	MaxTime  = 10 * time.Minute // from the dialling on
	maxConns = 8                // at once
	dialTime = 5 * time.Second
)

// Errors of connections. Texts of others are those of the system: refused, no route to host.
var (
	// ErrRefused: the address must not be reached from here, or not for who asks.
	ErrRefused = query.ErrRefused
	// ErrBusy: there are too many connections already.
	ErrBusy = errors.New("too many replays are under way")
	// ErrLimit: the connection carried all that one may.
	ErrLimit = errors.New("the limit of a replay is reached")
	// ErrTarget: the other end could not be reached, or broke the connection off.
	ErrTarget = errors.New("the target")
)

// Request is a connection to open.
type Request struct {
	Transport flow.Proto // TCP or UDP
	Addr      netip.AddrPort
	Client    netip.Addr    // who spoke when it was recorded; the zero Addr: not known (Options.Inside)
	Bytes     int64         // bound on what goes both ways; 0, and more than that: MaxBytes
	Time      time.Duration // bound on how long it is open; 0, and more than that: MaxTime
	// Limited: the target must be in one of Namespaces, as far as that is known here.
	Limited    bool
	Namespaces []string
	Dry        bool // only find out whether it is refused: the connection is none, and has ended
}

// Reacher opens connections.
type Reacher interface {
	// Resolve is the addresses of a name, as they are found where the Reacher runs.
	Resolve(ctx context.Context, host string) ([]netip.Addr, error)
	// Reach opens a connection, which ends with ctx.
	Reach(ctx context.Context, r *Request) (Conn, error)
}

// Conn is a connection to a target.
type Conn interface {
	// Send sends bytes, of UDP one datagram.
	Send(b []byte) error
	// CloseSend says to the target that nothing more is sent, which over UDP cannot be said.
	CloseSend() error
	// Receive waits for the next bytes (of UDP: a datagram), which are borrowed until the next
	// Receive, and says when they came, in ns since 1970 UTC. io.EOF: the target said all.
	Receive() (b []byte, at int64, err error)
	Close() error
}

// Options of a Dialer.
type Options struct {
	Off string // why nothing is reached at all; "": it is
	// Loopback: this machine's own addresses may be reached but for Ports, since who asks sits
	// at it. Where it is false none of them is.
	Loopback bool
	Ports    []uint16 // of this program, at this machine's addresses
	// LinkLocal: link-local addresses may be reached, with the clouds' metadata behind them.
	LinkLocal bool
	// Owner is who has an address now, as far as it is known here; nil: nobody is.
	Owner func(netip.AddrPort) *dissect.Identity
	// Inside runs f where a client is, so that what it dials is what the client would reach; ok is
	// false, and f was not run, where it cannot: f is then run here. nil: it never can.
	Inside func(client netip.Addr, f func() error) (ok bool, err error)
	// Own are this machine's addresses; nil: those of its interfaces.
	Own func() ([]netip.Addr, error)
}

// Dialer reaches from here.
type Dialer struct {
	o    Options
	open atomic.Int32
}

// NewDialer makes one.
func NewDialer(o Options) *Dialer {
	if o.Own == nil {
		o.Own = interfaceAddrs
	}
	return &Dialer{o: o}
}

// interfaceAddrs are the addresses of this machine (of a pod: of its network namespace).
func interfaceAddrs() ([]netip.Addr, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("own addresses: %w", err)
	}
	var own []netip.Addr
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, p.Addr().Unmap())
		}
	}
	return own, nil
}

func refusedf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}

// Resolve implements Reacher.
func (d *Dialer) Resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if d.o.Off != "" {
		return nil, refusedf("%s", d.o.Off)
	}
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("%w cannot be named: %w", ErrTarget, err)
	}
	for i := range found {
		found[i] = found[i].Unmap()
	}
	return found, nil
}

// metadata are addresses at which clouds tell an instance its credentials, besides those that
// are link-local (AWS over IPv6, Azure, Alibaba, Oracle, Google over IPv6).
var metadata = []netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("168.63.129.16"), netip.MustParseAddr("100.100.100.200"),
	netip.MustParseAddr("192.0.0.192"), netip.MustParseAddr("fd20:ce::254"),
}

// Check says why a request is refused, nil if it is not.
func (d *Dialer) Check(r *Request) error {
	a := r.Addr.Addr().Unmap()
	switch {
	case d.o.Off != "":
		return refusedf("%s", d.o.Off)
	case r.Transport != flow.TCP && r.Transport != flow.UDP:
		return refusedf("only TCP and UDP are replayed, not %s", r.Transport)
	case !a.IsValid() || r.Addr.Port() == 0 || a.Zone() != "":
		return refusedf("%s is no address to connect to", r.Addr)
	case a.IsUnspecified():
		return refusedf("%s is no machine's address", a)
	case a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return refusedf("%s is many machines", a)
	case a.IsLinkLocalUnicast() && !d.o.LinkLocal:
		return refusedf("%s is link-local, where clouds keep an instance's credentials", a)
	case slices.Contains(metadata, a) && !d.o.LinkLocal:
		return refusedf("%s is where a cloud keeps an instance's credentials", a)
	}
	if err := d.ownAddress(a, r.Addr.Port()); err != nil {
		return err
	}
	return d.namespaces(r)
}

// ownAddress refuses this machine's addresses: programs there trust who comes from within.
func (d *Dialer) ownAddress(a netip.Addr, port uint16) error {
	own := a.IsLoopback()
	if !own {
		all, err := d.o.Own()
		if err != nil {
			return err // what cannot be judged is not reached
		}
		own = slices.Contains(all, a)
	}
	switch {
	case !own:
	case !d.o.Loopback:
		return refusedf("%s is the worker's own address", a)
	case slices.Contains(d.o.Ports, port):
		return refusedf("%s is this program itself", netip.AddrPortFrom(a, port))
	}
	return nil
}

// namespaces refuses what is known to be elsewhere. Who is not known here was judged by who asks.
func (d *Dialer) namespaces(r *Request) error {
	if !r.Limited || d.o.Owner == nil {
		return nil
	}
	if id := d.o.Owner(r.Addr); id != nil && id.Namespace != "" && !slices.Contains(r.Namespaces, id.Namespace) {
		return refusedf("%s is not in the namespaces where replays are allowed", r.Addr)
	}
	return nil
}

// Reach implements Reacher.
func (d *Dialer) Reach(ctx context.Context, r *Request) (Conn, error) {
	if err := d.Check(r); err != nil {
		return nil, err
	}
	if r.Dry {
		return none{}, nil
	}
	if d.open.Add(1) > maxConns {
		d.open.Add(-1)
		return nil, ErrBusy
	}
	c, err := d.dial(ctx, r)
	if err != nil {
		d.open.Add(-1)
		return nil, err
	}
	return c, nil
}

func (d *Dialer) dial(ctx context.Context, r *Request) (*conn, error) {
	limit, most := r.Bytes, r.Time
	if limit <= 0 || limit > MaxBytes {
		limit = MaxBytes
	}
	if most <= 0 || most > MaxTime {
		most = MaxTime
	}
	deadline := time.Now().Add(most)
	dialler := net.Dialer{Timeout: dialTime, Deadline: deadline}
	var nc net.Conn
	err := d.where(r.Client, func() (err error) {
		// An address, not a name: the socket is opened by this goroutine.
		nc, err = dialler.DialContext(ctx, r.Transport.String(), netip.AddrPortFrom(r.Addr.Addr().Unmap(), r.Addr.Port()).String())
		return err
	})
	if err != nil {
		return nil, targetError(err)
	}
	if err := nc.SetDeadline(deadline); err != nil {
		return nil, errors.Join(targetError(err), nc.Close())
	}
	c := &conn{Conn: nc, udp: r.Transport == flow.UDP, buf: make([]byte, receiveBuffer), gone: sync.OnceFunc(func() { d.open.Add(-1) })}
	c.left.Store(limit)
	c.stop = context.AfterFunc(ctx, func() { _ = nc.Close() }) // Close tells the error, if there is one
	return c, nil
}

// where runs f where a client is, or here.
func (d *Dialer) where(client netip.Addr, f func() error) error {
	if d.o.Inside != nil && client.IsValid() {
		if ok, err := d.o.Inside(client.Unmap(), f); ok || err != nil {
			return err
		}
	}
	return f()
}

// receiveBuffer is how many bytes are read at once; no datagram is longer.
const receiveBuffer = 64 << 10

// conn is a connection from here.
type conn struct {
	net.Conn
	udp  bool
	left atomic.Int64 // bytes that it may still carry
	buf  []byte
	stop func() bool
	gone func()
}

func (c *conn) take(n int) error {
	if c.left.Add(-int64(n)) < 0 {
		return ErrLimit
	}
	return nil
}

// Send implements Conn.
func (c *conn) Send(b []byte) error {
	if err := c.take(len(b)); err != nil {
		return err
	}
	_, err := c.Conn.Write(b)
	return targetError(err)
}

// CloseSend implements Conn.
func (c *conn) CloseSend() error {
	if t, ok := c.Conn.(*net.TCPConn); ok {
		return targetError(t.CloseWrite())
	}
	return nil
}

// Receive implements Conn.
func (c *conn) Receive() ([]byte, int64, error) {
	for {
		n, err := c.Conn.Read(c.buf)
		at := time.Now().UnixNano()
		switch {
		case n > 0:
			if err := c.take(n); err != nil {
				return nil, at, err
			}
			return c.buf[:n], at, nil
		case err == nil: // an empty datagram
			continue
		case errors.Is(err, io.EOF):
			return nil, at, io.EOF
		default:
			return nil, at, targetError(err)
		}
	}
}

// Close implements Conn.
func (c *conn) Close() error {
	c.stop()
	c.gone()
	if err := c.Conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return targetError(err)
	}
	return nil
}

// none is the connection of a request that was dry.
type none struct{}

func (none) Send([]byte) error               { return nil }
func (none) CloseSend() error                { return nil }
func (none) Receive() ([]byte, int64, error) { return nil, 0, io.EOF }
func (none) Close() error                    { return nil }

// targetError says what the system says of a connection, in the words of who asks.
func targetError(err error) error {
	var op *net.OpError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w refused the connection", ErrTarget)
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return fmt.Errorf("%w broke the connection off", ErrTarget)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w did not answer in time", ErrTarget)
	case errors.Is(err, net.ErrClosed), errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.As(err, &op):
		if op.Op == "dial" && op.Timeout() {
			return fmt.Errorf("%w does not answer", ErrTarget)
		}
		return fmt.Errorf("%w cannot be reached: %w", ErrTarget, op.Err)
	}
	return fmt.Errorf("%w cannot be reached: %w", ErrTarget, err)
}

// ParseTarget takes HOST:PORT apart; an IPv6 address stands in brackets.
func ParseTarget(s string) (host string, port uint16, err error) {
	host, digits, err := net.SplitHostPort(s)
	if err != nil || host == "" {
		return "", 0, fmt.Errorf("%q is no target: want HOST:PORT, as 10.0.0.1:80, [fd00::1]:80 or cart.shop:80", s)
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("%q is no target: the port is a number from 1 to 65535", s)
	}
	return host, uint16(n), nil
}
