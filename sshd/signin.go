package sshd

import (
	"errors"
	"log/slog"

	"charm.land/ssh"
	gossh "golang.org/x/crypto/ssh"

	"github.com/sshark/sshark/sshd/auth"
)

// doors opens the ways in that the options name.
func (s *Server) doors() {
	var revoked *auth.Revocations
	if s.o.Revoked != "" {
		revoked = auth.NewRevocations(s.o.Revoked, s.o.Log, s.o.Now)
	}
	if s.o.AuthorizedKeys != "" {
		s.keys = auth.NewKeys(s.o.AuthorizedKeys, revoked, s.o.Log, s.o.Now)
		s.keys.Look()
	}
	if s.o.UserCA != "" {
		s.certs = auth.NewCertificates(s.o.UserCA, revoked, s.o.Log, s.o.Now)
	}
	if s.o.Tokens != nil {
		s.tokens = auth.NewTokenDoor(s.o.Tokens, s.o.Now)
	}
}

func (s *Server) config(ctx ssh.Context) *gossh.ServerConfig {
	c := serverConfig()
	c.AuthLogCallback = func(m gossh.ConnMetadata, method string, err error) {
		if method != "none" {
			s.o.Observer.SignIn(method, err == nil)
		}
		switch {
		case err == nil:
			s.gate.signedIn(m.RemoteAddr())
		case method != "none":
			s.trail.line("sign-in refused", append([]slog.Attr{slog.String("login", bounded(m.User())), slog.String("remote", m.RemoteAddr().String()),
				slog.String("method", method), slog.String("client", bounded(string(m.ClientVersion())))}, refusedAttrs(reason(ctx, err))...)...)
		}
	}
	return c
}

// userKey is where the proven user is kept.
const userKey = "sshark-user"

// reasonKey is where the reason of a refusal waits for the log.
type reasonKey struct{}

func reason(ctx ssh.Context, err error) error {
	if why, ok := ctx.Value(reasonKey{}).(error); ok {
		return why
	}
	return err
}

// publicKey is the one handler for all that signs in with a key or a certificate. It is called
// for those that are only offered too: it decides nothing but what crypto/ssh will tie to the
// proven key.
func (s *Server) publicKey(ctx ssh.Context, key ssh.PublicKey) bool {
	var u *auth.User
	err := auth.ErrUnknownKey
	switch cert, ok := key.(*gossh.Certificate); {
	case ok && s.certs != nil:
		u, err = s.certs.Check(ctx.User(), addrOf(ctx.RemoteAddr()), cert)
	case ok:
		err = auth.ErrCertificate
	case s.keys != nil:
		u, err = s.keys.Check(ctx.User(), addrOf(ctx.RemoteAddr()), key)
	}
	return admit(ctx, u, err)
}

// token is the handler of keyboard-interactive (RFC 4256), which asks for a Kubernetes token.
func (s *Server) token(ctx ssh.Context, ask gossh.KeyboardInteractiveChallenge) bool {
	answers, err := ask("", "", []string{"Kubernetes token: "}, []bool{false})
	if err != nil || len(answers) != 1 {
		return admit(ctx, nil, errors.Join(auth.ErrToken, err))
	}
	u, err := s.tokens.Check(ctx, ctx.User(), addrOf(ctx.RemoteAddr()), answers[0])
	return admit(ctx, u, err)
}

// admit ties a user to what was proven, or remembers why not.
func admit(ctx ssh.Context, u *auth.User, err error) bool {
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
