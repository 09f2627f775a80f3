package kube

import (
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// epoch is when the tests' worlds begin; times in tests are seconds after it.
var epoch = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)

func after(s int) metav1.Time { return metav1.NewTime(epoch.Add(time.Duration(s) * time.Second)) }
func ns(s int) int64          { return epoch.Add(time.Duration(s) * time.Second).UnixNano() }

// world is a Cluster that is told of objects without an API server, at times of the test's.
type world struct {
	*Cluster
	t *testing.T
	s int // now
}

func newWorld(t *testing.T, o Options) *world {
	w := &world{t: t}
	o.Namespace, o.WorkerPort, o.Log = "sshark", 4290, slog.New(slog.DiscardHandler)
	o.Now = func() time.Time { return epoch.Add(time.Duration(w.s) * time.Second) }
	var err error
	if w.Cluster, err = newCluster(o); err != nil {
		t.Fatal(err)
	}
	w.settled = true
	return w
}

// at turns the clock.
func (w *world) at(s int) *world { w.s = s; return w }

func (w *world) put(all ...object) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range all {
		switch o := o.(type) {
		case *corev1.Pod:
			w.putPod(o)
		case *corev1.Service:
			w.putService(o)
		case *corev1.Node:
			w.putNode(o)
		case *discoveryv1.EndpointSlice:
			w.putSlice(o)
		case *metav1.PartialObjectMetadata:
			if o.Kind == "Job" {
				w.putJob(o)
			} else {
				w.putReplicaSet(o)
			}
		}
		w.settle()
	}
}

func (w *world) drop(o object) {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}
	switch o.(type) {
	case *corev1.Pod:
		w.dropPod(name)
	case *corev1.Service:
		w.dropService(name)
	case *corev1.Node:
		w.dropNode(name)
	case *discoveryv1.EndpointSlice:
		w.dropSlice(name)
	case *metav1.PartialObjectMetadata:
		delete(w.replicaSets, name)
		delete(w.jobs, name)
	}
	w.settle()
}

// who tells who an address and port is at a second, as "namespace/pod workload(kind) service
// @node", "" for nobody.
func who(c *Cluster, addr string, s int) string {
	o, from, known := c.Who(netip.MustParseAddrPort(addr), ns(s))
	id := o.At(netip.MustParseAddrPort(addr).Port())
	if !known || id == nil {
		return ""
	}
	text := ""
	if id.Pod != "" {
		text += fmt.Sprintf("%s/%s", id.Namespace, id.Pod)
	}
	if id.Workload != "" {
		text += fmt.Sprintf(" %s(%s)", id.Workload, id.Kind)
	}
	if id.Service != "" {
		text += " service:" + id.Service
	}
	if id.Node != "" {
		text += " @" + id.Node
	}
	if from > ns(s) {
		text += fmt.Sprintf(" from %d, which is later", from)
	}
	return text
}

func (w *world) expect(addr string, s int, want string) {
	w.t.Helper()
	if got := who(w.Cluster, addr, s); got != want {
		w.t.Errorf("%s at %d is %q, want %q", addr, s, got, want)
	}
}

// metaOf is that of an object which was made at a second.
func metaOf(namespace, name string, made int) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID("uid-" + namespace + "-" + name), CreationTimestamp: after(made)}
}

// aPod runs on node a since a second, with labels app=NAME.
func aPod(name string, start int, ips ...string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metaOf("shop", name, start)}
	p.Labels = map[string]string{"app": name}
	p.Spec.NodeName = "a"
	p.Status.Phase = corev1.PodRunning
	began := after(start)
	p.Status.StartTime = &began
	for i, ip := range ips {
		if i == 0 {
			p.Status.PodIP = ip
		}
		p.Status.PodIPs = append(p.Status.PodIPs, corev1.PodIP{IP: ip})
	}
	return p
}

func owned(p *corev1.Pod, kind, name string) *corev1.Pod {
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "x/v1", Kind: kind, Name: name, Controller: new(true)}}
	return p
}

func anOwner(kind, name, ofKind, ofName string) *metav1.PartialObjectMetadata {
	o := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{Kind: kind}, ObjectMeta: metaOf("shop", name, 0)}
	if ofName != "" {
		o.OwnerReferences = []metav1.OwnerReference{{APIVersion: "x/v1", Kind: ofKind, Name: ofName, Controller: new(true)}}
	}
	return o
}

// aService takes the pods with label app=APP, "" none.
func aService(name, app string, made int, ips ...string) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metaOf("shop", name, made)}
	if app != "" {
		s.Spec.Selector = map[string]string{"app": app}
	}
	s.Spec.ClusterIP = corev1.ClusterIPNone
	if len(ips) > 0 {
		s.Spec.ClusterIP = ips[0]
	}
	s.Spec.ClusterIPs = ips
	return s
}

func aNode(name string, made int, ips ...string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metaOf("", name, made)}
	n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: name}}
	for _, ip := range ips {
		n.Status.Addresses = append(n.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: ip})
	}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	return n
}

func aSlice(name, service string, port int32, pods ...string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{ObjectMeta: metaOf("shop", name, 0)}
	s.Labels = map[string]string{discoveryv1.LabelServiceName: service}
	s.Ports = []discoveryv1.EndpointPort{{Port: &port}, {}}
	for _, p := range pods {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: p}})
	}
	return s
}
