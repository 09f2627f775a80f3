// Package keys holds every key map of the TUI. A key map is its own help: the help screen and
// the line at the bottom are made of what is declared here, and a test holds that no key
// means two things in one place.
//
// Values are built anew for each session; nothing here is shared or changes.
package keys

import (
	"slices"

	"charm.land/bubbles/v2/key"
)

// Section is a titled group of bindings on the help screen.
type Section struct {
	Title    string
	Bindings []key.Binding
}

func bind(help, desc string, keys ...string) key.Binding {
	return key.NewBinding(key.WithKeys(keys...), key.WithHelp(help, desc))
}

// Global are the keys that work wherever nothing is being typed.
type Global struct {
	Help, Command, Last, Back, Quit, Kill, Mouse, Time key.Binding
}

// NewGlobal is the key map of the root.
func NewGlobal() Global {
	return Global{
		Help:    bind("?", "help", "?", "f1"),
		Command: bind(":", "command", ":"),
		Last:    bind("-", "view before", "-"),
		Back:    bind("esc", "back", "esc", "alt+esc"),
		Quit:    bind("q", "close, quit", "q"),
		Kill:    bind("ctrl-c", "quit", "ctrl+c"),
		Mouse:   bind("M", "mouse on or off", "M"),
		Time:    bind("ctrl-t", "form of times", "ctrl+t"),
	}
}

// Section is the map as help.
func (k Global) Section() Section {
	return Section{"Everywhere", []key.Binding{k.Help, k.Command, k.Back, k.Last, k.Time, k.Mouse, k.Quit, k.Kill}}
}

// Move are the keys that move in anything that scrolls.
type Move struct {
	Up, Down, PageUp, PageDown, Top, Bottom, Left, Right key.Binding
}

// NewMove is the key map of lists and pages. Top is pressed twice, as in vi.
func NewMove() Move {
	return Move{
		Up:       bind("k ↑", "up", "k", "up"),
		Down:     bind("j ↓", "down", "j", "down"),
		PageUp:   bind("ctrl-b", "page up", "pgup", "ctrl+b", "ctrl+u"),
		PageDown: bind("ctrl-f", "page down", "pgdown", "ctrl+f", "ctrl+d"),
		Top:      bind("gg", "first", "g", "home"),
		Bottom:   bind("G", "last", "G", "end"),
		Left:     bind("h ←", "column left", "h", "left"),
		Right:    bind("l →", "column right", "l", "right"),
	}
}

// Section is the map as help.
func (k Move) Section() Section {
	return Section{"Move", []key.Binding{k.Up, k.Down, k.PageUp, k.PageDown, k.Top, k.Bottom, k.Left, k.Right}}
}

// Scope are the keys that change what is looked at, on all screens that follow it.
type Scope struct {
	Filter, Window, Errors            key.Binding
	Older, Newer, Closer, Wider, Home key.Binding
}

// NewScope is the key map of the bar.
func NewScope() Scope {
	return Scope{
		Filter: bind("/", "filter", "/"),
		Window: bind("w", "window", "w"),
		Errors: bind("ctrl-z", "errors only", "ctrl+z"),
		Older:  bind("[", "window back", "["),
		Newer:  bind("]", "window on", "]"),
		Closer: bind("+", "zoom in, at the row", "+"),
		Wider:  bind("_", "zoom out", "_"),
		Home:   bind("0", "back to live", "0"),
	}
}

// Short is what the bottom line shows, with the keys of a screen between them.
func (k Scope) Short(of ...key.Binding) []key.Binding {
	return slices.Concat([]key.Binding{k.Filter}, of, []key.Binding{k.Window, k.Errors})
}

// Section is the map as help.
func (k Scope) Section() Section {
	return Section{"What is looked at", []key.Binding{k.Filter, k.Window, k.Closer, k.Wider, k.Older, k.Newer, k.Home, k.Errors}}
}

// Calls are the keys of the list of calls.
type Calls struct {
	Open, Pause, Follow, Next, Maximise   key.Binding
	Apply, Exclude, Mark, MarkAll, Unmark key.Binding
	Copy, Export, Stream, Packets, Replay key.Binding
	Sort, Order, Columns, Namespace       key.Binding
}

// NewCalls is the key map of the list of calls.
func NewCalls() Calls {
	return Calls{
		Open:      bind("enter", "details", "enter", "d"),
		Pause:     bind("p", "pause", "p"),
		Follow:    bind("f", "follow", "f"),
		Next:      bind("tab", "other pane", "tab", "shift+tab"),
		Maximise:  bind(`\`, "maximise pane", `\`),
		Apply:     bind("=", "filter by cell", "="),
		Exclude:   bind("!", "filter it out", "!"),
		Mark:      bind("space", "mark", "space"),
		MarkAll:   bind("a", "mark all of these", "a"),
		Unmark:    bind("u", "clear the marks", "u"),
		Copy:      bind("c", "copy …", "c"),
		Export:    bind("ctrl-s", "save as snapshot", "ctrl+s"),
		Stream:    bind("F", "its stream", "F"),
		Packets:   bind("K", "its packets", "K"),
		Replay:    bind("r", "send it again …", "r"),
		Sort:      bind("shift-letter", "sort by column", "T", "S", "D", "P", "U", "A", "L"),
		Order:     bind("o", "sort by this column", "o"),
		Columns:   bind("C", "choose columns", "C"),
		Namespace: bind("N", "one namespace", "N"),
	}
}

// Short is what the bottom line shows.
func (k Calls) Short() []key.Binding {
	return []key.Binding{k.Open, k.Pause, k.Follow}
}

// Section is the map as help.
func (k Calls) Section() Section {
	return Section{"Calls", []key.Binding{
		k.Open, k.Next, k.Maximise, k.Stream, k.Packets, k.Replay, k.Apply, k.Exclude, k.Namespace,
		k.Pause, k.Follow, k.Sort, k.Order, k.Columns, k.Mark, k.MarkAll, k.Unmark, k.Copy, k.Export,
	}}
}

// Snapshots are the keys of the list of snapshots, beside Move.
type Snapshots struct{ Open, New, Delete, Cancel key.Binding }

// NewSnapshots is the key map of the list of snapshots.
func NewSnapshots() Snapshots {
	return Snapshots{
		Open:   bind("enter", "look at it", "enter"),
		New:    bind("n", "new, of the calls' window and filter", "n"),
		Delete: bind("D", "delete", "D"),
		Cancel: bind("x", "stop the making", "x"),
	}
}

// Short is what the bottom line shows.
func (k Snapshots) Short() []key.Binding { return []key.Binding{k.Open, k.New, k.Delete} }

// Section is the map as help.
func (k Snapshots) Section() Section {
	return Section{"Snapshots", []key.Binding{k.Open, k.New, k.Delete, k.Cancel}}
}

// Detail are the keys of the detail pane, beside Move.
type Detail struct {
	NextCall, PrevCall, Raw, Apply, Exclude, Copy, Maximise, Next key.Binding
	Column, Find, Again, Before, Fold, FoldAll                    key.Binding
	Stream, Packets, Replay                                       key.Binding
}

// NewDetail is the key map of the detail pane.
func NewDetail() Detail {
	return Detail{
		NextCall: bind("n", "next call", "n"),
		PrevCall: bind("p", "call before", "p"),
		Raw:      bind("y", "form of the body", "y"),
		Apply:    bind("=", "filter by this field", "="),
		Exclude:  bind("!", "filter it out", "!"),
		Copy:     bind("c", "copy …", "c"),
		Column:   bind("C", "column of this field", "C"),
		Find:     bind("f", "find text", "f"),
		Again:    bind(";", "found next", ";"),
		Before:   bind(",", "found before", ","),
		Fold:     bind("space", "fold section", "space"),
		FoldAll:  bind("z", "fold all", "z"),
		Stream:   bind("F", "its stream", "F"),
		Packets:  bind("K", "its packets", "K"),
		Replay:   bind("r", "send it again …", "r"),
		Maximise: bind(`\`, "maximise", `\`),
		Next:     bind("tab", "other pane", "tab", "shift+tab"),
	}
}

// Short is what the bottom line shows.
func (k Detail) Short() []key.Binding {
	return []key.Binding{k.NextCall, k.PrevCall, k.Find, k.Raw, k.Copy, k.Stream, k.Maximise, k.Next}
}

// Section is the map as help.
func (k Detail) Section() Section {
	return Section{"Details", []key.Binding{k.NextCall, k.PrevCall, k.Raw, k.Find, k.Again, k.Before, k.Fold, k.FoldAll,
		k.Apply, k.Exclude, k.Column, k.Copy, k.Stream, k.Packets, k.Replay, k.Maximise, k.Next}}
}

// Prompt are the keys while something is typed.
type Prompt struct {
	Accept, Cancel, Complete, Up, Down, Clear, Invert key.Binding
}

// NewPrompt is the key map of the filter bar and the other prompts.
func NewPrompt() Prompt {
	return Prompt{
		Accept:   bind("enter", "apply", "enter"),
		Cancel:   bind("esc", "leave it", "esc", "alt+esc"),
		Complete: bind("tab", "complete", "tab"),
		Up:       bind("↑", "choose, typed before", "up", "ctrl+p"),
		Down:     bind("↓", "choose", "down", "ctrl+n"),
		Clear:    bind("ctrl-u", "clear", "ctrl+u"),
		Invert:   bind("ctrl-o", "opposite: !( … )", "ctrl+o"),
	}
}

// Short is what the bottom line shows.
func (k Prompt) Short() []key.Binding {
	return []key.Binding{k.Accept, k.Complete, k.Up, k.Clear, k.Cancel}
}

// Section is the map as help.
func (k Prompt) Section() Section {
	return Section{"While typing", []key.Binding{k.Accept, k.Complete, k.Up, k.Down, k.Clear, k.Invert, k.Cancel}}
}

// Pointer is what the mouse does; it has no keys, only help.
func Pointer() Section {
	say := func(what, does string) key.Binding {
		return key.NewBinding(key.WithKeys(what), key.WithHelp(what, does))
	}
	return Section{"Mouse", []key.Binding{
		say("click", "select a row or a pane"),
		say("click again", "details"),
		say("wheel", "scroll"),
		say("drag", "window, on the chart"),
		say("right drag", "move it, on the chart"),
		say("wheel there", "zoom"),
		say("shift-drag", "terminal's selection"),
	}}
}
