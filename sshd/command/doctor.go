package command

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"

	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/sshd/doctor"
	"github.com/sshark/sshark/worker/query"
)

func (e *Env) doctor() *cobra.Command {
	var l look
	var only doctor.Selection
	formats := []string{formatTable, formatWide, formatJSON}
	c := &cobra.Command{
		Use:   "doctor",
		Short: "why there is no traffic: what is captured, what is not, and what to do",
		Long: "Doctor: for each node and its pods what is captured, what is missing, and what to do about it.\n" +
			"Pods where nothing is wrong are told with -o wide and -o json. The exit status is 0 when all nodes\n" +
			"answered, whatever was found, and 3 when one did not; scripts look at the severity in -o json.",
		Example: "doctor\ndoctor --pod shop/cart\ndoctor -o json",
		Args:    noArgs,
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringArrayVar(&only.Nodes, "node", nil, "only this `NODE`")
	f.StringArrayVarP(&only.Namespaces, "namespace", "n", nil, "only pods of this `NAMESPACE`, and what is wrong with their nodes")
	f.StringArrayVar(&only.Pods, "pod", nil, "only pods whose names begin so, as `[NAMESPACE/]PREFIX`, and what is wrong with their nodes")
	l.declare(f, formats...)
	c.RunE = func(*cobra.Command, []string) error {
		color, err := l.check(e, formats...)
		if err != nil {
			return err
		}
		if err := e.allow(auth.See); err != nil {
			return err
		}
		if e.Source == nil {
			return usagef("doctor asks a cluster: ssh console doctor")
		}
		ask := doctor.Asker{Source: e.Source, Cluster: e.Cluster, Version: e.Version, Now: e.Now}
		all, nodes, r, err := ask.Ask(e.ctx)
		if err != nil {
			return err
		}
		for _, name := range only.Nodes {
			if !slices.ContainsFunc(all, func(f doctor.Finding) bool { return f.Node == name }) {
				return fmt.Errorf("--node %s: there is no such node; they are listed by: nodes", name)
			}
		}
		found, pods := only.Select(all)
		if pods == 0 && len(only.Namespaces)+len(only.Pods) > 0 {
			e.say("no worker has found such a pod, and none is known to run that you may see")
		}
		o := e.output()
		if l.output == formatJSON {
			err = findingsJSON(o, found)
		} else {
			err = e.findingsTable(o, found, color, l.output == formatWide)
		}
		if err != nil {
			return err
		}
		if len(found) > 0 {
			e.say("%s", verdict(found))
		}
		return e.retell(&asked{Request: query.Request{Follow: true}}, r, nodes, "nodes")
	}
	return c
}

// verdict counts what is wrong.
func verdict(found []doctor.Finding) string {
	count := map[doctor.Severity]int{}
	for i := range found {
		count[found[i].Severity]++
	}
	var parts []string
	for _, s := range []doctor.Severity{doctor.Error, doctor.Warning} {
		switch n := count[s]; n {
		case 0:
		case 1:
			parts = append(parts, "1 "+s.String())
		default:
			parts = append(parts, fmt.Sprintf("%d %ss", n, s))
		}
	}
	if len(parts) == 0 {
		return "nothing wrong was found"
	}
	return strings.Join(parts, " and ")
}

// minText is the least that a finding's text is wrapped to, in columns.
const minText = 10

// findingsTable prints the findings below each other, wrapped to a terminal's width: what to do
// is too long for a column, and too important to be cut.
func (e *Env) findingsTable(o *output, found []doctor.Finding, color, all bool) error {
	t := &table{out: o, color: color, columns: []column{{title: "NODE"}, {title: "STATE"}, {title: "FINDING"}}}
	shown := found[:0:0]
	node := len(t.columns[0].title)
	for _, f := range found {
		if all || !f.Detail {
			shown = append(shown, f)
			node = max(node, textWidth(nodeOf(&f)))
		}
	}
	room := 0
	if e.Terminal && e.Width > 0 {
		t.width = e.Width
		t.columns[0].max = max(8, e.Width/4)
		room = max(minText, e.Width-min(node, t.columns[0].max)-len("warning")-2*t.gap())
	}
	for i := range shown {
		f := &shown[i]
		text := printable(f.What)
		if f.Pod != "" {
			text = printable(podOf(f)) + ": " + text
		}
		lines := wrap(text, room, "")
		if f.Do != "" {
			lines = append(lines, wrap(printable(f.Do), room, "→ ")...)
		}
		cells := []cell{{nodeOf(f), bold}, {f.Severity.String(), severityStyle(f.Severity)}, {}}
		if i > 0 && shown[i-1].Node == f.Node {
			cells[0].text = "" // grouped
		}
		for n, line := range lines {
			if n > 0 {
				cells = []cell{{}, {}, {}}
			}
			cells[2].text = line
			if err := t.row(cells...); err != nil {
				return err
			}
		}
	}
	return t.finish()
}

// nodeOf is the first column.
func nodeOf(f *doctor.Finding) string {
	if f.Node == "" {
		return "cluster"
	}
	return printable(f.Node)
}

func podOf(f *doctor.Finding) string {
	if f.Namespace == "" {
		return f.Pod
	}
	return f.Namespace + "/" + f.Pod
}

func severityStyle(s doctor.Severity) style {
	return [...]style{doctor.OK: green, doctor.Warning: yellow, doctor.Error: red}[s]
}

// wrap breaks a text between words into lines of at most width columns, 0: any. What goes
// before the first indents the others.
func wrap(text string, width int, before string) (lines []string) {
	if width <= 0 {
		return []string{before + text}
	}
	room := max(1, width-textWidth(before))
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && textWidth(line)+1+textWidth(word) > room {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
		if textWidth(line) > room { // one word, longer than a line
			parts := strings.Split(ansi.Hardwrap(line, room, false), "\n")
			lines, line = append(lines, parts[:len(parts)-1]...), parts[len(parts)-1]
		}
	}
	lines = append(lines, line)
	for i := range lines {
		lines[i] = before + lines[i]
		if i == 0 {
			before = strings.Repeat(" ", textWidth(before))
		}
	}
	return lines
}

// findingJSON is a finding as scripts see it.
type findingJSON struct {
	Severity  string `json:"severity"`
	Check     string `json:"check"`
	Node      string `json:"node_name,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Pod       string `json:"pod,omitempty"`
	What      string `json:"what"`
	Do        string `json:"do,omitempty"`
}

func findingsJSON(o *output, found []doctor.Finding) error {
	enc := json.NewEncoder(writer{o})
	enc.SetEscapeHTML(false)
	for i := range found {
		f := &found[i]
		if err := enc.Encode(findingJSON{f.Severity.String(), f.Check, f.Node, f.Namespace, f.Pod, f.What, f.Do}); err != nil {
			return err
		}
	}
	return o.spill(true)
}
