package tui

import (
	"iter"
	"slices"
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/keys"
	"github.com/sshark/sshark/tui/view"
)

// kind is a view that can be gone to by its name.
type kind struct {
	names []string // the first is shown, and completed to
	help  string
	make  func(m *Model, to view.GoMsg) view.Screen // nil: it is home
}

// kinds is the list of them, in the order in which they are offered.
func kinds() []kind {
	return []kind{
		{[]string{"calls", "c"}, "what was asked and answered; a filter may follow", func(m *Model, to view.GoMsg) view.Screen {
			return view.NewCalls(m.host, to.Scope)
		}},
		{[]string{"nodes", "node", "no"}, "how each node is: rates, losses, what is kept", func(m *Model, _ view.GoMsg) view.Screen {
			return view.NewNodes(m.host, m.health)
		}},
		{[]string{"doctor", "dr"}, "why there is no traffic: what is captured, what is not, what to do", func(m *Model, _ view.GoMsg) view.Screen {
			return view.NewDoctor(m.host, m.o.Doctor)
		}},
		{[]string{"snapshots", "snapshot", "snap"}, "windows that are kept: look at one, make one, delete one", func(m *Model, _ view.GoMsg) view.Screen {
			return m.snapshots
		}},
	}
}

func kindOf(name string) (kind, bool) {
	for _, k := range kinds() {
		if slices.Contains(k.names, name) {
			return k, true
		}
	}
	return kind{}, false
}

// place is a screen on the trail.
type place struct {
	name   string
	screen view.Screen
}

// top is what is shown.
func (m *Model) top() view.Screen { return m.trail[len(m.trail)-1].screen }

func (m *Model) name() string { return m.trail[len(m.trail)-1].name }

// screens are all there are, each once.
func (m *Model) screens() iter.Seq[view.Screen] {
	return func(yield func(view.Screen) bool) {
		all := []view.Screen{m.snapshots}
		for _, p := range slices.Concat(m.trail, m.before) {
			if !slices.Contains(all, p.screen) {
				all = append(all, p.screen)
			}
		}
		for _, s := range all {
			if !yield(s) {
				return
			}
		}
	}
}

// open begins a trail at home, and goes to a view from there; no view, or one that there is
// not, is home. What is shown asks when it is told to.
func (m *Model) open(name string, scope view.Scope) {
	m.calls = view.NewCalls(m.host, scope)
	m.trail, m.before = []place{{"calls", m.calls}}, nil
	if k, ok := kindOf(name); ok && k.names[0] != "calls" {
		m.trail = append(m.trail, place{k.names[0], k.make(m, view.GoMsg{Scope: scope})})
	}
	m.resize()
}

// scope is what is looked at: that of the screen nearest to the one that is shown.
func (m *Model) scope() view.Scope {
	for _, p := range slices.Backward(m.trail) {
		if s, ok := p.screen.(view.Scoped); ok {
			return s.Scope()
		}
	}
	return m.calls.Scope()
}

// visit goes to a view by its name, with what is looked at now. Home is below it.
func (m *Model) visit(k kind) tea.Cmd {
	scope := m.scope()
	switch name := k.names[0]; {
	case name == m.name():
		return nil
	case name == "calls":
		m.walk(m.trail[:1:1])
		return m.calls.SetScope(scope)
	default:
		return m.enter(m.trail[:1:1], name, k.make(m, view.GoMsg{Scope: scope}))
	}
}

// push goes to a screen from the one that is shown.
func (m *Model) push(to view.GoMsg) tea.Cmd {
	k, ok := kindOf(to.View)
	switch {
	case !ok:
		return m.say(view.FlashMsg{Text: "there is no view " + to.View, Bad: true})
	case len(m.trail) >= maxTrail:
		return m.say(view.FlashMsg{Text: "this is deep enough; esc leads back", Bad: true})
	}
	return m.enter(slices.Clip(m.trail), k.names[0], k.make(m, to))
}

// maxTrail is how deep one can go: each screen on the way is kept as it was.
const maxTrail = 8

// enter shows a screen at the end of a trail, and lets it ask if it is new.
func (m *Model) enter(trail []place, name string, s view.Screen) tea.Cmd {
	old := s == view.Screen(m.snapshots)
	m.walk(append(trail, place{name, s}))
	s.SetSize(m.width, max(0, m.height-2))
	if old {
		return m.snapshots.Load()
	}
	return s.Init()
}

// walk takes another trail. What is on neither this one nor the one before is closed.
func (m *Model) walk(trail []place) {
	all := slices.Collect(m.screens())
	m.before, m.trail = m.trail, trail
	m.prune(all)
}

// leave goes back by one screen.
func (m *Model) leave() { m.walk(m.trail[: len(m.trail)-1 : len(m.trail)-1]) }

// swap goes to where one was before.
func (m *Model) swap() tea.Cmd {
	if m.before == nil {
		return m.say(view.FlashMsg{Text: "there was no other view before"})
	}
	m.trail, m.before = m.before, m.trail
	return nil
}

func (m *Model) prune(all []view.Screen) {
	for _, s := range all {
		if !slices.Contains(slices.Collect(m.screens()), s) {
			s.Close()
		}
	}
}

// command is what can be typed after ":".
type command struct {
	names []string // the first is completed to
	help  string
	run   func(m *Model, arg string) tea.Cmd
}

// commands is the list of them, in the order in which they are offered.
func commands() []command {
	var all []command
	for _, k := range kinds() {
		all = append(all, command{k.names, k.help, func(m *Model, arg string) tea.Cmd {
			if err := m.host.Backend.Check(arg); arg != "" && err != nil {
				return m.say(view.FlashMsg{Text: "filter: " + firstLine(err.Error()), Bad: true})
			}
			cmd := m.visit(k)
			s, scoped := m.top().(view.Scoped)
			switch {
			case arg != "" && !scoped:
				return tea.Batch(cmd, m.say(view.FlashMsg{Text: k.names[0] + " takes no filter", Bad: true}))
			case arg != "":
				return tea.Batch(cmd, s.SetScope(view.Scope{Window: s.Scope().Window, Filter: arg}))
			}
			return cmd
		}})
	}
	return append(all, []command{
		{[]string{"live"}, "what is captured now, instead of a snapshot", func(m *Model, _ string) tea.Cmd {
			if m.snapshot == "" {
				return m.say(view.FlashMsg{Text: "this is no snapshot: it is what is captured"})
			}
			return m.look(m.o.Backend, "", nil, Window{Last: defaultWindow})
		}},
		{[]string{"window", "w"}, "the time to look at: 5m, all, 14:00-14:15", func(m *Model, arg string) tea.Cmd {
			w, err := view.ParseWindow(arg, m.o.Now(), m.o.Location)
			if err != nil {
				return m.say(view.FlashMsg{Text: err.Error(), Bad: true})
			}
			s, scoped := m.top().(view.Scoped)
			if !scoped {
				m.walk(m.trail[:1:1])
				s = m.calls
			}
			return s.SetScope(view.Scope{Window: w, Filter: s.Scope().Filter})
		}},
		{[]string{"help", "h"}, "the keys", func(m *Model, _ string) tea.Cmd {
			m.help, m.scroll = true, 0
			return nil
		}},
		{[]string{"quit", "q", "q!"}, "leave", func(m *Model, _ string) tea.Cmd { return m.quit() }},
	}...)
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// look makes a snapshot, or what is captured ("" and nil), what is looked at.
func (m *Model) look(b Backend, name string, done func(), w Window) tea.Cmd {
	for s := range m.screens() {
		if s != view.Screen(m.snapshots) {
			s.Close()
		}
	}
	if m.done != nil {
		m.done()
	}
	host := *m.host
	host.Backend = b
	m.host, m.snapshot, m.done, m.health = &host, name, done, view.NodesMsg{}
	m.open("", view.Scope{Window: w})
	return m.calls.Init()
}

func (m *Model) pressCommand(k tea.KeyPressMsg) tea.Cmd {
	switch m.command.Press(k) {
	case component.Cancelled:
		m.typing = false
	case component.Changed:
		m.complete()
	case component.Accepted:
		line := strings.TrimSpace(m.command.Input.Value())
		m.typing = false
		if line == "" {
			return nil
		}
		m.command.Remember(line)
		return m.run(line)
	}
	return nil
}

// run does what was typed. A beginning that only one command has is enough.
func (m *Model) run(line string) tea.Cmd {
	name, arg, _ := strings.Cut(line, " ")
	var found []command
	for _, c := range commands() {
		for _, n := range c.names {
			if n == name {
				return c.run(m, strings.TrimSpace(arg))
			}
		}
		if strings.HasPrefix(c.names[0], name) {
			found = append(found, c)
		}
	}
	if len(found) == 1 {
		return found[0].run(m, strings.TrimSpace(arg))
	}
	return m.say(view.FlashMsg{Text: "there is no command " + name + ": press : and tab", Bad: true})
}

// complete offers the commands that begin as what is typed.
func (m *Model) complete() {
	typed := m.command.Input.Value()
	var items []component.Item
	m.command.State, m.command.Message = component.Idle, ""
	if name, _, more := strings.Cut(typed, " "); !more {
		for _, c := range commands() {
			if strings.HasPrefix(c.names[0], name) {
				items = append(items, component.Item{Text: c.names[0], Help: c.help})
			}
		}
	}
	m.command.SetItems(items)
}

// sections are the keys of all that is shown, for the help screen.
func (m *Model) sections() []keys.Section {
	return slices.Concat([]keys.Section{m.keys.Section()}, m.top().Sections(), []keys.Section{keys.Pointer()})
}

func (m *Model) pressHelp(k tea.KeyPressMsg) tea.Cmd {
	switch move := keys.NewMove(); {
	case key.Matches(k, m.keys.Help, m.keys.Back, m.keys.Quit):
		m.help = false
	case key.Matches(k, move.Down):
		m.scrollHelp(1)
	case key.Matches(k, move.Up):
		m.scrollHelp(-1)
	case key.Matches(k, move.PageDown):
		m.scrollHelp(m.height / 2)
	case key.Matches(k, move.PageUp):
		m.scrollHelp(-m.height / 2)
	}
	return nil
}

func (m *Model) scrollHelp(d int) {
	n := len(m.helpLines())
	m.scroll = max(0, min(m.scroll+d, n-m.helpHeight()))
}
