// Package tui is the screen of sshark: a root model that routes between views, and the small
// Backend that they ask. It knows no SSH, no gRPC and no Kubernetes; the SSH server and
// `sshark tap` run its Model with bubbletea.
//
// A Model belongs to one session. What it starts ends with Options.Context, and at the latest
// when the operator quits: nothing is read in Init, Update or View. No text that comes from a
// Backend reaches the terminal but through style.Clean.
package tui

import (
	"context"
	"fmt"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/keys"
	"github.com/sshark/sshark/tui/style"
	"github.com/sshark/sshark/tui/view"
)

// What the screen asks, and what it is told. They are declared where they are used.
type (
	Backend    = view.Backend
	Query      = view.Query
	Report     = view.Report
	Missing    = view.Missing
	Ref        = view.Ref
	Detail     = view.Detail
	Node       = view.Node
	PodProblem = view.PodProblem
	Completion = view.Completion
	Window     = view.Window
	PacketSink = view.PacketSink
	StreamSink = view.StreamSink

	SnapshotKeeper = view.SnapshotKeeper
	Snapshot       = view.Snapshot
	FilterKeeper   = view.FilterKeeper
	SavedFilter    = view.SavedFilter
	ColumnReader   = view.ColumnReader

	Replayer       = view.Replayer
	ReplayOrder    = view.ReplayOrder
	ReplayPlan     = view.ReplayPlan
	ReplayLine     = view.ReplayLine
	ReplayGrade    = view.ReplayGrade
	ReplayProgress = view.ReplayProgress
	ReplayResult   = view.ReplayResult

	Shared = view.Shared

	Examiner = view.Examiner
	Finding  = view.Finding
	Severity = view.Severity
)

// NewShared is what the screens of a console have in common.
func NewShared() *Shared { return view.NewShared() }

// NewDetail copies a call that a query lent, for Backend.Detail.
func NewDetail(c *dissect.Call) *Detail { return view.NewDetail(c) }

// Options say for whom and on what the screen is.
type Options struct {
	Backend   Backend
	Snapshots SnapshotKeeper // nil: there are none
	Filters   FilterKeeper   // nil: filters are saved until the session ends
	Console   bool           // scp gets packets from it
	Doctor    Examiner       // nil: there is nothing to examine
	Replays   Replayer       // nil: flows are not sent again here
	Shared    *Shared        // what the screens of a console have in common; nil: this one is alone
	// Context ends every question; nil: they end when the operator quits.
	Context  context.Context
	Now      func() time.Time // nil: time.Now
	Location *time.Location   // of the times shown; nil: UTC
	User     string           // who is logged in, "" : not shown
	Host     string           // what is looked at: the console's name, or a file's
	View     string           // where it starts, one of Views; "": calls
	Stream   string           // the ID, of a view that is of a stream
	Filter   string           // checked by the caller
	Window   *Window          // nil: the last 15 minutes
	// Profile and Dark are how it looks until the terminal has said what it can:
	// colorprofile.Unknown is no colour.
	Profile colorprofile.Profile
	Light   bool
}

// nodesEvery is how often the nodes are asked how they are.
const nodesEvery = 2 * time.Second

// defaultWindow is what is looked at first.
const defaultWindow = 15 * time.Minute

// flashFor is how long a message stays.
const flashFor = 4 * time.Second

// Model is the root: a line of state above, a view, a line of keys below.
type Model struct {
	cancel context.CancelFunc
	o      Options
	host   *view.Host
	keys   keys.Global

	width, height int
	profile       colorprofile.Profile
	dark          bool
	mouse         bool

	trail     []place // where one came along; the last is shown, the first is the calls
	before    []place // where one was before that
	calls     *view.Calls
	snapshots *view.Snapshots
	home      Window // what was looked at first
	snapshot  string // the name of what is looked at, "" if it is Options.Backend
	done      func() // ends the looking at a snapshot; nil: nothing has to be done

	health    view.NodesMsg
	looks     int              // how often something else was made what is looked at
	command   component.Prompt // ":"
	typing    bool
	completed int // number of the last completion
	offered   int // the same, of the last one whose answer is there
	help      bool
	scroll    int             // of the help
	mover     component.Mover // through the help
	flash     view.FlashMsg
	flashed   int // number of the flash
}

// flashEnd takes a message away.
type flashEnd int

// New makes the root model.
func New(o Options) Model {
	if o.Context == nil {
		o.Context = context.Background()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Location == nil {
		o.Location = time.UTC
	}
	window := Window{Last: defaultWindow}
	if o.Window != nil {
		window = *o.Window
	}
	m := Model{o: o, keys: keys.NewGlobal(), profile: o.Profile, dark: !o.Light, mouse: true, width: 80, height: 24}
	var ctx context.Context
	ctx, m.cancel = context.WithCancel(o.Context)
	st := style.New(m.profile, m.dark)
	m.host = &view.Host{Context: ctx, Backend: o.Backend, Styles: &st, Clock: view.Clock{Now: o.Now, Location: o.Location, Local: o.Location},
		Home: window, Memory: &view.Memory{Saved: view.Saved{Keeper: o.Filters}}, Shared: o.Shared}
	m.home = window
	m.snapshots = view.NewSnapshots(m.host, o.Snapshots)
	m.command = component.NewPrompt(":", "a command", &st)
	m.command.Direct = true
	m.open(o.View, view.Scope{Window: window, Filter: o.Filter})
	return m
}

// Init asks what there is.
func (m Model) Init() tea.Cmd {
	cmds := []tea.Cmd{m.askNodes(0), tea.RequestBackgroundColor, m.host.Memory.Saved.Load(m.host.Context)}
	for s := range m.screens() {
		cmds = append(cmds, s.Init())
	}
	return tea.Batch(cmds...)
}

// askNodes asks the nodes how they are, after a while.
func (m *Model) askNodes(after time.Duration) tea.Cmd {
	ctx, backend, looks := m.host.Context, m.host.Backend, m.looks
	return func() tea.Msg {
		t := time.NewTimer(after)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
		return polledMsg{looks, nodesOf(ctx, backend)}
	}
}

// polledMsg is how the nodes are that were looked at when they were asked.
type polledMsg struct {
	looks int
	nodes view.NodesMsg
}

func nodesOf(ctx context.Context, b Backend) (msg view.NodesMsg) {
	defer func() {
		if r := recover(); r != nil {
			msg = view.NodesMsg{Err: fmt.Errorf("internal error: %v (this is a bug)", r), Asked: true}
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	nodes, err := b.Nodes(ctx)
	return view.NodesMsg{Nodes: nodes, Err: err, Asked: true}
}

// Update handles a message.
func (m Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	cmd := m.update(msg)
	return m, cmd
}

func (m *Model) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
		m.resize()
		return nil
	case tea.ColorProfileMsg:
		m.profile = msg.Profile
		m.restyle()
		return nil
	case tea.BackgroundColorMsg:
		m.dark = msg.IsDark()
		m.restyle()
		return nil
	case polledMsg:
		if msg.looks != m.looks { // something else is looked at by now
			return m.askNodes(0)
		}
		m.health = msg.nodes
		for i := range msg.nodes.Nodes {
			m.host.Newest = max(m.host.Newest, msg.nodes.Nodes[i].Newest)
		}
		return tea.Batch(m.tell(msg.nodes), m.askNodes(nodesEvery))
	case view.GoMsg:
		return m.push(msg)
	case view.SnapshotOpenMsg:
		if msg.Err != nil {
			return m.say(view.FlashMsg{Text: msg.Err.Error(), Bad: true})
		}
		return m.look(msg.Backend, msg.Name, msg.Done, Window{})
	case view.ExportMsg:
		return m.keep(msg)
	case view.SavedMsg:
		return m.host.Memory.Saved.Take(msg)
	case completedMsg:
		if m.typing && msg.number == m.completed {
			m.offered = msg.number
			m.command.SetItems(msg.items)
		}
		return nil
	case view.FlashMsg:
		return m.say(msg)
	case flashEnd:
		if int(msg) == m.flashed {
			m.flash = view.FlashMsg{}
		}
		return nil
	case tea.KeyPressMsg:
		return m.press(msg)
	case tea.PasteMsg:
		if !m.typing {
			return m.top().Update(msg)
		}
		m.command.Paste(msg.Content)
		return m.complete()
	case tea.MouseMsg:
		return m.point(msg)
	}
	return m.tell(msg)
}

// tell hands a message to every screen.
func (m *Model) tell(msg tea.Msg) tea.Cmd {
	var cmds []tea.Cmd
	for s := range m.screens() {
		if cmd := s.Update(msg); cmd != nil {
			cmds = append(cmds, cmd)
		}
	}
	return tea.Batch(cmds...)
}

func (m *Model) say(f view.FlashMsg) tea.Cmd {
	m.flash = f
	m.flashed++
	n, ctx := m.flashed, m.host.Context
	return func() tea.Msg {
		t := time.NewTimer(flashFor)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		return flashEnd(n)
	}
}

func (m *Model) press(k tea.KeyPressMsg) tea.Cmd {
	if key.Matches(k, m.keys.Kill) {
		return m.quit()
	}
	m.flash = view.FlashMsg{}
	switch {
	case m.typing:
		return m.pressCommand(k)
	case m.top().Typing():
		return m.top().Update(k)
	case m.help:
		return m.pressHelp(k)
	}
	switch {
	case key.Matches(k, m.keys.Help):
		m.help, m.scroll = true, 0
	case key.Matches(k, m.keys.Command):
		m.typing = true
		m.command.Open("")
		return m.complete()
	case key.Matches(k, m.keys.Last):
		return m.swap()
	case key.Matches(k, m.keys.Mouse):
		m.mouse = !m.mouse
		if m.mouse {
			return m.say(view.FlashMsg{Text: "the mouse works here"})
		}
		return m.say(view.FlashMsg{Text: "the mouse selects text of your terminal; M turns it back"})
	case key.Matches(k, m.keys.Time):
		m.host.Clock.Next()
		return m.say(view.FlashMsg{Text: "times: " + m.host.Clock.Form.String() + zoneOf(m.host.Clock)})
	case key.Matches(k, m.keys.Back):
		return m.back()
	case key.Matches(k, m.keys.Quit):
		switch {
		case len(m.trail) > 1:
			m.leave()
			return nil
		case m.calls.Detailed():
			return m.back()
		}
		return m.quit()
	case m.top() == view.Screen(m.snapshots) && key.Matches(k, m.snapshots.Keys.New):
		if m.snapshot != "" {
			return m.say(view.FlashMsg{Text: "this is a snapshot already; :live leads back to what is captured", Bad: true})
		}
		return m.snapshots.New(m.scope().Query(m.host.Clock))
	default:
		return m.top().Update(k)
	}
	return nil
}

func (m *Model) back() tea.Cmd {
	if cmd, ok := m.top().Back(); ok {
		return cmd
	}
	if len(m.trail) == 1 {
		return m.say(view.FlashMsg{Text: "there is nothing to go back to; q quits"})
	}
	m.leave()
	return nil
}

// quit ends what was started, and the program.
func (m *Model) quit() tea.Cmd {
	for s := range m.screens() {
		s.Close()
	}
	if m.done != nil {
		m.done()
		m.done = nil
	}
	m.cancel()
	return tea.Quit
}

func (m *Model) point(msg tea.MouseMsg) tea.Cmd {
	if m.help {
		if w, ok := msg.(tea.MouseWheelMsg); ok {
			m.scrollHelp(map[tea.MouseButton]int{tea.MouseWheelUp: -3, tea.MouseWheelDown: 3}[w.Button])
		}
		return nil
	}
	if m.small() {
		return nil
	}
	// Views have their own corner, below the line of state.
	switch e := msg.(type) {
	case tea.MouseClickMsg:
		e.Y--
		return m.top().Update(e)
	case tea.MouseReleaseMsg:
		e.Y--
		return m.top().Update(e)
	case tea.MouseMotionMsg:
		e.Y--
		return m.top().Update(e)
	case tea.MouseWheelMsg:
		e.Y--
		return m.top().Update(e)
	}
	return nil
}

func (m *Model) resize() {
	for s := range m.screens() {
		s.SetSize(m.width, max(0, m.height-2))
	}
}

func (m *Model) restyle() {
	*m.host.Styles = style.New(m.profile, m.dark)
	for s := range m.screens() {
		s.SetStyles()
	}
}
