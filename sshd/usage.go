package sshd

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sshark/sshark/sshd/auth"
)

// What a user is told who takes too much. They wrap auth.ErrRefused.
var (
	errUserSessions = fmt.Errorf("%w: too many of your sessions are open", auth.ErrRefused)
	errUserQueries  = fmt.Errorf("%w: too many of your questions are being answered", auth.ErrRefused)
	errUserExport   = fmt.Errorf("%w: your exports of this hour are used up", auth.ErrRefused)
)

// errSessionTime ends a session.
var errSessionTime = errors.New("the session has lasted as long as it may")

// usage counts what each user takes of what is limited.
type usage struct {
	now func() time.Time

	mu    sync.Mutex
	users map[string]*taken // by name
}

// taken is what one user takes now.
type taken struct {
	sessions int
	queries  int
	exported float64 // bytes, which drain at the hour's limit an hour
	at       time.Time
}

func newUsage(now func() time.Time) *usage { return &usage{now: now, users: map[string]*taken{}} }

// of is what a user takes; mu is held.
func (u *usage) of(name string) *taken {
	t := u.users[name]
	if t == nil {
		t = &taken{at: u.now()}
		u.users[name] = t
	}
	return t
}

// session counts a session until leave is called.
func (u *usage) session(name string, l auth.Limit) (leave func(), err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	t := u.of(name)
	if l.Sessions > 0 && t.sessions >= l.Sessions {
		return nil, fmt.Errorf("%w: the limit is %d", errUserSessions, l.Sessions)
	}
	t.sessions++
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if t.sessions--; t.sessions == 0 && t.exported == 0 {
			delete(u.users, name)
		}
	}, nil
}

// question counts a question until end is called.
func (u *usage) question(name string, l auth.Limit) (end func(), err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	t := u.of(name)
	if l.Queries > 0 && t.queries >= l.Queries {
		return nil, fmt.Errorf("%w: the limit is %d", errUserQueries, l.Queries)
	}
	t.queries++
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		t.queries--
	}, nil
}

// spend takes bytes of an hour's exports.
func (u *usage) spend(name string, l auth.Limit, bytes int) error {
	if l.ExportMB == 0 {
		return nil
	}
	limit := float64(l.ExportMB) * (1 << 20)
	u.mu.Lock()
	defer u.mu.Unlock()
	t, now := u.of(name), u.now()
	t.exported = max(0, t.exported-now.Sub(t.at).Hours()*limit)
	t.at = now
	if t.exported+float64(bytes) > limit {
		wait := time.Duration((t.exported + float64(bytes) - limit) / limit * float64(time.Hour))
		return fmt.Errorf("%w: the limit is %d MiB an hour; there is room again in %v", errUserExport, l.ExportMB, max(wait, time.Second).Round(time.Second))
	}
	t.exported += float64(bytes)
	return nil
}
