package main_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// cluster is the Kubernetes cluster that the tests run in, and how to get at it.
type cluster struct {
	kubectl []string // words that run kubectl and helm for it
	helm    []string
	run     []string // words before a command that is to run in the cluster's network, if any
	load    []string // words that, with an image archive behind them, put the image on every node
	control string   // the program that starts and ends it (E2E_CLUSTER), "" if there is none
	anew    bool     // it was built anew since: nothing of these tests is in it
}

// newCluster finds the cluster in the environment:
//
//	E2E_CLUSTER  a program with the verbs build, up, down, status, run and load-image;
//	             it is started if it does not run, and then ended again
//	E2E_LOAD     without E2E_CLUSTER: the cluster of KUBECONFIG, where this command puts an
//	             image archive on every node ("kind load image-archive"); then also
//	             E2E_KUBECTL, E2E_HELM (kubectl, helm) and E2E_RUN, what to put before a
//	             command so that it can reach the nodes' addresses (nothing)
//
// Without either the tests are skipped: KUBECONFIG alone may be anybody's.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	words := func(name, standard string) []string { return strings.Fields(cmp.Or(os.Getenv(name), standard)) }
	program := os.Getenv("E2E_CLUSTER")
	if program == "" {
		c := &cluster{kubectl: words("E2E_KUBECTL", "kubectl"), helm: words("E2E_HELM", "helm"), run: words("E2E_RUN", ""), load: words("E2E_LOAD", "")}
		if len(c.load) == 0 {
			t.Skip("no cluster: set E2E_CLUSTER, or KUBECONFIG and E2E_LOAD; make e2e does where it finds one")
		}
		return c
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: " + program + " makes namespaces")
	}
	c := &cluster{control: program, run: []string{program, "run"}, load: []string{program, "load-image"}}
	c.kubectl, c.helm = append(slices.Clone(c.run), "kubectl"), append(slices.Clone(c.run), "helm")
	if try(t, 20*time.Second, program, "status").status != 0 {
		must(t, 30*time.Minute, program, "build")
		t.Cleanup(func() { must(t, time.Minute, program, "down") })
		// Starting machines is not what is tested: it may fail once.
		if a := try(t, 5*time.Minute, program, "up"); a.status != 0 {
			t.Logf("%s up: %v; once more", program, a)
			must(t, time.Minute, program, "down")
			must(t, 5*time.Minute, program, "up")
		}
	}
	return c
}

// machine is the id of the first process of one of the cluster's machines.
func (c *cluster) machine(t *testing.T, name string) int {
	t.Helper()
	if c.control == "" {
		t.Skip("needs E2E_CLUSTER: it ends parts of the cluster itself")
	}
	status := must(t, 20*time.Second, c.control, "status")
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` runs \(process (\d+)\)$`).FindStringSubmatch(status)
	if m == nil {
		t.Fatalf("%s does not run: %s", name, status)
	}
	pid, _ := strconv.Atoi(m[1]) // digits
	return pid
}

// answer is what a command said.
type answer struct {
	out, errs string
	status    int // -1: it was ended
}

func (a answer) String() string {
	return fmt.Sprintf("exit status %d\n%s%s", a.status, a.out, a.errs)
}

// start runs a command with an input, bounded in time.
func start(ctx context.Context, in io.Reader, limit time.Duration, words ...string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.WaitDelay = 2 * time.Second
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		err = fmt.Errorf("%q: %w", words, ctx.Err())
		return answer{out.String(), errs.String() + err.Error(), -1}, nil
	case errors.As(err, &exit), errors.Is(err, exec.ErrWaitDelay):
		return answer{out.String(), errs.String(), cmd.ProcessState.ExitCode()}, nil
	}
	return answer{out.String(), errs.String(), 0}, err
}

// try runs a command that may fail.
func try(t *testing.T, limit time.Duration, words ...string) answer {
	t.Helper()
	a, err := start(context.WithoutCancel(t.Context()), nil, limit, words...) // also in cleanups
	if err != nil {
		t.Fatalf("%q: %v", words, err)
	}
	return a
}

// must runs a command that must succeed, and returns its standard output.
func must(t *testing.T, limit time.Duration, words ...string) string {
	t.Helper()
	a := try(t, limit, words...)
	if a.status != 0 {
		t.Fatalf("%q: %v", words, a)
	}
	return a.out
}

// kube runs kubectl, which must succeed.
func (c *cluster) kube(t *testing.T, words ...string) string {
	t.Helper()
	return must(t, 3*time.Minute, slices.Concat(c.kubectl, words)...)
}

// apply makes objects.
func (c *cluster) apply(t *testing.T, objects ...object) {
	t.Helper()
	text, err := json.Marshal(object{"apiVersion": "v1", "kind": "List", "items": objects})
	if err != nil {
		t.Fatal(err)
	}
	a, err := start(context.WithoutCancel(t.Context()), bytes.NewReader(text), time.Minute, slices.Concat(c.kubectl, []string{"apply", "-f", "-"})...)
	if err != nil || a.status != 0 {
		t.Fatalf("apply: %v %v", err, a)
	}
}

// get reads an object, or a list of them, into v. kubectl's words say which.
func (c *cluster) get(t *testing.T, v any, words ...string) {
	t.Helper()
	text := c.kube(t, slices.Concat([]string{"get", "-o", "json"}, words)...)
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("get %q: %v: %s", words, err, text)
	}
}

// podObject is what the tests look at of a pod.
type podObject struct {
	Metadata struct {
		Name, Namespace, UID string
		Labels               map[string]string
		DeletionTimestamp    string
	}
	Spec struct {
		NodeName    string
		HostNetwork bool
	}
	Status struct {
		Phase, PodIP, HostIP string
		Conditions           []struct{ Type, Status string }
	}
}

func (p *podObject) ready() bool {
	for _, c := range p.Status.Conditions {
		if c.Type == "Ready" {
			return c.Status == "True" && p.Metadata.DeletionTimestamp == ""
		}
	}
	return false
}

// pods are those of a namespace with a label, in the order of their names.
func (c *cluster) pods(t *testing.T, namespace, selector string) []podObject {
	t.Helper()
	var list struct{ Items []podObject }
	c.get(t, &list, "pods", "-n", namespace, "-l", selector)
	return list.Items
}

// node is what the tests look at of a node of the cluster.
type node struct {
	name, addr string
}

// nodes are those that are ready.
func (c *cluster) nodes(t *testing.T) (all []node) {
	t.Helper()
	var list struct {
		Items []struct {
			Metadata struct{ Name string }
			Status   struct {
				Addresses  []struct{ Type, Address string }
				Conditions []struct{ Type, Status string }
			}
		}
	}
	c.get(t, &list, "nodes")
	for _, n := range list.Items {
		ready, addr := false, ""
		for _, k := range n.Status.Conditions {
			ready = ready || k.Type == "Ready" && k.Status == "True"
		}
		for _, a := range n.Status.Addresses {
			if a.Type == "InternalIP" && addr == "" {
				addr = a.Address
			}
		}
		if ready {
			all = append(all, node{n.Metadata.Name, addr})
		}
	}
	return all
}

// await waits until cond holds.
func await(t *testing.T, limit time.Duration, what string, cond func() bool) {
	t.Helper()
	if !soon(t, limit, cond) {
		t.Fatalf("waited %v in vain: %s", limit, what)
	}
}

// soon says whether cond holds before the limit.
func soon(t *testing.T, limit time.Duration, cond func() bool) bool {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline.C:
			return false
		}
	}
	return true
}

// words is a command for a shell.
func words(all []string) string {
	quoted := make([]string, len(all))
	for i, w := range all {
		quoted[i] = quote(w)
	}
	return strings.Join(quoted, " ")
}

// quote is a word for a shell, or for the console, which reads words as a shell does.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
