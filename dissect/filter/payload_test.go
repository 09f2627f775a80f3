package filter

import (
	"testing"
)

// TestPayload: what was said is told apart from who spoke when and how it ended.
func TestPayload(t *testing.T) {
	l := testLanguage(t)
	for _, tt := range []struct{ text, want string }{
		{"", ""},
		{`http && src.namespace == "shop" && latency > duration("1s")`, ""},
		{`error && size > 100 && incomplete && elapsed_time > 5 && duration_us > 5 && protocol == "http"`, ""},
		{`time > now() - duration("5m") && id != 1 && index == 0 && stream != ""`, ""},
		{`flow_state == "open" && "HTTP" in flow_l7_detected && has(src.pod.name) && has(error)`, ""},
		{`status_code == 500`, "status_code"},
		{`error || has(path)`, "path"},
		{`!(error || url != "" || method == "GET")`, "method"},
		{`[1, 2].exists(x, x == status_code)`, "status_code"},
		{`request.headers["cookie"] != ""`, "request.headers"},
		{`summary.startsWith("GET")`, "summary"},
		{`body.contains("x")`, "body"},
		{`request.body != ""`, "request.body"},
		{`"a" in dns_questions`, "dns_questions"},
		{`redis_command == "GET"`, "redis_command"}, // of a protocol that is not here
		{`tls_summary != ""`, "tls_summary"},
	} {
		f, err := l.Compile(tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		if got := f.Payload(); got != tt.want {
			t.Errorf("%s: reads %q, want %q", tt.text, got, tt.want)
		}
	}
}

// TestSaidIsOfCalls: whatever only a call's payload tells is something that was said, but for
// the few that are named here.
func TestSaidIsOfCalls(t *testing.T) {
	metadata := map[string]bool{"elapsed_time": true, "latency": true, "duration": true, "duration_us": true, "error": true, "incomplete": true, "size": true}
	for name, f := range testLanguage(t).fields {
		if want := f.scope >= scopeCall && !metadata[name]; f.said != want {
			t.Errorf("%s: said is %v", name, f.said)
		}
	}
}
