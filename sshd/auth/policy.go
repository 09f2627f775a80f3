package auth

import (
	"errors"
	"fmt"
	"slices"
)

// Verb is something that a user does.
type Verb string

// The verbs, from the mildest on.
const (
	See    Verb = "see"    // calls, flows, nodes, the screen
	Export Verb = "export" // packets and files
)

// Verbs are all of them.
func Verbs() []Verb { return []Verb{See, Export} }

// Rule allows verbs to users and groups; an empty list of either names nobody, "*" everybody.
type Rule struct {
	Users  []string
	Groups []string
	Verbs  []Verb
}

// Policy is who may do what: what no rule allows is refused.
type Policy []Rule

// AllowAll lets everybody who got in do everything.
func AllowAll() Policy { return Policy{{Users: []string{"*"}, Verbs: Verbs()}} }

// ErrRefused is wrapped by every refusal.
var ErrRefused = errors.New("refused by policy")

// Why a policy refuses; both wrap ErrRefused.
var (
	ErrNobody = fmt.Errorf("%w: who asks is not known", ErrRefused)
	ErrNoRule = fmt.Errorf("%w: no rule allows it", ErrRefused)
)

// Refusal says what was refused to whom.
type Refusal struct {
	User string
	Verb Verb
	Why  error
}

func (r *Refusal) Error() string { return fmt.Sprintf("%s may not %s: %v", r.User, r.Verb, r.Why) }

// Unwrap is the reason.
func (r *Refusal) Unwrap() error { return r.Why }

// Evaluate says whether u may do v: nil, or a *Refusal.
func (p Policy) Evaluate(u *User, v Verb) error {
	if u == nil || u.Name == "" {
		return &Refusal{"nobody", v, ErrNobody}
	}
	for i := range p {
		if p[i].matches(u) && slices.Contains(p[i].Verbs, v) {
			return nil
		}
	}
	return &Refusal{u.Name, v, ErrNoRule}
}

func (r *Rule) matches(u *User) bool {
	if slices.Contains(r.Users, "*") || slices.Contains(r.Users, u.Name) {
		return true
	}
	for _, g := range u.Groups {
		if slices.Contains(r.Groups, g) {
			return true
		}
	}
	return slices.Contains(r.Groups, "*") && len(u.Groups) > 0
}
