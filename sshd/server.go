package sshd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"charm.land/ssh"
	gossh "golang.org/x/crypto/ssh"

	"github.com/sshark/sshark/sshd/auth"
)

// Server is the console's SSH server.
type Server struct {
	o        Options
	ln       net.Listener
	ssh      *ssh.Server
	keys     *auth.Keys         // nil: keys do not get in
	certs    *auth.Certificates // nil: certificates do not get in
	tokens   *auth.TokenDoor    // nil: tokens do not get in
	policy   *auth.Authority
	usage    *usage
	trail    *trail
	gate     *gate
	sessions *tally
	replays  *tally // that are under way

	// stopping ends all sessions; its cause is what they say.
	stopping context.Context
	stop     context.CancelCauseFunc
}

var errStopping = errors.New("the server is stopping")

// banner is what clients are told that speaks (RFC 4253, 4.2). OpenSSH's client says that nobody
// reads its standard output any more (eow@openssh.com, as behind `| head`, or when Wireshark is
// closed) to servers only whose banner begins with OpenSSH; to others it goes on taking and throws
// away. libssh wants the digits of a version behind it.
const banner = "OpenSSH_9.9 sshark"

// New opens the listener, so that what cannot work is known before anybody is told to connect.
func New(o Options) (*Server, error) {
	switch {
	case o.Source == nil, o.Log == nil:
		return nil, errors.New("start ssh server: Source and Log are needed")
	case o.AuthorizedKeys == "" && o.UserCA == "" && o.Tokens == nil:
		return nil, errors.New("start ssh server: nobody could get in: want authorized keys, a user CA, or Kubernetes tokens")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Observer == nil {
		o.Observer = blind{}
	}
	o.Limits = o.Limits.withDefaults()
	signers, err := o.signers()
	if err != nil {
		return nil, err
	}
	s := &Server{o: o, usage: newUsage(o.Now), trail: newTrail(o.Audit, o.Log), gate: newGate(o.Limits, o.Now), sessions: newTally(o.Limits.Sessions), replays: newTally(maxReplays)}
	s.policy, err = auth.NewAuthority(auth.AuthorityOptions{Path: o.Policy, Reviews: o.Reviews, Log: o.Log, Now: o.Now})
	if err != nil {
		return nil, fmt.Errorf("start ssh server: %w", err)
	}
	s.doors()
	s.stopping, s.stop = context.WithCancelCause(context.Background())
	s.ssh = &ssh.Server{
		Version:          banner,
		HandshakeTimeout: o.Limits.Handshake,
		PublicKeyHandler: s.publicKey,
		Handler:          s.handler(),
		SubsystemHandlers: map[string]ssh.SubsystemHandler{
			"sftp": ssh.SubsystemHandler(s.handler()),
		},
		ChannelHandlers: map[string]ssh.ChannelHandler{
			"session": s.channel,
			"default": refuseChannel,
		},
		RequestHandlers:      map[string]ssh.RequestHandler{}, // no tcpip-forward, no streamlocal-forward
		ConnCallback:         s.connection,
		PtyCallback:          s.terminal,
		ServerConfigCallback: s.config,
		ConnectionFailedCallback: func(c net.Conn, err error) {
			o.Log.Info("connection", "remote", c.RemoteAddr().String(), "error", err.Error())
		},
	}
	if s.tokens != nil {
		s.ssh.KeyboardInteractiveHandler = s.token
	}
	for _, signer := range signers {
		s.ssh.AddHostKey(signer)
	}
	if s.ln = o.Listener; s.ln != nil {
		return s, nil
	}
	if s.ln, err = net.Listen("tcp", o.Listen); err != nil {
		return nil, fmt.Errorf("listen for ssh: %w", err)
	}
	return s, nil
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// Serve serves until ctx ends, then ends all sessions, and returns when they have ended or
// after Limits.Grace. It returns nil then.
func (s *Server) Serve(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() { failed <- s.ssh.Serve(s.ln) }()
	select {
	case err := <-failed:
		if errors.Is(err, net.ErrClosed) { // by Shutdown
			return nil
		}
		return fmt.Errorf("serve ssh: %w", err)
	case <-ctx.Done():
	}
	s.stop(errStopping)
	grace, cancel := context.WithTimeout(context.Background(), s.o.Limits.Grace)
	defer cancel()
	if err := s.Shutdown(grace); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	<-failed
	return nil
}

// Shutdown stops accepting, waits until the sessions have ended or ctx does, and closes the
// rest.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop(errStopping)
	ended := s.sessions.close() // sessions, not connections: an idle master would be waited for
	// The library's own Shutdown waits for connections in a way that races with new ones.
	err := s.ln.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	select {
	case <-ended:
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.gate.closeAll()
	return err
}

// connection decides about a new connection before a byte is read: nil closes it.
func (s *Server) connection(_ ssh.Context, c net.Conn) net.Conn {
	if t, ok := c.(*net.TCPConn); ok {
		// A client that is gone without a word is noticed, and its queries end.
		_ = t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3})
	}
	g, err := s.gate.enter(c)
	if err != nil {
		s.o.Observer.ConnectionRefused()
		s.trail.line("connection refused", append([]slog.Attr{slog.String("remote", c.RemoteAddr().String())}, refusedAttrs(err)...)...)
		return nil
	}
	return g
}

// terminal says whether a session may have one.
func (s *Server) terminal(ctx ssh.Context, _ ssh.Pty) bool {
	u, err := userOf(ctx)
	return err == nil && !u.NoPty
}

func addrOf(a net.Addr) netip.Addr {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// refuseChannel refuses forwarding of every kind.
func refuseChannel(srv *ssh.Server, conn *gossh.ServerConn, ch gossh.NewChannel, ctx ssh.Context) {
	_ = ch.Reject(gossh.Prohibited, "this console forwards nothing")
}
