package keys

import (
	"reflect"
	"testing"

	"charm.land/bubbles/v2/key"
)

// TestNoKeyMeansTwoThings holds, for each place where keys are pressed, that a key has one
// meaning there.
func TestNoKeyMeansTwoThings(t *testing.T) {
	move := NewMove()
	for name, sections := range map[string][]Section{
		"calls":   {NewGlobal().Section(), NewScope().Section(), NewCalls().Section(), move.Section()},
		"details": {NewGlobal().Section(), NewScope().Section(), NewDetail().Section(), move.Section()},
		"flows":   {NewGlobal().Section(), NewScope().Section(), NewFlows().Section(), move.Section()},
		"packets": {NewGlobal().Section(), NewScope().Section(), NewPackets().Section(), move.Section()},
		"stream":  {NewGlobal().Section(), NewStream().Section(), move.Section()},
		"replay":  {NewGlobal().Section(), NewReplay().Section(), move.Section()},
		"map":     {NewGlobal().Section(), NewScope().Section(), NewServiceMap().Section(), move.Section()},
		"nodes":   {NewGlobal().Section(), NewNodes().Section(), move.Section()},
		"columns": {NewColumns().Section()},
		"menu":    {NewMenu().Section()},
		"typing":  {NewPrompt().Section()},
	} {
		t.Run(name, func(t *testing.T) {
			taken := map[string]string{}
			for _, s := range sections {
				for _, b := range s.Bindings {
					for _, k := range b.Keys() {
						if other, ok := taken[k]; ok {
							t.Errorf("%q is %q and %q", k, other, b.Help().Desc)
						}
						taken[k] = b.Help().Desc
					}
				}
			}
		})
	}
}

func TestEveryBindingHasHelp(t *testing.T) {
	for _, s := range []Section{NewGlobal().Section(), NewMove().Section(), NewScope().Section(), NewCalls().Section(), NewDetail().Section(), NewPrompt().Section(), NewFlows().Section(), NewPackets().Section(), NewStream().Section(), NewReplay().Section(), NewNodes().Section(), NewColumns().Section(), NewMenu().Section(), Pointer()} {
		if s.Title == "" {
			t.Error("a section has no title")
		}
		for _, b := range s.Bindings {
			if b.Help().Key == "" || b.Help().Desc == "" {
				t.Errorf("%s: binding of %q has no help", s.Title, b.Keys())
			}
		}
	}
}

// TestSectionsAreComplete holds that what a view reacts to is on its help screen.
func TestSectionsAreComplete(t *testing.T) {
	c, d, s := NewCalls(), NewDetail(), NewScope()
	for _, x := range []struct {
		short   []key.Binding
		section Section
	}{{c.Short(), c.Section()}, {d.Short(), d.Section()}, {s.Short(), s.Section()}} {
		for _, b := range x.short {
			found := false
			for _, o := range x.section.Bindings {
				found = found || o.Help() == b.Help()
			}
			if !found {
				t.Errorf("%s: %q is at the bottom, but not on the help screen", x.section.Title, b.Help().Desc)
			}
		}
	}
	for _, m := range []interface{ Section() Section }{c, d, s, NewMove(), NewGlobal(), NewSnapshots(), NewServiceMap(), NewPrompt(), NewFlows(), NewPackets(), NewStream(), NewReplay(), NewNodes(), NewColumns(), NewMenu()} {
		if got, want := len(m.Section().Bindings), reflect.TypeOf(m).NumField(); got != want {
			t.Errorf("help of %T shows %d bindings, the key map has %d", m, got, want)
		}
	}
}
