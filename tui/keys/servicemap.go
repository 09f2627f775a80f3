package keys

import "charm.land/bubbles/v2/key"

// ServiceMap are the keys of the service map, beside Move, which leads from box to box.
type ServiceMap struct {
	NextEdge, PrevEdge, Calls, Flows, Apply, Exclude key.Binding
	Focus, Hide, Show, Fold, Open                    key.Binding
	By, Form, Numbers, Ask, Detail, Pause            key.Binding
	Find, Next, Prev, PanLeft, PanRight, Copy        key.Binding
}

// NewServiceMap is the key map of the service map.
func NewServiceMap() ServiceMap {
	return ServiceMap{
		NextEdge: bind("tab", "next edge", "tab"),
		PrevEdge: bind("shift-tab", "edge before", "shift+tab"),
		Calls:    bind("enter", "its calls", "enter"),
		Flows:    bind("t", "its flows", "t"),
		Apply:    bind("=", "filter by it", "="),
		Exclude:  bind("!", "filter it out", "!"),
		Focus:    bind("f", "focus: 1, 2 calls away, all", "f"),
		Hide:     bind("x", "hide", "x"),
		Show:     bind("X", "show all that is hidden", "X"),
		Fold:     bind("z", "namespaces as boxes", "z"),
		Open:     bind("space", "open or close a namespace", "space"),
		By:       bind("b", "what a box is", "b"),
		Form:     bind("v", "boxes, matrix, tree", "v"),
		Numbers:  bind("u", "rates, calls, bytes", "u"),
		Ask:      bind("a", "with calls, or flows only", "a"),
		Detail:   bind("d", "details", "d"),
		Pause:    bind("p", "pause", "p"),
		Find:     bind("s", "search a name", "s"),
		Next:     bind("n", "next found", "n"),
		Prev:     bind("N", "found before", "N"),
		PanLeft:  bind("<", "scroll left", "<"),
		PanRight: bind(">", "scroll right", ">"),
		Copy:     bind("c", "copy as JSON", "c"),
	}
}

// Short is what the bottom line shows.
func (k ServiceMap) Short() []key.Binding {
	return []key.Binding{k.Calls, k.NextEdge, k.Focus, k.By, k.Fold, k.Find}
}

// Section is the map as help.
func (k ServiceMap) Section() Section {
	return Section{"Service map", []key.Binding{k.NextEdge, k.PrevEdge, k.Calls, k.Flows, k.Apply, k.Exclude, k.Focus, k.Hide, k.Show,
		k.Fold, k.Open, k.By, k.Form, k.Numbers, k.Ask, k.Detail, k.Pause, k.Find, k.Next, k.Prev, k.PanLeft, k.PanRight, k.Copy}}
}
