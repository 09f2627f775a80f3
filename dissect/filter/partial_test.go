package filter

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

func TestFlow(t *testing.T) {
	tcp, udp := httpFlow(), dnsCall().Flow
	sctp := &dissect.Flow{Transport: flow.SCTP}
	tests := []struct {
		filter string
		on     *dissect.Flow
		want   Verdict
	}{
		{"", tcp, Always},
		{"tcp", tcp, Always},
		{"tcp", udp, Never},
		{"http", tcp, Maybe},
		{"http", udp, Never},               // HTTP is not carried by UDP
		{"status_code >= 500", udp, Maybe}, // DNS has a status too
		{"status_code >= 500", sctp, Never},
		{`raw_payload == b"a"`, sctp, Maybe}, // a protocol that does not say may run on anything
		{"kafka", tcp, Never},                // there is no parser
		{"!kafka", tcp, Always},
		{`grpc_method == "Add"`, udp, Never},
		{`http && dst.pod.namespace == "store"`, tcp, Maybe},
		{`http && dst.pod.namespace == "other"`, tcp, Never},
		{`http || "store" in namespaces`, tcp, Always},
		{`src.port == 40000`, tcp, Maybe}, // a message of the server has it as destination
		{`src.port == 1`, tcp, Never},
		{`src.port == 40000 || dst.port == 40000`, tcp, Always},
		{`src.labels.app in ["front", "cart"]`, tcp, Always},
		{`node_name == "node-x" && body.contains("a")`, tcp, Never},
		{`cidr("10.0.0.0/8").containsIP(src.ip)`, tcp, Always},
		{`local_labels.tier == "backend" && error`, tcp, Maybe},
		{`local_labels.tier == "front" && error`, tcp, Never},
		{"flow", tcp, Maybe},
		{"tcp_flow", udp, Never},
		{"timestamp > now()", tcp, Maybe},
		{"has(src.pod.name)", tcp, Always},
		{"has(status_code)", tcp, Maybe},
		{"1 / 0 == 1", tcp, Maybe},
		{`namespaces.exists(n, n == "shop") && dns_questions.exists(q, q == "a")`, tcp, Maybe},
		{`namespaces.exists(n, n == "x") && dns_questions[0] == ""`, tcp, Never},
		{`request.headers["a"] == "" ? tcp : udp`, tcp, Maybe},
		{`map_get(request.headers, "a", "b") == "b" && udp`, tcp, Never},
	}
	l := testLanguage(t)
	for _, tt := range tests {
		if got := compile(t, l, tt.filter).Flow(tt.on); got != tt.want {
			t.Errorf("%s on %v: %v, want %v", tt.filter, tt.on.Transport, got, tt.want)
		}
	}
}

// TestVerdictsHold: for random filters, flows and calls, Never and Always are never wrong.
func TestVerdictsHold(t *testing.T) {
	const seed = 20261123
	rnd := rand.New(rand.NewPCG(seed, seed))
	l := testLanguage(t)
	counts := map[Verdict]int{}
	for range 3000 {
		f := compile(t, l, randomFilter(rnd, 3))
		for range 5 {
			fl := randomFlow(rnd)
			counts[f.Flow(fl)]++
			for range 3 {
				checkVerdict(t, f, randomCall(rnd, fl))
			}
		}
		if t.Failed() {
			t.Fatal("seed", seed)
		}
	}
	if counts[Never] < 500 || counts[Always] < 500 || counts[Maybe] < 500 {
		t.Errorf("the test is lopsided: %v", counts)
	}
}

func pick[T any](rnd *rand.Rand, of ...T) T { return of[rnd.IntN(len(of))] }

func randomFilter(rnd *rand.Rand, depth int) string {
	if depth == 0 || rnd.IntN(4) == 0 {
		return pick(rnd, `src.ip == "10.0.0.1"`, `dst.ip != "10.0.0.2"`, "dst.port == 80", "src.port < 1000", "tcp", "udp", "icmp", "http", "dns",
			"redis", "grpc", "kafka", `protocol == "http"`, `src.namespace == "a"`, `"a" in namespaces`, `"b" in pods`, `dst.name == "b"`,
			`local_labels.x == "1"`, `has(remote_labels.x)`, `src.labels["x"] == dst.labels["x"]`, "status_code >= 400", "status_code == 0", "error",
			"elapsed_time > 1000", `latency < duration("1ms")`, `path.contains("a")`, `request.headers["h"] == ""`, "has(request.headers.h)",
			`body.contains("b")`, `dns_questions[0] == "q"`, `dns_questions.exists(q, q == src.namespace)`, "flow", "tcp_conn",
			`flow_state == "closed"`, "timestamp > now()", `size > 100`, `node_name == "n"`, "grpc_status == -1", "has(grpc_status)", "has(http)",
			`dns_questions + pods == ["a"]`, "1 / status_code > 0", "redis_total_size > 0",
			"[status_code, src.port].exists(s, s == 200 || s == 80)", `{"a": path}["a"] == "a"`, `(error ? path : method) == "a"`,
			`(tcp ? src.name : dst.name) == "b"`, `(http ? src.name : path) == "b"`, "status_code in [200, 404]", `path in ["a"]`, `namespaces.all(n, n == path)`,
			`!has(src.service.name)`, `cidr("10.0.0.1").containsIP(dst.ip)`, `path.matches("^a") == udp`, "http2", "gqlv1", "index == 1")
	}
	a, b := randomFilter(rnd, depth-1), randomFilter(rnd, depth-1)
	switch rnd.IntN(5) {
	case 0:
		return "!(" + a + ")"
	case 1:
		return fmt.Sprintf("(%s ? %s : %s)", a, b, randomFilter(rnd, depth-1))
	case 2, 3:
		return "(" + a + " && " + b + ")"
	}
	return "(" + a + " || " + b + ")"
}

func randomFlow(rnd *rand.Rand) *dissect.Flow {
	one := func() dissect.Endpoint {
		e := dissect.Endpoint{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(rnd.IntN(3))}), pick[uint16](rnd, 80, 8080, 40000))}
		if rnd.IntN(4) > 0 {
			e.Identity = &dissect.Identity{Namespace: pick(rnd, "", "a", "b"), Pod: pick(rnd, "", "a", "b"), Service: pick(rnd, "", "b"),
				Labels: pick(rnd, nil, map[string]string{"x": "1"}, map[string]string{"x": "2"})}
		}
		return e
	}
	return &dissect.Flow{ID: flow.ID(rnd.Uint64N(1 << 50)), Node: pick(rnd, "n", "m"), Transport: pick(rnd, flow.TCP, flow.UDP, flow.ICMP, flow.SCTP),
		Client: one(), Server: one(), Vantage: pick(rnd, dissect.SideUnknown, dissect.SideClient, dissect.SideServer),
		First: testNow.UnixNano() + int64(rnd.IntN(3)-1), State: pick(rnd, dissect.Open, dissect.Closed)}
}

// randomCall is a call that a flow of this transport can have.
func randomCall(rnd *rand.Rand, fl *dissect.Flow) *dissect.Call {
	c := &dissect.Call{Flow: fl, Seq: uint32(rnd.IntN(2) + 1), Reverse: rnd.IntN(4) == 0, Time: testNow.UnixNano() + int64(rnd.IntN(3)-1),
		Error: rnd.IntN(2) == 0, RequestSize: uint64(rnd.IntN(200))}
	if rnd.IntN(2) == 0 {
		c.RequestEnd = c.Time + ms
		c.ResponseStart = c.RequestEnd + int64(rnd.IntN(3))*ms
	}
	var fit []*dissect.Protocol
	for _, p := range testList {
		for _, tr := range p.Transport {
			if tr == fl.Transport {
				fit = append(fit, p)
			}
		}
	}
	c.Protocol = pick(rnd, append(fit, protoRaw)...)
	fl.Protocol = c.Protocol
	m := &message{fields: map[string]any{}, body: [2]string{pick(rnd, "", "abc")}}
	for _, f := range c.Protocol.Fields {
		if rnd.IntN(3) == 0 {
			continue
		}
		m.fields[f.Name] = map[dissect.FieldKind]any{
			dissect.String: pick(rnd, "", "a", "/a", "HTTP/2", "HTTP/1.1"), dissect.Int: pick[int64](rnd, 0, 200, 404),
			dissect.Bool: rnd.IntN(2) == 0, dissect.Strings: pick(rnd, []string{}, []string{"q", "a"}),
			dissect.Map: pick(rnd, map[string]string{}, map[string]string{"h": "1"}),
		}[f.Kind]
	}
	c.Message = m
	return c
}

func BenchmarkCompile(b *testing.B) {
	l := testLanguage(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Compile(benchFilter); err != nil {
			b.Fatal(err)
		}
	}
}

const benchFilter = `http && dst.pod.namespace == "store" && status_code >= 500 && path.contains("/cart")`

func BenchmarkFlow(b *testing.B) {
	l := testLanguage(b)
	for _, src := range []string{benchFilter, `http && dst.pod.namespace == "other"`, `"store" in namespaces && error`, "status_code >= 500"} {
		b.Run(strings.ReplaceAll(src, "/", "|"), func(b *testing.B) {
			f, fl := compile(b, l, src), httpFlow()
			b.ReportAllocs()
			for b.Loop() {
				f.Flow(fl)
			}
		})
	}
}

func BenchmarkCall(b *testing.B) {
	l := testLanguage(b)
	for _, src := range []string{benchFilter, "http && status_code >= 500", "dns", `request.headers["content-type"].contains("json")`,
		`cidr("10.0.0.0/8").containsIP(src.ip)`, `path.matches("^/cart/[0-9]+$")`, `body.contains("sold")`,
		`latency > duration("10ms")`, `namespaces.exists(n, n == "store")`} {
		b.Run(strings.ReplaceAll(src, "/", "|"), func(b *testing.B) {
			f, c := compile(b, l, src), httpCall()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f.Call(c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
