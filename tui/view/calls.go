package view

import (
	"context"
	"sort"
	"strings"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/keys"
	"github.com/sshark/sshark/tui/style"
)

// Calls is the list of calls with its chart, its filter bar and the details of one call.
type Calls struct {
	ctx     context.Context
	backend Backend
	clock   Clock
	styles  *style.Styles

	Keys   keys.Calls
	Move   keys.Move
	Detail Details

	width, height int

	window  Window
	home    Window   // where reset leads
	before  []Window // for esc
	filter  string
	errOnly bool

	feed    *feed
	history *answer // nil while what is kept is being read
	live    *answer // not nil once following has ended
	rows    rows
	shown   []*row
	marked  int
	waiting int // rows that came in while paused
	series  *component.Series
	nodes   NodesMsg
	probe   probeMsg

	table  component.Table
	chart  component.Chart
	prompt component.Prompt // filter
	when   component.Prompt // window
	typing typing
	asked  int  // number of the last check
	accept bool // apply the filter as soon as it is found right

	paused   bool
	follow   bool
	selected *row
	detailed bool // the detail pane is open
	onDetail bool // and has the focus
	maximise bool
	topOnce  bool // the first g of gg
	drag     drag
}

type typing uint8

const (
	notTyping typing = iota
	typingFilter
	typingWindow
)

type drag struct {
	on       bool
	from, to [2]int64 // the columns where it began and where it is
}

// checkMsg is the judgement of a filter that is being typed.
type checkMsg struct {
	number int
	err    error
	items  []component.Item
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

// CallsOptions say where the list starts.
type CallsOptions struct {
	Filter string
	Window Window
}

// NewCalls makes the list. Its queries end with ctx.
func NewCalls(ctx context.Context, b Backend, clock Clock, st *style.Styles, o CallsOptions) Calls {
	m := Calls{ctx: ctx, backend: b, clock: clock, styles: st,
		Keys: keys.NewCalls(), Move: keys.NewMove(), Detail: newDetails(st, clock),
		window: o.Window, home: o.Window, filter: o.Filter, follow: o.Window.Live(),
		prompt: component.NewPrompt("/", `a filter, as: http && status_code >= 500`, st),
		when:   component.NewPrompt("window", `5m, 1h30m, all, 14:00-14:15`, st),
	}
	m.when.Direct = true
	m.table = component.Table{Styles: st, Focused: true, Sorted: -1, Picked: colSummary, Columns: []component.Column{
		colTime:        {Title: "TIME", Min: 8, Max: 12, Weight: 3, Sort: 0},
		colSource:      {Title: "SOURCE", Min: 11, Max: 32, Weight: 4, Sort: 0},
		colDestination: {Title: "DESTINATION", Min: 11, Max: 32, Weight: 4, Sort: 0},
		colProtocol:    {Title: "PROTO", Min: 5, Max: 10, Weight: 1, Sort: 0},
		colSummary:     {Title: "SUMMARY", Min: 10, Weight: 14, Sort: 1},
		colStatus:      {Title: "STATUS", Min: 7, Max: 10, Weight: 1, Sort: 2},
		colLatency:     {Title: "LATENCY", Min: 7, Max: 8, Right: true, Sort: 0},
	}}
	m.chart = component.Chart{Styles: st, Location: clock.Location}
	m.reset()
	return m
}

// Init starts to read.
func (m Calls) Init() tea.Cmd { return m.feed.start }

// SetStyles changes the look.
func (m *Calls) SetStyles() { m.Detail.relayout() }

// SetSize says how many cells there are.
func (m *Calls) SetSize(w, h int) {
	m.width, m.height = w, h
	m.arrange()
}

// SetFilter applies a filter that was checked.
func (m *Calls) SetFilter(f string) tea.Cmd {
	m.filter = f
	return m.restart()
}

// SetWindow looks at another time; esc leads back.
func (m *Calls) SetWindow(w Window) tea.Cmd {
	if w == m.window {
		return nil
	}
	m.before = append(m.before, m.window)
	if len(m.before) > 20 {
		m.before = m.before[1:]
	}
	return m.look(w)
}

func (m *Calls) look(w Window) tea.Cmd {
	m.window = w
	m.follow = w.Live()
	m.paused = false
	return m.restart()
}

// Close ends the queries.
func (m *Calls) Close() {
	m.feed.cancel()
	m.Detail.close()
}

// Typing says whether keys are text now.
func (m *Calls) Typing() bool { return m.typing != notTyping }

// query is the filter that is asked for.
func (m *Calls) query() string {
	if m.errOnly {
		return both(m.filter, "error")
	}
	return m.filter
}

// Asks is what the list asks for now, with the edges of its window, and that in words.
func (m *Calls) Asks() (q Query, about string) {
	q = Query{Filter: m.query()}
	q.Since, q.Until = m.window.Bounds(m.clock.Now())
	about = m.window.Text(m.clock.Location)
	if q.Filter != "" {
		about += ", " + q.Filter
	}
	return q, about
}

// reset prepares a feed for the window and the filter.
func (m *Calls) reset() {
	if m.feed != nil {
		m.feed.cancel()
	}
	now := m.clock.Now()
	since, until := m.window.Bounds(now)
	history := &Query{Since: since, Until: until, Filter: m.query(), Last: MaxRows}
	var live *Query
	if m.window.Live() {
		live = &Query{Since: until, Filter: m.query(), Follow: true}
	}
	step := time.Millisecond
	m.series = component.NewWideningSeries(step)
	if since != 0 && until != 0 {
		step = component.StepFor(time.Duration(until-since), 2000)
		m.series = component.NewSeries(step)
	}
	m.rows = rows{max: MaxRows}
	m.shown, m.selected, m.history, m.live = nil, nil, nil, nil
	m.waiting, m.marked, m.probe = 0, 0, probeMsg{}
	m.table.Cursor, m.table.Offset = 0, 0
	m.feed = newFeed(m.ctx, m.backend, step, history, live)
}

func (m *Calls) restart() tea.Cmd {
	m.reset()
	if m.detailed {
		m.closeDetail()
	}
	return m.feed.start
}

// Update handles a message. Mouse positions are relative to the screen's own corner.
func (m Calls) Update(msg tea.Msg) (Calls, tea.Cmd) {
	var cmd tea.Cmd
	switch msg := msg.(type) {
	case batchMsg:
		cmd = m.take(msg)
	case checkMsg:
		cmd = m.judge(msg)
	case probeMsg:
		if msg.feed == m.feed {
			m.probe = msg
		}
	case NodesMsg:
		m.nodes = msg
	case detailMsg:
		m.Detail.take(msg)
	case tea.PasteMsg:
		cmd = m.paste(msg.Content)
	case tea.KeyPressMsg:
		cmd = m.press(msg)
	case tea.MouseMsg:
		cmd = m.mouse(msg)
	}
	return m, cmd
}

// take adds what a feed gathered.
func (m *Calls) take(b batchMsg) tea.Cmd {
	if b.feed != m.feed {
		return nil // of a question that is not asked any more
	}
	for _, c := range b.counts {
		m.series.Add(c.at, c.n)
	}
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
	if m.history != nil && m.history.err == nil && len(m.rows.list) == 0 && m.query() != "" && !m.probe.done && m.probe.feed == nil {
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
	if m.follow && m.window.Live() {
		since, _ := m.window.Bounds(m.clock.Now())
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
	sort.SliceStable(m.shown, func(i, j int) bool { return m.shown[i].time < m.shown[j].time })
	if c := m.table.Sorted; c > colTime {
		sort.SliceStable(m.shown, func(i, j int) bool { return compare(c, m.shown[i], m.shown[j]) < 0 })
	}
	if m.table.Sorted >= 0 && m.table.Reverse {
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

func (m *Calls) newestFirst() bool { return m.table.Sorted == colTime && m.table.Reverse }

// moved follows the cursor after it was moved by hand.
func (m *Calls) moved() tea.Cmd {
	if len(m.shown) == 0 {
		return nil
	}
	m.follow = false
	m.selected = m.shown[m.table.Cursor]
	if m.detailed {
		return m.Detail.open(m.ctx, m.backend, m.selected, flushEvery)
	}
	return nil
}

// judge shows what was found about a filter that is being typed.
func (m *Calls) judge(c checkMsg) tea.Cmd {
	if c.number != m.asked || m.typing != typingFilter {
		return nil
	}
	m.prompt.State, m.prompt.Message = component.Good, ""
	switch {
	case m.prompt.Input.Blank():
		m.prompt.State = component.Idle
	case c.err != nil:
		m.prompt.State, m.prompt.Message = component.Bad, c.err.Error()
	}
	m.prompt.SetItems(c.items)
	if m.accept {
		m.accept = false
		return m.acceptFilter(strings.TrimSpace(m.prompt.Input.Value()))
	}
	return nil
}

// check asks what is to be said about the filter as it is typed.
func (m *Calls) check() tea.Cmd {
	m.asked++
	number, backend := m.asked, m.backend
	text, cursor := m.prompt.Input.Value(), m.prompt.Input.Cursor()
	return func() tea.Msg {
		msg := checkMsg{number: number}
		func() {
			defer guard(&msg.err)
			msg.err = backend.Check(text)
			for _, c := range backend.Complete(text, cursor) {
				msg.items = append(msg.items, component.Item{Text: c.Text, Start: c.Start, Kind: c.Kind, Help: c.Help})
			}
		}()
		return msg
	}
}

// Short are the keys for the bottom line.
func (m *Calls) Short() []key.Binding {
	switch {
	case m.Typing():
		return m.prompt.Keys.Short()
	case m.onDetail:
		return m.Detail.Keys.Short()
	}
	return m.Keys.Short()
}

// Sections are the keys for the help screen.
func (m *Calls) Sections() []keys.Section {
	return []keys.Section{m.Keys.Section(), m.Move.Section(), m.Detail.Keys.Section(), m.prompt.Keys.Section()}
}
