package view

import (
	"slices"
	"strconv"
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/keys"
	"github.com/sshark/sshark/tui/style"
)

// chooser lets the columns of a list be chosen.
type chooser struct {
	calls  *Calls
	keys   keys.Columns
	list   []column
	cursor int
	adding *ask // nil: no field is being typed
}

func newChooser(m *Calls) *chooser {
	return &chooser{calls: m, keys: keys.NewColumns(), list: slices.Clone(m.columns)}
}

func (c *chooser) paste(s string) {
	if c.adding != nil {
		c.adding.paste(s)
	}
}

func (c *chooser) press(k tea.KeyPressMsg) (cmd tea.Cmd, done bool) {
	if c.adding != nil {
		cmd, done = c.adding.press(k)
		if done {
			c.adding = nil
		}
		return cmd, false
	}
	n, at := len(c.list), &c.list[c.cursor]
	switch {
	case key.Matches(k, c.keys.Close):
		return nil, true
	case key.Matches(k, c.keys.Up):
		c.cursor = (c.cursor + n - 1) % n
	case key.Matches(k, c.keys.Down):
		c.cursor = (c.cursor + 1) % n
	case key.Matches(k, c.keys.Toggle):
		if !at.off && c.shown() == 1 {
			return refuse("this is the only column that is shown"), false
		}
		at.off = !at.off
		return c.set(), false
	case key.Matches(k, c.keys.Earlier):
		return c.swap(-1), false
	case key.Matches(k, c.keys.Later):
		return c.swap(1), false
	case key.Matches(k, c.keys.Wider):
		return c.widen(1), false
	case key.Matches(k, c.keys.Narrower):
		return c.widen(-1), false
	case key.Matches(k, c.keys.Sort):
		if at.off {
			return refuse("show the column first: space"), false
		}
		return c.calls.sortBy(c.calls.indexOf(at)), false
	case key.Matches(k, c.keys.Add):
		c.add()
	case key.Matches(k, c.keys.Remove):
		if at.kind != colField {
			return refuse("only fields can be taken away; space hides %s", at.name()), false
		}
		c.list = slices.Delete(c.list, c.cursor, c.cursor+1)
		c.cursor = min(c.cursor, len(c.list)-1)
		return c.set(), false
	case key.Matches(k, c.keys.Reset):
		c.list, c.cursor = new(Columns).get(), 0
		return c.set(), false
	}
	return nil, false
}

func (c *chooser) set() tea.Cmd { return c.calls.setColumns(slices.Clone(c.list)) }

func (c *chooser) shown() int {
	n := 0
	for _, o := range c.list {
		if !o.off {
			n++
		}
	}
	return n
}

func (c *chooser) swap(d int) tea.Cmd {
	to := c.cursor + d
	if to < 0 || to >= len(c.list) {
		return refuse("it is at the edge already")
	}
	c.list[c.cursor], c.list[to] = c.list[to], c.list[c.cursor]
	c.cursor = to
	return c.set()
}

const maxColumnWidth = 120

func (c *chooser) widen(d int) tea.Cmd {
	at := &c.list[c.cursor]
	if at.width == 0 {
		at.width = at.component().Min
		for i := range c.calls.columns {
			if w := c.calls.table.Shown(i); c.calls.columns[i].name() == at.name() && w > 0 {
				at.width = w
			}
		}
	}
	at.width = max(4, min(maxColumnWidth, at.width+d))
	return c.set()
}

// add lets a field be typed.
func (c *chooser) add() {
	c.adding = &ask{title: "a field", styles: c.calls.host.Styles, prompt: component.NewPrompt("field", `host, request.headers["x-id"]`, c.calls.host.Styles),
		check: func(v string) error { return c.calls.host.checkColumn(strings.TrimSpace(v)) },
		items: func(v string, cursor int) []component.Item {
			var out []component.Item
			for _, i := range c.calls.host.complete(v, cursor) {
				if i.Kind == "field" || i.Kind == "string" || i.Kind == "int" || i.Kind == "bool" {
					out = append(out, component.Item{Text: i.Text, Start: i.Start, Kind: i.Kind, Help: i.Help})
				}
			}
			return out
		},
		done: func(v string) tea.Cmd {
			if v = strings.TrimSpace(v); v == "" {
				return nil
			}
			list, cmd := addColumn(c.list, v)
			if cmd != nil {
				return cmd
			}
			c.list, c.cursor = list, len(list)-1
			for i := range list {
				if list[i].field == v {
					c.cursor = i
				}
			}
			return c.set()
		}}
	c.adding.prompt.Open("")
}

// addColumn puts a field before the summary; refused says why it cannot be.
func addColumn(list []column, field string) (out []column, refused tea.Cmd) {
	if i := slices.IndexFunc(list, func(o column) bool { return o.kind == colField && dotted(o.field) == dotted(field) }); i >= 0 {
		if !list[i].off {
			return nil, refuse("%s is a column already", field)
		}
		out = slices.Clone(list)
		out[i].off = false
		return out, nil
	}
	if len(list) >= maxColumns {
		return nil, refuse("there are %d columns: C and x take one away", len(list))
	}
	at := slices.IndexFunc(list, func(o column) bool { return o.kind == colSummary })
	return slices.Insert(slices.Clone(list), max(0, at), column{kind: colField, field: field}), nil
}

func (c *chooser) box(w, h int) ([]string, *Cursor) {
	st := c.calls.host.Styles
	inner := min(w-4, 56)
	rows := max(1, min(len(c.list), h-2))
	from := max(0, min(c.cursor-rows/2, len(c.list)-rows))
	var lines []string
	for i := from; i < min(len(c.list), from+rows); i++ {
		o := &c.list[i]
		on, look, sign := style.Plain, st.Text, "● "
		if i == c.cursor {
			on = style.Selected
		}
		if o.off {
			look, sign = st.Faint, "  "
		}
		width := style.Text("as there is room")
		if o.width > 0 {
			width = style.Text(strconv.Itoa(o.width) + " cells")
		}
		lines = append(lines, st.On(st.Mark, on).Render(sign)+st.On(look, on).Render(style.Clean(o.name()).Fit(inner-20))+
			st.On(st.Dim, on).Render(width.FitRight(18)))
	}
	out := component.Box(st, "columns", inner, lines)
	if c.adding == nil {
		return out, nil
	}
	over, cursor := c.adding.box(w, h)
	return over, cursor
}

func (c *chooser) short() []key.Binding {
	if c.adding != nil {
		return c.adding.short()
	}
	return c.keys.Short()
}
