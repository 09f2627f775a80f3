package tui

import (
	"slices"
	"strconv"
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/style"
	"github.com/sshark/sshark/tui/view"
)

// The smallest screen that is drawn. 80x24 has room for all; below, the views do with less.
const (
	minWidth  = 40
	minHeight = 10
)

func (m *Model) small() bool { return m.width < minWidth || m.height < minHeight }

// View draws the screen.
func (m Model) View() tea.View {
	lines, cursor := m.lines()
	v := tea.NewView(strings.Join(lines, "\n"))
	v.AltScreen = true
	v.WindowTitle = "sshark " + m.name()
	if m.o.Host != "" {
		v.WindowTitle += " – " + string(style.Clean(m.o.Host))
	}
	if m.mouse {
		v.MouseMode = tea.MouseModeCellMotion
	}
	if cursor != nil {
		v.Cursor = tea.NewCursor(cursor.X, cursor.Y)
		v.Cursor.Shape = tea.CursorBar
	}
	return v
}

func (m *Model) lines() ([]string, *view.Cursor) {
	if m.small() {
		return []string{style.Text("sshark needs 80x24 cells").Cut(m.width),
			style.Text("there are " + strconv.Itoa(m.width) + "x" + strconv.Itoa(m.height)).Cut(m.width)}, nil
	}
	lines := make([]string, 0, m.height)
	lines = append(lines, m.header())
	body, cursor := m.top().View()
	lines = append(lines, body...)
	if cursor != nil {
		cursor.Y++
	}
	if m.typing {
		line, x := m.command.View(m.width)
		lines = append(lines, line)
		cursor = &view.Cursor{X: min(x, m.width-1), Y: m.height - 1}
		pop := m.command.Popup(min(m.width-2, 80), m.height-4)
		component.Over(lines, pop, 2, m.height-1-len(pop))
	} else {
		lines = append(lines, m.footer())
	}
	if m.help {
		cursor = nil
		m.overHelp(lines)
	}
	return lines, cursor
}

// header is the line of state: where one is, what it is doing, and at the right what must
// always be seen: packets, drops and nodes.
func (m *Model) header() string {
	st := m.host.Styles
	right, rightWidth := m.vitals()
	type piece struct {
		text style.Text
		look func(...string) string
	}
	text, warn := m.top().Status()
	crumbs := m.crumbs(min(m.width/3, m.width-rightWidth-11-text.Width())) // what is going on matters more than how one came here
	left := []piece{{" sshark ", st.Brand.Render}, {crumbs + "  ", st.Text.Render}}
	if text != "" {
		look := st.Accent.Render
		if warn {
			look = st.Warn.Render
		}
		left = append(left, piece{text, look})
	}
	if m.snapshot != "" {
		left = append(left, piece{"  snapshot " + style.Clean(m.snapshot), st.Warn.Render})
	}
	if host := style.Clean(m.o.Host); host != "" {
		who := host
		if m.o.User != "" {
			who = style.Clean(m.o.User) + "@" + host
		}
		left = append(left, piece{"  " + who, st.Faint.Render})
	}
	room := m.width - rightWidth - 1
	var b strings.Builder
	for _, p := range left {
		t := p.text
		if room < 6 && t.Width() > room { // too little to say anything
			break
		}
		if t.Width() > room {
			t = style.Text(t.Cut(room))
		}
		room -= t.Width()
		if t != "" {
			b.WriteString(p.look(string(t)))
		}
	}
	return b.String() + style.Blank(room+1) + right
}

// crumbs is where one is, and how one came there: the last views of the trail, in at most w
// cells unless the name of the last needs more.
func (m *Model) crumbs(w int) style.Text {
	from := max(0, len(m.trail)-maxCrumbs)
	out := style.Text("")
	if from > 0 {
		out = "… › "
	}
	for i, p := range m.trail[from:] {
		if i > 0 {
			out += " › "
		}
		out += style.Text(p.name)
	}
	if out.Width() <= w {
		return out
	}
	if out = "… › " + style.Text(m.name()); out.Width() <= w {
		return out
	}
	return style.Text(m.name())
}

// maxCrumbs is how many views of the trail are shown.
const maxCrumbs = 4

// vitals are the packets and drops per second and the nodes.
func (m *Model) vitals() (string, int) {
	st := m.host.Styles
	h := &m.health
	switch {
	case !h.Asked:
		return st.Dim.Render("asking the nodes "), 17
	case h.Err != nil:
		return st.Error.Render("nodes do not answer "), 20
	case len(h.Nodes) == 0:
		return st.Error.Render("no node "), 8
	}
	var packets, drops float64
	var seen, dropped uint64
	gone, ill, reading := 0, 0, 0
	for i := range h.Nodes {
		n := &h.Nodes[i]
		packets += n.PacketRate
		drops += n.DropRate
		seen += n.Seen
		dropped += n.Dropped
		switch {
		case n.State == "gone":
			gone++
		case n.State == "reading":
			reading++
		case n.Problem != "" || n.State == "degraded":
			ill++
		}
	}
	var b strings.Builder
	width := 0
	put := func(s string, look func(...string) string) {
		if width > 0 {
			b.WriteString(st.Faint.Render(" · "))
			width += 3
		}
		b.WriteString(look(s))
		width += style.Text(s).Width()
	}
	if reading == len(h.Nodes) {
		put(component.Number(float64(seen))+" packets", st.Text.Render)
	} else {
		put(component.Number(packets)+" pkt/s", st.Text.Render)
	}
	switch {
	case drops > 0:
		put(component.Number(drops)+" drops/s", st.Error.Render)
		put(component.Number(float64(dropped))+" lost", st.Error.Render)
	case dropped > 0:
		put(component.Number(float64(dropped))+" lost", st.Error.Render)
	case reading == len(h.Nodes):
		put("0 lost", st.Dim.Render)
	default:
		put("0 drops/s", st.Dim.Render)
	}
	total := strconv.Itoa(len(h.Nodes))
	switch {
	case gone > 0:
		put(strconv.Itoa(gone)+" of "+total+" nodes gone", st.Error.Render)
	case ill > 0:
		put(strconv.Itoa(ill)+" of "+total+" nodes degraded", st.Warn.Render)
	case reading == len(h.Nodes) && reading == 1:
	case len(h.Nodes) == 1:
		put("1 node", st.Dim.Render)
	default:
		put(total+" nodes", st.Dim.Render)
	}
	return b.String() + " ", width + 1
}

// footer is the line of what was just said, of what is missing, or of the keys.
func (m *Model) footer() string {
	st := m.host.Styles
	w := m.width - 2
	if m.flash.Text != "" {
		look := st.Accent
		if m.flash.Bad {
			look = st.Warn
		}
		return " " + look.Render(style.Clean(m.flash.Text).Fit(w)) + " "
	}
	top := m.top()
	typing := top.Typing()
	if lost := top.Losses(); lost != "" && !typing {
		return " " + st.Error.Render(("! " + lost).Fit(w)) + " "
	}
	bindings := top.Short()
	if !typing {
		bindings = slices.Concat([]key.Binding{m.keys.Help}, bindings, []key.Binding{m.keys.Command, m.keys.Back, m.keys.Quit})
	}
	line := component.Hints(st, w, bindings...)
	return " " + line + style.Blank(m.width-1-ansi.StringWidth(line))
}

func (m *Model) helpHeight() int { return max(1, m.height-4) }

func (m *Model) helpWidth() int { return min(m.width-4, 130) }

func (m *Model) helpLines() []string {
	return component.Help(m.host.Styles, m.helpWidth(), m.sections())
}

// overHelp lays the help over the screen.
func (m *Model) overHelp(lines []string) {
	help := m.helpLines()
	w := 0
	for _, l := range help {
		w = max(w, ansi.StringWidth(l))
	}
	title := style.Text("help, ? or esc closes it")
	if n := m.helpHeight(); len(help) > n {
		title = "help, j and k scroll, ? or esc closes it"
		m.scroll = max(0, min(m.scroll, len(help)-n))
		help = help[m.scroll : m.scroll+n]
	}
	box := component.Box(m.host.Styles, title, w, help)
	component.Over(lines, box, max(0, (m.width-w-4)/2), max(0, (m.height-len(box))/2))
}
