package view

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/pcap/tcp"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/keys"
	"github.com/sshark/sshark/tui/style"
)

// Packets is the list of the packets of a flow, or of the newest of a scope, with the layers and
// the bytes of the selected one. It is a picture of the time when it was read.
type Packets struct {
	Keys keys.Packets
	Move keys.Move
	host *Host
	bar  *bar
	of   Ref // the flow; no stream: the packets are those of the scope

	ctx     context.Context
	close   context.CancelFunc
	ask     *gatherer[*packetRow] // nil: nothing is being read
	answer  *answer
	seeking *seeking // nil: no flow is being sought
	begun   time.Time
	flow    flowMsg
	rows    []*packetRow
	names   map[netip.Addr]style.Text
	part    int
	jumped  bool

	table         component.Table
	tree          layerTree
	onTree        bool
	maximise      bool
	width, height int
}

// The columns of the list of packets.
const (
	packetTime = iota
	packetSource
	packetDestination
	packetProto
	packetLength
	packetInfo
)

// NewPackets makes the list of the packets of a flow, or of a scope where no flow is named;
// of.Time, if known, is where it begins to be looked at.
func NewPackets(h *Host, of Ref, from Scope) *Packets {
	m := &Packets{Keys: keys.NewPackets(), Move: keys.NewMove(), host: h, bar: newBar(h, from, "all packets"), of: of, jumped: of.Time == 0}
	m.ctx, m.close = context.WithCancel(h.Context)
	m.table = component.Table{Styles: h.Styles, Focused: true, Sorted: -1, Picked: -1, Columns: []component.Column{
		packetTime:        {Title: "TIME", Min: 12, Max: 15, Weight: 1, Sort: -1},
		packetSource:      {Title: "SOURCE", Min: 14, Max: 32, Weight: 3, Sort: -1},
		packetDestination: {Title: "DESTINATION", Min: 14, Max: 32, Weight: 3, Sort: -1},
		packetProto:       {Title: "PROTO", Min: 5, Max: 8, Weight: 1, Sort: -1},
		packetLength:      {Title: "LEN", Min: 6, Max: 7, Right: true, Sort: -1},
		packetInfo:        {Title: "INFO", Min: 12, Weight: 14, Sort: -1},
	}}
	m.tree = layerTree{styles: h.Styles, clock: h.Clock, open: map[string]bool{}}
	return m
}

// Init implements Screen.
func (m *Packets) Init() tea.Cmd {
	if m.of.Stream == "" {
		return m.read()
	}
	return tea.Batch(m.read(), askFlow(m.ctx, m.host.Backend, m.of.Stream, m))
}

// Scope implements Scoped: of the packets of a flow it is the one that one came from.
func (m *Packets) Scope() Scope { return Scope{Window: m.bar.scope.Window, Filter: m.bar.query()} }

// SetScope implements Scoped: it leaves the flow.
func (m *Packets) SetScope(s Scope) tea.Cmd {
	left := m.of.Stream != ""
	m.of, m.flow, m.part, m.jumped = Ref{}, flowMsg{}, 0, true
	return m.renew(nil, m.bar.setScope(s) || left)
}

// renew asks anew if what is asked for has changed; cmd is to be done in any case.
func (m *Packets) renew(cmd tea.Cmd, changed bool) tea.Cmd {
	if !changed {
		return cmd
	}
	return tea.Batch(cmd, m.read())
}

// read asks for packets.
func (m *Packets) read() tea.Cmd {
	m.unseek()
	if m.ask != nil {
		m.ask.cancel()
	}
	q := Query{Stream: m.of.Stream}
	if m.of.Stream == "" {
		q = Query{Filter: m.bar.query(), Last: maxPackets}
		q.Since, q.Until = m.bar.bounds()
	}
	at := int64(0)
	if !m.jumped {
		at = m.of.Time
	}
	m.rows, m.answer, m.begun = nil, nil, m.host.Clock.Now()
	m.names = map[netip.Addr]style.Text{}
	m.table.To(0, 0)
	m.tree.show(nil)
	m.ask = newGatherer(m.ctx, readPackets(m.host.Backend, q, m.part, at))
	return m.ask.start
}

// Update implements Screen.
func (m *Packets) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case gathered[*packetRow]:
		return m.take(msg)
	case soughtMsg:
		return m.sought(msg)
	case flowMsg:
		if msg.by == any(m) {
			m.flow = msg
		}
	case checkMsg:
		m.bar.judge(msg)
	case tea.PasteMsg:
		return m.renew(m.bar.paste(msg.Content))
	case tea.KeyPressMsg:
		return m.press(msg)
	case tea.MouseMsg:
		m.mouse(msg)
	}
	return nil
}

func (m *Packets) take(b gathered[*packetRow]) tea.Cmd {
	if b.by != m.ask {
		return nil // of a question that is not asked any more
	}
	for _, r := range b.items {
		if r.name == nil {
			m.rows = append(m.rows, r)
		} else if len(r.name.Names) > 0 && len(m.names) < maxNames {
			m.names[r.name.Addr.Unmap()] = style.Clean(r.name.Names[0])
		}
	}
	var cmd tea.Cmd
	if b.end == nil {
		cmd = m.ask.wait
	} else {
		m.answer, m.ask = b.end, nil
	}
	if len(m.rows) == 0 {
		return cmd
	}
	m.part = (m.rows[0].number - 1) / maxPackets
	if !m.jumped {
		m.jump()
	}
	m.table.To(m.table.Cursor, len(m.rows))
	m.tree.show(m.rows[m.table.Cursor])
	return cmd
}

// jump selects the packet of the time that was asked for: that with bytes, if several are.
func (m *Packets) jump() {
	i := slices.IndexFunc(m.rows, func(r *packetRow) bool { return r.packet.Time >= m.of.Time })
	if i < 0 {
		if m.answer == nil {
			return
		}
		i = len(m.rows) - 1
	}
	m.jumped = true
	for k := i; k < len(m.rows) && m.rows[k].packet.Time == m.rows[i].packet.Time; k++ {
		if m.rows[k].payload > 0 {
			i = k
			break
		}
	}
	m.table.To(i, len(m.rows))
	m.table.Offset = max(0, min(i-m.table.Height()/2, len(m.rows)-m.table.Height()))
}

// maxNames bounds the names that are held.
const maxNames = 4096

// name is who an end of a packet is, as far as the flow or the answer tells.
func (m *Packets) name(a netip.AddrPort, w int) style.Text {
	if m.flow.flow != nil {
		for _, p := range []*peer{&m.flow.client, &m.flow.server} {
			if p.addr == a && p.id != nil {
				return p.text(w)
			}
		}
	}
	if !a.IsValid() {
		return ""
	}
	name := m.names[a.Addr()]
	switch port := style.Text(fmt.Sprintf(":%d", a.Port())); {
	case name != "" && a.Port() != 0 && name.Width()+port.Width() <= w:
		return name + port
	case name != "":
		return name
	case a.Port() == 0:
		return style.Text(a.Addr().String())
	}
	return style.Text(a.String())
}

// SetSize implements Screen.
func (m *Packets) SetSize(w, h int) {
	m.width, m.height = w, h
	m.arrange()
}

// SetStyles implements Screen.
func (m *Packets) SetStyles() {}

// Typing implements Screen.
func (m *Packets) Typing() bool { return m.bar.typing != notTyping }

// Close implements Screen.
func (m *Packets) Close() { m.close() }

// Back implements Screen: it stops the reading, then leaves a maximised pane and the layers, then
// the filter.
func (m *Packets) Back() (tea.Cmd, bool) {
	switch {
	case m.unseek():
		return flash("its flow is not sought any more"), true
	case m.ask != nil:
		m.ask.cancel()
		m.ask, m.answer = nil, stopped()
		return flash("stopped: what was read is shown; R reads again"), true
	case m.maximise:
		m.maximise = false
		m.arrange()
		return nil, true
	case m.onTree:
		m.focus(false)
		return nil, true
	case m.of.Stream == "" && m.bar.back():
		return m.read(), true
	}
	return nil, false
}

// Losses implements Screen.
func (m *Packets) Losses() style.Text {
	lost := losses(m.host, m.answer, nil)
	if m.of.Stream == "" && m.answer != nil {
		lost = join(lost, style.Clean(m.bar.lacks(&m.answer.report)))
	}
	return lost
}

// Status implements Screen.
func (m *Packets) Status() (text style.Text, warn bool) {
	switch {
	case m.seeking != nil:
		return "looking for its flow …", true
	case m.ask != nil:
		return "reading …", true
	case m.answer == nil:
		return "", false
	}
	text = style.Text("as of " + m.begun.In(m.host.Clock.Location).Format("15:04:05"))
	if m.of.Stream == "" {
		text += " · " + style.Text(m.bar.scope.Window.Text(m.host.Clock))
	}
	return text, false
}

// Short implements Screen.
func (m *Packets) Short() []key.Binding {
	if m.Typing() {
		return m.bar.prompt.Keys.Short()
	}
	return m.Keys.Short()
}

// Sections implements Screen.
func (m *Packets) Sections() []keys.Section {
	out := []keys.Section{m.Keys.Section(), m.Move.Section()}
	if m.of.Stream == "" {
		out = append(out, m.bar.keys.Section(), m.bar.prompt.Keys.Section())
	}
	return out
}

// selected is the packet under the cursor, nil if there is none.
func (m *Packets) selected() *packetRow {
	if m.table.Cursor >= len(m.rows) {
		return nil
	}
	return m.rows[m.table.Cursor]
}

// toMark goes to the next packet, in a direction, that something is to be said of.
func (m *Packets) toMark(d int) tea.Cmd {
	for i := m.table.Cursor + d; i >= 0 && i < len(m.rows); i += d {
		if m.rows[i].marks&tcp.Trouble != 0 {
			m.table.To(i, len(m.rows))
			m.tree.show(m.rows[i])
			return nil
		}
	}
	return refuse("no packet %s this one has a mark", map[int]string{1: "behind", -1: "before"}[d])
}

// clockText is a time with its nanoseconds.
func clockText(c Clock, ns int64) string {
	return time.Unix(0, ns).In(c.Location).Format("2006-01-02 15:04:05.000000000")
}
