package dissect

import (
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sshark/sshark/pcap/flow"
)

type httpLike struct {
	summary string
}

func (m *httpLike) AppendSummary(dst []byte) []byte { return append(dst, m.summary...) }
func (m *httpLike) AppendStatus(dst []byte) []byte  { return append(dst, "200"...) }
func (m *httpLike) AppendFields(dst []byte) []byte {
	dst = append(dst, `,"method":`...)
	dst = AppendString(dst, "GET")
	dst = append(dst, `,"url":`...)
	dst = AppendString(dst, "/cart/17?full=1")
	dst = append(dst, `,"path":`...)
	dst = AppendString(dst, "/cart/17")
	return append(dst, `,"status_code":200`...)
}
func (*httpLike) Body(int) *Body { return nil }

func smallCall() *Call {
	f := &Flow{
		ID: 0x123456789abcd, Node: "node-a", Transport: flow.TCP,
		Client: Endpoint{netip.MustParseAddrPort("10.1.0.2:40312"), &Identity{Namespace: "shop", Pod: "gateway-1"}},
		Server: Endpoint{netip.MustParseAddrPort("10.1.0.3:8080"), &Identity{Namespace: "shop", Service: "cart", Pod: "cart-7"}},
	}
	return &Call{
		Flow: f, Protocol: &Protocol{Name: "http"}, Seq: 1,
		Time: 1767366245000000001, RequestEnd: 1767366245000001001, ResponseStart: 1767366245002001001, ResponseEnd: 1767366245003000001,
		Message: &httpLike{"GET /cart/17"},
	}
}

func TestAppendCall(t *testing.T) {
	b := AppendCall(nil, smallCall())
	var got struct {
		ID       uint64 `json:"id"`
		Time     time.Time
		Node     string
		Protocol string
		Src, Dst struct {
			IP        string
			Port      int
			Name      string
			Namespace string
			Pod       map[string]string
			Service   map[string]string
		}
		Summary string
		Stream  string
		Elapsed int64 `json:"elapsed_time"`
		Dur     int64 `json:"duration_us"`
		Error   *bool
		Status  int `json:"status_code"`
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	if got.ID != smallCall().ID() || got.Time.UnixNano() != 1767366245000000001 || got.Node != "node-a" || got.Protocol != "http" ||
		got.Src.IP != "10.1.0.2" || got.Src.Port != 40312 || got.Src.Pod["name"] != "gateway-1" || got.Src.Pod["namespace"] != "shop" ||
		got.Dst.Name != "cart" || got.Dst.Service["name"] != "cart" || got.Summary != "GET /cart/17" || got.Stream != "123456789abcd" ||
		got.Elapsed != 2000 || got.Dur != 3000 || got.Error == nil || *got.Error || got.Status != 200 {
		t.Errorf("got %+v\nfrom %s", got, b)
	}
}

func TestAppendCallEscapesSummary(t *testing.T) {
	for _, s := range []string{"", "plain", "a\"b\\c", "\x1b[31m", "\x00\x7f", "\u009b2J", "é漢", "\xff\xfe", "\u202eabc", "line\nline\u2028"} {
		c := smallCall()
		c.Message = &httpLike{s}
		for _, room := range []int{0, 4096} {
			b := AppendCall(make([]byte, 0, room), c)
			var got struct{ Summary string }
			if err := json.Unmarshal(b, &got); err != nil {
				t.Fatalf("%q: %v: %s", s, err, b)
			}
			if want := string([]rune(s)); got.Summary != want {
				t.Errorf("%q became %q", want, got.Summary)
			}
			for _, r := range string(b) {
				if r < 0x20 || r >= 0x7f && r < 0xa0 {
					t.Errorf("%q: control character %U in the output", s, r)
				}
			}
		}
	}
}

func TestAppendFlow(t *testing.T) {
	f := smallCall().Flow
	f.First, f.Last, f.Packets, f.Bytes, f.State, f.Vantage = 1, 2e9, [2]uint64{3, 4}, [2]uint64{300, 4000}, Reset, SideServer
	f.Protocol = &Protocol{Name: "http", Title: "HTTP"}
	f.Client.Identity = &Identity{Labels: map[string]string{"b": "2", "a": "1", "": "0"}}
	b := AppendFlow(nil, f)
	const want = `{"id":320255973501901,"time":"1970-01-01T00:00:00.000000001Z","end":"1970-01-01T00:00:02.000000000Z","node":"node-a","protocol":"tcp",` +
		`"src":{"ip":"10.1.0.2","port":40312,"labels":{"":"0","a":"1","b":"2"}},` +
		`"dst":{"ip":"10.1.0.3","port":8080,"name":"cart","namespace":"shop","pod":{"name":"cart-7","namespace":"shop"},"service":{"name":"cart","namespace":"shop"}},` +
		`"stream":"123456789abcd","packets":7,"bytes":4300,"flow_state":"closed","reset":true,"flow_l7_detected":["HTTP"],` +
		`"flow_local_pkts":4,"flow_local_bytes":4000,"flow_remote_pkts":3,"flow_remote_bytes":300,"vantage":"server"}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
	if !json.Valid(b) {
		t.Error("not JSON")
	}
}

// A call that was seen at both ends says so, and how long it was on the way.
func TestAppendCallOfBothEnds(t *testing.T) {
	c := smallCall()
	c.Flow.Vantage = SideBoth
	c.Client = &Sighting{Node: "node-b", Time: 1767366244999900001, RequestEnd: 1767366244999901001, ResponseStart: 1767366245002151001, ResponseEnd: 1767366245003100001}
	b := AppendCall(nil, c)
	const want = `"error":false,"vantage":"both","network_time":250,"client_seen":{"node":"node-b","time":"2026-01-02T15:04:04.999900001Z"},"method":"GET"`
	if !strings.Contains(string(b), want) || !json.Valid(b) {
		t.Errorf("got %s", b)
	}
	c.Client.ResponseStart = c.Client.RequestEnd // clocks are read in between packets: never below 0
	if ns, ok := c.Network(); ns != 0 || !ok {
		t.Errorf("network %d, %v", ns, ok)
	}
	c.Client.ResponseStart = 0
	if b := AppendCall(nil, c); strings.Contains(string(b), "network_time") {
		t.Errorf("got %s", b)
	}
	c.Flow.Packets = [2]uint64{3, 4}
	if b := AppendFlow(nil, c.Flow); !strings.HasSuffix(string(b), `"flow_local_pkts":4,"flow_local_bytes":0,"flow_remote_pkts":3,"flow_remote_bytes":0,"vantage":"both"}`) {
		t.Errorf("got %s", b)
	}
}

func TestAppendTime(t *testing.T) {
	check := func(ns int64) {
		t.Helper()
		want := time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.000000000Z07:00")
		if got := string(AppendTime(nil, ns)); got != want {
			t.Errorf("%d: got %s, want %s", ns, got, want)
		}
	}
	for _, ns := range []int64{0, 1, -1, 1e9, -1e9, 951782400e9, 951868800e9, 1<<63 - 1, -1 << 63, 1709164800e9} {
		check(ns)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 10000 {
		check(int64(r.Uint64()))
	}
}

func BenchmarkAppendCall(b *testing.B) {
	c := smallCall()
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendCall(buf[:0], c)
	}
	b.SetBytes(int64(len(buf)))
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}
