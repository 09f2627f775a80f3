package filter

import (
	"strings"
	"sync"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

func TestCall(t *testing.T) {
	icmp := &dissect.Call{Flow: &dissect.Flow{Transport: flow.ICMPv6}}
	calls := map[string]*dissect.Call{"http": httpCall(), "grpc": grpcCall(), "dns": dnsCall(), "redis": redisCall(), "bare": {}, "icmp": icmp}
	tests := []struct {
		on     string // the calls that match, of those above
		filter string
	}{
		{"http grpc dns redis bare icmp", " "},
		{"http grpc dns redis bare icmp", "true"},
		{"", "false"},
		// Network.
		{"http grpc dns", `src.ip == "10.1.0.1"`},
		{"redis", `src.ip == "10.1.0.2"`}, // a message of the server
		{"http grpc dns redis", `cidr("10.0.0.0/8").containsIP(src.ip) && src.port >= 5353`},
		{"dns", `cidr("203.0.113.9").containsIP(dst.ip)`},
		{"http grpc", "dst.port == 8080"},
		{"bare icmp", `src.ip == "" && dst.port == 0`},
		// Identities.
		{"http grpc dns", `src.pod.name == "front-0" && src.pod.namespace == "shop" && src.workload == "front"`},
		{"http grpc", `dst.service.name == "cart" && dst.service.namespace == "store" && dst.namespace == "store"`},
		{"http grpc", `dst.name == "cart"`},
		{"dns", `dst.name == "api.example.com" && dst.dns.endsWith(".com")`},
		{"bare icmp", `src.name == "" && dst.name == ""`},
		{"http grpc dns", `src.name == "front-0" && src.node == "node-a"`},
		{"http grpc redis", `"store" in namespaces && "cart-0" in pods && services == ["cart"]`},
		{"dns", `"api.example.com" in dns_resolutions`},
		{"http grpc", `dst.labels["tier"] == "backend" && dst.labels.app == "cart" && !("tier" in src.labels)`},
		{"http grpc dns", `src.labels["app.kubernetes.io/part-of"] == "shop"`},
		{"http grpc redis", `"tier" in local_labels && local_annotations["team"] == "blue" && remote_labels.app == "front"`},
		{"dns", `local_labels.app == "front" && size(remote_labels) == 0`},
		{"bare icmp", `local_resolution_status != "" && remote_resolution_status != ""`},
		{"http grpc dns redis", `node_name == "node-b" && node_id == worker && node["ip"] == node_ip && node.name == "node-b" && node_ip == "192.0.2.7"`},
		{"http grpc redis", `local_node_name == "node-b" && remote_node_name == "node-a"`},
		// Of every call.
		{"http", "id == 1000000 || error"},
		{"http grpc redis", "index == 3"},
		{"http grpc dns redis", `stream == "0000000000abc" && flow_id == 2748 && conn_id == flow_id`},
		{"http grpc redis", "elapsed_time == 20000 && latency == duration('20ms') && duration == duration('31ms') && duration_us == 31000"},
		{"dns bare icmp", "elapsed_time == 0 && latency == duration('0s')"},
		{"http grpc dns redis", `timestamp > now() - duration("5m") && time == timestamp`},
		{"", "timestamp > now()"},
		{"http grpc redis", `timestamp == timestamp("2026-01-02T15:03:06Z")`},
		{"bare icmp", "timestamp == timestamp('1970-01-01T00:00:00Z')"},
		{"http", "error && !incomplete"},
		{"http grpc redis", "size == 1000"},
		{"http", `summary.startsWith("POST")`},
		{"http grpc dns redis bare icmp", "has_pcap"},
		// Flags.
		{"http grpc", "http"},
		{"grpc", "grpc && http2 && !gql"},
		{"http", `http && !http2 && protocol == "http"`},
		{"dns redis bare icmp", "!http"},
		{"dns", "dns && udp"},
		{"http grpc redis", "tcp"},
		{"icmp", "icmp && !tcp && !udp && !sctp"},
		{"", "tls || tlsx || ws || kafka || mqtt || gqlv1 || gqlv2 || conn || flow || tcp_conn || udp_flow"},
		{"http grpc dns redis bare icmp", `flow_state == "" && flow_local_bytes == 0 && size(conn_l7_detected) == 0`},
		// HTTP.
		{"http grpc", `method == "POST"`},
		{"http", `url.contains("dry") && path == "/cart/1" && http_version == "HTTP/1.1" && host == "cart"`},
		{"http", "status_code >= 500 && status_code < 600"},
		{"http", `path.matches("^/cart/[0-9]+$")`},
		{"http", `request.headers["content-type"] == "application/json"`},
		{"http", `request.headers["Content-Type"] == "application/json"`},
		{"http", `map_get(request.headers, "user-agent", "none").startsWith("curl")`},
		{"grpc dns redis bare icmp", `map_get(request.headers, "user-agent", "none") == "none"`},
		{"http grpc dns redis bare icmp", `request.headers["x-missing"] == "" && !("x-missing" in request.headers)`},
		{"http", `"retry-after" in response.headers && query_string["dry"] == "1" && request.cookies["a"] == ""`},
		{"http", `request.headers.exists(h, h.startsWith("user"))`},
		{"http", "request_body_size == 10 && response_body_size == 20 && response_headers_size == 0"},
		{"http", `body.contains("sold out") && body.startsWith("{") && body.endsWith("}")`},
		{"http", `body.matches("item.:[0-9]")`},
		{"http", `request.body == "{\"item\":1}" && response.body.contains("error")`},
		// Other protocols, as they declare themselves and as KFL2 has them.
		{"grpc", `grpc_method == "Add" && grpc_service.endsWith("Cart") && grpc_status == 0`},
		{"http dns redis bare icmp", "grpc_status == -1"},
		{"dns", `"db.example.com" in dns_questions && dns_questions[0] == "db.example.com" && dns_question_types.all(x, x == "A")`},
		{"dns", `dns_questions.exists(q, q.contains("example")) && size(dns_answers) == 0`},
		{"http grpc redis bare icmp", `dns_questions[0] == "" && dns_questions[7] == ""`},
		{"dns", "dns_request && !dns_response && status_code == 3 && dns_request_length == 40 && dns_total_size == 40"},
		{"redis", `redis_type == "GET" && redis_command == "GET" && redis_key.startsWith("session:") && redis_request_size == 300 && redis_total_size == 1000`},
		{"http grpc dns redis bare icmp", `kafka_api_key_name == "" && mysql_total_size == 0 && !mongodb_success && tcp_payload == b""`},
		// has: known, not non-zero.
		{"grpc", "has(grpc_status)"},
		{"http", `has(request.headers["user-agent"]) && has(response.headers.server) == false`},
		{"http grpc dns", "has(src.labels.app) && has(src.pod.name) && has(dst.name) && !has(src.service.name)"},
		{"http grpc redis", "has(latency)"},
		// Of CEL.
		{"http", `status_code in [500, 503] && (error ? method == "POST" : false)`},
		{"http grpc dns redis bare icmp", `1 / size >= 0 || true`},
		{"http grpc", `[method, path].exists(m, m == "POST") // a comment`},
		{"http grpc dns", `src.namespace + "/" + src.pod.name == "shop/front-0"`},
	}
	l := testLanguage(t)
	for _, tt := range tests {
		f := compile(t, l, tt.filter)
		for name, c := range calls {
			got, err := f.Call(c)
			if err != nil {
				t.Errorf("%s on %s: %v", tt.filter, name, err)
			}
			if want := strings.Contains(" "+tt.on+" ", " "+name+" "); got != want {
				t.Errorf("%s on %s: %v, want %v", tt.filter, name, got, want)
			}
			checkVerdict(t, f, c)
		}
	}
}

// checkVerdict holds what partial evaluation promises of a call.
func checkVerdict(t *testing.T, f *Filter, c *dissect.Call) {
	t.Helper()
	if c.Flow == nil {
		return
	}
	v := f.Flow(c.Flow)
	if got, err := f.Call(c); err == nil && (v == Never && got || v == Always && !got) {
		t.Errorf("%s: the flow says %v, its call %v", f, v, got)
	}
	if got, err := f.MatchFlow(c.Flow); err == nil && (v == Never && got || v == Always && !got) {
		t.Errorf("%s: the flow says %v before, %v when all is known", f, v, got)
	}
}

// TestEveryField reads every field, and its has(), of every kind of subject; the examples of
// the documentation must be filters.
func TestEveryField(t *testing.T) {
	l := testLanguage(t)
	calls := []*dissect.Call{httpCall(), grpcCall(), dnsCall(), redisCall(), {}, {Flow: &dissect.Flow{Transport: flow.TCP}, Protocol: protoHTTP}}
	for _, d := range l.Fields() {
		if d.Help == "" || d.Type == "" || d.Example == "" {
			t.Errorf("%s: help %q, type %q, example %q", d.Name, d.Help, d.Type, d.Example)
		}
		for _, src := range []string{d.Example, "has(" + d.Name + ")"} {
			f := compile(t, l, src)
			for _, c := range calls {
				if _, err := f.Call(c); err != nil {
					t.Errorf("%s: %v", src, err)
				}
				checkVerdict(t, f, c)
				if _, err := f.MatchFlow(c.Flow); err != nil {
					t.Errorf("%s on a flow: %v", src, err)
				}
			}
		}
	}
}

func TestMatchFlow(t *testing.T) {
	tcp, udp := httpFlow(), dnsCall().Flow
	tests := []struct {
		filter   string
		tcp, udp bool
	}{
		{"", true, true},
		{"flow && conn", true, true},
		{"tcp_flow && tcp_conn && tcp", true, false},
		{"udp_flow && udp_conn", false, true},
		{`flow_state == "closed" && conn_state == "closed"`, true, false},
		{`flow_state == "in_progress"`, false, true},
		{`"HTTP" in flow_l7_detected`, true, false},
		{`conn_l7_detected.exists(p, p == "DNS")`, false, true},
		{"flow_local_bytes == 3000 && flow_local_pkts == 20 && conn_remote_bytes == 1000", true, false}, // seen at the server
		{"flow_local_bytes == 1000 && flow_remote_pkts == 20 && conn_local_pkts == 10", false, true},    // seen at the client
		{"flow_local_pps == 10 && flow_remote_bps == 500", true, false},
		{"packets == 30 && bytes == 4000 && lost_bytes == 0 && end > timestamp", true, true},
		{"reset", true, false},
		{`src.pod.name == "front-0"`, true, true},
		{"http", true, false},
		{`protocol == "dns"`, false, true},
		{"http && status_code >= 500", false, false},
		{`elapsed_time == 0 && summary == "" && !body.contains("x")`, true, true},
		{`timestamp == timestamp("2026-01-02T15:03:05Z") && id == flow_id`, true, true},
		{"flow_group_id == conn_group_id && flow_group_id != 0", true, true},
	}
	l := testLanguage(t)
	for _, tt := range tests {
		f := compile(t, l, tt.filter)
		for fl, want := range map[*dissect.Flow]bool{tcp: tt.tcp, udp: tt.udp} {
			if got, err := f.MatchFlow(fl); err != nil || got != want {
				t.Errorf("%s on a %v flow: %v, %v, want %v", tt.filter, fl.Transport, got, err, want)
			}
		}
	}
	other := *tcp
	other.Client = end("10.1.0.1:40001", front)
	again := *tcp
	again.Server = end("10.1.0.2:8081", cart)
	if group(tcp) != group(&other) || group(tcp) == group(&again) {
		t.Error("a group is all flows of two addresses to one port")
	}
}

func TestReads(t *testing.T) {
	tests := []struct {
		filter               string
		calls, bodies, whole bool
	}{
		{"", false, false, false},
		{`src.ip == "10.0.0.1" && tcp`, false, false, false},
		{"timestamp > now()", false, false, false},
		{"http", true, false, false},
		{"status_code == 200", true, false, false},
		{"has(status_code)", true, false, false},
		{`body.contains("x")`, true, true, false},
		{`has(request.body)`, true, true, false},
		{`flow && flow_local_bytes > 0`, false, false, true},
		{`dns_questions[0] == "a"`, true, false, false},
	}
	l := testLanguage(t)
	for src, want := range map[string]bool{"http": true, `protocol == "http"`: true, `"HTTP" in flow_l7_detected`: true, "flow && tcp": false, "error": false} {
		if got := compile(t, l, src).Detects(); got != want {
			t.Errorf("%s: detects %v", src, got)
		}
	}
	for _, tt := range tests {
		f := compile(t, l, tt.filter)
		if f.Calls() != tt.calls || f.Bodies() != tt.bodies || f.Flows() != tt.whole {
			t.Errorf("%s: calls %v, bodies %v, flows %v", tt.filter, f.Calls(), f.Bodies(), f.Flows())
		}
	}
}

// TestConcurrent: one filter, many judges.
func TestConcurrent(t *testing.T) {
	f := compile(t, testLanguage(t), `http && dns_questions[0] == "" && request.headers["user-agent"].matches("^curl") && namespaces.exists(n, n == "store")`)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			c, d := httpCall(), dnsCall()
			for range 200 {
				if ok, err := f.Call(c); !ok || err != nil {
					t.Error(ok, err)
				}
				if ok, err := f.Call(d); ok || err != nil {
					t.Error(ok, err)
				}
				if v := f.Flow(c.Flow); v != Maybe {
					t.Error(v)
				}
			}
		})
	}
	wg.Wait()
}

// TestForeignMessage: what a hub decodes is of another type than the protocol's own.
func TestForeignMessage(t *testing.T) {
	c := httpCall()
	c.Message = nil
	f := compile(t, testLanguage(t), `http && method == "" && status_code == 0 && !has(method) && summary == ""`)
	if ok, err := f.Call(c); !ok || err != nil {
		t.Error(ok, err)
	}
	c = httpCall()
	c.Protocol = &dissect.Protocol{Name: "http"} // another list with the same protocol
	if ok, err := compile(t, testLanguage(t), "status_code == 503").Call(c); !ok || err != nil {
		t.Error(ok, err)
	}
	lying := httpCall()
	lying.Message.(*message).fields["status_code"] = "503"
	if ok, err := compile(t, testLanguage(t), "status_code == 0").Call(lying); !ok || err != nil {
		t.Error(ok, err)
	}
}

func TestNewRefuses(t *testing.T) {
	field := func(name string, k dissect.FieldKind) *dissect.Protocol {
		return &dissect.Protocol{Name: "p", Title: "P", Fields: declare(k, name)}
	}
	tests := map[string][]*dissect.Protocol{
		"kind of another protocol":          {protoHTTP, field("status_code", dissect.String)},
		"kind of KFL2":                      {field("mysql_query", dissect.Int)},
		"name of a base field":              {field("src.ip", dissect.String)},
		"refused name":                      {field("capture_source", dissect.String)},
		"protocol with the name of a field": {{Name: "summary"}},
	}
	for name, list := range tests {
		if _, err := New(list); err == nil {
			t.Errorf("%s: no error", name)
		} else {
			t.Log(err)
		}
	}
	if _, err := New(nil); err != nil {
		t.Errorf("without protocols: %v", err)
	}
}

func TestBounds(t *testing.T) {
	l := testLanguage(t)
	deep := strings.Repeat("(", 200) + "true" + strings.Repeat(")", 200)
	for _, src := range []string{
		strings.Repeat("a", MaxSource+1), deep, "\xff",
		`[1].exists(a, [1].exists(b, [1].exists(c, true)))`,
		`path.matches("(a{200}){10}")`, `path.matches(method)`, `path.matches("(")`,
		strings.Repeat("[", 4000), strings.Repeat("a.", 4000) + "a",
	} {
		if f, err := l.Compile(src); err == nil {
			t.Errorf("%.40s: compiled: %v", src, f)
		}
	}
	list := "[" + strings.Repeat("1,", 1900) + "1]"
	c := httpCall()
	c.Message.(*message).body[0] = strings.Repeat("x", 1<<20)
	for _, src := range []string{
		list + ".all(a, " + list + ".all(b, a == b))",
		"size(" + strings.Repeat("request.body + ", 80) + "request.body) == 0",
	} {
		f := compile(t, l, src)
		if ok, err := f.Call(c); ok || err == nil || !strings.Contains(err.Error(), "cost") {
			t.Errorf("%.40s: %v, %v", src, ok, err)
		}
		if v := f.Flow(c.Flow); v != Maybe {
			t.Errorf("%.40s: %v", src, v)
		}
	}
	// What is long but linear is fine.
	or := strings.TrimSuffix(strings.Repeat(`src.pod.name == "x" || `, 300), " || ")
	if ok, err := compile(t, l, or).Call(c); ok || err != nil {
		t.Error(ok, err)
	}
}
