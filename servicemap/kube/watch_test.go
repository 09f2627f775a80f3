package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/sshark/sshark/servicemap/identity"
)

func namespace(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metaOf("", name, 0)}
}

// shop is a small cluster on an API server.
func shop(a *api) {
	cart := owned(aPod("cart-7d9-x", 10, "10.1.0.5", "fd00::5"), "ReplicaSet", "cart-7d9")
	cart.Labels = map[string]string{"app": "cart"}
	a.put(aNode("a", 0, "172.16.0.1"), cart, aService("cart", "cart", 0, "10.96.0.1"), aSlice("cart-1", "cart", 80, "cart-7d9-x"),
		anOwner("ReplicaSet", "cart-7d9", "Deployment", "cart"), anOwner("Job", "nightly-1", "CronJob", "nightly"),
		owned(aPod("nightly-1-y", 10, "10.1.0.6"), "Job", "nightly-1"), namespace("shop"), namespace("sshark"), aWorker("w-1", "a", 10))
}

// TestWatch goes the whole way, with lists that come over the watch and without.
func TestWatch(t *testing.T) {
	for _, noStream := range []bool{false, true} {
		t.Run(fmt.Sprint("lists: ", noStream), func(t *testing.T) {
			a := newAPI()
			a.noStream = noStream
			shop(a)
			c := a.start(t, Options{})
			wait(t, "synced", c.Synced)
			for addr, want := range map[string]string{
				"10.1.0.5:80": "shop/cart-7d9-x cart(Deployment) service:cart @a", "[fd00::5]:80": "shop/cart-7d9-x cart(Deployment) service:cart @a",
				"10.1.0.6:80": "shop/nightly-1-y nightly(CronJob) @a", "10.96.0.1:80": " service:cart", "172.16.0.1:22": " @a", "10.1.0.99:80": "",
			} {
				if got := who(c, addr, 20); got != want {
					t.Errorf("%s is %q, want %q", addr, got, want)
				}
			}
			if got := c.Namespaces(); !slices.Equal(got, []string{"shop", "sshark"}) {
				t.Errorf("namespaces %q", got)
			}
			if got := c.Workers(); len(got) != 1 || !got[0].Ready {
				t.Errorf("workers %+v", got)
			}
			wait(t, "watching", func() bool { return c.Lag() == 0 })
			if p := c.Problem(); p != "" {
				t.Errorf("problem %q", p)
			}

			// Changes: one comes, one changes, one goes.
			a.put(aPod("new", 30, "10.1.0.7"), namespace("other"))
			wait(t, "new pod", func() bool { return who(c, "10.1.0.7:80", 31) == "shop/new @a" })
			a.put(aService("new", "new", 0, "10.96.0.7"))
			wait(t, "its service", func() bool { return who(c, "10.1.0.7:80", 31) == "shop/new service:new @a" })
			for _, o := range []object{aPod("new", 30), namespace("other"), aService("new", "", 0), aSlice("cart-1", "cart", 80),
				anOwner("ReplicaSet", "cart-7d9", "", ""), anOwner("Job", "nightly-1", "", "")} {
				a.remove(o)
			}
			wait(t, "all gone", func() bool {
				c.mu.RLock()
				defer c.mu.RUnlock()
				return len(c.pods["shop"]) == 2 && len(c.namespaces) == 2 && len(c.services["shop"]) == 1 && len(c.slices) == 0 && len(c.replicaSets) == 0 && len(c.jobs) == 0
			})

			verbs := map[string]bool{}
			for what := range a.asked {
				verb, of, _ := strings.Cut(what, " ")
				if of, _, _ = strings.Cut(of, "/"); !strings.Contains("pods services nodes namespaces endpointslices replicasets jobs", of) {
					t.Errorf("it asked to %s", what)
				}
				verbs[verb] = true
			}
			if want := map[string]bool{"watch": true, "list": true}; noStream && !maps.Equal(verbs, want) || !noStream && verbs["list"] {
				t.Errorf("it asked to %v", verbs)
			}
		})
	}
}

// TestServerAway: who is who goes on from memory, says so, and catches up, also on what was
// deleted meanwhile.
func TestServerAway(t *testing.T) {
	a := newAPI()
	shop(a)
	c := a.start(t, Options{})
	wait(t, "watching", func() bool { return c.Synced() && c.Lag() == 0 })
	heard := make(chan []string, 16)
	go c.Pods(t.Context(), "a", func(_ []identity.Pod, gone []string, _ bool) error { heard <- gone; return nil })
	<-heard
	a.away()
	wait(t, "a problem", func() bool { return strings.HasPrefix(c.Problem(), "who is who is from memory since ") })
	if p := c.Problem(); strings.ContainsRune(p, 0x1b) {
		t.Errorf("problem %q", p)
	}
	wait(t, "lag", func() bool { return c.Lag() > 0 })
	if got := who(c, "10.1.0.5:80", 20); got != "shop/cart-7d9-x cart(Deployment) service:cart @a" {
		t.Errorf("while it is away: %q", got)
	}
	if !c.Synced() {
		t.Error("what was known is not any more")
	}
	a.remove(aPod("cart-7d9-x", 10))
	a.put(aPod("new", 30, "10.1.0.7"))
	a.mu.Lock()
	a.events = nil // too much has happened to be told one by one
	a.mu.Unlock()
	a.back()
	wait(t, "the new pod", func() bool { return who(c, "10.1.0.7:80", 31) == "shop/new @a" })
	if got := <-heard; !slices.Contains(got, "uid-shop-cart-7d9-x") {
		t.Errorf("gone: %q", got)
	}
	wait(t, "no problem", func() bool { return c.Problem() == "" && c.Lag() == 0 })
	if got := who(c, "10.1.0.5:80", 20); got == "" {
		t.Error("the past is forgotten")
	}
	if got, _, known := c.Who(netip.MustParseAddrPort("10.1.0.5:80"), time.Now().UnixNano()); known {
		t.Errorf("who was deleted is still there: %+v", got.Identity)
	}
}

// TestRefused: without the optional resources it works; without others it says why not.
func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		resource string
		status   int
		synced   bool
		problem  string
	}{
		{"replicasets", http.StatusForbidden, true, "workloads are named less well: "},
		{"jobs", http.StatusForbidden, true, "workloads are named less well: "},
		{"jobs", http.StatusServiceUnavailable, false, "who is who is not known yet: "},
		{"pods", http.StatusForbidden, false, "who is who is not known yet: "},
	} {
		t.Run(tt.resource+" "+http.StatusText(tt.status), func(t *testing.T) {
			a := newAPI()
			shop(a)
			a.refuse = func(_, resource string) int {
				if resource == tt.resource {
					return tt.status
				}
				return 0
			}
			c := a.start(t, Options{})
			wait(t, tt.problem, func() bool { return strings.HasPrefix(c.Problem(), tt.problem) })
			if !strings.Contains(c.Problem(), tt.resource) {
				t.Errorf("the problem does not say what: %q", c.Problem())
			}
			if tt.synced {
				wait(t, "synced", c.Synced)
				wait(t, "no lag", func() bool { return c.Lag() == 0 })
			} else if wait(t, "lag", func() bool { return c.Lag() > 0 }); c.Synced() {
				t.Error("it is synced")
			}
		})
	}
}

func TestBadSelector(t *testing.T) {
	for _, o := range []Options{{Workers: "a=b=c"}, {Hub: "!"}} {
		o.Log = slog.New(slog.DiscardHandler)
		if _, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "selector") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestConnect(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	if _, err := Connect(""); err == nil || !strings.Contains(err.Error(), "outside of a cluster, name a kubeconfig") {
		t.Errorf("outside of a cluster: %v", err)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if _, err := Connect(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("without the file: %v", err)
	}
	config := "apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts: [{name: x, context: {cluster: x, user: x}}]\n" +
		"clusters: [{name: x, cluster: {server: \"http://127.0.0.1:1\"}}]\nusers: [{name: x, user: {}}]\n"
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Connect(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.TokenUser(t.Context(), "x"); err == nil || errors.Is(err, ErrToken) {
		t.Errorf("nobody listens, and the token is %v", err)
	}
}

func TestReviews(t *testing.T) {
	a := newAPI()
	a.token = func(token string) (s authenticationv1.TokenReviewStatus) {
		switch token {
		case "alice":
			s.Authenticated, s.User.Username, s.User.Groups = true, "alice", []string{"dev", "system:authenticated"}
		case "nameless":
			s.Authenticated = true
		case "expired":
			s.Error = "token has \x1bexpired"
		}
		return s
	}
	a.access = func(s authorizationv1.SubjectAccessReviewSpec) bool {
		r := s.ResourceAttributes
		return s.User == "alice" && slices.Contains(s.Groups, "dev") && r.Verb == "see" && r.Group == "sshark.io" && r.Resource == "traffic" && r.Namespace == "shop"
	}
	c := a.serve(t)
	for token, want := range map[string]string{
		"alice":                         "alice [dev system:authenticated] <nil>",
		"bob":                           " [] the token is not accepted",
		"nameless":                      " [] the token is not accepted",
		"expired":                       " [] the token is not accepted: token has expired",
		"":                              " [] the token is not accepted",
		strings.Repeat("x", maxToken+1): " [] the token is not accepted",
	} {
		name, groups, err := c.TokenUser(t.Context(), token)
		if got := fmt.Sprint(name, " ", groups, " ", err); got != want || err != nil && !errors.Is(err, ErrToken) {
			t.Errorf("%.10q is %q, want %q", token, got, want)
		}
	}
	for _, tt := range []struct {
		user, verb, namespace string
		want                  bool
	}{{"alice", "see", "shop", true}, {"alice", "replay", "shop", false}, {"alice", "see", "", false}, {"bob", "see", "shop", false}} {
		if got, err := c.Allowed(t.Context(), tt.user, []string{"dev"}, tt.verb, "traffic", tt.namespace); err != nil || got != tt.want {
			t.Errorf("%+v: %v, %v", tt, got, err)
		}
	}
	if !a.asked["create tokenreviews/apis/authentication.k8s.io/v1"] || !a.asked["create subjectaccessreviews/apis/authorization.k8s.io/v1"] {
		t.Errorf("asked %v", a.asked)
	}
	a.away()
	if _, _, err := c.TokenUser(t.Context(), "alice"); err == nil || errors.Is(err, ErrToken) || strings.Contains(err.Error(), "alice") {
		t.Errorf("without a server: %v", err)
	}
	if ok, err := c.Allowed(t.Context(), "alice", []string{"dev"}, "see", "traffic", "shop"); err == nil || ok {
		t.Errorf("without a server: %v, %v", ok, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Allowed(ended, "alice", nil, "see", "traffic", "shop"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
