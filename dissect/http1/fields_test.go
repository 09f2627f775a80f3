package http1

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/http"
)

func TestFields(t *testing.T) {
	request := "POST /a%20b?q=1&q=2&x=%41+b&flag&%zz=%4 HTTP/1.1\r\nHost: shop\r\nX-Dup: 1\r\nx-dup: 2\r\nCookie: a=1; b=\"two\"; c\r\nX-Fold: one\r\n  two\r\nno colon\r\nContent-Length: 2\r\nX-Raw: \xff\x1b[31m\"\r\n\r\n{}"
	response := "HTTP/1.1 404 Not Found\r\nSet-Cookie: s=1; Path=/; HttpOnly\r\nSet-Cookie: t=2\r\nContent-Length: 5\r\n\r\nhello"
	want := map[string]any{ // those of HTTP/2 are not known
		"method": "POST", "url": "/a%20b?q=1&q=2&x=%41+b&flag&%zz=%4", "path": "/a%20b", "host": "shop", "http_version": "HTTP/1.1",
		"query_string":         map[string]string{"q": "1,2", "x": "A b", "flag": "", "%zz": "%4"},
		"request.headers":      map[string]string{"host": "shop", "x-dup": "1, 2", "cookie": `a=1; b="two"; c`, "x-fold": "one two", "content-length": "2", "x-raw": "\xff\x1b[31m\""},
		"request.cookies":      map[string]string{"a": "1", "b": "two", "c": ""},
		"request_headers_size": int64(len(request) - 2), "request_body_size": int64(2),
		"status_code":           int64(404),
		"response.headers":      map[string]string{"set-cookie": "s=1; Path=/; HttpOnly, t=2", "content-length": "5"},
		"response.cookies":      map[string]string{"s": "1", "t": "2"},
		"response_headers_size": int64(len(response) - 5), "response_body_size": int64(5),
	}
	k := &sink{TB: t, Tell: tell, Each: func(c *dissect.Call) {
		for _, f := range Protocol().Fields {
			got, known := f.Get(c), want[f.Name] != nil
			if !reflect.DeepEqual(got, want[f.Name]) {
				t.Errorf("%s is %#v, want %#v", f.Name, got, want[f.Name])
			}
			if !known && !strings.HasPrefix(f.Name, "http2_") && !strings.HasSuffix(f.Name, ".trailers") {
				t.Errorf("%s is not tested", f.Name)
			}
		}
		if !c.Error {
			t.Error("404 is no error")
		}
	}}
	if err := run(k, []step{c(request), s(response)}, 0); err != nil {
		t.Fatal(err)
	}
	// What is printed is what a filter sees.
	var printed map[string]any
	if err := json.Unmarshal([]byte(k.Lines[0]), &printed); err != nil {
		t.Fatal(err)
	}
	for name, v := range want {
		b, _ := json.Marshal(v)
		var v any
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(printed[name], v) {
			t.Errorf("printed %s is %#v, want %#v", name, printed[name], v)
		}
	}
	if len(printed) != len(want) {
		t.Errorf("%d keys are printed, want %d: %s", len(printed), len(want), k.Lines[0])
	}
}

func TestLoneMessages(t *testing.T) {
	for _, tt := range []struct {
		name    string
		step    step
		summary string
		known   []string
	}{
		{"request", c(get("/a?b=c")), "GET /a?b=c", []string{"method", "url", "path", "host", "http_version", "query_string", "request.headers", "request.cookies", "request_headers_size", "request_body_size"}},
		{"response", s("HTTP/1.1 204 No Content\r\n\r\n"), "204 No Content", []string{"http_version", "status_code", "response.headers", "response.cookies", "response_headers_size", "response_body_size"}},
		{"response without a reason", s("HTTP/1.1 204\r\n\r\n"), "204", []string{"http_version", "status_code", "response.headers", "response.cookies", "response_headers_size", "response_body_size"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := &sink{TB: t, Tell: tell, Each: func(c *dissect.Call) {
				var known []string
				for _, f := range http.Fields {
					if f.Get(c) != nil {
						known = append(known, f.Name)
					}
				}
				if !reflect.DeepEqual(known, tt.known) {
					t.Errorf("known: %q", known)
				}
				if got := string(c.Message.AppendSummary(nil)); got != tt.summary {
					t.Errorf("summary %q, want %q", got, tt.summary)
				}
			}}
			if err := run(k, []step{tt.step}, 0); err != nil || len(k.Calls) != 1 {
				t.Fatal(err, k.Calls)
			}
		})
	}
}

func TestTargets(t *testing.T) {
	for _, tt := range []struct{ target, path, query, host string }{
		{"/", "/", "", ""},
		{"/a/b?x=1#f", "/a/b", "x=1", ""},
		{"/a?b?c", "/a", "b?c", ""},
		{"?x", "", "", ""},
		{"*", "*", "", ""},
		{"http://h", "/", "", "h"},
		{"http://h:80/p?q", "/p", "q", "h:80"},
		{"http://h?q", "/", "q", "h"},
		{"/redirect?to=http://other/x", "/redirect", "to=http://other/x", ""},
		{"h:443", "", "", ""},
	} {
		path, query := http.SplitURL([]byte(tt.target))
		if string(path) != tt.path || string(query) != tt.query {
			t.Errorf("%s: path %q, query %q", tt.target, path, query)
		}
		var host string
		k := &sink{TB: t, Tell: tell, Each: func(c *dissect.Call) { host, _ = http.Fields[3].Get(c).(string) }}
		if err := run(k, []step{c("GET " + tt.target + " HTTP/1.1\r\n\r\n")}, 0); err != nil {
			t.Fatal(err)
		}
		if host != tt.host {
			t.Errorf("%s: host %q", tt.target, host)
		}
	}
}
