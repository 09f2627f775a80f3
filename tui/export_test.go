package tui

// Help are the keys of all bindings on the help screen of what is shown, by their titles.
func (m Model) Help() map[string][]string {
	out := map[string][]string{}
	for _, s := range m.sections() {
		for _, b := range s.Bindings {
			out[s.Title] = append(out[s.Title], b.Keys()...)
		}
	}
	return out
}

// Top is the name of the view that is shown.
func (m Model) Top() string { return m.name() }
