package view

import (
	"sort"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/keys"
)

// Calls is the list of calls with its chart, its filter bar and the details of one call.
type Calls struct {
	host *Host
	bar  *bar

	Keys   keys.Calls
	Move   keys.Move
	Detail Details

	width, height int

	feed    *feed
	history *answer // nil while what is kept is being read
	live    *answer // not nil once following has ended
	rows    rows
	shown   []*row
	marked  int
	waiting int // rows that came in while paused
	nodes   NodesMsg
	probe   probeMsg

	table   component.Table
	columns []column // of the table
	sorted  *column  // by which it is sorted; nil: by none
	time    *timeline
	own     Memory // where the host has none

	modal modal // lies over it and takes the keys; nil: nothing does
	work  *work // is being copied; nil: nothing is

	paused   bool
	follow   bool
	selected *row
	detailed bool // the detail pane is open
	onDetail bool // and has the focus
	maximise bool
}

// probeMsg says what there is without the filter, for an empty list to explain itself.
type probeMsg struct {
	feed   *feed
	report Report
	err    error
	done   bool
}

// NodesMsg is what the nodes said of themselves.
type NodesMsg struct {
	Nodes []Node
	Err   error
	Asked bool // an answer came at all
}

// NewCalls makes the list.
func NewCalls(h *Host, scope Scope) *Calls {
	m := &Calls{host: h, bar: newBar(h, scope, "all calls"),
		Keys: keys.NewCalls(), Move: keys.NewMove(), Detail: newDetails(h), follow: scope.Window.Live()}
	m.time = newTimeline(m.bar)
	m.table = component.Table{Styles: h.Styles, Focused: true, Sorted: -1}
	m.lay(m.memory().Columns.get())
	m.table.Picked = m.indexOf(&column{kind: colSummary})
	m.reset()
	return m
}

// Init implements Screen.
func (m *Calls) Init() tea.Cmd { return m.feed.start }

// SetStyles implements Screen.
func (m *Calls) SetStyles() { m.Detail.relayout() }

// SetSize implements Screen.
func (m *Calls) SetSize(w, h int) {
	m.width, m.height = w, h
	m.arrange()
}

// Scope implements Scoped.
func (m *Calls) Scope() Scope { return Scope{Window: m.bar.scope.Window, Filter: m.bar.query()} }

// SetScope implements Scoped.
func (m *Calls) SetScope(s Scope) tea.Cmd {
	return m.renew(nil, m.bar.setScope(s))
}

// renew asks anew if what is asked for has changed; cmd is to be done in any case.
func (m *Calls) renew(cmd tea.Cmd, changed bool) tea.Cmd {
	if !changed {
		return cmd
	}
	m.follow, m.paused = m.bar.scope.Window.Live(), false
	return tea.Batch(cmd, m.restart())
}

// Close implements Screen.
func (m *Calls) Close() {
	m.feed.cancel()
	m.Detail.close()
	m.stopWork()
}

// Typing implements Screen.
func (m *Calls) Typing() bool { return m.bar.typing != notTyping || m.modal != nil }

// reset prepares a feed for the window and the filter.
func (m *Calls) reset() {
	if m.feed != nil {
		m.feed.cancel()
	}
	since, until := m.bar.bounds()
	history := &Query{Since: since, Until: until, Filter: m.bar.query(), Last: MaxRows}
	var live *Query
	if m.bar.scope.Window.Live() {
		live = &Query{Since: until, Filter: m.bar.query(), Follow: true}
	}
	step := m.time.reset()
	m.rows = rows{max: MaxRows}
	m.shown, m.selected, m.history, m.live = nil, nil, nil, nil
	m.waiting, m.marked, m.probe = 0, 0, probeMsg{}
	m.table.Cursor, m.table.Offset = 0, 0
	m.feed = newFeed(m.host.Context, m.host.Backend, step, history, live)
	m.feed.columns, m.feed.shared = fieldsOf(m.columns), m.host.Shared
}

func (m *Calls) restart() tea.Cmd {
	m.reset()
	if m.detailed {
		m.closeDetail()
	}
	return m.feed.start
}

// Update implements Screen.
func (m *Calls) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case batchMsg:
		return m.take(msg)
	case checkMsg:
		m.bar.judge(msg)
	case probeMsg:
		if msg.feed == m.feed {
			m.probe = msg
		}
	case NodesMsg:
		m.nodes = msg
	case detailMsg:
		m.Detail.take(msg)
	case copiedMsg:
		return m.copied(msg)
	case tea.PasteMsg:
		if m.modal != nil {
			m.modal.paste(msg.Content)
			return nil
		}
		return m.renew(m.bar.paste(msg.Content))
	case tea.KeyPressMsg:
		return m.press(msg)
	case tea.MouseMsg:
		return m.mouse(msg)
	}
	return nil
}

// take adds what a feed gathered.
func (m *Calls) take(b batchMsg) tea.Cmd {
	if b.feed != m.feed {
		return nil // of a question that is not asked any more
	}
	m.time.add(b.counts)
	if b.history != nil {
		m.history = b.history
	}
	if b.live != nil {
		m.live = b.live
	}
	m.rows.add(b.rows)
	if m.paused {
		m.waiting += len(b.rows)
		if len(m.shown) == 0 {
			m.refresh()
		}
	} else {
		m.refresh()
	}
	cmds := []tea.Cmd{m.feed.wait}
	if m.history != nil && m.history.err == nil && len(m.rows.list) == 0 && m.bar.query() != "" && !m.probe.done && m.probe.feed == nil {
		m.probe.feed = m.feed
		cmds = append(cmds, m.ask())
	}
	return tea.Batch(cmds...)
}

// ask counts what there would be without the filter.
func (m *Calls) ask() tea.Cmd {
	f := m.feed
	q := *f.history
	q.Filter, q.Last = "", 1
	return func() tea.Msg {
		msg := probeMsg{feed: f, done: true}
		func() {
			defer guard(&msg.err)
			var c copier
			msg.report, msg.err = f.backend.Calls(f.ctx, q, c.ignore)
		}()
		return msg
	}
}

// refresh brings what is shown up to date with the rows.
func (m *Calls) refresh() {
	list := m.rows.list
	if m.follow && m.bar.scope.Window.Live() {
		since, _ := m.bar.bounds()
		if old := sort.Search(len(list), func(i int) bool { return list[i].time >= since }); old > 0 {
			list = list[old:]
			m.rows.list = append([]*row(nil), list...)
			list = m.rows.list
		}
	}
	m.waiting = 0
	m.shown = append(m.shown[:0], list...)
	m.order()
}

// order sorts what is shown.
func (m *Calls) order() {
	byTime := func(i, j int) bool { return m.shown[i].time < m.shown[j].time }
	if !sort.SliceIsSorted(m.shown, byTime) { // which they are unless the order was another
		sort.SliceStable(m.shown, byTime)
	}
	if c := m.sorted; c != nil && c.kind != colTime {
		by := comparison(c, fieldsOf(m.columns))
		sort.SliceStable(m.shown, func(i, j int) bool { return by(m.shown[i], m.shown[j]) < 0 })
	}
	if m.sorted != nil && m.table.Reverse {
		for i, j := 0, len(m.shown)-1; i < j; i, j = i+1, j-1 {
			m.shown[i], m.shown[j] = m.shown[j], m.shown[i]
		}
	}
	m.point()
}

// point puts the cursor on the selected call, or on the newest.
func (m *Calls) point() {
	n := len(m.shown)
	if n == 0 {
		m.selected = nil
		m.table.To(0, 0)
		return
	}
	if m.follow || m.selected == nil {
		at := n - 1
		if m.newestFirst() {
			at = 0
		}
		m.table.To(at, n)
		m.selected = m.shown[m.table.Cursor]
		return
	}
	was := m.table.Cursor - m.table.Offset
	for i, r := range m.shown {
		if r == m.selected { // and it stays on its line of the screen
			m.table.Offset = max(0, min(i-was, n-m.table.Height()))
			m.table.To(i, n)
			return
		}
	}
	m.table.To(m.table.Cursor, n) // it is too old to be kept
	m.selected = m.shown[m.table.Cursor]
}

func (m *Calls) newestFirst() bool {
	return m.sorted != nil && m.sorted.kind == colTime && m.table.Reverse
}

// moved follows the cursor after it was moved by hand.
func (m *Calls) moved() tea.Cmd {
	if len(m.shown) == 0 {
		return nil
	}
	m.follow = false
	m.selected = m.shown[m.table.Cursor]
	if m.detailed {
		return m.Detail.open(m.host.Context, m.host.Backend, m.selected, openAfter)
	}
	return nil
}

// Short implements Screen.
func (m *Calls) Short() []key.Binding {
	switch {
	case m.modal != nil:
		return m.modal.short()
	case m.Typing():
		return m.bar.prompt.Keys.Short()
	case m.onDetail:
		return m.Detail.Keys.Short()
	}
	return m.bar.keys.Short(m.Keys.Short()...)
}

// Sections implements Screen.
func (m *Calls) Sections() []keys.Section {
	return []keys.Section{m.bar.keys.Section(), m.Keys.Section(), m.Move.Section(), m.Detail.Keys.Section(),
		m.bar.prompt.Keys.Section(), keys.NewColumns().Section(), keys.NewMenu().Section()}
}
