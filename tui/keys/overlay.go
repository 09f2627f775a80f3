package keys

import "charm.land/bubbles/v2/key"

// Menu are the keys of a list of which one thing is chosen.
type Menu struct{ Up, Down, Choose, Close key.Binding }

// NewMenu is the key map of menus.
func NewMenu() Menu {
	return Menu{
		Up:     bind("k ↑", "up", "k", "up"),
		Down:   bind("j ↓", "down", "j", "down"),
		Choose: bind("enter", "take it", "enter"),
		Close:  bind("esc", "leave it", "esc", "alt+esc", "q"),
	}
}

// Short is what the bottom line shows.
func (k Menu) Short() []key.Binding { return []key.Binding{k.Choose, k.Down, k.Up, k.Close} }

// Section is the map as help.
func (k Menu) Section() Section {
	return Section{"In a menu", []key.Binding{k.Up, k.Down, k.Choose, k.Close}}
}

// Columns are the keys of the chooser of columns.
type Columns struct {
	Up, Down, Toggle, Earlier, Later, Wider, Narrower, Add, Remove, Sort, Reset, Close key.Binding
}

// NewColumns is the key map of the chooser of columns.
func NewColumns() Columns {
	return Columns{
		Up:       bind("k ↑", "up", "k", "up"),
		Down:     bind("j ↓", "down", "j", "down"),
		Toggle:   bind("space", "show or hide", "space"),
		Earlier:  bind("K", "to the left", "K", "shift+up"),
		Later:    bind("J", "to the right", "J", "shift+down"),
		Wider:    bind("+", "wider", "+", "="),
		Narrower: bind("-", "narrower", "-"),
		Add:      bind("a", "a field of the calls", "a"),
		Remove:   bind("x", "take a field away", "x"),
		Sort:     bind("o", "sort by it", "o"),
		Reset:    bind("r", "as it was at first", "r"),
		Close:    bind("enter", "done", "enter", "esc", "alt+esc", "q", "C"),
	}
}

// Short is what the bottom line shows.
func (k Columns) Short() []key.Binding {
	return []key.Binding{k.Toggle, k.Later, k.Earlier, k.Wider, k.Narrower, k.Add, k.Remove, k.Sort, k.Reset, k.Close}
}

// Section is the map as help.
func (k Columns) Section() Section {
	return Section{"Choosing columns", []key.Binding{k.Up, k.Down, k.Toggle, k.Earlier, k.Later, k.Wider, k.Narrower, k.Add, k.Remove, k.Sort, k.Reset, k.Close}}
}
