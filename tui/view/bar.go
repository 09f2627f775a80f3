package view

import (
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/keys"
	"github.com/sshark/sshark/tui/style"
)

// bar is the line of what is looked at, which screens with a scope share, and the prompts that
// change it. Where a method says changed, the screen asks anew.
type bar struct {
	keys keys.Scope
	host *Host
	all  style.Text // said where there is no filter

	scope    Scope
	errOnly  bool
	before   []Window  // for esc
	timeline *timeline // that keys move on; nil: the window's own edges are all there is to go by

	prompt component.Prompt // filter
	when   component.Prompt // window
	typing typing
	asked  int // number of the last check
	judged int // the same, of the last one that was answered
}

type typing uint8

const (
	notTyping typing = iota
	typingFilter
	typingWindow
)

// checkMsg is the judgement of a filter that is being typed.
type checkMsg struct {
	bar    *bar
	number int
	err    error
	items  []component.Item
}

// maxBefore is how many windows are remembered.
const maxBefore = 20

func newBar(h *Host, s Scope, all style.Text) *bar {
	b := &bar{keys: keys.NewScope(), host: h, all: all, scope: s,
		prompt: component.NewPrompt("/", `a filter, as: http && status_code >= 500`, h.Styles),
		when:   component.NewPrompt("window", `5m, 1h30m, all, 14:00-14:15`, h.Styles),
	}
	b.when.Direct = true
	if h.Memory != nil {
		b.prompt.History, b.when.History = &h.Memory.Filters, &h.Memory.Windows
	}
	return b
}

// query is the filter that is asked for.
func (b *bar) query() string {
	if b.errOnly {
		return both(b.scope.Filter, "error")
	}
	return b.scope.Filter
}

// bounds are the window's edges now.
func (b *bar) bounds() (since, until int64) { return b.scope.Window.Bounds(b.host.Clock.Now()) }

// setWindow looks at another time; esc leads back.
func (b *bar) setWindow(w Window) (changed bool) {
	if w == b.scope.Window {
		return false
	}
	b.before = append(b.before, b.scope.Window)
	if len(b.before) > maxBefore {
		b.before = b.before[1:]
	}
	b.scope.Window = w
	return true
}

// setScope looks at something else.
func (b *bar) setScope(s Scope) (changed bool) {
	changed = b.setWindow(s.Window)
	if b.query() == s.Filter {
		return changed
	}
	b.scope.Filter, b.errOnly = s.Filter, false
	return true
}

// back undoes the last change of the window, or the filter.
func (b *bar) back() (changed bool) {
	switch {
	case len(b.before) > 0:
		b.scope.Window = b.before[len(b.before)-1]
		b.before = b.before[:len(b.before)-1]
	case b.errOnly:
		b.errOnly = false
	case b.scope.Filter != "":
		b.scope.Filter = ""
	default:
		return false
	}
	return true
}

// press handles a key; mine is false if the bar has no use for it.
func (b *bar) press(k tea.KeyPressMsg) (cmd tea.Cmd, changed, mine bool) {
	switch {
	case b.typing == typingFilter && key.Matches(k, b.prompt.Keys.Invert):
		b.prompt.Input.Set(inverse(b.prompt.Input.Value()))
		cmd, changed = b.pressFilter(component.Changed)
	case b.typing == typingFilter:
		if key.Matches(k, b.prompt.Keys.Complete, b.prompt.Keys.Accept) {
			b.settle()
		}
		cmd, changed = b.pressFilter(b.prompt.Press(k))
	case b.typing == typingWindow:
		cmd, changed = b.pressWindow(b.when.Press(k))
	case key.Matches(k, b.keys.Filter):
		cmd = b.open(b.scope.Filter)
	case key.Matches(k, b.keys.Window):
		b.openWindow()
	case key.Matches(k, b.keys.Errors):
		b.errOnly = !b.errOnly
		changed = true
	case key.Matches(k, b.keys.Older):
		cmd, changed = b.shift(-1)
	case key.Matches(k, b.keys.Newer):
		cmd, changed = b.shift(1)
	case key.Matches(k, b.keys.Closer):
		cmd, changed = b.change(b.scope.Window.zoom(b.sight(), true))
	case key.Matches(k, b.keys.Wider):
		cmd, changed = b.change(b.scope.Window.zoom(b.sight(), false))
	case key.Matches(k, b.keys.Home):
		cmd, changed = b.home()
	default:
		return nil, false, false
	}
	return cmd, changed, true
}

// sight is what a change of the window goes by.
func (b *bar) sight() sight {
	if b.timeline != nil {
		return b.timeline.sight()
	}
	s := sight{now: b.host.Clock.Now().UnixNano()}
	s.since, s.until = b.bounds()
	if s.since != 0 && s.until == 0 {
		s.until = s.now
	}
	return s
}

// shift moves the window by half of it.
func (b *bar) shift(d int64) (tea.Cmd, bool) {
	s := b.sight()
	return b.change(b.scope.Window.move(s, d*max(1, (s.until-s.since)/2)))
}

// change looks at another time, or says why not.
func (b *bar) change(w Window, err error) (cmd tea.Cmd, changed bool) {
	if err != nil {
		return refuse("%s", err), false
	}
	return nil, b.setWindow(w)
}

// home looks at what one looks at first: what comes in, or all of a file.
func (b *bar) home() (cmd tea.Cmd, changed bool) {
	to := b.host.Home
	for _, w := range b.before { // the live window that was chosen last
		if to.Live() && w.Live() {
			to = w
		}
	}
	switch now := b.scope.Window; {
	case now.Live() && to.Live():
		return refuse("this is live already"), false
	case now == to:
		return refuse("%s", errAllKept), false
	}
	return nil, b.setWindow(to)
}

func (b *bar) paste(s string) (cmd tea.Cmd, changed bool) {
	switch b.typing {
	case typingFilter:
		return b.pressFilter(b.prompt.Paste(s))
	case typingWindow:
		return b.pressWindow(b.when.Paste(s))
	}
	return nil, false
}

// open lets the filter be edited.
func (b *bar) open(value string) tea.Cmd {
	b.typing = typingFilter
	b.prompt.Open(value)
	return b.check()
}

func (b *bar) pressFilter(e component.Event) (cmd tea.Cmd, changed bool) {
	switch e {
	case component.Cancelled:
		b.typing = notTyping
	case component.Changed:
		b.prompt.State = component.Idle
		return b.check(), false
	case component.Accepted:
		return b.take(strings.TrimSpace(b.prompt.Input.Value()))
	}
	return nil, false
}

// take applies a filter that was judged.
func (b *bar) take(f string) (cmd tea.Cmd, changed bool) {
	if b.prompt.State == component.Bad {
		return refuse("this filter is wrong where the caret stands; esc leaves it"), false
	}
	b.typing = notTyping
	b.prompt.Remember(f)
	changed = f != b.scope.Filter
	b.scope.Filter = f
	return nil, changed
}

// apply adds a filter to the one there is; it is shown in the bar and can be edited there.
func (b *bar) apply(f string, not bool) (cmd tea.Cmd, changed bool) {
	if not {
		f = negated(f)
	}
	f = both(b.scope.Filter, f)
	if err := b.host.Check(f); err != nil {
		return b.open(f), false
	}
	b.prompt.Remember(f)
	b.scope.Filter = f
	return nil, true
}

// check asks what is to be said about the filter as it is typed.
func (b *bar) check() tea.Cmd {
	b.asked++
	number, backend := b.asked, b.host.Backend
	text, cursor := b.prompt.Input.Value(), b.prompt.Input.Cursor()
	return func() tea.Msg {
		msg := checkMsg{bar: b, number: number}
		func() {
			defer guard(&msg.err)
			msg.err = backend.Check(text)
			for _, c := range backend.Complete(text, cursor) {
				msg.items = append(msg.items, component.Item{Text: c.Text, Start: c.Start, Kind: c.Kind, Help: c.Help})
			}
		}()
		return msg
	}
}

// settle judges the filter as it stands, if what was last asked about it is not answered yet: keys
// may come faster than answers, and what is typed ahead means what stands there by then.
func (b *bar) settle() {
	if b.judged == b.asked {
		return
	}
	if c, ok := b.check()().(checkMsg); ok {
		b.judge(c)
	}
}

// judge shows what was found about a filter that is being typed.
func (b *bar) judge(c checkMsg) {
	if c.bar != b || c.number != b.asked || b.typing != typingFilter {
		return
	}
	b.judged = c.number
	b.prompt.State, b.prompt.Message = component.Good, ""
	switch {
	case b.prompt.Input.Blank():
		b.prompt.State = component.Idle
	case c.err != nil:
		b.prompt.State, b.prompt.Message = component.Bad, c.err.Error()
	}
	if b.prompt.Input.Blank() && b.host.Memory != nil {
		c.items = append(b.host.Memory.offered(), c.items...)
	}
	b.prompt.SetItems(c.items)
}

func (b *bar) openWindow() {
	b.typing = typingWindow
	b.when.Open("")
	b.when.SetItems(b.host.Windows())
}

func (b *bar) pressWindow(e component.Event) (cmd tea.Cmd, changed bool) {
	switch e {
	case component.Cancelled:
		b.typing = notTyping
	case component.Changed, component.Accepted:
		w, err := b.host.ParseWindow(b.when.Input.Value())
		b.when.State, b.when.Message = component.Good, ""
		switch {
		case b.when.Input.Blank():
			b.when.State = component.Idle
		case err != nil:
			b.when.State, b.when.Message = component.Bad, err.Error()
		}
		if e == component.Changed {
			b.when.SetItems(nil)
			return nil, false
		}
		if err != nil {
			return refuse("%s", err), false
		}
		b.typing = notTyping
		b.when.Remember(strings.TrimSpace(b.when.Input.Value()))
		return nil, b.setWindow(w)
	}
	return nil, false
}

func (b *bar) openPrompt() *component.Prompt {
	switch b.typing {
	case typingFilter:
		return &b.prompt
	case typingWindow:
		return &b.when
	}
	return nil
}

// view draws the bar as line y of the screen, with what there is of it at the right; or what is
// typed in its place.
func (b *bar) view(w, y int, right style.Text) (string, *Cursor) {
	if p := b.openPrompt(); p != nil {
		line, x := p.View(w)
		return line, &Cursor{min(x, w-1), y}
	}
	st := b.host.Styles
	on := func(s lipgloss.Style) lipgloss.Style { return s.Inherit(st.FilterIdle) }
	var chips style.Text
	if b.errOnly {
		chips = " errors only "
	}
	room := w - 4 - right.Width() - chips.Width() - 1
	text, look := style.Clean(b.scope.Filter), on(st.Strong)
	if b.scope.Filter == "" {
		text, look = b.all, on(st.Dim)
	}
	return on(st.Accent).Render(" / ") + look.Render(text.Fit(room)) + on(st.Error).Render(string(chips)) +
		on(st.Dim).Render(" "+string(right)+" "), nil
}

// over lays what is offered while typing over the screen, below the bar in line y.
func (b *bar) over(lines []string, w, y int) {
	if p := b.openPrompt(); p != nil {
		component.Over(lines, p.Popup(min(w-2, 96), len(lines)-y-1), 2, y+1)
	}
}
