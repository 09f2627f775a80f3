package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"testing"
)

// api is as much of a Kubernetes API server as a hub needs: lists that never change, watched.
type api struct {
	server *httptest.Server
	lists  map[string][]any // by resource

	mu   sync.Mutex
	cut  chan struct{} // closed when it goes away
	away bool
}

// object is one of a list, in the API's words.
type object = map[string]any

// newAPI serves a cluster of nodes with a worker each, at an address of loopback.
func newAPI(t *testing.T, workers map[string]string) *api {
	t.Helper()
	meta := func(namespace, name string) object {
		return object{"namespace": namespace, "name": name, "uid": "uid-" + name, "resourceVersion": "1", "creationTimestamp": "2026-01-02T15:04:05Z",
			"labels": object{"app.kubernetes.io/name": "sshark", "app.kubernetes.io/component": "worker"}}
	}
	a := &api{lists: map[string][]any{"namespaces": {object{"kind": "Namespace", "apiVersion": "v1", "metadata": meta("", "sshark")}}}, cut: make(chan struct{})}
	ready := []object{{"type": "Ready", "status": "True"}}
	for node, addr := range workers {
		a.lists["nodes"] = append(a.lists["nodes"], object{"kind": "Node", "apiVersion": "v1", "metadata": meta("", node), "status": object{"conditions": ready}})
		a.lists["pods"] = append(a.lists["pods"], object{"kind": "Pod", "apiVersion": "v1", "metadata": meta("sshark", "worker-"+node),
			"spec":   object{"nodeName": node, "hostNetwork": true},
			"status": object{"phase": "Running", "podIP": addr, "podIPs": []object{{"ip": addr}}, "startTime": "2026-01-02T15:04:05Z", "conditions": ready}})
	}
	a.server = httptest.NewServer(a)
	t.Cleanup(func() {
		a.set(true)
		a.server.Close()
	})
	return a
}

// set makes the server go away or come back.
func (a *api) set(away bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if away && !a.away {
		close(a.cut)
	} else if !away && a.away {
		a.cut = make(chan struct{})
	}
	a.away = away
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	away, cut := a.away, a.cut
	a.mu.Unlock()
	if away {
		http.Error(w, "away", http.StatusServiceUnavailable)
		return
	}
	resource := path.Base(r.URL.Path)
	kind := map[string][2]string{"pods": {"v1", "Pod"}, "services": {"v1", "Service"}, "nodes": {"v1", "Node"}, "namespaces": {"v1", "Namespace"},
		"endpointslices": {"discovery.k8s.io/v1", "EndpointSlice"}}[resource]
	if kind[0] == "" {
		kind = [2]string{"meta.k8s.io/v1", "PartialObjectMetadata"}
	}
	w.Header().Set("Content-Type", "application/json")
	to := json.NewEncoder(w)
	if r.URL.Query().Get("watch") == "" {
		to.Encode(object{"apiVersion": kind[0], "kind": kind[1] + "List", "metadata": object{"resourceVersion": "1"}, "items": append([]any{}, a.lists[resource]...)})
		return
	}
	if r.URL.Query().Get("sendInitialEvents") == "true" {
		for _, o := range a.lists[resource] {
			to.Encode(object{"type": "ADDED", "object": o})
		}
		to.Encode(object{"type": "BOOKMARK", "object": object{"apiVersion": kind[0], "kind": kind[1],
			"metadata": object{"resourceVersion": "1", "annotations": object{"k8s.io/initial-events-end": "true"}}}})
	}
	w.(http.Flusher).Flush()
	select {
	case <-cut:
	case <-r.Context().Done():
	}
}

// kubeconfig says how to reach a server.
func kubeconfig(server string) string {
	return strings.ReplaceAll(fmt.Sprintf(`{'apiVersion':'v1','kind':'Config','current-context':'a','clusters':[{'name':'a','cluster':{'server':%q}}],
'contexts':[{'name':'a','context':{'cluster':'a','user':'a'}}],'users':[{'name':'a','user':{'token':'a'}}]}`, server), "'", `"`)
}
