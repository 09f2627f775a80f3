package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sshark/sshark/cmd/e2e/shop"
)

// The namespaces of the workload, and its image.
const (
	shopSpace = "sshark-e2e-shop"
	bankSpace = "sshark-e2e-bank"
	shopImage = "localhost/sshark-e2e-shop"
)

// object is an object of the API.
type object map[string]any

// part is one workload; each has one pod (a DaemonSet: one a node) that serves HTTP and makes
// calls when it is told to.
type part struct {
	space, kind, name string
	node              int      // index of the node it is on; a DaemonSet is on all
	service           string   // "", "cluster", "headless", "nodeport"
	host              int      // the port of a pod that shares its node's network, 0: it does not
	args              []string // after serve
}

// parts are all of them. outside is the address that the name server gives for every name.
func parts(outside string) []part {
	return []part{
		{shopSpace, "Deployment", "near", 0, "", 0, nil}, // clients, one on each node
		{shopSpace, "Deployment", "far", 1, "", 0, nil},
		{shopSpace, "Deployment", "plain", 0, "", 0, nil}, // servers
		{shopSpace, "Deployment", "web", 0, "cluster", 0, nil},
		{shopSpace, "Deployment", "search", 1, "headless", 0, nil},
		{shopSpace, "StatefulSet", "db", 1, "headless", 0, nil},
		{shopSpace, "Deployment", "edge", 1, "nodeport", 0, nil},
		{shopSpace, "Deployment", "hostserver", 1, "", 18080, nil},
		{shopSpace, "Deployment", "hostclient", 0, "", 18081, nil},
		{shopSpace, "DaemonSet", "agent", 0, "", 0, nil},
		{shopSpace, "Job", "errand", 0, "", 0, nil},
		{shopSpace, "CronJob", "nightly", 1, "", 0, nil},
		{shopSpace, "Deployment", "names", 0, "", 0, []string{"--dns", ":53", "--answer", outside}},
		{bankSpace, "Deployment", "teller", 1, "", 0, nil},
		{bankSpace, "Deployment", "vault", 0, "cluster", 0, nil},
	}
}

// port is where a part serves HTTP.
func (p *part) port() int {
	if p.host != 0 {
		return p.host
	}
	return 8080
}

// objects are what there is to apply of a part.
func (p *part) objects(nodes []node) []object {
	listen := fmt.Sprintf(":%d", p.port())
	labels := object{"app": p.name}
	spec := object{
		"terminationGracePeriodSeconds": 0,
		"enableServiceLinks":            false,
		"automountServiceAccountToken":  false,
		"hostNetwork":                   p.host != 0,
		"dnsPolicy":                     "ClusterFirst",
		"containers": []object{{
			"name": "e2e", "image": shopImage + ":" + imageTag, "imagePullPolicy": "IfNotPresent",
			"args":           append([]string{"serve", "--listen", listen}, p.args...),
			"env":            []object{{"name": "POD_NAME", "valueFrom": object{"fieldRef": object{"fieldPath": "metadata.name"}}}},
			"ports":          []object{{"name": "http", "containerPort": p.port()}},
			"readinessProbe": object{"httpGet": object{"path": "/ready", "port": p.port()}, "periodSeconds": 1},
		}},
	}
	if p.host != 0 {
		spec["dnsPolicy"] = "ClusterFirstWithHostNet"
	}
	if p.kind == "DaemonSet" {
		spec["tolerations"] = []object{{"operator": "Exists"}}
	} else {
		spec["nodeSelector"] = object{"kubernetes.io/hostname": nodes[p.node].name}
	}
	template := object{"metadata": object{"labels": labels}, "spec": spec}
	meta := object{"name": p.name, "namespace": p.space, "labels": labels}
	one := object{"apiVersion": "apps/v1", "kind": p.kind, "metadata": meta}
	switch p.kind {
	case "Job", "CronJob":
		spec["restartPolicy"] = "Never"
		job := object{"template": template, "backoffLimit": 0}
		one["apiVersion"], one["spec"] = "batch/v1", job
		if p.kind == "CronJob" {
			one["spec"] = object{"schedule": "0 3 * * *", "suspend": true, "jobTemplate": object{"spec": job}}
		}
	default:
		one["spec"] = object{"selector": object{"matchLabels": labels}, "template": template}
		if p.kind == "StatefulSet" {
			one["spec"].(object)["serviceName"] = p.name
		}
	}
	all := []object{one}
	if p.service == "" {
		return all
	}
	ports := object{"port": 80, "targetPort": p.port()}
	service := object{"selector": labels, "ports": []object{ports}}
	switch p.service {
	case "headless":
		service["clusterIP"] = "None"
		ports["port"] = p.port()
	case "nodeport":
		service["type"] = "NodePort"
	}
	return append(all, object{"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": service})
}

// market is the workload as it runs.
type market struct {
	*cluster
	nodes    []node
	outside  string // the address of the server outside of the cluster
	nodePort int
	pods     map[string][]podObject // of each part, in the order of their nodes
	parts    map[string]part
	program  string // the workload's program, on this machine
}

// open deploys the workload and waits for it; it is removed with the test.
func (c *cluster) open(t *testing.T, program string) *market {
	t.Helper()
	m := &market{cluster: c, nodes: c.nodes(t), pods: map[string][]podObject{}, parts: map[string]part{}, program: program}
	if len(m.nodes) < 2 {
		t.Fatalf("%d nodes are ready, two are needed", len(m.nodes))
	}
	m.outside = strings.TrimSpace(must(t, 10*time.Second, slices.Concat(c.run, []string{program, "source", m.nodes[0].addr})...))
	c.remove(t, shopSpace, bankSpace) // of a run that was killed
	c.atEnd(t, func() { c.remove(t, shopSpace, bankSpace) })
	var all []object
	for _, space := range []string{shopSpace, bankSpace} {
		all = append(all, object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": space}})
	}
	for _, p := range parts(m.outside) {
		m.parts[p.name] = p
		all = append(all, p.objects(m.nodes)...)
	}
	c.apply(t, all...)
	c.kube(t, "create", "job", "-n", shopSpace, "nightly-once", "--from=cronjob/nightly")
	for _, p := range m.parts {
		want := 1
		if p.kind == "DaemonSet" {
			want = len(m.nodes)
		}
		await(t, 2*time.Minute, "pods of "+p.name, func() bool {
			pods := slices.DeleteFunc(c.pods(t, p.space, "app="+p.name), func(p podObject) bool { return !p.ready() })
			slices.SortFunc(pods, func(a, b podObject) int { return strings.Compare(a.Spec.NodeName, b.Spec.NodeName) })
			m.pods[p.name] = pods
			return len(pods) == want
		})
	}
	var edge struct {
		Spec struct{ Ports []struct{ NodePort int } }
	}
	c.get(t, &edge, "service", "-n", shopSpace, "edge")
	m.nodePort = edge.Spec.Ports[0].NodePort
	m.serveOutside(t)
	return m
}

// outsidePort is where the server outside of the cluster listens.
const outsidePort = 18090

// serveOutside is a server that the cluster knows nothing of.
func (m *market) serveOutside(t *testing.T) {
	t.Helper()
	words := slices.Concat(m.run, []string{m.program, "serve", "--name", "outside", "--listen", fmt.Sprintf("%s:%d", m.outside, outsidePort)})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
	})
}

// remove takes namespaces away, with all in them.
func (c *cluster) remove(t *testing.T, names ...string) {
	t.Helper()
	c.kube(t, slices.Concat([]string{"delete", "namespace", "--ignore-not-found", "--timeout=120s"}, names)...)
}

// pod is the one pod of a part.
func (m *market) pod(name string) podObject { return m.pods[name][0] }

// says runs the workload's program in a pod (in the cluster's network, if from is "") and
// returns its report. Every request must have been answered.
func (m *market) says(t *testing.T, from string, words ...string) shop.Report {
	t.Helper()
	before := m.run
	program := m.program
	if from != "" {
		p := m.pod(from)
		before, program = slices.Concat(m.kubectl, []string{"exec", "-n", p.Metadata.Namespace, p.Metadata.Name, "--"}), "e2e"
	}
	a := try(t, time.Minute, slices.Concat(before, []string{program}, words)...)
	var r shop.Report
	if err := json.Unmarshal([]byte(a.out), &r); err != nil {
		t.Fatalf("%s: %q: %v: %v", from, words, err, a)
	}
	if a.status != 0 || r.Failed > 0 {
		t.Errorf("%s: %q: %v", from, words, a)
	}
	return r
}
