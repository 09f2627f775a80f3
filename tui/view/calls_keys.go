package view

import (
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
)

// press handles a key.
func (m *Calls) press(k tea.KeyPressMsg) tea.Cmd {
	if m.modal != nil {
		return m.pressModal(k)
	}
	m.aim()
	if cmd, changed, mine := m.bar.press(k); mine {
		return m.renew(cmd, changed)
	}
	switch {
	case key.Matches(k, m.Keys.Next):
		return m.otherPane()
	case key.Matches(k, m.Keys.Maximise):
		m.maximise = !m.maximise
		m.arrange()
		return nil
	case m.onDetail:
		return m.pressDetail(k)
	}
	return m.pressList(k)
}

func (m *Calls) pressList(k tea.KeyPressMsg) tea.Cmd {
	if moved, mine := m.table.Press(k, m.Move, len(m.shown)); mine {
		if !moved {
			return nil
		}
		cmd := m.moved()
		m.follow = m.follow || key.Matches(k, m.Move.Bottom) && m.bar.scope.Window.Live() && !m.paused && m.sorted == nil
		return cmd
	}
	switch {
	case key.Matches(k, m.Keys.Open):
		return m.openDetail()
	case key.Matches(k, m.Keys.Pause):
		return m.pause()
	case key.Matches(k, m.Keys.Follow):
		return m.toggleFollow()
	case key.Matches(k, m.Keys.Mark):
		return m.mark()
	case key.Matches(k, m.Keys.MarkAll):
		return m.markAll()
	case key.Matches(k, m.Keys.Unmark):
		return m.unmark()
	case key.Matches(k, m.Keys.Copy):
		return m.openCopy()
	case key.Matches(k, m.Keys.Export):
		return m.Export("")
	case key.Matches(k, m.Keys.Stream):
		return m.visit("stream")
	case key.Matches(k, m.Keys.Packets):
		return m.visit("packets")
	case key.Matches(k, m.Keys.Replay):
		return m.visit("replay")
	case key.Matches(k, m.Keys.Columns):
		m.modal = newChooser(m)
		return nil
	case key.Matches(k, m.Keys.Namespace):
		return m.openNamespaces()
	case key.Matches(k, m.Keys.Order):
		return m.sortBy(m.table.Picked)
	case key.Matches(k, m.Keys.Apply):
		return m.applyCell(false)
	case key.Matches(k, m.Keys.Exclude):
		return m.applyCell(true)
	case key.Matches(k, m.Keys.Sort):
		return m.sortBy(m.indexOf(&column{kind: strings.Index("TSDPUAL", k.String())}))
	}
	return nil
}

func (m *Calls) pressDetail(k tea.KeyPressMsg) tea.Cmd {
	switch {
	case key.Matches(k, m.Detail.Keys.NextCall):
		m.table.Move(1, len(m.shown))
		return m.moved()
	case key.Matches(k, m.Detail.Keys.PrevCall):
		m.table.Move(-1, len(m.shown))
		return m.moved()
	case key.Matches(k, m.Detail.Keys.Raw):
		return flash("body: %s", m.Detail.nextLayout())
	case key.Matches(k, m.Detail.Keys.Copy):
		return m.openCopy()
	case key.Matches(k, m.Detail.Keys.Column):
		return m.fieldColumn()
	case key.Matches(k, m.Detail.Keys.Find):
		m.modal = m.Detail.finder()
		return nil
	case key.Matches(k, m.Detail.Keys.Stream):
		return m.visit("stream")
	case key.Matches(k, m.Detail.Keys.Packets):
		return m.visit("packets")
	case key.Matches(k, m.Detail.Keys.Replay):
		return m.visit("replay")
	case key.Matches(k, m.Detail.Keys.Apply):
		return m.applyField(false)
	case key.Matches(k, m.Detail.Keys.Exclude):
		return m.applyField(true)
	}
	return m.Detail.press(k, m.Move)
}

// Back implements Screen: the maximised pane, the details, a window, the filter.
func (m *Calls) Back() (tea.Cmd, bool) {
	switch {
	case m.time.back():
		return nil, true
	case m.stopWork():
		return flash("nothing is copied"), true
	case m.maximise:
		m.maximise = false
		m.arrange()
		return nil, true
	case m.detailed:
		m.closeDetail()
		return nil, true
	case m.bar.back():
		return m.renew(nil, true), true
	}
	return nil, false
}

// Detailed says whether the details are open.
func (m *Calls) Detailed() bool { return m.detailed }

func (m *Calls) openDetail() tea.Cmd {
	if m.selected == nil {
		return refuse("there is no call to show")
	}
	m.detailed, m.onDetail, m.follow = true, true, false
	m.table.Focused = false
	m.arrange()
	m.table.To(m.table.Cursor, len(m.shown))
	return m.Detail.open(m.host.Context, m.host.Backend, m.selected, 0)
}

func (m *Calls) closeDetail() {
	m.detailed, m.onDetail = false, false
	m.table.Focused = true
	m.Detail.close()
	m.arrange()
}

func (m *Calls) otherPane() tea.Cmd {
	if !m.detailed {
		return refuse("there is one pane: enter opens the details of a call")
	}
	m.onDetail = !m.onDetail
	m.table.Focused = !m.onDetail
	m.arrange()
	return nil
}

func (m *Calls) pause() tea.Cmd {
	m.paused = !m.paused
	if !m.paused {
		m.refresh()
		return nil
	}
	m.follow = false
	return flash("paused: what comes in is counted, and shown when you press p again")
}

func (m *Calls) toggleFollow() tea.Cmd {
	switch {
	case m.live != nil && m.bar.scope.Window.Live(): // it has ended
		m.follow, m.paused = true, false
		return m.restart()
	case m.follow:
		m.follow = false
		return nil
	case !m.bar.scope.Window.Live():
		return refuse("this window has an end: press w and type 15m to follow what comes in")
	}
	m.follow, m.paused = true, false
	m.sorted, m.table.Sorted, m.table.Reverse = nil, -1, false
	m.refresh()
	return nil
}

func (m *Calls) mark() tea.Cmd {
	if m.selected == nil {
		return refuse("there is no call to mark")
	}
	m.selected.mark = !m.selected.mark
	if m.selected.mark {
		m.marked++
	} else {
		m.marked--
	}
	m.table.Move(1, len(m.shown))
	return m.moved()
}

func (m *Calls) applyCell(not bool) tea.Cmd {
	if m.selected == nil {
		return refuse("there is no cell to filter by")
	}
	f, why := m.cellFilter()
	if why != "" {
		return refuse("%s", why)
	}
	return m.renew(m.bar.apply(f, not))
}

func (m *Calls) applyField(not bool) tea.Cmd {
	f := m.Detail.filter()
	if f == "" {
		return refuse("this line is no field: go to one with j and k")
	}
	return m.renew(m.bar.apply(f, not))
}
