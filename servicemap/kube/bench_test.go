package kube

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/sshark/sshark/servicemap/identity"
)

// The scale of BenchmarkScale: what the hub must hold, with the size of real objects.
const (
	manyPods   = 10_000
	perService = 20
	perNode    = 100
)

// serverEnv has the test binary be the API server, so that it does not count as the hub's
// memory.
const serverEnv = "SSHARK_TEST_API_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(serverEnv) == "" {
		os.Exit(m.Run())
	}
	server := httptest.NewServer(crowd())
	fmt.Println(server.URL)
	_, _ = io.Copy(io.Discard, os.Stdin) // until the benchmark ends
}

// crowd is an API server with manyPods. POST /replace?n=N deletes pod N, and makes the next one
// in its place, with its address.
func crowd() http.Handler {
	a := newAPI()
	generation := make([]int, manyPods)
	for i := range manyPods {
		if i%perNode == 0 {
			a.put(aNode(nodeName(i), 0, fmt.Sprintf("172.16.%d.%d", i/perNode/250, i/perNode%250+1)))
		}
		if i%perService == 0 {
			app := fmt.Sprint("app-", i/perService)
			a.put(aService(app, app, 0, fmt.Sprintf("10.96.%d.%d", i/perService/250, i/perService%250+1)), anOwner("ReplicaSet", app+"-7d9", "Deployment", app))
		}
		a.put(crowdPod(i, 0))
	}
	for i := 0; i < manyPods; i += perService {
		var names []string
		for j := range perService {
			names = append(names, crowdPod(i+j, 0).Name)
		}
		app := fmt.Sprint("app-", i/perService)
		a.put(aSlice(app+"-x", app, 80, names...))
	}
	mux := http.NewServeMux()
	mux.Handle("/", a)
	mux.HandleFunc("POST /replace", func(_ http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		a.remove(crowdPod(n, generation[n]))
		generation[n]++
		a.put(crowdPod(n, generation[n]))
	})
	return mux
}

func nodeName(pod int) string { return fmt.Sprint("node-", pod/perNode) }

func crowdAddr(n int) string { return fmt.Sprintf("10.%d.%d.%d", 10+n/62500, n/250%250, n%250+1) }

// crowdPod is as large as pods are: some 5 KB of JSON.
func crowdPod(n, generation int) *corev1.Pod {
	app := fmt.Sprint("app-", n/perService)
	name := fmt.Sprintf("%s-7d9-%d-%d", app, n, generation)
	p := owned(aPod(name, 10, crowdAddr(n)), "ReplicaSet", app+"-7d9")
	p.Spec.NodeName = nodeName(n)
	p.Labels = map[string]string{"app": app, "app.kubernetes.io/name": app, "app.kubernetes.io/instance": "shop-" + app,
		"app.kubernetes.io/version": "1.2.3", "pod-template-hash": "7d9", "topology.kubernetes.io/zone": "zone-a"}
	p.Annotations = map[string]string{"prometheus.io/scrape": "true", "prometheus.io/port": "9090",
		"checksum/config": strings.Repeat("c", 64), "long": strings.Repeat("x", 600)}
	for _, c := range []string{"main", "sidecar"} {
		container := corev1.Container{Name: c, Image: "registry.example.com/shop/" + app + ":1.2.3",
			Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080, Protocol: "TCP"}}}
		for i := range 20 {
			container.Env = append(container.Env, corev1.EnvVar{Name: fmt.Sprint("SETTING_", i), Value: "the value of a setting"})
		}
		p.Spec.Containers = append(p.Spec.Containers, container)
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{Name: c, Ready: true,
			ImageID: "sha256:" + strings.Repeat("a", 64), ContainerID: "containerd://" + strings.Repeat("b", 64)})
	}
	for _, kind := range []corev1.PodConditionType{corev1.PodScheduled, corev1.PodInitialized, corev1.ContainersReady, corev1.PodReady} {
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue})
	}
	return p
}

// startCrowd runs the API server as a process of its own, and returns its URL.
func startCrowd(b *testing.B) string {
	server := exec.Command(os.Args[0])
	server.Env = append(os.Environ(), serverEnv+"=1")
	server.Stderr = os.Stderr
	stop, err := server.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := server.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		stop.Close()
		_ = server.Wait()
	})
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(url)
}

// BenchmarkScale is the hub's identity of a large cluster over real HTTP, with a follower for
// each node. One operation is a pod replaced by another with its address: the time is that from
// the request to the API server until Who tells the new one. Memory is told with as many pods
// remembered that ended as there were operations, DefaultEnded at most.
func BenchmarkScale(b *testing.B) {
	url := startCrowd(b)
	client, err := connect(&rest.Config{Host: url})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	start := time.Now()
	c, err := Start(ctx, Options{Client: client, Namespace: "sshark", WorkerPort: 4290, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	wait(b, "synced", c.Synced)
	took := time.Since(start)
	for n := 0; n < manyPods; n += perNode {
		go c.Pods(ctx, nodeName(n), func([]identity.Pod, []string, bool) error { return nil })
	}
	synced := heap()
	generation := make([]int, manyPods)
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		n := i * 7919 % manyPods
		generation[n]++
		r, err := http.Post(fmt.Sprintf("%s/replace?n=%d", url, n), "", nil)
		if err != nil {
			b.Fatal(err)
		}
		r.Body.Close()
		want, at := crowdPod(n, generation[n]).Name, netip.MustParseAddrPort(crowdAddr(n)+":80")
		for {
			if o, _, _ := c.Who(at, time.Now().UnixNano()); o.Identity != nil && o.Pod == want {
				break
			}
			runtime.Gosched()
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(took.Milliseconds()), "sync-ms")
	b.ReportMetric(synced, "synced-heap-MB")
	b.ReportMetric(heap(), "heap-MB")
	b.ReportMetric(rss(b, "VmHWM"), "peak-rss-MB")
	debug.FreeOSMemory()
	b.ReportMetric(rss(b, "VmRSS"), "rss-MB")
}

// BenchmarkWho asks for pods, services and ports of nodes.
func BenchmarkWho(b *testing.B) {
	c, err := newCluster(Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	for i := range manyPods {
		c.putPod(crowdPod(i, 0))
	}
	c.putNode(aNode("a", 0, "172.16.0.1"))
	s := aService("web", "web", 0, "10.96.0.1")
	s.Spec.Ports = []corev1.ServicePort{{Port: 80, NodePort: 30080}}
	c.putService(s)
	c.settle()
	for _, addr := range []string{crowdAddr(5000) + ":80", "10.96.0.1:80", "172.16.0.1:30080", "192.0.2.1:80"} {
		at, now := netip.MustParseAddrPort(addr), time.Now().UnixNano()
		b.Run(addr, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Who(at, now)
			}
		})
	}
}

func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

// rss is a line of /proc/self/status, in MB.
func rss(b *testing.B, key string) float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip("no /proc to read the memory's size from: ", err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			kb, _ := strconv.Atoi(strings.Fields(rest)[0])
			return float64(kb) / 1024
		}
	}
	b.Fatal("no ", key)
	return 0
}

func TestCrowdPodSize(t *testing.T) {
	text, err := json.Marshal(crowdPod(0, 0))
	if err != nil || len(text) < 4000 {
		t.Errorf("a pod is %d bytes, smaller than real ones: %v", len(text), err)
	}
}
