package view

import (
	"strings"
	"testing"
	"time"
)

func TestWindowZoomsAndMoves(t *testing.T) {
	min := int64(time.Minute)
	now := 1000 * min
	live := Window{Last: 15 * time.Minute}
	seen := sight{since: now - 15*min, until: now, now: now, oldest: now - 120*min, node: "node-a"}
	fixed := func(from, to int64) Window { return Window{Since: from * min, Until: to * min} }
	over := func(w Window, at int64) sight {
		return sight{since: w.Since, until: w.Until, at: at * min, now: now, oldest: now - 120*min, node: "node-a"}
	}
	picked := seen
	picked.at = now - 10*min
	file := sight{since: 10 * min, until: 20 * min, newest: 20 * min, oldest: 10 * min}
	for _, c := range []struct {
		name string
		do   func() (Window, error)
		want Window
		err  string
	}{
		{"live, in", func() (Window, error) { return live.zoom(seen, true) }, Window{Last: 5 * time.Minute}, ""},
		{"live, out", func() (Window, error) { return live.zoom(seen, false) }, Window{Last: 30 * time.Minute}, ""},
		{"odd live, in", func() (Window, error) { return Window{Last: 7 * time.Minute}.zoom(seen, true) }, Window{Last: 5 * time.Minute}, ""},
		{"odd live, out", func() (Window, error) { return Window{Last: 7 * time.Minute}.zoom(seen, false) }, Window{Last: 15 * time.Minute}, ""},
		{"shortest live", func() (Window, error) { return Window{Last: time.Second}.zoom(seen, true) }, Window{}, "shortest live"},
		{"longest live", func() (Window, error) { return Window{Last: maxWindow}.zoom(seen, false) }, Window{}, "longest"},
		// The picked moment is a third from the left, and stays so.
		{"at a row", func() (Window, error) { return live.zoom(picked, true) }, Window{Since: now - 15*min + 5*min/2, Until: now - 15*min + 5*min/2 + 15*min/2}, ""},
		{"about the middle", func() (Window, error) { return fixed(900, 920).zoom(over(fixed(900, 920), 0), true) }, fixed(905, 915), ""},
		{"out about a row", func() (Window, error) { return fixed(900, 920).zoom(over(fixed(900, 920), 905), false) }, fixed(895, 935), ""},
		{"out no further than now", func() (Window, error) { return fixed(980, 996).zoom(over(fixed(980, 996), 0), false) }, fixed(968, 1000), ""},
		{"narrowest", func() (Window, error) {
			return Window{Since: 5, Until: 5 + minWindow}.zoom(sight{since: 5, until: 5 + minWindow, now: now}, true)
		}, Window{}, "millisecond"},
		{"out of all", func() (Window, error) { return Window{}.zoom(file, false) }, Window{}, "everything"},
		{"into all", func() (Window, error) { return Window{}.zoom(file, true) }, Window{Since: 12*min + min/2, Until: 17*min + min/2}, ""},
		{"nothing read", func() (Window, error) { return Window{}.zoom(sight{now: now}, true) }, Window{}, "still being read"},
		{"back", func() (Window, error) { return live.move(seen, -5*min) }, Window{Since: now - 20*min, Until: now - 5*min}, ""},
		{"on", func() (Window, error) { return fixed(900, 920).move(over(fixed(900, 920), 0), 10*min) }, fixed(910, 930), ""},
		{"on to now", func() (Window, error) { return fixed(975, 995).move(over(fixed(975, 995), 0), 10*min) }, fixed(980, 1000), ""},
		{"on from now", func() (Window, error) { return live.move(seen, 5*min) }, Window{}, "nothing later"},
		{"back from the oldest", func() (Window, error) { return fixed(870, 900).move(over(fixed(870, 900), 0), -min) }, Window{}, "nothing older is kept on node-a"},
		{"all", func() (Window, error) { return Window{}.move(file, -min) }, Window{}, "everything"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.do()
			switch {
			case c.err == "" && err != nil, c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
				t.Errorf("error %v, want %q", err, c.err)
			case c.err == "" && got != c.want:
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// FuzzWindowMove: whatever is done, a window has its beginning before its end.
func FuzzWindowMove(f *testing.F) {
	f.Add(int64(0), int64(1000), int64(500), int64(2000), true)
	f.Add(int64(-5), int64(1)<<60, int64(1), int64(1)<<61, false)
	f.Fuzz(func(t *testing.T, since, span, at, now int64, in bool) {
		since, span, now = since&(1<<60-1), 1+span&(1<<58-1), now&(1<<61-1)
		w := Window{Since: since, Until: since + span}
		s := sight{since: w.Since, until: w.Until, at: at, now: max(now, w.Until)}
		if got, err := w.zoom(s, in); err == nil && got.Until <= got.Since {
			t.Errorf("zoom of %+v is %+v", w, got)
		}
		if got, err := w.move(s, at%(1<<60)); err == nil && got.Until-got.Since != span {
			t.Errorf("moving %+v makes %+v", w, got)
		}
	})
}

func TestTimesAreShownInManyForms(t *testing.T) {
	now := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	zone := time.FixedZone("here", 3600)
	c := Clock{Now: func() time.Time { return now }, Location: zone, Local: zone}
	at, before, mark := now.Add(-90*time.Second).UnixNano(), now.Add(-91*time.Second).UnixNano(), now.UnixNano()
	for _, want := range []struct{ title, cell string }{
		{"TIME", "16:02:35.000"}, {"TIME UTC", "15:02:35.000"}, {"TIME AGO", "90s"}, {"TIME +", "+1s"}, {"TIME +●", "-90s"}, {"TIME", "16:02:35.000"},
	} {
		if got := string(c.Cell(at, before, mark, 12)); got != want.cell || string(c.Title()) != want.title {
			t.Errorf("%s %s, want %+v", c.Title(), got, want)
		}
		c.Next()
	}
	if err := c.Set("Nowhere/Atlantis"); err == nil || !strings.Contains(err.Error(), "Europe/Berlin") {
		t.Errorf("a zone that there is not: %v", err)
	}
	if err := c.Set("Asia/Tokyo"); err != nil || string(c.Cell(at, 0, 0, 12)) != "00:02:35.000" {
		t.Errorf("in Tokyo it is %s (%v)", c.Cell(at, 0, 0, 12), err)
	}
	utc := Clock{Now: c.Now, Location: time.UTC}
	if utc.Next(); utc.Form != Ago {
		t.Error("UTC comes twice where local time is UTC")
	}
}
