// Package doctor says why there is no traffic: what of each node and pod is captured, what is
// not, and what to do about it.
//
// Examine is a pure function over what the nodes say of themselves and what the cluster says
// should be there. It asks nobody, knows no clock, and holds nothing; an Asker asks for what it
// is told. What it returns is text
// for persons, in which names come from the cluster: print it with command.AppendPrintable.
package doctor

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/sshark/sshark/worker/query"
)

// Severity is how bad a finding is.
type Severity uint8

// From the mildest on.
const (
	OK Severity = iota
	Warning
	Error
)

func (s Severity) String() string {
	return [...]string{"ok", "warning", "error"}[min(s, Error)]
}

// Finding is one thing that was found.
type Finding struct {
	Severity  Severity
	Check     string // what was looked at, a short name for scripts: "clock", "ring"
	Node      string // "": it is the cluster's
	Namespace string // of the pod
	Pod       string // "": it is the node's
	What      string // a sentence without a full stop
	Do        string // what to do about it, "" if nothing
	// Detail: nothing is wrong with this one pod. A summary of the node tells of it too.
	Detail bool
}

// Facts are what a finding comes from.
type Facts struct {
	// Nodes are as they say they are; those that did not answer have the state "gone".
	Nodes []query.Node
	// Asked and Answered are when the nodes were asked and when the last answer came, by the
	// clock of who asked.
	Asked, Answered time.Time
	Version         string   // of who asked, "": not known
	Cluster         *Cluster // nil: there is none
}

// Cluster is what Kubernetes says that there should be.
type Cluster struct {
	Problem string        // why it is not known or no longer up to date, "": it is
	Lag     time.Duration // how old that may be, 0: each change is told as it comes
	Nodes   []string      // where a worker should run
	Console string        // the console's own pod, NAMESPACE/NAME; "": it is in none
	Workers []Worker
	Pods    []Pod // that run now, and that the asker may see
}

// Worker is a worker's pod.
type Worker struct {
	Node    string
	Ready   bool
	Problem string // what Kubernetes says is wrong with it, "": nothing
}

// Pod is a pod that runs.
type Pod struct {
	Namespace, Name, UID, Node string
	HostNetwork                bool
	Since                      time.Time // when it began to run; the zero time: not known
}

// Limits of what is well.
const (
	maxLag    = 10 * time.Second
	maxSkew   = time.Second      // of clocks, besides the time that the answer took
	quiet     = 2 * time.Minute  // without any packet
	shortest  = 10 * time.Minute // that a full store should reach back
	fullShare = 0.9              // of its limit: from here on the store gives up old packets
	badLoss   = 0.01             // of all packets that were wanted
	newPod    = 10 * time.Second // a younger one may not be captured yet
)

// Examine finds what is wrong, and what is not: there is one finding at least of each node.
// They are ordered: the cluster's first, then node by node, the worst first.
func Examine(f Facts) []Finding {
	e := examination{Facts: f, running: map[string][]*Pod{}}
	if f.Cluster != nil {
		e.cluster(f.Cluster)
	}
	for i := range f.Nodes {
		e.node(&f.Nodes[i])
	}
	if len(f.Nodes) == 0 && (f.Cluster == nil || len(f.Cluster.Nodes) == 0 && len(f.Cluster.Workers) == 0) {
		e.add(Finding{Severity: Error, Check: "workers", What: "there are no workers, so nothing is captured",
			Do: "is the DaemonSet installed, and does the hub look in its namespace and for its labels (--namespace, --workers)?"})
	}
	if f.Cluster != nil {
		for i := range e.found {
			e.found[i].Do = inChart(e.found[i].Do)
		}
	}
	slices.SortStableFunc(e.found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Pod, b.Pod))
	})
	return e.found
}

// chart are the flags of a worker that follow from values of the chart.
var chart = strings.NewReplacer("--store-mb", "store.sizeMB", "--store", "store.path", "--ring-mb", "capture.ringMB", "--snap", "capture.snapLength",
	"--exclude-namespaces", "targets.excludeNamespaces", "--namespaces", "targets.namespaces", "--labels", "targets.labels")

// inChart speaks of the chart's values where there is a cluster: nobody sets a worker's flags
// there.
func inChart(do string) string {
	if text := chart.Replace(do); text != do {
		return text + " [values of the chart]"
	}
	return do
}

// examination gathers findings.
type examination struct {
	Facts
	running map[string][]*Pod // by node
	found   []Finding
}

func (e *examination) add(f Finding) { e.found = append(e.found, f) }
