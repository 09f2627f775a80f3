package filter

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// message is a call of the protocols of these tests: a bag of fields.
type message struct {
	fields  map[string]any
	summary string
	body    [2]string
}

func (m *message) AppendSummary(b []byte) []byte { return append(b, m.summary...) }
func (m *message) AppendStatus(b []byte) []byte  { return b }
func (m *message) AppendFields(b []byte) []byte  { return b }
func (m *message) Body(part int) *dissect.Body {
	if m.body[part] == "" {
		return nil
	}
	return &dissect.Body{Data: []byte(m.body[part])}
}

// fromBag reads a field of a message; of other messages it knows nothing.
func fromBag(name string) func(*dissect.Call) any {
	return func(c *dissect.Call) any {
		if m, ok := c.Message.(*message); ok {
			return m.fields[name]
		}
		return nil
	}
}

func declare(k dissect.FieldKind, names string) []dissect.Field {
	var out []dissect.Field
	for _, n := range strings.Fields(names) {
		out = append(out, dissect.Field{Name: n, Kind: k, Help: "test", Get: fromBag(n)})
	}
	return out
}

func join(parts ...[]dissect.Field) (all []dissect.Field) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

var (
	httpFields = join(declare(dissect.String, "method url path host http_version"), declare(dissect.Int, "status_code request_body_size response_body_size"),
		declare(dissect.Map, "request.headers response.headers query_string request.cookies"))
	protoHTTP = &dissect.Protocol{Name: "http", Title: "HTTP", Transport: []flow.Proto{flow.TCP}, Fields: httpFields}
	protoGRPC = &dissect.Protocol{Name: "grpc", Title: "gRPC", Transport: []flow.Proto{flow.TCP},
		Fields: join(httpFields, declare(dissect.String, "grpc_method grpc_service"), declare(dissect.Int, "grpc_status"))}
	protoDNS = &dissect.Protocol{Name: "dns", Title: "DNS", Transport: []flow.Proto{flow.UDP, flow.TCP},
		Fields: join(declare(dissect.Strings, "dns_questions dns_answers dns_question_types"), declare(dissect.Int, "dns_rcode"),
			declare(dissect.Bool, "dns_request dns_response"))}
	protoRedis = &dissect.Protocol{Name: "redis", Title: "Redis", Transport: []flow.Proto{flow.TCP},
		Fields: declare(dissect.String, "redis_command redis_key")}
	protoRaw = &dissect.Protocol{Name: "raw", Title: "Raw", Fields: declare(dissect.Bytes, "raw_payload")}
	testList = []*dissect.Protocol{protoHTTP, protoGRPC, protoDNS, protoRedis, protoRaw}
)

var testNow = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)

func testLanguage(t testing.TB) *Language {
	t.Helper()
	l, err := New(testList)
	if err != nil {
		t.Fatal(err)
	}
	l.now = func() time.Time { return testNow }
	return l
}

func compile(t testing.TB, l *Language, src string) *Filter {
	t.Helper()
	f, err := l.Compile(src)
	if err != nil {
		t.Fatalf("compile %q: %v", src, err)
	}
	return f
}

var (
	front = &dissect.Identity{Namespace: "shop", Pod: "front-0", PodUID: "u1", Workload: "front", Kind: "Deployment", Node: "node-a",
		Labels: map[string]string{"app": "front", "app.kubernetes.io/part-of": "shop"}}
	cart = &dissect.Identity{Namespace: "store", Pod: "cart-0", Service: "cart", Workload: "cart", Node: "node-b",
		Labels: map[string]string{"app": "cart", "tier": "backend"}, Annotations: map[string]string{"team": "blue"}}
	outside = &dissect.Identity{DNS: "api.example.com"}
)

func end(addr string, id *dissect.Identity) dissect.Endpoint {
	return dissect.Endpoint{Addr: netip.MustParseAddrPort(addr), Identity: id}
}

const ms = int64(time.Millisecond)

func httpFlow() *dissect.Flow {
	return &dissect.Flow{ID: 0xabc, Node: "node-b", NodeIP: netip.MustParseAddr("192.0.2.7"), Transport: flow.TCP,
		Client: end("10.1.0.1:40000", front), Server: end("10.1.0.2:8080", cart), Vantage: dissect.SideServer, Protocol: protoHTTP,
		First: testNow.UnixNano() - 60_000*ms, Last: testNow.UnixNano() - 58_000*ms,
		Packets: [2]uint64{10, 20}, Bytes: [2]uint64{1000, 3000}, State: dissect.Reset}
}

func httpCall() *dissect.Call {
	start := testNow.UnixNano() - 59_000*ms
	return &dissect.Call{Flow: httpFlow(), Protocol: protoHTTP, Seq: 3, Time: start, RequestEnd: start + 1*ms,
		ResponseStart: start + 21*ms, ResponseEnd: start + 31*ms, RequestSize: 300, ResponseSize: 700, Error: true,
		Message: &message{summary: "POST /cart/1", body: [2]string{`{"item":1}`, `{"error":"sold out"}`}, fields: map[string]any{
			"method": "POST", "url": "/cart/1?dry=1", "path": "/cart/1", "host": "cart", "http_version": "HTTP/1.1", "status_code": int64(503),
			"request_body_size": int64(10), "response_body_size": int64(20),
			"query_string":     map[string]string{"dry": "1"},
			"request.headers":  map[string]string{"content-type": "application/json", "user-agent": "curl/8"},
			"response.headers": map[string]string{"retry-after": "5"}}}}
}

func grpcCall() *dissect.Call {
	c := httpCall()
	c.Protocol, c.Error = protoGRPC, false
	c.Message = &message{summary: "Cart/Add", fields: map[string]any{"method": "POST", "path": "/shop.Cart/Add", "http_version": "HTTP/2",
		"status_code": int64(200), "grpc_method": "Add", "grpc_service": "shop.Cart", "grpc_status": int64(0)}}
	return c
}

func dnsCall() *dissect.Call {
	fl := httpFlow()
	fl.Transport, fl.Protocol, fl.Vantage = flow.UDP, protoDNS, dissect.SideClient
	fl.Client, fl.Server = end("10.1.0.1:5353", front), end("203.0.113.9:53", outside)
	fl.State = dissect.InProgress
	c := &dissect.Call{Flow: fl, Protocol: protoDNS, Seq: 1, Time: fl.First, RequestEnd: fl.First, RequestSize: 40,
		Message: &message{summary: "A db.example.com", fields: map[string]any{"dns_questions": []string{"db.example.com"},
			"dns_question_types": []string{"A"}, "dns_rcode": int64(3), "dns_request": true}}}
	return c
}

func redisCall() *dissect.Call {
	c := httpCall()
	c.Protocol, c.Error, c.Reverse = protoRedis, false, true
	c.Message = &message{fields: map[string]any{"redis_command": "GET", "redis_key": "session:1"}}
	return c
}
