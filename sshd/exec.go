package sshd

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"charm.land/ssh"

	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/sshd/command"
	"github.com/sshark/sshark/sshd/doctor"
)

// commands runs a command line.
func (s *Server) commands(next ssh.Handler) ssh.Handler {
	return func(sess ssh.Session) {
		if strings.TrimSpace(sess.RawCommand()) == "" {
			next(sess)
			return
		}
		is := of(sess)
		is.kind = "command"
		words, raw, err := command.Split(sess.RawCommand())
		if err != nil {
			tell(sess, "%v", err)
			_ = sess.Exit(command.ExitUsage)
			return
		}
		ctx, cancel := context.WithCancelCause(is.Context())
		defer cancel(nil)
		defer unblock(ctx, is)()
		env := s.env(is)
		env.Raw = raw
		if env.Terminal && len(words) > 0 && words[0] != "tui" {
			go interrupts(is, cancel)
		}
		if s.o.TUI != nil {
			env.TUI = func(ctx context.Context, o command.Screen) error { return s.runScreen(ctx, is, o) }
		}
		env.Refused, env.Told = is.note, func(rows int) { is.told.Add(uint64(rows)) }
		status := command.Run(ctx, env, words)
		if why, told := cancelled(ctx); told {
			tell(sess, "%s", why)
		}
		_ = sess.Exit(status)
	}
}

// env is what a command of this session runs in.
func (s *Server) env(is *session) *command.Env {
	pty, _, terminal := is.Pty()
	return &command.Env{
		Source: is.source, Language: s.o.Language,
		Stdin: is, Stdout: is, Stderr: is.Stderr(),
		Terminal: terminal, Width: pty.Window.Width, Color: terminal && colorful(is.Environ(), pty.Term),
		Now: s.o.Now, Location: time.UTC,
		User:    is.user,
		Scope:   is.scope,
		Version: s.o.Version,
		Cluster: s.cluster(is), Snapshots: is.desk, Replay: s.replay(is),
	}
}

// cluster says what should be captured, but for the pods that the user may not see.
func (s *Server) cluster(is *session) func() *doctor.Cluster {
	if s.o.Cluster == nil {
		return nil
	}
	return func() *doctor.Cluster {
		c := s.o.Cluster()
		see, err := is.scope(auth.See)
		if c == nil || err == nil && see.All {
			return c
		}
		own := *c
		own.Pods = nil
		for _, p := range c.Pods {
			if see.Has(p.Namespace) {
				own.Pods = append(own.Pods, p)
			}
		}
		return &own
	}
}

// colorful says whether a terminal shows colours that its user wants (no-color.org).
func colorful(environ []string, term string) bool {
	for _, kv := range environ {
		if v, ok := strings.CutPrefix(kv, "NO_COLOR="); ok && v != "" {
			return false
		}
	}
	return term != "" && term != "dumb"
}

// interrupts reads the keys of a command that runs in a terminal. The client's terminal is
// raw and the server has none: Ctrl-C is only a byte here.
func interrupts(in io.Reader, cancel context.CancelCauseFunc) {
	b := make([]byte, 256)
	for {
		n, err := in.Read(b)
		if bytes.ContainsAny(b[:n], "\x03\x1c") {
			cancel(fmt.Errorf("%w: Ctrl-C", errSignal))
			return
		}
		if err != nil {
			return
		}
	}
}
