package view

import (
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/keys"
	"github.com/sshark/sshark/tui/style"
)

// Nodes is the list of nodes, with what is wrong with the selected one below.
type Nodes struct {
	Keys keys.Nodes
	Move keys.Move
	host *Host

	table         component.Table
	msg           NodesMsg
	width, height int
}

// The columns of the list of nodes.
const (
	nodeName = iota
	nodeState
	nodePackets
	nodeBytes
	nodeDrops
	nodeDropped
	nodeOldest
	nodeStore
	nodePods
)

// NewNodes makes the list of what is known of the nodes by now.
func NewNodes(h *Host, known NodesMsg) *Nodes {
	m := &Nodes{Keys: keys.NewNodes(), Move: keys.NewMove(), host: h, msg: known}
	m.table = component.Table{Styles: h.Styles, Focused: true, Sorted: -1, Picked: -1, Columns: []component.Column{
		nodeName:    {Title: "NODE", Min: 10, Max: 40, Weight: 3, Sort: -1},
		nodeState:   {Title: "STATE", Min: 9, Max: 12, Weight: 1, Sort: -1},
		nodePackets: {Title: "PKT/S", Min: 6, Max: 8, Weight: 1, Right: true, Sort: -1},
		nodeBytes:   {Title: "BYTES/S", Min: 8, Max: 10, Weight: 1, Right: true, Sort: -1},
		nodeDrops:   {Title: "DROP/S", Min: 6, Max: 8, Weight: 1, Right: true, Sort: -1},
		nodeDropped: {Title: "DROPPED", Min: 7, Max: 12, Weight: 1, Right: true, Sort: -1},
		nodeOldest:  {Title: "OLDEST", Min: 7, Max: 7, Right: true, Sort: -1},
		nodeStore:   {Title: "STORE", Min: 9, Max: 22, Weight: 4, Right: true, Sort: -1},
		nodePods:    {Title: "PODS", Min: 5, Max: 7, Right: true, Sort: -1},
	}}
	return m
}

// Init implements Screen: the root asks the nodes.
func (m *Nodes) Init() tea.Cmd { return nil }

// SetStyles implements Screen.
func (m *Nodes) SetStyles() {}

// Typing implements Screen.
func (m *Nodes) Typing() bool { return false }

// Back implements Screen.
func (m *Nodes) Back() (tea.Cmd, bool) { return nil, false }

// Status implements Screen.
func (m *Nodes) Status() (style.Text, bool) { return "", false }

// Losses implements Screen: they are what it shows.
func (m *Nodes) Losses() style.Text { return "" }

// Close implements Screen.
func (m *Nodes) Close() {}

// SetSize implements Screen.
func (m *Nodes) SetSize(w, h int) {
	m.width, m.height = w, h
	m.table.SetSize(w, max(2, h-m.below()))
	m.table.To(m.table.Cursor, len(m.msg.Nodes))
}

// below is the room for what is wrong.
func (m *Nodes) below() int { return max(3, m.height/3) }

// Update implements Screen.
func (m *Nodes) Update(msg tea.Msg) tea.Cmd {
	n := len(m.msg.Nodes)
	switch msg := msg.(type) {
	case NodesMsg:
		m.msg = msg
		m.table.To(m.table.Cursor, len(msg.Nodes))
	case tea.KeyPressMsg:
		if _, mine := m.table.Press(msg, m.Move, n); mine {
			break
		}
		switch {
		case key.Matches(msg, m.Keys.Calls):
			return m.calls(false)
		case key.Matches(msg, m.Keys.Exclude):
			return m.calls(true)
		}
	case tea.MouseWheelMsg:
		switch msg.Button {
		case tea.MouseWheelUp:
			m.table.Scroll(-3, n)
		case tea.MouseWheelDown:
			m.table.Scroll(3, n)
		}
	case tea.MouseClickMsg:
		if at := m.table.Offset + msg.Y - 1; msg.Button == tea.MouseLeft && msg.Y > 0 && msg.Y <= m.table.Height() && at < n {
			if at == m.table.Cursor {
				return m.calls(false)
			}
			m.table.To(at, n)
		}
	}
	return nil
}

// calls goes to the calls that the selected node captured, or that others did.
func (m *Nodes) calls(not bool) tea.Cmd {
	if len(m.msg.Nodes) == 0 {
		return refuse("there is no node whose calls could be shown")
	}
	f := "node_name == " + dissect.Quote(m.msg.Nodes[m.table.Cursor].Name)
	if not {
		f = negated(f)
	}
	if err := m.host.Check(f); err != nil {
		return refuse("%s", firstLine(err.Error()))
	}
	return Go(GoMsg{View: "calls", Scope: Scope{Window: m.host.Home, Filter: f}})
}

// Short implements Screen.
func (m *Nodes) Short() []key.Binding { return m.Keys.Short() }

// Sections implements Screen.
func (m *Nodes) Sections() []keys.Section { return []keys.Section{m.Keys.Section(), m.Move.Section()} }

// View implements Screen.
func (m *Nodes) View() ([]string, *Cursor) {
	st := m.host.Styles
	if len(m.msg.Nodes) == 0 {
		return m.empty(), nil
	}
	now := m.host.Clock.Now()
	cell := func(i, col int) component.Cell {
		n := &m.msg.Nodes[i]
		c := component.Cell{Style: st.Text}
		switch col {
		case nodeName:
			c.Text = style.Clean(n.Name)
		case nodeState:
			c.Text = style.Clean(n.State)
			switch n.State {
			case "capturing", "reading":
				c.Style = st.Good
			case "degraded":
				c.Style = st.Warn
			default:
				c.Style = st.Error
			}
		case nodePackets:
			c.Text = style.Text(component.Number(n.PacketRate))
		case nodeBytes:
			c.Text = style.Text(component.Bytes(uint64(max(0, n.ByteRate))))
		case nodeDrops:
			c.Text = style.Text(component.Number(n.DropRate))
			if n.DropRate > 0 {
				c.Style = st.Error
			}
		case nodeDropped:
			c.Text = style.Text(group(n.Dropped))
			if n.Dropped > 0 {
				c.Style = st.Error
			}
		case nodeOldest:
			c.Text = "nothing"
			if n.Oldest > 0 {
				c.Text = style.Text(component.Duration(max(0, now.Sub(time.Unix(0, n.Oldest)))))
			}
		case nodeStore:
			c.Text = style.Text(component.Bytes(n.StoreUsed))
			switch wide := m.table.Shown(nodeStore) >= 15; {
			case n.StoreLimit > 0 && wide:
				c.Text += " of " + style.Text(component.Bytes(n.StoreLimit))
			case n.StoreLimit > 0: // the part that is used says more than the bytes
				c.Text = style.Text(group(n.StoreUsed*100/n.StoreLimit)) + "% full"
			}
		case nodePods:
			c.Text = style.Text(group(uint64(max(0, n.Pods-len(n.Problems)))))
			if len(n.Problems) > 0 {
				c.Text += "/" + style.Text(group(uint64(n.Pods)))
				c.Style = st.Warn
			}
		}
		return c
	}
	mark := func(i int) component.Cell {
		switch n := &m.msg.Nodes[i]; {
		case i == m.table.Cursor:
			return component.Cell{Text: "▌", Style: st.Accent}
		case n.Problem != "":
			return component.Cell{Text: "!", Style: st.Error}
		}
		return component.Cell{}
	}
	lines := m.table.View(len(m.msg.Nodes), cell, mark)
	lines = append(lines, m.problems(&m.msg.Nodes[m.table.Cursor])...)
	for len(lines) < m.height {
		lines = append(lines, style.Blank(m.width))
	}
	return lines[:m.height], nil
}

// problems says what is wrong with a node.
func (m *Nodes) problems(n *Node) []string {
	st := m.host.Styles
	name := style.Clean(n.Name)
	out := []string{st.Faint.Render("── ") + st.Accent.Render(name.Cut(m.width-8)) + st.Faint.Render(" "+line(m.width-4-min(name.Width(), m.width-8)))}
	put := func(s string, look func(...string) string) {
		for _, part := range component.Wrap(style.Clean(s), m.width-2) {
			out = append(out, " "+look(part.Fit(m.width-1)))
		}
	}
	if n.Problem != "" {
		put(n.Problem, st.Error.Render)
	}
	for _, p := range n.Problems {
		put(p.Pod+" is not captured: "+p.Problem, st.Warn.Render)
	}
	if n.Problem == "" && len(n.Problems) == 0 {
		put("Nothing is wrong here.", st.Dim.Render)
	}
	put(group(n.Seen)+" packets seen, "+group(n.Dropped)+" lost.", st.Dim.Render)
	return out
}

func (m *Nodes) empty() []string {
	st := m.host.Styles
	what, why := style.Text("Asking the nodes …"), style.Text("")
	look := st.Dim
	switch {
	case m.msg.Err != nil:
		what, why, look = "The nodes cannot be asked.", style.Clean(m.msg.Err.Error()), st.Error
	case m.msg.Asked:
		what, why, look = "There is no node.", "No worker has reported: look whether a worker runs on each node.", st.Error
	}
	var out []string
	for range m.height / 2 {
		out = append(out, style.Blank(m.width))
	}
	center := func(t style.Text) string {
		left := max(0, (m.width-t.Width())/2)
		return style.Blank(left) + look.Render(t.Fit(m.width-left))
	}
	out = append(out, center(what), center(why))
	for len(out) < m.height {
		out = append(out, style.Blank(m.width))
	}
	return out[:m.height]
}
