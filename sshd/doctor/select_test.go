package doctor

import (
	"fmt"
	"slices"
	"testing"
)

func TestSelect(t *testing.T) {
	f := facts()
	f.Nodes[0].Stats.Dropped = 1200
	f.Nodes[1].Pods[2].Problem = "no"
	found := Examine(f)
	for _, tt := range []struct {
		name string
		s    Selection
		want []string // node pod check
		pods int
	}{
		{"a node", Selection{Nodes: []string{"b"}},
			[]string{"  cluster", "b web-1 pod", "b  pod", "b  capture", "b kube-proxy-x pod", "b cart-0 pod"}, 0},
		{"a pod, and what is wrong with its node", Selection{Pods: []string{"shop/cart"}}, []string{"a  ring", "a cart-0 pod", "b cart-0 pod"}, 2},
		{"on one node", Selection{Pods: []string{"web"}, Nodes: []string{"b"}}, []string{"b web-1 pod"}, 1},
		{"a namespace", Selection{Namespaces: []string{"kube-system"}}, []string{"a  ring", "a kube-proxy-x pod", "b kube-proxy-x pod"}, 2},
		{"another namespace's pod", Selection{Pods: []string{"kube-system/cart"}}, nil, 0},
		{"nobody", Selection{Pods: []string{"nobody"}}, nil, 0},
	} {
		kept, pods := tt.s.Select(found)
		var got []string
		for _, f := range kept {
			got = append(got, fmt.Sprintf("%s %s %s", f.Node, f.Pod, f.Check))
		}
		if !slices.Equal(got, tt.want) || pods != tt.pods {
			t.Errorf("%s: %q, %d pods, want %q, %d", tt.name, got, pods, tt.want, tt.pods)
		}
	}
	if kept, _ := (&Selection{}).Select(found); len(kept) != len(found) {
		t.Errorf("without a selection %d of %d are kept", len(kept), len(found))
	}
}
