package main_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sshark/sshark/cmd/e2e/shop"
)

// each is how many requests a trade makes.
const each = 40

// trade is one kind of traffic: a part calls another.
type trade struct {
	name string
	from string // part; "": from outside of the cluster
	to   string // part; "": outside of the cluster
	at   string // node of the one that is called, where it has a pod on each
	url  string
	args []string
	dns  string // the name by which the outside is known
}

// trades are all kinds, each with an URL that leads there in its own way.
func (m *market) trades() []trade {
	pod := func(name string) string { return "http://" + m.pod(name).Status.PodIP + ":8080" }
	at := func(addr string, port int) string { return fmt.Sprintf("http://%s:%d", addr, port) }
	first, second := m.nodes[0], m.nodes[1]
	agents := m.pods["agent"]
	all := []trade{
		{name: "same-node", from: "near", to: "plain", url: pod("plain")},
		{name: "across-nodes", from: "far", to: "plain", url: pod("plain")},
		{name: "keep-alive", from: "far", to: "plain", url: pod("plain"), args: []string{"--keep-alive"}},
		{name: "failing", from: "far", to: "plain", url: pod("plain"), args: []string{"--query", "status=503&latency=20ms"}},
		{name: "at-once", from: "near", to: "search", url: pod("search"), args: []string{"--rate", "0"}},
		{name: "service-across", from: "far", to: "web", url: "http://web." + shopSpace + ":80"},
		{name: "service-same", from: "near", to: "web", url: "http://web." + shopSpace + ":80"},
		{name: "service-itself", from: "web", to: "web", url: "http://web." + shopSpace + ":80"},
		{name: "headless", from: "near", to: "search", url: "http://search." + shopSpace + ":8080"},
		{name: "stateful", from: "near", to: "db", url: "http://db-0.db." + shopSpace + ":8080"},
		{name: "nodeport-direct", from: "near", to: "edge", url: at(second.addr, m.nodePort)},
		{name: "nodeport-via", from: "near", to: "edge", url: at(first.addr, m.nodePort)},
		{name: "nodeport-own", from: "far", to: "edge", url: at(second.addr, m.nodePort)},
		{name: "nodeport-in-direct", to: "edge", url: at(second.addr, m.nodePort)},
		{name: "nodeport-in-via", to: "edge", url: at(first.addr, m.nodePort)},
		{name: "hostserver", from: "near", to: "hostserver", url: at(second.addr, m.part("hostserver").host)},
		{name: "hostclient-across", from: "hostclient", to: "search", url: pod("search")},
		{name: "hostclient-same", from: "hostclient", to: "plain", url: pod("plain")},
		{name: "hostclient-service", from: "hostclient", to: "vault", url: "http://vault." + bankSpace + ":80"},
		{name: "daemon-server", from: "near", to: "agent", at: agents[1].Spec.NodeName, url: "http://" + agents[1].Status.PodIP + ":8080"},
		{name: "daemon-client", from: "agent", to: "search", url: pod("search")},
		{name: "job", from: "errand", to: "plain", url: pod("plain")},
		{name: "cronjob", from: "nightly", to: "plain", url: pod("plain")},
		{name: "space-to-space", from: "near", to: "vault", url: "http://vault." + bankSpace + ":80"},
		{name: "in-the-bank", from: "teller", to: "vault", url: "http://vault." + bankSpace + ":80"},
		{name: "outside", from: "far", url: at(m.outside, outsidePort)},
		{name: "outside-named", from: "near", url: at("api.partner.example", outsidePort), dns: "api.partner.example",
			args: []string{"--resolver", m.pod("names").Status.PodIP + ":53"}},
	}
	return all
}

func (m *market) part(name string) *part {
	p := m.parts[name]
	return &p
}

// called is the trade of a name.
func (m *market) called(name string) *trade {
	all := m.trades()
	return &all[slices.IndexFunc(all, func(r trade) bool { return r.name == name })]
}

// trade makes the requests of a trade.
func (m *market) trade(t *testing.T, r *trade) {
	t.Helper()
	m.says(t, r.from, slices.Concat([]string{"call", "--name", r.name, "--count", strconv.Itoa(each), "--url", r.url}, r.args)...)
}

// who is what is to be known of a pod of a part: the one on a node, the first if there is none.
func (m *market) who(name, node string) (e endpoint) {
	p := m.part(name)
	pod := m.pod(name)
	if i := slices.IndexFunc(m.pods[name], func(p podObject) bool { return p.Spec.NodeName == node }); i >= 0 {
		pod = m.pods[name][i]
	}
	e.Namespace, e.Workload, e.Node = p.space, p.name, pod.Spec.NodeName
	e.Pod.Name = pod.Metadata.Name
	if p.service != "" {
		e.Service.Name = p.name
	}
	return e
}

// ends are what is to be known of the two ends of a trade.
func (m *market) ends(r *trade) (src, dst endpoint) {
	switch {
	case r.from == "":
		src.IP, src.DNS = m.outside, anything
	case m.part(r.from).host != 0:
		// Of many pods that share a node's network any may have made a connection.
		src.Node = m.pod(r.from).Spec.NodeName
	default:
		src = m.who(r.from, "")
	}
	if r.to == "" {
		dst.IP, dst.Port, dst.DNS = m.outside, outsidePort, r.dns
	} else {
		dst = m.who(r.to, r.at)
		dst.Port = m.part(r.to).port()
	}
	return src, dst
}

// anything is what may be anything: a client outside of the cluster has the name that others look
// its address up by, if they do.
const anything = "*"

// wrong says what of an end is not as it is to be. The address counts only where it is given:
// which of its addresses an end is known by is the network's affair.
func wrong(side string, got, want endpoint) (faults []string) {
	is := func(field, got, want string) {
		if got != want && want != anything {
			faults = append(faults, fmt.Sprintf("%s.%s is %q, not %q", side, field, got, want))
		}
	}
	is("namespace", got.Namespace, want.Namespace)
	is("pod", got.Pod.Name, want.Pod.Name)
	is("service", got.Service.Name, want.Service.Name)
	is("workload", got.Workload, want.Workload)
	is("node", got.Node, want.Node)
	is("dns", got.DNS, want.DNS)
	if want.IP != "" {
		is("ip", got.IP, want.IP)
	}
	if want.Port != 0 {
		is("port", strconv.Itoa(got.Port), strconv.Itoa(want.Port))
	}
	return faults
}

// miscounted compares the calls that were told with the requests first to last of a client: each
// is to be there so many times. paths are those of the calls.
func miscounted(name string, paths []string, first, last, times int) (faults []string) {
	count := map[string]int{}
	for _, p := range paths {
		count[p]++
	}
	for n := first; n <= last; n++ {
		p := shop.Path(name, n)
		if count[p] != times {
			faults = append(faults, fmt.Sprintf("%s is told %d times, not %d", p, count[p], times))
		}
		delete(count, p)
	}
	for _, p := range slices.Sorted(maps.Keys(count)) {
		faults = append(faults, fmt.Sprintf("%s was never asked for", p))
	}
	return faults
}

func paths(calls []call) (all []string) {
	for _, c := range calls {
		all = append(all, c.Path)
	}
	return all
}

// brief are the first of many faults, and how many there are.
func brief(faults []string) string {
	const enough = 6
	if len(faults) > enough {
		return strings.Join(faults[:enough], "\n") + fmt.Sprintf("\n… %d in all", len(faults))
	}
	return strings.Join(faults, "\n")
}

// testNumbers looks for each request of all kinds of traffic.
func (s *suite) testNumbers(t *testing.T) {
	for _, r := range s.trades() {
		t.Run(r.name, func(t *testing.T) {
			src, dst := s.ends(&r)
			var faults []string
			// Names may come a little later than packets.
			soon(t, 20*time.Second, func() bool {
				calls := s.console.calls(t, of(r.name))
				faults = miscounted(r.name, paths(calls), 1, each, 1)
				for _, c := range calls {
					for _, f := range slices.Concat(wrong("src", c.Src, src), wrong("dst", c.Dst, dst)) {
						faults = append(faults, c.Path+": "+f)
					}
				}
				return len(faults) == 0
			})
			if len(faults) > 0 {
				t.Error(brief(faults))
			}
		})
	}
	t.Run("both ends", func(t *testing.T) { s.testVantages(t) })
	t.Run("status and time", func(t *testing.T) {
		for _, c := range s.console.calls(t, of("failing")) {
			if c.Status != 503 || !c.Error || c.Elapsed < 20_000 || c.Elapsed > 5_000_000 {
				t.Errorf("%+v: want status 503, an error, and 20 ms or a little more", c)
			}
		}
	})
	t.Run("dns", func(t *testing.T) { s.testLookups(t) })
}

// testVantages: between two pods each request is seen twice, once at each end.
func (s *suite) testVantages(t *testing.T) {
	for _, name := range []string{"same-node", "across-nodes", "keep-alive", "service-across", "headless", "job"} {
		for vantage, times := range map[string]int{"client": 1, "server": 1, "both": 2} {
			calls := s.console.calls(t, of(name), "--vantage", vantage)
			if faults := miscounted(name, paths(calls), 1, each, times); len(faults) > 0 {
				t.Errorf("%s: --vantage %s: %s", name, vantage, brief(faults))
			}
		}
		// Told once, it is told what the client saw, and where.
		var faults []string
		src, dst := s.ends(s.called(name))
		for _, c := range s.console.calls(t, of(name)) {
			if c.Vantage != "both" || c.Node != dst.Node || c.Client.Node != src.Node || c.Network < 0 {
				faults = append(faults, fmt.Sprintf("%s: vantage %q of node %s, seen by the client on node %q, %d us on the network", c.Path, c.Vantage, c.Node, c.Client.Node, c.Network))
			}
		}
		if len(faults) > 0 {
			t.Errorf("%s: not both vantages: %s", name, brief(faults))
		}
	}
}

// testLookups asks the cluster's DNS server for names that there are not.
func (s *suite) testLookups(t *testing.T) {
	s.says(t, "far", "lookup", "--name", "lookup", "--count", strconv.Itoa(each))
	want := map[string]int{}
	for n := 1; n <= each; n++ {
		want[strings.TrimSuffix(shop.Host("lookup", n, "svc.cluster.local"), ".")] = 1
	}
	src := s.who("far", "")
	var faults []string
	soon(t, 20*time.Second, func() bool {
		faults = nil
		got := map[string]int{}
		for _, c := range s.console.calls(t, `dns && dns_questions.exists(q, q.startsWith("lookup-"))`) {
			for _, q := range c.Questions {
				got[strings.TrimSuffix(q, ".")]++
			}
			faults = append(faults, wrong("src", c.Src, src)...)
			if c.Dst.Namespace != "kube-system" || c.Dst.Service.Name != "kube-dns" || !strings.HasPrefix(c.Dst.Pod.Name, "coredns-") {
				faults = append(faults, fmt.Sprintf("dst is %+v, not a pod of kube-system/kube-dns", c.Dst))
			}
		}
		if !maps.Equal(got, want) {
			faults = append(faults, fmt.Sprintf("names asked for: %v, not each of %d once", got, each))
		}
		return len(faults) == 0
	})
	if len(faults) > 0 {
		t.Error(brief(faults))
	}
}
