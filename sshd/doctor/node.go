package doctor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sshark/sshark/worker/query"
)

// node looks at one node: its worker, what it loses, what it keeps, its pods.
func (e *examination) node(n *query.Node) {
	if n.State == "gone" {
		e.gone(n)
		return
	}
	if n.State == "degraded" || n.Problem != "" {
		e.add(Finding{Severity: Error, Check: "worker", Node: n.Name, What: problemOf(n), Do: mend(n.Problem)})
	}
	e.clock(n)
	e.losses(n)
	e.store(n)
	e.pods(n)
	e.versions(n)
	e.summary(n)
}

func problemOf(n *query.Node) string {
	if n.Problem != "" {
		return n.Problem
	}
	return "the worker is " + n.State + " and does not say why"
}

// mend guesses from the text of a worker's problem what may be done.
func mend(problem string) string {
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(problem, w) })
	}
	switch {
	case has("no space", "quota exceeded", "disk full", "free space"):
		return "make room on the disk of the store, or give it less with --store-mb: it never takes the last of the disk"
	case has("read-only", "input/output error"):
		return "the disk of the store is at fault: see the kernel's log, or put the store elsewhere with --store"
	case has("permission", "not permitted", "CAP_"):
		return "give the worker what it needs: hostPID, and the capabilities BPF, NET_ADMIN, NET_RAW, PERFMON, SYS_ADMIN and SYS_PTRACE"
	case has("slots", "too many interfaces"):
		return "more interfaces are there than can be captured at once: leave out pods with --exclude-namespaces or --labels"
	case has("too many open files"):
		return "raise the limit of open files (ulimit -n) of the worker"
	}
	return "it is tried again by itself; if it stays, the worker's log says more"
}

// clock compares the node's with the asker's, as far as an answer can tell.
func (e *examination) clock(n *query.Node) {
	if n.Time == 0 || e.Asked.IsZero() || e.Answered.IsZero() {
		return
	}
	at := time.Unix(0, n.Time)
	skew, way := time.Duration(0), ""
	switch {
	case at.Before(e.Asked.Add(-maxSkew)):
		skew, way = e.Asked.Sub(at), "behind"
	case at.After(e.Answered.Add(maxSkew)):
		skew, way = at.Sub(e.Answered), "ahead of"
	default:
		return
	}
	e.add(Finding{Severity: Warning, Check: "clock", Node: n.Name, What: fmt.Sprintf("the clock is %v %s this console's", skew.Round(100*time.Millisecond), way),
		Do: "let NTP set it: --since and --until mean another time there, and calls between nodes are told out of order"})
}

// losses tells packets that were lost, by where.
func (e *examination) losses(n *query.Node) {
	wanted := n.Stats.Stored + n.Stats.Dropped
	for _, l := range []struct {
		check    string
		lost     uint64
		what, do string
	}{
		{"ring", n.Stats.Dropped, "in the ring between kernel and worker: the worker was too slow",
			"give the worker a larger ring (--ring-mb) or more CPU, or keep less of each packet (--snap) or fewer pods (--namespaces, --labels)"},
		{"queue", n.QueueDrops, "before the disk: it was too slow",
			"put the store on a faster disk (--store), or keep less of each packet (--snap)"},
		{"disk", n.DiskDrops, "at the disk: it did not take them",
			"is the disk full, or failing? The problem above, or the worker's log, says more"},
	} {
		if l.lost == 0 {
			continue
		}
		f := Finding{Severity: Warning, Check: l.check, Node: n.Name, Do: l.do}
		share := float64(l.lost) / float64(max(wanted, l.lost))
		f.What = fmt.Sprintf("%s (%s) lost since the worker's start %s", count(l.lost, "packet"), percent(share), l.what)
		if n.DropRate > 0 {
			f.What += "; " + count(uint64(max(1, n.DropRate)), "packet") + " a second now"
		}
		if n.DropRate > 0 || share >= badLoss {
			f.Severity = Error
		}
		e.add(f)
	}
}

// percent is a share with two digits that count, and never "0 %" of something.
func percent(share float64) string {
	if p := share * 100; p >= 0.01 {
		return strconv.FormatFloat(p, 'g', 2, 64) + " %"
	}
	return "less than 0.01 %"
}

// store looks at how far back the node remembers.
func (e *examination) store(n *query.Node) {
	span := time.Duration(n.Newest - n.Oldest)
	switch {
	case n.Newest == 0 && n.Stats.Stored > 0:
		e.add(Finding{Severity: Error, Check: "store", Node: n.Name, What: "packets are captured, and none is kept",
			Do: "is the disk of the store full? The worker's log says more"})
	case n.Newest == 0:
		e.add(Finding{Severity: Warning, Check: "traffic", Node: n.Name, What: "no packet was seen since the worker's start",
			Do: "does any of its pods speak? A node's own network is rarely so quiet: if pods are captured here, tell what the worker's log says"})
	case n.Time-n.Newest > int64(quiet):
		e.add(Finding{Severity: Warning, Check: "traffic", Node: n.Name, What: fmt.Sprintf("no packet came for %v", ago(time.Duration(n.Time-n.Newest))),
			Do: "does any of its pods speak? If they do, the worker's log says why they are not captured"})
	}
	if n.Newest != 0 && n.StoreLimit > 0 && float64(n.StoreUsed) >= fullShare*float64(n.StoreLimit) && span < shortest {
		e.add(Finding{Severity: Warning, Check: "store", Node: n.Name, What: fmt.Sprintf("the store is full and reaches back %v only", ago(span)),
			Do: "give it more (--store-mb), or keep less of each packet (--snap) or fewer pods (--namespaces, --labels)"})
	}
}

// versions compares the worker's with the asker's.
func (e *examination) versions(n *query.Node) {
	if e.Version != "" && n.Version != "" && n.Version != e.Version {
		e.add(Finding{Severity: Warning, Check: "version", Node: n.Name, What: fmt.Sprintf("the worker is version %s, this console %s", n.Version, e.Version),
			Do: "finish the upgrade: until then answers may lack what only the newer one knows"})
	}
}

// summary says in one line what is well.
func (e *examination) summary(n *query.Node) {
	pods, interfaces, own := 0, 0, ""
	for i := range n.Pods {
		p := &n.Pods[i]
		interfaces += len(p.Interfaces)
		switch {
		case len(p.Interfaces) == 0:
		case p.Own():
			own = " and the node's own network"
		default:
			pods++
		}
	}
	f := Finding{Check: "capture", Node: n.Name, What: fmt.Sprintf("%s%s captured on %s, %.0f packets a second", count(pods, "pod"), own, count(interfaces, "interface"), n.PacketRate)}
	if n.Oldest != 0 {
		f.What += fmt.Sprintf(", kept for %v", ago(time.Duration(max(0, n.Time-n.Oldest))))
	}
	if n.Kernel != "" {
		f.What += ", Linux " + n.Kernel
	}
	e.add(f)
}

// ago is a duration with the two units that count.
func ago(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// count is a number of things.
func count[N int | uint64](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// podsAre is a number of pods and the verb that fits, 0: any.
func podsAre(pods int) string {
	switch pods {
	case 0:
		return "pods are"
	case 1:
		return "1 pod is"
	}
	return fmt.Sprintf("%d pods are", pods)
}
