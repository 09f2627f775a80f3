package keys

import "charm.land/bubbles/v2/key"

// Flows are the keys of the list of flows, beside Move.
type Flows struct {
	Open, Details, Stream, Calls, Maximise key.Binding
	Apply, Exclude, Copy, Sort             key.Binding
	Follow, Again, Times, Replay           key.Binding
}

// NewFlows is the key map of the list of flows.
func NewFlows() Flows {
	return Flows{
		Open:     bind("enter", "its packets", "enter", "K"),
		Details:  bind("d", "how it went", "d"),
		Stream:   bind("F", "follow its stream", "F"),
		Calls:    bind("C", "its calls", "C"),
		Maximise: bind(`\`, "maximise pane", `\`),
		Apply:    bind("=", "filter by cell", "="),
		Exclude:  bind("!", "filter it out", "!"),
		Copy:     bind("c", "copy", "c"),
		Sort:     bind("shift-letter", "sort by column", "T", "S", "D", "P", "A", "E", "B", "O", "U"),
		Follow:   bind("f", "follow", "f"),
		Again:    bind("R", "read again", "R"),
		Times:    bind("t", "form of the times", "t"),
		Replay:   bind("r", "send it again …", "r"),
	}
}

// Short is what the bottom line shows.
func (k Flows) Short() []key.Binding {
	return []key.Binding{k.Open, k.Details, k.Stream, k.Calls}
}

// Section is the map as help.
func (k Flows) Section() Section {
	return Section{"Flows", []key.Binding{k.Open, k.Details, k.Stream, k.Calls, k.Replay, k.Maximise, k.Apply, k.Exclude, k.Copy, k.Sort, k.Follow, k.Again, k.Times}}
}
