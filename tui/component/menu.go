package component

import (
	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/tui/keys"
	"github.com/sshark/sshark/tui/style"
)

// Choice is one line of a Menu.
type Choice struct {
	Key  string // that chooses it at once, "" none
	Text style.Text
	Help style.Text
	Off  string // why it cannot be chosen, "" if it can
}

// Menu is a short list of which one thing is chosen.
type Menu struct {
	Title   style.Text
	Choices []Choice
	Keys    keys.Menu
	Styles  *style.Styles
	Cursor  int
}

// NewMenu makes a menu.
func NewMenu(st *style.Styles, title style.Text, choices []Choice) Menu {
	return Menu{Title: title, Choices: choices, Keys: keys.NewMenu(), Styles: st}
}

// Press handles a key. With Accepted the choice is that at the cursor.
func (m *Menu) Press(k tea.KeyPressMsg) Event {
	for i, c := range m.Choices {
		if c.Key != "" && k.String() == c.Key {
			m.Cursor = i
			return Accepted
		}
	}
	switch n := len(m.Choices); {
	case key.Matches(k, m.Keys.Close):
		return Cancelled
	case key.Matches(k, m.Keys.Choose) && n > 0:
		return Accepted
	case key.Matches(k, m.Keys.Up) && n > 0:
		m.Cursor = (m.Cursor + n - 1) % n
	case key.Matches(k, m.Keys.Down) && n > 0:
		m.Cursor = (m.Cursor + 1) % n
	}
	return Nothing
}

// Box draws the menu with its frame, in at most w by h cells.
func (m *Menu) Box(w, h int) []string {
	text, help := 8, 0
	for _, c := range m.Choices {
		text = max(text, c.Text.Width())
		help = max(help, c.Help.Width(), style.Clean(c.Off).Width())
	}
	inner := min(w-4, max(4+text+2+help, m.Title.Width()+2))
	text = min(text, inner-4)
	rows := max(1, min(len(m.Choices), h-2))
	from := max(0, min(m.Cursor-rows/2, len(m.Choices)-rows))
	var lines []string
	for i := from; i < min(len(m.Choices), from+rows); i++ {
		c := m.Choices[i]
		on, look, note := style.Plain, m.Styles.Text, c.Help
		if i == m.Cursor {
			on = style.Selected
		}
		if c.Off != "" {
			look, note = m.Styles.Faint, style.Clean(c.Off)
		}
		lines = append(lines, m.Styles.On(m.Styles.Accent, on).Render(style.Text(c.Key).FitRight(2)+"  ")+
			m.Styles.On(look, on).Render(c.Text.Fit(text)+"  ")+
			m.Styles.On(m.Styles.Dim, on).Render(note.Fit(max(0, inner-6-text))))
	}
	return Box(m.Styles, m.Title, inner, lines)
}
