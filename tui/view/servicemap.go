package view

import (
	"math"
	"slices"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/servicemap"
	"github.com/sshark/sshark/servicemap/text"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/keys"
	"github.com/sshark/sshark/tui/style"
)

// ServiceMap is the map of who speaks with whom: boxes and edges, or a matrix or tree where
// those are too many. While only numbers change, nothing on it moves.
type ServiceMap struct {
	host *Host
	bar  *bar
	Keys keys.ServiceMap
	Move keys.Move

	width, height int
	time          *timeline // of the calls, else of the beginnings of the flows

	feed  *mapFeed
	base  *servicemap.Map // nil: nothing was told yet
	state mapAnswers
	nodes NodesMsg

	by      servicemap.By
	calls   bool // are asked for
	numbers numbers
	form    mapForm
	fold    fold
	open    map[string]bool        // namespaces that are not one box
	hidden  map[servicemap.ID]bool // nodes
	focus   servicemap.ID          // of which only what is near is shown, where depth is not 0
	depth   int

	shape   shape
	picked  picked
	settled bool // that was chosen, or was the first of the whole map
	x, y    int  // what of the drawing is at the upper left
	rates   map[[2]servicemap.ID]*rate
	rated   time.Time
	whole   bool // rates began when all that is kept was read

	paused  bool
	detail  bool
	sized   bool // detail was decided
	topOnce bool
	finding bool
	find    component.Prompt
	found   string // what was looked for
	drag    struct {
		on    bool
		moved bool
		x, y  int
	}
}

// numbers is what is said of how much goes over an edge.
type numbers uint8

const (
	ratesOf numbers = iota
	callsOf
	bytesOf
)

// mapForm is how the map is shown.
type mapForm uint8

const (
	mapAuto mapForm = iota
	mapBoxes
	mapMatrix
	mapTree
)

var mapForms = [...]string{"as fits", "boxes", "matrix", "tree"}

// fold is whether namespaces are boxes.
type fold uint8

const (
	foldAuto fold = iota // if not all fits
	foldOn
	foldOff
)

// rate follows the calls of an edge: as they came in over the last seconds.
type rate struct {
	calls uint64
	rate  float64 // a second
}

// rateOver is after how many seconds a rate is what it is told for the most part.
const rateOver = 5.0

// NewServiceMap makes the map of a scope.
func NewServiceMap(h *Host, scope Scope) *ServiceMap {
	m := &ServiceMap{host: h, bar: newBar(h, scope, "all that is spoken"), Keys: keys.NewServiceMap(), Move: keys.NewMove(), calls: true,
		open: map[string]bool{}, hidden: map[servicemap.ID]bool{}, find: component.NewPrompt("search", "a part of a name", h.Styles)}
	m.find.Direct = true
	m.time = newTimeline(m.bar)
	m.reset()
	return m
}

// Init implements Screen.
func (m *ServiceMap) Init() tea.Cmd { return m.feed.start }

// SetStyles implements Screen.
func (m *ServiceMap) SetStyles() {}

// SetSize implements Screen.
func (m *ServiceMap) SetSize(w, h int) {
	if m.width == w && m.height == h {
		return
	}
	m.width, m.height = w, h
	if !m.sized {
		m.detail = h >= 30
	}
	m.time.chart.SetSize(w, m.above())
	m.choose()
}

// Scope implements Scoped.
func (m *ServiceMap) Scope() Scope { return Scope{Window: m.bar.scope.Window, Filter: m.bar.query()} }

// SetScope implements Scoped.
func (m *ServiceMap) SetScope(s Scope) tea.Cmd { return m.renew(nil, m.bar.setScope(s)) }

// renew asks anew if what is asked for has changed; cmd is to be done in any case.
func (m *ServiceMap) renew(cmd tea.Cmd, changed bool) tea.Cmd {
	if !changed {
		return cmd
	}
	m.reset()
	return tea.Batch(cmd, m.feed.start)
}

func (m *ServiceMap) reset() {
	m.Close()
	m.time.reset()
	m.feed = newMapFeed(m.host, m.Scope(), m.by, m.calls, m.time.series)
	m.base, m.state, m.paused = nil, mapAnswers{}, false
	m.rates, m.rated, m.whole = map[[2]servicemap.ID]*rate{}, time.Time{}, false
	m.choose()
}

// Close implements Screen.
func (m *ServiceMap) Close() {
	if m.feed != nil {
		m.feed.cancel()
	}
}

// Typing implements Screen.
func (m *ServiceMap) Typing() bool { return m.finding || m.bar.typing != notTyping }

// Update implements Screen.
func (m *ServiceMap) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case mapMsg:
		return m.take(msg)
	case checkMsg:
		m.bar.judge(msg)
	case NodesMsg:
		m.nodes = msg
	case tea.PasteMsg:
		if m.finding {
			return m.pressFind(m.find.Paste(msg.Content))
		}
		return m.renew(m.bar.paste(msg.Content))
	case tea.KeyPressMsg:
		return m.press(msg)
	case tea.MouseMsg:
		return m.mouse(msg)
	}
	return nil
}

// take shows what a feed found.
func (m *ServiceMap) take(msg mapMsg) tea.Cmd {
	if msg.feed != m.feed {
		return nil // of a question that is not asked any more
	}
	read := m.reading()
	m.state = msg.mapAnswers
	if msg.seen != nil {
		m.time.series.Merge(msg.seen)
	}
	if msg.m != nil {
		m.base = msg.m
	}
	if read && !m.reading() { // only now is it known how much there is to say
		m.shape.full = nil
	}
	if !m.paused && m.base != nil {
		m.refresh(msg.at)
	}
	return m.feed.wait
}

// refresh brings what is shown up to date with the numbers; it is arranged anew only if the
// nodes or edges are others.
func (m *ServiceMap) refresh(at time.Time) {
	same := m.shape.full != nil && m.shape.full.same(m.base)
	if !same {
		m.choose()
	} else {
		m.renumber()
	}
	m.rate(at)
	if m.shape.place != nil {
		m.shape.drawing = m.shape.place.Draw()
	}
}

// rate brings the rates of the edges that are shown up to date.
func (m *ServiceMap) rate(at time.Time) {
	live := m.bar.scope.Window.Live()
	span := m.span(at)
	dt := at.Sub(m.rated).Seconds()
	known := live && m.whole
	if known && dt < 0.5 {
		return
	}
	m.rated, m.whole = at, m.state.calls != nil
	next := make(map[[2]servicemap.ID]*rate, len(m.shape.links))
	for i := range m.shape.links {
		k := &m.shape.links[i]
		id := m.shape.ids(k)
		r := m.rates[id]
		mean := 0.0
		if span > 0 {
			mean = float64(k.Edge.Calls) / span
		}
		switch {
		case r == nil || !known:
			r = &rate{rate: mean}
		case k.Edge.Calls < r.calls: // old ones are forgotten: this says nothing of new ones
		default:
			r.rate += (float64(k.Edge.Calls-r.calls)/dt - r.rate) * (1 - math.Exp(-dt/rateOver))
		}
		r.calls = k.Edge.Calls
		next[id] = r
	}
	m.rates = next
}

// span is how many seconds the map is of: the window, as far as packets are kept.
func (m *ServiceMap) span(at time.Time) float64 {
	since, until := m.bar.scope.Window.Bounds(at)
	if m.base != nil {
		if since == 0 {
			since = m.base.First
		}
		if until == 0 {
			until = m.base.Last
		}
	}
	for _, a := range []*answer{m.state.flows, m.state.calls} {
		if a != nil && a.report.Oldest > since {
			since = a.report.Oldest
		}
	}
	return max(float64(until-since)/1e9, 1)
}

// Back implements Screen.
func (m *ServiceMap) Back() (tea.Cmd, bool) {
	switch {
	case m.time.back():
	case m.picked.edge:
		m.picked.edge = false
	case m.depth > 0:
		m.depth = 0
		m.choose()
	case m.bar.back():
		return m.renew(nil, true), true
	default:
		return nil, false
	}
	return nil, true
}

// Short implements Screen.
func (m *ServiceMap) Short() []key.Binding {
	if m.Typing() {
		return m.bar.prompt.Keys.Short()
	}
	return m.bar.keys.Short(m.Keys.Short()...)
}

// Sections implements Screen.
func (m *ServiceMap) Sections() []keys.Section {
	move := m.Move.Section()
	move.Title = "Move between boxes"
	return []keys.Section{m.bar.keys.Section(), m.Keys.Section(), move, m.bar.prompt.Keys.Section()}
}

// Status implements Screen.
func (m *ServiceMap) Status() (status style.Text, warn bool) {
	window := style.Text(m.bar.scope.Window.Text(m.host.Clock))
	switch {
	case m.paused:
		return "‖ paused · " + window, true
	case m.state.live != nil && m.host.Context.Err() == nil:
		return "‖ stopped · " + window, true
	case m.reading():
		return "reading … · " + window, false
	case m.bar.scope.Window.Live():
		return "▸ live · " + window, false
	}
	return window, false
}

// reading says whether what is kept was not read to its end.
func (m *ServiceMap) reading() bool { return m.state.flows == nil || m.state.calls == nil }

// Losses implements Screen.
func (m *ServiceMap) Losses() style.Text {
	kept := m.state.flows
	if c := m.state.calls; c != nil && (kept == nil || c.err != nil || len(c.report.Missing) > len(kept.report.Missing)) {
		kept = c
	}
	m.aim()
	lost := join(losses(m.host, kept, m.state.live), style.Clean(m.time.lacks()))
	if m.base != nil && (m.base.Left.Flows > 0 || m.base.Left.Calls > 0) {
		lost = join(lost, style.Text("the map is full: "+count(int(m.base.Left.Flows), "flow")+" and "+count(int(m.base.Left.Calls), "call")+" are not in it, ask for less"))
	}
	return lost
}

// cycle is the next of n values.
func cycle[T ~uint8](v T, n int) T { return T((int(v) + 1) % n) }

// nextBy makes the boxes something else.
func (m *ServiceMap) nextBy() tea.Cmd {
	m.by = cycle(m.by, len(servicemap.Groupings()))
	m.depth, m.picked, m.settled = 0, picked{}, false
	m.hidden, m.open = map[servicemap.ID]bool{}, map[string]bool{}
	return tea.Batch(m.renew(nil, true), flash("each box is a %s", m.by))
}

// ask asks for calls, or for flows only.
func (m *ServiceMap) ask() tea.Cmd {
	m.calls = !m.calls
	if m.calls {
		return tea.Batch(m.renew(nil, true), flash("flows and calls: errors and latency too"))
	}
	return tea.Batch(m.renew(nil, true), flash("flows only: quicker, without errors and latency"))
}

// namespaces are those of the nodes, each once.
func namespaces(m *servicemap.Map) (all []string) {
	for i := range m.Nodes {
		if ns := m.Nodes[i].Namespace; ns != "" && !slices.Contains(all, ns) {
			all = append(all, ns)
		}
	}
	return all
}

// rateOf is how many calls a second come over an edge.
func (m *ServiceMap) rateOf(k *text.Link) float64 {
	if r := m.rates[m.shape.ids(k)]; r != nil {
		return r.rate
	}
	return float64(k.Edge.Calls) / m.span(m.host.Clock.Now())
}

// amount says how much goes over an edge, in five characters.
func (m *ServiceMap) amount(k *text.Link) string {
	n := m.numbers
	if k.Edge.Calls == 0 && n != bytesOf {
		if n == ratesOf {
			return text.Number(uint64(float64(k.Edge.Bytes)/m.span(m.host.Clock.Now()))) + "B"
		}
		n = bytesOf
	}
	switch n {
	case callsOf:
		return text.Number(k.Edge.Calls)
	case bytesOf:
		return text.Number(k.Edge.Bytes) + "B"
	}
	return perSecond(m.rateOf(k))
}
