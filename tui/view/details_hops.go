package view

import (
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/style"
)

// hops draws where the time of a call went that was seen at both ends: what the client saw,
// what the way took there and back, what the server took. Each is told by its own node's clock,
// so the server's part lies in the middle of the client's: half of the way before it, half
// behind. ok is false if the call was not seen at both ends.
func (b *builder) hops(d *Detail) (ok bool) {
	c := d.Client
	if c == nil || c.Time == 0 || c.RequestEnd == 0 || c.ResponseStart == 0 || c.ResponseEnd == 0 ||
		d.RequestEnd == 0 || d.RespStart == 0 || d.RespEnd == 0 {
		return false
	}
	total := max(1, c.ResponseEnd-c.Time)
	sent, waited := max(0, c.RequestEnd-c.Time), max(0, c.ResponseStart-c.RequestEnd)
	served := max(0, d.RespStart-d.RequestEnd)
	way := max(0, waited-served)
	notes := min(24, max(len("there and back"), style.Clean(c.Node).Width(), style.Clean(d.Node).Width()))
	room := int64(max(8, min(60, b.w-keyWidth-10-notes)))
	type part struct {
		ns   int64
		sign string
		look lipgloss.Style
	}
	row := func(name string, took int64, note string, parts ...part) {
		spans := []component.Span{{Text: style.Text(style.Text(name).Fit(keyWidth)) + " ", Style: b.st.Key}}
		at, drawn := int64(0), int64(0)
		for _, p := range parts {
			at += p.ns
			n := at*room/total - drawn
			if n <= 0 && p.ns > 0 && p.sign != " " && drawn < room {
				n = 1
			}
			n = max(0, min(n, room-drawn))
			drawn += n
			spans = append(spans, component.Span{Text: style.Text(strings.Repeat(p.sign, int(n))), Style: p.look})
		}
		if note != "" {
			note = "  " + note
		}
		spans = append(spans, component.Span{Text: style.Text(style.Blank(int(room - drawn))), Style: b.st.Text},
			component.Span{Text: style.Text(" " + component.Duration(time.Duration(took))), Style: b.st.Strong},
			component.Span{Text: style.Clean(note), Style: b.st.Dim})
		b.out = append(b.out, component.Line{Spans: spans})
	}
	before := way / 2
	reply := max(0, c.ResponseEnd-c.ResponseStart)
	row("at the client", total, c.Node, part{sent, "▒", b.st.Dim}, part{waited, "█", b.st.Accent}, part{reply, "▒", b.st.Dim})
	row("on the way", way, "there and back", part{sent, " ", b.st.Text}, part{before, "░", b.st.Warn}, part{served, " ", b.st.Text}, part{way - before, "░", b.st.Warn})
	row("at the server", served, d.Node, part{sent + before, " ", b.st.Text}, part{served, "█", b.st.Accent})
	legend := []component.Span{{Text: style.Text(style.Blank(keyWidth + 1)), Style: b.st.Text}}
	for _, p := range []struct {
		name string
		ns   int64
	}{{"request ", sent}, {"wait ", waited}, {"response ", reply}} {
		legend = append(legend, component.Span{Text: style.Text(p.name), Style: b.st.Dim},
			component.Span{Text: style.Text(component.Duration(time.Duration(p.ns)) + "   "), Style: b.st.Text})
	}
	b.out = append(b.out, component.Line{Spans: legend})
	return true
}
