package command

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var layouts = []string{
	time.RFC3339Nano,
	"2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02 15:04:05.999999999",
	"2006-01-02T15:04:05.999999999",
	"2006-01-02 15:04",
	"2006-01-02T15:04",
	"2006-01-02",
}

// clocks are times of day.
var clocks = []string{"15:04:05", "15:04"}

var days = regexp.MustCompile(`^([0-9]+)d`)

// when is a time as it was typed: absolute, an age, or a time of day.
type when struct {
	at    time.Time
	age   time.Duration
	clock time.Time // of some day, in the zone that counts; zero: it is none
	set   bool
}

// parseWhen reads a time: an age (5m, 1h30m, 2d), RFC 3339, a date with or without the time
// of day, or that alone, in zone.
func parseWhen(s string, zone *time.Location) (when, error) {
	for _, l := range layouts {
		if t, err := time.ParseInLocation(l, s, zone); err == nil {
			return when{at: t, set: true}, nil
		}
	}
	for _, l := range clocks {
		if t, err := time.ParseInLocation(l, s, zone); err == nil {
			return when{clock: t, set: true}, nil
		}
	}
	if s == "now" {
		return when{set: true}, nil
	}
	if d, err := parseAge(s); err == nil {
		return when{age: d, set: true}, nil
	}
	return when{}, fmt.Errorf(`time %q: want an age (5m, 1h30m, 2d) or a time (2026-01-02T15:04:05Z, "2026-01-02 15:04", 15:04)`, s)
}

// ParseAge reads how far back a window goes: 5m, 1h30m, 2d. It is more than 0.
func ParseAge(s string) (time.Duration, error) {
	d, err := parseAge(s)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("age %q: want one such as 30s, 5m, 1h30m, 2d", s)
	}
	return d, nil
}

func parseAge(s string) (time.Duration, error) {
	var d time.Duration
	if m := days.FindStringSubmatch(s); m != nil {
		n, err := strconv.Atoi(m[1])
		if err != nil || n > 100*366 {
			return 0, fmt.Errorf("age %q: too long", s)
		}
		d = time.Duration(n) * 24 * time.Hour
		if s = strings.TrimPrefix(s, m[0]); s == "" {
			return d, nil
		}
	}
	rest, err := time.ParseDuration(s)
	if err != nil || rest < 0 || d+rest < 0 {
		return 0, fmt.Errorf("age %q", s)
	}
	return d + rest, nil
}

// ns is the time in nanoseconds since 1970; ages count back from base, and a time of day is the
// last one that is not after it.
func (w when) ns(base time.Time) int64 {
	if !w.clock.IsZero() {
		at := w.onDay(base, 0)
		if at.After(base) {
			at = w.onDay(base, -1)
		}
		return at.UnixNano()
	}
	if w.at.IsZero() {
		return base.Add(-w.age).UnixNano()
	}
	// Times before 1970 and beyond 2262 have no packets: the ends of what there is.
	if w.at.Year() < 1970 {
		return 0
	}
	if w.at.Year() >= 2262 {
		return 1<<63 - 1
	}
	return w.at.UnixNano()
}

// nsAfter is ns, but that a time of day is the first one after since.
func (w when) nsAfter(since int64, base time.Time) int64 {
	if w.clock.IsZero() {
		return w.ns(base)
	}
	begin := time.Unix(0, since)
	at := w.onDay(begin, 0)
	if !at.After(begin) {
		at = w.onDay(begin, 1)
	}
	return at.UnixNano()
}

// onDay is the time of day on the day of another time, or some days after it.
func (w when) onDay(of time.Time, days int) time.Time {
	y, m, d := of.In(w.clock.Location()).Date()
	return time.Date(y, m, d+days, w.clock.Hour(), w.clock.Minute(), w.clock.Second(), 0, w.clock.Location())
}

// relative says whether the time counts from another: an age, or a time of day.
func (w when) relative() bool { return w.set && w.at.IsZero() }
