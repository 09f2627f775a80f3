package view

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/style"
)

// markedRows are the marked calls that are shown.
func (m *Calls) markedRows() []*row {
	var out []*row
	for _, r := range m.shown {
		if r.mark {
			out = append(out, r)
		}
	}
	return out
}

// recount brings the number of marks up to date.
func (m *Calls) recount() {
	m.marked = 0
	for _, r := range m.rows.list {
		if r.mark {
			m.marked++
		}
	}
}

func (m *Calls) markAll() tea.Cmd {
	if len(m.shown) == 0 {
		return refuse("there is no call to mark")
	}
	for _, r := range m.shown {
		r.mark = true
	}
	m.recount()
	return flash("marked %s; u clears the marks", count(m.marked, "call"))
}

func (m *Calls) unmark() tea.Cmd {
	if m.marked == 0 {
		return refuse("no call is marked: space marks one")
	}
	for _, r := range m.rows.list {
		r.mark = false
	}
	m.marked = 0
	return flash("no call is marked")
}

// firstMarked is the time that others are counted from.
func (m *Calls) firstMarked() int64 {
	at := int64(0)
	for _, r := range m.shown {
		if r.mark && (at == 0 || r.time < at) {
			at = r.time
		}
	}
	for _, r := range m.shown {
		if m.marked == 0 && (at == 0 || r.time < at) {
			at = r.time
		}
	}
	return at
}

// visit goes to a view of the selected call's flow.
func (m *Calls) visit(view string) tea.Cmd {
	if m.selected == nil {
		return refuse("there is no call to go to the %s of", view)
	}
	return Go(GoMsg{View: view, Of: m.selected.ref(), Scope: m.Scope()})
}

// ExportMsg asks for a snapshot of what a question asks for; Name may be "", then one is asked
// for.
type ExportMsg struct {
	Name  string
	Query Query
	About string
	Hint  string // how else to get it, "" if there is no other way
}

// maxExport is how many flows may be named in one filter.
const maxExport = 50

// Export makes a snapshot of the flows of the marked calls, around them; of all that is looked
// at if none is marked.
func (m *Calls) Export(name string) tea.Cmd {
	marked := m.markedRows()
	if len(marked) == 0 {
		q, about := m.Scope().Query(m.host.Clock)
		return func() tea.Msg { return ExportMsg{Name: name, Query: q, About: about} }
	}
	var streams []string
	since, until := marked[0].time, marked[0].time
	for _, r := range marked {
		since, until = min(since, r.time), max(until, r.time+max(0, r.latency))
		if s := dissect.Quote(r.flow.stream); !slices.Contains(streams, s) {
			streams = append(streams, s)
		}
	}
	if len(streams) > maxExport {
		return refuse("the marked calls are of %d flows, more than %d: filter for them, clear the marks with u, and save what is shown", len(streams), maxExport)
	}
	const around = int64(1e9) // what was said to open the connection, and the end of the answer
	msg := ExportMsg{Name: name, Query: Query{Since: since - around, Until: until + around, Filter: "stream in [" + strings.Join(streams, ", ") + "]"},
		About: "the flows of " + count(len(marked), "marked call")}
	if len(streams) == 1 {
		msg.Query.Filter = "stream == " + streams[0]
		msg.Hint = scpOf(m.console(), marked[0].flow.stream)
	}
	return func() tea.Msg { return msg }
}

// console is what scp calls the console.
func (m *Calls) console() string { return "CONSOLE" }

// scpOf is the line that gets the packets of one flow.
func scpOf(console, stream string) string {
	return "scp " + console + ":/streams/" + stream + ".pcapng ."
}

// openNamespaces offers the namespaces of the calls that are here.
func (m *Calls) openNamespaces() tea.Cmd {
	seen := map[string]int{}
	for _, r := range m.rows.list {
		last := ""
		for _, p := range []*peer{r.src(), r.dst()} {
			if p.id != nil && p.id.Namespace != "" && p.id.Namespace != last {
				seen[p.id.Namespace]++
				last = p.id.Namespace
			}
		}
	}
	if len(seen) == 0 {
		return refuse("no call here has an end in a known namespace")
	}
	var names []string
	for n := range seen {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int {
		if seen[a] != seen[b] {
			return seen[b] - seen[a]
		}
		return strings.Compare(a, b)
	})
	var choices []component.Choice
	for i, n := range names {
		key := ""
		if i < 9 {
			key = fmt.Sprint(i + 1)
		}
		choices = append(choices, component.Choice{Key: key, Text: style.Clean(n), Help: style.Text(count(seen[n], "call"))})
	}
	m.modal = &menu{Menu: component.NewMenu(m.host.Styles, "one namespace, at either end", choices), chosen: func(i int) tea.Cmd {
		n := dissect.Quote(names[i])
		return m.renew(m.bar.apply("(src.namespace == "+n+" || dst.namespace == "+n+")", false))
	}}
	return nil
}

// pressModal hands a key to what lies over the list.
func (m *Calls) pressModal(k tea.KeyPressMsg) tea.Cmd {
	was := m.modal
	cmd, done := was.press(k)
	if done && m.modal == was {
		m.modal = nil
	}
	return cmd
}
