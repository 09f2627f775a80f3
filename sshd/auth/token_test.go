package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// reviewed answers token reviews.
type reviewed func(token string) (string, []string, error)

func (r reviewed) TokenUser(_ context.Context, token string) (string, []string, error) {
	return r(token)
}

func TestTokens(t *testing.T) {
	asked := 0
	cluster := reviewed(func(token string) (string, []string, error) {
		asked++
		switch token {
		case "good":
			return "system:serviceaccount:shop:ops", []string{"system:authenticated"}, nil
		case "nameless":
			return "", nil, nil
		case "odd":
			return "a\x1b[2J", nil, nil
		case "odd-group":
			return "ada", []string{"dev\n"}, nil
		case "everywhere":
			return "ada", make([]string, maxGroups+1), nil
		}
		return "", nil, fmt.Errorf("token %s is not known", token)
	})
	at := netip.MustParseAddr("10.0.0.7")
	for _, tt := range []struct {
		token string
		want  error
		asked int
	}{
		{"good", nil, 1}, {"good\r\n", nil, 1},
		{"", ErrToken, 0}, {" ", ErrToken, 0}, {"go od", ErrToken, 0}, {"g\x00", ErrToken, 0}, {"g\u00e9", ErrToken, 0},
		{strings.Repeat("x", maxToken+1), ErrToken, 0},
		{"bad-token", ErrToken, 1}, {"nameless", ErrToken, 1}, {"odd", ErrToken, 1}, {"odd-group", ErrToken, 1}, {"everywhere", ErrToken, 1},
	} {
		asked = 0
		u, err := NewTokenDoor(cluster, time.Now).Check(context.Background(), "x", at, tt.token)
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) || (u == nil) != (err != nil) || asked != tt.asked {
			t.Errorf("%.20q: %+v %v, asked %d times", tt.token, u, err, asked)
		}
		if err != nil && len(tt.token) > 3 && strings.Contains(err.Error(), tt.token) {
			t.Errorf("the error holds the token: %v", err)
		}
		if err == nil && (u.Name != "system:serviceaccount:shop:ops" || u.Method != ByToken || u.Login != "x" || !slices.Equal(u.Groups, []string{"system:authenticated"})) {
			t.Errorf("%+v", u)
		}
	}
}

func TestTokensAreBounded(t *testing.T) {
	at, other := netip.MustParseAddr("10.0.0.7"), netip.MustParseAddr("10.0.0.8")
	now := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	door := NewTokenDoor(reviewed(func(string) (string, []string, error) { return "ada", nil, nil }), func() time.Time { return now })
	try := func(from netip.Addr, want error) {
		t.Helper()
		if _, err := door.Check(context.Background(), "x", from, "t"); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	for range tokenBurst {
		try(at, nil)
	}
	try(at, ErrBusy)
	try(other, nil)
	now = now.Add(time.Second)
	try(at, nil)
	try(at, ErrBusy)

	// At most so many reviews run at once; who comes then is refused, not kept waiting.
	hold, running := make(chan struct{}), make(chan struct{})
	door = NewTokenDoor(reviewed(func(string) (string, []string, error) {
		running <- struct{}{}
		<-hold
		return "ada", nil, nil
	}), func() time.Time { return now })
	ended := make(chan error)
	for range tokensAtOnce {
		go func() {
			_, err := door.Check(context.Background(), "x", at, "t")
			ended <- err
		}()
		<-running
	}
	try(other, ErrBusy)
	close(hold)
	for range tokensAtOnce {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
