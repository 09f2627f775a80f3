package kube

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// aWorker is a worker pod on a node, ready.
func aWorker(name, node string, made int) *corev1.Pod {
	p := aPod(name, made, "10.1.0.7")
	p.ObjectMeta = metaOf("sshark", name, made)
	p.Labels = map[string]string{"app.kubernetes.io/component": "worker"}
	p.Spec.NodeName = node
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	return p
}

// but changes an object that a test made.
func but[T any](o T, change func(T)) T { change(o); return o }

func notReady(p *corev1.Pod) {
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
		{Type: corev1.PodReady, Status: corev1.ConditionFalse, Reason: "ContainersNotReady", Message: "containers with unready status: [worker]"}}
}

func state(s corev1.ContainerState, last corev1.ContainerState) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		notReady(p)
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{State: s, LastTerminationState: last}}
	}
}

func unscheduled(p *corev1.Pod) {
	p.Spec.NodeName = ""
	p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{{Key: "metadata.name", Operator: "In", Values: []string{"a"}}}}}}}}
	p.Status = corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
		Reason: "Unschedulable", Message: "0/2 nodes are available: 1 Insufficient cpu."}}}
}

func TestWorkers(t *testing.T) {
	a := aNode("a", 0, "172.16.0.1")
	worker := func() *corev1.Pod { return aWorker("w-1", "a", 10) }
	deleted := func(p *corev1.Pod) { now := after(20); p.DeletionTimestamp = &now }
	waiting := func(reason, message string) corev1.ContainerState {
		return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
	}
	ended := func(code int32, reason, message string) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: message}}
	}
	none := corev1.ContainerState{}
	const addr = "10.1.0.7:4290"
	for _, tt := range []struct {
		name string
		objs []object
		want []Worker
	}{
		{"ready", []object{a, worker()}, []Worker{{"a", addr, true, ""}}},
		{"dual stack", []object{a, but(worker(), func(p *corev1.Pod) { p.Status.PodIP = "fd00::7" })}, []Worker{{"a", "[fd00::7]:4290", true, ""}}},
		{"none ever", []object{a}, nil},
		{"of another namespace", []object{a, but(worker(), func(p *corev1.Pod) { p.Namespace = "shop" })}, nil},
		{"without the label", []object{a, but(worker(), func(p *corev1.Pod) { p.Labels = nil })}, nil},
		{"node not known", []object{worker()}, nil},
		{"two nodes", []object{aNode("b", 0), a, but(aWorker("w-2", "b", 10), func(p *corev1.Pod) { p.Status.PodIP, p.Status.PodIPs = "10.1.1.7", nil }), worker()},
			[]Worker{{"a", addr, true, ""}, {"b", "10.1.1.7:4290", true, ""}}},
		{"newest of two", []object{a, but(aWorker("w-2", "a", 20), func(p *corev1.Pod) { p.Status.PodIP = "10.1.0.8" }), worker()}, []Worker{{"a", "10.1.0.8:4290", true, ""}}},
		{"the one that stays", []object{a, but(aWorker("w-2", "a", 20), deleted), worker()}, []Worker{{"a", addr, true, ""}}},
		{"the one that has not failed", []object{a, but(aWorker("w-2", "a", 20), func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }), worker()}, []Worker{{"a", addr, true, ""}}},
		{"leaving", []object{a, but(worker(), deleted)}, []Worker{{"a", addr, false, "pod w-1 is being deleted"}}},
		{"not ready", []object{a, but(worker(), notReady)}, []Worker{{"a", addr, false, "pod w-1 is not ready: ContainersNotReady: containers with unready status: [worker]"}}},
		{"crash loop", []object{a, but(worker(), state(waiting("CrashLoopBackOff", "back-off 5m0s"), ended(2, "Error", "cannot \x1b[31mload\n")))},
			[]Worker{{"a", addr, false, "pod w-1 is CrashLoopBackOff: back-off 5m0s; it ended with exit code 2 (Error: cannot [31mload )"}}},
		{"no image", []object{a, but(worker(), state(waiting("ImagePullBackOff", "no such image"), none))}, []Worker{{"a", addr, false, "pod w-1 is ImagePullBackOff: no such image"}}},
		{"ended", []object{a, but(worker(), state(ended(137, "OOMKilled", ""), none))}, []Worker{{"a", addr, false, "pod w-1 ended with exit code 137 (OOMKilled)"}}},
		{"starting", []object{a, but(worker(), func(p *corev1.Pod) {
			state(waiting("ContainerCreating", ""), none)(p)
			p.Status.PodIP, p.Status.PodIPs, p.Status.Phase = "", nil, corev1.PodPending
		})}, []Worker{{"a", "", false, "pod w-1 is starting"}}},
		{"init container fails", []object{a, but(worker(), func(p *corev1.Pod) {
			notReady(p)
			p.Status.InitContainerStatuses = []corev1.ContainerStatus{{State: ended(1, "Error", "")}}
		})}, []Worker{{"a", addr, false, "pod w-1 ended with exit code 1 (Error)"}}},
		{"unschedulable", []object{a, but(worker(), unscheduled)}, []Worker{{"a", "", false, "pod w-1 is Unschedulable: 0/2 nodes are available: 1 Insufficient cpu."}}},
		{"evicted", []object{a, but(worker(), func(p *corev1.Pod) {
			p.Status.Phase, p.Status.Reason, p.Status.Message, p.Status.Conditions = corev1.PodFailed, "Evicted", "The node was low on resource: memory.", nil
		})}, []Worker{{"a", "", false, "pod w-1 has ended: Evicted: The node was low on resource: memory."}}},
		{"node not ready", []object{but(aNode("a", 0), func(n *corev1.Node) {
			n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Reason: "NodeStatusUnknown", Message: "Kubelet stopped posting node status."}}
		}), worker()}, []Worker{{"a", addr, false, "node a is not ready: NodeStatusUnknown: Kubelet stopped posting node status."}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, Options{})
			w.at(30).put(tt.objs...)
			if got := w.Workers(); !slices.Equal(got, tt.want) {
				t.Errorf("%+v\nwant %+v", got, tt.want)
			}
		})
	}
}

// TestWorkerGone: a node that had a worker is told of as long as there is the node.
func TestWorkerGone(t *testing.T) {
	w := newWorld(t, Options{})
	n, p := aNode("a", 0), aWorker("w-1", "a", 10)
	var changes int
	changed := w.Changed()
	expect := func(what string, want ...Worker) {
		t.Helper()
		if got := w.Workers(); !slices.Equal(got, want) {
			t.Errorf("%s: %+v, want %+v", what, got, want)
		}
		select {
		case <-changed:
			changes++
			changed = w.Changed()
		default:
			t.Errorf("%s: nobody said that it changed", what)
		}
	}
	w.at(12).put(n, p)
	expect("there", Worker{"a", "10.1.0.7:4290", true, ""})
	p.Status.Message = "of no interest"
	w.at(13).put(p, aPod("cart", 10, "10.1.0.1"), aNode("b", 0), n)
	select {
	case <-changed:
		t.Error("it changed without a change")
	default:
	}
	w.at(20).drop(p)
	expect("pod gone", Worker{"a", "", false, "no worker pod on this node"})
	w.at(30).drop(n)
	expect("node gone")
	w.at(40).put(n)
	select {
	case <-changed:
		t.Errorf("a node of the same name is listed: %+v", w.Workers())
	default:
	}
	if changes != 3 {
		t.Errorf("%d changes", changes)
	}
}

func TestConsolePorts(t *testing.T) {
	hub := func(name string) *corev1.Pod {
		p := aPod(name, 10, "10.1.0.3")
		p.ObjectMeta = metaOf("sshark", name, 10)
		p.Labels = map[string]string{"app.kubernetes.io/component": "hub", "app.kubernetes.io/name": "sshark"}
		return p
	}
	service := func(namespace, name string, selector map[string]string, ports ...int32) *corev1.Service {
		s := &corev1.Service{ObjectMeta: metaOf(namespace, name, 0)}
		s.Spec.Selector = selector
		for _, n := range ports {
			s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Port: 22, NodePort: n})
		}
		return s
	}
	w := newWorld(t, Options{})
	toHub := map[string]string{"app.kubernetes.io/component": "hub"}
	s := service("sshark", "sshark-hub", toHub, 30022, 30009, 0)
	w.put(service("sshark", "other", map[string]string{"app.kubernetes.io/component": "worker"}, 30001), service("shop", "same", toHub, 30002),
		service("sshark", "manual", nil, 30003), s, hub("hub-1"), hub("hub-2"))
	if got := w.ConsolePorts(); !slices.Equal(got, []uint16{30009, 30022}) {
		t.Errorf("%d", got)
	}
	changed := w.Changed()
	w.drop(s)
	<-changed
	if got := w.ConsolePorts(); len(got) != 0 {
		t.Errorf("%d", got)
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{"a\nb\t c\x1b[1m": "a b c [1m", "": "", strings.Repeat("x", maxProblem+1): strings.Repeat("x", maxProblem-1) + "…", "\xff\u202e": "�"} {
		if got := printable(in); got != want {
			t.Errorf("%q is printed as %q, want %q", in, got, want)
		}
	}
}
