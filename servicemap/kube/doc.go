// Package kube watches a Kubernetes cluster for the hub: it knows who an address was at a
// time, which pods a node has, where the workers are, and asks the API server who a token
// belongs to and what a user may. It is the only importer of client-go.
//
// A Client speaks to the API server. A Cluster watches, from Start until its context ends; it
// keeps one copy of what it uses of each object and no object, and is safe for concurrent use.
// While the API server is away it goes on from memory, and says so (Problem, Lag); it comes
// back by itself. Nobody waits for the API server but the callers of a Client's methods and of
// Pods before the first synchronisation. Values that are handed out are immutable or copies.
//
// # What it may
//
// These are the only requests it makes; the chart's role grants them and nothing else.
//
//	get list watch  pods services nodes namespaces      (core)
//	get list watch  endpointslices                      discovery.k8s.io
//	get list watch  replicasets                         apps    (metadata only)
//	get list watch  jobs                                batch   (metadata only)
//	create          tokenreviews                        authentication.k8s.io
//	create          subjectaccessreviews                authorization.k8s.io
//
// Without replicasets or jobs it works, and names pods' workloads less well. Each resource is
// listed and watched over the whole cluster by one stream of its own: a list that comes over
// the watch where the API server can do that, and no periodic repetition.
//
// # Who is who
//
// The address of a pod is the pod's from its start until it has ended (Succeeded, Failed) or
// was deleted; that of a service (cluster addresses, also those of load balancers and external
// ones) the service's; those of a node the node's. At a node's addresses, ports may be others':
// the ports of pods on its network (as their containers or EndpointSlices declare them), host
// ports of other pods, and the node ports of services. A pod on the host network never changes
// who the node's address itself is.
//
// What ended stays known for Options.Keep, or until too much else has ended since. An address
// that another pod gets does not rename the past. Who a pod is may change while it has its
// address: when its labels do, or when a service comes or goes; what was only learnt late (the
// Deployment above its ReplicaSet, a service as old as the pod) counts from its beginning.
//
// Times of beginnings are the API's, in seconds; times of ends are the containers', or, of a
// deleted pod, those at which the hub was told. Where two claims of an address overlap because
// of that, the one that began later counts.
package kube
