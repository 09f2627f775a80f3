package worker

import (
	"strings"
	"testing"
)

func TestSelector(t *testing.T) {
	web := map[string]string{"app": "web", "tier": "front", "example.com/team": "a-1"}
	for text, want := range map[string]bool{
		"":                                  true,
		"app=web":                           true,
		"app==web":                          true,
		" app = web , tier = front ":        true,
		"app=web,tier=back":                 false,
		"app!=web":                          false,
		"app!=db":                           true,
		"absent!=x":                         true,
		"app":                               true,
		"absent":                            false,
		"!absent":                           true,
		"! app":                             false,
		"app in (db, web)":                  true,
		"app in (db)":                       false,
		"app notin (db,cache),tier":         true,
		"app notin (web)":                   false,
		"absent notin (web)":                true,
		"absent in (web)":                   false,
		"example.com/team=a-1":              true,
		"example.com/team in (a-1),!canary": true,
		"app=":                              false,
		"absent=":                           false,
	} {
		s, err := parseSelector(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := s.selects(web); got != want {
			t.Errorf("%q selects: %v, want %v", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"=web":           "label key",
		"app=web,,x":     "label key",
		"app in web":     "label key",
		"app in (web":    "want KEY in",
		"app of (web)":   "want KEY in",
		"app=a b":        "label value",
		"app>3":          "label key",
		"app in (a=b)":   "label value",
		"!app=web":       "label key",
		"a/b/c=d":        "label key",
		"app in (w),!":   "label key",
		"app=\"web\"":    "label value",
		"app in (b),c d": "label key",
	} {
		if _, err := parseSelector(text); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "label selector") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func FuzzSelector(f *testing.F) {
	for _, s := range []string{"app=web,tier!=db", "env in (a, b),!canary", "x notin (", "a==b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSelector(text)
		if err != nil && len(s) > 0 {
			t.Errorf("%q: %v and %v", text, s, err)
		}
		s.selects(map[string]string{"app": "web"})
	})
}
