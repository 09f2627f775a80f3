package kube

import (
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sshark/sshark/dissect"
)

// node is what is used of a node object.
type node struct {
	*holder
	uid     string
	start   int64
	addrs   []netip.Addr
	problem string // "" if it is ready
	worked  bool   // it has, or had, a worker
}

func nodeOf(o *corev1.Node) *node {
	n := &node{holder: &holder{}, uid: string(o.UID), start: nanos(&o.CreationTimestamp)}
	for _, a := range o.Status.Addresses {
		if a.Type != corev1.NodeInternalIP && a.Type != corev1.NodeExternalIP {
			continue
		}
		if addr, err := netip.ParseAddr(a.Address); err == nil {
			n.addrs = appendNew(n.addrs, addr.Unmap())
		}
	}
	for _, cond := range o.Status.Conditions {
		if cond.Type == corev1.NodeReady && cond.Status != corev1.ConditionTrue {
			n.problem = printable(fmt.Sprintf("node %s is not ready: %s", o.Name, said(cond.Reason, cond.Message)))
		}
	}
	return n
}

// putNode takes in a node object; mu is held.
func (c *Cluster) putNode(o *corev1.Node) {
	now := c.now().UnixNano()
	n := nodeOf(o)
	old := c.nodes[o.Name]
	if old != nil && old.uid != n.uid {
		c.dropNode(types.NamespacedName{Name: o.Name})
		old = nil
	}
	from := n.start
	if old == nil {
		n.become(&dissect.Identity{Node: o.Name, Kind: "Node"}, n.start, false)
	} else {
		from = now
		n.holder, n.worked = old.holder, old.worked
	}
	c.nodes[o.Name] = n
	c.touched = c.touched || old == nil || old.problem != n.problem
	if old != nil && slices.Equal(old.addrs, n.addrs) {
		return
	}
	var places []want
	for _, a := range n.addrs {
		places = append(places, want{place: place{addr: a}, from: from, sure: now})
	}
	c.history.hold(n.holder, now, places)
}

// dropNode forgets a node that was deleted; mu is held.
func (c *Cluster) dropNode(name types.NamespacedName) {
	if n := c.nodes[name.Name]; n != nil {
		c.history.end(n.holder, c.now().UnixNano())
		delete(c.nodes, name.Name)
		c.touched = true
	}
}

// putReplicaSet and putJob take in who made one; mu is held.
func (c *Cluster) putReplicaSet(o *metav1.PartialObjectMetadata) { c.putOwner(c.replicaSets, o) }
func (c *Cluster) putJob(o *metav1.PartialObjectMetadata)        { c.putOwner(c.jobs, o) }

func (c *Cluster) putOwner(all map[types.NamespacedName]controller, o *metav1.PartialObjectMetadata) {
	var above controller
	if owner := metav1.GetControllerOfNoCopy(o); owner != nil {
		above = controller{owner.Kind, owner.Name}
	}
	name := types.NamespacedName{Namespace: o.Namespace, Name: o.Name}
	if old, known := all[name]; known && old == above {
		return
	}
	all[name] = above
	c.staleSpaces[o.Namespace] = struct{}{}
}
