package view

import (
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/style"
)

// field is the field whose value the line under the cursor shows, "" if it shows none.
func (d *Details) field() string {
	if d.cursor < len(d.lines) {
		return d.lines[d.cursor].Field
	}
	return ""
}

// finder lets a text be typed that is then found.
func (d *Details) finder() modal {
	a := &ask{title: "find in the details", styles: d.styles, prompt: component.NewPrompt("find", "text, in any case", d.styles),
		done: func(v string) tea.Cmd {
			d.find = strings.ToLower(v)
			return d.search(0)
		}}
	a.prompt.Open(d.find)
	return a
}

func (d *Details) matches(i int) bool {
	return strings.Contains(strings.ToLower(d.lines[i].Text()), d.find)
}

// search goes to the next line (by > 0) or the one before that has the text; 0: to the first
// from here on.
func (d *Details) search(by int) tea.Cmd {
	n := len(d.lines)
	switch {
	case d.find == "":
		return refuse("there is no text to find: press f")
	case n == 0:
		return refuse("there is nothing to search")
	}
	step := by
	if by == 0 {
		step = 1
	}
	for k := range n {
		at := ((d.cursor+by+k*step)%n + n) % n
		if d.matches(at) {
			d.to(at)
			return nil
		}
	}
	return refuse("%q is not in the details; sections that are folded are not searched", d.find)
}

// title of a line that begins a section, "" of others.
func sectionOf(l *component.Line) style.Text {
	if !l.Title || len(l.Spans) == 0 {
		return ""
	}
	return l.Spans[0].Text
}

// hide leaves out what is in folded sections.
func (d *Details) hide(lines []component.Line) []component.Line {
	out, hidden := lines[:0], -1 // of lines, in the section at out[len(out)-1]
	end := func() {
		if hidden >= 0 {
			at := &out[len(out)-1]
			at.Spans = append(at.Spans, component.Span{Text: style.Text("  " + count(hidden, "line") + " folded, space opens"), Style: d.styles.Warn})
			out = append(out, component.Line{})
		}
	}
	for i := range lines {
		name := sectionOf(&lines[i])
		switch {
		case name != "":
			end()
			hidden = -1
			out = append(out, lines[i])
			if d.folded[name] {
				hidden = 0
			}
		case hidden >= 0:
			if len(lines[i].Spans) > 0 {
				hidden++
			}
		default:
			out = append(out, lines[i])
		}
	}
	end()
	return out
}

// fold folds or opens the section that the cursor is in.
func (d *Details) fold() tea.Cmd {
	at := min(d.cursor, len(d.lines)-1)
	for at >= 0 && !d.lines[at].Title {
		at--
	}
	if at < 0 {
		return refuse("this is in no section: go to one with j")
	}
	name := sectionOf(&d.lines[at])
	d.folded[name] = !d.folded[name]
	d.relayout()
	d.to(at)
	return nil
}

// foldAll folds all sections, or opens all if there is none to fold.
func (d *Details) foldAll() tea.Cmd {
	fold, any := false, false
	for i := range d.lines {
		if name := sectionOf(&d.lines[i]); name != "" {
			any = true
			fold = fold || !d.folded[name]
		}
	}
	if !any {
		return refuse("there is no section to fold")
	}
	for i := range d.lines {
		if name := sectionOf(&d.lines[i]); name != "" {
			d.folded[name] = fold
		}
	}
	d.relayout()
	return nil
}
