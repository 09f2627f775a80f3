package doctor

import (
	"fmt"
	"strings"

	"github.com/sshark/sshark/worker/query"
)

// toCapture is what to do about pods that are left out.
const toCapture = "to capture more: --namespaces, --exclude-namespaces and --labels of the worker"

// pods compares what the node captures with what runs on it.
func (e *examination) pods(n *query.Node) {
	known := map[string]bool{}                     // by UID, and by NAMESPACE/NAME
	captured, out, nameless, own := 0, 0, 0, false // own: the node's own network is captured
	for i := range n.Pods {
		p := &n.Pods[i]
		if p.Pod.UID != "" {
			known[p.Pod.UID] = true
		}
		known[p.Pod.Namespace+"/"+p.Pod.Name] = true
		f := Finding{Node: n.Name, Namespace: p.Pod.Namespace, Pod: p.Pod.Name, Check: "pod", Detail: true}
		unnamed := p.Pod.Name == "" && p.Pod.UID != ""
		if unnamed {
			f.Pod = p.Pod.UID
			nameless++
		}
		switch {
		case p.Problem != "":
			f.Severity, f.Detail = Error, false
			f.What = "not captured as it should be: " + p.Problem
			if p.Own() {
				f.What = "the node's own network is not captured as it should be: " + p.Problem
			}
			f.Do = mend(p.Problem)
		case p.Off && unnamed:
			f.Check, f.What = "name", "not captured yet: where targets are set, a pod is once the hub has told who it is"
		case p.Off && e.Cluster != nil && e.Cluster.Console == p.Pod.String():
			f.What = "left out: it is this console, and what it shows would be captured in turn"
		case p.Off:
			f.Check, f.What, f.Do = "target", "left out: the worker's targets do not name it", toCapture
			if p.Own() {
				f.What = "the node's own network is left out"
			} else {
				out++
			}
		case len(p.Interfaces) == 0:
			f.What = "no interface of it is to be captured (its first is not there yet, or has another below it)"
		case p.Own():
			own = true
			f.What = "the node's own network, and the pods that share it: " + attached(p)
		default:
			captured++
			f.What = "captured: " + attached(p)
			if p.Stats.Seen == 0 {
				f.What += "; it said nothing yet"
			}
		}
		e.add(f)
	}
	if nameless > 0 {
		e.add(Finding{Severity: Warning, Check: "name", Node: n.Name, What: "the hub has not told yet who they are: " + count(nameless, "pod"),
			Do: "they have a UID and no name, which filters by name do not find: look again in a few seconds, then at the hub's log and the workers' metric sshark_worker_hub_connected"})
	}
	if out > 0 {
		e.add(Finding{Check: "target", Node: n.Name, What: count(out, "pod") + " left out: the worker's targets do not name them", Do: toCapture})
	}
	e.notFound(n, known)
	switch {
	case captured > 0:
	case out > 0:
		e.add(Finding{Severity: Warning, Check: "target", Node: n.Name, What: "no pod is captured here: the targets leave all of them out",
			Do: "is that meant? To capture more: --namespaces, --exclude-namespaces and --labels of the worker"})
	case !own && e.Cluster == nil: // otherwise each that runs and is not captured is told
		e.add(Finding{Severity: Warning, Check: "pods", Node: n.Name, What: "nothing is captured here, of what you may see",
			Do: "does any pod run here? If so, the worker's log says more"})
	}
}

// notFound tells the pods that run and that the worker knows nothing of.
func (e *examination) notFound(n *query.Node, known map[string]bool) {
	for _, p := range e.running[n.Name] {
		if known[p.UID] || known[p.Namespace+"/"+p.Name] {
			continue
		}
		f := Finding{Node: n.Name, Namespace: p.Namespace, Pod: p.Name, Check: "pod"}
		switch {
		case p.HostNetwork:
			f.Detail, f.What = true, "captured with the node's own network, which it shares"
		case !p.Since.IsZero() && e.Answered.Sub(p.Since) < newPod:
			f.Detail, f.What = true, "just started, not captured yet"
		default:
			f.Severity, f.What = Error, "runs, and the worker has not found it"
			f.Do = "does the worker have hostPID, and SYS_PTRACE to look at /proc? Its log says more"
		}
		e.add(f)
	}
}

// attached lists the interfaces of a pod.
func attached(p *query.PodState) string {
	const most = 8
	names, rest := p.Interfaces, ""
	if len(names) > most {
		rest = fmt.Sprintf(" and %d more", len(names)-most)
		names = names[:most]
	}
	return strings.Join(names, ", ") + rest
}
