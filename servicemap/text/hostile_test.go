package text

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sshark/sshark/servicemap"
)

// TestHostileNames: what came off the wire commands no terminal and breaks out of no format.
func TestHostileNames(t *testing.T) {
	names := []string{"\x1b[2J\u009b1m", "a\"];\n evil [x=\"", "\u202ex|y<b>`#`", "漢字\xff", `back\`, "", strings.Repeat("long", 80)}
	m := &servicemap.Map{}
	for i, n := range names {
		m.Nodes = append(m.Nodes, servicemap.Node{Name: n, Namespace: names[len(names)-1-i], Kind: "DNS"})
		m.Edges = append(m.Edges, servicemap.Edge{From: i, To: (i + 1) % len(names), Protocol: n, Calls: 2, Errors: 1})
	}
	var lines []byte
	for i := range m.Edges {
		line := AppendEdge(nil, m, i)
		if !json.Valid(line) {
			t.Errorf("not JSON: %s", line)
		}
		lines = append(append(lines, line...), '\n')
	}
	outputs := map[string]string{"json": string(lines), "dot": DOT(m), "mermaid": Mermaid(m)}
	for _, o := range []Options{{}, {Width: 120}, {Width: 80, Height: 24}, {Width: 20, Height: 5}, {Width: 1, Height: 1}} {
		d := Draw(m, o)
		fits(t, d, o)
		outputs["text"] += strings.Join(d.Lines, "\n") + "\n"
	}
	for format, out := range outputs {
		for _, c := range out {
			if c < 0x20 && c != '\n' || c >= 0x7f && c < 0xa0 || c == 0x202e {
				t.Errorf("%s: %U reaches the terminal", format, c)
			}
		}
	}
	// Nodes, edges, the frame and the red edges: no name made a line of its own.
	if got, want := strings.Count(outputs["dot"], "\n"), 2*len(names)+4; got != want {
		t.Errorf("dot: %d lines, want %d:\n%s", got, want, outputs["dot"])
	}
	if got, want := strings.Count(outputs["mermaid"], "\n"), 2*len(names)+2; got != want {
		t.Errorf("mermaid: %d lines, want %d:\n%s", got, want, outputs["mermaid"])
	}
	for line := range strings.Lines(outputs["mermaid"]) {
		if n := strings.Count(line, `"`); n != 2 && !strings.Contains(line, "linkStyle") && !strings.HasPrefix(line, "flowchart") {
			t.Errorf("mermaid: %d quotes: %s", n, line)
		}
	}
}
