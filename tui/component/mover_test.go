package component

import (
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/tui/keys"
)

func pressed(name string) tea.KeyPressMsg {
	switch name {
	case "pgdown":
		return tea.KeyPressMsg{Code: tea.KeyPgDown}
	case "pgup":
		return tea.KeyPressMsg{Code: tea.KeyPgUp}
	case "home":
		return tea.KeyPressMsg{Code: tea.KeyHome}
	}
	return tea.KeyPressMsg{Code: rune(name[0]), Text: name}
}

func TestMover(t *testing.T) {
	for _, tt := range []struct {
		name      string
		keys      []string
		at, n, to int
		mine      bool // the last of them
	}{
		{"down and up", []string{"j", "j", "k"}, 5, 100, 6, true},
		{"not above the first", []string{"k"}, 0, 100, 0, true},
		{"not below the last", []string{"j"}, 99, 100, 99, true},
		{"a page keeps a row in sight", []string{"pgdown"}, 0, 100, 9, true},
		{"a page back", []string{"pgup"}, 30, 100, 21, true},
		{"the end", []string{"G"}, 0, 100, 99, true},
		{"one g waits", []string{"g"}, 50, 100, 50, true},
		{"two lead to the top", []string{"g", "g"}, 50, 100, 0, true},
		{"home needs one", []string{"home"}, 50, 100, 0, true},
		{"a key between them", []string{"g", "j", "g"}, 50, 100, 51, true},
		{"another's key between them", []string{"g", "x", "g"}, 50, 100, 50, true},
		{"another's key", []string{"x"}, 50, 100, 50, false},
		{"nothing to lead through", []string{"G"}, 0, 0, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var m Mover
			at, mine := tt.at, false
			for _, k := range tt.keys {
				at, mine = m.Press(pressed(k), keys.NewMove(), at, tt.n, 10)
			}
			if at != tt.to || mine != tt.mine {
				t.Errorf("at %d (mine %v), want %d (%v)", at, mine, tt.to, tt.mine)
			}
		})
	}
}

// TestTablePress: what a key did is told, so that a list knows whether its cursor was led away.
func TestTablePress(t *testing.T) {
	table := Table{Columns: []Column{{Title: "A", Min: 4}, {Title: "B", Min: 4}}}
	table.SetSize(40, 11)
	for _, step := range []struct {
		key         string
		moved, mine bool
		row, column int
	}{
		{"j", true, true, 1, 0}, {"l", false, true, 1, 1}, {"g", false, true, 1, 1}, {"g", true, true, 0, 1}, {"x", false, false, 0, 1}, {"k", true, true, 0, 1},
	} {
		moved, mine := table.Press(pressed(step.key), keys.NewMove(), 20)
		if moved != step.moved || mine != step.mine || table.Cursor != step.row || table.Picked != step.column {
			t.Errorf("%s: moved %v, mine %v, at %d, %d; want %+v", step.key, moved, mine, table.Cursor, table.Picked, step)
		}
	}
	table.Picked = -1 // none can be picked
	if _, mine := table.Press(pressed("l"), keys.NewMove(), 20); mine {
		t.Error("a column is picked where none can be")
	}
}
