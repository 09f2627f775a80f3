package view

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/style"
)

func (m *Replay) press(k tea.KeyPressMsg) tea.Cmd {
	if was := m.modal; was != nil {
		cmd, done := was.press(k)
		if done && m.modal == was {
			m.modal = nil
		}
		return cmd
	}
	to, mine := m.mover.Press(k, m.Move, m.cursor, len(m.rows), m.room())
	switch {
	case mine:
		m.to(to)
	case !key.Matches(k, m.Keys.Section().Bindings...):
	case m.player == nil:
		return refuse("replay is turned off here")
	case m.of.Stream == "":
		return refuse("there is no flow to send: r on a call or a flow chooses one")
	case key.Matches(k, m.Keys.Open) && m.sent != nil && !m.onPlan:
		return m.openCall()
	case key.Matches(k, m.Keys.Send, m.Keys.Open):
		return m.confirm()
	case key.Matches(k, m.Keys.Again):
		if m.sent == nil && m.playing == nil {
			return refuse("it was not sent yet: enter sends it")
		}
		if why := m.hindrance(); why != "" {
			return refuse("%s", why)
		}
		return m.send()
	case key.Matches(k, m.Keys.Result):
		if m.sent == nil {
			return refuse("nothing was sent yet: there is only the plan")
		}
		m.onPlan = !m.onPlan
		m.cursor, m.offset = 0, 0
		m.lay()
	case key.Matches(k, m.Keys.Brief):
		m.brief = !m.brief
		m.cursor, m.offset = 0, 0
		m.lay()
		if m.brief {
			return flash("of what came back only what differs is shown")
		}
		return flash("all that came back is shown")
	case key.Matches(k, m.Keys.Plan):
		return tea.Batch(m.change(func(*ReplayOrder) {}), flash("planned anew"))
	case key.Matches(k, m.Keys.Force):
		cmd := m.change(func(o *ReplayOrder) { o.Force = !o.Force })
		if m.playing == nil && m.order.Force {
			return tea.Batch(cmd, flash("forced: what is missing of it does not keep it from being sent"))
		}
		return cmd
	case key.Matches(k, m.Keys.Target):
		return m.prompt("target", "HOST:PORT; nothing: where the flow's server was", m.order.To, func(o *ReplayOrder, v string) error {
			o.To = v
			return nil
		})
	case key.Matches(k, m.Keys.Node):
		cmd := m.prompt("node", "a node's name; nothing: the client's, or the one that saw it", m.order.Node, func(o *ReplayOrder, v string) error {
			o.Node = v
			return m.known(v)
		})
		if a, ok := m.modal.(*ask); ok {
			a.items = m.nodeNames
			a.judge()
		}
		return cmd
	case key.Matches(k, m.Keys.Speed):
		return m.prompt("speed", "2, 0.5, max; nothing: in turns with the server", m.order.Speed, func(o *ReplayOrder, v string) error {
			o.Speed = v
			return nil
		})
	case key.Matches(k, m.Keys.Times):
		return m.prompt("times", "how often, each on a connection of its own", strconv.Itoa(m.order.Times), func(o *ReplayOrder, v string) (err error) {
			if v == "" {
				v = "1"
			}
			if o.Times, err = strconv.Atoi(v); err != nil || o.Times < 1 {
				return errors.New("want a number from 1 on")
			}
			return nil
		})
	case key.Matches(k, m.Keys.Ignore):
		return m.openIgnore()
	case key.Matches(k, m.Keys.Call):
		return m.openCall()
	case key.Matches(k, m.Keys.Stream):
		return Go(GoMsg{View: "stream", Of: m.of, Scope: m.from})
	case key.Matches(k, m.Keys.Copy):
		if len(m.rows) == 0 {
			return refuse("there is nothing to copy")
		}
		return yank("the line", string(style.Clean(m.lines()[m.rows[m.cursor].of].Text)))
	case key.Matches(k, m.Keys.CopyAll):
		return m.copyAll()
	}
	return nil
}

// hindrance is what keeps the plan from being sent now, "" if nothing does.
func (m *Replay) hindrance() string {
	switch {
	case m.playing != nil:
		return "it is being sent: esc stops that"
	case m.planning != nil:
		return "it is still being planned"
	case m.plan == nil:
		return "there is no plan: R makes one"
	case m.plan.Against != "" && m.plan.Forcible:
		return m.plan.Against + "; f sends it all the same"
	}
	return m.plan.Against
}

// confirm asks whether the plan is to be sent.
func (m *Replay) confirm() tea.Cmd {
	if why := m.hindrance(); why != "" {
		return refuse("%s", why)
	}
	m.modal = &question{title: "send it again?", styles: m.host.Styles, does: "sends it",
		lines: []string{m.plan.Sends + ".", "Requests that change something change it again."}, yes: m.send}
	return nil
}

// prompt lets one thing of the order be typed.
func (m *Replay) prompt(title, empty style.Text, value string, set func(o *ReplayOrder, v string) error) tea.Cmd {
	if m.playing != nil {
		return refuse("it is being sent: esc stops that")
	}
	a := &ask{title: title, styles: m.host.Styles, prompt: component.NewPrompt(title, empty, m.host.Styles)}
	a.check = func(v string) error {
		o := m.order
		if err := set(&o, strings.TrimSpace(v)); err != nil {
			return err
		}
		return m.check(o)
	}
	a.done = func(v string) tea.Cmd {
		o := m.order
		if err := set(&o, strings.TrimSpace(v)); err != nil {
			return refuse("%s", err)
		}
		return m.change(func(to *ReplayOrder) { *to = o })
	}
	a.prompt.Open(value)
	a.judge()
	m.modal = a
	return nil
}

// nodeNames are the nodes whose names begin with what is typed.
func (m *Replay) nodeNames(typed string, _ int) (out []component.Item) {
	for _, n := range m.nodes.Nodes {
		if strings.HasPrefix(n.Name, typed) && n.Name != typed {
			out = append(out, component.Item{Text: n.Name, Kind: "node", Help: n.State})
		}
	}
	return out
}

// known says that a node is none that there is. Those of a snapshot are not the ones that send.
func (m *Replay) known(name string) error {
	if name == "" || m.host.Home.All() || !m.nodes.Asked || m.nodes.Err != nil ||
		slices.ContainsFunc(m.nodes.Nodes, func(n Node) bool { return n.Name == name }) {
		return nil
	}
	return fmt.Errorf("there is no node %s", name)
}

// check says what is wrong with an order.
func (m *Replay) check(o ReplayOrder) (err error) {
	defer guard(&err)
	return m.player.Check(o)
}

// openIgnore lets fields be typed that may differ; that of the line at the cursor is offered.
func (m *Replay) openIgnore() tea.Cmd {
	fields := slices.Clone(m.order.Ignore)
	if f := m.here().Field; f != "" && !slices.Contains(fields, f) {
		fields = append(fields, f)
	}
	return m.prompt("ignore", "response.headers.x-shard, response.body.items[*].stock", strings.Join(fields, ", "), func(o *ReplayOrder, v string) error {
		o.Ignore = nil
		for f := range strings.SplitSeq(v, ",") {
			if f = strings.TrimSpace(f); f != "" {
				o.Ignore = append(o.Ignore, f)
			}
		}
		return nil
	})
}

// openCall goes to the call of the line at the cursor, as it was recorded.
func (m *Replay) openCall() tea.Cmd {
	at := m.here().At
	if at == 0 {
		return refuse("this line tells of no call: go to one with j and k")
	}
	return goCalls(m.of, at)
}

func (m *Replay) copyAll() tea.Cmd {
	var b strings.Builder
	for _, l := range m.lines() {
		b.WriteString(string(style.Clean(l.Text)))
		b.WriteByte('\n')
	}
	if b.Len() == 0 {
		return refuse("there is nothing to copy")
	}
	return yank("all of it", b.String())
}

// question asks for a clear yes.
type question struct {
	title  style.Text
	lines  []string
	does   string // what yes does
	styles *style.Styles
	yes    func() tea.Cmd
}

func (q *question) press(k tea.KeyPressMsg) (tea.Cmd, bool) {
	if k.String() == "y" {
		return q.yes(), true
	}
	return flash("nothing is done"), true
}

func (q *question) paste(string) {}

func (q *question) box(w, h int) ([]string, *Cursor) {
	inner := min(w-4, 72)
	var lines []string
	for _, l := range q.lines {
		for _, part := range component.Wrap(style.Clean(l), inner) {
			lines = append(lines, q.styles.Text.Render(string(part)))
		}
	}
	hint := style.Text(fmt.Sprintf("y %s, any other key does not", q.does))
	lines = append(lines, "", q.styles.Warn.Render(hint.Cut(inner)))
	return component.Box(q.styles, q.title, inner, lines[max(0, len(lines)-h+2):]), nil
}

func (q *question) short() []key.Binding {
	return []key.Binding{key.NewBinding(key.WithKeys("y"), key.WithHelp("y", q.does)), key.NewBinding(key.WithKeys("esc"), key.WithHelp("esc", "leave it"))}
}
