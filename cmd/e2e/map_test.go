package main_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// mapped is what the tests look at of an edge of the map.
type mapped struct {
	Src, Dst mappedNode
	Calls    int
	Errors   int
}

type mappedNode struct{ Name, Namespace, Kind string }

// String is how the tests name a node: the names of clients outside are theirs.
func (n mappedNode) String() string {
	if n.Namespace != "" && n.Kind != "Namespace" {
		return n.Namespace + "/" + n.Name
	}
	return n.Name
}

// tally is what is known of an edge.
type tally struct{ calls, errors int }

// boxed is the name of the node that an end belongs to: the best name for the grouping, as the
// documents have it, and what is known besides where it has none.
func boxed(by string, e endpoint) string {
	named := func(name string) string {
		if name == "" {
			return ""
		}
		return e.Namespace + "/" + name
	}
	var names []string
	switch by {
	case "workload":
		names = []string{named(e.Workload), named(e.Service.Name), named(e.Pod.Name), e.Node}
	case "service":
		names = []string{named(e.Service.Name), named(e.Workload), named(e.Pod.Name), e.Node}
	case "pod":
		names = []string{named(e.Pod.Name), named(e.Service.Name), named(e.Workload), e.Node}
	case "namespace":
		names = []string{e.Namespace, e.Node}
	case "node":
		names = []string{e.Node}
	}
	return cmp.Or(append(names, e.DNS, e.IP)...)
}

// known are the edges of the trades that keep names, as the clients counted them.
func (s *suite) known(by string, keep func(r *trade, src, dst endpoint) bool) map[[2]string]tally {
	all := map[[2]string]tally{}
	for _, r := range s.trades() {
		src, dst := s.ends(&r)
		if !keep(&r, src, dst) {
			continue
		}
		if r.from == "" { // the client outside may have a name, or none
			src = endpoint{IP: anything}
		}
		edge := [2]string{boxed(by, src), boxed(by, dst)}
		t := all[edge]
		t.calls += each
		if r.name == "failing" {
			t.errors += each
		}
		all[edge] = t
	}
	return all
}

// onMap are the edges of the map.
func (s *suite) onMap(t *testing.T, by, filter string) map[[2]string]tally {
	t.Helper()
	all := map[[2]string]tally{}
	for _, e := range objects[mapped](t, s.console.ask(t, "map", "-o", "json", "--since", "1h", "--by", by, quote(filter))) {
		src := e.Src.String()
		if slices.Contains([]string{"DNS", "Address", "Outside"}, e.Src.Kind) {
			src = anything
		}
		edge := [2]string{src, e.Dst.String()}
		sum := all[edge]
		sum.calls += e.Calls
		sum.errors += e.Errors
		all[edge] = sum
	}
	return all
}

// miscountedEdges compares two maps.
func miscountedEdges(got, want map[[2]string]tally) (faults []string) {
	for _, e := range slices.SortedFunc(maps.Keys(want), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		if got[e] != want[e] {
			faults = append(faults, fmt.Sprintf("%s to %s: %d calls, %d errors, not %d and %d", e[0], e[1], got[e].calls, got[e].errors, want[e].calls, want[e].errors))
		}
	}
	for e, n := range got {
		if _, ok := want[e]; !ok {
			faults = append(faults, fmt.Sprintf("%s to %s: %d calls that nobody made", e[0], e[1], n.calls))
		}
	}
	return faults
}

// testMap: each edge of the map has the calls that the trades made, however nodes are made and
// whatever of it is asked for.
func (s *suite) testMap(t *testing.T) {
	var names []string
	for _, r := range s.trades() {
		names = append(names, r.name)
	}
	of := func(names []string) string {
		return fmt.Sprintf("http && path.matches(%q)", "^/call/("+strings.Join(names, "|")+")/")
	}
	// A filter judges each sighting by itself, and behind a NodePort the client may be a node.
	masked := func(name string) bool { return strings.HasPrefix(name, "nodeport") }
	direct := slices.DeleteFunc(slices.Clone(names), masked)
	near := s.who("near", "")
	all := func(*trade, endpoint, endpoint) bool { return true }
	type question struct {
		name, by, filter string
		keep             func(r *trade, src, dst endpoint) bool
	}
	var questions []question
	for _, by := range []string{"workload", "service", "pod", "namespace", "node"} {
		questions = append(questions, question{"by " + by, by, "", all})
	}
	questions = append(questions,
		question{"of a pod", "workload", fmt.Sprintf("src.pod.name == %q", near.Pod.Name), func(_ *trade, src, _ endpoint) bool { return src.Pod.Name == near.Pod.Name }},
		question{"to a pod, by pod", "pod", fmt.Sprintf("dst.pod.name == %q", s.pod("plain").Metadata.Name), func(r *trade, _, _ endpoint) bool { return r.to == "plain" }},
		question{"of a namespace", "workload", fmt.Sprintf("src.namespace == %q", bankSpace), func(_ *trade, src, _ endpoint) bool { return src.Namespace == bankSpace }},
		question{"between namespaces", "namespace", fmt.Sprintf("src.namespace == %q && dst.namespace == %q", shopSpace, bankSpace),
			func(_ *trade, src, dst endpoint) bool {
				return src.Namespace == shopSpace && dst.Namespace == bankSpace
			}},
		question{"failed", "workload", "error", func(r *trade, _, _ endpoint) bool { return r.name == "failing" }},
	)
	for _, n := range s.nodes {
		questions = append(questions,
			question{"of node " + n.name, "workload", fmt.Sprintf("src.node == %q", n.name), func(_ *trade, src, _ endpoint) bool { return src.Node == n.name }},
			question{"to node " + n.name, "node", fmt.Sprintf("dst.node == %q", n.name), func(_ *trade, _, dst endpoint) bool { return dst.Node == n.name }})
	}
	for _, q := range questions {
		t.Run(q.name, func(t *testing.T) {
			filter, keep := of(names), q.keep
			if strings.Contains(q.filter, ".node ==") {
				filter = of(direct)
				keep = func(r *trade, src, dst endpoint) bool { return !masked(r.name) && q.keep(r, src, dst) }
			}
			if q.filter != "" {
				filter += " && " + q.filter
			}
			want := s.known(q.by, keep)
			var faults []string
			// Names may come a little later than packets.
			soon(t, 20*time.Second, func() bool {
				faults = miscountedEdges(s.onMap(t, q.by, filter), want)
				return len(faults) == 0
			})
			if len(want) == 0 {
				t.Error("nothing is known of this")
			}
			if len(faults) > 0 {
				t.Error(brief(faults))
			}
		})
	}
}
