package view

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/style"
)

// headLines are the lines above what is said: between whom it was, and the order.
const headLines = 2

// replayRow is a line of the screen, of a line of what is said.
type replayRow struct {
	line component.Line
	of   int
}

// room is how many lines there are for what is said; the rule is below them.
func (m *Replay) room() int { return max(0, m.height-headLines-1) }

// lines is what is said: the plan, or what came of it.
func (m *Replay) lines() []ReplayLine {
	switch {
	case m.sent != nil && !m.onPlan:
		return m.outcome()
	case m.plan != nil:
		return m.plan.Lines
	}
	return nil
}

// outcome is what came of what was sent: in a sentence, and call by call.
func (m *Replay) outcome() (out []ReplayLine) {
	r := m.sent.result
	if r != nil {
		l := ReplayLine{Text: r.Summary, Grade: ReplayDifferent}
		if r.Same {
			l.Grade = ReplaySame
		}
		out = append(out, l)
	}
	switch err := m.sent.err; {
	case errors.Is(err, context.Canceled):
		out = append(out, ReplayLine{Text: "stopped: what was sent by then is told", Grade: ReplayDifferent})
	case err != nil:
		for l := range strings.Lines(err.Error()) {
			out = append(out, ReplayLine{Text: strings.TrimRight(l, "\n"), Grade: ReplayDifferent})
		}
	}
	if r != nil {
		out = append(out, r.Lines...)
	}
	return out
}

// differing says whether only what differs is shown: of what came back, if something does.
func (m *Replay) differing() bool {
	return m.brief && m.sent != nil && !m.onPlan && (m.sent.result == nil || !m.sent.result.Same)
}

// here is the line at the cursor.
func (m *Replay) here() ReplayLine {
	if m.cursor >= len(m.rows) {
		return ReplayLine{}
	}
	return m.lines()[m.rows[m.cursor].of]
}

// lay lays out what is said in lines of the screen.
func (m *Replay) lay() {
	m.rows = m.rows[:0]
	st := m.host.Styles
	for i, l := range m.lines() {
		look := [...]lipgloss.Style{ReplayPlain: st.Text, ReplayFaint: st.Dim, ReplaySame: st.Good, ReplayDifferent: st.Error}[min(l.Grade, ReplayDifferent)]
		if l.Field != "" {
			m.difference(i, l)
			continue
		}
		if m.differing() && (l.Grade == ReplaySame || l.Grade == ReplayFaint) {
			continue
		}
		head, rest := headOf(style.Clean(l.Text))
		for _, part := range component.Wrap(rest, m.width-2-head.Width()) {
			m.rows = append(m.rows, replayRow{component.Line{Spans: []component.Span{{Text: head, Style: look}, {Text: part, Style: look}}}, i})
			head = style.Text(style.Blank(head.Width()))
		}
	}
	m.to(m.cursor)
}

// headOf takes a line apart: what says what it is, or indents it, stands alone when the rest is
// wrapped.
func headOf(t style.Text) (head, rest style.Text) {
	n := 8
	switch {
	case strings.HasPrefix(string(t), " "):
		n = len(t) - len(strings.TrimLeft(string(t), " "))
	case strings.HasPrefix(string(t), "call "), strings.HasPrefix(string(t), "turn "):
		n = 9
	}
	if len(t) <= n || t[n-1] != ' ' {
		return "", t
	}
	return t[:n], t[n:]
}

// difference lays out a field that is another than it was: in one line if all of it fits, else its
// values below it.
func (m *Replay) difference(i int, l ReplayLine) {
	const indent = "         "
	st := m.host.Styles
	value := func(v string) component.Span {
		if v == "" {
			return component.Span{Text: "nothing", Style: st.Dim}
		}
		return component.Span{Text: style.Clean(v), Style: st.Text}
	}
	field, was, is := component.Span{Text: style.Clean(l.Field), Style: st.Error}, value(l.Was), value(l.Is)
	put := func(spans ...component.Span) {
		m.rows = append(m.rows, replayRow{component.Line{Spans: append([]component.Span{{Text: indent, Style: st.Text}}, spans...)}, i})
	}
	says := func(word style.Text) component.Span { return component.Span{Text: word, Style: st.Dim} }
	if len(indent)+field.Text.Width()+was.Text.Width()+is.Text.Width()+len("  was   is ")+2 <= m.width {
		put(field, says("  was "), was, says("  is "), is)
		return
	}
	for n, part := range component.Wrap(field.Text, max(8, m.width-2-len(indent))) {
		if n < 3 {
			put(component.Span{Text: part, Style: field.Style})
		}
	}
	m.wrapped(i, indent, "  was ", was)
	m.wrapped(i, indent, "  is  ", is)
}

// wrapped adds a value behind a word.
func (m *Replay) wrapped(i int, indent style.Text, word style.Text, v component.Span) {
	st := m.host.Styles
	for n, part := range component.Wrap(v.Text, max(8, m.width-2-indent.Width()-word.Width())) {
		if n > 0 {
			word = style.Text(style.Blank(word.Width()))
		}
		m.rows = append(m.rows, replayRow{component.Line{Spans: []component.Span{{Text: indent, Style: st.Text}, {Text: word, Style: st.Dim}, {Text: part, Style: v.Style}}}, i})
	}
}

// to moves the cursor to a line.
func (m *Replay) to(at int) {
	n := len(m.rows)
	m.cursor = max(0, min(at, n-1))
	m.offset = max(0, min(max(min(m.offset, m.cursor), m.cursor-m.room()+1), n-m.room()))
}

func (m *Replay) scroll(by int) {
	m.offset = max(0, min(m.offset+by, len(m.rows)-m.room()))
	m.cursor = max(0, min(max(m.offset, min(m.cursor, m.offset+m.room()-1)), len(m.rows)-1))
}

// View implements Screen.
func (m *Replay) View() (out []string, cursor *Cursor) {
	st := m.host.Styles
	out = append(make([]string, 0, m.height), m.title(), m.settings())
	if len(m.rows) == 0 {
		why := m.why()
		out = append(out, why.view(st, m.width, m.room())...)
	}
	for i := m.offset; i < min(len(m.rows), m.offset+m.room()); i++ {
		on, mark := style.Plain, style.Text(" ")
		if i == m.cursor {
			on, mark = style.Selected, "▌"
		}
		out = append(out, st.On(st.Accent, on).Render(string(mark))+m.rows[i].line.Render(st, m.width-1, on))
	}
	for len(out) < m.height-1 {
		out = append(out, style.Blank(m.width))
	}
	out = append(out[:max(0, m.height-1)], m.rule())
	if m.modal != nil {
		cursor = overlay(m.modal, out, m.width, m.height)
	}
	return out, cursor
}

// title says what is sent again.
func (m *Replay) title() string {
	who := style.Text("replay")
	if m.of.Stream != "" {
		who += " of stream " + style.Clean(m.of.Stream)
	}
	if f := m.flow.flow; f != nil {
		who = m.flow.title()
		if f.Protocol != nil {
			who += " " + style.Clean(f.Protocol.Name)
		}
	}
	return " " + m.host.Styles.Strong.Render(who.Fit(m.width-2)) + " "
}

// settings says what the order is, with the keys that change it.
func (m *Replay) settings() string {
	st, o := m.host.Styles, &m.order
	or := func(v, empty string) string {
		if v == "" {
			return empty
		}
		return v
	}
	speed := "in turns"
	switch {
	case o.Speed == "max":
		speed = "all at once"
	case o.Speed != "":
		speed = o.Speed + "× as fast"
	}
	times := "once"
	if o.Times > 1 {
		times = strconv.Itoa(o.Times) + " times"
	}
	ignore := "nothing more"
	if n := len(o.Ignore); n > 0 {
		ignore = count(n, "field")
	}
	from := or(o.Node, "its node")
	if o.Node == "" && m.plan != nil {
		from = or(strings.TrimPrefix(m.plan.From, "node "), from)
	}
	order := [][3]string{{"t", "to", or(o.To, "its server")}, {"N", "from", from}, {"s", "", speed}, {"n", "", times}, {"i", "ignore", ignore}}
	if o.Force {
		order = append(order, [3]string{"f", "", "forced"})
	}
	var spans []component.Span
	for _, x := range order {
		spans = append(spans, component.Span{Text: style.Text(" " + x[0] + " "), Style: st.Accent})
		if x[1] != "" {
			spans = append(spans, component.Span{Text: style.Text(x[1] + " "), Style: st.Dim})
		}
		spans = append(spans, component.Span{Text: style.Clean(x[2]) + " ", Style: st.Text})
	}
	l := component.Line{Spans: spans}
	return l.Render(st, m.width, style.Plain)
}

// rule is the line below: what can be done now, or is going on, and where one is.
func (m *Replay) rule() string {
	st := m.host.Styles
	say, look := style.Text(""), st.Accent
	switch {
	case m.player == nil || m.of.Stream == "":
	case m.playing != nil:
		say, look = style.Text(m.playing.String()+" · esc stops it"), st.Warn
	case m.planning != nil:
		say = "reading … esc stops it"
	case m.plan == nil:
	case m.sent != nil && !m.onPlan:
		say = "what came back · r sends it again, tab shows the plan"
	case m.plan.Against != "":
		say, look = "it is not sent: something is against it", st.Error
		if m.plan.Forcible {
			say += ", f forces it"
		}
	default:
		say = "nothing was sent yet · enter sends it"
	}
	right := style.Text("")
	if n := len(m.rows); n > m.room() && n > 0 {
		right = style.Text(fmt.Sprintf(" %d%% ", min(n, m.offset+m.room())*100/n))
	}
	say = style.Text(say.Cut(max(0, m.width-6-right.Width())))
	return st.Faint.Render("── ") + look.Render(string(say)) + st.Faint.Render(" "+line(m.width-4-say.Width()-right.Width())) + st.Dim.Render(string(right))
}
