package kube

import (
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/labels"
)

// Running is a pod that has a network: an address, and not ended.
type Running struct {
	Namespace, Name, Node string
	UID                   string // of the node's cgroups
	HostNetwork           bool
	Since                 time.Time // when it began
	Worker                bool      // one of the workers, which capture nothing of themselves
}

// Running are the pods that have a network now, and are not being deleted, in no order.
func (c *Cluster) Running() []Running {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var all []Running
	for _, space := range c.pods {
		for _, p := range space {
			if len(p.addrs) > 0 && p.finished == 0 && !p.condition.leaving {
				all = append(all, Running{Namespace: p.Namespace, Name: p.Name, Node: p.node, UID: p.cgroup, HostNetwork: p.hostNetwork,
					Since: time.Unix(0, p.start), Worker: p.Namespace == c.own && c.selectsWorker.Matches(labels.Set(p.labels))})
			}
		}
	}
	return all
}

// Nodes are the cluster's, sorted.
func (c *Cluster) Nodes() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Sorted(maps.Keys(c.nodes))
}
