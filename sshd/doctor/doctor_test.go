package doctor

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/worker/query"
)

var now = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)

func ns(ago time.Duration) int64 { return now.Add(-ago).UnixNano() }

// well is a node where nothing is wrong.
func well(name string) query.Node {
	return query.Node{Name: name, State: "capturing", Time: ns(0), PacketRate: 310,
		Stats: pcap.Stats{Seen: 1_000_000, Stored: 1_000_000, Bytes: 1 << 30}, Oldest: ns(62 * time.Minute), Newest: ns(time.Second),
		StoreUsed: 1 << 29, StoreLimit: 1 << 30, Segments: 9, Version: "v1", Kernel: "6.18.0",
		Pods: []query.PodState{
			{Interfaces: []string{"eth0", "lo"}, Stats: pcap.Stats{Seen: 10}},
			{Pod: pcap.Pod{Namespace: "shop", Name: "cart-0", UID: "u1"}, Interfaces: []string{"eth0", "lo"}, Stats: pcap.Stats{Seen: 10}},
			{Pod: pcap.Pod{Namespace: "shop", Name: "web-1", UID: "u2"}, Interfaces: []string{"eth0", "lo"}, Stats: pcap.Stats{Seen: 10}},
		}}
}

// facts are those of two nodes where nothing is wrong.
func facts() Facts {
	c := &Cluster{Nodes: []string{"a", "b"}, Workers: []Worker{{Node: "a", Ready: true}, {Node: "b", Ready: true}}}
	for _, node := range c.Nodes {
		c.Pods = append(c.Pods,
			Pod{Namespace: "shop", Name: "cart-0", UID: "u1", Node: node, Since: now.Add(-time.Hour)},
			Pod{Namespace: "shop", Name: "web-1", UID: "u2", Node: node, Since: now.Add(-time.Hour)},
			Pod{Namespace: "kube-system", Name: "kube-proxy-x", UID: "u3", Node: node, HostNetwork: true, Since: now.Add(-time.Hour)})
	}
	return Facts{Nodes: []query.Node{well("a"), well("b")}, Asked: now.Add(-50 * time.Millisecond), Answered: now, Version: "v1", Cluster: c}
}

// TestExamine breaks one thing of a cluster where all is well. What is wrong then must be what
// is expected, and nothing else.
func TestExamine(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(f *Facts)
		want  []string // severity check node pod: part of the text
		do    string   // part of what to do, of the first
	}{
		{"all is well", func(*Facts) {}, nil, ""},
		{"no cluster", func(f *Facts) { f.Cluster = nil }, nil, ""},
		{"no workers at all", func(f *Facts) { *f = Facts{Cluster: &Cluster{}} },
			[]string{"error workers  : there are no workers"}, "DaemonSet"},
		{"API server away", func(f *Facts) { f.Cluster.Problem = "connection refused" },
			[]string{"error cluster  : not watched as it should be: connection refused"}, "capture goes on"},
		{"the API server is silent", func(f *Facts) { f.Cluster.Lag = 42 * time.Second },
			[]string{"warning cluster  : not heard of for 42s"}, "API server"},
		{"a node without a worker", func(f *Facts) {
			f.Cluster.Workers = f.Cluster.Workers[:1]
			f.Nodes = f.Nodes[:1]
		}, []string{"warning worker b : no worker runs here, so its 3 pods are not captured"}, "tolerations"},
		{"a worker that cannot start", func(f *Facts) {
			f.Cluster.Workers[1] = Worker{Node: "b", Problem: "ImagePullBackOff"}
			f.Nodes = f.Nodes[:1]
		}, []string{"error worker b : ImagePullBackOff"}, "kubectl describe pod"},
		{"a worker that does not answer", func(f *Facts) {
			f.Nodes[1] = query.Node{Name: "b", State: "gone", Problem: "dial tcp 10.0.0.2:4290: connect: connection refused"}
		}, []string{"error answer b : did not answer: dial tcp"}, "nothing listens"},
		{"a node that is down", func(f *Facts) {
			f.Cluster.Workers[1] = Worker{Node: "b", Problem: "node b is not ready: NodeStatusUnknown"}
			f.Nodes[1] = query.Node{Name: "b", State: "gone", Problem: "dial tcp 10.0.0.2:4290: i/o timeout"}
		}, []string{"error worker b : NodeStatusUnknown", "error answer b : timeout"}, "kubectl describe pod"},
		{"a worker without an address is told once", func(f *Facts) {
			f.Cluster.Workers[1] = Worker{Node: "b", Problem: "pod worker-b is ImagePullBackOff"}
			f.Nodes[1] = query.Node{Name: "b", State: "gone", Problem: "pod worker-b is ImagePullBackOff"}
		}, []string{"error answer b : ImagePullBackOff"}, "kubectl get pod"},
		{"wrong certificates", func(f *Facts) {
			f.Nodes[1] = query.Node{Name: "b", State: "gone", Problem: "authentication handshake failed: x509: certificate has expired"}
		}, []string{"error answer b : x509"}, "--tls"},
		{"not ready, and a pod says why", func(f *Facts) {
			f.Cluster.Workers[0].Ready = false
			f.Nodes[0].Pods[1].Problem = "open /proc/7/ns/net: permission denied"
		}, []string{"error pod a cart-0: permission denied", "warning worker a : is not ready"}, "SYS_PTRACE"},
		{"capture ended", func(f *Facts) {
			f.Nodes[0].State, f.Nodes[0].Problem = "degraded", "capture ended: read ring: bad file"
		},
			[]string{"error worker a : capture ended"}, "log"},
		{"disk full", func(f *Facts) {
			f.Nodes[0].State, f.Nodes[0].Problem = "degraded", "write segment: no space left on device"
		},
			[]string{"error worker a : no space"}, "store.sizeMB"},
		{"clock behind", func(f *Facts) { f.Nodes[0].Time = ns(8 * time.Second) },
			[]string{"warning clock a : 8s behind"}, "NTP"},
		{"clock ahead", func(f *Facts) { f.Nodes[0].Time = ns(-90 * time.Second) },
			[]string{"warning clock a : 1m30s ahead of"}, "NTP"},
		{"an answer that took long is no skew", func(f *Facts) {
			f.Asked = now.Add(-5 * time.Second)
			f.Nodes[0].Time = ns(5 * time.Second)
		}, nil, ""},
		{"some packets were lost", func(f *Facts) { f.Nodes[0].Stats.Dropped = 1200 },
			[]string{"warning ring a : 1200 packets (0.12 %) lost"}, "capture.ringMB"},
		{"many packets were lost", func(f *Facts) { f.Nodes[0].Stats.Dropped = 500_000 },
			[]string{"error ring a : (33 %)"}, "capture.ringMB"},
		{"packets are being lost", func(f *Facts) { f.Nodes[0].QueueDrops, f.Nodes[0].DropRate = 1, 0.25 },
			[]string{"error queue a : 1 packet (less than 0.01 %) lost since the worker's start before the disk: it was too slow; 1 packet a second now"}, "store.path"},
		{"the disk does not take packets", func(f *Facts) { f.Nodes[0].DiskDrops = 10 },
			[]string{"warning disk a : 10 packets"}, "full"},
		{"a store that is too small", func(f *Facts) { f.Nodes[0].StoreUsed, f.Nodes[0].Oldest = 1<<30-1, ns(200*time.Second) },
			[]string{"warning store a : 3m19s only"}, "store.sizeMB"},
		{"a store that fills for the first time", func(f *Facts) { f.Nodes[0].Oldest = ns(200 * time.Second) }, nil, ""},
		{"nothing was kept", func(f *Facts) { f.Nodes[0].Oldest, f.Nodes[0].Newest = 0, 0 },
			[]string{"error store a : none is kept"}, "full"},
		{"nothing was seen", func(f *Facts) {
			f.Nodes[0].Oldest, f.Nodes[0].Newest, f.Nodes[0].Stats = 0, 0, pcap.Stats{}
		}, []string{"warning traffic a : no packet was seen"}, "speak"},
		{"it went quiet", func(f *Facts) { f.Nodes[0].Newest = ns(3 * time.Hour) },
			[]string{"warning traffic a : no packet came for 3h0m"}, "log"},
		{"another version", func(f *Facts) { f.Nodes[1].Version = "v0" },
			[]string{"warning version b : version v0, this console v1"}, "upgrade"},
		{"a pod that was not found", func(f *Facts) { f.Nodes[0].Pods = f.Nodes[0].Pods[:2] },
			[]string{"error pod a web-1: has not found it"}, "hostPID"},
		{"a pod that has just started", func(f *Facts) {
			f.Nodes[0].Pods = f.Nodes[0].Pods[:2]
			f.Cluster.Pods[1].Since = now.Add(-3 * time.Second)
		}, nil, ""},
		{"a pod known by its UID only", func(f *Facts) { f.Nodes[0].Pods[2].Pod = pcap.Pod{UID: "u2"} },
			[]string{"warning name a : who they are: 1 pod"}, "hub's log"},
		{"a pod that waits for its name", func(f *Facts) {
			f.Nodes[0].Pods[2] = query.PodState{Pod: pcap.Pod{UID: "u2"}, Off: true}
		}, []string{"warning name a : who they are: 1 pod"}, "look again"},
		{"pods that are left out", func(f *Facts) { f.Nodes[0].Pods[2].Interfaces, f.Nodes[0].Pods[2].Off = nil, true }, nil, ""},
		{"all pods are left out", func(f *Facts) {
			for i := range f.Nodes[0].Pods[1:] {
				f.Nodes[0].Pods[1+i].Interfaces, f.Nodes[0].Pods[1+i].Off = nil, true
			}
		}, []string{"warning target a : leave all of them out"}, "is that meant"},
		{"a node without pods", func(f *Facts) {
			f.Cluster.Pods = slices.DeleteFunc(f.Cluster.Pods, func(p Pod) bool { return p.Node == "a" && !p.HostNetwork })
			f.Nodes[0].Pods = f.Nodes[0].Pods[:1]
		}, nil, ""},
		{"nothing is captured", func(f *Facts) { f.Cluster, f.Nodes[0].Pods = nil, nil },
			[]string{"warning pods a : nothing is captured here"}, "does any pod run"},
		{"the node's own network", func(f *Facts) { f.Nodes[0].Pods[0].Problem = "attach to eth0: device or resource busy" },
			[]string{"error pod a : the node's own network is not captured"}, "tried again"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := facts()
			tt.spoil(&f)
			var wrong []Finding
			for _, found := range Examine(f) {
				if found.Severity > OK {
					wrong = append(wrong, found)
					if found.Do == "" {
						t.Errorf("%q says not what to do", found.What)
					}
				}
				if strings.HasSuffix(found.What, ".") || found.What == "" || found.Check == "" {
					t.Errorf("%+v", found)
				}
			}
			if len(wrong) != len(tt.want) {
				t.Fatalf("found %+v, want %q", wrong, tt.want)
			}
			for i, want := range tt.want {
				head, text, _ := strings.Cut(want, ": ")
				got := wrong[i]
				if h := fmt.Sprintf("%s %s %s %s", got.Severity, got.Check, got.Node, got.Pod); h != head || !strings.Contains(got.What, text) {
					t.Errorf("found %q: %q, want %q", h, got.What, want)
				}
			}
			if len(wrong) > 0 && !strings.Contains(wrong[0].Do, tt.do) {
				t.Errorf("says %q to do, want %q", wrong[0].Do, tt.do)
			}
		})
	}
}

// TestEachNode holds that each node has a line that is not a detail, whatever its state.
func TestEachNode(t *testing.T) {
	f := facts()
	f.Nodes[1] = query.Node{Name: "b", State: "gone", Problem: "gone away"}
	f.Cluster.Nodes = append(f.Cluster.Nodes, "c")
	seen := map[string]bool{}
	found := Examine(f)
	for _, one := range found {
		if !one.Detail {
			seen[one.Node] = true
		}
	}
	for _, node := range []string{"", "a", "b", "c"} {
		if !seen[node] {
			t.Errorf("nothing was found of %q: %+v", node, found)
		}
	}
	if !slices.IsSortedFunc(found, func(a, b Finding) int { return strings.Compare(a.Node, b.Node) }) {
		t.Error("the findings are not grouped by node")
	}
}

// TestFlagsAndValues holds that who has no chart is told of flags.
func TestFlagsAndValues(t *testing.T) {
	f := facts()
	f.Nodes[0].Stats.Dropped = 1 << 20
	for _, tt := range []struct {
		cluster *Cluster
		want    string
	}{
		{f.Cluster, "(capture.ringMB) or more CPU, or keep less of each packet (capture.snapLength) or fewer pods (targets.namespaces, targets.labels) [values of the chart]"},
		{nil, "(--ring-mb) or more CPU, or keep less of each packet (--snap) or fewer pods (--namespaces, --labels)"},
	} {
		f.Cluster = tt.cluster
		for _, found := range Examine(f) {
			if found.Check == "ring" && !strings.HasSuffix(found.Do, tt.want) {
				t.Errorf("%q, want %q", found.Do, tt.want)
			}
		}
	}
}

// The console's own pod is left out whatever the targets are, and that is said.
func TestConsole(t *testing.T) {
	f := facts()
	pod := &f.Nodes[0].Pods[2]
	pod.Interfaces, pod.Off = nil, true
	f.Cluster.Console = pod.Pod.String()
	said := false
	for _, finding := range Examine(f) {
		said = said || finding.Pod == pod.Pod.Name && strings.Contains(finding.What, "it is this console")
		if strings.Contains(finding.What, "targets") {
			t.Errorf("targets are blamed: %+v", finding)
		}
	}
	if !said {
		t.Error("nothing is said of the console's pod")
	}
}
