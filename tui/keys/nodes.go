package keys

import "charm.land/bubbles/v2/key"

// Nodes are the keys of the list of nodes, beside Move.
type Nodes struct{ Calls, Exclude key.Binding }

// NewNodes is the key map of the list of nodes.
func NewNodes() Nodes {
	return Nodes{
		Calls:   bind("enter =", "calls that it captured", "enter", "="),
		Exclude: bind("!", "calls that others captured", "!"),
	}
}

// Short is what the bottom line shows.
func (k Nodes) Short() []key.Binding { return []key.Binding{k.Calls, k.Exclude} }

// Section is the map as help.
func (k Nodes) Section() Section { return Section{"Nodes", []key.Binding{k.Calls, k.Exclude}} }
