package doctor

import "strings"

// Selection names nodes and pods; the zero value is all.
type Selection struct {
	Nodes      []string
	Namespaces []string
	Pods       []string // [NAMESPACE/]PREFIX of a name
}

// Select keeps what is found of a selection: of pods that are named also what is wrong with
// their nodes, and in any case what is wrong with the cluster. pods is how many pods were found
// by their names or namespaces.
func (s *Selection) Select(found []Finding) (kept []Finding, pods int) {
	byPod := len(s.Namespaces) > 0 || len(s.Pods) > 0
	nodes := map[string]bool{}
	for i := range found {
		if f := &found[i]; byPod && f.Pod != "" && s.names(f) {
			nodes[f.Node] = true
			pods++
		}
	}
	for i := range found {
		f := found[i]
		switch {
		case f.Node == "":
			if byPod && f.Severity == OK {
				continue
			}
		case !anyOf(s.Nodes, func(n string) bool { return n == f.Node }):
			continue
		case byPod && f.Pod != "":
			if !s.names(&f) {
				continue
			}
			f.Detail = false // it was asked for
		case byPod && (!nodes[f.Node] || f.Severity == OK):
			continue
		}
		kept = append(kept, f)
	}
	return kept, pods
}

// names says whether the pod of a finding is named.
func (s *Selection) names(f *Finding) bool {
	return anyOf(s.Nodes, func(n string) bool { return n == f.Node }) &&
		anyOf(s.Namespaces, func(n string) bool { return n == f.Namespace }) &&
		anyOf(s.Pods, func(p string) bool {
			namespace, prefix, ok := strings.Cut(p, "/")
			if !ok {
				return strings.HasPrefix(f.Pod, p)
			}
			return namespace == f.Namespace && strings.HasPrefix(f.Pod, prefix)
		})
}

// anyOf says whether one of a list fits, or nothing is listed.
func anyOf(list []string, fits func(string) bool) bool {
	for _, s := range list {
		if fits(s) {
			return true
		}
	}
	return len(list) == 0
}
