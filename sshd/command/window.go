package command

import (
	"fmt"
	"math"
	"time"

	"github.com/spf13/pflag"

	"github.com/sshark/sshark/worker/query"
)

// What is asked where no time is given, and how many calls or flows are shown then.
const (
	defaultWindow = 15 * time.Minute
	defaultLast   = 100
)

// window is the flags that say which part of what is kept is asked for.
type window struct {
	since, until string
	first, last  int
	all, follow  bool
	vantage      string
	flags        *pflag.FlagSet
}

func (w *window) declare(f *pflag.FlagSet) {
	w.flags = f
	f.StringVar(&w.since, "since", "", "from this `TIME` on: an age (5m, 1h30m, 2d), or 2026-01-02T15:04:05Z, or \"2026-01-02 15:04\", or 15:04")
	f.StringVar(&w.until, "until", "", "up to this `TIME`")
	f.IntVar(&w.last, "last", 0, "the newest `N` that match, of the whole cluster")
	f.IntVar(&w.first, "first", 0, "the oldest `N` that match")
	f.BoolVar(&w.all, "all", false, "all that match, from the oldest packet kept on")
	f.BoolVarP(&w.follow, "follow", "f", false, "go on with what comes in")
	f.StringVar(&w.vantage, "vantage", "auto", "`WHICH` sightings of a flow: auto (each flow once; packets of both), client, server, both")
}

// asked is a request, with what is needed to speak about its answer.
type asked struct {
	query.Request
	explicit  bool // the time was typed
	defaulted bool // Last was not typed
	everyone  bool // from the oldest packet on
	stopped   bool // when enough had come, so that not all was read
	// before asks for what is older than the following begins (--last N -f), nil: nothing.
	before  *query.Request
	partial bool // the answer to before lacked a node
}

// request checks the flags against each other. cut bounds the answer to the newest where
// nothing was said.
func (w *window) request(e *Env, filter string, cut bool) (*asked, error) {
	set := w.flags.Changed
	switch {
	case set("first") && set("last"):
		return nil, usagef("--first and --last: choose one")
	case set("first") && w.follow:
		return nil, usagef("--first and --follow: what is oldest does not change any more; leave one out")
	case set("last") && w.all, set("first") && w.all:
		return nil, usagef("--all and a number: choose one")
	case set("last") && w.last < 1, set("first") && w.first < 1:
		return nil, usagef("--last and --first want a number from 1 on; for everything: --all")
	case w.follow && set("until"):
		return nil, usagef("--follow and --until: following goes on until you stop it; leave one out")
	case w.follow && e.File:
		return nil, usagef("--follow: a file does not grow; leave it out")
	}
	a := &asked{Request: query.Request{Filter: filter, First: w.first, Last: w.last, Follow: w.follow}}
	switch w.vantage {
	case "auto":
		a.Vantage = query.Auto
	case "client":
		a.Vantage = query.Client
	case "server":
		a.Vantage = query.Server
	case "both":
		a.Vantage = query.Both
	default:
		return nil, usagef("--vantage %q: want auto, client, server or both", w.vantage)
	}
	if err := w.times(e, a); err != nil {
		return nil, err
	}
	timed := set("since") || set("until")
	if cut && !e.File && !timed && !w.all && !w.follow && w.first == 0 && w.last == 0 {
		a.Last, a.defaulted = defaultLast, true
	}
	if w.follow && w.last > 0 {
		now := e.Now().UnixNano()
		before := a.Request
		before.Follow, before.Until = false, now
		a.before = &before
		a.Request.Last, a.Request.Since = 0, now
	}
	return a, nil
}

// times sets Since and Until.
func (w *window) times(e *Env, a *asked) error {
	var since, until when
	var err error
	if w.flags.Changed("since") { // "" is not left out: a script's variable may be empty
		if since, err = parseWhen(w.since, e.Location); err != nil {
			return usagef("--since: %w", err)
		}
	}
	if w.flags.Changed("until") {
		if until, err = parseWhen(w.until, e.Location); err != nil {
			return usagef("--until: %w", err)
		}
	}
	base := e.Now()
	if e.File && (since.relative() || until.relative()) {
		if base, err = e.newest(); err != nil {
			return err
		}
	}
	a.explicit = since.set || until.set
	if since.set {
		a.Since = since.ns(base)
	}
	if until.set {
		a.Until = until.ns(base)
		if since.set {
			a.Until = until.nsAfter(a.Since, base)
		}
		if a.Until <= 0 {
			return usagef("--until %s: nothing is older than 1970", w.until)
		}
	}
	switch {
	case since.set:
		a.everyone = a.Since <= 0
	case until.set, w.all, e.File:
		a.everyone = true
	case w.follow && w.last == 0:
		a.Since = base.UnixNano()
	default:
		a.Since = base.Add(-defaultWindow).UnixNano()
	}
	if a.Until != 0 && a.Since >= a.Until {
		return usagef("the window is empty: --since (%s) is not before --until (%s)", rfc3339(a.Since), rfc3339(a.Until))
	}
	return nil
}

// newest is the time of a file's last packet, which ages count back from.
func (e *Env) newest() (time.Time, error) {
	nodes, _, err := e.Source.Nodes(e.ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("find the newest packet: %w", err)
	}
	newest := int64(math.MinInt64)
	for i := range nodes {
		if nodes[i].Newest != 0 {
			newest = max(newest, nodes[i].Newest)
		}
	}
	if newest == math.MinInt64 {
		return e.Now(), nil
	}
	// The window is half open: one nanosecond more, and the last packet is in it.
	return time.Unix(0, newest+1), nil
}

// rfc3339 is a time for sentences: UTC, to the second.
func rfc3339(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339) }
