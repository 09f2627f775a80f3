package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Tokens says whose a Kubernetes token is, as far as the cluster proves it (TokenReview). Its
// errors must not hold the token.
type Tokens interface {
	TokenUser(ctx context.Context, token string) (name string, groups []string, err error)
}

// Bounds on tokens, each of which costs the API server a review.
const (
	maxToken     = 16 << 10 // bytes
	tokensAtOnce = 8
	tokenTime    = 10 * time.Second // of one review
	tokenRate    = 1                // a second and address, in the long run
	tokenBurst   = 10
)

// TokenDoor lets in who has a token of the cluster.
type TokenDoor struct {
	tokens Tokens
	rate   *Rate
	slots  chan struct{}
}

// NewTokenDoor asks tokens.
func NewTokenDoor(tokens Tokens, now func() time.Time) *TokenDoor {
	return &TokenDoor{tokens: tokens, rate: NewRate(tokenRate, tokenBurst, now), slots: make(chan struct{}, tokensAtOnce)}
}

// Check says who a token belongs to. Neither its result nor its error holds the token.
func (d *TokenDoor) Check(ctx context.Context, login string, from netip.Addr, token string) (*User, error) {
	token = strings.TrimSpace(token) // terminals and files add a line end
	switch {
	case token == "":
		return nil, fmt.Errorf("%w: it is empty", ErrToken)
	case len(token) > maxToken:
		return nil, fmt.Errorf("%w: it is longer than %d bytes", ErrToken, maxToken)
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return nil, fmt.Errorf("%w: it has characters that no token has", ErrToken)
	case !d.rate.Take(from):
		return nil, fmt.Errorf("%w from this address", ErrBusy)
	}
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	default:
		return nil, ErrBusy
	}
	ctx, cancel := context.WithTimeout(ctx, tokenTime)
	defer cancel()
	name, groups, err := d.tokens.TokenUser(ctx, token)
	if err != nil {
		text := strings.ReplaceAll(err.Error(), token, "(the token)")
		return nil, fmt.Errorf("%w: %w", ErrToken, errors.New(text))
	}
	if err := checkName(name); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	if len(groups) > maxGroups {
		return nil, fmt.Errorf("%w: its user is in more than %d groups", ErrToken, maxGroups)
	}
	for _, g := range groups {
		if err := checkName(g); err != nil {
			return nil, fmt.Errorf("%w: group: %w", ErrToken, err)
		}
	}
	return &User{Name: name, Login: login, Method: ByToken, Groups: groups}, nil
}
