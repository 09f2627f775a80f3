package component

import (
	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/tui/keys"
)

// Mover leads through anything that scrolls by the keys of keys.Move. The first of two g, which
// lead to the top together as in vi, is forgotten with the next key: so it is told of every key.
// The zero value is ready.
type Mover struct{ first bool }

// Press says where a key leads from row at of n, of which page are seen at once; to is at where it
// leads nowhere. mine is false if the key is none that moves up or down.
func (m *Mover) Press(k tea.KeyPressMsg, move keys.Move, at, n, page int) (to int, mine bool) {
	first := m.first
	m.first = false
	page = max(1, page-1)
	switch {
	case key.Matches(k, move.Up):
		at--
	case key.Matches(k, move.Down):
		at++
	case key.Matches(k, move.PageUp):
		at -= page
	case key.Matches(k, move.PageDown):
		at += page
	case key.Matches(k, move.Top) && k.String() == "g" && !first:
		m.first = true
		return at, true
	case key.Matches(k, move.Top):
		at = 0
	case key.Matches(k, move.Bottom):
		at = n - 1
	default:
		return at, false
	}
	return max(0, min(at, n-1)), true
}

// Press moves the cursor within n rows, or picks another column if one can be picked. mine is
// false if the key does neither; moved says whether the cursor was led somewhere, be it to where
// it was.
func (t *Table) Press(k tea.KeyPressMsg, move keys.Move, n int) (moved, mine bool) {
	to, mine := t.mover.Press(k, move, t.Cursor, n, t.height)
	switch {
	case mine && t.mover.first:
		return false, true // it may become gg
	case mine:
		t.To(to, n)
		return true, true
	case t.Picked >= 0 && key.Matches(k, move.Left):
		t.MoveColumn(-1)
		return false, true
	case t.Picked >= 0 && key.Matches(k, move.Right):
		t.MoveColumn(1)
		return false, true
	}
	return false, false
}
