package text

import (
	"fmt"
	"strings"

	"github.com/sshark/sshark/servicemap"
)

// DOT writes a map in the language of Graphviz.
func DOT(m *servicemap.Map) string {
	var b strings.Builder
	b.WriteString("digraph sshark {\n  rankdir=LR;\n  node [shape=box, style=rounded];\n")
	for i := range m.Nodes {
		n := &m.Nodes[i]
		style := ""
		if n.Outside() {
			style = `, style="rounded,dashed"`
		}
		fmt.Fprintf(&b, "  n%d [label=%s%s];\n", i, dotString(display(n)), style)
	}
	for _, k := range Links(m) {
		style := ""
		if k.Edge.Errors > 0 {
			style = ", color=red"
		}
		fmt.Fprintf(&b, "  n%d -> n%d [label=%s%s];\n", k.From, k.To, dotString(k.text()), style)
	}
	b.WriteString("}\n")
	return b.String()
}

// Mermaid writes a map as a flowchart of Mermaid.
func Mermaid(m *servicemap.Map) string {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	for i := range m.Nodes {
		fmt.Fprintf(&b, "  n%d[%s]\n", i, mermaidString(display(&m.Nodes[i])))
	}
	var failed []string
	for i, k := range Links(m) {
		fmt.Fprintf(&b, "  n%d -->|%s| n%d\n", k.From, mermaidString(k.text()), k.To)
		if k.Edge.Errors > 0 {
			failed = append(failed, fmt.Sprint(i))
		}
	}
	if len(failed) > 0 {
		fmt.Fprintf(&b, "  linkStyle %s stroke:red\n", strings.Join(failed, ","))
	}
	return b.String()
}

func display(n *servicemap.Node) string {
	s := safe(n.Display())
	if n.Members > 0 {
		s = fmt.Sprintf("%s (%d)", s, n.Members)
	}
	return s
}

// text is all of a link's label.
func (k *Link) text() string {
	plain, bad, tail := k.label(levels[0], &Options{})
	return strings.Join(strings.Fields(plain+" "+bad+" "+tail), " ")
}

// dotString quotes a string: a backslash begins an escape in labels.
func dotString(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// mermaidString quotes a string: labels are HTML, and # begins an entity there.
func mermaidString(s string) string {
	return `"` + strings.NewReplacer("#", "#35;", `"`, "#quot;", "<", "#lt;", ">", "#gt;", "&", "#amp;", "`", "#96;").Replace(s) + `"`
}
