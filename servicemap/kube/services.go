package kube

import (
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sshark/sshark/dissect"
)

// service is what is used of a service object.
type service struct {
	*holder
	types.NamespacedName
	uid       string
	start     int64
	selector  map[string]string // none: its endpoints are made by others
	headless  bool
	nodePorts []uint16
	places    []place // but for the node ports
	outside   []place // that load balancers and the like lead here
}

func serviceOf(o *corev1.Service) *service {
	s := &service{
		holder:         &holder{},
		NamespacedName: types.NamespacedName{Namespace: o.Namespace, Name: o.Name},
		uid:            string(o.UID),
		start:          nanos(&o.CreationTimestamp),
		headless:       o.Spec.ClusterIP == corev1.ClusterIPNone,
	}
	if o.Spec.Type == corev1.ServiceTypeExternalName { // a name in the DNS and nothing else
		return s
	}
	s.selector = o.Spec.Selector
	for _, ip := range append([]string{o.Spec.ClusterIP}, o.Spec.ClusterIPs...) {
		if a, err := netip.ParseAddr(ip); err == nil { // "None" is none
			s.places = appendNew(s.places, place{addr: a.Unmap()})
		}
	}
	outside := slices.Clone(o.Spec.ExternalIPs)
	for _, in := range o.Status.LoadBalancer.Ingress {
		outside = append(outside, in.IP)
	}
	for _, ip := range outside {
		if a, err := netip.ParseAddr(ip); err == nil {
			s.outside = appendNew(s.outside, place{addr: a.Unmap()})
			for _, port := range o.Spec.Ports {
				s.places = appendNew(s.places, place{addr: a.Unmap(), port: uint16(port.Port)})
			}
		}
	}
	for _, port := range o.Spec.Ports {
		if n := port.NodePort; n > 0 && n <= 0xffff {
			s.nodePorts = appendNew(s.nodePorts, uint16(n))
		}
	}
	slices.Sort(s.nodePorts)
	return s
}

func appendNew[T comparable](all []T, v T) []T {
	if slices.Contains(all, v) {
		return all
	}
	return append(all, v)
}

// putService takes in a service object; mu is held.
func (c *Cluster) putService(o *corev1.Service) {
	now := c.now().UnixNano()
	s := serviceOf(o)
	space := c.services[s.Namespace]
	if space == nil {
		space = map[string]*service{}
		c.services[s.Namespace] = space
	}
	old := space[s.Name]
	if old != nil && old.uid != s.uid {
		c.history.end(old.holder, now)
		c.staleSpaces[s.Namespace] = struct{}{}
		old = nil
	}
	from := s.start
	if old == nil {
		c.staleSpaces[s.Namespace] = struct{}{}
		s.become(&dissect.Identity{Namespace: s.Namespace, Service: s.Name}, s.start, false)
	} else {
		from = now
		s.holder = old.holder
		if old.headless != s.headless || !maps.Equal(old.selector, s.selector) {
			c.staleSpaces[s.Namespace] = struct{}{}
		}
	}
	space[s.Name] = s
	c.touch(s.Namespace)
	var places []want
	for _, p := range s.places {
		places = append(places, want{place: p, from: from, sure: now})
	}
	for _, p := range s.outside {
		places = append(places, want{place: p, weak: true, from: from, sure: now})
	}
	for _, n := range s.nodePorts {
		places = append(places, want{place: place{port: n}, from: from, sure: now})
	}
	c.history.hold(s.holder, now, places)
}

// dropService forgets a service that was deleted; mu is held.
func (c *Cluster) dropService(name types.NamespacedName) {
	space := c.services[name.Namespace]
	s := space[name.Name]
	if s == nil {
		return
	}
	c.history.end(s.holder, c.now().UnixNano())
	delete(space, name.Name)
	if len(space) == 0 {
		delete(c.services, name.Namespace)
	}
	c.staleSpaces[name.Namespace] = struct{}{}
	c.touch(s.Namespace)
}

// slice is what is used of an EndpointSlice.
type slice struct {
	service string
	pods    []types.NamespacedName
	ports   []uint16
}

func sliceOf(o *discoveryv1.EndpointSlice) *slice {
	s := &slice{service: o.Labels[discoveryv1.LabelServiceName]}
	for _, e := range o.Endpoints {
		if to := e.TargetRef; to != nil && to.Kind == "Pod" && to.Name != "" {
			name := types.NamespacedName{Namespace: to.Namespace, Name: to.Name}
			if name.Namespace == "" {
				name.Namespace = o.Namespace
			}
			s.pods = append(s.pods, name)
		}
	}
	for _, p := range o.Ports {
		if p.Port != nil && *p.Port > 0 && *p.Port <= 0xffff {
			s.ports = appendNew(s.ports, uint16(*p.Port))
		}
	}
	return s
}

// putSlice takes in an EndpointSlice; mu is held.
func (c *Cluster) putSlice(o *discoveryv1.EndpointSlice) {
	name := types.NamespacedName{Namespace: o.Namespace, Name: o.Name}
	s := sliceOf(o)
	old := c.slices[name]
	if old != nil && old.service == s.service && slices.Equal(old.pods, s.pods) && slices.Equal(old.ports, s.ports) {
		return // how ready its pods are is of no interest here
	}
	c.dropSlice(name)
	c.slices[name] = s
	for _, p := range s.pods {
		c.slicesOf[p] = append(c.slicesOf[p], s)
	}
	c.spoil(s)
}

// dropSlice forgets an EndpointSlice; mu is held.
func (c *Cluster) dropSlice(name types.NamespacedName) {
	s := c.slices[name]
	if s == nil {
		return
	}
	delete(c.slices, name)
	for _, p := range s.pods {
		if rest := slices.DeleteFunc(c.slicesOf[p], func(o *slice) bool { return o == s }); len(rest) > 0 {
			c.slicesOf[p] = rest
		} else {
			delete(c.slicesOf, p)
		}
	}
	c.spoil(s)
}

// spoil has the pods of a slice renewed.
func (c *Cluster) spoil(s *slice) {
	for _, name := range s.pods {
		if p := c.pods[name.Namespace][name.Name]; p != nil {
			c.stale[p] = struct{}{}
		}
	}
}

// serviceFor is the service that a pod is of, "" for none: one whose EndpointSlices hold it, or
// whose selector takes it. The latter is what the slices will say, sooner: a pod's first
// packets come before them, and its last ones after. Of several it is the one that is named
// as the workload, else the first that is not headless, else the first. Known says that the
// service is as old as the pod, so that it has been so all the time.
func (c *Cluster) serviceFor(p *pod) (name string, known bool) {
	space := c.services[p.Namespace]
	var best *service
	choose := func(s *service) {
		if best == nil || c.prefer(p, s, best) {
			best = s
		}
	}
	for _, s := range space {
		if takes(s.selector, p.labels) {
			choose(s)
		}
	}
	for _, s := range c.slicesOf[p.NamespacedName] {
		if s.service == "" {
			continue
		}
		if of := space[s.service]; of != nil {
			choose(of)
		} else {
			choose(&service{NamespacedName: types.NamespacedName{Namespace: p.Namespace, Name: s.service}, start: open})
		}
	}
	if best == nil {
		return "", false
	}
	return best.Name, best.start <= p.start && len(best.selector) > 0
}

// takes says whether a service's selector takes labels. No selector takes none.
func takes(selector, labels map[string]string) bool {
	for k, v := range selector {
		if have, ok := labels[k]; !ok || have != v {
			return false
		}
	}
	return len(selector) > 0
}

// prefer says whether a pod is named by one service rather than another.
func (c *Cluster) prefer(p *pod, s, than *service) bool {
	if same := s.Name == p.workload; same != (than.Name == p.workload) {
		return same
	}
	if s.headless != than.headless {
		return than.headless
	}
	return s.Name < than.Name
}
