package view

import (
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/tui/component"
)

// timeline is the chart of how much there was when, over the window of a bar. The window is
// changed on it by the mouse, and by the keys of the bar; screens with a scope share it.
type timeline struct {
	bar    *bar
	chart  component.Chart
	series *component.Series

	// What the screen knows by now; it sets them before it draws.
	report *Report // of what was read; nil: it is being read
	cut    bool    // of what was read only the newest came
	picked int64   // time of the selected row, ns; 0: none was picked

	drag drag
}

// drag is what the mouse does while a button is held.
type drag struct {
	on, pan  bool
	moved    bool
	x        int
	from, to [2]int64 // the columns where it began and where it is
	by       int64    // how far the window is moved, ns
}

// span is the time that was dragged over, ends included.
func (d *drag) span() (since, until int64) {
	return min(d.from[0], d.to[0]), max(d.from[1], d.to[1])
}

// newTimeline makes the chart of a bar, and gives it to the bar's keys.
func newTimeline(b *bar) *timeline {
	t := &timeline{bar: b, chart: component.Chart{Styles: b.host.Styles}}
	b.timeline = t
	t.reset()
	return t
}

// reset empties the chart for the window as it is now; step is the width of a bin.
func (t *timeline) reset() (step time.Duration) {
	since, until := t.bar.bounds()
	step = time.Millisecond
	t.series = component.NewWideningSeries(step)
	if since != 0 && until != 0 {
		step = component.StepFor(time.Duration(until-since), 2000)
		t.series = component.NewSeries(step)
	}
	t.report, t.cut, t.picked, t.drag = nil, false, 0, drag{}
	return step
}

// chartHeight is the room for a chart on a screen of a height.
func chartHeight(h int) int {
	switch {
	case h >= 34:
		return 6
	case h >= 14:
		return 4
	}
	return 0
}

// add counts what came.
func (t *timeline) add(counts []moment) {
	for _, c := range counts {
		t.series.Add(c.at, c.n)
	}
}

// edges are the window's edges as they are shown: of an open window, those of what came.
func (t *timeline) edges() (since, until int64) {
	since, until = t.bar.bounds()
	first, last := t.series.Span()
	if since == 0 {
		since = first
	}
	if until == 0 {
		until = max(last, since+1)
	}
	return since, until
}

// sight is what a change of the window goes by.
func (t *timeline) sight() sight {
	s := sight{now: t.bar.host.Clock.Now().UnixNano(), at: t.picked}
	s.since, s.until = t.edges()
	if t.report != nil {
		s.oldest, s.node = t.report.Oldest, t.report.OldestNode
	}
	if !t.bar.host.Home.Live() {
		s.newest = s.until
		if t.report != nil {
			s.newest = t.report.Newest + 1
		}
	}
	return s
}

// aim points the chart at the window as it is now.
func (t *timeline) aim() {
	c := &t.chart
	c.Location = t.bar.host.Clock.Location
	c.Since, c.Until = t.edges()
	day := func(t time.Time) string { return t.In(c.Location).Format(time.DateOnly) }
	c.Dated = c.Since > 0 && !t.bar.scope.Window.Live() && day(time.Unix(0, c.Since)) != day(t.bar.host.Clock.Now())
	c.Known, c.Note = c.Since, ""
	switch {
	case t.report == nil:
		c.Known = c.Until
	default:
		if t.report.Oldest > c.Known {
			c.Known = t.report.Oldest
			c.Note = "nothing older is kept"
		}
		if first, _ := t.series.Span(); t.cut && first > c.Known {
			c.Known, c.Note = first, "older ones are not shown"
		}
	}
	c.From, c.To = 0, 0
	switch {
	case t.drag.on && t.drag.pan:
		c.Since, c.Until = c.Since-t.drag.by, c.Until-t.drag.by
	case t.drag.on:
		c.From, c.To = t.drag.span()
	}
	c.Cursor, c.Bin = t.picked, t.series.Step
}

func (t *timeline) view() []string {
	t.aim()
	return t.chart.View(t.series)
}

// lacks says what of the window is not kept, "" if nothing.
func (t *timeline) lacks() string { return t.bar.lacks(t.report) }

// mouse handles what was done on the chart, which lies at in; mine is false if it was not
// there. at is a moment that was clicked, ns; 0: none was.
func (t *timeline) mouse(msg tea.MouseMsg, in rect) (changed bool, at int64, mine bool) {
	m := msg.Mouse()
	t.aim()
	since, until, ok := t.chart.At(m.X)
	switch msg := msg.(type) {
	case tea.MouseWheelMsg:
		if !in.has(m.X, m.Y) {
			return false, 0, false
		}
		s := t.sight()
		if s.at = 0; ok && !t.bar.scope.Window.Live() || ok && msg.Button == tea.MouseWheelUp {
			s.at = since + (until-since)/2
		}
		w, err := t.bar.scope.Window.zoom(s, msg.Button == tea.MouseWheelUp)
		return err == nil && t.bar.setWindow(w), 0, true
	case tea.MouseClickMsg:
		if !in.has(m.X, m.Y) || !ok {
			return false, 0, in.has(m.X, m.Y)
		}
		t.drag = drag{on: true, pan: msg.Button == tea.MouseRight || msg.Mod&tea.ModShift != 0, x: m.X, from: [2]int64{since, until}, to: [2]int64{since, until}}
	case tea.MouseMotionMsg:
		if !t.drag.on {
			return false, 0, false
		}
		t.drag.moved = t.drag.moved || m.X != t.drag.x
		if t.drag.by = int64(m.X-t.drag.x) * t.chart.Step(); !t.drag.pan && ok {
			t.drag.to = [2]int64{since, until}
		}
	case tea.MouseReleaseMsg:
		if !t.drag.on {
			return false, 0, false
		}
		d := t.drag
		t.drag = drag{}
		switch {
		case d.pan && d.by != 0:
			w, err := t.bar.scope.Window.move(t.sight(), -d.by)
			return err == nil && t.bar.setWindow(w), 0, true
		case d.pan:
			return false, 0, true
		case !d.moved: // a click
			return false, d.from[0] + (d.from[1]-d.from[0])/2, true
		}
		w := Window{}
		w.Since, w.Until = d.span()
		return t.bar.setWindow(w), 0, true
	default:
		return false, 0, false
	}
	return false, 0, true
}

// back ends what the mouse has begun; ok is false if that is nothing.
func (t *timeline) back() (ok bool) {
	ok = t.drag.on
	t.drag = drag{}
	return ok
}
