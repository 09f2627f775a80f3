package view

import (
	"context"
	"strings"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/keys"
	"github.com/sshark/sshark/tui/style"
)

// Examiner says why there is no traffic. It is safe for concurrent use; a call ends soon after
// its context.
type Examiner interface {
	// Examine hands out what was found in the order to be shown: the cluster's, then node by
	// node. What was found may come with an error: of nodes that did not answer.
	Examine(ctx context.Context) ([]Finding, error)
}

// Finding is one thing that was found.
type Finding struct {
	Severity Severity
	Node     string // "": the cluster's
	Pod      string // NAMESPACE/NAME, "": the node's
	What, Do string // sentences without a full stop; Do may be ""
	Detail   bool   // nothing is wrong with this one
}

// Severity is how bad a finding is.
type Severity uint8

// From the mildest on.
const (
	Well Severity = iota
	Warning
	Bad
)

// Doctor shows what an Examiner found, and looks again every now and then.
type Doctor struct {
	Keys     keys.Doctor
	Move     keys.Move
	host     *Host
	examiner Examiner

	ctx           context.Context
	cancel        context.CancelFunc
	found         []Finding
	err           error
	at            time.Time // of the answer, zero: there was none
	asking        bool
	all           bool
	lines         []component.Line
	offset        int
	mover         component.Mover
	width, height int
}

// examinedMsg is what an Examiner said, nil and no error: it is time to ask it.
type examinedMsg struct {
	doctor *Doctor
	found  []Finding
	err    error
	due    bool
}

// examineEvery is how often the doctor looks again.
const examineEvery = 5 * time.Second

// NewDoctor makes the view; examiner may be nil where there is nobody to examine.
func NewDoctor(h *Host, examiner Examiner) *Doctor {
	m := &Doctor{Keys: keys.NewDoctor(), Move: keys.NewMove(), host: h, examiner: examiner}
	m.ctx, m.cancel = context.WithCancel(h.Context)
	return m
}

// Init implements Screen.
func (m *Doctor) Init() tea.Cmd { return m.ask() }

func (m *Doctor) ask() tea.Cmd {
	if m.examiner == nil || m.asking {
		return nil
	}
	m.asking = true
	return func() tea.Msg {
		msg := examinedMsg{doctor: m}
		func() {
			defer guard(&msg.err)
			msg.found, msg.err = m.examiner.Examine(m.ctx)
		}()
		return msg
	}
}

// later asks again after a while.
func (m *Doctor) later() tea.Cmd {
	return func() tea.Msg {
		t := time.NewTimer(examineEvery)
		defer t.Stop()
		select {
		case <-t.C:
			return examinedMsg{doctor: m, due: true}
		case <-m.ctx.Done():
			return nil
		}
	}
}

// Update implements Screen.
func (m *Doctor) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case examinedMsg:
		switch {
		case msg.doctor != m:
		case msg.due:
			return m.ask()
		default:
			m.asking, m.found, m.err, m.at = false, msg.found, msg.err, m.host.Clock.Now()
			m.lay()
			return m.later()
		}
	case tea.KeyPressMsg:
		return m.press(msg)
	case tea.MouseWheelMsg:
		switch msg.Button {
		case tea.MouseWheelUp:
			m.to(m.offset - 3)
		case tea.MouseWheelDown:
			m.to(m.offset + 3)
		}
	}
	return nil
}

func (m *Doctor) press(k tea.KeyPressMsg) tea.Cmd {
	to, mine := m.mover.Press(k, m.Move, m.offset, max(0, len(m.lines)-m.height)+1, m.height-1)
	switch {
	case mine:
		m.to(to)
	case key.Matches(k, m.Keys.All):
		if m.examiner == nil {
			return refuse("nothing is examined here: there is no more to show")
		}
		m.all = !m.all
		m.lay()
	case key.Matches(k, m.Keys.Again):
		if m.examiner == nil {
			return refuse("there is nothing to examine: a console is asked how its nodes are")
		}
		if m.asking {
			return refuse("the nodes are being asked already")
		}
		return tea.Batch(m.ask(), flash("asking the nodes"))
	}
	return nil
}

func (m *Doctor) to(at int) { m.offset = max(0, min(at, len(m.lines)-m.height)) }

// lay lays out what was found, with a heading for each node.
func (m *Doctor) lay() {
	st := m.host.Styles
	m.lines = m.lines[:0]
	if m.host.Home.All() && len(m.found) > 0 { // a snapshot is looked at
		m.put("· ", st.Dim, "This is what is captured now, not the snapshot that is looked at.", st.Dim)
	}
	last := "\x00" // no node
	for i := range m.found {
		f := &m.found[i]
		if f.Detail && !m.all {
			continue
		}
		if f.Node != last {
			if last = f.Node; len(m.lines) > 0 {
				m.lines = append(m.lines, component.Line{})
			}
			name := style.Text("cluster")
			if f.Node != "" {
				name = style.Clean(f.Node)
			}
			name = style.Text(name.Cut(max(1, m.width-4)))
			m.lines = append(m.lines, component.Line{Spans: []component.Span{{Text: " ", Style: st.Text}, {Text: name, Style: st.Accent},
				{Text: " " + style.Text(line(max(0, m.width-3-name.Width()))), Style: st.Faint}}})
		}
		what := f.What
		if f.Pod != "" {
			what = f.Pod + ": " + what
		}
		mark, look := style.Text("✓ "), st.Good
		switch f.Severity {
		case Warning:
			mark, look = "! ", st.Warn
		case Bad:
			mark, look = "✗ ", st.Error
		}
		m.put(mark, look, what, st.Text)
		if f.Do != "" {
			m.put("→ ", st.Accent, f.Do, st.Dim)
		}
	}
	m.to(m.offset)
}

// put adds a text, wrapped, behind a mark.
func (m *Doctor) put(mark style.Text, of lipgloss.Style, text string, look lipgloss.Style) {
	const indent = 2
	for i, part := range component.Wrap(style.Clean(text), max(10, m.width-indent-mark.Width()-1)) {
		if i > 0 {
			mark = "  "
		}
		m.lines = append(m.lines, component.Line{Spans: []component.Span{{Text: style.Text(strings.Repeat(" ", indent)), Style: look}, {Text: mark, Style: of}, {Text: part, Style: look}}})
	}
}

// View implements Screen.
func (m *Doctor) View() ([]string, *Cursor) {
	out := make([]string, 0, m.height)
	if len(m.lines) == 0 {
		why := m.why()
		return why.view(m.host.Styles, m.width, m.height), nil
	}
	for i := m.offset; i < len(m.lines) && len(out) < m.height; i++ {
		out = append(out, m.lines[i].Render(m.host.Styles, m.width, style.Plain))
	}
	for len(out) < m.height {
		out = append(out, style.Blank(m.width))
	}
	return out, nil
}

// why says why nothing is shown.
func (m *Doctor) why() reason {
	switch {
	case m.examiner == nil:
		return reason{what: "There is nothing to examine here.", why: []string{"A console is asked how its nodes are; this is a file."}}
	case m.err != nil:
		return reason{what: "The nodes cannot be asked.", why: strings.Split(m.err.Error(), "\n"), do: []string{"x  to ask again"}, error: true}
	case m.at.IsZero():
		return reason{what: "Asking the nodes …"}
	case len(m.found) > 0:
		return reason{what: "Nothing wrong was found.", do: []string{"a  to see what is well"}}
	}
	return reason{what: "There is no node.", why: []string{"No worker has reported to this console."}, do: []string{"Look whether a worker runs on each node."}, error: true}
}

// Status implements Screen: what was found, and when.
func (m *Doctor) Status() (style.Text, bool) {
	if m.at.IsZero() {
		return "", false
	}
	n := [Bad + 1]int{}
	for i := range m.found {
		n[min(m.found[i].Severity, Bad)]++
	}
	at := m.at.In(m.host.Clock.Location).Format("15:04:05")
	if n[Bad]+n[Warning] == 0 {
		return style.Text("nothing wrong · " + at), false
	}
	return style.Text(count(n[Bad], "error") + ", " + count(n[Warning], "warning") + " · " + at), true
}

// Losses implements Screen: the nodes that did not answer.
func (m *Doctor) Losses() style.Text {
	if m.err == nil || len(m.found) == 0 {
		return ""
	}
	said, _, _ := strings.Cut(m.err.Error(), "\n")
	return style.Clean(said)
}

// SetSize implements Screen.
func (m *Doctor) SetSize(w, h int) {
	m.width, m.height = w, h
	m.lay()
}

// SetStyles implements Screen.
func (m *Doctor) SetStyles() { m.lay() }

// Typing implements Screen.
func (m *Doctor) Typing() bool { return false }

// Back implements Screen.
func (m *Doctor) Back() (tea.Cmd, bool) { return nil, false }

// Short implements Screen.
func (m *Doctor) Short() []key.Binding {
	return append(m.Keys.Short(), m.Move.Up, m.Move.Down)
}

// Sections implements Screen.
func (m *Doctor) Sections() []keys.Section {
	return []keys.Section{m.Keys.Section(), m.Move.Section()}
}

// Close implements Screen.
func (m *Doctor) Close() { m.cancel() }
