package kube

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/servicemap/identity"
)

// Bounds of the annotations that become part of an identity: tools keep whole documents there.
const (
	maxAnnotation  = 256 // bytes of a value
	maxAnnotations = 32
)

// pod is what is used of a pod object.
type pod struct {
	*holder
	types.NamespacedName
	uid         string // of the object
	cgroup      string // the UID by which the node's kernel knows it
	node        string
	hostNetwork bool
	addrs       []netip.Addr // none once it has ended
	ports       []nodePort   // that it has at its node's addresses
	owner       metav1.OwnerReference
	template    string // hash of the pod template that a deployment gave it
	workload    string
	kind        string
	labels      map[string]string
	annotations map[string]string
	start       int64        // ns
	finished    int64        // ns, 0 as long as it has not ended
	seen        int64        // when it was last seen without an address, 0: never
	ran         int64        // when its first container started, ns, 0: nobody says
	had         []netip.Addr // where it was, if it has ended
	condition   condition

	told identity.Pod // as followers were told last
}

// nodePort is a port at the addresses of a node, or at one of them.
type nodePort struct {
	addr netip.Addr
	port uint16
}

// podOf reads a pod object; it keeps nothing of it but strings and its labels.
func podOf(o *corev1.Pod) *pod {
	p := &pod{
		holder:         &holder{},
		NamespacedName: types.NamespacedName{Namespace: o.Namespace, Name: o.Name},
		uid:            string(o.UID),
		cgroup:         string(o.UID),
		node:           o.Spec.NodeName,
		hostNetwork:    o.Spec.HostNetwork,
		template:       o.Labels["pod-template-hash"],
		labels:         o.Labels,
		start:          nanos(&o.CreationTimestamp),
		condition:      conditionOf(o),
	}
	// The API's object of a static pod is a mirror with a UID of its own; its cgroups carry the
	// hash of the kubelet's manifest.
	if hash := o.Annotations[corev1.MirrorPodAnnotationKey]; hash != "" {
		p.cgroup = hash
	}
	if s := o.Status.StartTime; !s.IsZero() {
		p.start = s.UnixNano()
	}
	if owner := metav1.GetControllerOfNoCopy(o); owner != nil {
		p.owner = metav1.OwnerReference{Kind: owner.Kind, Name: owner.Name, APIVersion: owner.APIVersion}
	}
	p.ran = ranSince(o)
	p.annotations = annotationsOf(o.Annotations)
	if o.Status.Phase == corev1.PodSucceeded || o.Status.Phase == corev1.PodFailed {
		p.finished = max(p.start, finishOf(o), 1)
		p.had = podAddrs(&o.Status)
	} else {
		p.addrs = podAddrs(&o.Status)
	}
	for _, c := range o.Spec.Containers {
		for _, port := range c.Ports {
			p.addPort(port)
		}
	}
	for _, c := range o.Spec.InitContainers { // sidecars
		for _, port := range c.Ports {
			p.addPort(port)
		}
	}
	return p
}

func (p *pod) addPort(c corev1.ContainerPort) {
	number := c.HostPort
	if p.hostNetwork && number == 0 {
		number = c.ContainerPort
	}
	if number <= 0 || number > 0xffff {
		return
	}
	at := nodePort{port: uint16(number)}
	if a, err := netip.ParseAddr(c.HostIP); err == nil && !a.IsUnspecified() {
		if a.IsLoopback() {
			return
		}
		at.addr = a.Unmap()
	}
	if !slices.Contains(p.ports, at) {
		p.ports = append(p.ports, at)
	}
}

func podAddrs(s *corev1.PodStatus) []netip.Addr {
	var all []netip.Addr
	add := func(text string) {
		if a, err := netip.ParseAddr(text); err == nil && !slices.Contains(all, a.Unmap()) {
			all = append(all, a.Unmap())
		}
	}
	add(s.PodIP)
	for _, ip := range s.PodIPs {
		add(ip.IP)
	}
	return all
}

// ranSince is when the first container of a pod started, in ns; 0: nobody says. The API knows
// seconds: the beginning of that second is meant, before which the pod sent nothing.
func ranSince(o *corev1.Pod) int64 {
	var first int64
	earlier := func(t metav1.Time) {
		if at := nanos(&t); at != 0 && (first == 0 || at < first) {
			first = at
		}
	}
	for _, list := range [][]corev1.ContainerStatus{o.Status.InitContainerStatuses, o.Status.ContainerStatuses} {
		for _, c := range list {
			for _, s := range []corev1.ContainerState{c.State, c.LastTerminationState} {
				if s.Running != nil {
					earlier(s.Running.StartedAt)
				}
				if s.Terminated != nil {
					earlier(s.Terminated.StartedAt)
				}
			}
		}
	}
	return first
}

// finishOf is when the last container of a pod that has ended did, in ns; 0: nobody says. The
// API knows seconds: the end of that second is meant.
func finishOf(o *corev1.Pod) int64 {
	var last int64
	for _, list := range [][]corev1.ContainerStatus{o.Status.ContainerStatuses, o.Status.InitContainerStatuses} {
		for _, c := range list {
			if t := c.State.Terminated; t != nil && !t.FinishedAt.IsZero() {
				last = max(last, t.FinishedAt.Add(time.Second).UnixNano())
			}
		}
	}
	return last
}

func annotationsOf(all map[string]string) map[string]string {
	var kept map[string]string
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if k == corev1.LastAppliedConfigAnnotation || len(all[k]) > maxAnnotation {
			continue
		}
		if len(kept) == maxAnnotations {
			break
		}
		if kept == nil {
			kept = map[string]string{}
		}
		kept[k] = all[k]
	}
	return kept
}

// nanos is a time in ns since 1970, 0 for none.
func nanos(t *metav1.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// trimPod drops what podOf does not read, from lists that are held as a whole for a moment.
func trimPod(obj any) (any, error) {
	if o, ok := obj.(*corev1.Pod); ok {
		o.ManagedFields, o.Finalizers = nil, nil
		spec := corev1.PodSpec{NodeName: o.Spec.NodeName, HostNetwork: o.Spec.HostNetwork, Affinity: o.Spec.Affinity}
		for _, c := range o.Spec.Containers {
			spec.Containers = append(spec.Containers, corev1.Container{Ports: c.Ports})
		}
		for _, c := range o.Spec.InitContainers {
			spec.InitContainers = append(spec.InitContainers, corev1.Container{Ports: c.Ports})
		}
		o.Spec = spec
	}
	return obj, nil
}

// putPod takes in a pod object; mu is held.
func (c *Cluster) putPod(o *corev1.Pod) {
	now := c.now().UnixNano()
	fresh := podOf(o)
	space := c.pods[fresh.Namespace]
	if space == nil {
		space = map[string]*pod{}
		c.pods[fresh.Namespace] = space
	}
	p := space[fresh.Name]
	if p != nil && p.uid != fresh.uid { // replaced under the same name, and nobody said so
		c.endPod(p, now)
		p = nil
	}
	if p == nil {
		p = fresh
		space[p.Name] = p
		c.touch(p.Namespace)
	} else {
		// The rest is known from the object, these from having watched it.
		fresh.holder, fresh.seen, fresh.told = p.holder, p.seen, p.told
		fresh.workload, fresh.kind = p.workload, p.kind
		if len(p.claims) > 0 {
			fresh.start = p.start
		}
		if p.condition != fresh.condition || p.node != fresh.node || !slices.Equal(p.addrs, fresh.addrs) || !maps.Equal(p.labels, fresh.labels) {
			c.touch(p.Namespace)
		}
		*p = *fresh
	}
	if p.finished != 0 {
		c.missed(p)
	}
	switch {
	case p.finished != 0 && p.finished <= p.start:
		c.history.end(p.holder, now)
	case p.finished != 0:
		c.history.end(p.holder, p.finished)
	case len(p.addrs) == 0:
		p.seen = now
	}
	c.stale[p] = struct{}{}
}

// missed gives a pod that has ended the addresses that it had, if nobody saw it have any: one
// that lives for a second may be told of when it is over.
func (c *Cluster) missed(p *pod) {
	if p.ended != 0 || p.hostNetwork || p.holdsAddr() {
		return
	}
	for _, a := range p.had {
		c.history.claim(p.holder, p.at(a))
	}
}

// holdsAddr says whether it has, or had, an address.
func (p *pod) holdsAddr() bool {
	return slices.ContainsFunc(p.claims, func(c *claim) bool { return c.addr.IsValid() && c.port == 0 })
}

// at is an address that a pod has had since it began.
func (p *pod) at(a netip.Addr) want {
	w := want{place: place{addr: a}, from: p.start, sure: max(p.start, p.seen)}
	if p.ran != 0 { // what a busy API server told late does not make it later
		w.sure = min(w.sure, max(p.start, p.ran))
	}
	return w
}

// dropPod forgets a pod that was deleted; mu is held.
func (c *Cluster) dropPod(name types.NamespacedName) {
	space := c.pods[name.Namespace]
	if p := space[name.Name]; p != nil {
		c.endPod(p, c.now().UnixNano())
		if len(space) == 0 {
			delete(c.pods, name.Namespace)
		}
	}
}

func (c *Cluster) endPod(p *pod, now int64) {
	c.history.end(p.holder, now)
	delete(c.pods[p.Namespace], p.Name)
	delete(c.stale, p)
	c.touch(p.Namespace)
	for f := range c.followers[p.node] {
		f.goes(p)
	}
}

// renew works out anew who a pod is and where; mu is held.
func (c *Cluster) renew(p *pod, now int64) {
	p.workload, p.kind = c.workloadOf(p)
	service, amend := c.serviceFor(p)
	id := &dissect.Identity{Namespace: p.Namespace, Pod: p.Name, PodUID: p.cgroup, Service: service, Workload: p.workload,
		Kind: p.kind, Node: p.node, Labels: p.labels, Annotations: p.annotations}
	if last := p.now(); last != nil {
		// Only what the hub learnt late is meant to have been so all the time.
		late := *id
		late.Workload, late.Kind = last.Workload, last.Kind
		if last.Node == "" {
			late.Node = ""
		}
		if last.Service == "" && amend {
			late.Service = ""
		}
		amend = identity.Equal(last, &late) || !c.settled
	}
	if p.become(id, now, amend) {
		c.history.changed(p.holder)
	}
	if p.ended == 0 {
		c.history.hold(p.holder, now, c.podPlaces(p, now))
	}
	c.tell(p)
}

// podPlaces are the places of a pod that runs.
func (c *Cluster) podPlaces(p *pod, now int64) []want {
	var places []want
	if !p.hostNetwork {
		first := !p.holdsAddr()
		for _, a := range p.addrs {
			w := p.at(a)
			if !first { // its network was made anew
				w.from, w.sure = now, now
			}
			places = append(places, w)
		}
	}
	if p.node == "" {
		return places
	}
	for _, at := range p.ports {
		places = append(places, want{place: at.at(p.node), from: p.start, sure: p.start})
	}
	if p.hostNetwork {
		for _, s := range c.slicesOf[p.NamespacedName] {
			for _, port := range s.ports {
				if at := (nodePort{port: port}); !slices.Contains(p.ports, at) {
					places = append(places, want{place: at.at(p.node), from: p.start, sure: p.start})
				}
			}
		}
	}
	return places
}

func (n nodePort) at(node string) place {
	if n.addr.IsValid() {
		return place{addr: n.addr, port: n.port}
	}
	return place{node: node, port: n.port}
}

// workloadOf follows the chain of owners to the object that a person made. What is known
// stays: an owner is often deleted before its last pods.
func (c *Cluster) workloadOf(p *pod) (name, kind string) {
	if p.owner.Name == "" {
		return "", ""
	}
	key := types.NamespacedName{Namespace: p.Namespace, Name: p.owner.Name}
	switch p.owner.Kind {
	case "ReplicaSet":
		if above, ok := c.replicaSets[key]; ok {
			return above.or(p.owner)
		}
		if p.kind != "" && p.kind != p.owner.Kind {
			return p.workload, p.kind
		}
		if base, ok := strings.CutSuffix(p.owner.Name, "-"+p.template); ok && p.template != "" {
			return base, "Deployment" // the only one that gives both name and hash
		}
	case "Job":
		if above, ok := c.jobs[key]; ok {
			return above.or(p.owner)
		}
		if p.kind != "" && p.kind != p.owner.Kind {
			return p.workload, p.kind
		}
	case "Node": // of a static pod's mirror
		return "", ""
	}
	return p.owner.Name, p.owner.Kind
}

// controller is who made an object; the zero value: nobody.
type controller struct{ kind, name string }

func (a controller) or(own metav1.OwnerReference) (name, kind string) {
	if a.name == "" {
		return own.Name, own.Kind
	}
	return a.name, a.kind
}
