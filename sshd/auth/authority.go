package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Authority says what users may do at the moment: by a policy that is fixed, or by one in a file
// that is read again when it changed, and by the cluster where the policy says so.
type Authority struct {
	log     *slog.Logger
	reviews *reviewer // nil: there is no cluster

	mu     sync.Mutex
	file   *file // nil: the policy is fixed
	policy *Policy
}

// AuthorityOptions say what an Authority is made of.
type AuthorityOptions struct {
	Path    string  // of a policy file; "": Policy
	Policy  *Policy // nil: AllowAll
	Reviews Reviews // nil: there is no cluster to ask
	Log     *slog.Logger
	Now     func() time.Time
}

// NewAuthority fails where the policy cannot be read or understood, or asks for a cluster that is
// not there. Of a file that changes later what is broken is logged, and the policy before stays.
func NewAuthority(o AuthorityOptions) (*Authority, error) {
	a := &Authority{log: o.Log, policy: o.Policy}
	if o.Reviews != nil {
		a.reviews = newReviewer(o.Reviews, o.Log, o.Now)
	}
	if o.Path == "" {
		if a.policy == nil {
			a.policy = AllowAll()
		}
		return a, a.fits(a.policy)
	}
	a.file = &file{path: o.Path, max: maxPolicyFile, now: o.Now}
	b, _, err := a.file.load()
	if err != nil {
		return nil, fmt.Errorf("read policy: %w", err)
	}
	if a.policy, err = a.parse(b); err != nil {
		return nil, fmt.Errorf("policy %s: %w", o.Path, err)
	}
	return a, nil
}

var errNoCluster = errors.New("subjectAccessReview: there is no cluster to ask")

func (a *Authority) fits(p *Policy) error {
	if p.SubjectAccessReview && a.reviews == nil {
		return errNoCluster
	}
	return nil
}

func (a *Authority) parse(b []byte) (*Policy, error) {
	p, err := ParsePolicy(b)
	if err == nil {
		err = a.fits(p)
	}
	return p, err
}

// current is the policy at the moment.
func (a *Authority) current() *Policy {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file == nil {
		return a.policy
	}
	b, changed, err := a.file.load()
	if !changed {
		return a.policy
	}
	var p *Policy
	if err == nil {
		p, err = a.parse(b)
	}
	if err != nil {
		a.log.Error("the policy has changed and cannot be used: the one before stays", "file", a.file.path, "error", err.Error())
		return a.policy
	}
	a.log.Info("the policy has changed", "file", a.file.path, "rules", len(p.Rules))
	a.policy = p
	return p
}

// Limit is what a user may take at the moment.
func (a *Authority) Limit(u *User) Limit {
	p := a.current()
	return p.Limits.Of(u)
}

// Scope says where u may do v at the moment: where a rule or the cluster allows it, and u may
// see. It is empty only with a *Refusal. It may wait for the cluster, a few seconds at most.
func (a *Authority) Scope(ctx context.Context, u *User, v Verb) (Scope, error) {
	p := a.current()
	see, err := a.scope(ctx, p, u, See)
	if err != nil || v == See {
		if err != nil {
			err = &Refusal{nameOf(u), v, errors.Unwrap(err)}
		}
		return see, err
	}
	s, err := a.scope(ctx, p, u, v)
	if err != nil {
		return Scope{}, err
	}
	if s = s.Intersect(see); s.Empty() {
		return s, &Refusal{u.Name, v, ErrNoRule}
	}
	return s, nil
}

func nameOf(u *User) string {
	if u == nil || u.Name == "" {
		return "nobody"
	}
	return u.Name
}

// scope is what rules and cluster allow together.
func (a *Authority) scope(ctx context.Context, p *Policy, u *User, v Verb) (Scope, error) {
	s, err := p.Scope(u, v)
	if s.All || errors.Is(err, ErrNobody) || !p.SubjectAccessReview {
		return s, err
	}
	more, unasked := a.reviews.scope(ctx, u, v)
	if s = s.Union(more); !s.Empty() {
		return s, nil
	}
	if unasked != nil {
		return s, &Refusal{u.Name, v, ErrUnasked}
	}
	return s, &Refusal{u.Name, v, ErrNoRule}
}
