package view

import (
	"context"
	"fmt"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/keys"
	"github.com/sshark/sshark/tui/style"
)

// SnapshotKeeper keeps snapshots. It is safe for concurrent use; a call ends soon after its
// context.
type SnapshotKeeper interface {
	List(ctx context.Context) ([]Snapshot, error)
	// Create keeps what q asks for, of all nodes, and says what came of it. It may come with an
	// error: of nodes that are missing in it.
	Create(ctx context.Context, name string, q Query) (said string, err error)
	Delete(ctx context.Context, name string) error
	// Open makes a snapshot what is asked, until done is called.
	Open(ctx context.Context, name string) (b Backend, done func(), err error)
}

// Snapshot is a window that is kept. Times are ns.
type Snapshot struct {
	Name, By, Filter string
	Made             int64
	Since, Until     int64
	Nodes, Missing   int // Nodes 0: the operator may not know what is in it
	Packets          uint64
	Size             uint64 // bytes of the file
}

// Snapshots is the list of snapshots. What it is asked to do runs as a command, one at a time.
type Snapshots struct {
	Keys   keys.Snapshots
	Move   keys.Move
	host   *Host
	keeper SnapshotKeeper

	table         component.Table
	prompt        component.Prompt
	list          []Snapshot
	err           error
	asked         bool // the list was, and has come
	typing        bool // the name of a new one
	sure          bool // the next key says whether the selected one is deleted
	query         Query
	about         string // what a new one is of
	making        string // is being made, "": nothing
	cancel        context.CancelFunc
	width, height int
}

// SnapshotsMsg is the list, or why there is none.
type SnapshotsMsg struct {
	List []Snapshot
	Err  error
}

// SnapshotDoneMsg says what came of something that was asked for.
type SnapshotDoneMsg struct {
	Said string
	Err  error
	made bool // it was the making of one
}

// SnapshotOpenMsg is a snapshot to be looked at. Done must be called when it is not any more.
type SnapshotOpenMsg struct {
	Name    string
	Backend Backend
	Done    func()
	Err     error
}

// The columns of the list.
const (
	snapshotName = iota
	snapshotMade
	snapshotBy
	snapshotWindow
	snapshotNodes
	snapshotPackets
	snapshotSize
	snapshotFilter
)

// NewSnapshots makes the list; keeper may be nil where there are none.
func NewSnapshots(h *Host, keeper SnapshotKeeper) *Snapshots {
	m := &Snapshots{Keys: keys.NewSnapshots(), Move: keys.NewMove(), host: h, keeper: keeper}
	m.prompt = component.NewPrompt("name ", "of the new snapshot: a-z, 0-9, dot, dash", h.Styles)
	m.table = component.Table{Styles: h.Styles, Focused: true, Sorted: -1, Picked: -1, Columns: []component.Column{
		snapshotName:    {Title: "NAME", Min: 12, Max: 40, Weight: 1, Sort: -1},
		snapshotMade:    {Title: "AGE", Min: 6, Max: 7, Right: true, Sort: -1},
		snapshotBy:      {Title: "BY", Min: 6, Max: 20, Weight: 1, Sort: -1},
		snapshotWindow:  {Title: "WINDOW", Min: 19, Max: 30, Weight: 6, Sort: -1},
		snapshotNodes:   {Title: "NODES", Min: 5, Max: 9, Right: true, Sort: -1},
		snapshotPackets: {Title: "PACKETS", Min: 7, Max: 7, Right: true, Sort: -1},
		snapshotSize:    {Title: "SIZE", Min: 8, Max: 9, Right: true, Sort: -1},
		snapshotFilter:  {Title: "FILTER", Min: 6, Max: 80, Weight: 4, Sort: -1},
	}}
	return m
}

// Init implements Screen.
func (m *Snapshots) Init() tea.Cmd { return m.Load() }

// SetStyles implements Screen.
func (m *Snapshots) SetStyles() {}

// Back implements Screen.
func (m *Snapshots) Back() (tea.Cmd, bool) { return nil, false }

// Status implements Screen.
func (m *Snapshots) Status() (style.Text, bool) { return "", false }

// Losses implements Screen.
func (m *Snapshots) Losses() style.Text { return "" }

// SetSize implements Screen.
func (m *Snapshots) SetSize(w, h int) {
	m.width, m.height = w, h
	m.table.SetSize(w, max(2, h-1))
	m.table.To(m.table.Cursor, len(m.list))
}

// Typing implements Screen.
func (m *Snapshots) Typing() bool { return m.typing || m.sure }

// Load asks for the list.
func (m *Snapshots) Load() tea.Cmd {
	ctx, keeper := m.host.Context, m.keeper
	if keeper == nil {
		return nil
	}
	return func() (msg tea.Msg) {
		var out SnapshotsMsg
		func() {
			defer guard(&out.Err)
			out.List, out.Err = keeper.List(ctx)
		}()
		return out
	}
}

// New asks for the name of a new one, of what q asks for; about says that in words.
func (m *Snapshots) New(q Query, about string) tea.Cmd {
	switch {
	case m.keeper == nil:
		return refuse("there are no snapshots here")
	case m.making != "":
		return refuse("%s is still being made", m.making)
	}
	m.typing, m.query, m.about = true, q, about
	m.prompt.Open(m.host.Clock.Now().UTC().Format("20060102-150405"))
	return nil
}

// SetHost lets it live in another host, where something else is looked at.
func (m *Snapshots) SetHost(h *Host) { m.host = h }

// Kept says whether snapshots can be made here at all.
func (m *Snapshots) Kept() bool { return m.keeper != nil }

// Known are the snapshots as they were listed last.
func (m *Snapshots) Known() []Snapshot { return m.list }

// Make makes one under a name, of what q asks for.
func (m *Snapshots) Make(name string, q Query, about string) tea.Cmd {
	switch {
	case m.keeper == nil:
		return refuse("there are no snapshots here")
	case m.making != "":
		return refuse("%s is still being made", m.making)
	}
	m.query, m.about = q, about
	return m.make(name)
}

func (m *Snapshots) make(name string) tea.Cmd {
	keeper, q := m.keeper, m.query
	var ctx context.Context
	ctx, m.cancel = context.WithCancel(m.host.Context)
	m.making = name
	return do(ctx, true, func(ctx context.Context) (string, error) { return keeper.Create(ctx, name, q) })
}

// Close implements Screen: what is being made ends.
func (m *Snapshots) Close() {
	if m.cancel != nil {
		m.cancel()
	}
}

// Update implements Screen.
func (m *Snapshots) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case SnapshotsMsg:
		m.list, m.err, m.asked = msg.List, msg.Err, true
		m.table.To(m.table.Cursor, len(m.list))
	case SnapshotDoneMsg:
		if msg.made {
			m.cancel() // it has ended
			m.making, m.cancel = "", nil
		}
		return tea.Batch(m.Load(), done(msg))
	case tea.PasteMsg:
		if m.typing {
			m.prompt.Paste(msg.Content)
		}
	case tea.KeyPressMsg:
		return m.press(msg)
	case tea.MouseWheelMsg:
		switch msg.Button {
		case tea.MouseWheelUp:
			m.table.Scroll(-3, len(m.list))
		case tea.MouseWheelDown:
			m.table.Scroll(3, len(m.list))
		}
	case tea.MouseClickMsg:
		at := m.table.Offset + msg.Y - 1
		if msg.Button != tea.MouseLeft || msg.Y <= 0 || msg.Y > m.table.Height() || at >= len(m.list) {
			break
		}
		if at == m.table.Cursor {
			return m.open()
		}
		m.table.To(at, len(m.list))
	}
	return nil
}

func done(msg SnapshotDoneMsg) tea.Cmd {
	if msg.Err != nil {
		return refuse("%v", msg.Err)
	}
	return flash("%s", msg.Said)
}

func (m *Snapshots) press(k tea.KeyPressMsg) tea.Cmd {
	n := len(m.list)
	switch {
	case m.typing:
		return m.pressName(k)
	case m.sure:
		m.sure = false
		if k.String() != "y" || n == 0 {
			return flash("nothing is deleted")
		}
		name, keeper := m.list[m.table.Cursor].Name, m.keeper
		return do(m.host.Context, false, func(ctx context.Context) (string, error) { return name + " is deleted", keeper.Delete(ctx, name) })
	case key.Matches(k, m.Keys.Open):
		return m.open()
	case key.Matches(k, m.Keys.Delete):
		if n == 0 {
			return refuse("there is nothing to delete")
		}
		m.sure = true
	case key.Matches(k, m.Keys.Cancel):
		if m.making == "" {
			return refuse("nothing is being made")
		}
		m.cancel()
	default:
		m.table.Press(k, m.Move, n)
	}
	return nil
}

func (m *Snapshots) pressName(k tea.KeyPressMsg) tea.Cmd {
	switch m.prompt.Press(k) {
	case component.Cancelled:
		m.typing = false
	case component.Accepted:
		m.typing = false
		if name := m.prompt.Input.Value(); name != "" {
			return m.make(name)
		}
	}
	return nil
}

// do does something that takes time.
func do(ctx context.Context, made bool, what func(context.Context) (string, error)) tea.Cmd {
	return func() tea.Msg {
		out := SnapshotDoneMsg{made: made}
		func() {
			defer guard(&out.Err)
			out.Said, out.Err = what(ctx)
		}()
		return out
	}
}

// open makes the selected one what is looked at.
func (m *Snapshots) open() tea.Cmd {
	if len(m.list) == 0 {
		return refuse("there is nothing to open")
	}
	return m.Open(m.list[m.table.Cursor].Name)
}

// Open makes a snapshot what is looked at.
func (m *Snapshots) Open(name string) tea.Cmd {
	switch {
	case m.keeper == nil:
		return refuse("there are no snapshots here: a console keeps them")
	case name == "":
		return refuse("which? :snapshots lists them")
	}
	ctx, keeper := m.host.Context, m.keeper
	return func() tea.Msg {
		out := SnapshotOpenMsg{Name: name}
		func() {
			defer guard(&out.Err)
			out.Backend, out.Done, out.Err = keeper.Open(ctx, name)
		}()
		return out
	}
}

// Sections implements Screen.
func (m *Snapshots) Sections() []keys.Section {
	return []keys.Section{m.Keys.Section(), m.Move.Section()}
}

// Short implements Screen.
func (m *Snapshots) Short() []key.Binding {
	if m.typing {
		return m.prompt.Keys.Short()
	}
	return m.Keys.Short()
}

// View implements Screen.
func (m *Snapshots) View() ([]string, *Cursor) {
	var lines []string
	if len(m.list) == 0 {
		lines = m.empty()
	} else {
		lines = m.table.View(len(m.list), m.cell, func(i int) component.Cell {
			if i == m.table.Cursor {
				return component.Cell{Text: "▌", Style: m.host.Styles.Accent}
			}
			return component.Cell{}
		})
	}
	for len(lines) < m.height {
		lines = append(lines, style.Blank(m.width))
	}
	lines = lines[:m.height]
	last, cursor := m.bottom()
	if last != "" {
		lines[m.height-1] = last
	}
	return lines, cursor
}

// bottom is the line of what is typed, asked or made.
func (m *Snapshots) bottom() (string, *Cursor) {
	st := m.host.Styles
	switch {
	case m.typing:
		line, x := m.prompt.View(m.width)
		return line, &Cursor{X: min(x, m.width-1), Y: m.height - 1}
	case m.sure && len(m.list) > 0:
		return st.Warn.Render(style.Clean(" delete " + m.list[m.table.Cursor].Name + "? y deletes it, any other key keeps it").Fit(m.width)), nil
	case m.making != "":
		return st.Accent.Render(style.Clean(" making " + m.making + " of " + m.about + " … x cancels it").Fit(m.width)), nil
	}
	return "", nil
}

func (m *Snapshots) cell(i, col int) component.Cell {
	st, s := m.host.Styles, &m.list[i]
	c := component.Cell{Style: st.Text}
	known := func(t style.Text) style.Text {
		if s.Nodes == 0 {
			return "-"
		}
		return t
	}
	switch col {
	case snapshotName:
		c.Text = style.Clean(s.Name)
	case snapshotMade:
		c.Text = style.Text(component.Duration(max(0, m.host.Clock.Now().Sub(time.Unix(0, s.Made)))))
	case snapshotBy:
		c.Text, c.Style = style.Clean(s.By), st.Dim
	case snapshotWindow:
		layout := "2006-01-02 15:04:05"
		c.Text = style.Text(time.Unix(0, s.Since).In(m.host.Clock.Location).Format(layout) + " – " + time.Unix(0, s.Until).In(m.host.Clock.Location).Format("15:04:05"))
	case snapshotNodes:
		c.Text = known(style.Text(group(uint64(max(0, s.Nodes)))))
		if s.Missing > 0 {
			c.Text, c.Style = style.Text(fmt.Sprintf("%d/%d", s.Nodes-s.Missing, s.Nodes)), st.Warn
		}
	case snapshotPackets:
		c.Text = known(style.Text(component.Number(float64(s.Packets))))
	case snapshotSize:
		c.Text = known(style.Text(component.Bytes(s.Size)))
	case snapshotFilter:
		c.Text, c.Style = style.Clean(s.Filter), st.Dim
	}
	return c
}

func (m *Snapshots) empty() []string {
	st := m.host.Styles
	what, why := style.Text("Reading the snapshots …"), style.Text("")
	look := st.Dim
	switch {
	case m.keeper == nil:
		what, why = "There are no snapshots here.", "A console keeps them."
	case m.err != nil:
		what, why, look = "The snapshots cannot be read.", style.Clean(m.err.Error()), st.Error
	case m.asked:
		what, why = "There are no snapshots.", "n makes one of the window and the filter of the calls."
	}
	var out []string
	for range m.height / 2 {
		out = append(out, style.Blank(m.width))
	}
	for _, t := range []style.Text{what, why} {
		left := max(0, (m.width-t.Width())/2)
		text := t.Cut(m.width - left)
		out = append(out, style.Blank(left)+look.Render(text)+style.Blank(m.width-left-min(t.Width(), m.width-left)))
	}
	return out
}
