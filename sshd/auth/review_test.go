package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// rbac answers reviews.
type rbac struct {
	namespaces []string
	allow      map[string]bool // "user verb resource namespace"
	broken     atomic.Bool
	asked      atomic.Int64
}

func (r *rbac) Namespaces() []string { return r.namespaces }

func (r *rbac) Allowed(_ context.Context, user string, _ []string, verb, resource, namespace string) (bool, error) {
	r.asked.Add(1)
	if r.broken.Load() {
		return true, errors.New("the API server is away") // what comes with an error does not count
	}
	return r.allow[fmt.Sprintf("%s %s %s %s", user, verb, resource, namespace)], nil
}

func TestReviews(t *testing.T) {
	cluster := &rbac{namespaces: []string{"shop", "bank", "web", "shop"}, allow: map[string]bool{
		"ada get calls shop": true, "ada get calls web": true, "ada get packets shop": true, "ada get packets bank": true,
		"root get calls ": true, "root create replays ": true, "root get payloads bank": true,
	}}
	var mu sync.Mutex
	now := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	pass := func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(d)
	}
	a, err := NewAuthority(AuthorityOptions{Policy: &Policy{SubjectAccessReview: true,
		Rules: []Rule{{Users: []string{"ada"}, Verbs: []Verb{See}, Namespaces: []string{"dns"}}}},
		Reviews: cluster, Log: slog.New(slog.DiscardHandler), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	check := func(user string, v Verb, want ...string) {
		t.Helper()
		s, err := a.Scope(context.Background(), &User{Name: user, Method: ByToken}, v)
		if !slices.Equal(s.Names(), want) || (err == nil) != (len(want) > 0) || err != nil && !errors.Is(err, ErrRefused) {
			t.Errorf("%s %s: %v %v, want %v", user, v, s, err, want)
		}
	}
	check("ada", See, "dns", "shop", "web")
	check("ada", Export, "shop") // bank may not be seen
	check("ada", Payload)
	check("root", See, "*")
	check("root", Replay, "*")
	check("root", Payload, "bank")
	check("eve", See)
	before := cluster.asked.Load()
	check("ada", See, "dns", "shop", "web")
	check("eve", See)
	if n := cluster.asked.Load() - before; n != 0 {
		t.Errorf("%d reviews were asked again", n)
	}
	// It fails closed, for what the rules do not allow.
	cluster.broken.Store(true)
	check("root", See, "*") // remembered
	pass(reviewKept)
	check("root", See)
	check("ada", See, "dns")
	if _, err := a.Scope(context.Background(), &User{Name: "root"}, See); !errors.Is(err, ErrUnasked) {
		t.Errorf("%v does not say that the cluster was not asked", err)
	}
	cluster.broken.Store(false)
	pass(reviewFailed)
	check("root", See, "*")
}

// TestReviewsTogether: who asks the same at once asks once, and what is kept is bounded.
func TestReviewsTogether(t *testing.T) {
	cluster := &rbac{allow: map[string]bool{"ada get calls ": true}}
	r := newReviewer(cluster, slog.New(slog.DiscardHandler), time.Now)
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if s, err := r.scope(context.Background(), &User{Name: "ada"}, See); !s.All || err != nil {
				t.Errorf("%v %v", s, err)
			}
		})
	}
	wg.Wait()
	if n := cluster.asked.Load(); n != 1 {
		t.Errorf("%d reviews", n)
	}
	for i := range maxReviews + 10 {
		if _, err := r.scope(context.Background(), &User{Name: fmt.Sprint(i)}, See); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.known); n > maxReviews {
		t.Errorf("%d answers are kept", n)
	}
}
