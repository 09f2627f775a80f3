package view

import (
	"context"
	"errors"
	"strings"

	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/style"
)

// reason is why there is nothing to see, and what to do about it.
type reason struct {
	what  string
	why   []string
	do    []string
	error bool
}

// why finds the reason for an empty list: the first that holds, the nearest cause first.
func (m *Calls) why() reason {
	a := m.history
	if a == nil {
		return reason{what: "Reading what is kept …", why: []string{m.bar.scope.Window.Text(m.host.Clock)}}
	}
	for _, a := range []*answer{m.history, m.live} {
		if a != nil && a.err != nil && !errors.Is(a.err, context.Canceled) {
			return reason{what: "The question failed.", why: strings.Split(a.err.Error(), "\n"),
				do: []string{"/  to change the filter", ":nodes  to see how the nodes are"}, error: true}
		}
	}
	nodes := m.nodes
	if nodes.Asked && nodes.Err != nil {
		return reason{what: "The nodes cannot be asked.", why: []string{nodes.Err.Error()}, do: []string{":nodes  to see more"}, error: true}
	}
	if nodes.Asked && len(nodes.Nodes) == 0 {
		return reason{what: "There is no node.", why: []string{"No worker has reported to this console."},
			do: []string{"Look whether a worker runs on each node."}, error: true}
	}
	if miss := a.report.Missing; len(miss) > 0 && len(miss) >= len(nodes.Nodes) {
		r := reason{what: "No node answered.", do: []string{":nodes  to see how they are"}, error: true}
		for _, x := range miss[:min(3, len(miss))] {
			r.why = append(r.why, x.Node+": "+x.Why)
		}
		return r
	}
	oldest, _ := span(&a.report, nodes)
	reading, pods, problems := false, 0, []PodProblem(nil)
	rate := 0.0
	for _, n := range nodes.Nodes {
		reading = reading || n.State == "reading"
		pods += n.Pods
		problems = append(problems, n.Problems...)
		rate += n.PacketRate
	}
	if nodes.Asked && oldest == 0 && pods == 0 && !reading {
		r := reason{what: "No pod is captured.", why: []string{"Nothing runs in a network namespace that the " + count(len(nodes.Nodes), "node") + " may capture."},
			do: []string{":nodes  to see each node", "Start a pod, or a named network namespace: ip netns add demo"}}
		return r
	}
	if nodes.Asked && oldest == 0 {
		r := reason{what: "No packet is kept yet.", why: []string{count(pods, "pod") + " captured, no packet seen."}, do: []string{":nodes  to see each node"}}
		for _, p := range problems[:min(3, len(problems))] {
			r.why = append(r.why, p.Pod+": "+p.Problem)
		}
		return r
	}
	if r, ok := m.bar.missed(&a.report, nodes); ok {
		return r
	}
	if m.bar.query() != "" {
		r := reason{what: "The filter matches none of the calls.", do: []string{"/  to change the filter", "w  for another window", "esc  to see all calls"}}
		switch {
		case m.probe.done && m.probe.err == nil && m.probe.report.Matched == 0:
			r.what = "There is no call in this window, with or without the filter."
		case m.probe.done && m.probe.err == nil:
			r.what = "The filter matches none of " + m.probe.report.matched("call") + "."
		}
		r.why = append(r.why, m.bar.query(), m.bar.scope.Window.Text(m.host.Clock))
		return r
	}
	r := reason{what: "There is no call in this window.", why: []string{m.bar.scope.Window.Text(m.host.Clock)},
		do: []string{"w  for another window"}}
	if rate > 0 {
		r.why = append(r.why, component.Number(rate)+" packets come in each second, but no protocol claims them: they are kept as flows.")
	}
	return r
}

// span is from when to when packets are kept, as an answer and the nodes tell; 0 is not known.
func span(r *Report, nodes NodesMsg) (oldest, newest int64) {
	oldest, newest = r.Oldest, r.Newest
	for _, n := range nodes.Nodes {
		newest = max(newest, n.Newest)
		if n.Oldest != 0 && (oldest == 0 || n.Oldest < oldest) {
			oldest = n.Oldest
		}
	}
	return oldest, newest
}

// nothingKept is the reason for an empty answer where there is nothing to answer from.
func nothingKept() reason {
	return reason{what: "No packet is kept yet.", do: []string{":doctor  to see why", ":nodes  to see each node"}}
}

// missed is the reason for an empty answer where no packet is kept of any part of the window.
func (b *bar) missed(r *Report, nodes NodesMsg) (why reason, ok bool) {
	oldest, newest := span(r, nodes)
	since, until := b.bounds()
	before, behind := until != 0 && until <= oldest, newest != 0 && newest < since
	switch {
	case !before && !behind:
		return reason{}, false
	case b.host.Home.All(): // a file, or a snapshot
		return reason{what: "There is no packet of this window.",
			why: []string{"Window: " + b.scope.Window.Text(b.host.Clock), "Packets: from " + b.moment(oldest) + " to " + b.moment(newest)},
			do:  []string{"0  for all of it", "w  for another window", "esc  for the one before"}}, true
	case before:
		return reason{what: "This window is older than the oldest packet kept.",
			why: []string{"Window: until " + b.moment(until), "Oldest packet: " + b.moment(oldest) + onNode(r.OldestNode)},
			do:  []string{"w  for another window", "esc  for the one before"}}, true
	}
	return reason{what: "No packet came in within this window.",
		why: []string{"Newest packet: " + b.moment(newest)},
		do:  []string{"w  for an older window, or: all", ":nodes  to see whether the capture goes on"}}, true
}

func onNode(n string) string {
	if n == "" {
		return ""
	}
	return " on " + n
}

// view draws the reason in the middle of w times h cells.
func (why *reason) view(st *style.Styles, w, h int) []string {
	lines := make([]string, 0, h)
	put := func(s string, look func(...string) string) {
		for _, part := range component.Wrap(style.Clean(s), min(w-4, 100)) {
			left := max(0, (w-part.Width())/2)
			lines = append(lines, style.Blank(left)+look(part.Cut(w))+style.Blank(w-left-min(w, part.Width())))
		}
	}
	for range max(0, (h-len(why.why)-len(why.do)-4)/2) {
		lines = append(lines, style.Blank(w))
	}
	if why.error {
		put(why.what, st.Error.Render)
	} else {
		put(why.what, st.Strong.Render)
	}
	for _, s := range why.why {
		put(s, st.Dim.Render)
	}
	if len(why.do) > 0 {
		lines = append(lines, style.Blank(w))
	}
	for _, s := range why.do {
		put(s, st.Accent.Render)
	}
	for len(lines) < h {
		lines = append(lines, style.Blank(w))
	}
	return lines[:h]
}
