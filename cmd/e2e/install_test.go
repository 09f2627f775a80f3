package main_test

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// testInstall gets in on both ways, and looks whether all is well.
func (s *suite) testInstall(t *testing.T) {
	for name, c := range map[string]*console{
		"through kubectl exec":   s.byProxy(s.dir, s.operator),
		"through the hub's node": s.console,
		"through another node":   s.byPort(s.dir, s.operator, s.nodes[1].addr, s.port),
	} {
		t.Run(name, func(t *testing.T) {
			if who := c.ask(t, "whoami"); !strings.Contains(who, "operator") {
				t.Errorf("whoami: %s", who)
			}
			if version := c.ask(t, "version"); !strings.Contains(version, "sshark") {
				t.Errorf("version: %s", version)
			}
		})
	}
	t.Run("another key", func(t *testing.T) {
		stranger := s.byProxy(s.dir, newKey(t, t.TempDir(), "stranger"))
		if a := stranger.try(t, "version"); a.status != 255 || !strings.Contains(a.errs, "Permission denied") || a.out != "" {
			t.Errorf("%v, want to be refused", a)
		}
	})
	t.Run("nodes", func(t *testing.T) {
		text := s.console.ask(t, "nodes", "-o", "json")
		var names []string
		pods := map[string]bool{} // of the workload
		for _, n := range objects[captured](t, text) {
			names = append(names, n.Name)
			if n.State != "capturing" || n.Problem != "" || n.Seen == 0 || n.Dropped != 0 {
				t.Errorf("%+v", n)
			}
			for _, p := range n.Pods {
				own := p.Namespace == releaseSpace // they are left out
				if p.Problem != "" || len(p.Interfaces) == 0 && !own {
					t.Errorf("%s: pod %+v", n.Name, p)
				}
				pods[p.Namespace+"/"+p.Name] = true
			}
		}
		for _, n := range s.nodes {
			if !slices.Contains(names, n.name) {
				t.Errorf("nodes %q lack %s", names, n.name)
			}
		}
		for part, all := range s.pods {
			for _, p := range all {
				if !p.Spec.HostNetwork && !pods[p.Metadata.Namespace+"/"+p.Metadata.Name] {
					t.Errorf("%s: pod %s is not captured", part, p.Metadata.Name)
				}
			}
		}
	})
	t.Run("doctor", func(t *testing.T) {
		var a answer
		if !soon(t, 30*time.Second, func() bool {
			a = s.console.try(t, "doctor")
			return a.status == 0
		}) {
			t.Error(a)
		}
		t.Logf("doctor:\n%v", a)
	})
}
