package view

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sshark/sshark/dissect"
)

// endpointFilter selects one end by the best that is known of it.
func endpointFilter(side string, p *peer) string {
	id := p.id
	switch {
	case id == nil || id.Name() == "":
		return side + ".ip == " + dissect.Quote(p.addr.Addr().Unmap().String())
	case id.Namespace != "":
		return side + ".name == " + dissect.Quote(id.Name()) + " && " + side + ".namespace == " + dissect.Quote(id.Namespace)
	}
	return side + ".name == " + dissect.Quote(id.Name())
}

// timeFilter selects what began at a time or later.
func timeFilter(ns int64) string {
	return "timestamp >= timestamp(" + dissect.Quote(time.Unix(0, ns).UTC().Format(time.RFC3339Nano)) + ")"
}

func protocolFilter(name string) string { return "protocol == " + dissect.Quote(name) }

// cellFilter is the filter that selects calls like r in a column; why says why there is none.
func cellFilter(r *row, col int) (filter, why string) {
	switch col {
	case colTime:
		return timeFilter(r.time), ""
	case colSource:
		return endpointFilter("src", r.src()), ""
	case colDestination:
		return endpointFilter("dst", r.dst()), ""
	case colProtocol:
		if r.proto == nil {
			return "", "this call has no protocol to filter by"
		}
		return protocolFilter(r.proto.Name), ""
	case colSummary:
		s := string(r.summary)
		if r.raw != "" {
			s = r.raw
		}
		if r.overlong {
			for len(s) > 0 && !utf8.ValidString(s) {
				s = s[:len(s)-1]
			}
			return "summary.startsWith(" + dissect.Quote(s) + ")", ""
		}
		return "summary == " + dissect.Quote(s), ""
	case colStatus:
		if n, err := strconv.Atoi(string(r.status)); err == nil && r.proto != nil {
			for _, f := range r.proto.Fields {
				if f.Name == "status_code" {
					return "status_code == " + strconv.Itoa(n), ""
				}
			}
		}
		if r.status == "" {
			return "", "this call has no status"
		}
		return "", "no one field holds this status: press enter, and = on a field of the details"
	case colLatency:
		if r.latency < 0 {
			return "", "this call has no latency: an end of it was not seen"
		}
		// Rounded down to what is shown, so that the call itself is among the answer.
		d := time.Duration(r.latency)
		for _, unit := range []time.Duration{time.Second, time.Millisecond, time.Microsecond} {
			if d >= 10*unit {
				d = d.Truncate(unit)
				break
			}
		}
		return "latency >= duration(" + dissect.Quote(d.String()) + ")", ""
	}
	return "", "there is nothing to filter by here"
}

// both joins two filters.
func both(a, b string) string {
	a, b = strings.TrimSpace(a), strings.TrimSpace(b)
	switch {
	case a == "":
		return b
	case b == "":
		return a
	}
	paren := func(s string) string {
		if strings.Contains(s, "||") || strings.Contains(s, "?") {
			return "(" + s + ")"
		}
		return s
	}
	return paren(a) + " && " + paren(b)
}

// negated is the opposite of a filter.
func negated(f string) string { return "!(" + f + ")" }

// inverse is the opposite of a filter; the opposite of an opposite is the filter.
func inverse(f string) string {
	f = strings.TrimSpace(f)
	if f == "" {
		return ""
	}
	if inner, ok := strings.CutPrefix(f, "!("); ok && inner != "" && closes(inner) == len(inner)-1 {
		return inner[:len(inner)-1]
	}
	return negated(f)
}

// closes is the place of the bracket that closes one before the text, -1: none does. Brackets in
// quotes do not count.
func closes(s string) int {
	depth, quote := 1, byte(0)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0 && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"', c == '\'':
			quote = c
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}
