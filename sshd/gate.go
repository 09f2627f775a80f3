package sshd

import (
	"errors"
	"net"
	"sync"
	"time"

	"github.com/sshark/sshark/sshd/auth"
)

var (
	errRate       = errors.New("too many new connections from this address")
	errConns      = errors.New("too many connections")
	errHandshakes = errors.New("too many connections that have not signed in")
)

// gate counts connections and bounds them before they cost anything.
type gate struct {
	limits Limits
	rate   *auth.Rate

	mu         sync.Mutex
	conns      map[string]*gatedConn // by the client's address and port
	handshakes int
	closed     bool
}

func newGate(l Limits, now func() time.Time) *gate {
	return &gate{limits: l, rate: auth.NewRate(l.Rate, l.Burst, now), conns: map[string]*gatedConn{}}
}

// enter lets a connection in, or says why not. What it returns must be closed.
func (g *gate) enter(c net.Conn) (net.Conn, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.closed:
		return nil, errStopping
	case !g.rate.Take(addrOf(c.RemoteAddr())):
		return nil, errRate
	case len(g.conns) >= g.limits.Connections:
		return nil, errConns
	case g.handshakes >= g.limits.Handshakes:
		return nil, errHandshakes
	}
	gc := &gatedConn{Conn: c, gate: g, key: c.RemoteAddr().String(), handshake: true}
	g.conns[gc.key] = gc
	g.handshakes++
	return gc, nil
}

// signedIn says that the connection from an address and port did.
func (g *gate) signedIn(remote net.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c := g.conns[remote.String()]; c != nil && c.handshake {
		c.handshake = false
		g.handshakes--
	}
}

// closeAll closes what is open, and lets nothing more in.
func (g *gate) closeAll() {
	g.mu.Lock()
	g.closed = true
	open := make([]*gatedConn, 0, len(g.conns))
	for _, c := range g.conns {
		open = append(open, c)
	}
	g.mu.Unlock()
	for _, c := range open {
		_ = c.Close() // nobody waits for what it says
	}
}

// gatedConn is counted until it is closed.
type gatedConn struct {
	net.Conn
	gate      *gate
	key       string
	handshake bool // guarded by gate.mu
	once      sync.Once
}

func (c *gatedConn) Close() error {
	c.once.Do(func() {
		c.gate.mu.Lock()
		defer c.gate.mu.Unlock()
		delete(c.gate.conns, c.key)
		if c.handshake {
			c.gate.handshakes--
		}
	})
	return c.Conn.Close()
}

var errSessions = errors.New("too many sessions are open; try again later")

// tally counts sessions up to a limit, and tells when the last one has ended.
type tally struct {
	most int

	mu     sync.Mutex
	n      int
	closed bool
	ended  chan struct{}
}

func newTally(most int) *tally { return &tally{most: most, ended: make(chan struct{})} }

func (t *tally) enter() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return errStopping
	case t.n >= t.most:
		return errSessions
	}
	t.n++
	return nil
}

func (t *tally) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n--; t.n == 0 && t.closed {
		close(t.ended)
	}
}

// close lets nobody in any more; the channel is closed when the last one has left.
func (t *tally) close() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.closed = true
		if t.n == 0 {
			close(t.ended)
		}
	}
	return t.ended
}
