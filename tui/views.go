package tui

// Named is a view that a screen can begin at (Options.View).
type Named struct {
	Name, Help string
	Stream     bool // it is of a stream: Options.Stream says of which
}

// Views are the views that have names, in the order in which they are offered.
func Views() []Named {
	var all []Named
	for _, k := range kinds() {
		all = append(all, Named{k.names[0], k.help, k.takesStream()})
	}
	return all
}
