package sshd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync/atomic"

	"charm.land/ssh"
	"charm.land/wish/v2"

	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/sshd/command"
	"github.com/sshark/sshark/sshd/files"
)

// handler is what every session goes through, from the top down. Each either does the session
// or hands it on.
func (s *Server) handler() ssh.Handler {
	chain := []wish.Middleware{
		s.identified, // who it is, from what was proven; without it nothing runs
		s.audited,    // one line in the log when it ends
		s.contained,  // a panic ends this session, and is logged
		s.bounded,    // not more sessions than Limits allow
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
	user   *auth.User
	kind   string // what it was: command, screen, sftp, scp, shell
	status int
	sent   atomic.Int64
	log    *slog.Logger
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
		next(&session{Session: sess, user: u, kind: "shell", log: s.log(u, sess.RemoteAddr().String())})
	}
}

// maxLogged bounds the command line in the log, in bytes.
const maxLogged = 4096

func (s *Server) audited(next ssh.Handler) ssh.Handler {
	return func(sess ssh.Session) {
		is := of(sess)
		begun := s.o.Now()
		defer func() {
			line := sess.RawCommand()
			if len(line) > maxLogged {
				line = line[:maxLogged] + "…"
			}
			is.log.Info("session", "kind", is.kind, "command", line, "status", is.status,
				"bytes", is.sent.Load(), "ms", s.o.Now().Sub(begun).Milliseconds())
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
		next(sess)
	}
}

// tree is the files of a session. Its opened files are in the log: each is an export.
func (s *Server) tree(is *session) *files.Tree {
	return files.NewTree(is.Context(), files.Options{
		Source: s.o.Source, Now: s.o.Now, Spool: s.o.Spool,
		Say: func(line string) { tell(is, "%s", line) },
		Done: func(path string, n int64, err error) {
			text := ""
			if err != nil {
				text = err.Error()
			}
			is.log.Info("export", "file", path, "bytes", n, "error", text)
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
	if err := s.policy.Evaluate(is.user, auth.Export); err != nil {
		tell(is, "%v", err)
		_ = is.Exit(command.ExitRefused)
		return
	}
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
	case errors.Is(cause, errStopping), errors.Is(cause, errIdle):
		return cause.Error(), true
	case cause != nil:
		return strings.TrimSpace(cause.Error()), false
	}
	return "", false
}
