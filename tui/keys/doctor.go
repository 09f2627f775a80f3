package keys

import "charm.land/bubbles/v2/key"

// Doctor are the keys of what the doctor found, beside Move.
type Doctor struct{ All, Again key.Binding }

// NewDoctor is the key map of what the doctor found.
func NewDoctor() Doctor {
	return Doctor{
		All:   bind("a", "also where nothing is wrong", "a"),
		Again: bind("x", "examine again", "x"),
	}
}

// Short is what the bottom line shows.
func (k Doctor) Short() []key.Binding { return []key.Binding{k.All, k.Again} }

// Section is the map as help.
func (k Doctor) Section() Section { return Section{"Doctor", []key.Binding{k.All, k.Again}} }
