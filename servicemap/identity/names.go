package identity

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sshark/sshark/dissect"
)

// An address's owner in a file is the list of names of a Name Resolution Block's record: first
// the one to show, which is what Wireshark takes; then what it is made of, each as
// "key=value". Keys are those of pcapng's interface descriptions; label and annotation keys
// are prefixed. Who is at one of its ports follows with the port before each key: "80/svc=web".
// A list without such a pair is a plain name, as other programs write it.
const (
	labelPrefix      = "label."
	annotationPrefix = "annotation."
)

// Encode is the names of an owner; nil for nobody.
func Encode(o Owner) []string {
	var out []string
	if id := o.Identity; id != nil {
		show := id.Name()
		switch {
		case Bare(id):
			show = id.PodUID
		case id.Namespace != "":
			show = id.Namespace + "/" + show
		}
		out = appendPairs([]string{show}, "", id)
	}
	for _, port := range slices.Sorted(maps.Keys(o.Ports)) {
		if len(out) == 0 {
			out = []string{o.Ports[port].Name()}
		}
		out = appendPairs(out, strconv.Itoa(int(port))+"/", o.Ports[port])
	}
	return out
}

// sinceKey says from when on a record holds, in ns: it may be written later.
const sinceKey = "since="

// WithSince says in a record since when it holds, in ns.
func WithSince(names []string, since int64) []string {
	if len(names) == 0 || since <= 0 {
		return names
	}
	return append(names, sinceKey+strconv.FormatInt(since, 10))
}

// Since is from when on a record holds, in ns, 0 where it does not say.
func Since(names []string) int64 {
	for _, n := range names[min(1, len(names)):] {
		if text, ok := strings.CutPrefix(n, sinceKey); ok {
			if since, err := strconv.ParseInt(text, 10, 64); err == nil && since > 0 {
				return since
			}
		}
	}
	return 0
}

func appendPairs(out []string, prefix string, id *dissect.Identity) []string {
	add := func(key, value string) {
		if value != "" {
			out = append(out, prefix+key+"="+value)
		}
	}
	add("ns", id.Namespace)
	add("pod", id.Pod)
	add("pod_uid", id.PodUID)
	add("svc", id.Service)
	add("workload", id.Workload)
	add("kind", id.Kind)
	add("node", id.Node)
	add("dns", id.DNS)
	for _, k := range slices.Sorted(maps.Keys(id.Labels)) {
		add(labelPrefix+k, id.Labels[k])
	}
	for _, k := range slices.Sorted(maps.Keys(id.Annotations)) {
		add(annotationPrefix+k, id.Annotations[k])
	}
	return out
}

// Decode reads what Encode wrote; a plain name is a DNS name. The zero Owner: there is no name.
func Decode(names []string) Owner {
	var o Owner
	if len(names) == 0 || names[0] == "" {
		return o
	}
	var own dissect.Identity
	found := false
	for _, n := range names[1:] {
		k, v, ok := strings.Cut(n, "=")
		if !ok {
			continue
		}
		to := &own
		if port, key, ok := strings.Cut(k, "/"); ok {
			if number, err := strconv.ParseUint(port, 10, 16); err == nil {
				to, k = o.port(uint16(number)), key
			}
		}
		if to != nil && decodePair(to, k, v) && to == &own {
			found = true
		}
	}
	switch {
	case found:
		o.Identity = &own
	case len(o.Ports) == 0:
		o.Identity = &dissect.Identity{DNS: names[0]}
	}
	return o
}

// port is the identity at a port, to be filled in; nil if there are too many.
func (o *Owner) port(n uint16) *dissect.Identity {
	if o.Ports == nil {
		o.Ports = map[uint16]*dissect.Identity{}
	}
	id := o.Ports[n]
	if id == nil && len(o.Ports) < maxPorts {
		id = &dissect.Identity{}
		o.Ports[n] = id
	}
	return id
}

// decodePair says whether it knows the key.
func decodePair(id *dissect.Identity, k, v string) bool {
	switch k {
	case "ns":
		id.Namespace = v
	case "pod":
		id.Pod = v
	case "pod_uid":
		id.PodUID = v
	case "svc":
		id.Service = v
	case "workload":
		id.Workload = v
	case "kind":
		id.Kind = v
	case "node":
		id.Node = v
	case "dns":
		id.DNS = v
	default:
		if l, ok := strings.CutPrefix(k, labelPrefix); ok {
			id.Labels = with(id.Labels, l, v)
			return true
		}
		if a, ok := strings.CutPrefix(k, annotationPrefix); ok {
			id.Annotations = with(id.Annotations, a, v)
			return true
		}
		return false
	}
	return true
}

func with(m map[string]string, k, v string) map[string]string {
	if m == nil {
		m = map[string]string{}
	}
	m[k] = v
	return m
}
