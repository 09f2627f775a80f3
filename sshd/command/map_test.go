package command

import (
	"errors"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/sshd/sourcetest"
	"github.com/sshark/sshark/worker/query"
)

func TestMap(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		width      int
		color      bool
	}{
		{"map-80", "map", 80, false},
		{"map-120-color", "map --by service", 120, true},
		{"map-pipe", "map --by namespace", 0, false},
		{"map-json", "map -o json --by pod", 0, false},
		{"map-json-flows", "map -o json --calls=false", 0, false},
		{"map-json-filtered", "map -o json status_code == 503", 0, false},
		{"map-dot", "map -o dot", 0, false},
		{"map-mermaid", "map -o mermaid", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(&sourcetest.Source{Kept: 8})
			e.Terminal, e.Width, e.Color = tt.width > 0, tt.width, tt.color
			r := runLine(t, e, tt.line)
			if r.status != ExitOK {
				t.Fatalf("status %d: %s", r.status, r.stderr)
			}
			golden(t, tt.name+".txt", r.out)
			if !strings.Contains(r.stderr, "1 edge by protocol and port, from ") || strings.Count(r.stderr, "\n") != 1 {
				t.Errorf("standard error: %q", r.stderr)
			}
		})
	}
}

func TestMapStatus(t *testing.T) {
	missing := []query.NodeReport{{Node: "node-a", Oldest: 1, Newest: 2}, {Node: "node-b", Missing: "connection refused"}}
	for _, tt := range []struct {
		name, line string
		source     *sourcetest.Source
		want       int
		says, out  string
	}{
		{"grouping", "map --by color", &sourcetest.Source{Kept: 8}, ExitUsage, "workload, service, pod, namespace, node", ""},
		{"format", "map -o svg", &sourcetest.Source{Kept: 8}, ExitUsage, "text, json, dot, mermaid", ""},
		{"follow", "map -f", &sourcetest.Source{Kept: 8}, ExitUsage, "--follow", ""},
		{"last", "map --last 3", &sourcetest.Source{Kept: 8}, ExitUsage, "--last", ""},
		{"filter", "map statuscode == 1", &sourcetest.Source{Kept: 8}, ExitUsage, "line 1, column 1", ""},
		{"partial", "map", &sourcetest.Source{Kept: 8, Report: missing}, ExitPartial, "node-b did not answer: connection refused", "cart"},
		{"failed", "map", &sourcetest.Source{Kept: 8, Err: errors.New("store is broken")}, ExitFailed, "store is broken", "cart"},
		{"nothing kept", "map", &sourcetest.Source{}, ExitOK, "no flows: no packet is kept yet", ""},
		{"nothing matches", "map status_code == 1", &sourcetest.Source{Kept: 8}, ExitOK, "none of the 8 flows in the window match the filter", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := runLine(t, newEnv(tt.source), tt.line)
			if r.status != tt.want || !strings.Contains(r.stderr, tt.says) {
				t.Errorf("status %d, want %d: %s", r.status, tt.want, r.stderr)
			}
			if tt.out == "" && r.out != "" || !strings.Contains(r.out, tt.out) {
				t.Errorf("standard output: %q", r.out)
			}
		})
	}
}

// TestMapFilters: what is asked for is what is counted, in each format.
func TestMapFilters(t *testing.T) {
	language, err := filter.New([]*dissect.Protocol{sourcetest.HTTP})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		words string
		calls string // of 20, each fifth of which failed
	}{
		{"", `"calls":20,"errors":4`},
		{"src.pod.name == \"gateway-7d9f\"", `"calls":20,"errors":4`},
		{"src.pod.name == \"cart-0\"", ""},
		{"dst.namespace == \"shop\" && error", `"calls":4,"errors":4`},
		{"-n shop status_code == 200", `"calls":16,"errors":0`},
		{"-n bank", ""},
		{"src.node == \"node-a\"", ""},
		{"--by service dst.service.name == \"cart\"", `"calls":20,"errors":4`},
		{"--by namespace 'path.matches(\"^/cart/(3|4)$\")'", `"calls":2,"errors":1`},
		{"--by node", `"calls":20,"errors":4`},
	} {
		t.Run(tt.words, func(t *testing.T) {
			e := newEnv(&sourcetest.Source{Kept: 20, Language: language})
			r := runLine(t, e, "map -o json "+tt.words)
			if r.status != ExitOK || tt.calls == "" && r.out != "" || !strings.Contains(r.out, tt.calls) {
				t.Errorf("status %d: %s%s", r.status, r.out, r.stderr)
			}
			for _, format := range []string{"text", "dot", "mermaid"} {
				r := runLine(t, e, "map -o "+format+" "+tt.words)
				if r.status != ExitOK || (tt.calls != "") != strings.Contains(r.out, "http") {
					t.Errorf("%s: status %d: %s%s", format, r.status, r.out, r.stderr)
				}
			}
		})
	}
}
