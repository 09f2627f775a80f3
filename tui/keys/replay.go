package keys

import "charm.land/bubbles/v2/key"

// Replay are the keys of a flow that is sent again, beside Move.
type Replay struct {
	Send, Open, Again, Plan     key.Binding
	Result, Brief               key.Binding
	Target, Node, Speed, Times  key.Binding
	Ignore, Force               key.Binding
	Call, Stream, Copy, CopyAll key.Binding
}

// NewReplay is the key map of a flow that is sent again.
func NewReplay() Replay {
	return Replay{
		Send:    bind("y", "send it", "y"),
		Open:    bind("enter", "send it, or its call", "enter"),
		Again:   bind("r", "send it again", "r"),
		Plan:    bind("R", "plan it anew", "R"),
		Result:  bind("tab", "plan or result", "tab"),
		Brief:   bind("d", "only what differs", "d"),
		Target:  bind("t", "target", "t"),
		Node:    bind("N", "node that sends it", "N"),
		Speed:   bind("s", "speed", "s"),
		Times:   bind("n", "how often", "n"),
		Ignore:  bind("i", "field that may differ", "i"),
		Force:   bind("f", "force", "f"),
		Call:    bind("C", "the call as it was", "C"),
		Stream:  bind("F", "the stream as it was", "F"),
		Copy:    bind("c", "copy the line", "c"),
		CopyAll: bind("Y", "copy all of it", "Y"),
	}
}

// Short is what the bottom line shows.
func (k Replay) Short() []key.Binding {
	return []key.Binding{k.Send, k.Again, k.Brief, k.Target, k.Speed, k.Times, k.Ignore}
}

// Section is the map as help.
func (k Replay) Section() Section {
	return Section{"Replay", []key.Binding{k.Send, k.Open, k.Again, k.Plan, k.Result, k.Brief, k.Target, k.Node, k.Speed, k.Times, k.Ignore, k.Force,
		k.Call, k.Stream, k.Copy, k.CopyAll}}
}
