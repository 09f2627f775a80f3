package main

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"time"
)

// What the picture is of: the cart's calls, and the names that it asks for.
const (
	window = "1m"
	filter = `dst.pod.name == "shop-cart" || dns && src.pod.name == "shop-cart"`
)

// patience is how long the screen may take for what it does at once; filling needs the
// window's minute, and the failure comes about once in five seconds.
const (
	patience = 10 * time.Second
	filling  = 100 * time.Second
	failing  = 60 * time.Second
)

var (
	failed  = regexp.MustCompile(`POST /carts/\w+/checkout +503 `)
	opened  = regexp.MustCompile(`(?m)^── .*/checkout ─`)
	whole   = regexp.MustCompile(`(?m)^── .* \d+%$`) // with all that was found, more than has room
	status  = regexp.MustCompile(`(?m)^ *status +503$`)
	reason  = regexp.MustCompile(`(?m)^.*\x1b\[48;5;[^\n]*"detail"`) // on the background of where one is
	shownAt = regexp.MustCompile(`(?m)^ *time +(\d{4}-.*)$`)
)

// story presses the keys that lead to the picture.
func story(ctx context.Context, t *terminal) error {
	steps := []struct {
		keys  []string // by their names
		text  string   // typed after them
		limit time.Duration
		want  string
		ok    func(text string) bool
	}{
		{want: "calls", limit: patience, ok: has("sshark calls", "HTTP", "DNS", "NXDOMAIN")},
		{keys: []string{"w", "C-u"}, text: window, want: "the window's prompt", limit: patience, ok: has(" window "+window, "✓")},
		{keys: []string{"Enter"}, want: "the last minute", limit: patience, ok: has("live · last " + window)},
		{want: "a full chart", limit: filling, ok: func(s string) bool { return !strings.Contains(s, "··") }},
		{keys: []string{"/", "C-u"}, text: filter, want: "the filter's prompt", limit: patience, ok: has(" / "+filter, "✓")},
		{keys: []string{"Enter"}, want: "a failed checkout among the newest calls", limit: failing, ok: ripe},
		{keys: []string{"Enter"}, want: "details", limit: patience, ok: whole.MatchString},
	}
	for _, s := range steps {
		if len(s.keys) > 0 {
			if err := t.press(ctx, s.keys...); err != nil {
				return err
			}
		}
		if s.text != "" {
			if err := t.write(ctx, s.text); err != nil {
				return err
			}
		}
		if _, err := t.await(ctx, s.limit, s.want, s.ok); err != nil {
			return err
		}
	}
	if err := choose(ctx, t); err != nil {
		return err
	}
	if err := t.press(ctx, "G"); err != nil { // to the body, at the end
		return err
	}
	if _, err := t.await(ctx, patience, "the end of the details", has(`"title": "Service Unavailable"`, " 100%")); err != nil {
		return err
	}
	if err := t.press(ctx, "k", "k", "k"); err != nil { // up to what the shop says of it
		return err
	}
	_, err := t.await(ctx, patience, "the line with the reason", func(string) bool {
		styled, err := t.styled(ctx)
		return err == nil && reason.MatchString(styled)
	})
	return err
}

// has: the screen shows all of these.
func has(want ...string) func(string) bool {
	return func(text string) bool {
		for _, w := range want {
			if !strings.Contains(text, w) {
				return false
			}
		}
		return true
	}
}

// ripe: the failed checkout is a few rows above the newest call, and the name that it could
// not find is below it.
func ripe(text string) bool {
	rows := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for back := 5; back <= 8 && back < len(rows)-1; back++ { // the last row is the help
		at := len(rows) - 1 - back
		if failed.MatchString(rows[at]) && strings.Contains(rows[at+1], "NXDOMAIN") {
			return true
		}
	}
	return false
}

// choose goes back from call to call until the details are the failed checkout's.
func choose(ctx context.Context, t *terminal) error {
	text, err := t.text(ctx)
	for range 20 {
		if err != nil {
			return err
		}
		if opened.MatchString(text) && status.MatchString(text) {
			return nil
		}
		before := shownAt.FindString(text)
		if err := t.press(ctx, "p"); err != nil {
			return err
		}
		text, err = t.await(ctx, patience, "the call before", func(s string) bool {
			now := shownAt.FindString(s)
			return now != "" && now != before && whole.MatchString(s)
		})
	}
	return errors.Join(err, errors.New("the failed checkout was not among the last calls"))
}
