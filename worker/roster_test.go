package worker

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/servicemap/identity"
)

func testRoster(t *testing.T, targets Targets) *roster {
	t.Helper()
	r, err := newRoster(targets)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func pod(uid, namespace, name string, labels map[string]string) identity.Pod {
	return identity.Pod{Identity: &dissect.Identity{PodUID: uid, Namespace: namespace, Pod: name, Labels: labels}}
}

func TestRosterTell(t *testing.T) {
	r := testRoster(t, Targets{})
	a, b := pod("a", "shop", "cart", nil), pod("b", "shop", "db", nil)
	names := func(pods []identity.Pod) (list []string) {
		for _, p := range pods {
			list = append(list, p.Pod)
		}
		return list
	}
	if got := names(r.tell([]identity.Pod{a, b}, nil, true)); !slices.Equal(got, []string{"cart", "db"}) {
		t.Errorf("at first: %q", got)
	}
	if got := names(r.tell([]identity.Pod{a, b}, nil, true)); got != nil {
		t.Errorf("the same again: %q", got)
	}
	b.Addrs = []netip.Addr{netip.MustParseAddr("10.0.0.1")}
	if got := names(r.tell([]identity.Pod{b}, nil, false)); !slices.Equal(got, []string{"db"}) {
		t.Errorf("an address: %q", got)
	}
	if got := r.name(pcap.Pod{UID: "a"}); got != (pcap.Pod{Namespace: "shop", Name: "cart", UID: "a"}) {
		t.Errorf("a is %+v", got)
	}
	if got := r.name(pcap.Pod{UID: "c"}); got != (pcap.Pod{UID: "c"}) {
		t.Errorf("a pod that nobody told of is %+v", got)
	}
	if got := r.name(pcap.Pod{Name: "lab"}); got != (pcap.Pod{Name: "lab"}) {
		t.Errorf("a named namespace is %+v", got)
	}

	// A pod that is gone keeps its name as long as it is captured.
	r.tell(nil, []string{"a"}, false)
	if over := r.sweep(map[string]bool{"a": true, "b": true}); over != nil || r.identity("a") == nil {
		t.Errorf("forgotten while it is captured: %+v", over)
	}
	if over := r.sweep(map[string]bool{"b": true}); !slices.Equal(names(over), []string{"cart"}) || r.identity("a") != nil {
		t.Errorf("forgotten: %+v", over)
	}
	// All of it anew, without b.
	r.tell([]identity.Pod{a}, nil, true)
	if over := r.sweep(nil); !slices.Equal(names(over), []string{"db"}) || r.identity("a") == nil {
		t.Errorf("forgotten: %+v", over)
	}
}

// The kubelet runs a static pod under the hash of its file.
func TestRosterStaticPod(t *testing.T) {
	r := testRoster(t, Targets{})
	p := pod("api-uid", "kube-system", "dns-node1", nil)
	p.Annotations = map[string]string{configHash: "hash"}
	r.tell([]identity.Pod{p}, nil, true)
	if got := r.name(pcap.Pod{UID: "hash"}); got != (pcap.Pod{Namespace: "kube-system", Name: "dns-node1", UID: "hash"}) {
		t.Errorf("named %+v", got)
	}
	r.tell(nil, []string{"api-uid"}, false)
	if over := r.sweep(nil); len(over) != 1 || len(r.keys) != 0 {
		t.Errorf("forgotten: %+v, keys %v", over, r.keys)
	}
}

func TestRosterTarget(t *testing.T) {
	web, db := map[string]string{"app": "web"}, map[string]string{"app": "db"}
	hub := map[string]string{labelName: "sshark", labelComponent: "hub"}
	pods := []identity.Pod{pod("web", "shop", "web", web), pod("db", "shop", "db", db), pod("dns", "kube-system", "dns", nil), pod("hub", "sshark", "hub", hub)}
	for name, c := range map[string]struct {
		targets Targets
		want    []string // UIDs; "": the node, "new": not named yet
	}{
		"all":        {Targets{}, []string{"web", "db", "dns", "", "new"}},
		"namespace":  {Targets{Namespaces: []string{"shop"}}, []string{"web", "db"}},
		"excluded":   {Targets{ExcludeNamespaces: []string{"kube-system"}}, []string{"web", "db"}},
		"both":       {Targets{Namespaces: []string{"shop", "sshark"}, ExcludeNamespaces: []string{"shop"}}, nil},
		"labels":     {Targets{Labels: "app in (web)"}, []string{"web"}},
		"not labels": {Targets{Labels: "!app"}, []string{"dns"}},
		"the hub":    {Targets{Namespaces: []string{"sshark"}}, nil},
	} {
		r := testRoster(t, c.targets)
		r.tell(pods, nil, true)
		var got []string
		for _, uid := range []string{"web", "db", "dns", "hub", "", "new"} {
			if !r.target(r.name(pcap.Pod{UID: uid})).Off {
				got = append(got, uid)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: captures %q, want %q", name, got, c.want)
		}
	}
	if _, err := newRoster(Targets{Labels: "app in web"}); err == nil {
		t.Error("a wrong selector is no error")
	}
}
