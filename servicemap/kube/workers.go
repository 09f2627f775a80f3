package kube

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Worker is the worker of one node.
type Worker struct {
	Node    string
	Addr    string // host:port, "" while it has none
	Ready   bool
	Problem string // for a person; "" if there is none
}

// maxProblem bounds a text for a person, in runes.
const maxProblem = 300

// condition is how a pod is, as far as its own program does not tell.
type condition struct {
	ready    bool
	leaving  bool
	problem  string // without the pod's name, "" if it is ready
	wants    string // node that a pod that is not scheduled is meant for
	creation int64  // ns
}

func conditionOf(o *corev1.Pod) condition {
	c := condition{leaving: o.DeletionTimestamp != nil, creation: nanos(&o.CreationTimestamp)}
	for _, cond := range o.Status.Conditions {
		if cond.Type == corev1.PodReady {
			c.ready = cond.Status == corev1.ConditionTrue
		}
	}
	if o.Spec.NodeName == "" {
		c.wants = wantedNode(o.Spec.Affinity)
	}
	if c.leaving || !c.ready {
		c.problem = podProblem(o)
	}
	return c
}

// podProblem says why a pod is not ready, the most telling reason first.
func podProblem(o *corev1.Pod) string {
	if o.DeletionTimestamp != nil {
		return "is being deleted"
	}
	if o.Status.Phase == corev1.PodFailed || o.Status.Phase == corev1.PodSucceeded {
		return "has ended: " + said(cmp.Or(o.Status.Reason, string(o.Status.Phase)), o.Status.Message)
	}
	for _, list := range [][]corev1.ContainerStatus{o.Status.InitContainerStatuses, o.Status.ContainerStatuses} {
		for i := range list {
			if text := containerProblem(&list[i]); text != "" {
				return text
			}
		}
	}
	var unready string
	for _, cond := range o.Status.Conditions {
		switch {
		case cond.Status == corev1.ConditionTrue:
		case cond.Type == corev1.PodScheduled:
			return "is " + said(cmp.Or(cond.Reason, "not scheduled"), cond.Message)
		case cond.Type == corev1.PodReady:
			unready = "is not ready: " + said(cond.Reason, cond.Message)
		}
	}
	if o.Status.Phase == corev1.PodRunning && unready != "" {
		return unready
	}
	return "is starting"
}

// containerProblem is "" for one that runs, or has only not begun to.
func containerProblem(s *corev1.ContainerStatus) string {
	last := s.LastTerminationState.Terminated
	switch w, t := s.State.Waiting, s.State.Terminated; {
	case w != nil && (w.Reason == "ContainerCreating" || w.Reason == "PodInitializing" || w.Reason == ""):
		return ""
	case w != nil && last != nil:
		return "is " + said(w.Reason, w.Message) + "; it ended with " + exit(last)
	case w != nil:
		return "is " + said(w.Reason, w.Message)
	case t != nil && t.ExitCode != 0:
		return "ended with " + exit(t)
	}
	return ""
}

func exit(t *corev1.ContainerStateTerminated) string {
	return fmt.Sprintf("exit code %d (%s)", t.ExitCode, said(t.Reason, t.Message))
}

// said joins a reason and its message.
func said(reason, message string) string {
	if reason == "" || message == "" {
		return cmp.Or(reason, message, "no reason given")
	}
	return reason + ": " + message
}

// printable makes one short line of a text that others wrote: messages quote what containers
// print.
func printable(text string) string {
	clean := strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)), " ")
	if runes := []rune(clean); len(runes) > maxProblem {
		return string(runes[:maxProblem-1]) + "…"
	}
	return clean
}

// wantedNode is the node that a DaemonSet made a pod for.
func wantedNode(a *corev1.Affinity) string {
	if a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return ""
	}
	for _, term := range a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		for _, f := range term.MatchFields {
			if f.Key == "metadata.name" && f.Operator == corev1.NodeSelectorOpIn && len(f.Values) == 1 {
				return f.Values[0]
			}
		}
	}
	return ""
}

// Workers is one worker for each node that has one, or had one and is still there, by node.
func (c *Cluster) Workers() []Worker {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Clone(c.workers)
}

// ConsolePorts are the node ports of services that lead to the hub, sorted.
func (c *Cluster) ConsolePorts() []uint16 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Clone(c.consolePorts)
}

// Changed is closed at the next change of Workers or ConsolePorts: ask for it, read them, wait
// for it, and begin again.
func (c *Cluster) Changed() <-chan struct{} {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.changed
}

// refresh works out workers and console ports anew; mu is held.
func (c *Cluster) refresh() {
	workers, ports := c.findWorkers(), c.findConsolePorts()
	if slices.Equal(workers, c.workers) && slices.Equal(ports, c.consolePorts) {
		return
	}
	c.workers, c.consolePorts = workers, ports
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Cluster) findWorkers() []Worker {
	best := map[string]*pod{}
	for _, p := range c.pods[c.own] {
		if !c.selectsWorker.Matches(labels.Set(p.labels)) {
			continue
		}
		if node := cmp.Or(p.node, p.condition.wants); node != "" && (best[node] == nil || p.preferred(best[node])) {
			best[node] = p
		}
	}
	for name := range best {
		if n := c.nodes[name]; n != nil {
			n.worked = true
		}
	}
	var workers []Worker
	for _, name := range slices.Sorted(maps.Keys(c.nodes)) {
		n, p := c.nodes[name], best[name]
		if !n.worked {
			continue
		}
		w := Worker{Node: name, Problem: "no worker pod on this node"}
		if p != nil {
			w.Problem = ""
			if p.condition.problem != "" {
				w.Problem = printable("pod " + p.Name + " " + p.condition.problem)
			}
			if len(p.addrs) > 0 {
				w.Addr = net.JoinHostPort(p.addrs[0].String(), strconv.Itoa(c.workerPort))
			}
			w.Ready = p.condition.ready && !p.condition.leaving && n.problem == ""
		}
		if n.problem != "" { // why, whatever the pod's state says
			w.Problem = n.problem
		}
		workers = append(workers, w)
	}
	return workers
}

// preferred says whether a node's worker is one pod rather than another: one that stays and
// has not ended, else the newest.
func (p *pod) preferred(than *pod) bool {
	if over := p.condition.leaving || p.finished != 0; over != (than.condition.leaving || than.finished != 0) {
		return !over
	}
	if p.condition.creation != than.condition.creation {
		return p.condition.creation > than.condition.creation
	}
	return p.Name > than.Name
}

func (c *Cluster) findConsolePorts() []uint16 {
	var ports []uint16
	for _, s := range c.services[c.own] {
		for _, p := range c.pods[c.own] {
			if c.selectsHub.Matches(labels.Set(p.labels)) && takes(s.selector, p.labels) {
				ports = append(ports, s.nodePorts...)
				break
			}
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}
