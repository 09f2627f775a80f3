package command

import (
	"strings"
	"testing"
	"time"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/sshd/doctor"
	"github.com/sshark/sshark/sshd/sourcetest"
	"github.com/sshark/sshark/worker/query"
)

// sickCluster is a console of three nodes: one is well but for a pod, one loses packets, one
// does not answer.
func sickCluster() *Env {
	now := sourcetest.Start.Add(10 * time.Minute)
	at := func(ago time.Duration) int64 { return now.Add(-ago).UnixNano() }
	pod := func(name, problem string) query.PodState {
		p := query.PodState{Pod: pcap.Pod{Namespace: "shop", Name: name, UID: "uid-" + name}, Problem: problem}
		if problem == "" {
			p.Interfaces, p.Stats.Seen = []string{"eth0", "lo"}, 5
		}
		return p
	}
	node := func(name string, pods ...query.PodState) query.Node {
		pods = append([]query.PodState{{Interfaces: []string{"eth0", "lo"}}}, pods...)
		return query.Node{Name: name, State: "capturing", Time: at(0), PacketRate: 310, Stats: pcap.Stats{Seen: 1e6, Stored: 1e6}, Oldest: at(time.Hour), Newest: at(time.Second),
			StoreUsed: 1 << 29, StoreLimit: 1 << 30, Segments: 3, Pods: pods, Version: "test", Kernel: "6.18.0"}
	}
	a := node("node-a", pod("cart-0", ""), pod("web-0", "attach to eth0: permission denied"))
	b := node("node-b", pod("cart-1", ""))
	b.Stats.Dropped, b.DropRate = 25_000, 120
	gone := query.Node{Name: "node-c", State: "gone", Problem: "dial tcp 10.0.0.3:4290: connect: connection refused"}
	e := newEnv(&sourcetest.Source{NodeList: []query.Node{a, b, gone},
		Report: []query.NodeReport{{Node: "node-a"}, {Node: "node-b"}, {Node: "node-c", Missing: gone.Problem}}})
	e.Cluster = func() *doctor.Cluster {
		return &doctor.Cluster{Nodes: []string{"node-a", "node-b", "node-c", "node-d"},
			Workers: []doctor.Worker{{Node: "node-a"}, {Node: "node-b", Ready: true}, {Node: "node-c", Problem: "CrashLoopBackOff"}},
			Pods:    []doctor.Pod{{Namespace: "shop", Name: "cart-1", UID: "uid-cart-1", Node: "node-b"}, {Namespace: "shop", Name: "pay\x1b[2J-0", UID: "uid-pay-0", Node: "node-b"}}}
	}
	return e
}

func TestDoctor(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		width      int
		color      bool
	}{
		{"doctor", "doctor", 0, false},
		{"doctor-80", "doctor", 80, false},
		{"doctor-120-color", "doctor", 120, true},
		{"doctor-wide", "doctor -o wide", 0, false},
		{"doctor-json", "doctor -o json", 0, false},
		{"doctor-pod", "doctor --pod shop/cart -n shop", 0, false},
		{"nodes-sick-wide", "nodes -o wide", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := sickCluster()
			e.Terminal, e.Width, e.Color = tt.width > 0, tt.width, tt.color
			r := runLine(t, e, tt.line)
			if r.status != ExitPartial {
				t.Errorf("status %d, want %d: a node is missing", r.status, ExitPartial)
			}
			golden(t, tt.name+".txt", r.out+"\n--- standard error\n"+r.stderr)
			if !tt.color && strings.ContainsRune(r.out+r.stderr, '\x1b') {
				t.Error("an escape of the cluster reached the terminal")
			}
		})
	}
}

// TestDoctorWell holds that findings are an answer, and that all is well where there is no
// cluster.
func TestDoctorWell(t *testing.T) {
	e := sickCluster()
	e.Cluster = nil
	s := e.Source.(*sourcetest.Source)
	s.NodeList, s.Report = s.NodeList[1:2], s.Report[1:2]
	if r := runLine(t, e, "doctor"); r.status != ExitOK || !strings.Contains(r.stderr, "1 error") {
		t.Errorf("status %d, %q", r.status, r.stderr)
	}
	s.NodeList[0].Stats.Dropped, s.NodeList[0].DropRate = 0, 0
	if r := runLine(t, e, "doctor"); r.status != ExitOK || r.stderr != "sshark: nothing wrong was found\n" {
		t.Errorf("status %d, %q, %s", r.status, r.stderr, r.out)
	}
}

// TestDoctorFits holds that nothing is cut off on a terminal of any width.
func TestDoctorFits(t *testing.T) {
	for width := 40; width < 200; width += 7 {
		e := sickCluster()
		e.Terminal, e.Width = true, width
		r := runLine(t, e, "doctor -o wide")
		for _, line := range strings.Split(strings.TrimSuffix(r.out, "\n"), "\n") {
			if w := textWidth(line); w > width || strings.HasSuffix(line, " ") || strings.Contains(line, "…") {
				t.Errorf("at %d: %d columns: %q", width, w, line)
			}
		}
	}
}

func TestNodesTellsProblems(t *testing.T) {
	e := sickCluster()
	s := e.Source.(*sourcetest.Source)
	for range 8 {
		s.NodeList[0].Pods = append(s.NodeList[0].Pods, s.NodeList[0].Pods[2])
	}
	s.NodeList[1].State, s.NodeList[1].Problem = "degraded", "capture ended: no memory"
	r := runLine(t, e, "nodes")
	for _, want := range []string{
		"node-a: shop/web-0 is not captured as it should be: attach to eth0: permission denied\n",
		"node-a: 4 more pods are not captured as they should be; try: doctor\n",
		"node-b: capture ended: no memory\n",
	} {
		if !strings.Contains(r.stderr, want) {
			t.Errorf("nodes says not %q:\n%s", want, r.stderr)
		}
	}
	if n := strings.Count(r.stderr, "node-c"); n != 1 {
		t.Errorf("the missing node is named %d times:\n%s", n, r.stderr)
	}
}

func TestDoctorSelects(t *testing.T) {
	e := sickCluster()
	if r := runLine(t, e, "doctor --pod nobody"); !strings.Contains(r.stderr, "no worker has found such a pod") || strings.Contains(r.out, "node-b") {
		t.Errorf("%s%s", r.out, r.stderr)
	}
	if r := runLine(t, e, "doctor --node node-c"); !strings.Contains(r.out, "node-c") || strings.Contains(r.out, "node-b") {
		t.Errorf("%s%s", r.out, r.stderr)
	}
	if r := runLine(t, e, "doctor --node node-x"); r.status != ExitFailed || !strings.Contains(r.stderr, "--node node-x: there is no such node") {
		t.Errorf("a node that there is not: %+v", r)
	}
	well := newEnv(&sourcetest.Source{Kept: 8})
	if r := runLine(t, well, "doctor -n nobody"); strings.Contains(r.stderr, "nothing wrong") || !strings.Contains(r.stderr, "no worker has found such a pod") {
		t.Errorf("a namespace without pods: %+v", r)
	}
	if r := runLine(t, e, "doctor node-c"); r.status != ExitUsage {
		t.Errorf("words: status %d", r.status)
	}
}
