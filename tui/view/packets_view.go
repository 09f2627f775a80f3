package view

import (
	"encoding/hex"
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/pcap/tcp"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/style"
)

func (m *Packets) press(k tea.KeyPressMsg) tea.Cmd {
	if m.of.Stream == "" || m.Typing() {
		if cmd, changed, mine := m.bar.press(k); mine {
			return m.renew(cmd, changed)
		}
	} else if key.Matches(k, m.bar.keys.Filter, m.bar.keys.Window, m.bar.keys.Errors) {
		return refuse("these are the packets of one flow; :packets shows those of a filter and a window")
	}
	if m.move(k) {
		return nil
	}
	row := m.selected()
	switch {
	case row == nil && key.Matches(k, m.Keys.Next, m.Keys.Maximise, m.Keys.Open, m.Keys.Fold, m.Keys.FoldAll):
		return refuse("there is no packet to look at")
	case key.Matches(k, m.Keys.Next):
		m.focus(!m.onTree)
		return nil
	case key.Matches(k, m.Keys.Maximise):
		m.maximise = !m.maximise
		m.arrange()
		return nil
	case key.Matches(k, m.Keys.Fold):
		m.tree.fold(func(was bool) bool { return !was })
		return nil
	case key.Matches(k, m.Keys.FoldAll):
		m.tree.foldAll()
		return nil
	case key.Matches(k, m.Keys.NextMark):
		return m.toMark(1)
	case key.Matches(k, m.Keys.PrevMark):
		return m.toMark(-1)
	case key.Matches(k, m.Keys.Stream):
		return m.openStream()
	case key.Matches(k, m.Keys.Flow):
		return m.openFlow()
	case key.Matches(k, m.Keys.Calls):
		return m.openCalls()
	case key.Matches(k, m.Keys.Copy):
		return m.copy(row)
	case key.Matches(k, m.Keys.Save):
		if m.of.Stream == "" {
			return flash("ssh CONSOLE pcap FILTER > file.pcapng – or scp CONSOLE:/last/5m.pcapng . : CONSOLE is what you gave to ssh")
		}
		return flash("scp CONSOLE:/streams/%s.pcapng . – CONSOLE is what you gave to ssh", m.of.Stream)
	case key.Matches(k, m.Keys.Again):
		return tea.Batch(m.read(), flash("reading again"))
	case key.Matches(k, m.Keys.Times):
		m.host.Clock.Next()
		return flash("times: %s", m.host.Clock.Form)
	case key.Matches(k, m.Keys.Later):
		if !m.answer.more() {
			return refuse("there are no packets behind these, as far as it was read")
		}
		m.part++
		m.jumped = true
		return m.read()
	case key.Matches(k, m.Keys.Earlier):
		if m.part == 0 {
			return refuse("there are no packets before these")
		}
		m.part--
		m.jumped = true
		return m.read()
	case key.Matches(k, m.Keys.Open) && m.onTree:
		m.tree.fold(func(was bool) bool { return !was })
	case key.Matches(k, m.Keys.Open):
		m.focus(true)
	}
	return nil
}

// move leads through the list, or through the layers.
func (m *Packets) move(k tea.KeyPressMsg) (mine bool) {
	if !m.onTree {
		_, mine = m.table.Press(k, m.Move, len(m.rows))
		m.tree.show(m.selected())
		return mine
	}
	t := &m.tree
	to, mine := t.mover.Press(k, m.Move, t.cursor, len(t.lines), t.height)
	switch {
	case mine:
		t.to(to)
	case key.Matches(k, m.Move.Left):
		t.fold(func(bool) bool { return false })
	case key.Matches(k, m.Move.Right):
		t.fold(func(bool) bool { return true })
	default:
		return false
	}
	return true
}

func (m *Packets) copy(row *packetRow) tea.Cmd {
	switch {
	case row == nil:
		return refuse("there is nothing to copy")
	case !m.onTree:
		return yank("the packet's line", row.line(m.host.Clock))
	}
	if from, to := m.tree.span(); m.tree.lines[m.tree.cursor].field < 0 && to > from {
		return yank("the layer's bytes, in hex", hex.EncodeToString(row.packet.Data[from:to]))
	}
	return yank("the field", m.tree.text())
}

func (m *Packets) focus(tree bool) {
	m.onTree = tree && len(m.tree.lines) > 0
	m.table.Focused = !m.onTree
	m.arrange()
}

// sizes are the heights of the list, and of the layers and the bytes, which are beside each
// other where there is room.
func (m *Packets) sizes() (list, tree, hex int, beside bool) {
	h := m.height - 1 // the bar
	beside = m.width >= 110
	switch {
	case m.maximise && !m.onTree:
		return h, 0, 0, beside
	case m.maximise:
		list = 0
	default:
		list = max(4, h*45/100)
	}
	rest := max(0, h-list-1) // a rule
	if beside {
		return list, rest, rest, true
	}
	hex = min(rest/2, 6)
	return list, rest - hex, hex, false
}

func (m *Packets) arrange() {
	list, tree, _, _ := m.sizes()
	m.table.SetSize(m.width, list)
	m.table.To(m.table.Cursor, len(m.rows))
	m.tree.height = tree
	m.tree.to(m.tree.cursor)
}

func (m *Packets) mouse(msg tea.MouseMsg) {
	list, _, _, _ := m.sizes()
	e := msg.Mouse()
	inList := e.Y >= 1 && e.Y < 1+list
	switch msg.(type) {
	case tea.MouseWheelMsg:
		d := map[tea.MouseButton]int{tea.MouseWheelUp: -3, tea.MouseWheelDown: 3}[e.Button]
		if inList {
			m.table.Scroll(d, len(m.rows))
			m.tree.show(m.selected())
		} else {
			m.tree.to(m.tree.cursor + d)
		}
	case tea.MouseClickMsg:
		switch at := e.Y - list - 2; {
		case inList && e.Y >= 2 && m.table.Offset+e.Y-2 < len(m.rows):
			m.focus(false)
			m.table.To(m.table.Offset+e.Y-2, len(m.rows))
			m.tree.show(m.selected())
		case !inList && at >= 0 && m.tree.offset+at < len(m.tree.lines):
			m.focus(true)
			m.tree.to(m.tree.offset + at)
		}
	}
}

// View implements Screen.
func (m *Packets) View() ([]string, *Cursor) {
	lines := make([]string, 0, m.height)
	var cursor *Cursor
	if m.of.Stream == "" {
		var line string
		line, cursor = m.bar.view(m.width, 0, m.tally())
		lines = append(lines, line)
	} else {
		lines = append(lines, m.title())
	}
	if len(m.rows) == 0 {
		why := m.why()
		lines = append(lines, why.view(m.host.Styles, m.width, max(0, m.height-1))...)
	} else {
		lines = append(lines, m.panes()...)
	}
	for len(lines) < m.height {
		lines = append(lines, style.Blank(m.width))
	}
	lines = lines[:m.height]
	if m.of.Stream == "" {
		m.bar.over(lines, m.width, 0)
	}
	return lines, cursor
}

func (m *Packets) panes() []string {
	list, tree, hex, beside := m.sizes()
	var out []string
	if list > 0 {
		out = append(out, m.list()...)
	}
	if tree+hex == 0 {
		return out
	}
	out = append(out, m.rule())
	if !beside {
		return append(append(out, m.tree.view(m.width, m.onTree)...), m.tree.hex(m.width, hex)...)
	}
	right := 6 + 8*3 + 2 + 8 + 2
	if m.width >= 130 {
		right = 6 + 16*3 + 2 + 16 + 2
	}
	left := m.tree.view(m.width-right-1, m.onTree)
	bar := m.host.Styles.Faint.Render("│")
	for i, l := range m.tree.hex(right, hex) {
		out = append(out, left[i]+bar+l)
	}
	return out
}

func (m *Packets) list() []string {
	st := m.host.Styles
	clock := &m.host.Clock
	m.table.Columns[packetTime].Title = clock.Title()
	cell := func(i, col int) component.Cell {
		row := m.rows[i]
		c := component.Cell{Style: st.Text}
		switch col {
		case packetTime:
			c.Text, c.Style = clock.Row(i, func(i int) int64 { return m.rows[i].packet.Time }, m.rows[0].packet.Time, m.table.Shown(col)), st.Dim
		case packetSource:
			c.Text = m.name(row.src, m.table.Shown(col))
		case packetDestination:
			c.Text = m.name(row.dst, m.table.Shown(col))
		case packetProto:
			c.Text, c.Style = row.proto, st.Dim
		case packetLength:
			c.Text, c.Style = style.Text(group(uint64(row.packet.Length))), st.Dim
		case packetInfo:
			c.Text = row.info
			if row.marks != 0 {
				c.Text = style.Text(row.marks.String()) + " · " + c.Text
				if row.marks&tcp.Trouble != 0 {
					c.Style = st.Warn
				}
			}
			if row.packet.Drops > 0 {
				c.Text, c.Style = style.Text(group(row.packet.Drops))+" lost before · "+c.Text, st.Error
			}
		}
		return c
	}
	mark := func(i int) component.Cell {
		switch row := m.rows[i]; {
		case i == m.table.Cursor:
			return component.Cell{Text: "▌", Style: st.Accent}
		case row.marks&tcp.Trouble != 0:
			return component.Cell{Text: "!", Style: st.Warn}
		}
		return component.Cell{}
	}
	return m.table.View(len(m.rows), cell, mark)
}

// rule is the line between the list and the layers.
func (m *Packets) rule() string {
	st := m.host.Styles
	look := st.Dim
	if m.onTree {
		look = st.Accent
	}
	name := style.Text("packet")
	if row := m.selected(); row != nil {
		name = style.Text("packet " + group(uint64(row.number)))
		if row.marks != 0 {
			name += ": " + style.Text(row.marks.String())
		}
	}
	name = style.Text(name.Cut(m.width - 6))
	return st.Faint.Render("── ") + look.Render(string(name)) + st.Faint.Render(" "+line(m.width-4-name.Width()))
}

// title says of which flow the packets are.
func (m *Packets) title() string {
	st := m.host.Styles
	who := style.Text("stream " + m.of.Stream)
	if m.flow.flow != nil {
		who = m.flow.title()
	}
	right := m.tally()
	who = style.Text(who.Cut(m.width - right.Width() - 4))
	return " " + st.Strong.Render(who.Fit(m.width-right.Width()-3)) + " " + st.Dim.Render(string(right)) + " "
}

// tally says how many packets there are, and how many of them are shown.
func (m *Packets) tally() style.Text {
	n := len(m.rows)
	text := count(n, "packet")
	if n > 0 && m.of.Stream != "" && (m.part > 0 || m.answer.more()) {
		text = "packets " + group(uint64(m.rows[0].number)) + " – " + group(uint64(m.rows[n-1].number))
		if m.answer.more() {
			text += ", > goes on"
		}
	} else if m.of.Stream == "" && n == maxPackets {
		text = "newest " + text
	}
	marked := 0
	for _, r := range m.rows {
		if r.marks&tcp.Trouble != 0 {
			marked++
		}
	}
	if m.ask != nil {
		text = "reading …, esc stops it · " + text
	}
	if marked > 0 {
		text = group(uint64(marked)) + " marked, " + text
	}
	return style.Text(text)
}

// why says why there is nothing to see.
func (m *Packets) why() reason {
	switch {
	case m.answer == nil:
		return reason{what: "Reading packets …", do: []string{"esc  stops it"}}
	case m.answer.failed() != "":
		return failure("The packets cannot be shown.", m.answer)
	case m.answer.err != nil:
		return reason{what: "The reading was stopped.", do: []string{"R  reads again"}}
	case m.of.Stream != "":
		return reason{what: "No packet is kept of this flow any more.", why: []string{"The oldest packets go when a node's store is full."}, do: []string{":nodes  says how far back each goes", "esc  leads back"}}
	}
	if r := &m.answer.report; r.Oldest == 0 && len(r.Missing) == 0 {
		return nothingKept()
	}
	if r, ok := m.bar.missed(&m.answer.report, NodesMsg{}); ok {
		return r
	}
	r := reason{what: "There is no packet in this window.", do: []string{"w  for another window", ":nodes  to see what is captured"}}
	if q := m.bar.query(); q != "" {
		r.what, r.why = "The filter matches no packet in this window.", strings.Split(q, "\n")
		r.do = append([]string{"/  to change the filter"}, r.do...)
	}
	r.why = append(r.why, m.bar.scope.Window.Text(m.host.Clock))
	return r
}
