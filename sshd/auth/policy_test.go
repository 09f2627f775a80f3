package auth

import (
	"errors"
	"slices"
	"testing"
)

// TestScope is the table of who may do what where.
func TestScope(t *testing.T) {
	ada := &User{Name: "ada", Method: ByKey, Groups: []string{"dev", "night"}}
	pod := &User{Name: "system:serviceaccount:bank:till", Method: ByToken, Groups: []string{"system:serviceaccounts", "system:authenticated"}}
	star := &User{Name: "*", Method: ByToken, Groups: []string{"*"}}
	shop, bank := []string{"shop"}, []string{"bank"}
	all := []string{"*"}
	see := []Verb{See}
	for _, tt := range []struct {
		name   string
		rules  []Rule
		user   *User
		verb   Verb
		want   []string // "*": all; nil: refused
		reason error
	}{
		{"all", AllowAll().Rules, ada, Export, all, nil},
		{"nobody", AllowAll().Rules, nil, See, nil, ErrNobody},
		{"no name", AllowAll().Rules, &User{}, See, nil, ErrNobody},
		{"no rules", nil, ada, See, nil, ErrNoRule},
		{"by name", []Rule{{Users: []string{"ada"}, Verbs: see, Namespaces: shop}}, ada, See, shop, nil},
		{"another verb", []Rule{{Users: []string{"ada"}, Verbs: see, Namespaces: shop}}, ada, Export, nil, ErrNoRule},
		{"another name", []Rule{{Users: []string{"eve"}, Verbs: Verbs(), Namespaces: all}}, ada, See, nil, ErrNoRule},
		{"half a name", []Rule{{Users: []string{"ad", "adam", "ADA", " ada"}, Verbs: Verbs(), Namespaces: all}}, ada, See, nil, ErrNoRule},
		{"by group", []Rule{{Groups: []string{"ops"}, Verbs: Verbs(), Namespaces: bank}, {Groups: []string{"dev"}, Verbs: Verbs(), Namespaces: shop}}, ada, Export, shop, nil},
		{"another group", []Rule{{Groups: []string{"ops"}, Verbs: Verbs(), Namespaces: all}}, ada, See, nil, ErrNoRule},
		{"a name is no group", []Rule{{Groups: []string{"ada"}, Verbs: Verbs(), Namespaces: all}}, ada, See, nil, ErrNoRule},
		{"a group is no name", []Rule{{Users: []string{"dev"}, Verbs: Verbs(), Namespaces: all}}, ada, See, nil, ErrNoRule},
		{"any group", []Rule{{Groups: all, Verbs: see, Namespaces: shop}}, ada, See, shop, nil},
		{"any group, in none", []Rule{{Groups: all, Verbs: see, Namespaces: shop}}, &User{Name: "eve", Method: ByKey}, See, nil, ErrNoRule},
		{"no users", []Rule{{Verbs: Verbs(), Namespaces: all}}, ada, See, nil, ErrNoRule},
		{"no verbs", []Rule{{Users: all, Namespaces: all}}, ada, See, nil, ErrNoRule},
		{"no namespaces", []Rule{{Users: all, Verbs: Verbs()}}, ada, See, nil, ErrNoRule},
		{"a namespace without a name", []Rule{{Users: all, Verbs: see, Namespaces: []string{""}}}, ada, See, nil, ErrNoRule},
		{"union", []Rule{{Users: all, Verbs: see, Namespaces: []string{"shop", "web"}}, {Groups: []string{"night"}, Verbs: Verbs(), Namespaces: []string{"bank", "shop"}}}, ada, See, []string{"bank", "shop", "web"}, nil},
		{"union with all", []Rule{{Users: all, Verbs: see, Namespaces: shop}, {Groups: []string{"night"}, Verbs: see, Namespaces: all}}, ada, See, all, nil},
		{"union of one verb only", []Rule{{Users: all, Verbs: see, Namespaces: all}, {Groups: []string{"night"}, Verbs: []Verb{Export}, Namespaces: shop}}, ada, Export, shop, nil},
		{"everybody is not every workload", AllowAll().Rules, pod, See, nil, ErrNoRule},
		{"any group is not every workload's", []Rule{{Groups: all, Verbs: see, Namespaces: all}}, pod, See, nil, ErrNoRule},
		{"a workload by name", []Rule{{Users: []string{"system:serviceaccount:bank:till"}, Verbs: see, Namespaces: bank}}, pod, See, bank, nil},
		{"a workload by group", []Rule{{Groups: []string{"system:authenticated"}, Verbs: see, Namespaces: bank}}, pod, See, bank, nil},
		{"who is called star", []Rule{{Users: all, Groups: all, Verbs: see, Namespaces: all}}, star, See, nil, ErrNoRule},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := (&Policy{Rules: tt.rules}).Scope(tt.user, tt.verb)
			if !slices.Equal(s.Names(), tt.want) || !errors.Is(err, tt.reason) || (err == nil) != (tt.reason == nil) {
				t.Errorf("%v %v, want %v %v", s, err, tt.want, tt.reason)
			}
			if err != nil && !errors.Is(err, ErrRefused) {
				t.Error("a refusal is not ErrRefused")
			}
			if s.Empty() != (err != nil) {
				t.Error("want exactly one of scope and error")
			}
			// What is told: nothing that is not in the list, and of what is in no namespace only with all.
			for _, ns := range []string{"", "bank", "shop", "web", "other", "*"} {
				if want := slices.Contains(tt.want, "*") || ns != "" && slices.Contains(tt.want, ns); s.Has(ns) != want {
					t.Errorf("has %q: %v", ns, s.Has(ns))
				}
			}
		})
	}
}

func TestScopes(t *testing.T) {
	all, none := Scope{All: true}, Scope{}
	for _, tt := range []struct{ a, b, union, both Scope }{
		{all, all, all, all},
		{all, none, all, none},
		{all, In("b", "a", "b", ""), all, In("a", "b")},
		{In("a", "b"), In("b", "c"), In("a", "b", "c"), In("b")},
		{In("a"), In("b"), In("a", "b"), none},
		{none, none, none, none},
	} {
		for _, x := range [][2]Scope{{tt.a, tt.b}, {tt.b, tt.a}} {
			if got := x[0].Union(x[1]); got.All != tt.union.All || !slices.Equal(got.Namespaces, tt.union.Namespaces) {
				t.Errorf("%v or %v: %v", x[0], x[1], got)
			}
			if got := x[0].Intersect(x[1]); got.All != tt.both.All || !slices.Equal(got.Namespaces, tt.both.Namespaces) {
				t.Errorf("%v and %v: %v", x[0], x[1], got)
			}
		}
	}
}
