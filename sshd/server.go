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
	keys     *auth.Keys
	policy   auth.Policy
	gate     *gate
	sessions *tally

	// stopping ends all sessions; its cause is what they say.
	stopping context.Context
	stop     context.CancelCauseFunc
}

var errStopping = errors.New("the server is stopping")

// New opens the listener, so that what cannot work is known before anybody is told to connect.
func New(o Options) (*Server, error) {
	switch {
	case o.Source == nil, o.Log == nil, o.AuthorizedKeys == "":
		return nil, errors.New("start ssh server: Source, Log and AuthorizedKeys are needed")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Limits = o.Limits.withDefaults()
	signers, err := o.signers()
	if err != nil {
		return nil, err
	}
	s := &Server{o: o, keys: auth.NewKeys(o.AuthorizedKeys, o.Log, o.Now), policy: o.Policy, gate: newGate(o.Limits, o.Now), sessions: newTally(o.Limits.Sessions)}
	if s.policy == nil {
		s.policy = auth.AllowAll()
	}
	s.stopping, s.stop = context.WithCancelCause(context.Background())
	s.ssh = &ssh.Server{
		Version:          "sshark",
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
		s.o.Log.Warn("connection refused", "remote", c.RemoteAddr().String(), "error", err.Error())
		return nil
	}
	return g
}

// terminal says whether a session may have one.
func (s *Server) terminal(ctx ssh.Context, _ ssh.Pty) bool {
	u, err := userOf(ctx)
	return err == nil && !u.NoPty
}

func (s *Server) config(ctx ssh.Context) *gossh.ServerConfig {
	c := serverConfig()
	c.AuthLogCallback = func(m gossh.ConnMetadata, method string, err error) {
		switch {
		case err == nil:
			s.gate.signedIn(m.RemoteAddr())
		case method != "none":
			s.o.Log.Info("sign-in refused", "login", m.User(), "remote", m.RemoteAddr().String(), "method", method, "client", string(m.ClientVersion()), "error", reason(ctx, err))
		}
	}
	return c
}

// userKey is where the proven user is kept.
const userKey = "sshark-user"

// reasonKey is where the reason of a refusal waits for the log.
type reasonKey struct{}

func reason(ctx ssh.Context, err error) string {
	if why, ok := ctx.Value(reasonKey{}).(error); ok {
		return why.Error()
	}
	return err.Error()
}

// publicKey is the one handler for all that signs in with a key. It is called for keys that
// are only offered too: it decides nothing but what crypto/ssh will tie to the proven key.
func (s *Server) publicKey(ctx ssh.Context, key ssh.PublicKey) bool {
	u, err := s.keys.Check(ctx.User(), addrOf(ctx.RemoteAddr()), key)
	ctx.SetValue(reasonKey{}, err)
	if err != nil {
		return false
	}
	ctx.Permissions().Permissions = &gossh.Permissions{Extensions: map[string]string{userKey: u.Marshal()}}
	return true
}

// userOf is who a session belongs to.
func userOf(ctx ssh.Context) (*auth.User, error) {
	p := ctx.Permissions()
	if p == nil || p.Permissions == nil {
		return nil, errors.New("the session has no proven user")
	}
	return auth.UnmarshalUser(p.Extensions[userKey])
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

// log is the server's log with who and where.
func (s *Server) log(u *auth.User, remote string) *slog.Logger {
	return s.o.Log.With("user", u.Name, "login", u.Login, "key", u.Key, "remote", remote)
}
