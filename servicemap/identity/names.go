package identity

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/sshark/sshark/dissect"
)

// An identity in a file is the list of names of a Name Resolution Block's record: first the
// one to show, which is what Wireshark takes; then what it is made of, each as "key=value".
// Keys are those of pcapng's interface descriptions; label keys are prefixed. A list
// without such a pair is a plain name, as other programs write it.
const labelPrefix = "label."

// Encode is the names of an identity.
func Encode(id *dissect.Identity) []string {
	show := id.Name()
	if id.Namespace != "" {
		show = id.Namespace + "/" + show
	}
	out := []string{show}
	add := func(key, value string) {
		if value != "" {
			out = append(out, key+"="+value)
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
	for _, k := range slices.SortedFunc(maps.Keys(id.Labels), cmp.Compare[string]) {
		add(labelPrefix+k, id.Labels[k])
	}
	return out
}

// Decode reads what Encode wrote; a plain name is a DNS name. nil: there is no name.
func Decode(names []string) *dissect.Identity {
	if len(names) == 0 || names[0] == "" {
		return nil
	}
	id := &dissect.Identity{}
	pairs := false
	for _, n := range names[1:] {
		k, v, ok := strings.Cut(n, "=")
		if !ok {
			continue
		}
		pairs = true
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
				if id.Labels == nil {
					id.Labels = map[string]string{}
				}
				id.Labels[l] = v
			}
		}
	}
	if !pairs {
		id.DNS = names[0]
	}
	return id
}
