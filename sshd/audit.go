package sshd

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/sshd/guard"
	"github.com/sshark/sshark/worker/query"
)

// trail is the audit log: one line for each connection and sign-in that was refused, each
// session, each question of a screen, each snapshot made, brought or deleted, each replay that was planned, refused or
// played (stream, target, node, times, runs, dry_run), and each file. Every line has `"audit":true`, and as far as
// they are known: user, login, groups, method, key (or key_id and serial), remote, session (the
// same for all lines of one), kind, what (command line, path, or question), namespaces (what the
// user may see, "*" is all), told (calls, flows, packets), bytes, refused with its reason, status
// (the exit status), and ms. Texts are bounded; JSON escapes what a terminal would obey.
type trail struct {
	own slog.Handler // nil: lines go to log
	log *slog.Logger
}

// Bounds of one line.
const (
	maxAudited      = 4096 // bytes of one text
	maxAuditedNames = 100  // groups, or namespaces
)

func newTrail(w io.Writer, log *slog.Logger) *trail {
	t := &trail{log: log}
	if w != nil {
		t.own = slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.LevelKey {
				return slog.Attr{}
			}
			return a
		}})
	}
	return t
}

// line writes one line.
func (t *trail) line(what string, attrs ...slog.Attr) {
	attrs = append([]slog.Attr{slog.Bool("audit", true)}, attrs...)
	if t.own == nil {
		t.log.LogAttrs(context.Background(), slog.LevelInfo, what, attrs...)
		return
	}
	r := slog.NewRecord(time.Now(), slog.LevelInfo, what, 0)
	r.AddAttrs(attrs...)
	if err := t.own.Handle(context.Background(), r); err != nil {
		t.log.Error("the audit log cannot be written", "error", err.Error(), "line", what)
	}
}

// refusedAttrs say that something was refused, and why.
func refusedAttrs(err error) []slog.Attr {
	if err == nil {
		return []slog.Attr{slog.Bool("refused", false)}
	}
	return []slog.Attr{slog.Bool("refused", true), slog.String("reason", bounded(err.Error()))}
}

func bounded(s string) string {
	if len(s) > maxAudited {
		return s[:maxAudited] + "…"
	}
	return s
}

func boundedList(all []string) []string {
	if len(all) > maxAuditedNames {
		return append(slices.Clone(all[:maxAuditedNames]), "… of "+strconv.Itoa(len(all)))
	}
	if all == nil {
		return []string{}
	}
	return all
}

// who are the attributes of a session's user.
func who(u *auth.User, remote net.Addr, session string) []slog.Attr {
	attrs := []slog.Attr{slog.String("user", u.Name), slog.String("login", bounded(u.Login)), slog.Any("groups", boundedList(u.Groups)),
		slog.String("method", string(u.Method))}
	if u.Key != "" {
		attrs = append(attrs, slog.String("key", u.Key))
	}
	if u.Method == auth.ByCertificate {
		attrs = append(attrs, slog.String("key_id", u.KeyID), slog.Uint64("serial", u.Serial))
	}
	return append(attrs, slog.String("remote", remote.String()), slog.String("session", session))
}

// newSessionID names a session in the log.
func newSessionID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// audit writes a line about a session.
func (s *session) audit(what string, attrs ...slog.Attr) {
	if s.sees.Load() == nil {
		_, _ = s.scope(auth.See) // which remembers it; a refusal is no namespaces
	}
	namespaces := []string{}
	if see := s.sees.Load(); see != nil {
		namespaces = boundedList(see.Names())
	}
	s.trail.line(what, slices.Concat(who(s.user, s.RemoteAddr(), s.id), []slog.Attr{slog.String("kind", s.kind), slog.Any("namespaces", namespaces)}, attrs)...)
}

// refusalOf is an error if it is one of the policy.
func refusalOf(err error) error {
	if errors.Is(err, auth.ErrRefused) || errors.Is(err, query.ErrRefused) {
		return err
	}
	return nil
}

// asked is told of each question that a session asks. Those of a command or a file are part of
// its line; those of a screen have lines of their own.
func (s *session) asked(a *guard.Asked) {
	if s.kind != "command" { // which says what it printed
		s.told.Add(a.Told)
	}
	if a.What == "packets" && s.kind == "command" {
		s.watch.Exported(int64(a.Bytes))
	}
	if s.kind != "screen" {
		return
	}
	text := a.What
	if a.Request.Stream != 0 {
		text += " of " + a.Request.Stream.String()
	}
	if a.Request.Filter != "" {
		text += " " + a.Request.Filter
	}
	attrs := []slog.Attr{slog.String("what", bounded(text)), slog.Bool("follow", a.Request.Follow), slog.Uint64("told", a.Told), slog.Uint64("bytes", a.Bytes)}
	refusal := refusalOf(a.Err)
	if refusal != nil {
		s.note(refusal)
	}
	if a.Err != nil && refusal == nil && !errors.Is(a.Err, context.Canceled) {
		attrs = append(attrs, slog.String("error", bounded(a.Err.Error())))
	}
	s.audit("question", append(attrs, refusedAttrs(refusal)...)...)
}
