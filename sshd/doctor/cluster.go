package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sshark/sshark/worker/query"
)

// cluster compares what should be there with who answered.
func (e *examination) cluster(c *Cluster) {
	switch {
	case c.Problem != "":
		e.add(Finding{Severity: Error, Check: "cluster", What: "the cluster is not watched as it should be: " + c.Problem,
			Do: "capture goes on; names and new workers are those of before. Look at the hub's log, its network policy, and its service account"})
	case c.Lag > maxLag:
		e.add(Finding{Severity: Warning, Check: "cluster", What: fmt.Sprintf("the Kubernetes API was not heard of for %v", c.Lag.Round(time.Second)),
			Do: "names of new pods come late: is the API server there, and has it, and the hub, enough CPU?"})
	default:
		e.add(Finding{Check: "cluster", What: fmt.Sprintf("%s, %s and %s are known", count(len(c.Nodes), "node"), count(len(c.Workers), "worker"), count(len(c.Pods), "running pod"))})
	}
	for i := range c.Pods {
		p := &c.Pods[i]
		e.running[p.Node] = append(e.running[p.Node], p)
	}
	told := func(node string) *query.Node {
		if i := slices.IndexFunc(e.Nodes, func(n query.Node) bool { return n.Name == node }); i >= 0 {
			return &e.Nodes[i]
		}
		return nil
	}
	workers := map[string]bool{}
	for _, w := range c.Workers {
		workers[w.Node] = true
		n := told(w.Node)
		why := w.Problem
		if why == "" {
			why = "it does not say why"
		}
		switch {
		case w.Ready && n != nil:
		case w.Ready:
			e.add(Finding{Severity: Warning, Check: "worker", Node: w.Node, What: "the worker runs, and was not asked yet", Do: "look again in a few seconds"})
		case n != nil && n.State != "gone":
			e.add(Finding{Severity: Warning, Check: "worker", Node: w.Node, What: "the worker answers, and is not ready: " + why,
				Do: "it is ready once each pod of its node is captured: the errors of this node say what is in the way"})
		case n == nil || w.Problem == "" || !strings.Contains(n.Problem, w.Problem): // otherwise it is told below
			e.add(Finding{Severity: Error, Check: "worker", Node: w.Node, What: "the worker is not ready: " + why, Do: lookAt(w.Node)})
		}
	}
	for _, node := range c.Nodes {
		if n := told(node); !workers[node] && (n == nil || n.State == "gone") {
			e.add(Finding{Severity: Warning, Check: "worker", Node: node, What: fmt.Sprintf("no worker runs here, so its %s not captured", podsAre(len(e.running[node]))),
				Do: "let the DaemonSet run here: its node selector, and tolerations for the node's taints (kubectl describe node " + node + ")"})
		}
	}
}

// lookAt says how to see what is wrong with a worker.
func lookAt(node string) string {
	return "kubectl describe pod and kubectl logs, of the worker on " + node + ", say more"
}

// gone says why a node did not answer, and what may be done.
func (e *examination) gone(n *query.Node) {
	e.add(Finding{Severity: Error, Check: "answer", Node: n.Name, What: "the worker did not answer: " + n.Problem, Do: reach(n.Problem)})
}

// reach guesses from the text of a failed connection what is wrong.
func reach(problem string) string {
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(problem, w) })
	}
	switch {
	case has("x509", "certificate", "handshake", "tls:"):
		return "hub and workers need certificates of one CA that are valid now (--tls), the worker's for worker.sshark, the hub's for hub.sshark"
	case has("refused"):
		return "nothing listens there: the worker starts, or has ended. kubectl logs of it says more"
	case has("no route", "unreachable:", "network is unreachable"):
		return "the node is down, or its network is"
	case has("deadline", "timeout", "timed out"):
		return "the node is down or overloaded, or a network policy keeps the hub from the worker's port"
	case has("no address"):
		return "the worker's pod has no address yet: it starts"
	}
	return "kubectl get pod and kubectl logs, of the worker there, say more"
}
