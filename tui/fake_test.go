package tui_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/tui"
)

// message is a message of a made-up shop.
type message struct {
	summary, status, fields string
	bodies                  [2]*dissect.Body
}

func (m *message) AppendSummary(b []byte) []byte { return append(b, m.summary...) }
func (m *message) AppendStatus(b []byte) []byte  { return append(b, m.status...) }
func (m *message) AppendFields(b []byte) []byte  { return append(b, m.fields...) }
func (m *message) Body(part int) *dissect.Body   { return m.bodies[part] }

var (
	httpProto  = &dissect.Protocol{Name: "http", Title: "HTTP", Fields: []dissect.Field{{Name: "method"}, {Name: "status_code", Kind: dissect.Int}}}
	dnsProto   = &dissect.Protocol{Name: "dns", Title: "DNS"}
	redisProto = &dissect.Protocol{Name: "redis", Title: "Redis"}
)

func endpoint(ns, service, pod, addr string) dissect.Endpoint {
	return dissect.Endpoint{Addr: netip.MustParseAddrPort(addr),
		Identity: &dissect.Identity{Namespace: ns, Service: service, Pod: pod, Node: "node-a"}}
}

var (
	gateway = endpoint("shop", "gateway", "gateway-7d9c5b6f4-x2x7k", "10.0.1.4:41822")
	catalog = endpoint("shop", "catalog", "catalog-5f6d8c9b7-9k2lm", "10.0.1.7:8080")
	cart    = endpoint("shop", "cart", "cart-66b8d9f5c-qq8zn", "10.0.1.9:8080")
	redis   = endpoint("shop", "redis", "redis-0", "10.0.1.12:6379")
	dns     = endpoint("kube-system", "kube-dns", "coredns-76f75df574-abcde", "10.0.0.10:53")
	outside = dissect.Endpoint{Addr: netip.MustParseAddrPort("203.0.113.7:55012")}
)

// made makes the call number i of the shop: the same in every run.
func made(i int, at int64) *dissect.Call {
	c := &dissect.Call{Seq: uint32(i), Time: at, RequestSize: 420, ResponseSize: uint64(900 + i%7*513)}
	f := &dissect.Flow{ID: flow.ID(0xa1b2c3d4e0 + uint64(i%37)), Node: "node-a", Transport: flow.TCP, Vantage: dissect.SideServer, Client: gateway, Server: catalog}
	c.Flow = f
	took := int64(800_000 + (i*7919)%90*310_000)
	c.RequestEnd, c.ResponseStart, c.ResponseEnd = at+120_000, at+120_000+took, at+120_000+took+450_000
	c.Protocol = httpProto
	code, method, path := 200, "GET", fmt.Sprintf("/api/products/%d", i%97)
	switch {
	case i%41 == 7:
		code, path = 503, "/api/products?category=umbrellas&sort=price"
		c.ResponseEnd += 2_300_000_000
		c.ResponseStart += 2_300_000_000
	case i%29 == 3:
		code, path = 404, "/favicon.ico"
		f.Client = outside
		f.Server = gateway
	case i%5 == 1:
		f.Server, method, path, code = cart, "POST", "/cart/items", 201
	case i%5 == 2:
		f.Server, f.Transport, f.Client = dns, flow.UDP, cart
		c.Protocol = dnsProto
		m := &message{summary: "A redis.shop.svc.cluster.local", status: "NOERROR",
			fields: `,"dns_request":true,"dns_response":true,"dns_questions":["redis.shop.svc.cluster.local"],"dns_question_types":["A"],"dns_rcode":0,"dns_answers":["10.0.1.12"]`}
		if i%35 == 2 {
			m.summary, m.status, c.Error = "AAAA thumbnails.cdn.example", "NXDOMAIN", true
		}
		c.Message = m
		return c
	case i%5 == 3:
		f.Server, f.Client = redis, cart
		c.Protocol = redisProto
		c.Message = &message{summary: "GET session:" + strconv.Itoa(1000+i%50), status: "OK", fields: `,"redis_type":"GET","redis_command":"GET","redis_key":"session:` + strconv.Itoa(1000+i%50) + `"`}
		return c
	}
	c.Error = code >= 400
	body := fmt.Sprintf(`{"id":%d,"name":"Umbrella “Größe L”","price":{"amount":1999,"currency":"EUR"},"tags":["rain","blue"],"stock":null,"ok":%v}`, i%97, code < 400)
	c.Message = &message{summary: method + " " + path, status: strconv.Itoa(code),
		fields: fmt.Sprintf(`,"method":%q,"url":%q,"path":%q,"host":"catalog:8080","http_version":"HTTP/1.1","request.headers":{"accept":"application/json","host":"catalog:8080","user-agent":"gateway/1.4"},"status_code":%d,"response.headers":{"content-encoding":"gzip","content-type":"application/json; charset=utf-8","server":"catalog"},"response_body_size":%d`, method, path, path, code, len(body)),
		bodies: [2]*dissect.Body{nil, {Type: "application/json", Encoding: "gzip", Data: []byte(body), Size: 96}}}
	return c
}

// shop is a backend with made-up calls: one each gap up to its start, and those that a test
// lets come in.
type shop struct {
	now    func() time.Time
	start  time.Time
	gap    time.Duration
	kept   int // calls that were kept before the start
	nodes  []tui.Node
	oldest int64
	report tui.Report
	fail   error
	panics string // "calls", "detail", "nodes", "check"
	extra  []*dissect.Call
	live   chan *dissect.Call
	drawer *drawer       // nil: there are no snapshots
	slow   time.Duration // how long a detail takes
	heard  heard

	mu      sync.Mutex
	queries []tui.Query
	open    int
}

func (s *shop) asked() []tui.Query {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]tui.Query(nil), s.queries...)
}

// at is the time of call i of those that are kept.
func (s *shop) at(i int) int64 {
	jitter := time.Duration((i * 131) % 70 * int(s.gap) / 100)
	return s.start.Add(-s.gap*time.Duration(s.kept-i) + jitter).UnixNano()
}

// matches knows the few filters that the tests type.
func (s *shop) matches(filter string, c *dissect.Call) (bool, error) {
	if strings.Contains(filter, " || ") { // the flows between two ends
		src, dst := c.Flow.Client.Addr, c.Flow.Server.Addr
		return strings.Contains(filter, fmt.Sprintf("src.ip == %q && src.port == %d && dst.ip == %q && dst.port == %d", src.Addr(), src.Port(), dst.Addr(), dst.Port())), nil
	}
	for part := range strings.SplitSeq(filter, " && ") {
		part = strings.TrimSpace(part)
		status, _ := strconv.Atoi(string(c.Message.AppendStatus(nil)))
		ok := false
		switch {
		case part == "", part == "true":
			ok = true
		case part == "http", part == "dns", part == "redis":
			ok = c.Protocol.Name == part
		case part == "error":
			ok = c.Error
		case part == `node_name == "node-a"`:
			ok = c.Flow.Node == "node-a"
		case part == "status_code >= 500":
			ok = status >= 500
		case strings.HasPrefix(part, "status_code == "):
			ok = strconv.Itoa(status) == strings.TrimPrefix(part, "status_code == ")
		case part == `method == "BREW"`:
		case part == `!(protocol == "dns")`:
			ok = c.Protocol.Name != "dns"
		case part == `protocol == "dns"`:
			ok = c.Protocol.Name == "dns"
		case part == `summary == "GET /favicon.ico"`:
			ok = string(c.Message.AppendSummary(nil)) == "GET /favicon.ico"
		default:
			at := strings.Index(filter, part)
			return false, fmt.Errorf("filter:1:%d: undeclared reference to %q\n | %s\n | %s^", at+1, part, filter, strings.Repeat(".", at))
		}
		if !ok {
			return false, nil
		}
	}
	return true, nil
}

func (s *shop) Check(filter string) error {
	if s.panics == "check" {
		panic("check")
	}
	_, err := s.matches(filter, made(0, 0))
	if err != nil {
		return err
	}
	for part := range strings.SplitSeq(filter, " && ") {
		if _, err := s.matches(part, made(0, 0)); err != nil {
			_, err = s.matches(filter, made(5, 0))
			if err == nil {
				err = fmt.Errorf("filter:1:1: undeclared reference to %q", part)
			}
			return err
		}
	}
	return nil
}

func (s *shop) Complete(filter string, cursor int) []tui.Completion {
	start := cursor
	for start > 0 && filter[start-1] != ' ' && filter[start-1] != '(' && filter[start-1] != '!' {
		start--
	}
	word := filter[start:cursor]
	if word == "" {
		return nil
	}
	var out []tui.Completion
	for _, f := range [][3]string{
		{"dns", "bool", "the call is DNS"}, {"dns_questions", "list", "names that were asked for"},
		{"status_code", "int", "of the response, as 404; of DNS its response code"},
		{"src.ip", "string", "address of the client"}, {"src.name", "string", "best name of the client"},
		{"src.namespace", "string", "Kubernetes namespace of the client"}, {"summary", "string", "the line that says what was asked"},
	} {
		if strings.HasPrefix(f[0], word) && f[0] != word {
			out = append(out, tui.Completion{Text: f[0], Start: start, Kind: f[1], Help: f[2]})
		}
	}
	return out
}

// Columns knows a few fields of the shop's calls.
func (s *shop) Columns(names ...string) (tui.ColumnReader, error) {
	if s.panics == "columns" {
		panic("columns")
	}
	for _, n := range names {
		if !slices.Contains([]string{"host", "status_code", "redis_key", "request.headers.user-agent", "request.headers.accept"}, n) {
			return nil, fmt.Errorf("filter:1:1: undeclared reference to %q", n)
		}
	}
	return func(dst []any, c *dissect.Call) []any {
		var fields map[string]any
		raw := strings.TrimPrefix(string(c.Message.AppendFields(nil)), ",")
		_ = json.Unmarshal([]byte("{"+raw+"}"), &fields) // hostile ones have none
		for _, n := range names {
			var v any
			if key, ok := strings.CutPrefix(n, "request.headers."); ok {
				headers, _ := fields["request.headers"].(map[string]any)
				v = headers[key]
			} else if v = fields[n]; n == "status_code" && v != nil {
				v = int64(v.(float64))
			}
			dst = append(dst, v)
		}
		return dst
	}, nil
}

func (s *shop) Calls(ctx context.Context, q tui.Query, each func(*dissect.Call) error) (tui.Report, error) {
	s.mu.Lock()
	s.queries = append(s.queries, q)
	s.open++
	s.mu.Unlock()
	defer func() { s.mu.Lock(); s.open--; s.mu.Unlock() }()
	if s.panics == "calls" {
		panic("calls")
	}
	report := s.report
	if s.fail != nil {
		return report, s.fail
	}
	if q.Follow {
		for {
			select {
			case c := <-s.live:
				if ok, _ := s.matches(q.Filter, c); ok {
					if err := each(c); err != nil {
						return report, err
					}
				}
			case <-ctx.Done():
				return report, ctx.Err()
			}
		}
	}
	report.Oldest, report.OldestNode = s.oldest, "node-a"
	var found []*dissect.Call
	for i := range s.kept {
		at := s.at(i)
		if at < q.Since || q.Until != 0 && at >= q.Until {
			continue
		}
		c := made(i, at)
		ok, err := s.matches(q.Filter, c)
		if err != nil {
			return report, err
		}
		if ok {
			found = append(found, c)
		}
	}
	found = append(found, s.extra...)
	report.Matched = uint64(len(found))
	if q.Last > 0 && len(found) > q.Last {
		found = found[len(found)-q.Last:]
	}
	for _, c := range found {
		if err := each(c); err != nil {
			return report, err
		}
	}
	return report, nil
}

// Flows are those of the calls that are kept; nothing follows.
func (s *shop) Flows(ctx context.Context, q tui.Query, each func(*dissect.Flow) error) (tui.Report, error) {
	if s.panics == "flows" {
		panic("flows")
	}
	if s.fail != nil {
		return s.report, s.fail
	}
	if q.Follow {
		<-ctx.Done()
		return s.report, ctx.Err()
	}
	report := s.report
	report.Oldest, report.OldestNode = s.oldest, "node-a"
	var flows []*dissect.Flow
	for i := range s.kept {
		at := s.at(i)
		c := made(i, at)
		if ok, err := s.matches(q.Filter, c); err != nil {
			return report, err
		} else if !ok || at < q.Since || q.Until != 0 && at >= q.Until {
			continue
		}
		f := c.Flow
		if q.Stream != "" && q.Stream != f.ID.String() {
			continue
		}
		if k := slices.IndexFunc(flows, func(o *dissect.Flow) bool { return o.ID == f.ID && o.Client == f.Client && o.Server == f.Server }); k >= 0 {
			f = flows[k]
		} else {
			f.First, f.Protocol = at, c.Protocol
			f.State = []dissect.State{dissect.Closed, dissect.InProgress, dissect.Open, dissect.Reset}[len(flows)%4]
			if f.State == dissect.Reset {
				f.Lost[1] = 1448
			}
			if s.heard.hostile {
				f.Client.Identity = &dissect.Identity{Pod: "a\x1b[2Jb\u202egnp\u200b👩\u200d💻", Namespace: "\x9b31m"}
			}
			flows = append(flows, f)
		}
		f.Last = at
		f.Packets[0] += 3
		f.Packets[1] += 2
		f.Bytes[0] += c.RequestSize + 160
		f.Bytes[1] += c.ResponseSize + 120
		f.Payload[0] += c.RequestSize
		f.Payload[1] += c.ResponseSize
	}
	report.Matched = uint64(len(flows))
	for _, f := range flows {
		if err := each(f); err != nil {
			return report, err
		}
	}
	return report, nil
}

func (s *shop) Detail(ctx context.Context, ref tui.Ref) (*tui.Detail, error) {
	if s.slow > 0 {
		select {
		case <-time.After(s.slow):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if s.panics == "detail" {
		panic("detail")
	}
	for _, c := range s.extra {
		if c.ID() == ref.ID {
			return tui.NewDetail(c), nil
		}
	}
	for i := range s.kept + 1000 {
		if c := made(i, ref.Time); c.ID() == ref.ID {
			return tui.NewDetail(c), nil
		}
	}
	return nil, errors.New("no such flow: its packets are not kept any more")
}

func (s *shop) Nodes(context.Context) ([]tui.Node, error) {
	if s.panics == "nodes" {
		panic("nodes")
	}
	return s.nodes, nil
}

// newShop is a shop in good health with n calls, one each gap.
func newShop(now func() time.Time, n int, gap time.Duration) *shop {
	start := now()
	s := &shop{now: now, start: start, gap: gap, kept: n, live: make(chan *dissect.Call)}
	s.oldest = start.Add(-2 * time.Hour).UnixNano()
	newest := start.UnixNano()
	s.nodes = []tui.Node{
		{Name: "node-a", State: "capturing", PacketRate: 12_480, ByteRate: 9.1e6, Seen: 48_120_933, Oldest: s.oldest, Newest: newest, StoreUsed: 7 << 30, StoreLimit: 10 << 30, Pods: 14},
		{Name: "node-b", State: "capturing", PacketRate: 8_210, ByteRate: 5.2e6, Seen: 31_002_114, Oldest: s.oldest + 6e11, Newest: newest, StoreUsed: 10 << 30, StoreLimit: 10 << 30, Pods: 11},
	}
	return s
}
