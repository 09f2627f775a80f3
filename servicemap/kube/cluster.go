package kube

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/servicemap/identity"
)

// Defaults of Options.
const (
	DefaultWorkers = "app.kubernetes.io/component=worker"
	DefaultHub     = "app.kubernetes.io/component=hub"
	DefaultKeep    = 24 * time.Hour
	DefaultEnded   = 50_000
)

// Options of a Cluster. Client, Namespace, WorkerPort and Log are needed.
type Options struct {
	Client     *Client
	Namespace  string // of the hub and its workers
	Workers    string // label selector of worker pods, "": DefaultWorkers
	Hub        string // label selector of hub pods, "": DefaultHub
	WorkerPort int
	Keep       time.Duration // how long who ended is remembered, 0: DefaultKeep
	Ended      int           // how many that ended are remembered at most, 0: DefaultEnded
	Log        *slog.Logger
	Now        func() time.Time // nil: time.Now
}

// Cluster is what is known of the cluster.
type Cluster struct {
	own                       string
	workerPort                int
	selectsWorker, selectsHub labels.Selector
	now                       func() time.Time
	log                       *slog.Logger
	resources                 []*resource
	ready                     chan struct{} // closed when all resources were read once

	mu          sync.RWMutex
	history     history
	pods        map[string]map[string]*pod // by namespace and name
	services    map[string]map[string]*service
	slices      map[types.NamespacedName]*slice
	slicesOf    map[types.NamespacedName][]*slice // by pod
	nodes       map[string]*node
	replicaSets map[types.NamespacedName]controller
	jobs        map[types.NamespacedName]controller
	namespaces  map[string]struct{}
	followers   map[string]map[*follower]struct{} // by node

	// What the changes that were taken in have made out of date; settle makes it good.
	stale       map[*pod]struct{}
	staleSpaces map[string]struct{}
	touched     bool // workers, console ports
	settled     bool // ready is closed

	workers      []Worker
	consolePorts []uint16
	changed      chan struct{}
}

// Start watches the cluster until ctx ends. An error says that a selector cannot be read; that
// the API server cannot be reached is not one, but a Problem.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	c, err := newCluster(o)
	if err != nil {
		return nil, err
	}
	c.watch(ctx, o.Client)
	go c.sweep(ctx)
	return c, nil
}

func newCluster(o Options) (*Cluster, error) {
	if o.Workers == "" {
		o.Workers = DefaultWorkers
	}
	if o.Hub == "" {
		o.Hub = DefaultHub
	}
	if o.Keep == 0 {
		o.Keep = DefaultKeep
	}
	if o.Ended == 0 {
		o.Ended = DefaultEnded
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	workers, err := labels.Parse(o.Workers)
	if err != nil {
		return nil, fmt.Errorf("read worker selector %q: %w", o.Workers, err)
	}
	hub, err := labels.Parse(o.Hub)
	if err != nil {
		return nil, fmt.Errorf("read hub selector %q: %w", o.Hub, err)
	}
	return &Cluster{
		own: o.Namespace, workerPort: o.WorkerPort, selectsWorker: workers, selectsHub: hub, now: o.Now, log: o.Log,
		ready:       make(chan struct{}),
		history:     history{at: map[place][]*claim{}, keep: o.Keep, limit: o.Ended},
		pods:        map[string]map[string]*pod{},
		services:    map[string]map[string]*service{},
		slices:      map[types.NamespacedName]*slice{},
		slicesOf:    map[types.NamespacedName][]*slice{},
		nodes:       map[string]*node{},
		replicaSets: map[types.NamespacedName]controller{},
		jobs:        map[types.NamespacedName]controller{},
		namespaces:  map[string]struct{}{},
		followers:   map[string]map[*follower]struct{}{},
		stale:       map[*pod]struct{}{},
		staleSpaces: map[string]struct{}{},
		changed:     make(chan struct{}),
	}, nil
}

// sweep forgets the past, once a minute.
func (c *Cluster) sweep(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.mu.Lock()
			c.history.sweep(c.now().UnixNano())
			c.mu.Unlock()
		case <-ctx.Done():
			return
		}
	}
}

// touch notes that something changed that workers and console ports may follow from.
func (c *Cluster) touch(namespace string) { c.touched = c.touched || namespace == c.own }

// settle makes good what changes have made out of date; mu is held.
func (c *Cluster) settle() {
	now := c.now().UnixNano()
	for space := range c.staleSpaces {
		for _, p := range c.pods[space] {
			c.stale[p] = struct{}{}
		}
	}
	for p := range c.stale {
		c.renew(p, now)
	}
	clear(c.stale)
	clear(c.staleSpaces)
	if c.touched {
		c.touched = false
		c.refresh()
	}
	if !c.settled && c.complete() {
		c.settled = true
		close(c.ready)
	}
}

// Synced says whether everything was read once, so that who is not known is nobody of the
// cluster's.
func (c *Cluster) Synced() bool {
	select {
	case <-c.ready:
		return true
	default:
		return false
	}
}

// Namespaces are those that there are, sorted.
func (c *Cluster) Namespaces() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Sorted(maps.Keys(c.namespaces))
}

// Who is who had an address at a time, in ns, and at its port; since when that has been so, also
// that it is nobody's; and whether anybody is known. Of the ports it says only that one, if it is somebody's own. While
// Synced is false, who is not known may be somebody.
func (c *Cluster) Who(a netip.AddrPort, at int64) (o identity.Owner, from int64, known bool) {
	addr := a.Addr().Unmap().WithZone("")
	c.mu.RLock()
	defer c.mu.RUnlock()
	o.Identity, from = c.history.who(place{addr: addr}, at)
	if port := a.Port(); port != 0 {
		id, since := c.atPort(o.Identity, addr, port, at)
		if from = max(from, since); id != nil {
			o.Ports = map[uint16]*dissect.Identity{port: id}
		}
	}
	return o, from, o.Identity != nil || o.Ports != nil
}

// Turned are the addresses whose owners changed since a number that it gave before, and the
// number to ask with next; all is false where that is too long ago to tell.
func (c *Cluster) Turned(since uint64) (addrs []netip.Addr, next uint64, all bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.history.turns.since(since)
}

// atPort is who had a port of an address as its own, nil for nobody; mu is held.
func (c *Cluster) atPort(base *dissect.Identity, addr netip.Addr, port uint16, at int64) (id *dissect.Identity, since int64) {
	id, since = c.history.who(place{addr: addr, port: port}, at)
	if id != nil || base == nil || base.Kind != "Node" || base.Pod != "" {
		return id, since
	}
	id, changed := c.history.who(place{node: base.Node, port: port}, at)
	if since = max(since, changed); id != nil {
		return id, since
	}
	id, changed = c.history.who(place{port: port}, at)
	if since = max(since, changed); id != nil {
		here := *id
		here.Node = base.Node
		id = &here
	}
	return id, since
}
