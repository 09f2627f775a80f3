package sshd

import (
	"context"
	"log/slog"

	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/sshd/guard"
	"github.com/sshark/sshark/sshd/snapshots"
	"github.com/sshark/sshark/worker/query"
)

// desk is the snapshots as a session's user may use them; nil: there are none. A snapshot is
// asked through a guard as everything is, and made of what a guard tells.
func (s *Server) desk(is *session, o guard.Options) *snapshots.Desk {
	if s.o.Snapshots == nil {
		return nil
	}
	return &snapshots.Desk{
		Library: s.o.Snapshots, User: is.user.Name, Scope: is.scope, Spend: o.Spend,
		Guard: func(source query.Source) query.Source {
			own := o
			own.Source = source
			return guard.New(own)
		},
		Live: func(where auth.Scope) (query.Source, func(), error) {
			end, err := o.Begin() // all nodes together are one question
			if err != nil {
				return nil, nil, err
			}
			own := o
			own.Begin, own.Done = nil, nil
			own.Scope = func(ctx context.Context, v auth.Verb) (auth.Scope, error) {
				now, err := o.Scope(ctx, v)
				if v == auth.Export {
					now = now.Intersect(where)
				}
				return now, err
			}
			return guard.New(own), end, nil
		},
		Did: func(what string, n int64, err error) {
			refusal := refusalOf(err)
			if refusal != nil {
				is.note(refusal)
			}
			attrs := []slog.Attr{slog.String("what", bounded(what)), slog.Int64("bytes", n)}
			if err != nil && refusal == nil {
				attrs = append(attrs, slog.String("error", bounded(err.Error())))
			}
			is.audit("snapshot", append(attrs, refusedAttrs(refusal)...)...)
		},
	}
}

// mayBring says whether the user may bring snapshots, who may perhaps not export anything.
func (s *session) mayBring() bool {
	_, err := s.scope(auth.Snapshot)
	return s.desk != nil && err == nil
}
