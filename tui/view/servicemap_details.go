package view

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/sshark/sshark/servicemap/text"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/style"
)

// notes say what of the map is not seen, and why: what one can do most about first, as a narrow
// screen cuts the rest.
func (m *ServiceMap) notes() style.Text {
	var parts []string
	s := &m.shape
	if s.shown == nil {
		return ""
	}
	w, h := m.area()
	all, tall := m.size()
	if s.form == mapTree {
		all = w
	}
	if all > w || tall > h {
		var way string
		for _, d := range []struct {
			more bool
			sign string
		}{{m.x > 0, "←"}, {m.x+w < all, "→"}, {m.y > 0, "↑"}, {m.y+h < tall, "↓"}} {
			if d.more {
				way += d.sign
			}
		}
		part := strconv.Itoa(100*min(w, all)*min(h, tall)/(all*tall)) + "%"
		parts = append(parts, part+" seen, more "+way)
	}
	if !m.calls {
		parts = append(parts, "flows only")
	}
	if m.depth > 0 && s.far > 0 {
		parts = append(parts, fmt.Sprintf("focus: %s farther than %d", count(s.far, "node"), m.depth))
	}
	if n := len(m.hidden); n > 0 {
		parts = append(parts, group(uint64(n))+" hidden")
	}
	if s.folded && s.form != mapTree {
		parts = append(parts, "namespaces as boxes")
	}
	if n := m.base.Left.Neighbours; n > 0 {
		parts = append(parts, count(int(n), "flow")+" with neighbours left out")
	}
	return style.Text(strings.Join(parts, " · "))
}

// viewPicked says what is selected, in a line or in a pane, and at its right what is not seen.
func (m *ServiceMap) viewPicked(w, h int) []string {
	st := m.host.Styles
	title, bad := m.headline()
	notes := m.notes()
	room := w - 2
	if notes != "" {
		room = max(room-notes.Width()-2, room/2)
	}
	if bad.Width() > 0 {
		bad = "  " + bad
	}
	left := style.Text(title.Cut(room - bad.Width()))
	line := " " + st.Accent.Render(string(left)) + st.Error.Render(string(bad))
	used := 1 + left.Width() + bad.Width()
	rest := style.Text(notes.Cut(w - used - 2))
	out := []string{line + style.Blank(w-used-rest.Width()-1) + st.Warn.Render(string(rest)) + " "}
	if h == 1 {
		return out
	}
	for i, l := range m.details() {
		if i >= h-1 {
			break
		}
		out = append(out, l.Render(st, w, style.Plain))
	}
	for len(out) < h {
		out = append(out, style.Blank(w))
	}
	return out
}

// headline is what is selected, in short; bad is what of it speaks of errors.
func (m *ServiceMap) headline() (title, bad style.Text) {
	s := &m.shape
	if k := m.link(); k != nil {
		what, bad, _ := m.said(k)
		t := m.display(k.From) + " → " + m.display(k.To) + "  " + what
		if k.Edge.Latency.Count() > 0 {
			t += "  p50 " + latency(k, 0.5) + "  p99 " + latency(k, 0.99)
		}
		return t, bad
	}
	i := m.node()
	if i < 0 {
		return "", ""
	}
	if s.form == mapMatrix {
		if to := nodeOf(s.shown, m.picked.to); to >= 0 {
			return m.display(i) + " does not call " + m.display(to), ""
		}
	}
	n := &s.shown.Nodes[i]
	in, out := 0, 0
	var calls, errors uint64
	for j := range s.links {
		k := &s.links[j]
		if k.To == i {
			in++
			calls += k.Edge.Calls
			errors += k.Edge.Errors
		}
		if k.From == i {
			out++
		}
	}
	t := m.display(i) + style.Text("  "+strings.ToLower(string(style.Clean(n.Kind)))+", "+count(in, "caller")+", calls "+group(uint64(out)))
	if n.Members > 0 {
		t += style.Text("  stands for " + group(uint64(n.Members)))
		if n.Least {
			t += " and more"
		}
	}
	if errors > 0 {
		bad = style.Text("err " + text.Percent(errors, calls))
	}
	return t, bad
}

func (m *ServiceMap) display(i int) style.Text { return style.Clean(m.shape.shown.Nodes[i].Display()) }

// details are the edges of what is selected, with all their numbers.
func (m *ServiceMap) details() []component.Line {
	s := &m.shape
	st := m.host.Styles
	picked, at := m.link(), m.node()
	if at < 0 || picked == nil && s.form == mapMatrix {
		return nil
	}
	widths := []int{0, 14, 7, 8, 8, 7, 8, 8, 8, 8}
	if m.width < 100 { // there is no room for all
		widths[1], widths[5], widths[8] = 11, 0, 0
	}
	widths[0] = m.width - 1
	for _, w := range widths[1:] {
		widths[0] -= w
	}
	row := func(look lipgloss.Style, cells ...style.Text) component.Line {
		l := component.Line{Spans: []component.Span{{Text: " ", Style: st.Text}}}
		for i, c := range cells {
			t := ""
			switch {
			case widths[i] < 1:
			case i < 2:
				t = c.Fit(widths[i]-1) + " "
			default:
				t = c.FitRight(widths[i]-1) + " "
			}
			l.Spans = append(l.Spans, component.Span{Text: style.Text(t), Style: look})
		}
		return l
	}
	out := []component.Line{row(st.Heading, "", "PROTOCOL", "CALLS", "CALLS/S", "ERRORS", "FLOWS", "BYTES", "P50", "P90", "P99")}
	tell := func(name style.Text, k *text.Link, rate float64) {
		what := style.Clean(strings.Join(k.Edge.Protocols, " "))
		e := &k.Edge
		cells := []style.Text{name, what, style.Text(text.Number(e.Calls)), "", "", style.Text(text.Number(e.Flows)), style.Text(text.Number(e.Bytes) + "B"), "", "", ""}
		if rate >= 0 { // of one of several ports it is not known
			cells[3] = style.Text(perSecond(rate))
		}
		if e.Errors > 0 {
			cells[4] = style.Text(text.Percent(e.Errors, e.Calls))
		}
		if e.Latency.Count() > 0 {
			cells[7], cells[8], cells[9] = latency(k, 0.5), latency(k, 0.9), latency(k, 0.99)
		}
		l := row(st.Text, cells...)
		if e.Errors > 0 {
			l.Spans[5].Style = st.Error
		}
		l.Spans[2].Style = m.paint(k.Color())
		out = append(out, l)
	}
	if picked != nil {
		tell("all of it", picked, m.rateOf(picked))
		for i := range s.shown.Edges {
			e := &s.shown.Edges[i]
			if e.From != picked.From || e.To != picked.To {
				continue
			}
			port := e.Transport.String()
			if e.Port != 0 {
				port += " port " + strconv.Itoa(int(e.Port))
			}
			k := text.LinkOf(e)
			tell(style.Text(port), &k, -1)
		}
		return out
	}
	order := make([]*text.Link, 0, 8)
	for i := range s.links {
		if k := &s.links[i]; k.From == at || k.To == at {
			order = append(order, k)
		}
	}
	slices.SortStableFunc(order, func(a, b *text.Link) int { // callers first
		of := func(k *text.Link) int {
			if k.To == at {
				return 0
			}
			return 1
		}
		return of(a) - of(b)
	})
	for _, k := range order {
		name := "→ " + m.display(k.To)
		switch {
		case k.From == k.To:
			name = "↺ itself"
		case k.To == at:
			name = "← " + m.display(k.From)
		}
		tell(name, k, m.rateOf(k))
	}
	return out
}
