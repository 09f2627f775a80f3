package servicemap

import (
	"fmt"
	"strings"

	"github.com/sshark/sshark/dissect"
)

// Filter is the filter for what has node i of the map on a side, "src" or "dst". It is just what
// was counted there, as far as the filter's words can tell: not kinds of workloads, and of a pod
// or a DNS name also what was counted under a better name.
func (m *Map) Filter(i int, side string) string {
	n := &m.Nodes[i]
	is := func(key, value string) string { return side + "." + key + " == " + dissect.Quote(value) }
	switch n.Kind {
	case kindOutside:
		// All that is not of the cluster, but for the names that are nodes of their own.
		parts := []string{is("namespace", ""), is("node", ""), is("workload", ""), is("service.name", ""), is("pod.name", "")}
		for j := range m.Nodes {
			if o := &m.Nodes[j]; o.Kind == kindDNS {
				parts = append(parts, "!("+o.dns(side)+")")
			}
		}
		return strings.Join(parts, " && ")
	case kindAddress:
		return is("ip", n.Name)
	}
	switch n.Kind {
	case kindNamespace:
		return is("namespace", n.Name)
	case kindDNS:
		return n.dns(side)
	}
	parts := []string{is(field(n.Key()), n.Name)}
	if n.Namespace != "" {
		parts = append(parts, is("namespace", n.Namespace))
	}
	// It is this because it has no better name.
	for _, better := range m.By.keys() {
		if better == n.Key() || n.Kind == kindPod {
			break
		}
		parts = append(parts, is(field(better), ""))
	}
	return strings.Join(parts, " && ")
}

// keys are the keys of By.candidates, in their order.
func (b By) keys() []string {
	switch b {
	case Service:
		return []string{"service", "workload", "pod", "node", "dns"}
	case Pod:
		return []string{"pod", "service", "workload", "node", "dns"}
	case Namespace:
		return []string{"namespace", "node", "dns"}
	case ClusterNode:
		return []string{"node", "service", "dns"}
	}
	return []string{"workload", "service", "pod", "node", "dns"}
}

// field is the filter's name of a key.
func field(key string) string {
	switch key {
	case "pod", "service":
		return key + ".name"
	}
	return key
}

// dns is the filter of a DNS name, or of the names of a domain.
func (n *Node) dns(side string) string {
	domain, of := strings.CutPrefix(n.Name, "*.")
	if !of || n.Members == 0 {
		return side + ".dns == " + dissect.Quote(n.Name)
	}
	return fmt.Sprintf("(%s.dns == %s || %s.dns.endsWith(%s))", side, dissect.Quote(domain), side, dissect.Quote("."+domain))
}
