package component

import (
	"strconv"

	"charm.land/bubbles/v2/key"
	"github.com/charmbracelet/x/ansi"
	"github.com/sshark/sshark/tui/keys"
	"github.com/sshark/sshark/tui/style"
)

func itoa(n int) string { return strconv.Itoa(n) }

// Over lays top over lines at x, y. What would stick out is cut off.
func Over(lines, top []string, x, y int) {
	for i, t := range top {
		if y+i < 0 || y+i >= len(lines) {
			continue
		}
		under := lines[y+i]
		w := ansi.StringWidth(t)
		lines[y+i] = ansi.Truncate(under, x, "") + "\x1b[m" + t + "\x1b[m" + ansi.TruncateLeft(under, x+w, "")
	}
}

// Hints draws key bindings as one line of at most w cells; what does not fit is left out.
func Hints(st *style.Styles, w int, bindings ...key.Binding) string {
	line, used := "", 0
	for _, b := range bindings {
		if !b.Enabled() {
			continue
		}
		k, d := style.Text(b.Help().Key), style.Text(b.Help().Desc)
		n := k.Width() + 1 + d.Width()
		if used > 0 {
			n += 2
		}
		if used+n > w {
			break
		}
		if used > 0 {
			line += "  "
		}
		line += st.Accent.Render(string(k)) + " " + st.Dim.Render(string(d))
		used += n
	}
	return line
}

// Help draws sections of key bindings in as many columns as w holds.
func Help(st *style.Styles, w int, sections []keys.Section) []string {
	const gap = 3
	keyWidth, colWidth := 0, 0
	for _, s := range sections {
		for _, b := range s.Bindings {
			keyWidth = max(keyWidth, style.Text(b.Help().Key).Width())
		}
	}
	total := 0
	for _, s := range sections {
		total += len(s.Bindings) + 2
		for _, b := range s.Bindings {
			colWidth = max(colWidth, keyWidth+2+style.Text(b.Help().Desc).Width())
		}
	}
	n := max(1, min((w+gap)/(colWidth+gap), len(sections)))
	colWidth = min(colWidth, w)
	// Sections stay whole; each goes to the shortest column.
	cols := make([][]string, n)
	for _, s := range sections {
		c := 0
		for i := range cols {
			if len(cols[i]) < len(cols[c]) {
				c = i
			}
		}
		if len(cols[c]) > 0 {
			cols[c] = append(cols[c], style.Blank(colWidth))
		}
		cols[c] = append(cols[c], st.Strong.Render(style.Text(s.Title).Fit(colWidth)))
		for _, b := range s.Bindings {
			h := b.Help()
			cols[c] = append(cols[c], st.Accent.Render(style.Text(h.Key).FitRight(keyWidth))+"  "+
				st.Text.Render(style.Text(h.Desc).Fit(colWidth-keyWidth-2)))
		}
	}
	var lines []string
	for y := 0; ; y++ {
		line, any := "", false
		for i, c := range cols {
			if i > 0 {
				line += style.Blank(gap)
			}
			if y < len(c) {
				line += c[y]
				any = true
			} else {
				line += style.Blank(colWidth)
			}
		}
		if !any {
			return lines
		}
		lines = append(lines, line)
	}
}

// Box frames lines of inner width w under a title.
func Box(st *style.Styles, title style.Text, w int, lines []string) []string {
	rule := func(s string) string { return st.Faint.Render(s) }
	bar := func(n int) string {
		s := make([]rune, max(0, n))
		for i := range s {
			s[i] = '─'
		}
		return string(s)
	}
	t := style.Text(title.Cut(w - 2))
	out := []string{rule("╭─ ") + st.Accent.Render(string(t)) + rule(" "+bar(w-t.Width()-1)+"╮")}
	for _, l := range lines {
		out = append(out, rule("│ ")+l+style.Blank(w-ansi.StringWidth(l))+rule(" │"))
	}
	return append(out, rule("╰"+bar(w+2)+"╯"))
}
