package protocols

import (
	"testing"

	"github.com/sshark/sshark/dissect"
)

// TestAll: what is declared twice is the same thing.
func TestAll(t *testing.T) {
	names := map[string]bool{}
	kinds := map[string]dissect.FieldKind{}
	for _, p := range All() {
		if p.Name == "" || p.Title == "" || p.Detect == nil || p.New == nil || len(p.Transport) == 0 {
			t.Errorf("%q is not complete", p.Name)
		}
		if names[p.Name] {
			t.Errorf("%s is there twice", p.Name)
		}
		names[p.Name] = true
		for _, f := range p.Fields {
			if kind, ok := kinds[f.Name]; ok && kind != f.Kind {
				t.Errorf("%s has %s with another type", p.Name, f.Name)
			}
			kinds[f.Name] = f.Kind
			if f.Help == "" || f.Example == "" || f.Get == nil {
				t.Errorf("%s.%s is not complete", p.Name, f.Name)
			}
		}
	}
}
