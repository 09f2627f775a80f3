package view

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/keys"
	"github.com/sshark/sshark/tui/style"
)

// Stream shows what the two sides of a flow said. It is a picture of the time when it was read;
// following reads it again every now and then.
type Stream struct {
	Keys keys.Stream
	Move keys.Move
	host *Host
	of   Ref
	from Scope // that one came from, for the calls

	ctx    context.Context // of the view
	close  context.CancelFunc
	ask    *gatherer[fragment] // nil: nothing is being read
	begun  time.Time
	next   *conversation // is being read, to take the place of what is shown
	conv   *conversation // that is shown
	answer *answer       // of what is shown; nil: it is being read
	flow   flowMsg
	part   int

	lines         streamLines
	cursor        int
	offset        int
	width, height int
	follow        bool
	mover         component.Mover
	jumped        bool // to the time that it was asked for

	search struct {
		prompt component.Prompt
		typing bool
		text   string
		number int
		asking bool
		goTo   bool
		found  []match
		was    []match
		more   bool
		picked int // -1: none
	}
}

// flowMsg is what is known of a flow.
type flowMsg struct {
	by     any // the screen that asked
	flow   *dissect.Flow
	client peer
	server peer
	err    error
}

// title says between whom a flow is, with the ports that tell it from others.
func (m *flowMsg) title() style.Text {
	end := func(p *peer) style.Text {
		switch {
		case p.addr.Port() == 0:
			return p.full
		case p.id == nil || p.id.Name() == "":
			return style.Text(p.addr.String())
		}
		return p.full + style.Text(fmt.Sprintf(":%d", p.addr.Port()))
	}
	return end(&m.client) + " → " + end(&m.server) + "  " + style.Text(m.flow.Transport.String())
}

// followMsg says that it is time to read a stream again.
type followMsg struct{ stream *Stream }

// NewStream makes the view of a flow; of.Time, if known, is where it begins to be looked at.
func NewStream(h *Host, of Ref, from Scope) *Stream {
	m := &Stream{Keys: keys.NewStream(), Move: keys.NewMove(), host: h, of: of, from: from, conv: &conversation{}, jumped: of.Time == 0}
	m.ctx, m.close = context.WithCancel(h.Context)
	m.search.prompt = component.NewPrompt("search", "text, re:GET .*HTTP, hex:16 03 01", h.Styles)
	m.search.picked = -1
	m.lines = streamLines{conv: m.conv, st: h.Styles}
	return m
}

// Init implements Screen.
func (m *Stream) Init() tea.Cmd {
	if m.of.Stream == "" {
		return nil
	}
	return tea.Batch(m.read(), askFlow(m.ctx, m.host.Backend, m.of.Stream, m))
}

// askFlow finds out whose a stream is.
func askFlow(ctx context.Context, b Backend, stream string, by any) tea.Cmd {
	return func() tea.Msg {
		msg := flowMsg{by: by}
		func() {
			defer guard(&msg.err)
			_, msg.err = b.Flows(ctx, Query{Stream: stream}, func(f *dissect.Flow) error {
				own := *f
				msg.flow, msg.client, msg.server = &own, newPeer(&f.Client), newPeer(&f.Server)
				return errEnough
			})
		}()
		return msg
	}
}

// read asks for the bytes. What is shown stays until all of it was read, unless that is nothing.
func (m *Stream) read() tea.Cmd {
	if m.of.Stream == "" {
		return nil
	}
	if m.ask != nil {
		m.ask.cancel()
	}
	backend, stream, part := m.host.Backend, m.of.Stream, m.part
	target := int64(0)
	if !m.jumped {
		target = m.of.Time
	}
	m.ask = newGatherer(m.ctx, func(ctx context.Context, add func(fragment)) (Report, error) {
		r := &partReader{part: part, target: target, ctx: ctx, add: add}
		report, err := backend.Stream(ctx, stream, r)
		r.finish()
		return report, err
	})
	m.begun = m.host.Clock.Now()
	m.next = &conversation{}
	if len(m.conv.pieces) == 0 {
		m.show(m.next)
	}
	return m.ask.start
}

// turnTo goes to another part.
func (m *Stream) turnTo(part int) tea.Cmd {
	m.part, m.jumped = part, true
	m.show(&conversation{})
	m.answer, m.follow = nil, false
	m.to(0)
	return m.read()
}

// show lays a conversation out.
func (m *Stream) show(c *conversation) {
	m.conv = c
	m.lines.conv = c
	m.lay()
}

// lay lays out what is shown anew, and keeps the cursor on its byte.
func (m *Stream) lay() {
	at, was := m.cursorByte(), m.cursor-m.offset
	m.lines.st = m.host.Styles
	m.lines.lay()
	if m.cursor > 0 {
		m.cursor = m.lines.at(at)
	}
	m.offset = max(0, m.cursor-was)
	m.to(m.cursor)
}

// Update implements Screen.
func (m *Stream) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case gathered[fragment]:
		return m.take(msg)
	case flowMsg:
		if msg.by == any(m) {
			m.flow = msg
		}
	case foundMsg:
		return m.takeFound(msg)
	case followMsg:
		if msg.stream == m && m.follow && m.ask == nil {
			return m.read()
		}
	case tea.PasteMsg:
		if m.search.typing {
			return m.pressSearch(m.search.prompt.Paste(msg.Content))
		}
	case tea.KeyPressMsg:
		return m.press(msg)
	case tea.MouseWheelMsg:
		switch msg.Button {
		case tea.MouseWheelUp:
			m.scroll(-3)
		case tea.MouseWheelDown:
			m.scroll(3)
		}
	case tea.MouseClickMsg:
		if y := msg.Y - 1; y >= 0 && y < m.rows() {
			m.to(m.offset + y)
		}
	}
	return nil
}

// take adds what was read.
func (m *Stream) take(b gathered[fragment]) tea.Cmd {
	if b.by != m.ask {
		return nil // of a question that is not asked any more
	}
	for _, f := range b.items {
		m.next.add(f)
		m.part = f.part
	}
	var cmds []tea.Cmd
	if b.end == nil {
		cmds = append(cmds, m.ask.wait)
	} else {
		m.answer, m.ask = b.end, nil
		cmds = append(cmds, m.later())
	}
	grown := len(m.next.bytes) != len(m.conv.bytes) || len(m.next.pieces) != len(m.conv.pieces)
	switch {
	case m.conv == m.next && len(b.items) > 0, b.end != nil && m.conv != m.next && grown && (b.end.failed() == "" || len(m.next.bytes) > len(m.conv.bytes)):
		m.show(m.next)
		if m.follow {
			m.to(len(m.lines.all) - 1)
		}
		if m.search.text != "" {
			cmds = append(cmds, m.seek(false))
		}
	}
	m.jump()
	return tea.Batch(cmds...)
}

// jump goes to the bytes of the time that was asked for.
func (m *Stream) jump() {
	if m.jumped {
		return
	}
	i := sort.Search(len(m.conv.pieces), func(i int) bool { return m.conv.pieces[i].at >= m.of.Time })
	if i == len(m.conv.pieces) {
		m.jumped = m.answer != nil
		return
	}
	m.jumped = true
	m.to(m.lines.at(m.conv.pieces[i].from))
	m.offset = max(0, min(m.cursor, len(m.lines.all)-m.rows()))
}

// followEvery is how often a stream that is followed is read again; one that takes long to read
// is left alone for so many times as long.
const (
	followEvery = 2 * time.Second
	restFor     = 10
)

// later reads again after a while, while it is followed.
func (m *Stream) later() tea.Cmd {
	if !m.follow || m.answer.failed() != "" || m.answer.more() {
		m.follow = false
		return nil
	}
	wait := max(followEvery, restFor*m.host.Clock.Now().Sub(m.begun))
	ctx := m.ctx
	return func() tea.Msg {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
			return followMsg{m}
		case <-ctx.Done():
			return nil
		}
	}
}

// SetSize implements Screen.
func (m *Stream) SetSize(w, h int) {
	m.height = h
	if w != m.width {
		m.width, m.lines.width = w, max(8, w-3)
		m.lay()
	}
	m.to(m.cursor)
}

// SetStyles implements Screen.
func (m *Stream) SetStyles() { m.lay() }

// Typing implements Screen.
func (m *Stream) Typing() bool { return m.search.typing }

// Close implements Screen.
func (m *Stream) Close() { m.close() }

// Back implements Screen: it stops the reading, then the following, then the search.
func (m *Stream) Back() (tea.Cmd, bool) {
	switch {
	case m.ask != nil:
		m.ask.cancel()
		m.ask, m.follow = nil, false
		if m.answer == nil {
			m.answer = stopped()
		}
		return flash("stopped: what was read is shown; R reads again"), true
	case m.follow:
		m.follow = false
		return nil, true
	case m.search.text != "":
		m.search.text = ""
		return m.seek(false), true
	}
	return nil, false
}

// Losses implements Screen.
func (m *Stream) Losses() style.Text { return losses(m.host, m.answer, nil) }

// Status implements Screen.
func (m *Stream) Status() (text style.Text, warn bool) {
	switch {
	case m.ask != nil && m.answer == nil:
		return "reading …", true
	case m.follow:
		return "▸ live", false
	case m.answer == nil:
		return "", false
	}
	return style.Text("as of " + m.begun.In(m.host.Clock.Location).Format("15:04:05")), false
}

// Short implements Screen.
func (m *Stream) Short() []key.Binding {
	if m.search.typing {
		return m.search.prompt.Keys.Short()
	}
	return m.Keys.Short()
}

// Sections implements Screen.
func (m *Stream) Sections() []keys.Section {
	return []keys.Section{m.Keys.Section(), m.Move.Section(), m.search.prompt.Keys.Section()}
}

// cursorByte is the byte that the cursor's line begins with.
func (m *Stream) cursorByte() int {
	if p := m.search.picked; p >= 0 && p < len(m.search.found) && len(m.lines.all) > 0 {
		f := m.search.found[p]
		if m.lines.at(f.from) == m.cursor {
			return f.from
		}
	}
	if m.cursor < len(m.lines.all) {
		return int(m.lines.all[m.cursor].from)
	}
	return 0
}

// here is the turn and the piece at the cursor; nil where there is nothing.
func (m *Stream) here() (*turn, *piece) {
	if m.cursor >= len(m.lines.all) {
		return nil, nil
	}
	t := &m.conv.turns[m.lines.all[m.cursor].turn]
	return t, m.conv.pieceAt(t, max(t.from, min(m.cursorByte(), t.to-1)))
}

func (m *Stream) rows() int { return max(0, m.height-2) }

// to moves the cursor to a line.
func (m *Stream) to(at int) {
	n := len(m.lines.all)
	m.cursor = max(0, min(at, n-1))
	if m.cursor < m.offset {
		m.offset = m.cursor
	}
	if m.cursor >= m.offset+m.rows() {
		m.offset = m.cursor - m.rows() + 1
	}
	m.offset = max(0, min(m.offset, n-m.rows()))
}

func (m *Stream) scroll(by int) {
	m.offset = max(0, min(m.offset+by, len(m.lines.all)-m.rows()))
	m.cursor = max(m.offset, min(m.cursor, m.offset+m.rows()-1, len(m.lines.all)-1))
}

// matchesFrom are the matches that are not before a byte.
func (m *Stream) matchesFrom(at int) []match {
	i, _ := slices.BinarySearchFunc(m.search.found, at, func(f match, at int) int {
		if f.to > at {
			return 1
		}
		return -1
	})
	return m.search.found[i:]
}
