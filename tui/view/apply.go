package view

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// quote writes a CEL string literal. What does not print is written by number, so that a
// filter made of a cell is as safe to show as the cell.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteByte(byte(r))
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == utf8.RuneError && n == 1: // CEL strings hold runes, not bytes
			b.WriteString(`\ufffd`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		s = s[n:]
	}
	b.WriteByte('"')
	return b.String()
}

// endpointFilter selects one end by the best that is known of it.
func endpointFilter(side string, p *peer) string {
	id := p.id
	switch {
	case id == nil || id.Name() == "":
		return side + ".ip == " + quote(p.addr.Addr().Unmap().String())
	case id.Namespace != "":
		return side + ".name == " + quote(id.Name()) + " && " + side + ".namespace == " + quote(id.Namespace)
	}
	return side + ".name == " + quote(id.Name())
}

// timeFilter selects what began at a time or later.
func timeFilter(ns int64) string {
	return "timestamp >= timestamp(" + quote(time.Unix(0, ns).UTC().Format(time.RFC3339Nano)) + ")"
}

func protocolFilter(name string) string { return "protocol == " + quote(name) }

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
			return "summary.startsWith(" + quote(s) + ")", ""
		}
		return "summary == " + quote(s), ""
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
		return "latency >= duration(" + quote(d.String()) + ")", ""
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

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}
