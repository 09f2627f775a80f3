package view

import (
	"fmt"
	"slices"
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/servicemap"
	"github.com/sshark/sshark/servicemap/text"
	"github.com/sshark/sshark/tui/component"
)

// press handles a key.
func (m *ServiceMap) press(k tea.KeyPressMsg) tea.Cmd {
	if m.finding {
		return m.pressFind(m.find.Press(k))
	}
	m.aim()
	if cmd, changed, mine := m.bar.press(k); mine {
		return m.renew(cmd, changed)
	}
	m.settled = true
	first := m.topOnce
	m.topOnce = false
	switch {
	case key.Matches(k, m.Move.Top):
		if k.String() == "g" && !first {
			m.topOnce = true
			return nil
		}
		m.end(false)
	case key.Matches(k, m.Move.Bottom):
		m.end(true)
	case key.Matches(k, m.Move.Up):
		m.step(0, -1)
	case key.Matches(k, m.Move.Down):
		m.step(0, 1)
	case key.Matches(k, m.Move.Left):
		m.step(-1, 0)
	case key.Matches(k, m.Move.Right):
		m.step(1, 0)
	case key.Matches(k, m.Move.PageUp):
		m.page(-1)
	case key.Matches(k, m.Move.PageDown):
		m.page(1)
	case key.Matches(k, m.Keys.PanLeft):
		x := m.x
		if m.pan(-max(1, m.width/3), 0); m.x == x {
			return refuse("this is the left edge of the map")
		}
	case key.Matches(k, m.Keys.PanRight):
		x := m.x
		if m.pan(max(1, m.width/3), 0); m.x == x {
			return refuse("this is the right edge of the map")
		}
	default:
		return m.pressAction(k)
	}
	return nil
}

func (m *ServiceMap) pressAction(k tea.KeyPressMsg) tea.Cmd {
	switch {
	case key.Matches(k, m.Keys.NextEdge):
		return m.nextEdge(1)
	case key.Matches(k, m.Keys.PrevEdge):
		return m.nextEdge(-1)
	case key.Matches(k, m.Keys.Calls):
		return m.drill("calls")
	case key.Matches(k, m.Keys.Flows):
		return m.drill("flows")
	case key.Matches(k, m.Keys.Apply):
		return m.apply(false)
	case key.Matches(k, m.Keys.Exclude):
		return m.apply(true)
	case key.Matches(k, m.Keys.Focus):
		return m.nextFocus()
	case key.Matches(k, m.Keys.Hide):
		return m.hide()
	case key.Matches(k, m.Keys.Show):
		if len(m.hidden) == 0 {
			return refuse("nothing is hidden")
		}
		clear(m.hidden)
		m.choose()
	case key.Matches(k, m.Keys.Fold):
		return m.refold()
	case key.Matches(k, m.Keys.Open):
		return m.openClose()
	case key.Matches(k, m.Keys.By):
		return m.nextBy()
	case key.Matches(k, m.Keys.Form):
		return m.nextForm()
	case key.Matches(k, m.Keys.Numbers):
		m.numbers = cycle(m.numbers, 3)
		m.draw()
	case key.Matches(k, m.Keys.Ask):
		return m.ask()
	case key.Matches(k, m.Keys.Detail):
		m.detail, m.sized = !m.detail, true
		m.choose()
	case key.Matches(k, m.Keys.Pause):
		return m.pause()
	case key.Matches(k, m.Keys.Find):
		m.finding = true
		m.find.Open("")
	case key.Matches(k, m.Keys.Next):
		return m.findNext(1)
	case key.Matches(k, m.Keys.Prev):
		return m.findNext(-1)
	case key.Matches(k, m.Keys.Copy):
		return m.copy()
	}
	return nil
}

// draw draws the boxes anew.
func (m *ServiceMap) draw() {
	if m.shape.place != nil {
		m.shape.drawing = m.shape.place.Draw()
	}
}

func (m *ServiceMap) pause() tea.Cmd {
	if m.paused = !m.paused; m.paused {
		return flash("paused: what comes in is counted, and shown when you press p again")
	}
	if m.base != nil {
		m.refresh(m.host.Clock.Now())
	}
	return nil
}

// filter selects what is selected: a node on either side, or an edge.
func (m *ServiceMap) filter() (filter, why string) {
	s := &m.shape
	switch k := m.link(); {
	case k != nil:
		return both(s.shown.Filter(k.From, "src"), s.shown.Filter(k.To, "dst")), ""
	case s.form == mapMatrix:
		return "", "there are no calls where the two meet"
	}
	i := m.node()
	if i < 0 {
		return "", "nothing is selected"
	}
	paren := func(f string) string {
		if strings.Contains(f, "&&") || strings.Contains(f, "||") {
			return "(" + f + ")"
		}
		return f
	}
	return paren(s.shown.Filter(i, "src")) + " || " + paren(s.shown.Filter(i, "dst")), ""
}

// drill goes to the calls or flows of what is selected.
func (m *ServiceMap) drill(view string) tea.Cmd {
	f, why := m.filter()
	if why != "" {
		return refuse("%s", why)
	}
	scope := m.Scope()
	scope.Filter = both(scope.Filter, f)
	if err := m.host.Check(scope.Filter); err != nil {
		return refuse("%s", firstOf(err))
	}
	return Go(GoMsg{View: view, Scope: scope})
}

func firstOf(err error) string {
	s, _, _ := strings.Cut(err.Error(), "\n")
	return s
}

func (m *ServiceMap) apply(not bool) tea.Cmd {
	f, why := m.filter()
	if why != "" {
		return refuse("%s", why)
	}
	return m.renew(m.bar.apply(f, not))
}

func (m *ServiceMap) nextFocus() tea.Cmd {
	if m.node() < 0 {
		return refuse("there is nothing to focus on")
	}
	const deepest = 2
	if m.depth == 0 || m.focus != m.picked.node {
		m.focus, m.depth = m.picked.node, 0
	}
	if m.depth++; m.depth > deepest {
		m.depth = 0
	}
	m.choose()
	switch m.depth {
	case 0:
		return flash("all is shown")
	case 1:
		return flash("only %s, what calls it and what it calls", m.focus.Name)
	}
	return flash("only %s and what is up to %d calls away", m.focus.Name, m.depth)
}

func (m *ServiceMap) hide() tea.Cmd {
	if m.node() < 0 {
		return refuse("there is nothing to hide")
	}
	if len(m.shape.shown.Nodes) == 1 {
		return refuse("this is the last one")
	}
	id := m.picked.node
	m.hidden[id] = true
	m.picked.edge = false
	m.choose()
	return flash("%s is hidden; X shows it again", id.Name)
}

func (m *ServiceMap) refold() tea.Cmd {
	if m.base == nil || len(namespaces(m.base)) == 0 {
		return refuse("no node has a namespace")
	}
	clear(m.open)
	if m.fold = foldOn; m.shape.folded {
		m.fold = foldOff
	}
	m.choose()
	if m.fold == foldOn {
		return flash("each namespace is a box; space opens one")
	}
	return flash("each %s is a box", m.by)
}

// openClose opens the namespace that is selected, or closes that of the node that is.
func (m *ServiceMap) openClose() tea.Cmd {
	i := m.node()
	switch {
	case i < 0:
		return refuse("there is nothing to open")
	case m.picked.node.Kind == "Namespace" && m.by != servicemap.Namespace:
		m.open[m.picked.node.Name] = true
		m.fold = foldOn
	case m.open[m.picked.node.Namespace]:
		delete(m.open, m.picked.node.Namespace)
	default:
		return refuse("this is no namespace; z makes boxes of namespaces")
	}
	m.choose()
	return nil
}

func (m *ServiceMap) nextForm() tea.Cmd {
	m.form = cycle(m.form, len(mapForms))
	m.x, m.y = 0, 0
	m.choose()
	if m.form == mapBoxes && m.shape.form != mapBoxes {
		return refuse("%d boxes and %d edges are too many to draw: focus (f), fold (z) or filter", len(m.shape.shown.Nodes), len(m.shape.links))
	}
	return flash("shown %s", map[mapForm]string{mapAuto: "as fits", mapBoxes: "as boxes", mapMatrix: "as a matrix: rows call columns", mapTree: "as a tree"}[m.form])
}

// pressFind looks for what is typed.
func (m *ServiceMap) pressFind(e component.Event) tea.Cmd {
	switch e {
	case component.Cancelled:
		m.finding = false
	case component.Changed:
		m.found = m.find.Input.Value()
		m.find.State, m.find.Message = component.Idle, ""
		if !m.find.Input.Blank() {
			m.find.State = component.Good
			if len(m.matches()) == 0 {
				m.find.State, m.find.Message = component.Bad, "no name has this"
			} else if i := m.node(); i < 0 || !m.matched(m.shape.shown.Nodes[i].Display()) {
				return m.findNext(1)
			}
		}
	case component.Accepted:
		m.finding = false
		m.found = strings.TrimSpace(m.find.Input.Value())
		m.find.Remember(m.found)
		if m.found != "" && len(m.matches()) == 0 {
			return refuse("no name has %q in it", m.found)
		}
	}
	return nil
}

func (m *ServiceMap) matched(name string) bool {
	return strings.Contains(strings.ToLower(name), strings.ToLower(strings.TrimSpace(m.found)))
}

// matches are the nodes whose name was looked for, also those in namespaces that are closed.
func (m *ServiceMap) matches() (all []servicemap.ID) {
	if m.base == nil {
		return nil
	}
	for i := range m.base.Nodes {
		if n := &m.base.Nodes[i]; !m.hidden[n.ID()] && m.matched(n.Display()) {
			all = append(all, n.ID())
		}
	}
	return all
}

func (m *ServiceMap) findNext(d int) tea.Cmd {
	all := m.matches()
	switch {
	case m.found == "":
		return refuse("nothing was searched yet: press s")
	case len(all) == 0:
		return refuse("no name has %q in it", m.found)
	}
	at := slices.Index(all, m.picked.node)
	switch {
	case at < 0 && d < 0:
		at = len(all) - 1
	case at < 0:
		at = 0
	default:
		at = (at + d + len(all)) % len(all)
	}
	id := all[at]
	if nodeOf(m.shape.shown, id) < 0 { // it is in a namespace that is closed, or too far
		m.depth = 0
		if m.shape.folded && id.Namespace != "" {
			m.open[id.Namespace] = true
			m.fold = foldOn
		}
	}
	m.picked = picked{node: id, row: -1}
	m.choose()
	m.selectNode(id)
	return nil
}

// selectNode selects a node in whatever form.
func (m *ServiceMap) selectNode(id servicemap.ID) {
	s := &m.shape
	i := nodeOf(s.shown, id)
	if i < 0 {
		return
	}
	m.picked.node, m.picked.edge = id, false
	switch s.form {
	case mapTree:
		if row := slices.IndexFunc(s.rows, func(r text.Row) bool { return r.Node == i }); row >= 0 {
			m.pickRow(row)
		}
	case mapMatrix:
		m.picked.edge = true
		if !slices.Contains(s.callers, i) && slices.Contains(s.callees, i) {
			m.picked.to = id
			for _, k := range s.links {
				if k.To == i {
					m.picked.node = s.shown.Nodes[k.From].ID()
					break
				}
			}
		}
		m.pick()
	}
	m.look()
}

// copy copies what is selected, as `map -o json` prints it.
func (m *ServiceMap) copy() tea.Cmd {
	s := &m.shape
	i := m.node()
	if i < 0 {
		return refuse("there is nothing to copy")
	}
	k := m.link()
	var b []byte
	n := 0
	for j := range s.shown.Edges {
		e := &s.shown.Edges[j]
		if k != nil && (e.From != k.From || e.To != k.To) || k == nil && e.From != i && e.To != i {
			continue
		}
		b = append(text.AppendEdge(b, s.shown, j), '\n')
		n++
	}
	return yank(fmt.Sprintf("%s as JSON", count(n, "edge")), string(b))
}
