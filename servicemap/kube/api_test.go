package kube

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// api is an API server as far as this package needs one: lists, watches (also those that begin
// with a list), and the two reviews, in JSON over HTTP. It can be slow of mind, refuse, and
// go away.
type api struct {
	mu      sync.Mutex
	version int
	objects map[string]map[types.NamespacedName]json.RawMessage // by resource
	events  []event
	grown   chan struct{} // closed when there are more events
	cut     chan struct{} // closed to end all watches
	asked   map[string]bool

	refuse   func(verb, resource string) int // HTTP status, 0: do it
	noStream bool                            // lists do not come over watches
	token    func(string) authenticationv1.TokenReviewStatus
	access   func(authorizationv1.SubjectAccessReviewSpec) bool
}

type event struct {
	version        int
	resource, kind string
	object         json.RawMessage
}

func newAPI() *api {
	return &api{objects: map[string]map[types.NamespacedName]json.RawMessage{}, grown: make(chan struct{}), cut: make(chan struct{}),
		asked: map[string]bool{}, refuse: func(string, string) int { return 0 }}
}

// resourceOf is the resource and type of an object that a test made.
func resourceOf(o runtime.Object) (resource string, meta metav1.TypeMeta) {
	switch o := o.(type) {
	case *corev1.Pod:
		return "pods", metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"}
	case *corev1.Service:
		return "services", metav1.TypeMeta{Kind: "Service", APIVersion: "v1"}
	case *corev1.Node:
		return "nodes", metav1.TypeMeta{Kind: "Node", APIVersion: "v1"}
	case *corev1.Namespace:
		return "namespaces", metav1.TypeMeta{Kind: "Namespace", APIVersion: "v1"}
	case *discoveryv1.EndpointSlice:
		return "endpointslices", metav1.TypeMeta{Kind: "EndpointSlice", APIVersion: "discovery.k8s.io/v1"}
	case *metav1.PartialObjectMetadata: // its kind tells which
		return strings.ToLower(o.Kind) + "s", metav1.TypeMeta{Kind: "PartialObjectMetadata", APIVersion: "meta.k8s.io/v1"}
	}
	panic(fmt.Sprintf("no resource for %T", o))
}

type object interface {
	runtime.Object
	metav1.Object
}

// put makes or changes an object.
func (a *api) put(all ...object) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, o := range all {
		resource, meta := resourceOf(o)
		name := types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}
		_, had := a.objects[resource][name]
		a.tell(resource, map[bool]string{true: "MODIFIED", false: "ADDED"}[had], a.encode(o, meta))
		if a.objects[resource] == nil {
			a.objects[resource] = map[types.NamespacedName]json.RawMessage{}
		}
		a.objects[resource][name] = a.events[len(a.events)-1].object
	}
}

func (a *api) encode(o object, meta metav1.TypeMeta) json.RawMessage {
	a.version++
	o.SetResourceVersion(strconv.Itoa(a.version))
	text, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		panic(err)
	}
	fields["kind"], fields["apiVersion"] = json.RawMessage(strconv.Quote(meta.Kind)), json.RawMessage(strconv.Quote(meta.APIVersion))
	text, err = json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return text
}

// remove deletes an object.
func (a *api) remove(o object) {
	a.mu.Lock()
	defer a.mu.Unlock()
	resource, meta := resourceOf(o)
	delete(a.objects[resource], types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()})
	a.tell(resource, "DELETED", a.encode(o, meta))
}

func (a *api) tell(resource, kind string, text json.RawMessage) {
	a.events = append(a.events, event{a.version, resource, kind, text})
	if len(a.events) > 4096 { // nobody is that far behind
		a.events = append([]event(nil), a.events[2048:]...)
	}
	close(a.grown)
	a.grown = make(chan struct{})
}

// away has the server end all watches and refuse everything; back ends that.
func (a *api) away() { a.set(func(string, string) int { return http.StatusServiceUnavailable }) }
func (a *api) back() { a.set(func(string, string) int { return 0 }) }

func (a *api) set(refuse func(verb, resource string) int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refuse = refuse
	close(a.cut)
	a.cut = make(chan struct{})
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.Split(r.URL.Path, "/")
	resource := path[len(path)-1]
	verb := "list"
	switch {
	case r.Method == http.MethodPost:
		verb = "create"
	case r.URL.Query().Get("watch") != "":
		verb = "watch"
	}
	a.mu.Lock()
	a.asked[verb+" "+resource+strings.Join(path[:len(path)-1], "/")] = true
	status := a.refuse(verb, resource)
	noStream := a.noStream && r.URL.Query().Get("sendInitialEvents") != ""
	a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case status == http.StatusForbidden:
		fail(w, status, metav1.StatusReasonForbidden)
	case status != 0:
		fail(w, status, metav1.StatusReasonServiceUnavailable)
	case noStream:
		fail(w, http.StatusUnprocessableEntity, metav1.StatusReasonInvalid)
	case verb == "create":
		a.review(w, r, resource)
	case verb == "list":
		a.list(w, resource)
	default:
		a.watch(w, r, resource)
	}
}

func fail(w http.ResponseWriter, status int, reason metav1.StatusReason) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status: metav1.StatusFailure, Code: int32(status), Reason: reason, Message: "no \x1b[31mway"})
}

func (a *api) review(w http.ResponseWriter, r *http.Request, resource string) {
	switch resource {
	case "tokenreviews":
		var v authenticationv1.TokenReview
		_ = json.NewDecoder(r.Body).Decode(&v)
		v.Status = a.token(v.Spec.Token)
		_ = json.NewEncoder(w).Encode(&v)
	case "subjectaccessreviews":
		var v authorizationv1.SubjectAccessReview
		_ = json.NewDecoder(r.Body).Decode(&v)
		v.Status.Allowed = a.access(v.Spec)
		_ = json.NewEncoder(w).Encode(&v)
	}
}

// kinds are the kind and version of a resource's lists and items.
var kinds = map[string][2]string{
	"pods": {"Pod", "v1"}, "services": {"Service", "v1"}, "nodes": {"Node", "v1"}, "namespaces": {"Namespace", "v1"},
	"endpointslices": {"EndpointSlice", "discovery.k8s.io/v1"},
	"replicasets":    {"PartialObjectMetadata", "meta.k8s.io/v1"}, "jobs": {"PartialObjectMetadata", "meta.k8s.io/v1"},
}

func (a *api) list(w http.ResponseWriter, resource string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	items := make([]json.RawMessage, 0, len(a.objects[resource]))
	for _, o := range a.objects[resource] {
		items = append(items, o)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": kinds[resource][0] + "List", "apiVersion": kinds[resource][1],
		"metadata": map[string]string{"resourceVersion": strconv.Itoa(a.version)}, "items": items})
}

func (a *api) watch(w http.ResponseWriter, r *http.Request, resource string) {
	to := json.NewEncoder(w)
	send := func(kind string, o json.RawMessage) {
		_ = to.Encode(map[string]any{"type": kind, "object": o})
	}
	a.mu.Lock()
	cut := a.cut
	from, _ := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	if r.URL.Query().Get("sendInitialEvents") == "true" {
		initial := make([]json.RawMessage, 0, len(a.objects[resource]))
		for _, o := range a.objects[resource] {
			initial = append(initial, o)
		}
		from = a.version
		a.mu.Unlock()
		for _, o := range initial {
			send("ADDED", o)
		}
		send("BOOKMARK", json.RawMessage(fmt.Sprintf(`{"kind":%q,"apiVersion":%q,"metadata":{"resourceVersion":"%d","annotations":{%q:"true"}}}`,
			kinds[resource][0], kinds[resource][1], from, metav1.InitialEventsAnnotationKey)))
	} else {
		a.mu.Unlock()
	}
	for {
		a.mu.Lock()
		grown := a.grown
		var fresh []event
		for i := len(a.events); i > 0 && a.events[i-1].version > from; i-- {
			fresh = a.events[i-1:]
		}
		fresh = append([]event(nil), fresh...)
		a.mu.Unlock()
		for _, e := range fresh {
			if from = e.version; e.resource == resource {
				send(e.kind, e.object)
			}
		}
		w.(http.Flusher).Flush()
		select {
		case <-grown:
		case <-cut:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// serve runs the server and connects to it.
func (a *api) serve(t testing.TB) *Client {
	server := httptest.NewServer(a)
	t.Cleanup(func() {
		a.away()
		server.CloseClientConnections()
		server.Close()
	})
	client, err := connect(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// start watches the server until the test ends.
func (a *api) start(t testing.TB, o Options) *Cluster {
	o.Client, o.Namespace, o.WorkerPort, o.Log = a.serve(t), "sshark", 4290, slog.New(slog.DiscardHandler)
	c, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// wait waits until something is so, and fails the test if it takes too long.
func wait(t testing.TB, what string, so func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
