package filter

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/sshark/sshark/dissect"
)

// keysOf are the names of what is in an object, dotted.
func keysOf(object map[string]any, before string) (all []string) {
	for key, v := range object {
		if inner, ok := v.(map[string]any); ok && key != "labels" {
			all = append(all, keysOf(inner, before+key+".")...)
			continue
		}
		all = append(all, before+key)
	}
	return all
}

// TestKeysAreFields: what is printed as JSON of every call and flow can be filtered on, or a filter
// says why not.
func TestKeysAreFields(t *testing.T) {
	l := testLanguage(t)
	f := httpFlow()
	f.State, f.Lost, f.Vantage = dissect.Reset, [2]uint64{1, 2}, dissect.SideBoth
	c := redisCall()
	c.Flow = f
	c.Client = &dissect.Sighting{Node: "node-a", Time: c.Time - 10, RequestEnd: c.RequestEnd - 10, ResponseStart: c.ResponseStart + 10}
	for what, text := range map[string][]byte{"flow": dissect.AppendFlow(nil, f), "call": dissect.AppendCall(nil, c)} {
		var object map[string]any
		if err := json.Unmarshal(text, &object); err != nil {
			t.Fatal(err)
		}
		keys := keysOf(object, "")
		for _, must := range slices.Concat(slices.Collect(maps.Keys(later)), []string{"src.ip", "node"}) {
			if what == "call" && !slices.Contains(keys, must) {
				t.Errorf("the call lacks %s, and proves nothing: %s", must, text)
			}
		}
		for _, key := range keys {
			if later[key] == "" && l.fields[key] == nil {
				t.Errorf("%s: %s is no field", what, key)
			}
		}
	}
}
