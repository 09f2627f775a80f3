package view

import (
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/style"
)

func (m *Flows) press(k tea.KeyPressMsg) tea.Cmd {
	m.aim()
	if cmd, changed, mine := m.bar.press(k); mine {
		return m.renew(cmd, changed)
	}
	if moved, mine := m.table.Press(k, m.Move, len(m.rows)); mine {
		if !moved {
			return nil
		}
		cmd := m.moved()
		m.newest = m.newest || key.Matches(k, m.Move.Bottom) && m.table.Sorted < 0
		return cmd
	}
	switch {
	case key.Matches(k, m.Keys.Open):
		return m.goTo("packets")
	case key.Matches(k, m.Keys.Stream):
		return m.goTo("stream")
	case key.Matches(k, m.Keys.Replay):
		return m.goTo("replay")
	case key.Matches(k, m.Keys.Calls):
		if m.selected == nil {
			return refuse("there is no flow to show the calls of")
		}
		return Go(GoMsg{View: "calls", Of: m.selected.ref(), Scope: Scope{Filter: "stream == " + dissect.Quote(m.selected.flow.ID.String()),
			Window: Window{Since: m.selected.flow.First, Until: m.selected.flow.Last + 1}}})
	case key.Matches(k, m.Keys.Details):
		return m.toggleDetails()
	case key.Matches(k, m.Keys.Maximise):
		if !m.detailed {
			return refuse("there is one pane: d shows how a flow went")
		}
		m.maximise = !m.maximise
		m.arrange()
		return nil
	case key.Matches(k, m.Keys.Apply):
		return m.applyCell(false)
	case key.Matches(k, m.Keys.Exclude):
		return m.applyCell(true)
	case key.Matches(k, m.Keys.Copy):
		if m.selected == nil {
			return refuse("there is nothing to copy")
		}
		return yank("the flow", m.selected.line(m.host.Clock.Location))
	case key.Matches(k, m.Keys.Sort):
		return m.sortBy(flowSorts[k.String()])
	case key.Matches(k, m.Keys.Again):
		return tea.Batch(m.again(), flash("reading again"))
	case key.Matches(k, m.Keys.Times):
		m.host.Clock.Next()
		return flash("times: %s", m.host.Clock.Form)
	case key.Matches(k, m.Keys.Follow):
		return m.follow()
	}
	return nil
}

func (m *Flows) goTo(view string) tea.Cmd {
	if m.selected == nil {
		return refuse("there is no flow to go to")
	}
	return Go(GoMsg{View: view, Scope: m.Scope(), Of: m.selected.ref()})
}

func (m *Flows) toggleDetails() tea.Cmd {
	if m.selected == nil && !m.detailed {
		return refuse("there is no flow to look at")
	}
	m.detailed, m.maximise = !m.detailed, false
	m.arrange()
	if !m.detailed {
		m.detail.show(nil)
	}
	return m.look()
}

// follow goes back to the newest flow, and follows anew where that has ended.
func (m *Flows) follow() tea.Cmd {
	switch {
	case !m.bar.scope.Window.Live():
		return refuse("this window has an end: press w and type 15m to follow what comes in")
	case m.live != nil:
		return m.again()
	case m.newest && m.table.Sorted < 0:
		return flash("this follows: a flow comes when it was closed, or quiet for a minute; R reads all of them now")
	}
	m.newest = true
	m.table.Sorted, m.table.Reverse = -1, false
	m.order()
	return m.look()
}

func (m *Flows) applyCell(not bool) tea.Cmd {
	if m.selected == nil {
		return refuse("there is no cell to filter by")
	}
	f, why := flowFilter(m.selected, m.table.Picked)
	if why != "" {
		return refuse("%s", why)
	}
	return m.renew(m.bar.apply(f, not))
}

// sortBy sorts by a column; what is large comes first where that is what one looks for.
func (m *Flows) sortBy(col int) tea.Cmd {
	large := col >= flowPackets
	switch {
	case m.table.Sorted != col:
		m.table.Sorted, m.table.Reverse = col, large
	case m.table.Reverse == large:
		m.table.Reverse = !m.table.Reverse
	default:
		m.table.Sorted, m.table.Reverse = -1, false
	}
	m.newest = false
	m.order()
	m.table.To(0, len(m.rows))
	if len(m.rows) > 0 {
		m.selected = m.rows[0]
	}
	if m.table.Sorted < 0 {
		return tea.Batch(m.look(), flash("in the order of time"))
	}
	return tea.Batch(m.look(), flash("sorted by %s", flowColumns[col]))
}

// sizes are the heights of the chart, of the list below it and the bar, and of the pane below that.
func (m *Flows) sizes() (chart, list, pane int) {
	h := m.height - 1 // the bar
	if m.maximise {
		return 0, 0, h
	}
	if chart = chartHeight(m.height); m.detailed && m.height < 30 {
		chart = 0
	}
	h -= chart
	if m.detailed {
		pane = min(flowPaneHeight, h*3/5)
	}
	return chart, h - pane, pane
}

// aim tells the chart what is known by now.
func (m *Flows) aim() {
	m.time.report, m.time.cut, m.time.picked = nil, false, 0
	if m.history != nil {
		m.time.report, m.time.cut = &m.history.report, m.history.report.Matched > MaxRows
	}
	if m.selected != nil && !m.newest {
		m.time.picked = m.selected.flow.First
	}
}

func (m *Flows) arrange() {
	chart, list, pane := m.sizes()
	m.time.chart.SetSize(m.width, chart)
	m.table.SetSize(m.width, list)
	m.table.To(m.table.Cursor, len(m.rows))
	m.detail.width, m.detail.height = m.width, pane
}

func (m *Flows) mouse(msg tea.MouseMsg) tea.Cmd {
	chart, list, _ := m.sizes()
	m.aim()
	if changed, moment, mine := m.time.mouse(msg, rect{0, 0, m.width, chart}); mine {
		if moment != 0 {
			return m.jump(moment)
		}
		return m.renew(nil, changed)
	}
	e := msg.Mouse()
	e.Y -= chart
	if _, click := msg.(tea.MouseClickMsg); click && e.Y == 0 && !m.Typing() {
		return m.bar.open(m.bar.scope.Filter)
	}
	if e.Y < 2 || e.Y > list {
		return nil
	}
	switch msg.(type) {
	case tea.MouseWheelMsg:
		m.table.Scroll(map[tea.MouseButton]int{tea.MouseWheelUp: -3, tea.MouseWheelDown: 3}[e.Button], len(m.rows))
		return m.moved()
	case tea.MouseClickMsg:
		at := m.table.Offset + e.Y - 2
		if at >= len(m.rows) {
			return nil
		}
		if at == m.table.Cursor && !m.newest {
			return m.toggleDetails()
		}
		if c := m.table.ColumnAt(e.X); c >= 0 {
			m.table.Picked = c
		}
		m.table.To(at, len(m.rows))
		return m.moved()
	}
	return nil
}

// jump selects the flow that began nearest to a moment.
func (m *Flows) jump(at int64) tea.Cmd {
	best := -1
	for i, r := range m.rows {
		if best < 0 || abs(r.flow.First-at) < abs(m.rows[best].flow.First-at) {
			best = i
		}
	}
	if best < 0 {
		return refuse("there is no flow to go to")
	}
	m.table.To(best, len(m.rows))
	return m.moved()
}

// View implements Screen.
func (m *Flows) View() ([]string, *Cursor) {
	chart, list, pane := m.sizes()
	lines := make([]string, 0, m.height)
	if chart > 0 {
		m.aim()
		lines = append(lines, m.time.view()...)
	}
	bar, cursor := m.bar.view(m.width, chart, m.tally())
	lines = append(lines, bar)
	switch {
	case len(m.rows) == 0:
		why := m.why()
		lines = append(lines, why.view(m.host.Styles, m.width, max(0, m.height-1-chart))...)
	case list > 0:
		lines = append(lines, m.list()...)
		fallthrough
	default:
		if pane > 0 {
			lines = append(lines, m.detail.view()...)
		}
	}
	for len(lines) < m.height {
		lines = append(lines, style.Blank(m.width))
	}
	lines = lines[:m.height]
	m.bar.over(lines, m.width, chart)
	return lines, cursor
}

func (m *Flows) list() []string {
	st := m.host.Styles
	clock := &m.host.Clock
	m.table.Columns[flowTime].Title = clock.Title()
	cell := func(i, col int) component.Cell {
		r := m.rows[i]
		c := component.Cell{Style: st.Text}
		switch col {
		case flowTime:
			c.Text, c.Style = clock.Row(i, func(i int) int64 { return m.rows[i].flow.First }, m.rows[0].flow.First, m.table.Shown(col)), st.Dim
		case flowClient:
			c.Text = r.client.text(m.table.Shown(col))
		case flowServer:
			c.Text = r.server.text(m.table.Shown(col))
		case flowProto:
			c.Text = r.proto
			if p := r.flow.Protocol; p != nil && c.Text.Width() > m.table.Shown(col) {
				c.Text = style.Clean(p.Name)
			}
		case flowState:
			c.Text, c.Style = r.state(), st.Dim
			if r.flow.State == dissect.Reset {
				c.Style = st.Error
			}
		case flowPackets:
			c.Text = style.Text(group(r.packets()))
		case flowSent:
			c.Text = style.Text(component.Bytes(r.flow.Bytes[0]))
		case flowReceived:
			c.Text = style.Text(component.Bytes(r.flow.Bytes[1]))
		case flowLost:
			c.Style = st.Dim
			if n := r.lost(); n > 0 {
				c.Text, c.Style = style.Text(component.Bytes(n)), st.Error
			}
		case flowLasted:
			c.Text, c.Style = style.Text(component.Duration(time.Duration(r.lasted()))), st.Dim
		}
		return c
	}
	mark := func(i int) component.Cell {
		switch r := m.rows[i]; {
		case i == m.table.Cursor:
			return component.Cell{Text: "▌", Style: st.Accent}
		case r.flow.State == dissect.Reset || r.lost() > 0:
			return component.Cell{Text: "!", Style: st.Error}
		}
		return component.Cell{}
	}
	return m.table.View(len(m.rows), cell, mark)
}

// tally says how many flows there are, and how many are not shown.
func (m *Flows) tally() style.Text {
	s := count(len(m.rows), "flow")
	if m.history == nil {
		return style.Text("reading …, esc stops it · " + s)
	}
	switch k := m.history.report.Matched; {
	case len(m.rows) < MaxRows:
	case m.bar.scope.Window.Live():
		s = "newest " + s
	case k > MaxRows:
		s = "newest " + group(uint64(len(m.rows))) + " of " + m.history.report.matched("flow")
	}
	return style.Text(s)
}

// why says why there is nothing to see.
func (m *Flows) why() reason {
	switch {
	case m.history == nil:
		return reason{what: "Reading what is kept …", why: []string{m.bar.scope.Window.Text(m.host.Clock)}, do: []string{"esc  stops it"}}
	case m.history.failed() != "":
		return failure("The question failed.", m.history)
	case m.history.err != nil:
		return reason{what: "The reading was stopped.", do: []string{"R  reads again"}}
	case m.nodes.Asked && m.nodes.Err == nil && len(m.nodes.Nodes) == 0:
		return reason{what: "There is no node.", why: []string{"No worker has reported to this console."}, do: []string{"Look whether a worker runs on each node."}, error: true}
	}
	if oldest, _ := span(&m.history.report, m.nodes); m.nodes.Asked && oldest == 0 {
		return nothingKept()
	}
	if r, ok := m.bar.missed(&m.history.report, m.nodes); ok {
		return r
	}
	r := reason{what: "There is no flow in this window.", why: []string{m.bar.scope.Window.Text(m.host.Clock)}, do: []string{"w  for another window"}}
	if q := m.bar.query(); q != "" {
		r.what, r.why = "The filter matches no flow.", append([]string{q}, r.why...)
		r.do = append([]string{"/  to change the filter", "esc  to see all flows"}, r.do...)
	}
	return r
}
