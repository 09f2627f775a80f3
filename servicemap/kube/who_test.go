package kube

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/servicemap/identity"
)

func TestPodAddresses(t *testing.T) {
	w := newWorld(t, Options{})
	cart := aPod("cart", 10, "10.1.0.5", "fd00::5")
	w.at(12).put(cart)
	for _, addr := range []string{"10.1.0.5:80", "[fd00::5]:80", "[::ffff:10.1.0.5]:80", "10.1.0.5:0"} {
		w.expect(addr, 9, "")
		w.expect(addr, 10, "shop/cart @a")
		w.expect(addr, 1000, "shop/cart @a")
	}
	w.at(50).drop(cart)
	w.expect("10.1.0.5:80", 49, "shop/cart @a")
	w.expect("10.1.0.5:80", 50, "")
	w.expect("10.9.9.9:80", 20, "")

	next := aPod("next", 100, "10.1.0.5")
	w.at(101).put(next)
	w.expect("10.1.0.5:80", 49, "shop/cart @a")
	w.expect("10.1.0.5:80", 70, "")
	w.expect("10.1.0.5:80", 100, "shop/next @a")
	if _, from, _ := w.Who(netip.MustParseAddrPort("10.1.0.5:80"), ns(200)); from != ns(100) {
		t.Errorf("known since %d, want %d", from, ns(100))
	}
}

func TestPodEnds(t *testing.T) {
	finished := after(30)
	for _, tt := range []struct {
		name string
		end  func(w *world, p *corev1.Pod)
		last int // second at which it still has its address
		none int
	}{
		{"deleted", func(w *world, p *corev1.Pod) { w.at(40).drop(p) }, 39, 40},
		{"succeeded", func(w *world, p *corev1.Pod) {
			p.Status.Phase = corev1.PodSucceeded
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{FinishedAt: finished}}}}
			w.at(40).put(p)
		}, 30, 31},
		{"failed, and nobody says when", func(w *world, p *corev1.Pod) {
			p.Status.Phase = corev1.PodFailed
			w.at(40).put(p)
		}, 39, 40},
		{"succeeded, then deleted", func(w *world, p *corev1.Pod) {
			p.Status.Phase = corev1.PodSucceeded
			w.at(40).put(p)
			w.at(60).drop(p)
		}, 39, 40},
		{"replaced under its name", func(w *world, _ *corev1.Pod) {
			p := aPod("cart", 45, "10.1.0.9")
			p.UID = "other"
			w.at(46).put(p)
			w.expect("10.1.0.9:80", 46, "shop/cart @a")
		}, 45, 46},
		{"its network was made anew", func(w *world, _ *corev1.Pod) {
			p := aPod("cart", 10, "10.1.0.9")
			w.at(46).put(p)
			w.expect("10.1.0.9:80", 45, "")
			w.expect("10.1.0.9:80", 46, "shop/cart @a")
		}, 45, 46},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, Options{})
			p := aPod("cart", 10, "10.1.0.5")
			w.at(12).put(p)
			tt.end(w, p)
			w.expect("10.1.0.5:80", tt.last, "shop/cart @a")
			w.expect("10.1.0.5:80", tt.none, "")
		})
	}
}

// TestAddressReused: the end of a pod is often told after its address is another's.
func TestAddressReused(t *testing.T) {
	for _, tt := range []struct {
		name string
		run  func(w *world)
		want map[int]string
	}{
		{"the end is told last", func(w *world) {
			old := aPod("old", 10, "10.1.0.5")
			w.at(12).put(old)
			w.at(52).put(aPod("new", 50, "10.1.0.5"))
			w.at(60).drop(old)
		}, map[int]string{49: "old", 50: "new", 61: "new"}},
		{"the new one waited long for its address", func(w *world) {
			old, fresh := aPod("old", 10, "10.1.0.5"), aPod("new", 20)
			w.at(12).put(old)
			w.at(48).put(fresh)
			w.at(49).drop(old)
			w.at(52).put(aPod("new", 20, "10.1.0.5"))
		}, map[int]string{30: "old", 47: "old", 48: "new", 52: "new"}},
		{"the new one ran before it was told to wait", func(w *world) {
			old, fresh := aPod("old", 10, "10.1.0.5"), aPod("new", 20)
			w.at(12).put(old)
			w.at(55).put(fresh) // told late
			w.at(56).drop(old)
			fresh = aPod("new", 20, "10.1.0.5")
			fresh.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: after(50)}}}}
			w.at(57).put(fresh)
		}, map[int]string{30: "old", 49: "old", 50: "new", 57: "new"}},
		{"the new one was over before anybody told of it", func(w *world) {
			old, fresh := aPod("old", 10, "10.1.0.5"), aPod("new", 50, "10.1.0.5")
			w.at(12).put(old)
			w.at(40).drop(old)
			w.at(50).put(aPod("new", 50))
			fresh.Status.Phase = corev1.PodSucceeded
			fresh.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{StartedAt: after(50), FinishedAt: after(51)}}}}
			w.at(60).put(fresh)
			w.at(61).put(fresh)
			w.at(70).drop(fresh)
		}, map[int]string{39: "old", 45: "", 50: "new", 51: "new", 52: "", 61: "", 71: ""}},
		{"both are known from the beginning", func(w *world) {
			w.at(100).put(aPod("new", 50, "10.1.0.5"), aPod("old", 10, "10.1.0.5"))
		}, map[int]string{9: "", 30: "old", 50: "new", 100: "new"}},
		{"four in turn", func(w *world) {
			for i, name := range []string{"a", "b", "c", "d"} {
				p := aPod(name, 10*(i+1), "10.1.0.5")
				w.at(10*(i+1) + 1).put(p)
				w.at(10*(i+1) + 5).drop(p)
			}
		}, map[int]string{9: "", 10: "a", 14: "a", 16: "", 22: "b", 33: "c", 44: "d", 46: ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, Options{})
			tt.run(w)
			for s, want := range tt.want {
				if want != "" {
					want = "shop/" + want + " @a"
				}
				w.expect("10.1.0.5:80", s, want)
			}
		})
	}
}

// Who asked once is told when an address is somebody else's.
func TestTurned(t *testing.T) {
	w := newWorld(t, Options{})
	turned := func(since uint64) (addrs []netip.Addr, next uint64) {
		t.Helper()
		addrs, next, all := w.Turned(since)
		if !all {
			t.Fatalf("not all since %d are known", since)
		}
		return addrs, next
	}
	old := aPod("old", 10, "10.1.0.5")
	w.at(12).put(old)
	_, next := turned(0)
	w.at(20).drop(old)
	w.at(22).put(aPod("new", 21, "10.1.0.5"))
	if addrs, _ := turned(next); len(addrs) < 2 || addrs[0] != netip.MustParseAddr("10.1.0.5") {
		t.Errorf("a pod ended and another has its address: %v", addrs)
	}
	if _, _, all := w.Turned(1 << 40); all {
		t.Error("what is to come is known")
	}
	_, next = turned(0)
	for i := range len(turns{}.ring) + 1 {
		w.at(30 + i).put(aPod("churn", 25, netip.AddrFrom4([4]byte{10, 2, byte(i >> 8), byte(i)}).String()))
	}
	if _, _, all := w.Turned(next); all {
		t.Error("more was forgotten than is said")
	}
}

func TestWorkloads(t *testing.T) {
	hashed := func(name, hash string) *corev1.Pod {
		p := owned(aPod(name, 10, "10.1.0.5"), "ReplicaSet", "cart-"+hash)
		p.Labels["pod-template-hash"] = hash
		return p
	}
	for _, tt := range []struct {
		name string
		objs []object
		want string
	}{
		{"deployment", []object{anOwner("ReplicaSet", "cart-7d9", "Deployment", "cart"), hashed("p", "7d9")}, "cart(Deployment)"},
		{"deployment, its replica set told later", []object{hashed("p", "7d9"), anOwner("ReplicaSet", "cart-7d9", "Deployment", "cart")}, "cart(Deployment)"},
		{"deployment, its replica set never told", []object{hashed("p", "7d9")}, "cart(Deployment)"},
		{"another's replica set", []object{hashed("p", "7d9"), anOwner("ReplicaSet", "cart-7d9", "Rollout", "basket")}, "basket(Rollout)"},
		{"bare replica set", []object{owned(aPod("p", 10, "10.1.0.5"), "ReplicaSet", "rs"), anOwner("ReplicaSet", "rs", "", "")}, "rs(ReplicaSet)"},
		{"replica set unknown", []object{owned(aPod("p", 10, "10.1.0.5"), "ReplicaSet", "rs")}, "rs(ReplicaSet)"},
		{"stateful set", []object{owned(aPod("p", 10, "10.1.0.5"), "StatefulSet", "db")}, "db(StatefulSet)"},
		{"daemon set", []object{owned(aPod("p", 10, "10.1.0.5"), "DaemonSet", "agent")}, "agent(DaemonSet)"},
		{"job", []object{owned(aPod("p", 10, "10.1.0.5"), "Job", "once"), anOwner("Job", "once", "", "")}, "once(Job)"},
		{"cron job", []object{anOwner("Job", "nightly-1", "CronJob", "nightly"), owned(aPod("p", 10, "10.1.0.5"), "Job", "nightly-1")}, "nightly(CronJob)"},
		{"cron job, its job told later", []object{owned(aPod("p", 10, "10.1.0.5"), "Job", "nightly-1"), anOwner("Job", "nightly-1", "CronJob", "nightly")}, "nightly(CronJob)"},
		{"job and replica set of the same name", []object{owned(aPod("p", 10, "10.1.0.5"), "Job", "x"), anOwner("ReplicaSet", "x", "Deployment", "no")}, "x(Job)"},
		{"static pod", []object{owned(aPod("p", 10, "10.1.0.5"), "Node", "a")}, ""},
		{"bare pod", []object{aPod("p", 10, "10.1.0.5")}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, Options{})
			want := strings.ReplaceAll("shop/p "+tt.want+" @a", "  ", " ")
			w.at(12).put(tt.objs...)
			w.expect("10.1.0.5:80", 11, want) // also before it was known
			for _, o := range tt.objs {
				if _, pod := o.(*corev1.Pod); !pod {
					w.at(20).drop(o)
				}
			}
			for _, o := range tt.objs {
				if p, ok := o.(*corev1.Pod); ok { // its last words
					p.Status.Message = "bye"
					w.at(21).put(p)
				}
			}
			w.expect("10.1.0.5:80", 21, want)
		})
	}
}

func TestPodServices(t *testing.T) {
	pod := func() *corev1.Pod { return owned(aPod("cart", 10, "10.1.0.5"), "StatefulSet", "cart") }
	for _, tt := range []struct {
		name string
		objs []object
		want string
	}{
		{"by selector", []object{pod(), aService("web", "cart", 5, "10.96.0.1")}, "web"},
		{"by slice alone", []object{aService("ext", "", 5, "10.96.0.1"), aSlice("ext-1", "ext", 80, "cart"), pod()}, "ext"},
		{"by slice, service not told", []object{pod(), aSlice("ext-1", "ext", 80, "cart")}, "ext"},
		{"first of two", []object{pod(), aService("web", "cart", 5, "10.96.0.1"), aService("api", "cart", 5, "10.96.0.2")}, "api"},
		{"named as the workload", []object{pod(), aService("api", "cart", 5, "10.96.0.2"), aService("cart", "cart", 5)}, "cart"},
		{"headless comes last", []object{pod(), aService("api", "cart", 5), aService("web", "cart", 5, "10.96.0.1")}, "web"},
		{"headless is better than none", []object{pod(), aService("b", "cart", 5), aService("a", "cart", 5)}, "a"},
		{"another's labels", []object{pod(), aService("web", "shop", 5, "10.96.0.1")}, ""},
		{"a service without selector takes none", []object{pod(), aService("web", "", 5, "10.96.0.1")}, ""},
		{"a slice of nobody", []object{pod(), aSlice("x", "", 80, "cart")}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, Options{})
			w.at(12).put(tt.objs...)
			want := "shop/cart cart(StatefulSet)"
			if tt.want != "" {
				want += " service:" + tt.want
			}
			w.expect("10.1.0.5:80", 12, want+" @a")
		})
	}
}

// TestIdentityChanges: what comes later is not of the past, what was learnt later is.
func TestIdentityChanges(t *testing.T) {
	w := newWorld(t, Options{})
	p := aPod("cart", 10, "10.1.0.5")
	w.at(11).put(p)
	old := aService("old", "cart", 5, "10.96.0.1")
	w.at(12).put(old) // as old as the pod, told late
	w.expect("10.1.0.5:80", 10, "shop/cart service:old @a")
	a := aService("a", "cart", 20, "10.96.0.2")
	w.at(20).put(a)
	w.expect("10.1.0.5:80", 19, "shop/cart service:old @a")
	w.expect("10.1.0.5:80", 20, "shop/cart service:a @a")
	w.at(30).drop(a)
	w.at(31).drop(old)
	w.expect("10.1.0.5:80", 29, "shop/cart service:a @a")
	w.expect("10.1.0.5:80", 30, "shop/cart service:old @a")
	w.expect("10.1.0.5:80", 31, "shop/cart @a")

	p = p.DeepCopy()
	p.Labels = map[string]string{"app": "cart", "color": "blue"}
	w.at(40).put(p)
	for s, want := range map[int]string{39: "", 40: "blue"} {
		o, from, _ := w.Who(netip.MustParseAddrPort("10.1.0.5:80"), ns(s))
		if got := o.Labels["color"]; got != want {
			t.Errorf("at %d the color is %q, want %q", s, got, want)
		}
		if want := map[int]int64{39: ns(31), 40: ns(40)}[s]; from != want {
			t.Errorf("at %d: since %d, want %d", s, from, want)
		}
	}
	s := aSlice("manual-1", "manual", 80, "cart")
	w.at(50).put(aService("manual", "", 1, "10.96.0.3"), s)
	w.expect("10.1.0.5:80", 49, "shop/cart @a")
	w.expect("10.1.0.5:80", 50, "shop/cart service:manual @a")
	w.at(60).drop(s)
	w.expect("10.1.0.5:80", 60, "shop/cart @a")
}

func TestIdentityFields(t *testing.T) {
	w := newWorld(t, Options{})
	p := aPod("cart", 10, "10.1.0.5")
	p.Annotations = map[string]string{"team": "x", "long": strings.Repeat("x", 257), "fits": strings.Repeat("x", 256),
		corev1.LastAppliedConfigAnnotation: "{}", "kubernetes.io/config.mirror": "cafe"}
	w.at(12).put(p)
	o, _, _ := w.Who(netip.MustParseAddrPort("10.1.0.5:80"), ns(12))
	want := &dissect.Identity{Namespace: "shop", Pod: "cart", PodUID: "cafe", Node: "a", Labels: map[string]string{"app": "cart"},
		Annotations: map[string]string{"team": "x", "fits": strings.Repeat("x", 256), "kubernetes.io/config.mirror": "cafe"}}
	if !identity.Equal(o.Identity, want) {
		t.Errorf("%+v, want %+v", o.Identity, want)
	}
	p.Annotations = map[string]string{}
	for i := range 100 {
		p.Annotations[fmt.Sprintf("a%03d", i)] = "x"
	}
	w.put(p)
	o, _, _ = w.Who(netip.MustParseAddrPort("10.1.0.5:80"), ns(12))
	if n := len(o.Annotations); n != maxAnnotations {
		t.Errorf("%d annotations are kept", n)
	}
}

func TestServiceAddresses(t *testing.T) {
	w := newWorld(t, Options{})
	s := aService("web", "web", 10, "10.96.0.1", "fd01::1")
	s.Spec.Ports = []corev1.ServicePort{{Port: 80, NodePort: 30080}, {Port: 443}}
	s.Spec.ExternalIPs = []string{"192.0.2.1"}
	other := aService("other", "x", 10, "10.96.0.2")
	other.Spec.Ports = []corev1.ServicePort{{Port: 8080}}
	other.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}, {Hostname: "lb.example.com"}}
	name := aService("name", "", 10)
	name.Spec.Type, name.Spec.ClusterIP, name.Spec.ExternalName = corev1.ServiceTypeExternalName, "", "example.com"
	w.at(12).put(s, other, name, aService("headless", "x", 10), aNode("a", 0, "172.16.0.1", "fd02::1"), aNode("b", 0, "172.16.0.2"))
	for _, tt := range []struct {
		addr string
		at   int
		want string
	}{
		{"10.96.0.1:80", 9, ""}, {"10.96.0.1:80", 10, " service:web"}, {"10.96.0.1:99", 12, " service:web"}, {"[fd01::1]:80", 10, " service:web"},
		{"192.0.2.1:80", 12, " service:web"}, {"192.0.2.1:8080", 12, " service:other"},
		{"172.16.0.1:30080", 12, " service:web @a"}, {"172.16.0.2:30080", 12, " service:web @b"}, {"[fd02::1]:30080", 12, " service:web @a"},
		{"172.16.0.1:30080", 9, " @a"}, {"172.16.0.1:80", 12, " @a"}, {"10.96.0.1:30080", 12, " service:web"},
	} {
		w.expect(tt.addr, tt.at, tt.want)
	}

	s = s.DeepCopy()
	s.Spec.Ports[0].NodePort, s.Spec.ExternalIPs = 30081, nil
	s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.9"}}
	w.at(20).put(s)
	w.expect("172.16.0.1:30080", 19, " service:web @a")
	w.expect("172.16.0.1:30080", 20, " @a")
	w.expect("172.16.0.1:30081", 19, " @a")
	w.expect("172.16.0.1:30081", 20, " service:web @a")
	w.expect("192.0.2.9:80", 19, "")
	w.expect("192.0.2.9:80", 20, " service:web")
	w.expect("192.0.2.1:80", 20, " service:other") // its address; web's port is no more
	if o, _, _ := w.Who(netip.MustParseAddrPort("172.16.0.1:30081"), ns(20)); o.Node != "a" || o.Identity.Service != "" || o.Ports[30081].Namespace != "shop" {
		t.Errorf("%+v, ports %+v", o.Identity, o.Ports)
	}
	if _, from, _ := w.Who(netip.MustParseAddrPort("172.16.0.1:30080"), ns(25)); from != ns(20) {
		t.Errorf("the port is the node's again since %d, want %d", from, ns(20))
	}

	again := s.DeepCopy()
	again.UID = "again"
	again.CreationTimestamp = after(40)
	w.at(41).put(again)
	w.expect("10.96.0.1:80", 39, " service:web")
	w.at(50).drop(again)
	w.expect("10.96.0.1:80", 49, " service:web")
	w.expect("10.96.0.1:80", 50, "")
	w.expect("172.16.0.1:30081", 50, " @a")
}

// TestBalancerOnNodes: some load balancers give a service its nodes' addresses.
func TestBalancerOnNodes(t *testing.T) {
	for _, nodeFirst := range []bool{true, false} {
		w := newWorld(t, Options{})
		s := aService("web", "web", 10, "10.96.0.1")
		s.Spec.Ports = []corev1.ServicePort{{Port: 80}}
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "172.16.0.1"}}
		n := aNode("a", 0, "172.16.0.1")
		if nodeFirst {
			w.at(12).put(n, s)
		} else {
			w.at(12).put(s, n)
		}
		w.expect("172.16.0.1:80", 12, " service:web")
		w.expect("172.16.0.1:22", 12, " @a")
	}
}

func TestHostNetwork(t *testing.T) {
	w := newWorld(t, Options{})
	agent := aPod("agent", 10, "172.16.0.1", "fd02::1")
	agent.Spec.HostNetwork = true
	agent.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{{ContainerPort: 9100, HostPort: 9100}, {ContainerPort: 9101},
		{ContainerPort: 9102, HostPort: 9102, HostIP: "127.0.0.1"}}}}
	proxy := aPod("proxy", 10, "10.1.0.9")
	proxy.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{{ContainerPort: 80, HostPort: 8080}, {ContainerPort: 81},
		{ContainerPort: 443, HostPort: 8443, HostIP: "172.16.0.1"}, {ContainerPort: 82, HostPort: 8082, HostIP: "0.0.0.0"}}}}
	w.at(12).put(aNode("a", 0, "172.16.0.1", "fd02::1", "172.16.0.2"), agent, proxy)
	w.at(15).put(aSlice("metrics-1", "metrics", 9200, "agent"), aSlice("web-1", "web", 80, "proxy"))
	const isAgent, isProxy = "shop/agent service:metrics @a", "shop/proxy service:web @a"
	for addr, want := range map[string]string{
		"172.16.0.1:9100": isAgent, "172.16.0.2:9101": isAgent, "[fd02::1]:9100": isAgent, "172.16.0.1:9200": isAgent,
		"172.16.0.1:9102": " @a", "172.16.0.1:22": " @a", "172.16.0.1:0": " @a",
		"172.16.0.1:8080": isProxy, "172.16.0.2:8082": isProxy, "172.16.0.1:8443": isProxy, "172.16.0.2:8443": " @a",
		"172.16.0.1:81": " @a", "172.16.0.1:80": " @a", "10.1.0.9:80": isProxy,
	} {
		w.expect(addr, 20, want)
	}
	w.expect("172.16.0.1:9100", 9, " @a")
	if o, _, _ := w.Who(netip.MustParseAddrPort("172.16.0.1:9100"), ns(20)); o.Identity.Pod != "" || o.Identity.Kind != "Node" {
		t.Errorf("the node's own identity is %+v", o.Identity)
	}
	w.at(30).drop(agent)
	w.expect("172.16.0.1:9100", 29, isAgent)
	w.expect("172.16.0.1:9100", 30, " @a")
	w.expect("172.16.0.1:9200", 30, " @a")

	w.at(40).drop(aNode("a", 0))
	w.expect("172.16.0.1:22", 39, " @a")
	w.expect("172.16.0.1:22", 40, "")
	w.at(50).put(aNode("b", 45, "172.16.0.1"))
	w.expect("172.16.0.1:22", 39, " @a")
	w.expect("172.16.0.1:22", 50, " @b")
}

func TestForgotten(t *testing.T) {
	w := newWorld(t, Options{Keep: time.Minute, Ended: 10})
	places := func() int { w.mu.RLock(); defer w.mu.RUnlock(); return len(w.history.at) }
	for i := range 1000 { // too many
		p := aPod(fmt.Sprintf("p%d", i), i, fmt.Sprintf("10.1.%d.%d", i/250, i%250))
		w.at(i).put(p)
		w.at(i + 1).drop(p)
	}
	if n := places(); n != 10 {
		t.Errorf("%d addresses are known, want 10", n)
	}
	w.expect("10.1.3.249:80", 999, "shop/p999 @a")
	w.history.sweep(ns(1000 + 59))
	w.expect("10.1.3.249:80", 999, "shop/p999 @a")
	w.history.sweep(ns(1000 + 60)) // too old
	if n := places(); n != 0 {
		t.Errorf("%d addresses are known", n)
	}
	for i := range 1000 { // of one address, and of one pod
		p := aPod("same", 1000, "10.1.0.1")
		p.Labels["n"] = fmt.Sprint(i)
		if i%2 == 1 {
			p.Status.PodIP, p.Status.PodIPs = "10.1.0.2", nil
		}
		w.at(2000 + i).put(p)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.pods["shop"]["same"]
	if len(p.claims) > maxGivenUp+1 || len(p.versions) > maxVersions || len(w.history.at[place{addr: netip.MustParseAddr("10.1.0.1")}]) > maxClaims {
		t.Errorf("%d claims, %d versions", len(p.claims), len(p.versions))
	}
	w.history.sweep(ns(5000))
	if len(p.claims) != 1 || len(p.versions) != 1 {
		t.Errorf("%d claims, %d versions after a long time", len(p.claims), len(p.versions))
	}
}
