package keys

import "charm.land/bubbles/v2/key"

// Stream are the keys of the bytes of a flow, beside Move.
type Stream struct {
	Form, Side, Search, Next, Previous key.Binding
	Packet, Calls, Replay              key.Binding
	Copy, CopySide, Save               key.Binding
	Follow, Again, Later, Earlier      key.Binding
}

// NewStream is the key map of the bytes of a flow.
func NewStream() Stream {
	return Stream{
		Form:     bind("y", "text, hex, JSON", "y"),
		Side:     bind("s", "both sides, client, server", "s"),
		Search:   bind("/", "search", "/"),
		Next:     bind("n", "next match", "n"),
		Previous: bind("N", "match before", "N"),
		Packet:   bind("enter", "packet of these bytes", "enter", "K"),
		Calls:    bind("C", "call of these bytes", "C"),
		Replay:   bind("r", "send it again …", "r"),
		Copy:     bind("c", "copy what was said here", "c"),
		CopySide: bind("Y", "copy all of the side", "Y"),
		Save:     bind("ctrl-s", "how to save it", "ctrl+s"),
		Follow:   bind("f", "follow", "f"),
		Again:    bind("R", "read again", "R"),
		Later:    bind(">", "next part", ">"),
		Earlier:  bind("<", "part before", "<"),
	}
}

// Short is what the bottom line shows.
func (k Stream) Short() []key.Binding {
	return []key.Binding{k.Search, k.Form, k.Side, k.Packet, k.Calls, k.Copy}
}

// Section is the map as help.
func (k Stream) Section() Section {
	return Section{"Stream", []key.Binding{k.Form, k.Side, k.Search, k.Next, k.Previous, k.Packet, k.Calls, k.Replay,
		k.Copy, k.CopySide, k.Save, k.Follow, k.Again, k.Later, k.Earlier}}
}
