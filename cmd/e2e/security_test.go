package main_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// testSecurity looks at what the product's accounts and pods may do.
func (s *suite) testSecurity(t *testing.T) {
	t.Run("hub's account", func(t *testing.T) {
		everybody := s.rights(t, "default", "default")
		allowed := regexp.MustCompile(`^(pods|services|nodes|namespaces|endpointslices\.discovery\.k8s\.io|(deployments|replicasets|statefulsets|daemonsets)\.apps|(jobs|cronjobs)\.batch) \[\] \[\] \[(get|list|watch)( (get|list|watch))*\]$` +
			`|^(tokenreviews\.authentication|subjectaccessreviews\.authorization)\.k8s\.io \[\] \[\] \[create\]$`)
		all := s.rights(t, releaseSpace, "sshark-hub")
		for _, r := range all {
			if !slices.Contains(everybody, r) && !allowed.MatchString(r) {
				t.Errorf("the hub may do more than it is to: %s", r)
			}
		}
		for _, want := range []string{"pods", "services", "nodes", "endpointslices.discovery.k8s.io", "tokenreviews.authentication.k8s.io", "subjectaccessreviews.authorization.k8s.io"} {
			if !slices.ContainsFunc(all, func(r string) bool { return strings.HasPrefix(r, want+" ") }) {
				t.Errorf("the hub may do nothing with %s", want)
			}
		}
	})
	t.Run("worker's account", func(t *testing.T) {
		for _, p := range s.cluster.pods(t, releaseSpace, workerPods) {
			var pod struct {
				Spec struct {
					AutomountServiceAccountToken *bool
					HostNetwork                  bool
					Volumes                      []map[string]any
					Containers                   []struct {
						SecurityContext struct{ Privileged, ReadOnlyRootFilesystem *bool }
					}
				}
			}
			s.get(t, &pod, "pod", "-n", releaseSpace, p.Metadata.Name)
			if a := pod.Spec.AutomountServiceAccountToken; a == nil || *a {
				t.Error("the worker's pod mounts a service account's token")
			}
			if pod.Spec.HostNetwork {
				t.Error("the worker shares its node's network")
			}
			for _, v := range pod.Spec.Volumes {
				if v["projected"] != nil && strings.Contains(fmt.Sprint(v["projected"]), "serviceAccountToken") {
					t.Error("the worker's pod has a token in a volume")
				}
			}
			for _, c := range pod.Spec.Containers {
				if p := c.SecurityContext.Privileged; p != nil && *p {
					t.Error("the worker is privileged")
				}
				if r := c.SecurityContext.ReadOnlyRootFilesystem; r == nil || !*r {
					t.Error("the worker may write to its root")
				}
			}
		}
	})
	t.Run("pod security", func(t *testing.T) {
		// The API server warns of the pods that a profile would refuse.
		a := try(t, time.Minute, slices.Concat(s.kubectl, []string{"label", "--dry-run=server", "--overwrite", "namespace", releaseSpace, "pod-security.kubernetes.io/enforce=restricted"})...)
		if a.status != 0 || strings.Contains(a.errs, "sshark-hub") || !strings.Contains(a.errs, "sshark-worker") {
			t.Errorf("the hub must run under the restricted profile, and the worker can't: %v", a)
		}
		t.Logf("restricted: %s", a.errs)
		a = try(t, time.Minute, slices.Concat(s.kubectl, []string{"label", "--dry-run=server", "--overwrite", "namespace", releaseSpace, "pod-security.kubernetes.io/enforce=privileged"})...)
		if a.status != 0 || strings.Contains(a.errs, "Warning") {
			t.Errorf("privileged: %v", a)
		}
	})
}

// rights are what `kubectl auth can-i --list` says of a service account, one line each: what,
// which URLs, which names, which verbs, with one blank between them, verbs sorted.
func (s *suite) rights(t *testing.T, space, account string) (all []string) {
	t.Helper()
	text := s.kube(t, "auth", "can-i", "--list", "-n", releaseSpace, "--as=system:serviceaccount:"+space+":"+account,
		"--as-group=system:serviceaccounts", "--as-group=system:serviceaccounts:"+space, "--as-group=system:authenticated", "--no-headers")
	row := regexp.MustCompile(`^(\S*)\s+(\[[^]]*\])\s+(\[[^]]*\])\s+\[([^]]*)\]\s*$`)
	for line := range strings.Lines(text) {
		m := row.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("auth can-i --list: %q", line)
		}
		verbs := strings.Fields(m[4])
		slices.Sort(verbs)
		all = append(all, fmt.Sprintf("%s %s %s %s", m[1], m[2], m[3], verbs))
	}
	return all
}
