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
	make  func(m *Model, to view.GoMsg) view.Screen
}

// takesStream says whether a stream's ID, not a filter, follows its name.
func (k kind) takesStream() bool { return k.names[0] == "stream" || k.names[0] == "replay" }

// kinds is the list of them, in the order in which they are offered.
func kinds() []kind {
	return []kind{
		{[]string{"calls", "c"}, "what was asked and answered; a filter may follow", func(m *Model, to view.GoMsg) view.Screen {
			return view.NewCalls(m.host, to.Scope)
		}},
		{[]string{"flows", "flow", "f"}, "conversations and how they ended; a filter may follow", func(m *Model, to view.GoMsg) view.Screen {
			return view.NewFlows(m.host, to.Scope)
		}},
		{[]string{"stream"}, "what was said in a flow; its ID follows", func(m *Model, to view.GoMsg) view.Screen {
			return view.NewStream(m.host, to.Of, to.Scope)
		}},
		{[]string{"packets", "packet", "p"}, "packets with their layers: of what is looked at, the newest", func(m *Model, to view.GoMsg) view.Screen {
			return view.NewPackets(m.host, to.Of, to.Scope)
		}},
		{[]string{"replay"}, "a flow sent again, and what differs; its ID follows", func(m *Model, to view.GoMsg) view.Screen {
			return view.NewReplay(m.host, m.o.Replays, m.health, to.Of, to.Scope)
		}},
		{[]string{"map", "m"}, "the service map: who speaks with whom; a filter may follow", func(m *Model, to view.GoMsg) view.Screen {
			return view.NewServiceMap(m.host, to.Scope)
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
		m.trail = append(m.trail, place{k.names[0], k.make(m, view.GoMsg{Scope: scope, Of: view.Ref{Stream: m.o.Stream}})})
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
	host.Backend, host.Home, host.Newest = b, w, 0
	m.snapshots.SetHost(&host)
	m.host, m.snapshot, m.done, m.health = &host, name, done, view.NodesMsg{}
	m.looks++
	m.open("", view.Scope{Window: w})
	return m.calls.Init()
}

func (m *Model) pressCommand(k tea.KeyPressMsg) tea.Cmd {
	if m.offered != m.completed && key.Matches(k, m.command.Keys.Complete) {
		// What was asked for is not answered yet, and what is offered was for other words.
		if ask := m.complete(); ask != nil {
			m.update(ask())
		}
	}
	switch m.command.Press(k) {
	case component.Cancelled:
		m.typing = false
	case component.Changed:
		return m.complete()
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

// sections are the keys of all that is shown, for the help screen.
func (m *Model) sections() []keys.Section {
	return slices.Concat([]keys.Section{m.keys.Section()}, m.top().Sections(), []keys.Section{keys.Pointer()})
}

func (m *Model) pressHelp(k tea.KeyPressMsg) tea.Cmd {
	if key.Matches(k, m.keys.Help, m.keys.Back, m.keys.Quit) {
		m.help = false
		return nil
	}
	page := m.helpHeight()
	m.scroll, _ = m.mover.Press(k, keys.NewMove(), m.scroll, max(0, len(m.helpLines())-page)+1, page)
	return nil
}

func (m *Model) scrollHelp(d int) {
	n := len(m.helpLines())
	m.scroll = max(0, min(m.scroll+d, n-m.helpHeight()))
}
