package view

import (
	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/style"
)

// modal is what lies over a screen and takes its keys until it is done.
type modal interface {
	press(k tea.KeyPressMsg) (cmd tea.Cmd, done bool)
	paste(s string)
	// box draws it, in at most w by h cells; cursor is relative to its corner, nil: none.
	box(w, h int) (lines []string, cursor *Cursor)
	short() []key.Binding
}

// overlay lays a modal over the middle of a screen.
func overlay(m modal, lines []string, w, h int) *Cursor {
	box, cursor := m.box(w-2, h-2)
	if len(box) == 0 {
		return nil
	}
	bw := 0
	for _, l := range box {
		bw = max(bw, ansi.StringWidth(l))
	}
	x, y := max(0, (w-bw)/2), max(0, (h-len(box))/2)
	component.Over(lines, box, x, y)
	if cursor != nil {
		cursor.X, cursor.Y = min(cursor.X+x, w-1), cursor.Y+y
	}
	return cursor
}

// menu lets one thing be chosen.
type menu struct {
	component.Menu
	chosen func(i int) tea.Cmd
}

func (m *menu) press(k tea.KeyPressMsg) (tea.Cmd, bool) {
	switch m.Press(k) {
	case component.Cancelled:
		return nil, true
	case component.Accepted:
		if why := m.Choices[m.Cursor].Off; why != "" {
			return refuse("%s", why), false
		}
		return m.chosen(m.Cursor), true
	}
	return nil, false
}

func (m *menu) paste(string) {}

func (m *menu) box(w, h int) ([]string, *Cursor) { return m.Box(w, h), nil }

func (m *menu) short() []key.Binding { return m.Keys.Short() }

// ask lets one line be typed.
type ask struct {
	title  style.Text
	prompt component.Prompt
	styles *style.Styles
	check  func(value string) error // nil: anything goes
	items  func(value string, cursor int) []component.Item
	done   func(value string) tea.Cmd
}

func (a *ask) press(k tea.KeyPressMsg) (tea.Cmd, bool) {
	switch a.prompt.Press(k) {
	case component.Cancelled:
		return nil, true
	case component.Changed:
		a.judge()
	case component.Accepted:
		v := a.prompt.Input.Value()
		if a.judge(); a.prompt.State == component.Bad {
			return refuse("%s", firstLine(a.prompt.Message)), false
		}
		a.prompt.Remember(v)
		return a.done(v), true
	}
	return nil, false
}

func (a *ask) paste(s string) {
	a.prompt.Paste(s)
	a.judge()
}

func (a *ask) judge() {
	v := a.prompt.Input.Value()
	a.prompt.State, a.prompt.Message = component.Idle, ""
	if a.check != nil && v != "" {
		a.prompt.State = component.Good
		if err := a.check(v); err != nil {
			a.prompt.State, a.prompt.Message = component.Bad, err.Error()
		}
	}
	if a.items != nil {
		a.prompt.SetItems(a.items(v, a.prompt.Input.Cursor()))
	}
}

func (a *ask) box(w, h int) ([]string, *Cursor) {
	inner := min(w-4, 64)
	line, x := a.prompt.View(inner)
	lines := append([]string{line}, a.prompt.Popup(inner, max(0, h-3))...)
	return component.Box(a.styles, a.title, inner, lines), &Cursor{X: min(x, inner-1) + 2, Y: 1}
}

func (a *ask) short() []key.Binding { return a.prompt.Keys.Short() }
