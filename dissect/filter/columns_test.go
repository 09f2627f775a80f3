package filter

import (
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
)

// writtenMessage is a call of an answer: what its protocol said, written down.
type writtenMessage struct{ summary, fields string }

func (m *writtenMessage) AppendSummary(b []byte) []byte { return append(b, m.summary...) }
func (m *writtenMessage) AppendStatus(b []byte) []byte  { return b }
func (m *writtenMessage) AppendFields(b []byte) []byte  { return append(b, m.fields...) }
func (*writtenMessage) Body(int) *dissect.Body          { return nil }

func writtenCall(fields string) *dissect.Call {
	c := httpCall()
	c.Message = &writtenMessage{"POST /cart", fields}
	return c
}

func TestColumns(t *testing.T) {
	l := testLanguage(t)
	http := writtenCall(`,"method":"POST","status_code":503,"request.headers":{"host":"cart","x-\"":"y"}`)
	dns := dnsCall()
	dns.Message = &writtenMessage{"", `,"dns_request":true,"dns_questions":["a.example","b.example"],"dns_rcode":3`}
	for _, tt := range []struct {
		name string
		call *dissect.Call
		want any
	}{
		{"protocol", http, "http"},
		{"method", http, "POST"},
		{"status_code", http, int64(503)},
		{"path", http, nil},
		{"summary", http, "POST /cart"},
		{"error", http, true},
		{"elapsed_time", http, int64(20000)},
		{"src.namespace", http, "shop"},
		{"dst.service", http, "cart"},
		{"dst.service.name", http, "cart"},
		{"src.service", http, nil},
		{"src.pod", http, "front-0"},
		{"src", http, "front-0"},
		{"dst.port", http, int64(8080)},
		{"node", http, "node-b"},
		{"node.ip", http, "192.0.2.7"},
		{"namespaces", http, "store,shop"},
		{"src.labels.app.kubernetes.io/part-of", http, "shop"},
		{"src.labels.none", http, nil},
		{"request.headers.host", http, "cart"},
		{"request.headers.Host", http, "cart"},
		{"dns_questions", http, nil},
		{"dns_questions", dns, "a.example,b.example"},
		{"dns_request", dns, true},
		{"status_code", dns, int64(3)}, // KFL2's name of dns_rcode
		{"udp", dns, true},
		{"method", writtenCall(`,"method":503`), nil},
		{"method", writtenCall(`,"method"`), nil},
		{"method", writtenCall(``), nil},
		{"method", &dissect.Call{Protocol: protoHTTP}, nil},
	} {
		c, err := l.Columns(tt.name)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		for range 2 {
			if got := c.Read(nil, tt.call); len(got) != 1 || got[0] != tt.want {
				t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
			}
		}
	}
	c, err := l.Columns("protocol", "status_code")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Read(nil, http); !slices.Equal(got, []any{"http", int64(503)}) {
		t.Errorf("two columns: %v", got)
	}
}

func TestColumnsPayload(t *testing.T) {
	for names, want := range map[string]string{"protocol,src.namespace,error,node": "", "protocol,path": "path", "request.headers.host": "request.headers", "summary": "summary"} {
		c, err := testLanguage(t).Columns(strings.Split(names, ",")...)
		if err != nil || c.Payload() != want {
			t.Errorf("%s: %q %v", names, c.Payload(), err)
		}
	}
}

func TestColumnsRefuse(t *testing.T) {
	for names, want := range map[string]string{
		"protocol,stauts_code": "line 1, column 10: unknown field `stauts_code`, did you mean `status_code`?",
		"":                     "unknown field",
		"src.po":               "unknown field",
		"src.labels":           "want a key of it, such as src.labels.app",
		"time":                 "differs from call to call",
		"latency":              "differs from call to call",
		"body":                 "differs from call to call",
		"flow_state":           "a field of flows",
		"raw_payload":          "nothing can be grouped",
		"local_process_name":   "cannot be known",
	} {
		if _, err := testLanguage(t).Columns(strings.Split(names, ",")...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", names, err, want)
		}
	}
}
