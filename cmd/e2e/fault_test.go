package main_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// background is traffic that goes on while something is taken down.
type background struct {
	name  string
	count int
	done  chan answer
}

// keepGoing starts a client that makes so many calls, 20 a second. The pod that it runs in is
// that of a part.
func (s *suite) keepGoing(t *testing.T, name, from, url string, count int) *background {
	t.Helper()
	b := &background{name, count, make(chan answer, 1)}
	p := s.pod(from)
	words := slices.Concat(s.kubectl, []string{"exec", "-n", p.Metadata.Namespace, p.Metadata.Name, "--",
		"e2e", "call", "--name", name, "--count", strconv.Itoa(count), "--rate", "20", "--url", url})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(cancel)
	go func() {
		a, err := start(ctx, nil, 5*time.Minute, words...)
		if err != nil {
			a.errs += err.Error()
		}
		b.done <- a
	}()
	await(t, 30*time.Second, name+" to begin", func() bool {
		a := s.console.try(t, "calls", "--first", "1", "-o", "json", quote(of(name)))
		return a.status == 0 && a.out != ""
	})
	return b
}

// wait waits for the end of the client, whose calls must all have been answered.
func (b *background) wait(t *testing.T) {
	t.Helper()
	if a := <-b.done; a.status != 0 {
		t.Errorf("%s: %v", b.name, a)
	}
}

// all says that each call of the client is told once.
func (s *suite) all(t *testing.T, b *background) {
	t.Helper()
	var faults []string
	soon(t, 20*time.Second, func() bool {
		faults = miscounted(b.name, paths(s.console.calls(t, of(b.name))), 1, b.count, 1)
		return len(faults) == 0
	})
	if len(faults) > 0 {
		t.Error(brief(faults))
	}
}

// recovered waits until every node captures and answers.
func (s *suite) recovered(t *testing.T) {
	t.Helper()
	await(t, 90*time.Second, "all to be well again", func() bool { return s.console.capturing(t, len(s.nodes)) })
	if a := s.console.try(t, "calls", "--last", "1"); a.status != 0 {
		t.Errorf("calls: %v", a)
	}
}

// lacks says that an answer lacks a node, and says which.
func (a answer) lacks(node string) bool { return a.status == 3 && strings.Contains(a.errs, node) }

// before checks that what was captured before a fault is there still.
func (s *suite) before(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if faults := miscounted(name, paths(s.console.calls(t, of(name))), 1, each, 1); len(faults) > 0 {
			t.Error(brief(faults))
		}
	}
}

// testWorkerEnds kills the second node's worker.
func (s *suite) testWorkerEnds(t *testing.T) {
	const count = 400
	node := s.nodes[1].name
	b := s.keepGoing(t, "worker-ends", "near", s.called("same-node").url, count) // on the first node
	workers := s.cluster.pods(t, releaseSpace, workerPods)
	i := slices.IndexFunc(workers, func(p podObject) bool { return p.Spec.NodeName == node })
	if i < 0 {
		t.Fatalf("no worker on %s", node)
	}
	s.kube(t, "delete", "pod", "-n", releaseSpace, workers[i].Metadata.Name, "--grace-period=0", "--force", "--wait=false")
	var a answer
	await(t, 30*time.Second, "an answer without "+node, func() bool {
		a = s.console.try(t, "calls", "--last", "5", "-o", "json", quote(of(b.name)))
		return a.lacks(node)
	})
	t.Logf("without %s: %s", node, a.errs)
	if a.out == "" {
		t.Error("the other node does not answer")
	}
	s.recovered(t)
	b.wait(t)
	s.all(t, b)
	s.before(t, "same-node", "service-same")
}

// testHubEnds kills the hub: capture goes on.
func (s *suite) testHubEnds(t *testing.T) {
	const count = 400
	b := s.keepGoing(t, "hub-ends", "near", s.called("headless").url, count)
	hub := s.cluster.pods(t, releaseSpace, hubPods)
	if len(hub) != 1 {
		t.Fatalf("%d hubs", len(hub))
	}
	s.kube(t, "delete", "pod", "-n", releaseSpace, hub[0].Metadata.Name, "--grace-period=0", "--force", "--wait=false")
	await(t, 2*time.Minute, "another hub", func() bool {
		now := s.cluster.pods(t, releaseSpace, hubPods)
		return len(now) == 1 && now[0].Metadata.UID != hub[0].Metadata.UID && now[0].ready()
	})
	s.recovered(t)
	b.wait(t)
	s.all(t, b)
	s.before(t, "same-node", "across-nodes", "service-across", "headless")
}

// testNodeCutOff unplugs the second node from the network for a while.
func (s *suite) testNodeCutOff(t *testing.T) {
	const count = 600
	node := s.nodes[1].name
	s.machine(t, node) // the cluster is one whose nodes are plugged in by their names
	// On the node itself: agent's second pod serves, far asks.
	b := s.keepGoing(t, "node-cut-off", "far", s.called("daemon-server").url, count)
	near := s.keepGoing(t, "node-not-cut-off", "near", s.called("same-node").url, count)
	port := s.byPort(s.dir, s.operator, s.nodes[0].addr, s.port)
	plug := func(state string) {
		must(t, 10*time.Second, slices.Concat(s.run, []string{"ip", "link", "set", node, state})...)
	}
	plug("down")
	t.Cleanup(func() { plug("up") })
	var a answer
	await(t, 60*time.Second, "an answer without "+node, func() bool {
		a = port.try(t, "calls", "--last", "5", "-o", "json", quote(of(near.name)))
		return a.lacks(node)
	})
	t.Logf("without %s: %s", node, a.errs)
	if a.out == "" {
		t.Error("the other node does not answer")
	}
	plug("up")
	s.recovered(t)
	b.wait(t)
	near.wait(t)
	s.all(t, b)
	s.all(t, near)
}

// testNoAPI stops the API server: what is captured and asked needs it not.
func (s *suite) testNoAPI(t *testing.T) {
	const count = 600
	pid := s.process(t, "control", "kube-apiserver")
	b := s.keepGoing(t, "no-api", "near", s.called("headless").url, count)
	port := s.byPort(s.dir, s.operator, s.nodes[0].addr, s.port)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(pid, syscall.SIGCONT) }) // also after a failure
	// The calls go on, and each is found soon after it was made.
	last := func() (n int) {
		a := port.try(t, "calls", "--last", "1", "-o", "json", quote(of(b.name)))
		if a.status != 0 {
			t.Fatalf("without an API server: %v", a)
		}
		for _, c := range objects[call](t, a.out) {
			fmt.Sscanf(c.Path, "/call/no-api/%d", &n)
			for _, f := range slices.Concat(wrong("src", c.Src, s.who("near", "")), wrong("dst", c.Dst, s.who("search", ""))) {
				t.Error(f)
			}
		}
		return n
	}
	from := last()
	await(t, 30*time.Second, "calls that were made without an API server", func() bool { return last() > from+100 })
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	await(t, time.Minute, "the API server", func() bool {
		return try(t, 20*time.Second, slices.Concat(s.kubectl, []string{"get", "--raw", "/readyz"})...).status == 0
	})
	s.recovered(t)
	b.wait(t)
	s.all(t, b)
}

// process is the id of a program that one of the cluster's machines runs.
func (s *suite) process(t *testing.T, machine, program string) int {
	t.Helper()
	first := s.machine(t, machine)
	children := read(t, fmt.Sprintf("/proc/%d/task/%d/children", first, first))
	for _, pid := range strings.Fields(string(children)) {
		words := strings.Split(string(read(t, "/proc/"+pid+"/cmdline")), "\x00")
		if filepath.Base(words[0]) == program {
			n, _ := strconv.Atoi(pid) // the kernel's
			return n
		}
	}
	t.Fatalf("%s runs no %s", machine, program)
	return 0
}

// testNodeEnds kills the second node, which does not come back: the cluster is built anew.
func (s *suite) testNodeEnds(t *testing.T) {
	if os.Getenv("E2E_BREAK") == "" {
		t.Skip("the cluster does not survive it: set E2E_BREAK=1")
	}
	const count = 600
	node := s.nodes[1].name
	pid := s.machine(t, node)
	b := s.keepGoing(t, "node-ends", "near", s.called("same-node").url, count)
	t.Cleanup(func() {
		s.anew = true
		must(t, 5*time.Minute, s.control, "up")
	})
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	var a answer
	await(t, time.Minute, "an answer without "+node, func() bool {
		a = s.console.try(t, "calls", "--last", "5", "-o", "json", quote(of(b.name)))
		return a.lacks(node)
	})
	t.Logf("without %s: %s", node, a.errs)
	b.wait(t)
	var faults []string
	soon(t, 20*time.Second, func() bool {
		a := s.console.try(t, "calls", "--all", "-o", "json", quote(of(b.name)))
		faults = miscounted(b.name, paths(objects[call](t, a.out)), 1, count, 1)
		return len(faults) == 0
	})
	if len(faults) > 0 {
		t.Error(brief(faults))
	}
}
