package view

import (
	"strings"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/style"
)

func (m *Stream) press(k tea.KeyPressMsg) tea.Cmd {
	if m.search.typing {
		return m.pressSearch(m.search.prompt.Press(k))
	}
	to, mine := m.mover.Press(k, m.Move, m.cursor, len(m.lines.all), m.rows())
	switch {
	case mine:
		m.to(to)
	case m.of.Stream == "" && key.Matches(k, m.Keys.Section().Bindings...):
		return refuse("there is no stream to look at: F on a call, a flow or a packet chooses one")
	case key.Matches(k, m.Keys.Form):
		m.lines.form = (m.lines.form + 1) % 3
		m.lay()
		return flash("shown as %s", m.lines.form)
	case key.Matches(k, m.Keys.Side):
		m.lines.sides = (m.lines.sides + 1) % 3
		m.lay()
		return tea.Batch(flash("shown: %s", m.lines.sides), m.seek(false))
	case key.Matches(k, m.Keys.Search):
		m.search.typing = true
		m.search.prompt.Open(m.search.text)
		return m.pressSearch(component.Changed)
	case key.Matches(k, m.Keys.Next):
		return m.step(1)
	case key.Matches(k, m.Keys.Previous):
		return m.step(-1)
	case key.Matches(k, m.Keys.Packet):
		return m.openPacket()
	case key.Matches(k, m.Keys.Calls):
		return m.openCalls()
	case key.Matches(k, m.Keys.Replay):
		return Go(GoMsg{View: "replay", Of: m.of, Scope: m.from})
	case key.Matches(k, m.Keys.Copy):
		return m.copyTurn()
	case key.Matches(k, m.Keys.CopySide):
		return m.copySide()
	case key.Matches(k, m.Keys.Save):
		return flash("scp CONSOLE:/streams/%s.pcapng . – or %s.client.bin, %s.server.bin: CONSOLE is what you gave to ssh", m.of.Stream, m.of.Stream, m.of.Stream)
	case key.Matches(k, m.Keys.Follow):
		return m.toggleFollow()
	case key.Matches(k, m.Keys.Again):
		return tea.Batch(m.read(), flash("reading again"))
	case key.Matches(k, m.Keys.Later):
		if !m.answer.more() {
			return refuse("there is no part behind this one, as far as it was read")
		}
		return m.turnTo(m.part + 1)
	case key.Matches(k, m.Keys.Earlier):
		if m.part == 0 {
			return refuse("this is the first part")
		}
		return m.turnTo(m.part - 1)
	}
	return nil
}

func (m *Stream) toggleFollow() tea.Cmd {
	switch {
	case m.follow:
		m.follow = false
		return nil
	case m.answer.more():
		return refuse("there is more than this part already: > goes on")
	}
	m.follow = true
	m.to(len(m.lines.all) - 1)
	if m.ask != nil {
		return nil
	}
	return m.read()
}

func (m *Stream) openPacket() tea.Cmd {
	_, p := m.here()
	if p == nil || p.at == skipped {
		return refuse("there are no bytes here that a packet carried")
	}
	return Go(GoMsg{View: "packets", Scope: m.from, Of: Ref{Stream: m.of.Stream, Node: m.of.Node, Time: p.at}})
}

// openCalls goes to the calls of the stream up to the bytes at the cursor: theirs is the newest.
func (m *Stream) openCalls() tea.Cmd {
	_, p := m.here()
	if p == nil || p.at == skipped {
		return refuse("there are no bytes here that belong to a call")
	}
	return goCalls(m.of, p.at)
}

func goCalls(of Ref, at int64) tea.Cmd {
	return Go(GoMsg{View: "calls", Of: Ref{Stream: of.Stream, Node: of.Node, Time: at},
		Scope: Scope{Window: Window{Until: at + 1}, Filter: "stream == " + dissect.Quote(of.Stream)}})
}

func (m *Stream) copyTurn() tea.Cmd {
	t, p := m.here()
	switch {
	case t == nil || t.missing:
		return refuse("there is nothing to copy here")
	case m.lines.form == asHex:
		return yank("what was said here, in hex", m.hexText(t.from, t.to, p))
	case !component.IsText(m.conv.bytes[t.from:t.to]):
		return refuse("these bytes are no text: y shows them in hex, which can be copied")
	}
	return yank("what was said here", printable(m.conv.bytes[t.from:t.to]))
}

// hexText is bytes in hex, a line for each row.
func (m *Stream) hexText(from, to int, _ *piece) string {
	var b strings.Builder
	l := component.HexLines(m.host.Styles, m.conv.bytes[from:min(to, from+maxClipboard)], 100)
	for i := range l {
		b.WriteString(l[i].Text())
		b.WriteByte('\n')
	}
	return b.String()
}

func (m *Stream) copySide() tea.Cmd {
	t, _ := m.here()
	if t == nil {
		return refuse("there is nothing to copy")
	}
	side := t.side
	if m.lines.sides == serverSide {
		side = 1
	} else if m.lines.sides == clientSide {
		side = 0
	}
	what := "what the " + [...]string{"client", "server"}[side] + " said"
	b := m.conv.side(side)
	if !component.IsText(b) {
		return refuse("%s is no text: ctrl-s says how to save it", what)
	}
	return yank(what, printable(b))
}

// View implements Screen.
func (m *Stream) View() ([]string, *Cursor) {
	var cursor *Cursor
	out := make([]string, 0, m.height)
	if m.search.typing {
		line, x := m.search.prompt.View(m.width)
		out, cursor = append(out, line), &Cursor{min(x, m.width-1), 0}
	} else {
		out = append(out, m.title())
	}
	if len(m.lines.all) == 0 {
		why := m.why()
		out = append(out, why.view(m.host.Styles, m.width, max(0, m.height-1))...)
	} else {
		for i := m.offset; i < min(len(m.lines.all), m.offset+m.rows()); i++ {
			on := style.Plain
			if i == m.cursor {
				on = style.Selected
			}
			line := m.lines.draw(i, m.matchesFrom(int(m.lines.all[i].from)), m.pickedMatch())
			out = append(out, m.host.Styles.On(m.host.Styles.Text, on).Render(" ")+line.Render(m.host.Styles, m.width-1, on))
		}
		for len(out) < m.height-1 {
			out = append(out, style.Blank(m.width))
		}
		out = append(out, m.position())
	}
	out = out[:m.height]
	if m.search.typing {
		component.Over(out, m.search.prompt.Popup(min(m.width-2, 96), m.height-2), 2, 1)
	}
	return out, cursor
}

func (m *Stream) pickedMatch() match {
	if p := m.search.picked; p >= 0 && p < len(m.search.found) {
		return m.search.found[p]
	}
	return match{-1, -1}
}

// title says between whom it is, and how much.
func (m *Stream) title() string {
	st := m.host.Styles
	who := style.Text("stream " + m.of.Stream)
	if f := m.flow.flow; f != nil {
		who = m.flow.title()
		if f.Protocol != nil {
			who += " " + style.Clean(f.Protocol.Name)
		}
	}
	c := m.conv
	right := style.Text(m.lines.form.String() + " · " + m.lines.sides.String() + " · → " + component.Bytes(uint64(c.sent[0])) + " ← " + component.Bytes(uint64(c.sent[1])))
	gaps := style.Text("")
	if c.gaps > 0 && !(m.part > 0 && c.gaps <= 2) {
		gaps = style.Text(" · " + count(c.gaps, "gap"))
	}
	who = style.Text(who.Cut(max(8, m.width-right.Width()-gaps.Width()-4)))
	pad := m.width - who.Width() - right.Width() - gaps.Width() - 2
	if pad < 1 {
		return " " + st.Strong.Render(who.Fit(m.width-2)) + " "
	}
	return " " + st.Strong.Render(string(who)) + style.Blank(pad) + st.Dim.Render(string(right)) + st.Warn.Render(string(gaps)) + " "
}

// position is the rule below: what the cursor is on, the search, the part.
func (m *Stream) position() string {
	st := m.host.Styles
	left := style.Text("")
	if t, p := m.here(); p != nil {
		left = arrow(t.side) + style.Text([...]string{"client", "server"}[t.side])
		if p.at != skipped {
			at := time.Unix(0, p.at).In(m.host.Clock.Location).Format("15:04:05.000000")
			left += style.Text(", byte " + group(uint64(p.offset+int64(max(0, m.cursorByte()-p.from)))) + ", " + at)
		}
	}
	var notes []string
	if m.ask != nil && m.answer == nil {
		notes = append(notes, "reading …, esc stops it")
	}
	s := &m.search
	switch {
	case s.text == "":
	case s.asking:
		notes = append(notes, "searching …")
	default:
		n := group(uint64(len(s.found)))
		if s.more {
			n += "+"
		}
		if s.picked >= 0 {
			n = group(uint64(s.picked+1)) + " of " + n
		}
		notes = append(notes, s.text+": "+n)
	}
	if m.part > 0 || m.answer.more() {
		note := "part " + group(uint64(m.part+1))
		if m.answer.more() {
			note += ", > goes on"
		}
		notes = append(notes, note)
	}
	if n := len(m.lines.all); n > m.rows() {
		notes = append(notes, group(uint64(min(n, m.offset+m.rows()))*100/uint64(n))+"%")
	}
	right := style.Clean(strings.Join(notes, " · "))
	right = style.Text(right.Cut(max(0, m.width-left.Width()-8)))
	if right != "" {
		right = " " + right + " "
	}
	left = style.Text(left.Cut(m.width - 6))
	return st.Faint.Render("── ") + st.Accent.Render(string(left)) + st.Faint.Render(" "+line(m.width-4-left.Width()-right.Width())) + st.Dim.Render(string(right))
}

// why says why there is nothing to see.
func (m *Stream) why() reason {
	switch {
	case m.of.Stream == "":
		return reason{what: "Which stream?", do: []string{"F  on a call, a flow or a packet", ":stream ID  with the ID of a stream"}}
	case m.answer == nil:
		return reason{what: "Reading what is kept of this flow …", do: []string{"esc  stops it"}}
	case m.answer.failed() != "":
		return failure("The stream cannot be shown.", m.answer)
	case m.answer.err != nil && !m.answer.more():
		return reason{what: "The reading was stopped.", do: []string{"R  reads again"}}
	case len(m.conv.pieces) > 0:
		return reason{what: "The " + m.lines.sides.String() + " said nothing, as far as it is kept.", do: []string{"s  shows the other side"}}
	}
	return reason{what: "Nothing was said in this flow, as far as it is kept.",
		why: []string{"Its packets, if there are any, carried no bytes."}, do: []string{"K  shows its packets", "R  reads again", "esc  leads back"}}
}

// failure is a reason for a question that was refused, or went wrong.
func failure(what string, a *answer) reason {
	return reason{what: what, why: strings.Split(a.failed(), "\n"), do: []string{"esc  leads back", "R  asks again"}, error: true}
}
