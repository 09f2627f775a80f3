package view

import (
	"context"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/keys"
	"github.com/sshark/sshark/tui/style"
)

// Screen is what the root shows one of. It is used by the one goroutine of its session.
type Screen interface {
	// Init starts to ask; it is called once.
	Init() tea.Cmd
	// Update handles a message. Keys, pasted text and the mouse reach the screen that is shown,
	// all other messages every screen: those that answer a question carry who asked. Mouse
	// positions are relative to the screen's own corner.
	Update(msg tea.Msg) tea.Cmd
	// View draws the screen as lines, as many as SetSize said; cursor is that of what is typed,
	// nil: nothing.
	View() (lines []string, cursor *Cursor)
	SetSize(w, h int)
	// SetStyles is called when Host.Styles has changed.
	SetStyles()
	// Typing says whether keys are text, or an answer, now.
	Typing() bool
	// Back undoes the innermost thing; ok is false if there is none.
	Back() (cmd tea.Cmd, ok bool)
	// Status says what it is doing, for the line above.
	Status() (text style.Text, warn bool)
	// Losses says what is missing from what is shown, "" if nothing.
	Losses() style.Text
	// Short are the keys for the bottom line, Sections those for the help screen.
	Short() []key.Binding
	Sections() []keys.Section
	// Close ends what it asked for.
	Close()
}

// Scoped is a screen that shows what a scope has. The root hands the scope on.
type Scoped interface {
	Screen
	Scope() Scope
	SetScope(Scope) tea.Cmd
}

// Scope is what is looked at: a time, and a filter that was checked.
type Scope struct {
	Window Window
	Filter string
}

// Query is the question for a scope as it is now, and that in words.
func (s Scope) Query(clock Clock) (q Query, about string) {
	q = Query{Filter: s.Filter}
	q.Since, q.Until = s.Window.Bounds(clock.Now())
	about = s.Window.Text(clock)
	if q.Filter != "" {
		about += ", " + q.Filter
	}
	return q, about
}

// Host is what a screen lives in. It is shared by the screens of a session.
type Host struct {
	Context context.Context // ends every question
	Backend Backend
	Clock   Clock
	Styles  *style.Styles
	Home    Window  // what is looked at first, and where 0 leads back to
	Newest  int64   // time of the newest packet that the nodes told of, ns; 0: it is not known
	Memory  *Memory // nil: every screen has its own
	Shared  *Shared // by all screens of the console; nil: nothing is
}

// Memory is what the screens of a session remember together.
type Memory struct {
	Filters, Windows component.History // that were typed
	Saved            Saved
	Columns          Columns
}

// GoMsg asks the root to show a screen on top of the one there is; esc leads back.
type GoMsg struct {
	View  string // its name, as typed after ":"
	Scope Scope  // for a screen that has one
	Of    Ref    // what it is of, such as a stream
}

// Go asks for a screen.
func Go(to GoMsg) tea.Cmd { return func() tea.Msg { return to } }

// Check says what is wrong with a filter; nil: nothing.
func (h *Host) Check(filter string) (err error) {
	defer guard(&err)
	return h.Backend.Check(filter)
}

// checkColumn says why a field cannot be a column; nil: it can.
func (h *Host) checkColumn(field string) (err error) {
	defer guard(&err)
	_, err = h.Backend.Columns(dotted(field))
	return err
}

// complete says what may stand where the cursor is.
func (h *Host) complete(filter string, cursor int) (out []Completion) {
	var err error // what is offered is a help, no more
	defer guard(&err)
	return h.Backend.Complete(filter, cursor)
}
