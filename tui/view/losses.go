package view

import (
	"fmt"
	"strings"
	"time"

	"github.com/sshark/sshark/tui/style"
)

// losses says what is missing from answers, "" if nothing: history is of what is kept, live of
// what is followed; either may be nil.
func losses(h *Host, history, live *answer) style.Text {
	var parts []string
	for _, a := range []*answer{history, live} {
		if a == nil {
			continue
		}
		if why := a.failed(); why != "" && h.Context.Err() == nil {
			why, _, _ = strings.Cut(why, "\n")
			if a == live {
				why = "following stopped, f starts anew: " + why
			}
			parts = append(parts, why)
		}
		if n := len(a.report.Missing); n > 0 {
			miss := a.report.Missing[0]
			s := "no answer from " + miss.Node + ": " + miss.Why
			if n > 1 {
				s = fmt.Sprintf("no answer from %d nodes, %s: %s", n, miss.Node, miss.Why)
			}
			parts = append(parts, s)
		}
		if n := a.report.Lagged; n > 0 {
			parts = append(parts, group(n)+" packets came too fast to be shown")
		}
		parts = append(parts, a.report.Notes...)
	}
	return style.Clean(strings.Join(parts, "; "))
}

// matched is how many calls or flows there are, as far as that is known.
func (r *Report) matched(what string) string {
	about := ""
	switch {
	case r.More && r.Most:
		about = "about "
	case r.More:
		about = "at least "
	case r.Most:
		about = "at most "
	}
	return about + count(int(min(r.Matched, 1<<31)), what)
}

// lacks says what of the window is not kept, as an answer tells: of one that has fixed edges what
// was before the oldest packet, and of a file also what would come behind its newest. "" is
// nothing.
func (b *bar) lacks(r *Report) string {
	w := b.scope.Window
	switch {
	case r == nil || r.Oldest == 0:
		return ""
	case b.host.Home.All(): // a file, or a snapshot
		since, until := b.bounds()
		// Packets need not come every second.
		if (since == 0 || since >= r.Oldest-int64(time.Second)) && until <= r.Newest+int64(time.Second) {
			return ""
		}
		return "there are packets only from " + b.moment(r.Oldest) + " to " + b.moment(r.Newest)
	case w.Live() || r.Oldest <= w.Since || w.Since == 0:
		return ""
	}
	node := ""
	if r.OldestNode != "" {
		node = r.OldestNode + " "
	}
	return "oldest packet kept: " + node + b.moment(r.Oldest)
}

// moment is a time in a sentence.
func (b *bar) moment(ns int64) string {
	return time.Unix(0, ns).In(b.host.Clock.Location).Format("2006-01-02 15:04:05")
}

// join is two sentences behind each other; either may be "".
func join(a, b style.Text) style.Text {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}
