package auth

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// Reviews asks a cluster what its RBAC allows in the API group sshark.io (SubjectAccessReview).
type Reviews interface {
	// Allowed says whether a user may; namespace "" means in all of the cluster.
	Allowed(ctx context.Context, user string, groups []string, verb, resource, namespace string) (bool, error)
	// Namespaces are those of the cluster.
	Namespaces() []string
}

// access is how a verb is asked for in RBAC.
var access = map[Verb]struct{ verb, resource string }{
	See:      {"get", "calls"},
	Payload:  {"get", "payloads"},
	Export:   {"get", "packets"},
	Replay:   {"create", "replays"},
	Snapshot: {"create", "snapshots"},
}

// Bounds on what is asked of the API server.
const (
	reviewKept    = 30 * time.Second // an answer counts this long
	reviewFailed  = 2 * time.Second  // and a failure
	reviewTime    = 10 * time.Second // for all namespaces of one user and verb
	reviewsAtOnce = 8
	maxReviewed   = 2000 // namespaces
	maxReviews    = 4096 // answers that are kept
)

// reviewer remembers what the cluster said. What could not be asked is not allowed.
type reviewer struct {
	ask   Reviews
	log   *slog.Logger
	now   func() time.Time
	slots chan struct{}

	mu    sync.Mutex
	known map[string]*review
}

// review is one answer; its fields are set when done is closed.
type review struct {
	done  chan struct{}
	until time.Time
	scope Scope
	err   error
}

func newReviewer(ask Reviews, log *slog.Logger, now func() time.Time) *reviewer {
	return &reviewer{ask: ask, log: log, now: now, slots: make(chan struct{}, reviewsAtOnce), known: map[string]*review{}}
}

// scope asks, or remembers. An error means that something could not be asked; the scope is then
// what was allowed all the same.
func (r *reviewer) scope(ctx context.Context, u *User, v Verb) (Scope, error) {
	key := strings.Join(append([]string{string(u.Method), string(v), u.Name}, u.Groups...), "\x00")
	r.mu.Lock()
	known := r.known[key]
	if known != nil && !known.until.IsZero() && !r.now().Before(known.until) {
		known = nil
	}
	if known == nil {
		r.forget()
		known = &review{done: make(chan struct{})}
		r.known[key] = known
		// Others may wait for the answer: it does not end with the first asker.
		go r.run(context.WithoutCancel(ctx), known, u, v)
	}
	r.mu.Unlock()
	select {
	case <-known.done:
		return known.scope, known.err
	case <-ctx.Done():
		return Scope{}, ctx.Err()
	}
}

// forget makes room; mu is held.
func (r *reviewer) forget() {
	if len(r.known) < maxReviews {
		return
	}
	now := r.now()
	for key, k := range r.known {
		if !k.until.IsZero() && !now.Before(k.until) {
			delete(r.known, key)
		}
	}
	if len(r.known) >= maxReviews {
		clear(r.known) // who waits for one of them has it
	}
}

func (r *reviewer) run(ctx context.Context, k *review, u *User, v Verb) {
	ctx, cancel := context.WithTimeout(ctx, reviewTime)
	defer cancel()
	scope, err := r.review(ctx, u, v)
	kept := reviewKept
	if err != nil {
		kept = reviewFailed
		r.log.Error("the cluster could not be asked what a user may do: it is not allowed", "user", u.Name, "verb", string(v), "error", err.Error())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	k.scope, k.err, k.until = scope, err, r.now().Add(kept)
	close(k.done)
}

// review asks for all of the cluster, then for each namespace.
func (r *reviewer) review(ctx context.Context, u *User, v Verb) (Scope, error) {
	how, ok := access[v]
	if !ok {
		return Scope{}, fmt.Errorf("%s is not asked of a cluster", v)
	}
	all, err := r.one(ctx, u, how.verb, how.resource, "")
	if err != nil || all {
		return Scope{All: all}, err
	}
	namespaces := slices.Clone(r.ask.Namespaces())
	slices.Sort(namespaces)
	namespaces = slices.Compact(namespaces)
	if len(namespaces) > maxReviewed {
		err = fmt.Errorf("there are %d namespaces, of which the first %d are asked for", len(namespaces), maxReviewed)
		namespaces = namespaces[:maxReviewed]
	}
	allowed := make([]string, len(namespaces))
	errs := make([]error, len(namespaces))
	var wg sync.WaitGroup
	for i, n := range namespaces {
		if n == "" {
			continue
		}
		wg.Go(func() {
			ok, err := r.one(ctx, u, how.verb, how.resource, n)
			if errs[i] = err; ok {
				allowed[i] = n
			}
		})
	}
	wg.Wait()
	for _, e := range errs {
		if e != nil {
			err = e // one tells as much as all
		}
	}
	return In(allowed...), err
}

// one asks once, a few at a time.
func (r *reviewer) one(ctx context.Context, u *User, verb, resource, namespace string) (bool, error) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	ok, err := r.ask.Allowed(ctx, u.Name, u.Groups, verb, resource, namespace)
	return ok && err == nil, err // what could not be asked is not allowed
}
