package worker

import (
	"net/netip"
	"slices"
	"sync"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/servicemap/identity"
	"github.com/sshark/sshark/worker/capture"
)

// Targets say which pods are captured. The zero value is all of them, at once. With any
// target a pod waits until the hub has named it, so that none that is left out is ever
// captured; and the node's own traffic is not captured, where that of pods on the host's
// network cannot be told apart.
//
// The hub's own pod is never captured once it is named: what an operator is shown would be
// captured in turn. For the same reason the node's own traffic is captured without the ports
// of the console, of the kubelet and of the container runtime, through which `kubectl exec`
// goes.
type Targets struct {
	Namespaces        []string // only these; nil: all
	ExcludeNamespaces []string // and not these
	Labels            string   // a label selector, as kubectl's -l; "": any
}

// Check says what is wrong with them, nil: nothing.
func (t *Targets) Check() error {
	_, err := parseSelector(t.Labels)
	return err
}

func (t *Targets) none() bool {
	return len(t.Namespaces) == 0 && len(t.ExcludeNamespaces) == 0 && t.Labels == ""
}

// The labels of the hub's pods.
const (
	labelName      = "app.kubernetes.io/name"
	labelComponent = "app.kubernetes.io/component"
)

// configHash is the annotation of a static pod that says under which UID the kubelet runs it.
const configHash = "kubernetes.io/config.hash"

// roster is what the hub told of this node's pods. It is safe for concurrent use, and calls
// nobody.
type roster struct {
	targets  Targets
	selector selector

	mu   sync.RWMutex
	pods map[string]*named // by the UID that their cgroups have
	own  []uint16          // ports that are left out of the node's own traffic
	keys map[string]string // UIDs of static pods to those of their cgroups
}

// named is a pod with its name.
type named struct {
	identity.Pod
	gone bool // the hub knows it no more; it is kept as long as it is captured
}

func newRoster(t Targets) (*roster, error) {
	s, err := parseSelector(t.Labels)
	if err != nil {
		return nil, err
	}
	return &roster{targets: t, selector: s, pods: map[string]*named{}, keys: map[string]string{}}, nil
}

// tell takes what the hub says, and returns the pods that are new or others than before.
func (r *roster) tell(pods []identity.Pod, gone []string, whole bool) (changed []identity.Pod) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if whole {
		for _, p := range r.pods {
			p.gone = true
		}
	}
	for _, uid := range gone {
		if key, ok := r.keys[uid]; ok {
			uid = key
		}
		if p := r.pods[uid]; p != nil {
			p.gone = true
		}
	}
	for _, p := range pods {
		uid := p.PodUID
		if uid == "" {
			continue
		}
		if hash := p.Annotations[configHash]; hash != "" && hash != uid {
			r.keys[uid] = hash
			uid = hash
		}
		if old := r.pods[uid]; old == nil || !identity.Equal(old.Identity, p.Identity) ||
			old.HostNetwork != p.HostNetwork || !slices.Equal(old.Addrs, p.Addrs) {
			changed = append(changed, p)
		}
		r.pods[uid] = &named{Pod: p}
	}
	return changed
}

// sweep forgets pods that are gone and not captured any more, and returns them.
func (r *roster) sweep(captured map[string]bool) (over []identity.Pod) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for uid, p := range r.pods {
		if p.gone && !captured[uid] {
			delete(r.pods, uid)
			delete(r.keys, p.PodUID)
			over = append(over, p.Pod)
		}
	}
	return over
}

// name is what packets of a pod carry. The UID stays the one that it was found with.
func (r *roster) name(p pcap.Pod) pcap.Pod {
	if id := r.identity(p.UID); id != nil {
		p.Namespace, p.Name = id.Namespace, id.Pod
	}
	return p
}

// identity is all that is known of a pod, nil if nothing is.
func (r *roster) identity(uid string) *dissect.Identity {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if p := r.pods[uid]; p != nil && uid != "" {
		return p.Identity
	}
	return nil
}

// has says whether the hub told of a pod, by its own UID.
func (r *roster) has(uid string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.pods[uid] != nil || r.keys[uid] != ""
}

// target says whether a pod is captured.
func (r *roster) target(p pcap.Pod) capture.Target {
	t := capture.Target{Off: !r.wants(p)}
	if p == (pcap.Pod{}) {
		r.mu.RLock()
		defer r.mu.RUnlock()
		t.Never = r.own
	}
	return t
}

// setOwn replaces the ports that are left out of the node's own traffic, sorted; it says
// whether they are others than before.
func (r *roster) setOwn(ports []uint16) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Equal(r.own, ports) {
		return false
	}
	r.own = ports
	return true
}

func (r *roster) wants(p pcap.Pod) bool {
	t := &r.targets
	id := r.identity(p.UID)
	if id == nil {
		return t.none()
	}
	switch {
	case id.Labels[labelName] == "sshark" && id.Labels[labelComponent] == "hub":
		return false
	case len(t.Namespaces) > 0 && !slices.Contains(t.Namespaces, id.Namespace):
		return false
	case slices.Contains(t.ExcludeNamespaces, id.Namespace):
		return false
	}
	return r.selector.selects(id.Labels)
}

// addresses are the pod's own: one that shares the node's network has none.
func addresses(p *identity.Pod) []netip.Addr {
	if p.HostNetwork {
		return nil
	}
	return p.Addrs
}
