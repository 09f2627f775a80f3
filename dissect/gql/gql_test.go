package gql

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/dissect/http"
	"github.com/sshark/sshark/pcap/memtest"
)

// message is an HTTP message with what GraphQL asks of one.
type message struct {
	method, url, contentType, encoding string
}

func (m *message) Method() []byte        { return []byte(m.method) }
func (m *message) URL() []byte           { return []byte(m.url) }
func (m *message) Host() []byte          { return nil }
func (m *message) Status() int           { return 200 }
func (m *message) Version() string       { return "HTTP/1.1" }
func (m *message) Trailers() []http.Pair { return nil }
func (m *message) HeadSize() int         { return 0 }
func (m *message) BodySize() int64       { return 0 }
func (m *message) Headers() []http.Pair {
	return []http.Pair{{Name: []byte("Content-Type"), Value: []byte(m.contentType)}, {Name: []byte("Content-Encoding"), Value: []byte(m.encoding)}}
}

// call is an HTTP call with a response.
type call struct {
	dissect.Message
	resp *message
}

func (c call) Request() http.Message  { return nil }
func (c call) Response() http.Message { return c.resp }

// ask tells what is made of a request with that body, which comes in pieces.
func ask(m *message, body string, piece int) string {
	var c Call
	if !May(m) || !c.Begin(m) {
		return ""
	}
	for len(body) > 0 {
		n := min(piece, len(body))
		c.Data(0, []byte(body[:n]))
		body = body[n:]
	}
	if !c.Decide(m) {
		return ""
	}
	return fmt.Sprintf("%s/%s/%s", c.kind, c.name, c.AppendSummary(nil))
}

func TestRequests(t *testing.T) {
	long := strings.Repeat("x", maxBody)
	for _, tt := range []struct{ name, body, want string }{
		{"a query", `{"query":"query Cart($id: ID! = 1) @live { cart(id: $id) { id } }"}`, "query/Cart/query Cart"},
		{"in short", `{"query":"{ cart }"}`, "query//query { cart }"},
		{"in short, with an alias", `{"query":"{mine:cart{id}}"}`, "query//query { cart }"},
		{"a fragment first", `{"query":"{ ...F }"}`, "query//query { ... }"},
		{"a mutation", `{"query":"mutation{add(text:\"{ \\\" }\")}"}`, "mutation//mutation { add }"},
		{"a subscription", `{"query":"subscription On { news }"}`, "subscription/On/subscription On"},
		{"blanks and comments", `{"query":"\ufeff # query Not { a }\n\n\tquery   A\n{ b }"}`, "query/A/query A"},
		{"its name beside it", `{"operationName":"B","variables":{"query":"{ no }"},"query":"query A { a(x: \"\"\"}\"\"\") } query B { b }"}`, "query/B/query B"},
		{"a name that is not there", `{"operationName":"C","query":"query A { a }"}`, "query/C/query C"},
		{"fragments before it", `{"query":"fragment F on Q { x } fragment G on Q @d { y } mutation M { m }"}`, "mutation/M/mutation M"},
		{"no name", `{"query":"query A { a }","operationName":null}`, "query/A/query A"},
		{"a batch", `[{"query":"query A { a }"},{"query":"mutation B { b }"}]`, "query/A/query A"},
		{"persisted", `{"operationName":"Cart","extensions":{"persistedQuery":{"version":1,"sha256Hash":"ab"}}}`, "/Cart/Cart"},
		{"cut in the query", `{"query":"query A { a ` + long, "query/A/query A"},
		{"variables that are too long", `{"variables":"` + long + `","query":"{ a }"}`, ""},
		{"a text to search for", `{"query":"query of a user"}`, ""},
		{"a word", `{"query":"query"}`, ""},
		{"a mutation of genes", `{"query":"mutation BRCA1"}`, ""},
		{"braces of something else", `{"query":"{}"}`, ""},
		{"a template", `{"query":"{{name}}"}`, ""},
		{"SQL", `{"query":"SELECT 1"}`, ""},
		{"an object", `{"query":{"match_all":{}}}`, ""},
		{"deeper", `{"a":{"query":"{ a }"}}`, ""},
		{"no JSON", `query A { a }`, ""},
		{"nothing", ``, ""},
		{"a number", `17`, ""},
		{"a list", `[1,2]`, ""},
	} {
		for _, piece := range []int{1 << 20, 1, 7} {
			if got := ask(&message{method: "POST", url: "/x", contentType: "application/json; charset=utf-8"}, tt.body, piece); got != tt.want {
				t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
			}
		}
		for i := range min(len(tt.body), 200) { // never a panic
			ask(&message{method: "POST", contentType: "application/json"}, tt.body[:i], 1<<20)
		}
	}
	for _, tt := range []struct {
		m          message
		body, want string
	}{
		{message{method: "POST", contentType: "application/graphql"}, "query A { a }", "query/A/query A"},
		{message{method: "POST", contentType: "application/graphql+json"}, `{"query":"{a}"}`, "query//query { a }"},
		{message{method: "POST", contentType: "text/plain"}, `{"query":"{a}"}`, ""},
		{message{method: "PUT", contentType: "application/json"}, `{"query":"{a}"}`, ""},
		{message{method: "GET", url: "/g?query=%7B+a+%7D"}, "", "query//query { a }"},
		{message{method: "GET", url: "/g?operationName=B&query=query%20A{a}query%20B{b}"}, "", "query/B/query B"},
		{message{method: "GET", url: "/g?operationName=A&extensions=%7B%22persistedQuery%22:%7B%7D%7D"}, "", "query/A/query A"},
		{message{method: "GET", url: "/g?query=shoes"}, "", ""},
		{message{method: "GET", url: "/query=%7Ba%7D"}, "", ""},
	} {
		if got := ask(&tt.m, tt.body, 1<<20); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.m, got, tt.want)
		}
	}
}

func TestResponses(t *testing.T) {
	for _, tt := range []struct {
		body   string
		failed bool
		text   string
	}{
		{`{"data":{"a":1}}`, false, ""},
		{`{"data":null,"errors":[{"path":["a"],"message":"no \"luck\"\n"}]}`, true, "no \"luck\"\n"},
		{`{"errors":[{"message":"one"},{"message":"two"}],"data":{}}`, true, "one"},
		{`{"errors":[],"data":{}}`, false, ""},
		{`{"errors":null}`, false, ""},
		{`{"data":{"errors":[{"message":"deeper"}]}}`, false, ""},
		{`[{"data":{}},{"errors":[{"message":"the second"}]}]`, true, "the second"},
		{`{"errors":[{"mess`, true, ""},
		{`{"errors":[`, false, ""},
		{`<html>`, false, ""},
		{``, false, ""},
	} {
		var c Call
		m := &message{method: "POST", contentType: "application/json"}
		c.Begin(m)
		c.Data(0, []byte(`{"query":"{ a }"}`))
		c.Decide(m)
		c.Data(1, []byte(tt.body))
		if failed := c.End(call{resp: &message{}}); failed != tt.failed || string(c.failure) != tt.text {
			t.Errorf("%s: %v, %q", tt.body, failed, c.failure)
		}
	}
}

func FuzzBodies(f *testing.F) {
	f.Add([]byte(`{"operationName":"B","query":"query A { a(x: \"\"\"}\"\"\") } query B { b }"}`), []byte(`{"errors":[{"message":"one"}]}`))
	f.Add([]byte(`[{"query":"fragment F on Q { x } {a}"}]`), []byte(`[{"data":{}}]`))
	memory := memtest.New(cuttest.Memory)
	f.Fuzz(func(t *testing.T, request, response []byte) {
		memory.Input()
		defer memory.Check(t)
		for _, contentType := range []string{"application/json", "application/graphql"} {
			var c Call
			m := &message{method: "POST", contentType: contentType}
			c.Begin(m)
			c.Data(0, request)
			if !c.Decide(m) {
				continue
			}
			c.Data(1, response)
			c.End(call{resp: &message{}})
			if !c.Told() {
				t.Error("nothing is told")
			}
			if n := len(c.AppendSummary(nil)); n > maxText+100 {
				t.Errorf("a summary of %d bytes", n)
			}
		}
	})
}
