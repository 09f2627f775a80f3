package tui

import (
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/view"
)

// command is what can be typed after ":".
type command struct {
	names []string // the first is completed to
	help  string
	run   func(m *Model, arg string) tea.Cmd
	// complete is all that may follow; nil: nothing does, or a filter.
	complete func(m *Model) []component.Item
	filter   bool
}

// commands is the list of them, in the order in which they are offered.
func commands() []command {
	var all []command
	for _, k := range kinds() {
		c := command{k.names, k.help, func(m *Model, arg string) tea.Cmd { return m.see(k, arg) }, nil, !k.takesStream()}
		if k.names[0] == "snapshots" {
			c.complete, c.filter = completeSnapshots, false
		}
		all = append(all, c)
	}
	return append(all, []command{
		{[]string{"filter"}, "a filter that was saved, by its name", (*Model).recall, completeSaved, false},
		{[]string{"save"}, "save the filter under a name", func(m *Model, arg string) tea.Cmd {
			return m.host.Memory.Saved.Save(m.host.Context, arg, m.scope().Filter)
		}, completeSaved, false},
		{[]string{"forget"}, "take a saved filter away", func(m *Model, arg string) tea.Cmd {
			return m.host.Memory.Saved.Forget(m.host.Context, arg)
		}, completeSaved, false},
		{[]string{"export"}, "save the packets of what is shown, or is marked, as a snapshot", (*Model).export, nil, false},
		{[]string{"live"}, "what is captured now, instead of a snapshot", func(m *Model, _ string) tea.Cmd {
			if m.snapshot == "" {
				return m.say(view.FlashMsg{Text: "this is no snapshot: it is what is captured"})
			}
			return m.look(m.o.Backend, "", nil, m.home)
		}, nil, false},
		{[]string{"window", "w"}, "the time to look at: 5m, all, 14:00-14:15", (*Model).lookAt, completeWindow, false},
		{[]string{"time"}, "how times are shown: local, utc, relative, previous, marked, a zone", (*Model).showTimes, completeTime, false},
		{[]string{"help", "h"}, "the keys", func(m *Model, _ string) tea.Cmd {
			m.help, m.scroll = true, 0
			return nil
		}, nil, false},
		{[]string{"quit", "q", "q!"}, "leave", func(m *Model, _ string) tea.Cmd { return m.quit() }, nil, false},
	}...)
}

// see goes to a view, with a filter if one follows.
func (m *Model) see(k kind, arg string) tea.Cmd {
	if k.names[0] == "snapshots" && arg != "" {
		return m.snapshots.Open(arg)
	}
	if k.takesStream() {
		return m.push(view.GoMsg{View: k.names[0], Of: view.Ref{Stream: arg}, Scope: m.scope()})
	}
	if arg != "" {
		if err := m.host.Check(arg); err != nil {
			return m.say(view.FlashMsg{Text: "filter: " + firstLine(err.Error()), Bad: true})
		}
	}
	cmd := m.visit(k)
	s, scoped := m.top().(view.Scoped)
	switch {
	case arg != "" && !scoped:
		return tea.Batch(cmd, m.say(view.FlashMsg{Text: k.names[0] + " takes no filter", Bad: true}))
	case arg != "":
		m.host.Memory.Filters.Add(arg)
		return tea.Batch(cmd, s.SetScope(view.Scope{Window: s.Scope().Window, Filter: arg}))
	}
	return cmd
}

// scoped is the screen whose scope commands change: the one that is shown, or home.
func (m *Model) scoped() view.Scoped {
	s, ok := m.top().(view.Scoped)
	if !ok {
		m.walk(m.trail[:1:1])
		s = m.calls
	}
	return s
}

func (m *Model) lookAt(arg string) tea.Cmd {
	w, err := m.host.ParseWindow(arg)
	if err != nil {
		return m.say(view.FlashMsg{Text: err.Error(), Bad: true})
	}
	s := m.scoped()
	m.host.Memory.Windows.Add(arg)
	return s.SetScope(view.Scope{Window: w, Filter: s.Scope().Filter})
}

func (m *Model) showTimes(arg string) tea.Cmd {
	if err := m.host.Clock.Set(arg); err != nil {
		return m.say(view.FlashMsg{Text: err.Error(), Bad: true})
	}
	return m.say(view.FlashMsg{Text: "times: " + m.host.Clock.Form.String() + zoneOf(m.host.Clock)})
}

func zoneOf(c view.Clock) string {
	if c.Form == view.LocalTime && c.Location != time.Local {
		return " of " + c.Location.String()
	}
	return ""
}

// recall looks through a filter that was saved.
func (m *Model) recall(name string) tea.Cmd {
	f, ok := m.host.Memory.Saved.Get(name)
	switch {
	case name == "" && len(m.host.Memory.Saved.All()) == 0:
		return m.say(view.FlashMsg{Text: "no filter is saved: :save NAME saves the one there is", Bad: true})
	case name == "":
		return m.say(view.FlashMsg{Text: "which? press : and type filter, a blank and tab", Bad: true})
	case !ok:
		return m.say(view.FlashMsg{Text: "there is no saved filter " + name + nearest(name, m.savedNames()), Bad: true})
	}
	if err := m.host.Check(f); err != nil { // it may be of another version
		return m.say(view.FlashMsg{Text: "filter " + name + ": " + firstLine(err.Error()), Bad: true})
	}
	s := m.scoped()
	m.host.Memory.Filters.Add(f)
	return s.SetScope(view.Scope{Window: s.Scope().Window, Filter: f})
}

func (m *Model) savedNames() []string {
	var out []string
	for _, f := range m.host.Memory.Saved.All() {
		out = append(out, f.Name)
	}
	return out
}

// export makes a snapshot of what is shown.
func (m *Model) export(name string) tea.Cmd {
	if c, ok := m.top().(*view.Calls); ok {
		return c.Export(name)
	}
	q, about := m.scope().Query(m.host.Clock)
	return m.keep(view.ExportMsg{Name: name, Query: q, About: about})
}

// keep lets a snapshot be made: its list shows how far it is.
func (m *Model) keep(e view.ExportMsg) tea.Cmd {
	switch {
	case m.snapshot != "":
		return m.say(view.FlashMsg{Text: "this is a snapshot already; :live leads back to what is captured", Bad: true})
	case !m.snapshots.Kept() && e.Hint != "" && m.o.Console:
		return m.say(view.FlashMsg{Text: "there are no snapshots here, but: " + e.Hint})
	case !m.snapshots.Kept():
		return m.say(view.FlashMsg{Text: "there are no snapshots here: a console keeps them", Bad: true})
	}
	k, _ := kindOf("snapshots")
	cmd := m.visit(k)
	if e.Name != "" {
		return tea.Batch(cmd, m.snapshots.Make(e.Name, e.Query, e.About))
	}
	return tea.Batch(cmd, m.snapshots.New(e.Query, e.About))
}

// run does what was typed. A beginning that only one command has is enough.
func (m *Model) run(line string) tea.Cmd {
	name, arg, _ := strings.Cut(line, " ")
	arg = strings.TrimSpace(arg)
	var found []command
	var names []string
	for _, c := range commands() {
		if slices.Contains(c.names, name) {
			return c.run(m, arg)
		}
		names = append(names, c.names[0])
		if strings.HasPrefix(c.names[0], name) {
			found = append(found, c)
		}
	}
	switch {
	case len(found) == 1:
		return found[0].run(m, arg)
	case len(found) > 1:
		return m.say(view.FlashMsg{Text: name + " may be " + found[0].names[0] + " or " + found[1].names[0] + ": type more of it", Bad: true})
	}
	return m.say(view.FlashMsg{Text: "there is no command " + name + nearest(name, names) + ": press : and tab", Bad: true})
}

// nearest names the one of some words that is meant, for the end of a sentence; "" if none is
// near.
func nearest(name string, words []string) string {
	best, far := "", 3
	for _, w := range words {
		if strings.HasPrefix(w, name) {
			return "; do you mean " + w + "?"
		}
		if d := distance(name, w); d < far && d < len(w) {
			best, far = w, d
		}
	}
	if best == "" {
		return ""
	}
	return "; do you mean " + best + "?"
}

// distance is how many letters have to be put in, taken away, changed or swapped with the next
// one to make one word another.
func distance(a, b string) int {
	if len(a) > 40 || len(b) > 40 {
		return max(len(a), len(b))
	}
	var before, last, row [42]int
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
