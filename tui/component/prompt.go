package component

import (
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/sshark/sshark/tui/keys"
	"github.com/sshark/sshark/tui/style"
)

// State is the judgement of what is in a prompt.
type State uint8

// Idle: empty, or not judged yet.
const (
	Idle State = iota
	Good
	Bad
)

// Item is one thing that a prompt can be completed to.
type Item struct {
	Text  string // what is inserted, from byte Start to the cursor
	Start int
	Kind  string // "string", "duration", "function"
	Help  string
}

// Prompt is a line to type in, with completion, a judgement and what was typed before. Its
// owner judges the value and sets State, Message and Items.
type Prompt struct {
	Label   style.Text
	Direct  bool       // choosing a completion with enter accepts it
	Empty   style.Text // said while nothing is typed
	Keys    keys.Prompt
	Styles  *style.Styles
	Input   Input
	State   State
	Message string // why State is Bad; may have lines
	Items   []Item

	History *History // what was typed before; prompts may share it

	chosen int // -1: none
	recall int // how far back, 0: not
	draft  string
}

// NewPrompt makes a prompt.
func NewPrompt(label, empty style.Text, st *style.Styles) Prompt {
	return Prompt{Label: label, Empty: empty, Keys: keys.NewPrompt(), Styles: st, History: &History{}, chosen: -1}
}

// Open starts with a value.
func (p *Prompt) Open(value string) {
	p.Input.Set(value)
	p.chosen, p.recall = -1, 0
	p.Items, p.State, p.Message = nil, Idle, ""
}

// SetItems replaces what there is to choose from.
func (p *Prompt) SetItems(items []Item) {
	p.Items = items
	p.chosen = -1
}

// Remember adds a value to what was typed before.
func (p *Prompt) Remember(v string) { p.History.Add(v) }

// Event is what a key meant.
type Event uint8

// Changed: the value is another one now. Accepted and Cancelled end the typing.
const (
	Nothing Event = iota
	Changed
	Accepted
	Cancelled
)

// Press handles a key.
func (p *Prompt) Press(k tea.KeyPressMsg) Event {
	switch {
	case key.Matches(k, p.Keys.Cancel):
		return Cancelled
	case key.Matches(k, p.Keys.Accept):
		if p.chosen >= 0 {
			if e := p.complete(); !p.Direct {
				return e
			}
		}
		return Accepted
	case key.Matches(k, p.Keys.Complete):
		return p.complete()
	case key.Matches(k, p.Keys.Down):
		switch {
		case p.recall > 0:
			return p.older(-1)
		case len(p.Items) > 0:
			p.chosen = (p.chosen + 1) % len(p.Items)
		}
		return Nothing
	case key.Matches(k, p.Keys.Up):
		if p.chosen >= 0 {
			p.chosen--
			return Nothing
		}
		return p.older(1)
	}
	changed, _ := p.Input.Press(k)
	if changed {
		p.recall = 0
		return Changed
	}
	return Nothing
}

// Paste inserts what the terminal pasted.
func (p *Prompt) Paste(s string) Event {
	p.Input.Insert(s)
	return Changed
}

func (p *Prompt) complete() Event {
	if len(p.Items) == 0 {
		return Nothing
	}
	it := p.Items[max(0, p.chosen)]
	p.Input.Replace(it.Start, it.Text)
	p.SetItems(nil)
	return Changed
}

func (p *Prompt) older(d int) Event {
	to := p.recall + d
	if to < 0 || to > len(p.History.list) {
		return Nothing
	}
	if p.recall == 0 {
		p.draft = p.Input.Value()
	}
	p.recall = to
	if to == 0 {
		p.Input.Set(p.draft)
	} else {
		p.Input.Set(p.History.at(to))
	}
	return Changed
}

// sign says the state also where there is no colour.
func (p *Prompt) look() (lipgloss.Style, style.Text) {
	switch p.State {
	case Good:
		return p.Styles.FilterGood, "✓"
	case Bad:
		return p.Styles.FilterBad, "✗"
	}
	return p.Styles.FilterIdle, " "
}

// View draws the line while it is typed, and says at which cell the cursor is.
func (p *Prompt) View(w int) (line string, cursor int) {
	st, sign := p.look()
	room := w - p.Label.Width() - 4
	text, cell, _ := p.Input.Visible(room)
	if len(p.Input.Value()) == 0 {
		line = st.Render(" "+string(p.Label)+" ") + p.Styles.On(st.Faint(true), style.Plain).Render(p.Empty.Fit(room)) + st.Render(string(sign)+" ")
		return line, p.Label.Width() + 2
	}
	return st.Render(" " + string(p.Label) + " " + text.Fit(room) + string(sign) + " "), p.Label.Width() + 2 + cell
}

// popupWidth is the width that shows all of the popup.
func (p *Prompt) popupWidth() int {
	w, name, kind := 24, 8, 4
	if p.State == Bad {
		for l := range strings.SplitSeq(p.Message, "\n") {
			w = max(w, style.Clean(l).Width()+2)
		}
	}
	for _, it := range p.Items {
		name, kind = max(name, style.Clean(it.Text).Width()), max(kind, min(10, len(it.Kind)))
	}
	for _, it := range p.Items {
		w = max(w, name+kind+style.Clean(it.Help).Width()+18)
	}
	return w
}

// Popup draws what is below the line: why it is wrong, and what it can be completed to. It
// has at most rows lines of at most w cells, all of one width.
func (p *Prompt) Popup(w, rows int) []string {
	var lines []string
	w = min(w, p.popupWidth())
	if p.State == Bad && p.Message != "" {
		for l := range strings.SplitSeq(strings.TrimRight(p.Message, "\n"), "\n") {
			if len(lines) < min(4, rows) {
				lines = append(lines, p.Styles.On(p.Styles.Error, style.Plain).Inherit(p.Styles.Popup).Render(" "+style.Clean(l).Fit(w-1)))
			}
		}
	}
	room := min(rows-len(lines), 8, len(p.Items))
	if room <= 0 {
		return lines
	}
	from := max(0, min(p.chosen-room+1, len(p.Items)-room))
	name, kind := 8, 4
	for _, it := range p.Items {
		name = max(name, style.Clean(it.Text).Width())
		kind = max(kind, len(it.Kind))
	}
	name, kind = min(name, w/2), min(kind, 10)
	for i := from; i < from+room; i++ {
		it := p.Items[i]
		st := p.Styles.Popup
		mark := "  "
		if i == p.chosen {
			st = p.Styles.PopupSel
			mark = "› "
		}
		help := style.Clean(it.Help)
		if n := len(p.Items); i == from+room-1 && n > room {
			help = style.Clean(strings.TrimSpace(it.Help + "  (" + itoa(n) + " in all)"))
		}
		lines = append(lines,
			st.Render(mark+style.Clean(it.Text).Fit(name)+" ")+
				st.Inherit(p.Styles.Dim).Render(style.Clean(it.Kind).Fit(kind)+" "+help.Fit(w-name-kind-4)))
	}
	return lines
}
