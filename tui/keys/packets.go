package keys

import "charm.land/bubbles/v2/key"

// Packets are the keys of the list of packets and the layers below it, beside Move.
type Packets struct {
	Open, Next, Maximise, Fold, FoldAll key.Binding
	NextMark, PrevMark                  key.Binding
	Stream, Flow, Calls, Copy, Save     key.Binding
	Again, Later, Earlier, Times        key.Binding
}

// NewPackets is the key map of the list of packets.
func NewPackets() Packets {
	return Packets{
		Open:     bind("enter", "its layers, fold", "enter"),
		Next:     bind("tab", "other pane", "tab", "shift+tab"),
		Maximise: bind(`\`, "maximise pane", `\`),
		Fold:     bind("space", "fold or unfold", "space"),
		FoldAll:  bind("z", "fold or unfold all", "z"),
		NextMark: bind("n", "next with a mark", "n"),
		PrevMark: bind("N", "one before with a mark", "N"),
		Stream:   bind("F", "follow its stream", "F"),
		Flow:     bind("K", "all packets of its flow", "K"),
		Calls:    bind("C", "its call", "C"),
		Copy:     bind("c", "copy line, field or bytes", "c"),
		Save:     bind("ctrl-s", "how to save them", "ctrl+s"),
		Again:    bind("R", "read again", "R"),
		Times:    bind("t", "form of the times", "t"),
		Later:    bind(">", "next packets", ">"),
		Earlier:  bind("<", "packets before", "<"),
	}
}

// Short is what the bottom line shows.
func (k Packets) Short() []key.Binding {
	return []key.Binding{k.Open, k.Next, k.NextMark, k.Stream, k.Calls}
}

// Section is the map as help.
func (k Packets) Section() Section {
	return Section{"Packets", []key.Binding{k.Open, k.Next, k.Maximise, k.Fold, k.FoldAll, k.NextMark, k.PrevMark,
		k.Stream, k.Flow, k.Calls, k.Copy, k.Save, k.Again, k.Later, k.Earlier, k.Times}}
}
