package view

import (
	"cmp"
	"context"
	"slices"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/keys"
	"github.com/sshark/sshark/tui/style"
)

// Flows is the list of the conversations of a scope, with what their packets tell of the
// selected one below. Flows that are followed are told as they end.
type Flows struct {
	Keys keys.Flows
	Move keys.Move
	host *Host
	bar  *bar

	ctx     context.Context // of the view
	close   context.CancelFunc
	kept    *gatherer[*flowRow]
	coming  *gatherer[*flowRow] // nil: nothing is followed
	history *answer             // nil while what is kept is being read
	live    *answer             // not nil once following has ended
	byID    map[flow.ID]*flowRow
	rows    []*flowRow
	nodes   NodesMsg
	begun   time.Time

	time          *timeline // of the beginnings of the flows
	table         component.Table
	selected      *flowRow
	newest        bool // the cursor stays on the newest
	detail        flowPane
	detailed      bool
	maximise      bool
	width, height int
}

// NewFlows makes the list.
func NewFlows(h *Host, scope Scope) *Flows {
	m := &Flows{Keys: keys.NewFlows(), Move: keys.NewMove(), host: h, bar: newBar(h, scope, "all flows"), newest: true}
	m.ctx, m.close = context.WithCancel(h.Context)
	m.time = newTimeline(m.bar)
	m.table = component.Table{Styles: h.Styles, Focused: true, Sorted: -1, Picked: flowClient, Columns: []component.Column{
		flowTime:     {Title: "TIME", Min: 8, Max: 12, Weight: 2, Sort: 0},
		flowClient:   {Title: "SOURCE", Min: 11, Max: 40, Weight: 6, Sort: 0},
		flowServer:   {Title: "DESTINATION", Min: 11, Max: 40, Weight: 6, Sort: 0},
		flowProto:    {Title: "PROTO", Min: 7, Max: 15, Weight: 3, Sort: 0},
		flowState:    {Title: "STATE", Min: 7, Max: 8, Weight: 1, Sort: 2},
		flowPackets:  {Title: "PACKETS", Min: 7, Max: 9, Weight: 1, Sort: 4, Right: true},
		flowSent:     {Title: "BYTES →", Min: 8, Max: 9, Weight: 1, Sort: 0, Right: true},
		flowReceived: {Title: "BYTES ←", Min: 8, Max: 9, Weight: 1, Sort: 0, Right: true},
		flowLost:     {Title: "LOST", Min: 8, Max: 9, Weight: 1, Sort: 1, Right: true},
		flowLasted:   {Title: "DURATION", Min: 8, Max: 9, Weight: 1, Sort: 1, Right: true},
	}}
	m.detail = flowPane{host: h}
	m.reset()
	return m
}

// Init implements Screen.
func (m *Flows) Init() tea.Cmd { return m.start() }

// reset prepares the questions for the window and the filter.
func (m *Flows) reset() {
	for _, g := range []*gatherer[*flowRow]{m.kept, m.coming} {
		if g != nil {
			g.cancel()
		}
	}
	m.begun = m.host.Clock.Now()
	m.time.reset()
	since, until := m.bar.bounds()
	q := Query{Since: since, Until: until, Filter: m.bar.query(), Last: MaxRows}
	m.kept, m.coming = m.gather(q), nil
	if m.bar.scope.Window.Live() {
		m.coming = m.gather(Query{Since: until, Filter: q.Filter, Follow: true})
	}
	m.history, m.live, m.byID, m.rows, m.selected = nil, nil, map[flow.ID]*flowRow{}, nil, nil
	m.newest = true
	m.table.To(0, 0)
}

func (m *Flows) gather(q Query) *gatherer[*flowRow] {
	backend := m.host.Backend
	return newGatherer(m.ctx, func(ctx context.Context, add func(*flowRow)) (Report, error) {
		return backend.Flows(ctx, q, func(f *dissect.Flow) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			add(newFlowRow(f))
			return nil
		})
	})
}

func (m *Flows) start() tea.Cmd {
	if m.coming == nil {
		return m.kept.start
	}
	return tea.Batch(m.kept.start, m.coming.start)
}

// Scope implements Scoped.
func (m *Flows) Scope() Scope { return Scope{Window: m.bar.scope.Window, Filter: m.bar.query()} }

// SetScope implements Scoped.
func (m *Flows) SetScope(s Scope) tea.Cmd { return m.renew(nil, m.bar.setScope(s)) }

// renew asks anew if what is asked for has changed; cmd is to be done in any case.
func (m *Flows) renew(cmd tea.Cmd, changed bool) tea.Cmd {
	if !changed {
		return cmd
	}
	return tea.Batch(cmd, m.again())
}

func (m *Flows) again() tea.Cmd {
	m.reset()
	m.detail.show(nil)
	return m.start()
}

// Update implements Screen.
func (m *Flows) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case gathered[*flowRow]:
		return m.take(msg)
	case checkMsg:
		m.bar.judge(msg)
	case NodesMsg:
		m.nodes = msg
	case examinedFlowMsg:
		m.detail.take(msg)
	case tea.PasteMsg:
		return m.renew(m.bar.paste(msg.Content))
	case tea.KeyPressMsg:
		return m.press(msg)
	case tea.MouseMsg:
		return m.mouse(msg)
	}
	return nil
}

func (m *Flows) take(b gathered[*flowRow]) tea.Cmd {
	var cmd tea.Cmd
	switch b.by {
	case m.kept:
		cmd = m.kept.wait
		if b.end != nil {
			m.history, cmd = b.end, nil
		}
	case m.coming:
		cmd = m.coming.wait
		if b.end != nil {
			m.live, cmd = b.end, nil
		}
	default:
		return nil // of a question that is not asked any more
	}
	for _, r := range b.items {
		if old := m.byID[r.flow.ID]; old != nil {
			*old = *r // it has gone on
			continue
		}
		m.byID[r.flow.ID] = r
		m.rows = append(m.rows, r)
		m.time.series.Add(r.flow.First, flowCount(&r.flow))
	}
	if over := len(m.rows) - MaxRows; over > 0 {
		slices.SortStableFunc(m.rows, func(a, b *flowRow) int { return cmp.Compare(a.flow.First, b.flow.First) })
		for _, r := range m.rows[:over] {
			delete(m.byID, r.flow.ID)
		}
		m.rows = slices.Clone(m.rows[over:])
	}
	m.order()
	return tea.Batch(cmd, m.look())
}

// order sorts what is shown, and keeps the cursor on its flow, or on the newest.
func (m *Flows) order() {
	slices.SortStableFunc(m.rows, func(a, b *flowRow) int { return cmp.Compare(a.flow.First, b.flow.First) })
	if c := m.table.Sorted; c > flowTime {
		slices.SortStableFunc(m.rows, func(a, b *flowRow) int { return compareFlows(c, a, b) })
	}
	if m.table.Sorted >= 0 && m.table.Reverse {
		slices.Reverse(m.rows)
	}
	n := len(m.rows)
	at := slices.Index(m.rows, m.selected)
	switch {
	case n == 0:
		m.selected = nil
	case m.newest && m.table.Sorted < 0, at < 0:
		m.table.To(n-1, n)
		m.selected = m.rows[m.table.Cursor]
	default:
		m.table.To(at, n)
	}
}

// moved follows the cursor after it was moved by hand.
func (m *Flows) moved() tea.Cmd {
	if len(m.rows) == 0 {
		return nil
	}
	m.newest = false
	m.selected = m.rows[m.table.Cursor]
	return m.look()
}

// look shows how the selected flow went.
func (m *Flows) look() tea.Cmd {
	if !m.detailed {
		return nil
	}
	return m.detail.show(m.selected)
}

// SetSize implements Screen.
func (m *Flows) SetSize(w, h int) {
	m.width, m.height = w, h
	m.arrange()
}

// SetStyles implements Screen.
func (m *Flows) SetStyles() {}

// Typing implements Screen.
func (m *Flows) Typing() bool { return m.bar.typing != notTyping }

// Close implements Screen.
func (m *Flows) Close() { m.close() }

// Back implements Screen: the reading, the maximised pane, the details, a window, the filter.
func (m *Flows) Back() (tea.Cmd, bool) {
	switch {
	case m.time.back():
		return nil, true
	case m.history == nil:
		m.kept.cancel()
		m.history = stopped()
		return flash("stopped: what was read is shown; R reads again"), true
	case m.maximise:
		m.maximise = false
		m.arrange()
		return nil, true
	case m.detailed:
		m.toggleDetails()
		return nil, true
	case m.bar.back():
		return m.renew(nil, true), true
	}
	return nil, false
}

// Losses implements Screen.
func (m *Flows) Losses() style.Text {
	m.aim()
	return join(losses(m.host, m.history, m.live), style.Clean(m.time.lacks()))
}

// Status implements Screen.
func (m *Flows) Status() (text style.Text, warn bool) {
	window := style.Text(m.bar.scope.Window.Text(m.host.Clock))
	switch {
	case m.history == nil:
		return "reading … · " + window, true
	case m.live.failed() != "" && m.host.Context.Err() == nil:
		return "‖ stopped · " + window, true
	case m.coming != nil && m.live == nil:
		return "▸ live, as they end · " + window, false
	}
	return window, false
}

// Short implements Screen.
func (m *Flows) Short() []key.Binding {
	if m.Typing() {
		return m.bar.prompt.Keys.Short()
	}
	return m.bar.keys.Short(m.Keys.Short()...)
}

// Sections implements Screen.
func (m *Flows) Sections() []keys.Section {
	return []keys.Section{m.bar.keys.Section(), m.Keys.Section(), m.Move.Section(), m.bar.prompt.Keys.Section()}
}
