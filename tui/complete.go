package tui

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/view"
)

// completedMsg is what can be typed after what stands in the command line.
type completedMsg struct {
	number int
	items  []component.Item
}

// complete offers the commands that begin as what is typed, and what may follow them.
func (m *Model) complete() tea.Cmd {
	line, cursor := m.command.Input.Value(), m.command.Input.Cursor()
	m.command.State, m.command.Message = component.Idle, ""
	m.completed++
	m.offered = m.completed
	name, arg, more := strings.Cut(line, " ")
	if !more || cursor <= len(name) {
		var items []component.Item
		for _, c := range commands() {
			if strings.HasPrefix(c.names[0], name) {
				items = append(items, component.Item{Text: c.names[0], Help: c.help})
			}
		}
		m.command.SetItems(items)
		return nil
	}
	m.command.SetItems(nil)
	for _, c := range commands() {
		switch at := len(name) + 1; {
		case !slices.Contains(c.names, name):
		case c.filter:
			m.offered = 0
			return completeFilter(m.host.Backend, m.completed, arg, at, cursor-at)
		case c.complete != nil:
			var items []component.Item
			for _, i := range c.complete(m) {
				if i.Start = at; strings.HasPrefix(i.Text, arg) && i.Text != arg {
					items = append(items, i)
				}
			}
			m.command.SetItems(items)
		}
	}
	return nil
}

// completeFilter asks what may stand in a filter that begins at a byte of the line.
func completeFilter(b Backend, number int, filter string, at, cursor int) tea.Cmd {
	return func() (msg tea.Msg) {
		out := completedMsg{number: number}
		defer func() {
			if recover() != nil { // what is offered is a help, no more
				msg = completedMsg{number: number}
			}
		}()
		for _, c := range b.Complete(filter, cursor) {
			out.items = append(out.items, component.Item{Text: c.Text, Start: c.Start + at, Kind: c.Kind, Help: c.Help})
		}
		return out
	}
}

func completeSaved(m *Model) []component.Item {
	var all []component.Item
	for _, f := range m.host.Memory.Saved.All() {
		all = append(all, component.Item{Text: f.Name, Help: f.Filter})
	}
	return all
}

func completeSnapshots(m *Model) []component.Item {
	var all []component.Item
	for _, s := range m.snapshots.Known() {
		all = append(all, component.Item{Text: s.Name, Help: fmt.Sprintf("by %s, %s packets", s.By, component.Number(float64(s.Packets)))})
	}
	return all
}

func completeWindow(m *Model) []component.Item { return m.host.Windows() }

func completeTime(m *Model) []component.Item {
	var all []component.Item
	for i, n := range view.TimeForms() {
		all = append(all, component.Item{Text: n, Help: m.host.Clock.Says(i)})
	}
	return append(all, component.Item{Text: "Europe/Berlin", Help: "or another zone, which is local from now on"})
}
