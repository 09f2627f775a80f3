package command

import (
	"context"
	"fmt"
	"math"
	"sort"
	"strings"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/worker/query"
)

// retell says on standard error what the asker must know about an answer, and turns a missing
// node into errPartial. shown is how many were printed, of what ("calls").
func (e *Env) retell(a *asked, r *query.Report, shown int, what string) error {
	if r == nil {
		return nil
	}
	e.sayMissing(r)
	for i := range r.Nodes {
		n := &r.Nodes[i]
		if n.Missing != "" {
			continue
		}
		for _, note := range n.Notes {
			if n.Node == "" {
				e.say("%s", note)
			} else {
				e.say("%s: %s", n.Node, note)
			}
		}
	}
	e.sayCount(r, "packets lost in this window", func(n *query.NodeReport) uint64 { return n.Dropped })
	e.sayCount(r, "packets not seen because this reader is too slow", func(n *query.NodeReport) uint64 { return n.Lagged })
	if !a.Follow {
		e.sayWindow(a, r, shown, what)
	}
	if r.Partial() || a.partial || e.told.any() {
		return errPartial
	}
	return nil
}

// sayMissing names the nodes that did not answer, each once.
func (e *Env) sayMissing(r *query.Report) {
	for i := range r.Nodes {
		n := &r.Nodes[i]
		line := n.Absence()
		if e.File {
			line = nodeName(n) + ": " + n.Missing
		}
		if n.Missing != "" && e.told.first(n.Node, line) {
			e.say("%s", line)
		}
	}
}

// notice names a node that goes missing while a query follows, says when it is back, and what else
// is missing from now on: the query's own report comes when it ends, which may be never.
func (e *Env) notice(n query.NodeReport) {
	for _, note := range n.Notes {
		e.say("%s", note)
	}
	switch {
	case n.Missing != "":
		e.sayMissing(&query.Report{Nodes: []query.NodeReport{n}})
	case e.told.back(n.Node):
		e.say("%s answers again", n.Node)
	}
}

// nodeName is how a line speaks of a node.
func nodeName(n *query.NodeReport) string {
	if n.Node == "" {
		return "the file"
	}
	return n.Node
}

// sayCount prints a sum over all nodes, and each node's part of it.
func (e *Env) sayCount(r *query.Report, what string, of func(*query.NodeReport) uint64) {
	var sum uint64
	var parts []string
	for i := range r.Nodes {
		n := &r.Nodes[i]
		if v := of(n); v > 0 {
			sum += v
			if n.Node != "" {
				parts = append(parts, fmt.Sprintf("%s %d", n.Node, v))
			}
		}
	}
	switch {
	case sum == 0:
	case len(parts) == 0:
		e.say("%s: %d", what, sum)
	case len(parts) == 1 && len(r.Nodes) >= 1:
		e.say("%s: %d (%s)", what, sum, strings.TrimSuffix(parts[0], fmt.Sprintf(" %d", sum)))
	default:
		sort.Strings(parts)
		e.say("%s: %d (%s)", what, sum, strings.Join(parts, ", "))
	}
}

// sayWindow says when the answer is less than what was asked for.
func (e *Env) sayWindow(a *asked, r *query.Report, shown int, what string) {
	var matched uint64
	var oldest, newest int64
	answered, more, most := 0, false, false
	for i := range r.Nodes {
		n := &r.Nodes[i]
		if n.Missing != "" {
			continue
		}
		answered++
		matched += n.Matched
		more, most = more || n.More, most || n.Most
		if n.Oldest != 0 && (oldest == 0 || n.Oldest < oldest) {
			oldest = n.Oldest
		}
		newest = max(newest, n.Newest)
	}
	about := ""
	switch {
	case more && most:
		about = "about "
	case more:
		about = "at least "
	case most:
		about = "at most "
	}
	bounded := a.Last + a.First
	if e.File && e.sayFile(a, r, shown, what) {
		return
	}
	switch {
	case answered == 0:
		return
	case shown == 0:
		e.sayNothing(a, oldest, newest, what)
	case a.defaulted && (matched > uint64(shown) || more):
		e.say("the newest %d of %s%d %s; for more: --last N or --all", shown, about, matched, what)
	case bounded > 0 && !a.defaulted && shown < bounded && !e.File && !a.everyone:
		e.say("%d of the %d %s that were asked for are in the window; to look further back: --since", shown, bounded, what)
	}
	if e.File || a.everyone || !a.explicit || a.Last > 0 && shown == a.Last {
		return
	}
	for i := range r.Nodes {
		// Packets need not come every second: what is kept since shortly after is enough.
		if n := &r.Nodes[i]; n.Oldest > a.Since+int64(time.Second) {
			e.say("oldest packet kept: %s %s", nodeName(n), rfc3339(n.Oldest))
		}
	}
}

// sayFile says which time a file has packets of where the window reaches beyond it; missed is
// true if all of the window does, which is why nothing was printed. A second does not count:
// packets need not come every second.
func (e *Env) sayFile(a *asked, r *query.Report, shown int, what string) (missed bool) {
	oldest, newest, parts := int64(math.MaxInt64), int64(0), 0
	for i := range r.Nodes { // also of a file that is damaged further on
		if n := &r.Nodes[i]; n.Oldest != 0 {
			oldest, newest = min(oldest, n.Oldest), max(newest, n.Newest)
			parts++
		}
	}
	if parts == 0 {
		return false
	}
	it := "the file has"
	switch {
	case e.kept:
		it = "the snapshot has"
	case parts > 1:
		it = "the files have"
	}
	const slack = int64(time.Second)
	early := a.Since > 0 && a.Since < oldest-slack
	late := a.Until > newest+slack
	has := "from " + rfc3339(oldest) + " to " + rfc3339(newest)
	if a.stopped || a.First > 0 { // it may not have been read to its end
		late, has = false, "from "+rfc3339(oldest)+" on"
	}
	switch {
	case shown == 0 && a.Until != 0 && a.Until <= oldest:
		e.say("no %s: the window ends at %s, and %s packets only %s", what, rfc3339(a.Until), it, has)
	case shown == 0 && a.Since > newest:
		e.say("no %s: the window begins at %s, and %s packets only %s", what, rfc3339(a.Since), it, has)
	case early || late:
		e.say("of the window that was asked for, %s packets only %s", it, has)
		return false
	default:
		return false
	}
	return true
}

// sayNothing says why nothing was printed.
func (e *Env) sayNothing(a *asked, oldest, newest int64, what string) {
	switch {
	case oldest == 0 && e.File:
		e.say("no %s: the file holds no packets", what)
	case oldest == 0:
		e.say("no %s: no packet is kept yet", what)
	case a.Until != 0 && a.Until <= oldest:
		e.say("no %s: the window ends at %s, before the oldest packet kept, %s", what, rfc3339(a.Until), rfc3339(oldest))
	case a.Since > newest:
		e.say("no %s since %s; the newest packet is of %s", what, rfc3339(a.Since), rfc3339(newest))
	case a.Filter == "":
		e.say("no %s in the window; packets are kept from %s to %s", what, rfc3339(oldest), rfc3339(newest))
	default:
		if n, ok := e.unfiltered(a, what); ok && n == 0 {
			e.say("no %s in the window, with or without the filter; packets are kept from %s to %s", what, rfc3339(oldest), rfc3339(newest))
		} else if ok {
			e.say("none of the %d %s in the window match the filter", n, what)
		} else {
			e.say("no %s in the window match the filter", what)
		}
	}
}

// countTime bounds the second look that tells an empty window from a filter that fits nothing.
const countTime = 2 * time.Second

// unfiltered counts what is in the window without the filter.
func (e *Env) unfiltered(a *asked, what string) (n uint64, ok bool) {
	ctx, cancel := context.WithTimeout(e.ctx, countTime)
	defer cancel()
	req := query.Request{Since: a.Since, Until: a.Until, Vantage: a.Vantage, Stream: a.Stream}
	var err error
	switch what {
	case "calls":
		_, err = e.Source.Calls(ctx, &req, func(*dissect.Call) error { n++; return nil })
	case "flows":
		_, err = e.Source.Flows(ctx, &req, func(*dissect.Flow) error { n++; return nil })
	default:
		return 0, false
	}
	return n, err == nil
}
