package tui

import (
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/keys"
	"github.com/sshark/sshark/tui/view"
)

// screen is one of the views.
type screen uint8

const (
	screenCalls screen = iota
	screenNodes
	screenSnapshots
)

// String is its name on screen and in commands.
func (s screen) String() string { return [...]string{"calls", "nodes", "snapshots"}[s] }

func screenOf(name string) (screen, bool) {
	for s := screenCalls; s <= screenSnapshots; s++ {
		if name == s.String() {
			return s, true
		}
	}
	return 0, false
}

// command is what can be typed after ":".
type command struct {
	names []string // the first is completed to
	help  string
	run   func(m *Model, arg string) tea.Cmd
}

// commands is the list of them, in the order in which they are offered.
func commands() []command {
	return []command{
		{[]string{"calls", "c"}, "what was asked and answered; a filter may follow", func(m *Model, arg string) tea.Cmd {
			m.show(screenCalls)
			if arg == "" {
				return nil
			}
			if err := m.o.Backend.Check(arg); err != nil {
				return m.say(view.FlashMsg{Text: "filter: " + firstLine(err.Error()), Bad: true})
			}
			return m.calls.SetFilter(arg)
		}},
		{[]string{"nodes", "node", "no"}, "how each node is: rates, losses, what is kept", func(m *Model, _ string) tea.Cmd {
			m.show(screenNodes)
			return nil
		}},
		{[]string{"snapshots", "snapshot", "snap"}, "windows that are kept: look at one, make one, delete one", func(m *Model, _ string) tea.Cmd {
			m.show(screenSnapshots)
			return m.snapshots.Load()
		}},
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
			m.show(screenCalls)
			return m.calls.SetWindow(w)
		}},
		{[]string{"help", "h"}, "the keys", func(m *Model, _ string) tea.Cmd {
			m.help, m.scroll = true, 0
			return nil
		}},
		{[]string{"quit", "q", "q!"}, "leave", func(m *Model, _ string) tea.Cmd { return m.quit() }},
	}
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// show changes the view.
func (m *Model) show(s screen) {
	if s == m.screen {
		return
	}
	m.before, m.screen = m.screen, s
}

// look makes a snapshot, or what is captured ("" and nil), what is looked at.
func (m *Model) look(b Backend, name string, done func(), w Window) tea.Cmd {
	m.calls.Close()
	if m.done != nil {
		m.done()
	}
	m.asks, m.snapshot, m.done, m.health = b, name, done, view.NodesMsg{}
	m.calls = view.NewCalls(m.ctx, b, view.Clock{Now: m.o.Now, Location: m.o.Location}, m.styles, view.CallsOptions{Window: w})
	m.resize()
	m.show(screenCalls)
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
	switch m.screen {
	case screenNodes:
		return []keys.Section{m.keys.Section(), m.nodes.Move.Section(), keys.Pointer()}
	case screenSnapshots:
		return []keys.Section{m.keys.Section(), m.snapshots.Keys.Section(), m.snapshots.Move.Section(), keys.Pointer()}
	}
	return append([]keys.Section{m.keys.Section()}, append(m.calls.Sections(), keys.Pointer())...)
}

func (m *Model) pressHelp(k tea.KeyPressMsg) tea.Cmd {
	switch move := m.nodes.Move; {
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
