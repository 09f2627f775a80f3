package view

import (
	"strings"
	"time"
)

// why finds the reason for an empty map: the first that holds, the nearest cause first.
func (m *ServiceMap) why() reason {
	window := m.bar.scope.Window.Text(m.host.Clock.Location)
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
	oldest, newest := report.Oldest, report.Newest
	for _, n := range nodes.Nodes {
		newest = max(newest, n.Newest)
		if n.Oldest != 0 && (oldest == 0 || n.Oldest < oldest) {
			oldest = n.Oldest
		}
	}
	clock := func(ns int64) string {
		return time.Unix(0, ns).In(m.host.Clock.Location).Format("2006-01-02 15:04:05")
	}
	since, until := m.bar.bounds()
	switch {
	case nodes.Asked && oldest == 0:
		return reason{what: "No packet is kept yet.", do: []string{":doctor  to see why", ":nodes  to see each node"}}
	case until != 0 && oldest != 0 && until <= oldest:
		return reason{what: "This window is older than the oldest packet kept.", why: []string{"Oldest packet: " + clock(oldest) + onNode(report.OldestNode)},
			do: []string{"w  for another window", "esc  for the one before"}}
	case newest != 0 && newest < since:
		return reason{what: "No packet came in within this window.", why: []string{"Newest packet: " + clock(newest)},
			do: []string{"w  for an older window, or: all", ":nodes  to see whether the capture goes on"}}
	case m.bar.query() != "":
		return reason{what: "Nobody spoke with anybody in a way that the filter matches.", why: []string{m.bar.query(), window},
			do: []string{"/  to change the filter", "w  for another window", "esc  to see all"}}
	}
	return reason{what: "Nobody spoke with anybody in this window.", why: []string{window}, do: []string{"w  for another window"}}
}
