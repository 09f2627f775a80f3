package main_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// visitor is a pod that makes calls, half of them when it starts, and ends. It is without a
// controller, and there is no readiness to wait for.
func visitor(name, node string, args ...string) object {
	return object{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": object{"name": name, "namespace": shopSpace, "labels": object{"app": name}},
		"spec": object{
			"nodeSelector": object{"kubernetes.io/hostname": node}, "restartPolicy": "Never",
			"terminationGracePeriodSeconds": 0, "automountServiceAccountToken": false,
			"containers": []object{{"name": "e2e", "image": shopImage + ":" + imageTag, "imagePullPolicy": "IfNotPresent",
				"args": append([]string{"call", "--name", name}, args...)}},
		},
	}
}

// visit runs a visitor to its end, and returns its pod.
func (s *suite) visit(t *testing.T, o object) (p podObject) {
	t.Helper()
	s.apply(t, o)
	name := o["metadata"].(object)["name"].(string)
	await(t, time.Minute, name+" to end", func() bool {
		s.get(t, &p, "pod", "-n", shopSpace, name)
		return p.Status.Phase == "Succeeded" || p.Status.Phase == "Failed"
	})
	if p.Status.Phase != "Succeeded" {
		t.Fatalf("%s failed: %s", name, s.kube(t, "logs", "-n", shopSpace, name))
	}
	return p
}

// visits are what is told of a visitor's calls: each of them once, from its pod.
func (s *suite) visits(t *testing.T, name, node string, count int) {
	t.Helper()
	want := endpoint{Namespace: shopSpace, Node: node}
	want.Pod.Name = name
	var faults []string
	soon(t, 20*time.Second, func() bool {
		calls := s.console.calls(t, of(name))
		faults = miscounted(name, paths(calls), 1, count, 1)
		for _, c := range calls {
			c.Src.Workload = "" // a pod without a controller may be its own, or have none
			faults = append(faults, wrong("src", c.Src, want)...)
		}
		return len(faults) == 0
	})
	if len(faults) > 0 {
		t.Error(brief(faults))
	}
}

// testShortLife: pods that live for two seconds, five of them on each node, are captured.
func (s *suite) testShortLife(t *testing.T) {
	const calls, pods = 10, 5
	url := "http://" + s.pod("plain").Status.PodIP + ":8080"
	var all []object
	for i := range pods {
		for n := range s.nodes[:2] {
			all = append(all, visitor(fmt.Sprintf("mayfly-%d-%d", n, i), s.nodes[n].name,
				"--count", strconv.Itoa(calls), "--rate", "0", "--stay", "2s", "--url", url))
		}
	}
	s.apply(t, all...)
	for i := range pods {
		for n := range s.nodes[:2] {
			name := fmt.Sprintf("mayfly-%d-%d", n, i)
			t.Run(name, func(t *testing.T) {
				s.visit(t, all[i*2+n])
				s.visits(t, name, s.nodes[n].name, calls)
				// What was seen at its own end: those at its end at least, which come two seconds
				// after its start.
				early, late := 0, 0
				for _, c := range s.console.calls(t, of(name), "--vantage", "client") {
					if c.Path <= fmt.Sprintf("/call/%s/%05d", name, calls/2) {
						early++
					} else {
						late++
					}
				}
				t.Logf("seen at the pod itself: %d of the calls at its start, %d of those two seconds later", early, late)
				if late != calls/2 {
					t.Errorf("at the pod itself %d of %d calls were seen two seconds after its start", late, calls/2)
				}
			})
		}
	}
}

// testAddressAgain: a pod gets the address of one that is gone; each keeps its own past.
func (s *suite) testAddressAgain(t *testing.T) {
	const calls = 10
	url := "http://" + s.pod("search").Status.PodIP + ":8080"
	first := s.visit(t, visitor("tenant-1", s.nodes[0].name, "--count", strconv.Itoa(calls), "--url", url, "--stay", "1s"))
	s.visits(t, "tenant-1", s.nodes[0].name, calls)
	for i := 2; i <= 3; i++ {
		before, name := fmt.Sprintf("tenant-%d", i-1), fmt.Sprintf("tenant-%d", i)
		s.kube(t, "delete", "pod", "-n", shopSpace, before, "--wait")
		s.nextAddress(t, s.nodes[0].name, first.Status.PodIP)
		next := s.visit(t, visitor(name, s.nodes[0].name, "--count", strconv.Itoa(calls), "--url", url, "--stay", "1s"))
		if next.Status.PodIP != first.Status.PodIP {
			t.Skipf("%s has the address %s, not %s: nothing can be told from it", name, next.Status.PodIP, first.Status.PodIP)
		}
		s.visits(t, name, s.nodes[0].name, calls)
	}
	s.visits(t, "tenant-1", s.nodes[0].name, calls)
	s.visits(t, "tenant-2", s.nodes[0].name, calls)
}

// nextAddress makes a node's address allocator (CNI host-local, which hands out addresses in
// turn) believe that the last one it gave away is the one before addr.
func (s *suite) nextAddress(t *testing.T, node, addr string) {
	t.Helper()
	want, err := netip.ParseAddr(addr)
	if err != nil {
		t.Fatal(err)
	}
	pattern := fmt.Sprintf("/proc/%d/root/var/lib/cni/networks/*/last_reserved_ip.*", s.machine(t, node))
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Skipf("the node's address allocator is not host-local: %v", err)
	}
	files = slices.DeleteFunc(files, func(f string) bool {
		last, err := netip.ParseAddr(strings.TrimSpace(string(read(t, f))))
		return err != nil || last.Is4() != want.Is4()
	})
	for _, f := range files {
		if err := os.WriteFile(f, []byte(want.Prev().String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
