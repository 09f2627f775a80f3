package view

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sshark/sshark/tui/component"
)

// Window is the time that a screen looks at. The zero Window is everything that is kept.
type Window struct {
	Last         time.Duration // up to now, and on; 0: not live
	Since, Until int64         // ns; used where Last is 0; Until 0: to the newest
}

// Live says whether the window moves with the clock.
func (w Window) Live() bool { return w.Last > 0 }

// All says whether it is everything.
func (w Window) All() bool { return w == Window{} }

// Bounds are the window's edges at a time.
func (w Window) Bounds(now time.Time) (since, until int64) {
	if w.Last > 0 {
		return now.Add(-w.Last).UnixNano(), now.UnixNano()
	}
	return w.Since, w.Until
}

// Text says the window in words of the screen: with the day where it is not today.
func (w Window) Text(c Clock) string {
	day := c.Now().In(c.Location).Format(time.DateOnly)
	clock := func(ns int64) string {
		t := time.Unix(0, ns).In(c.Location)
		text := t.Format("15:04:05")
		if w.Until-w.Since < int64(10*time.Second) && w.Until > 0 {
			text = t.Format("15:04:05.000")
		}
		if on := t.Format(time.DateOnly); on != day {
			day = on // is not said twice
			return on + " " + text
		}
		return text
	}
	switch {
	case w.All():
		return "all"
	case w.Last > 0:
		return "last " + short(w.Last)
	case w.Until == 0:
		return "since " + clock(w.Since)
	case w.Since == 0:
		return "until " + clock(w.Until)
	}
	since := clock(w.Since)
	return since + " – " + clock(w.Until)
}

// short is a duration without its zero parts: 15m, 1h30m.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// ParseWindow reads a window as it is typed. In a file, or a snapshot, ages count back from its
// newest packet, as they do for commands, and nothing comes in.
func (h *Host) ParseWindow(s string) (Window, error) {
	now := h.Clock.Now()
	if !h.Home.All() || h.Newest == 0 {
		return ParseWindow(s, now, h.Clock.Location)
	}
	now = time.Unix(0, h.Newest+1) // windows are half open
	w, err := ParseWindow(s, now, h.Clock.Location)
	if w.Live() {
		w.Since, _ = w.Bounds(now)
		w.Last = 0
	}
	return w, err
}

// Windows are the windows that are offered.
func (h *Host) Windows() []component.Item {
	end := ", and on"
	if h.Home.All() {
		end = " of it"
	}
	return []component.Item{
		{Text: "1m", Help: "the last minute" + end}, {Text: "5m", Help: "the last 5 minutes" + end},
		{Text: "15m", Help: "the last 15 minutes" + end}, {Text: "1h", Help: "the last hour" + end},
		{Text: "all", Help: "all that is kept"},
	}
}

var errWindow = errors.New("type 5m, 1h30m, all, 14:00-14:15, or 2006-01-02 15:04 .. 2006-01-02 16:00")

// maxWindow is the longest live window.
const maxWindow = 366 * 24 * time.Hour

// ParseWindow reads a window as it is typed: `5m` (up to now), `all`, `14:00-14:15`,
// `14:00..` (up to now, not moving), dates as `2006-01-02 15:04`, or RFC 3339.
func ParseWindow(s string, now time.Time, loc *time.Location) (Window, error) {
	s = strings.TrimSpace(s)
	switch strings.ToLower(s) {
	case "":
		return Window{}, errWindow
	case "all", "everything":
		return Window{}, nil
	}
	from, to, ok := splitRange(s)
	if !ok {
		d, err := time.ParseDuration(strings.TrimPrefix(strings.TrimPrefix(s, "last "), "-"))
		switch {
		case err != nil:
			return Window{}, fmt.Errorf("%q is no window: %w", s, errWindow)
		case d < time.Second:
			return Window{}, fmt.Errorf("%s is too short: a live window has at least 1s", short(d))
		case d > maxWindow:
			return Window{}, fmt.Errorf("%s is too long: all shows everything that is kept", short(d))
		}
		return Window{Last: d}, nil
	}
	var w Window
	var err error
	if w.Since, err = parseMoment(from, now, loc, 0); err != nil {
		return Window{}, err
	}
	if w.Until, err = parseMoment(to, now, loc, w.Since); err != nil {
		return Window{}, err
	}
	if w.Until != 0 && w.Until <= w.Since {
		return Window{}, fmt.Errorf("%s is not after %s", strings.TrimSpace(to), strings.TrimSpace(from))
	}
	if w.All() {
		return Window{}, fmt.Errorf("%q is no window: %w", s, errWindow)
	}
	return w, nil
}

func splitRange(s string) (from, to string, ok bool) {
	for _, sep := range []string{"..", " to ", " - ", "–"} {
		if from, to, ok = strings.Cut(s, sep); ok {
			return from, to, true
		}
	}
	// A bare dash parts clock times only: dates have dashes of their own.
	if from, to, ok = strings.Cut(s, "-"); ok && strings.Contains(from, ":") && strings.Count(s, "-") == 1 {
		return from, to, true
	}
	return "", "", false
}

var momentLayouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04",
	"2006-01-02 15:04:05.999999999", "2006-01-02 15:04", "2006-01-02",
}

// parseMoment reads one edge. A clock time is of today, or of yesterday if it is yet to come;
// after is the edge before it, for a window over midnight.
func parseMoment(s string, now time.Time, loc *time.Location, after int64) (int64, error) {
	s = strings.TrimSpace(s)
	if s == "" || s == "now" && after != 0 {
		return 0, nil
	}
	if d, err := time.ParseDuration(strings.TrimPrefix(s, "-")); err == nil {
		return now.Add(-d).UnixNano(), nil
	}
	for _, l := range momentLayouts {
		if t, err := time.ParseInLocation(l, s, loc); err == nil {
			return t.UnixNano(), nil
		}
	}
	for _, l := range []string{"15:04", "15:04:05", "15:04:05.999999999"} {
		c, err := time.ParseInLocation(l, s, loc)
		if err != nil {
			continue
		}
		day := now.In(loc)
		if after != 0 {
			day = time.Unix(0, after).In(loc)
		}
		t := time.Date(day.Year(), day.Month(), day.Day(), c.Hour(), c.Minute(), c.Second(), c.Nanosecond(), loc)
		switch {
		case after == 0 && t.After(now):
			t = t.AddDate(0, 0, -1)
		case after != 0 && t.UnixNano() <= after && c.Hour() < 12 && time.Unix(0, after).In(loc).Hour() >= 12:
			t = t.AddDate(0, 0, 1)
		}
		return t.UnixNano(), nil
	}
	return 0, fmt.Errorf("%q is no time: type 14:00, 14:00:05, 2006-01-02 15:04 or 5m", s)
}
