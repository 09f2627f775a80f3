package auth

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const goodPolicy = `
rules:
- users: [ada]
  groups: ["dev"]
  verbs: [see, payload]
  namespaces: [shop]
- groups: [ops]
  verbs: [see, payload, export, replay, snapshot]
  namespaces: ["*"]
subjectAccessReview: false
limits:
  sessions: 4
  exportMBPerHour: 100
  idle: 30m
  overrides:
  - groups: [ops]
    sessions: 40
    sessionTime: 12h
`

func TestParsePolicy(t *testing.T) {
	p, err := ParsePolicy([]byte(goodPolicy))
	if err != nil {
		t.Fatal(err)
	}
	if s, err := p.Scope(&User{Name: "x", Groups: []string{"dev"}}, Payload); err != nil || !slices.Equal(s.Namespaces, []string{"shop"}) {
		t.Errorf("%v %v", s, err)
	}
	if got, want := p.Limits.Of(&User{Name: "ada"}), (Limit{Sessions: 4, ExportMB: 100, Idle: Duration(30 * time.Minute)}); got != want {
		t.Errorf("%+v", got)
	}
	if got, want := p.Limits.Of(&User{Name: "x", Groups: []string{"ops"}}), (Limit{Sessions: 40, Session: Duration(12 * time.Hour)}); got != want {
		t.Errorf("%+v", got)
	}
	for _, empty := range []string{"", "{}", "rules: []"} {
		p, err := ParsePolicy([]byte(empty))
		if err != nil {
			t.Errorf("%q: %v", empty, err)
		} else if _, err := p.Scope(&User{Name: "ada", Method: ByKey}, See); !errors.Is(err, ErrRefused) {
			t.Errorf("%q allows something", empty)
		}
	}
	rule := func(more string) string { return "rules:\n- users: [ada]\n" + more }
	for _, tt := range []struct{ text, want string }{
		{"rules: [", "line 1"},
		{"rules: x", "rules"},
		{"rule: []", `line 1: field "rule" is not known`},
		{rule("  verbs: [see]\n  namespace: [shop]\n"), `line 4: field "namespace" is not known`},
		{rule("  verbs: [see]\n  verbs: [see]\n"), `"verbs"`},
		{rule("  verbs: [look]\n  namespaces: [shop]\n"), `rules[0].verbs[0]: "look" is no verb: want some of see, payload, export, replay, snapshot`},
		{rule("  verbs: [\"*\"]\n  namespaces: [shop]\n"), `no verb`},
		{rule("  verbs: see\n  namespaces: [shop]\n"), "verbs"},
		{rule("  verbs: [see]\n"), "rules[0].namespaces: is empty"},
		{rule("  namespaces: [shop]\n"), "rules[0].verbs: is empty"},
		{rule("  verbs: [see]\n  namespaces: [shop-*]\n"), `rules[0].namespaces[0]: "shop-*" is no name`},
		{rule("  verbs: [see]\n  namespaces: [\"\"]\n"), `rules[0].namespaces[0]`},
		{"rules:\n- verbs: [see]\n  namespaces: [shop]\n", "rules[0]: names nobody"},
		{"limits: {sessions: -1}", "limits.sessions"},
		{"limits: {idle: 30}", "duration"},
		{"limits: {idle: soon}", "duration"},
		{"limits: {overrides: [{sessions: 1}]}", "limits.overrides[0]: names nobody"},
		{strings.Repeat("#", maxPolicyFile+1), "larger"},
	} {
		if _, err := ParsePolicy([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.60q: %v, want %s", tt.text, err, tt.want)
		}
	}
}

// TestPolicyChanges: a file that changed counts, one that is broken does not.
func TestPolicyChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	var log strings.Builder
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := AuthorityOptions{Path: path, Log: slog.New(slog.NewTextHandler(&log, nil)), Now: time.Now}
	if _, err := NewAuthority(o); err == nil {
		t.Fatal("a missing policy is one")
	}
	write("rules: [")
	if _, err := NewAuthority(o); err == nil {
		t.Fatal("a broken policy is one")
	}
	write(goodPolicy)
	a, err := NewAuthority(o)
	if err != nil {
		t.Fatal(err)
	}
	ada := &User{Name: "ada", Method: ByKey}
	check := func(v Verb, want ...string) {
		t.Helper()
		s, err := a.Scope(context.Background(), ada, v)
		if !slices.Equal(s.Names(), want) || (err == nil) != (len(want) > 0) {
			t.Errorf("%s: %v %v, want %v", v, s, err, want)
		}
	}
	check(See, "shop")
	check(Export)
	write("rules:\n- users: [ada]\n  verbs: [export]\n  namespaces: [\"*\"]\n- users: [ada]\n  verbs: [see]\n  namespaces: [bank]\n")
	check(See, "bank")
	check(Export, "bank") // nothing that may not be seen
	write("rules: [{}]")
	check(See, "bank")
	check(See, "bank")
	if n := strings.Count(log.String(), "the one before stays"); n != 1 {
		t.Errorf("the broken policy was logged %d times:\n%s", n, log.String())
	}
	write("subjectAccessReview: true")
	check(See, "bank")
	if !strings.Contains(log.String(), errNoCluster.Error()) {
		t.Error("reviews without a cluster are not told")
	}
	write("{}")
	check(See)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	check(See)
}

func FuzzPolicy(f *testing.F) {
	f.Add([]byte(goodPolicy))
	f.Add([]byte("rules: [{users: [a], verbs: [see], namespaces: ['*']}]"))
	f.Add([]byte("a: &a [*a]\nlimits: {idle: 1h}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePolicy(b)
		if (p == nil) != (err != nil) {
			t.Fatal("want exactly one of policy and error")
		}
		if err != nil {
			return
		}
		for _, u := range []*User{{Name: "a", Method: ByKey}, {Name: "a", Method: ByToken, Groups: []string{"g"}}} {
			for _, v := range Verbs() {
				if s, err := p.Scope(u, v); s.Empty() != (err != nil) {
					t.Fatalf("%v %v", s, err)
				}
			}
			_ = p.Limits.Of(u)
		}
	})
}
