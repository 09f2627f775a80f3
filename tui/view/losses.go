package view

import (
	"fmt"
	"strings"

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

// join is two sentences behind each other; either may be "".
func join(a, b style.Text) style.Text {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}
