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

var days = regexp.MustCompile(`^([0-9]+)d`)

// when is a time as it was typed: absolute, or an age.
type when struct {
	at  time.Time
	age time.Duration
	set bool
}

// parseWhen reads a time: an age (5m, 1h30m, 2d), RFC 3339, or a date with or without the time
// of day, in zone.
func parseWhen(s string, zone *time.Location) (when, error) {
	for _, l := range layouts {
		if t, err := time.ParseInLocation(l, s, zone); err == nil {
			return when{at: t, set: true}, nil
		}
	}
	if s == "now" {
		return when{set: true}, nil
	}
	if d, err := parseAge(s); err == nil {
		return when{age: d, set: true}, nil
	}
	return when{}, fmt.Errorf(`time %q: want an age (5m, 1h30m, 2d) or a time (2026-01-02T15:04:05Z, "2026-01-02 15:04")`, s)
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

// ns is the time in nanoseconds since 1970; ages count back from base.
func (w when) ns(base time.Time) int64 {
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

// relative says whether the time is an age.
func (w when) relative() bool { return w.set && w.at.IsZero() }
