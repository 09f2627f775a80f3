package sshd

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/sshd/replay"
	"github.com/sshark/sshark/worker/reach"
)

// ReplayOptions say how connections are opened for replays. Protocols and From are needed; all
// functions return at once and are safe for concurrent use.
type ReplayOptions struct {
	Protocols []*dissect.Protocol
	From      func(node string) (reach.Reacher, error)
	// Who is who has an address now; nil, or a nil answer: not known. Users of some namespaces
	// only reach whom it knows.
	Who func(netip.AddrPort) *dissect.Identity
	// Own says whether an address is the console's or a worker's, which are no targets; nil: none is.
	Own func(netip.AddrPort) bool
}

// maxReplays is how many are planned or played at once, of all users. One may hold some 64 MiB.
const maxReplays = 4

// errOwn is what users are told who aim at the product itself.
var errOwn = fmt.Errorf("%w: the target is the console itself, or one of its workers", auth.ErrRefused)

// replay is replays as a session's user may do them; nil: they are turned off.
func (s *Server) replay(is *session) *replay.Desk {
	o := s.o.Replay
	if o == nil {
		return nil
	}
	d := &replay.Desk{Protocols: o.Protocols, From: o.From, Did: is.replayed,
		Guard: func(_ context.Context, r *reach.Request) error {
			where, err := is.scope(auth.Replay)
			if err != nil {
				return err
			}
			if o.Own != nil && o.Own(r.Addr) {
				return errOwn
			}
			return o.within(is.user, where, r)
		},
		Begin: func() (func(), error) {
			if err := s.replays.enter(); err != nil {
				return nil, reach.ErrBusy
			}
			return s.replays.leave, nil
		},
	}
	if o.Who != nil {
		d.Who = func(a netip.AddrPort) *dissect.Identity { return is.known(o.Who(a)) }
	}
	return d
}

// within judges a target by who has its address now, and has the worker judge it again. The
// refusal does not tell who that is, nor the address, which may be that of a name.
func (o *ReplayOptions) within(u *auth.User, where auth.Scope, r *reach.Request) error {
	if where.All {
		return nil
	}
	var id *dissect.Identity
	if o.Who != nil && r.Addr.IsValid() {
		id = o.Who(r.Addr)
	}
	if id == nil || id.Pod == "" && id.Service == "" || !where.Has(id.Namespace) {
		return &auth.Refusal{User: u.Name, Verb: auth.Replay, Why: fmt.Errorf("%w: the target is not known to be a pod or service of %s",
			auth.ErrRefused, strings.Join(where.Names(), ", "))}
	}
	r.Limited, r.Namespaces = true, where.Namespaces
	return nil
}

// known is an identity if the user may see it.
func (s *session) known(id *dissect.Identity) *dissect.Identity {
	see, err := s.scope(auth.See)
	if id == nil || err != nil || !see.Has(id.Namespace) {
		return nil
	}
	return id
}

// replayed writes what became of a replay.
func (s *session) replayed(d *replay.Deed) {
	refusal := refusalOf(d.Err)
	if refusal != nil {
		s.note(refusal)
	}
	attrs := []slog.Attr{slog.String("what", "replay of "+d.Order.Stream.String()), slog.String("stream", d.Order.Stream.String()), slog.String("to", bounded(d.Order.To)),
		slog.String("target", bounded(d.Target)), slog.String("node", bounded(d.Node)), slog.Int("times", d.Order.Times), slog.Int("runs", d.Runs),
		slog.Int64("bytes", d.Sent), slog.Int64("received", d.Received), slog.Bool("dry_run", !d.Run), slog.Bool("forced", d.Order.Force)}
	if d.Err != nil && refusal == nil {
		attrs = append(attrs, slog.String("error", bounded(d.Err.Error())))
	}
	s.audit("replay", append(attrs, refusedAttrs(refusal)...)...)
}
