package kube

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// resource is one kind of objects: how they are read, and how that goes.
type resource struct {
	name     string
	optional bool // the cluster can be told without, if it is forbidden
	example  runtime.Object
	list     func(context.Context, metav1.ListOptions) (runtime.Object, error)
	stream   func(context.Context, metav1.ListOptions) (watch.Interface, error)
	put      func(runtime.Object)
	drop     func(types.NamespacedName)

	mu      sync.Mutex
	synced  bool
	up      bool      // a watch stands
	contact time.Time // when the API server was last heard of, if it is not up
	err     error     // of the last request, nil if it succeeded
}

// watch starts to read all resources.
func (c *Cluster) watch(ctx context.Context, client *Client) {
	c.resources = []*resource{
		objects(client, client.core, "pods", &corev1.Pod{}, &corev1.PodList{}, c.putPod, c.dropPod),
		objects(client, client.core, "services", &corev1.Service{}, &corev1.ServiceList{}, c.putService, c.dropService),
		objects(client, client.core, "nodes", &corev1.Node{}, &corev1.NodeList{}, c.putNode, c.dropNode),
		objects(client, client.core, "namespaces", &corev1.Namespace{}, &corev1.NamespaceList{},
			func(o *corev1.Namespace) { c.namespaces[o.Name] = struct{}{} },
			func(name types.NamespacedName) { delete(c.namespaces, name.Name) }),
		objects(client, client.discovery, "endpointslices", &discoveryv1.EndpointSlice{}, &discoveryv1.EndpointSliceList{}, c.putSlice, c.dropSlice),
		owners(client, "apps", "replicasets", c.putReplicaSet, func(name types.NamespacedName) { delete(c.replicaSets, name) }),
		owners(client, "batch", "jobs", c.putJob, func(name types.NamespacedName) { delete(c.jobs, name) }),
	}
	start := c.now()
	ctx = klog.NewContext(ctx, logr.FromSlogHandler(c.log.Handler()))
	for _, r := range c.resources {
		r.contact = start
	}
	for _, r := range c.resources {
		go cache.NewReflectorWithOptions(&cache.ListWatch{
			ListWithContextFunc:  func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return c.listed(ctx, r, o) },
			WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) { return c.watched(ctx, r, o) },
		}, r.example, &store{c: c, r: r, known: map[types.NamespacedName]struct{}{}}, cache.ReflectorOptions{Name: r.name}).RunWithContext(ctx)
	}
}

// objects are read whole.
func objects[T runtime.Object, L runtime.Object](client *Client, api *rest.RESTClient, name string, example T, list L,
	put func(T), drop func(types.NamespacedName)) *resource {
	return &resource{
		name: name, example: example, drop: drop,
		list: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			all := list.DeepCopyObject() // an empty one
			err := api.Get().Resource(name).VersionedParams(&o, client.parameters).Do(ctx).Into(all)
			return all, err
		},
		stream: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.Watch = true
			return api.Get().Resource(name).VersionedParams(&o, client.parameters).Watch(ctx)
		},
		put: func(o runtime.Object) {
			if v, ok := o.(T); ok {
				put(v)
			}
		},
	}
}

// owners are read as far as their metadata.
func owners(client *Client, group, name string, put func(*metav1.PartialObjectMetadata), drop func(types.NamespacedName)) *resource {
	api := client.metadata.Resource(schema.GroupVersionResource{Group: group, Version: "v1", Resource: name})
	return &resource{
		name: name, optional: true, example: &metav1.PartialObjectMetadata{}, drop: drop,
		list: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return api.List(ctx, o) },
		stream: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return api.Watch(ctx, o)
		},
		put: func(o runtime.Object) {
			if v, ok := o.(*metav1.PartialObjectMetadata); ok {
				put(v)
			}
		},
	}
}

func (c *Cluster) listed(ctx context.Context, r *resource, o metav1.ListOptions) (runtime.Object, error) {
	all, err := r.list(ctx, o)
	c.heard(ctx, r, "list", err, false)
	return all, err
}

func (c *Cluster) watched(ctx context.Context, r *resource, o metav1.ListOptions) (watch.Interface, error) {
	w, err := r.stream(ctx, o)
	c.heard(ctx, r, "watch", err, err == nil)
	if err != nil {
		return nil, err
	}
	return &stream{w, sync.OnceFunc(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.up, r.contact = false, c.now()
	})}, nil
}

// stream is a watch that says when it ends: its reader stops it however it ended.
type stream struct {
	watch.Interface
	ended func()
}

func (s *stream) Stop() {
	s.ended()
	s.Interface.Stop()
}

// heard notes how a request went, and logs when that changes.
func (c *Cluster) heard(ctx context.Context, r *resource, verb string, err error, up bool) {
	if ctx.Err() != nil || apierrors.IsInvalid(err) || apierrors.IsResourceExpired(err) {
		return // it ends; or another way of asking comes next, as the server wishes
	}
	r.mu.Lock()
	failed := r.err != nil
	if r.err = nil; err != nil {
		r.err = fmt.Errorf("%s %s: %w", verb, r.name, err)
	} else {
		r.up, r.contact = up, c.now()
	}
	forbidden := r.optional && apierrors.IsForbidden(err)
	if forbidden {
		r.synced = true
	}
	r.mu.Unlock()
	switch {
	case err != nil && !failed:
		c.log.Warn("kubernetes api", "error", err.Error(), "verb", verb, "resource", r.name)
	case err == nil && failed:
		c.log.Info("kubernetes api is back", "resource", r.name)
	}
	if forbidden {
		c.mu.Lock()
		c.settle()
		c.mu.Unlock()
	}
}

// complete says whether every resource was read once.
func (c *Cluster) complete() bool {
	for _, r := range c.resources {
		r.mu.Lock()
		synced := r.synced
		r.mu.Unlock()
		if !synced {
			return false
		}
	}
	return len(c.resources) > 0
}

// Problem says for a person what is wrong with watching the cluster, "" if nothing is.
func (c *Cluster) Problem() string {
	for _, r := range c.resources {
		r.mu.Lock()
		err, synced, contact := r.err, r.synced, r.contact
		r.mu.Unlock()
		switch {
		case err == nil:
		case r.optional && apierrors.IsForbidden(err):
			return printable(fmt.Sprintf("workloads are named less well: %v", err))
		case synced:
			return printable(fmt.Sprintf("who is who is from memory since %s: %v", contact.UTC().Format(time.RFC3339), err))
		default:
			return printable(fmt.Sprintf("who is who is not known yet: %v", err))
		}
	}
	return ""
}

// Lag is how old the answers may be: 0 while all watches stand, for changes are taken in as
// they arrive; else the time since the API server was last heard of (since Start if never).
func (c *Cluster) Lag() time.Duration {
	now := c.now()
	var lag time.Duration
	for _, r := range c.resources {
		r.mu.Lock()
		if (!r.up || !r.synced) && !(r.optional && apierrors.IsForbidden(r.err)) {
			lag = max(lag, now.Sub(r.contact))
		}
		r.mu.Unlock()
	}
	return lag
}

// store takes what one resource's reader says: the cache.TransformingStore of a reflector.
type store struct {
	c     *Cluster
	r     *resource
	known map[types.NamespacedName]struct{}
}

// Transformer trims what is collected while a first list comes in.
func (s *store) Transformer() cache.TransformFunc { return trim }

// trim drops what nobody reads.
func trim(obj any) (any, error) {
	if o, err := meta.Accessor(obj); err == nil {
		o.SetManagedFields(nil)
	}
	return trimPod(obj)
}

// Add takes in an object that is new.
func (s *store) Add(obj any) error { return s.Update(obj) }

// Update takes in an object as it is now.
func (s *store) Update(obj any) error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if err := s.put(obj, s.known); err != nil {
		return err
	}
	s.c.settle()
	return nil
}

func (s *store) put(obj any, known map[types.NamespacedName]struct{}) error {
	o, name, err := named(obj)
	if err != nil {
		return err
	}
	known[name] = struct{}{}
	s.r.put(o)
	return nil
}

// Delete takes in that an object is no more.
func (s *store) Delete(obj any) error {
	_, name, err := named(obj)
	if err != nil {
		return err
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	delete(s.known, name)
	s.r.drop(name)
	s.c.settle()
	return nil
}

// Replace takes in all objects that there are: others are no more.
func (s *store) Replace(all []any, _ string) error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	known := make(map[types.NamespacedName]struct{}, len(all))
	var failed error
	for _, obj := range all {
		failed = errors.Join(failed, s.put(obj, known))
	}
	if failed != nil {
		return failed
	}
	for name := range s.known {
		if _, still := known[name]; !still {
			s.r.drop(name)
		}
	}
	s.known = known
	s.r.mu.Lock()
	s.r.synced = true
	s.r.mu.Unlock()
	s.c.settle()
	return nil
}

// Resync is for stores that repeat themselves.
func (s *store) Resync() error { return nil }

func named(obj any) (runtime.Object, types.NamespacedName, error) {
	o, ok := obj.(runtime.Object)
	if !ok {
		return nil, types.NamespacedName{}, fmt.Errorf("read object: %T is none", obj)
	}
	m, err := meta.Accessor(o)
	if err != nil {
		return nil, types.NamespacedName{}, fmt.Errorf("read object: %w", err)
	}
	return o, types.NamespacedName{Namespace: m.GetNamespace(), Name: m.GetName()}, nil
}
