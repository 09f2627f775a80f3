package view

import (
	"strings"
)

// why finds the reason for an empty map: the first that holds, the nearest cause first.
func (m *ServiceMap) why() reason {
	window := m.bar.scope.Window.Text(m.host.Clock)
	for _, a := range []*answer{m.state.flows, m.state.calls, m.state.live} {
		if why := a.failed(); why != "" {
			return reason{what: "The question failed.", why: strings.Split(why, "\n"),
				do: []string{"/  to change the filter", ":nodes  to see how the nodes are"}, error: true}
		}
	}
	if m.reading() {
		return reason{what: "Reading what is kept …", why: []string{window}}
	}
	nodes := m.nodes
	switch {
	case nodes.Asked && nodes.Err != nil:
		return reason{what: "The nodes cannot be asked.", why: []string{nodes.Err.Error()}, do: []string{":nodes  to see more"}, error: true}
	case nodes.Asked && len(nodes.Nodes) == 0:
		return reason{what: "There is no node.", why: []string{"No worker has reported to this console."},
			do: []string{"Look whether a worker runs on each node."}, error: true}
	}
	report := m.state.flows.report
	if n := len(report.Missing); n > 0 && n >= len(nodes.Nodes) {
		return reason{what: "No node answered.", why: []string{report.Missing[0].Node + ": " + report.Missing[0].Why},
			do: []string{":nodes  to see how they are"}, error: true}
	}
	if oldest, _ := span(&report, nodes); nodes.Asked && oldest == 0 {
		return nothingKept()
	}
	if r, ok := m.bar.missed(&report, nodes); ok {
		return r
	}
	if m.bar.query() != "" {
		return reason{what: "Nobody spoke with anybody in a way that the filter matches.", why: []string{m.bar.query(), window},
			do: []string{"/  to change the filter", "w  for another window", "esc  to see all"}}
	}
	return reason{what: "Nobody spoke with anybody in this window.", why: []string{window}, do: []string{"w  for another window"}}
}
