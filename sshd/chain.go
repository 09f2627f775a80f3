package sshd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"charm.land/ssh"
	"charm.land/wish/v2"

	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/sshd/command"
	"github.com/sshark/sshark/sshd/files"
	"github.com/sshark/sshark/sshd/guard"
	"github.com/sshark/sshark/sshd/snapshots"
	"github.com/sshark/sshark/worker/query"
)

// handler is what every session goes through, from the top down. Each either does the session
// or hands it on.
func (s *Server) handler() ssh.Handler {
	chain := []wish.Middleware{
		s.identified, // who it is, from what was proven; without it nothing runs
		s.audited,    // one line in the audit log when it ends
		s.contained,  // a panic ends this session, and is logged
		s.bounded,    // not more sessions, and no longer, than Limits and the policy allow
		s.sftp,       // the subsystem: the tree of files
		s.scp,        // scp -f: the tree of files, for scp -O
		s.commands,   // a command line
		s.screen,     // a terminal and no command
	}
	h := ssh.Handler(refuse) // neither: there is no shell
	for i := len(chain) - 1; i >= 0; i-- {
		h = chain[i](h)
	}
	return h
}

// session is an ssh.Session that knows its user, and remembers what it did.
type session struct {
	ssh.Session
	id      string // in the log
	user    *auth.User
	limit   auth.Limit
	source  query.Source // what the user may see
	desk    *snapshots.Desk
	kind    string // what it was: command, screen, sftp, scp, shell
	status  int
	sent    atomic.Int64
	told    atomic.Uint64         // calls, flows, packets
	refusal atomic.Pointer[error] // the last that was refused
	sees    atomic.Pointer[auth.Scope]
	scope   func(auth.Verb) (auth.Scope, error)
	trail   *trail
	watch   Observer
	log     *slog.Logger
}

// Exit remembers the status.
func (s *session) Exit(status int) error {
	s.status = status
	return s.Session.Exit(status)
}

// Write counts.
func (s *session) Write(p []byte) (int, error) {
	n, err := s.Session.Write(p)
	s.sent.Add(int64(n))
	return n, err
}

// channel is the channel's own context.
func (s *session) channel() *channelContext {
	c, _ := s.Context().Value(channelKey{}).(*channelContext)
	return c
}

// of is the session as identified made it.
func of(s ssh.Session) *session { return s.(*session) }

// tell writes one line to the user's standard error.
func tell(s ssh.Session, format string, args ...any) {
	line := append([]byte("sshark: "), command.AppendPrintable(nil, fmt.Sprintf(format, args...))...)
	_, _ = s.Stderr().Write(append(line, '\n')) // who does not read it is gone
}

func (s *Server) identified(next ssh.Handler) ssh.Handler {
	return func(sess ssh.Session) {
		u, err := userOf(sess.Context())
		if err != nil {
			s.o.Log.Error("session without a user", "remote", sess.RemoteAddr().String(), "error", err.Error())
			tell(sess, "this session has no user; sign in with a key")
			_ = sess.Exit(command.ExitRefused)
			return
		}
		next(s.session(sess, u))
	}
}

// session makes the session of a user, with the source that is theirs.
func (s *Server) session(sess ssh.Session, u *auth.User) *session {
	is := &session{Session: sess, id: newSessionID(), user: u, limit: s.policy.Limit(u), kind: "shell", trail: s.trail, watch: s.o.Observer}
	is.log = s.o.Log.With("user", u.Name, "remote", sess.RemoteAddr().String(), "session", is.id)
	scope := func(ctx context.Context, v auth.Verb) (auth.Scope, error) {
		where, err := s.policy.Scope(ctx, u, v)
		if v == auth.See && ctx.Err() == nil {
			is.sees.Store(&where)
		}
		return where, err
	}
	is.scope = func(v auth.Verb) (auth.Scope, error) { return scope(sess.Context(), v) }
	o := guard.Options{
		Source: s.o.Source, Language: s.o.Language, Log: is.log, Done: is.asked,
		Scope: scope,
		Begin: func() (func(), error) { return s.usage.question(u.Name, s.policy.Limit(u)) },
		Spend: func(n int) error { return s.usage.spend(u.Name, s.policy.Limit(u), n) },
	}
	is.source = guard.New(o)
	is.desk = s.desk(is, o)
	return is
}

// allowed says where the user may do something, and remembers that it was refused.
func (s *session) allowed(v auth.Verb) (auth.Scope, error) {
	where, err := s.scope(v)
	if err != nil {
		s.note(err)
	}
	return where, err
}

// note remembers what was refused.
func (s *session) note(err error) {
	s.refusal.Store(&err)
	var why *auth.Refusal
	if errors.As(err, &why) {
		s.watch.Refused(why.Verb)
	}
}

// refused ends a session with what its user may not.
func (s *session) refused(err error) {
	tell(s, "%v", err)
	_ = s.Exit(command.ExitRefused)
}

func (s *Server) audited(next ssh.Handler) ssh.Handler {
	return func(sess ssh.Session) {
		is := of(sess)
		begun := s.o.Now()
		ended := s.o.Observer.Session(kindOf(sess))
		defer func() {
			ended(is.status, is.sent.Load())
			var refusal error
			if why := is.refusal.Load(); why != nil && is.status == command.ExitRefused {
				refusal = *why
			}
			is.audit("session", append([]slog.Attr{slog.String("what", bounded(sess.RawCommand())), slog.Int("status", is.status),
				slog.Uint64("told", is.told.Load()), slog.Int64("bytes", is.sent.Load()), slog.Int64("ms", s.o.Now().Sub(begun).Milliseconds())},
				refusedAttrs(refusal)...)...)
		}()
		next(sess)
	}
}

func (s *Server) contained(next ssh.Handler) ssh.Handler {
	return func(sess ssh.Session) {
		defer func() {
			if r := recover(); r != nil {
				of(sess).log.Error("panic", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
				tell(sess, "something went wrong here, and was logged")
				_ = sess.Exit(command.ExitFailed)
			}
		}()
		next(sess)
	}
}

func (s *Server) bounded(next ssh.Handler) ssh.Handler {
	return func(sess ssh.Session) {
		if err := s.sessions.enter(); err != nil {
			tell(sess, "%v", err)
			_ = sess.Exit(command.ExitFailed)
			return
		}
		defer s.sessions.leave()
		is := of(sess)
		leave, err := s.usage.session(is.user.Name, is.limit)
		if err != nil {
			is.note(err)
			is.refused(err)
			return
		}
		defer leave()
		if d := time.Duration(is.limit.Session); d > 0 {
			defer time.AfterFunc(d, func() { is.channel().cancel(errSessionTime) }).Stop()
		}
		next(sess)
	}
}

// tree is the files of a session. Each file that was opened, or was not there, is in the log.
func (s *Server) tree(is *session) *files.Tree {
	return files.NewTree(is.Context(), files.Options{
		Source: is.source, Snapshots: is.desk, Now: s.o.Now, Spool: s.o.Spool,
		Say: func(line string) { tell(is, "%s", line) },
		Done: func(path string, n int64, err error) {
			s.o.Observer.Exported(n)
			attrs := []slog.Attr{slog.String("what", bounded(path)), slog.Int64("bytes", n)}
			if err != nil && refusalOf(err) == nil {
				attrs = append(attrs, slog.String("error", bounded(err.Error())))
			}
			is.audit("file", append(attrs, refusedAttrs(refusalOf(err))...)...)
		},
		Missed: func(path string) {
			is.audit("file", append([]slog.Attr{slog.String("what", bounded(path))}, refusedAttrs(fs.ErrNotExist)...)...)
		},
	})
}

func (s *Server) sftp(next ssh.Handler) ssh.Handler {
	return func(sess ssh.Session) {
		if sess.Subsystem() != "sftp" {
			next(sess)
			return
		}
		is := of(sess)
		is.kind = "sftp"
		s.transfer(is, func(t *files.Tree) error { return t.ServeSFTP(is) })
	}
}

func (s *Server) scp(next ssh.Handler) ssh.Handler {
	return func(sess ssh.Session) {
		args, _, err := command.Split(sess.RawCommand())
		if err != nil || !files.IsSCP(args) {
			next(sess)
			return
		}
		is := of(sess)
		is.kind = "scp"
		s.transfer(is, func(t *files.Tree) error { return t.ServeSCP(args, is) })
	}
}

// transfer serves files, and ends the session with how it went.
func (s *Server) transfer(is *session, serve func(*files.Tree) error) {
	if _, err := is.scope(auth.Export); err != nil && !is.mayBring() {
		is.note(err)
		is.refused(err)
		return
	}
	defer unblock(is.Context(), is)()
	t := s.tree(is)
	err := serve(t)
	err = errors.Join(err, t.Close())
	if err != nil {
		if !errors.Is(err, io.ErrUnexpectedEOF) { // the client was cut off
			is.log.Warn("transfer", "error", err.Error())
		}
		_ = is.Exit(command.ExitFailed)
		return
	}
	_ = is.Exit(command.ExitOK)
}

// refuse ends what is neither a command nor a screen.
func refuse(sess ssh.Session) {
	tell(sess, "there is no shell here; give a command (try: help), or a terminal: ssh -t")
	_ = sess.Exit(command.ExitUsage)
}

// cancelled says why a session was ended from outside, where the user still reads.
func cancelled(ctx context.Context) (why string, told bool) {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errStopping), errors.Is(cause, errIdle), errors.Is(cause, errSessionTime):
		return cause.Error(), true
	case cause != nil:
		return strings.TrimSpace(cause.Error()), false
	}
	return "", false
}
