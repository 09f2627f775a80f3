package auth

import (
	"errors"
	"fmt"
	"slices"
)

// Verb is something that a user does.
type Verb string

// The verbs, from the mildest on. Whoever may not see a namespace may do nothing else there.
const (
	See      Verb = "see"      // who speaks with whom, when, over which protocol, how it ended
	Payload  Verb = "payload"  // what was said: summaries, fields, bodies, streams
	Export   Verb = "export"   // packets and files
	Replay   Verb = "replay"   // a flow sent again
	Snapshot Verb = "snapshot" // snapshots made and deleted
)

// Verbs are all of them.
func Verbs() []Verb { return []Verb{See, Payload, Export, Replay, Snapshot} }

// words say what a verb is, after "may not".
var words = map[Verb]string{
	See: "see traffic", Payload: "see what was said", Export: "export packets", Replay: "replay", Snapshot: "manage snapshots",
}

// Every is all users, or all namespaces.
const Every = "*"

// Rule allows verbs in namespaces to users and groups; an empty list of any of them names
// nobody or nothing. "*" among Users is everybody who got in by a key or a certificate, "*" among
// Groups every one of those who is in a group: of a cluster's tokens every workload has one, so
// that their users and groups must be named. "*" among Namespaces is all traffic, also that of
// nodes and of addresses that nobody knows.
type Rule struct {
	Users      []string `json:"users,omitempty"`
	Groups     []string `json:"groups,omitempty"`
	Verbs      []Verb   `json:"verbs"`
	Namespaces []string `json:"namespaces"`
}

// Policy is who may do what: what no rule allows is refused. It is data, and immutable once in
// use.
type Policy struct {
	Rules []Rule `json:"rules"`
	// SubjectAccessReview: what the cluster's RBAC allows is allowed too.
	SubjectAccessReview bool   `json:"subjectAccessReview,omitempty"`
	Limits              Limits `json:"limits,omitzero"`
}

// AllowAll lets everybody who got in by a key or a certificate do everything.
func AllowAll() *Policy {
	return &Policy{Rules: []Rule{{Users: []string{Every}, Verbs: Verbs(), Namespaces: []string{Every}}}}
}

// Scope is where something may be done: in all namespaces and outside of them, or in some.
type Scope struct {
	All        bool
	Namespaces []string // in order, without duplicates; nil with All
}

// In is the scope of some namespaces.
func In(namespaces ...string) Scope {
	own := slices.Clone(namespaces)
	slices.Sort(own)
	own = slices.Compact(own)
	return Scope{Namespaces: slices.DeleteFunc(own, func(n string) bool { return n == "" })}
}

// Empty says that nothing is in the scope.
func (s Scope) Empty() bool { return !s.All && len(s.Namespaces) == 0 }

// Has says whether a namespace is in the scope; "" is what is in no namespace, or not known.
func (s Scope) Has(namespace string) bool {
	if s.All {
		return true
	}
	_, ok := slices.BinarySearch(s.Namespaces, namespace)
	return ok && namespace != ""
}

// Union is what is in one of them.
func (s Scope) Union(t Scope) Scope {
	if s.All || t.All {
		return Scope{All: true}
	}
	return In(slices.Concat(s.Namespaces, t.Namespaces)...)
}

// Intersect is what is in both.
func (s Scope) Intersect(t Scope) Scope {
	switch {
	case s.All:
		return t
	case t.All:
		return s
	}
	return In(slices.DeleteFunc(slices.Clone(s.Namespaces), func(n string) bool { return !t.Has(n) })...)
}

// Equal compares them.
func (s Scope) Equal(t Scope) bool { return s.All == t.All && slices.Equal(s.Namespaces, t.Namespaces) }

// Names are the namespaces, or "*".
func (s Scope) Names() []string {
	if s.All {
		return []string{Every}
	}
	return s.Namespaces
}

// ErrRefused is wrapped by every refusal.
var ErrRefused = errors.New("refused by policy")

// Why a policy refuses; all wrap ErrRefused.
var (
	ErrNobody  = fmt.Errorf("%w: who asks is not known", ErrRefused)
	ErrNoRule  = fmt.Errorf("%w: no rule allows it", ErrRefused)
	ErrUnasked = fmt.Errorf("%w: no rule allows it, and the cluster cannot be asked at the moment", ErrRefused)
)

// Refusal says what was refused to whom.
type Refusal struct {
	User string
	Verb Verb
	Why  error
}

func (r *Refusal) Error() string {
	what, ok := words[r.Verb]
	if !ok {
		what = string(r.Verb)
	}
	return fmt.Sprintf("%s may not %s: %v", r.User, what, r.Why)
}

// Unwrap is the reason.
func (r *Refusal) Unwrap() error { return r.Why }

// Scope says where u may do v, by the rules alone: all that one of them allows. It is empty only
// with a *Refusal.
func (p *Policy) Scope(u *User, v Verb) (Scope, error) {
	if u == nil || u.Name == "" {
		return Scope{}, &Refusal{"nobody", v, ErrNobody}
	}
	var s Scope
	for i := range p.Rules {
		r := &p.Rules[i]
		if !named(u, r.Users, r.Groups) || !slices.Contains(r.Verbs, v) {
			continue
		}
		if slices.Contains(r.Namespaces, Every) {
			return Scope{All: true}, nil
		}
		s = s.Union(In(r.Namespaces...))
	}
	if s.Empty() {
		return s, &Refusal{u.Name, v, ErrNoRule}
	}
	return s, nil
}

// named says whether lists of users and groups name a user.
func named(u *User, users, groups []string) bool {
	own := u.Method != ByToken
	if own && slices.Contains(users, Every) || slices.Contains(users, u.Name) && u.Name != Every {
		return true
	}
	for _, g := range u.Groups {
		if slices.Contains(groups, g) && g != Every {
			return true
		}
	}
	return own && slices.Contains(groups, Every) && len(u.Groups) > 0
}
