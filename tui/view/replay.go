package view

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/keys"
	"github.com/sshark/sshark/tui/style"
)

// Replay shows what sending a flow again would do, sends it when the operator has said yes, and
// shows what differs from what was recorded.
type Replay struct {
	Keys   keys.Replay
	Move   keys.Move
	host   *Host
	player Replayer
	of     Ref
	from   Scope // that one came from
	flow   flowMsg
	nodes  NodesMsg

	ctx      context.Context // of the view
	close    context.CancelFunc
	order    ReplayOrder
	planning *planning // nil: nothing is being planned
	plan     *ReplayPlan
	err      error // why there is no plan
	playing  *playing
	sent     *playing // that has ended last; nil: nothing was sent of this order
	onPlan   bool     // the plan is shown, though something was sent
	brief    bool     // of what came back only what differs is shown

	modal         modal
	rows          []replayRow
	cursor        int
	offset        int
	mover         component.Mover
	width, height int
}

// planning is the making of a plan.
type planning struct {
	cancel context.CancelFunc
	plan   *ReplayPlan
	err    error
}

// playing is one sending. What came of it is known when it has ended.
type playing struct {
	cancel context.CancelFunc
	result *ReplayResult
	err    error

	mu sync.Mutex
	at ReplayProgress
}

// plannedMsg and playedMsg say that something has ended, progressMsg that it is time to show how
// far it is.
type (
	plannedMsg  struct{ by *planning }
	playedMsg   struct{ by *playing }
	progressMsg struct{ by *playing }
)

// NewReplay makes the view of a flow that is to be sent again, with what is known of the nodes by
// now; player is nil where that is off.
func NewReplay(h *Host, player Replayer, known NodesMsg, of Ref, from Scope) *Replay {
	m := &Replay{Keys: keys.NewReplay(), Move: keys.NewMove(), host: h, player: player, of: of, from: from, nodes: known,
		order: ReplayOrder{Stream: of.Stream, Times: 1}}
	m.ctx, m.close = context.WithCancel(h.Context)
	return m
}

// Init implements Screen.
func (m *Replay) Init() tea.Cmd {
	if m.player == nil || m.of.Stream == "" {
		return nil
	}
	return tea.Batch(m.ask(), askFlow(m.ctx, m.host.Backend, m.of.Stream, m))
}

// ask makes a plan of the order. What was sent of another order is not shown any more.
func (m *Replay) ask() tea.Cmd {
	if m.planning != nil {
		m.planning.cancel()
	}
	p := &planning{}
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(m.ctx)
	m.planning, m.plan, m.err, m.sent, m.onPlan = p, nil, nil, nil, true
	m.lay()
	player, backend, order := m.player, m.host.Backend, m.order
	return func() tea.Msg {
		defer p.cancel()
		func() {
			defer guard(&p.err)
			p.plan, p.err = player.Plan(ctx, backend, order)
		}()
		return plannedMsg{p}
	}
}

// send plays the plan.
func (m *Replay) send() tea.Cmd {
	p := &playing{}
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(m.ctx)
	m.playing = p
	plan := m.plan
	return tea.Batch(m.later(p), func() tea.Msg {
		defer p.cancel()
		func() {
			defer guard(&p.err)
			p.result, p.err = plan.Run(ctx, p.tell)
		}()
		return playedMsg{p}
	})
}

// tell keeps how far it is.
func (p *playing) tell(at ReplayProgress) {
	p.mu.Lock()
	p.at = at
	p.mu.Unlock()
}

// String says how far it is.
func (p *playing) String() string {
	p.mu.Lock()
	at := p.at
	p.mu.Unlock()
	if at.Runs == 0 {
		return "connecting …"
	}
	text := fmt.Sprintf("turn %d of %d, → %s ← %s", at.Turn, at.Turns, component.Bytes(uint64(at.Sent)), component.Bytes(uint64(at.Received)))
	if at.Runs > 1 {
		text = fmt.Sprintf("run %d of %d, ", at.Run, at.Runs) + text
	}
	return text
}

// progressEvery is how often it is shown how far a replay is.
const progressEvery = 250 * time.Millisecond

func (m *Replay) later(p *playing) tea.Cmd {
	ctx := m.ctx
	return func() tea.Msg {
		t := time.NewTimer(progressEvery)
		defer t.Stop()
		select {
		case <-t.C:
			return progressMsg{p}
		case <-ctx.Done():
			return nil
		}
	}
}

// Update implements Screen.
func (m *Replay) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case plannedMsg:
		if msg.by == m.planning {
			m.planning, m.plan, m.err = nil, msg.by.plan, msg.by.err
			m.lay()
		}
	case playedMsg:
		if msg.by == m.playing {
			m.playing, m.sent, m.onPlan = nil, msg.by, false
			m.cursor, m.offset = 0, 0
			m.lay()
		}
	case progressMsg:
		if msg.by == m.playing && m.playing != nil {
			return m.later(msg.by)
		}
	case NodesMsg:
		m.nodes = msg
	case flowMsg:
		if msg.by == any(m) {
			m.flow = msg
		}
	case tea.PasteMsg:
		if m.modal != nil {
			m.modal.paste(msg.Content)
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
		at := m.offset + msg.Y - headLines
		if m.modal != nil || msg.Y < headLines || msg.Y >= headLines+m.room() || at >= len(m.rows) {
			return nil
		}
		if at == m.cursor && !m.onPlan {
			return m.openCall()
		}
		m.to(at)
	}
	return nil
}

// change plans another order, if it is one.
func (m *Replay) change(to func(*ReplayOrder)) tea.Cmd {
	if m.playing != nil {
		return refuse("it is being sent: esc stops that")
	}
	to(&m.order)
	m.cursor, m.offset = 0, 0
	return m.ask()
}

// SetSize implements Screen.
func (m *Replay) SetSize(w, h int) {
	again := w != m.width
	m.width, m.height = w, h
	if again {
		m.lay()
	}
	m.to(m.cursor)
}

// SetStyles implements Screen.
func (m *Replay) SetStyles() { m.lay() }

// Typing implements Screen.
func (m *Replay) Typing() bool { return m.modal != nil }

// Close implements Screen: what is being sent ends.
func (m *Replay) Close() { m.close() }

// Back implements Screen: it stops what is being sent, or planned.
func (m *Replay) Back() (tea.Cmd, bool) {
	switch {
	case m.playing != nil:
		m.playing.cancel()
		return flash("it is being stopped"), true
	case m.planning != nil:
		m.planning.cancel()
		m.planning, m.plan, m.err = nil, nil, context.Canceled
		m.lay()
		return flash("stopped: R plans it anew"), true
	}
	return nil, false
}

// Losses implements Screen.
func (m *Replay) Losses() style.Text {
	if m.plan == nil {
		return ""
	}
	return losses(m.host, &answer{report: m.plan.Report}, nil)
}

// Status implements Screen.
func (m *Replay) Status() (text style.Text, warn bool) {
	switch {
	case m.playing != nil:
		return "▸ sending", true
	case m.planning != nil:
		return "planning …", true
	case m.sent != nil && !m.onPlan:
		return "sent", false
	case m.plan != nil:
		return "dry run", false
	}
	return "", false
}

// Short implements Screen.
func (m *Replay) Short() []key.Binding {
	if m.modal != nil {
		return m.modal.short()
	}
	return m.Keys.Short()
}

// Sections implements Screen.
func (m *Replay) Sections() []keys.Section {
	return []keys.Section{m.Keys.Section(), m.Move.Section(), keys.NewPrompt().Section()}
}

// why says why there is nothing to see.
func (m *Replay) why() reason {
	switch {
	case m.player == nil:
		return reason{what: "Nothing is sent again here.", why: []string{"Replay is turned off on this console."}, do: []string{"esc  leads back"}}
	case m.of.Stream == "":
		return reason{what: "Which flow is to be sent again?", do: []string{"r  on a call, on a flow or in a stream", ":replay ID  with the ID of a stream"}}
	case m.planning != nil:
		return reason{what: "Reading what the client said …", why: []string{"Nothing is sent."}, do: []string{"esc  stops it"}}
	case errors.Is(m.err, context.Canceled):
		return reason{what: "The planning was stopped.", do: []string{"R  plans it anew"}}
	case m.err != nil:
		return reason{what: "This cannot be sent again.", why: strings.Split(m.err.Error(), "\n"), do: []string{"R  plans it anew", "esc  leads back"}, error: true}
	}
	return reason{what: "There is nothing to say about it."}
}
