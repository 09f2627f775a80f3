package kube

import (
	"cmp"
	"context"
	"slices"

	"github.com/sshark/sshark/servicemap/identity"
)

// follower is somebody who is told of the pods of one node. What it has not taken yet is a set
// of pods, not a queue: it is bounded by the pods that there are and those it was told of.
type follower struct {
	changed map[string]*pod // by cgroup UID
	gone    map[string]struct{}
	told    map[string]struct{}
	wake    chan struct{} // capacity 1
}

func (f *follower) changes(p *pod) {
	f.changed[p.cgroup] = p
	delete(f.gone, p.cgroup)
	f.ring()
}

func (f *follower) goes(p *pod) {
	delete(f.changed, p.cgroup)
	if _, ok := f.told[p.cgroup]; ok {
		f.gone[p.cgroup] = struct{}{}
		f.ring()
	}
}

func (f *follower) ring() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// take is what is new since the last time.
func (f *follower) take() (pods []identity.Pod, gone []string) {
	for uid, p := range f.changed {
		pods = append(pods, p.told)
		f.told[uid] = struct{}{}
	}
	for uid := range f.gone {
		gone = append(gone, uid)
		delete(f.told, uid)
	}
	clear(f.changed)
	clear(f.gone)
	slices.SortFunc(pods, func(a, b identity.Pod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Pod, b.Pod))
	})
	slices.Sort(gone)
	return pods, gone
}

// Pods tells of the pods of a node, those on its network included: once everything is known,
// all of them (whole), then those that came or changed, and the UIDs of those that were
// deleted. UIDs are those of the node's cgroups. A pod that has ended has no addresses. Pods
// that changed several times while tell was at work are told once, as they are by then. It
// returns the error of tell, or that of ctx. What tell gets is its own, but for identities,
// which are immutable.
func (c *Cluster) Pods(ctx context.Context, node string, tell func(pods []identity.Pod, gone []string, whole bool) error) error {
	select {
	case <-c.ready:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	f := &follower{changed: map[string]*pod{}, gone: map[string]struct{}{}, told: map[string]struct{}{}, wake: make(chan struct{}, 1)}
	c.mu.Lock()
	if c.followers[node] == nil {
		c.followers[node] = map[*follower]struct{}{}
	}
	c.followers[node][f] = struct{}{}
	for _, space := range c.pods {
		for _, p := range space {
			if p.node == node {
				f.changes(p)
			}
		}
	}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.followers[node], f)
		if len(c.followers[node]) == 0 {
			delete(c.followers, node)
		}
	}()
	for whole := true; ; whole = false {
		c.mu.Lock()
		pods, gone := f.take()
		c.mu.Unlock()
		if whole || len(pods) > 0 || len(gone) > 0 {
			if err := tell(pods, gone, whole); err != nil {
				return err
			}
		}
		select {
		case <-f.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// tell has a pod's followers told of it if there is news; mu is held.
func (c *Cluster) tell(p *pod) {
	now := identity.Pod{Identity: p.now(), Addrs: p.addrs, HostNetwork: p.hostNetwork}
	if p.told.Identity != nil && identity.Equal(p.told.Identity, now.Identity) && slices.Equal(p.told.Addrs, now.Addrs) {
		return
	}
	p.told = now
	for f := range c.followers[p.node] {
		f.changes(p)
	}
}
