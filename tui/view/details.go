package view

import (
	"context"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/keys"
	"github.com/sshark/sshark/tui/style"
)

// detailTimeout is how long one call may take to be found again.
const detailTimeout = 30 * time.Second

// Details is the pane of one call: what it was, between whom, how long each part took, its
// fields and bodies.
type Details struct {
	Keys   keys.Detail
	host   *Host
	styles *style.Styles

	row    *row
	detail *Detail
	err    error
	number int // of the question
	cancel context.CancelFunc

	lines         []component.Line
	cursor        int
	offset        int
	mover         component.Mover
	width, height int
	layout        bodyLayout
	folded        map[style.Text]bool // sections, by their name
	find          string
}

// bodyLayout is how bodies are shown.
type bodyLayout uint8

const (
	laidOut bodyLayout = iota
	asSent
	inHex
)

func (b bodyLayout) String() string { return [...]string{"laid out", "as sent", "in hex"}[b] }

// detailMsg is the answer for one call.
type detailMsg struct {
	number int
	detail *Detail
	err    error
}

func newDetails(h *Host) Details {
	return Details{Keys: keys.NewDetail(), host: h, styles: h.Styles, folded: map[style.Text]bool{}}
}

// SetSize says how many cells there are, the title line included.
func (d *Details) SetSize(w, h int) {
	again := w != d.width
	d.width, d.height = w, h
	if again {
		d.relayout()
	}
	d.to(d.cursor)
}

// open shows a call: what its row says at once, the rest when it was found. It waits first,
// so that moving through a list does not ask for each call on the way.
func (d *Details) open(ctx context.Context, b Backend, r *row, wait time.Duration) tea.Cmd {
	if d.row == r && (d.detail != nil || d.cancel != nil) {
		return nil
	}
	d.close()
	d.number++
	d.row, d.detail, d.err = r, nil, nil
	d.cursor, d.offset = 0, 0
	d.relayout()
	number, ref := d.number, r.ref()
	ctx, d.cancel = context.WithTimeout(ctx, detailTimeout+wait)
	return func() tea.Msg {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
		msg := detailMsg{number: number}
		func() {
			defer guard(&msg.err)
			msg.detail, msg.err = b.Detail(ctx, ref)
		}()
		return msg
	}
}

func (d *Details) close() {
	if d.cancel != nil {
		d.cancel()
		d.cancel = nil
	}
	d.row, d.detail, d.err, d.lines = nil, nil, nil, nil
}

func (d *Details) take(msg detailMsg) {
	if msg.number != d.number || d.row == nil {
		return
	}
	if d.cancel != nil {
		d.cancel()
		d.cancel = nil
	}
	d.detail, d.err = msg.detail, msg.err
	d.relayout()
}

// nextLayout shows bodies the next way.
func (d *Details) nextLayout() bodyLayout {
	d.layout = (d.layout + 1) % 3
	d.relayout()
	return d.layout
}

func (d *Details) relayout() {
	if d.row == nil || d.width == 0 {
		return
	}
	d.lines = d.hide(d.build(d.width - 2))
	d.to(d.cursor)
}

func (d *Details) rows() int { return max(0, d.height-1) }

func (d *Details) to(at int) {
	n := len(d.lines)
	d.cursor = max(0, min(at, n-1))
	if d.cursor < d.offset {
		d.offset = d.cursor
	}
	if d.cursor >= d.offset+d.rows() {
		d.offset = d.cursor - d.rows() + 1
	}
	d.offset = max(0, min(d.offset, n-d.rows()))
}

func (d *Details) scroll(by int) {
	d.offset = max(0, min(d.offset+by, len(d.lines)-d.rows()))
	d.cursor = max(d.offset, min(d.cursor, d.offset+d.rows()-1))
}

func (d *Details) click(line int) {
	if line > 0 && d.offset+line-1 < len(d.lines) {
		d.to(d.offset + line - 1)
	}
}

func (d *Details) press(k tea.KeyPressMsg, move keys.Move) tea.Cmd {
	to, mine := d.mover.Press(k, move, d.cursor, len(d.lines), d.rows())
	switch {
	case mine:
		d.to(to)
	case key.Matches(k, d.Keys.Again):
		return d.search(1)
	case key.Matches(k, d.Keys.Before):
		return d.search(-1)
	case key.Matches(k, d.Keys.Fold):
		return d.fold()
	case key.Matches(k, d.Keys.FoldAll):
		return d.foldAll()
	}
	return nil
}

// filter is the filter that the line under the cursor stands for.
func (d *Details) filter() string {
	if d.cursor < len(d.lines) {
		return d.lines[d.cursor].Filter
	}
	return ""
}

func (d *Details) yank() tea.Cmd {
	if d.cursor >= len(d.lines) {
		return refuse("there is nothing to copy")
	}
	l := d.lines[d.cursor]
	if l.Body > 0 && d.detail != nil {
		b := d.detail.Bodies[l.Body-1]
		if !component.IsText(b.Data) {
			return refuse("a binary body is not for a clipboard: get its packets with the pcap command or scp")
		}
		return yank([]string{"the request's body", "the response's body"}[l.Body-1], printable(b.Data))
	}
	text := l.Copy
	if text == "" {
		text = l.Text()
	}
	return yank("the line", text)
}

// printable is text with its line breaks and tabs, but without other control characters: what
// is pasted may end up in a shell.
func printable(b []byte) string {
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		n := 0
		for n < len(b) && b[n] != '\n' && b[n] != '\t' {
			n++
		}
		part := b[:n]
		if n > 0 && n < len(b) && b[n] == '\n' && part[n-1] == '\r' {
			part = part[:n-1]
		}
		out = append(out, style.Clean(string(part))...)
		if n < len(b) {
			out = append(out, b[n])
			n++
		}
		b = b[n:]
	}
	return string(out)
}

// View draws the pane.
func (d *Details) View(focused bool) []string {
	st := d.styles
	out := make([]string, 0, d.height)
	out = append(out, d.title(focused))
	for i := d.offset; i < min(len(d.lines), d.offset+d.rows()); i++ {
		on := style.Plain
		if i == d.cursor && focused {
			on = style.Selected
		}
		sign := st.On(st.Text, on).Render(" ")
		if d.find != "" && d.matches(i) {
			sign = st.On(st.Accent, on).Render("›")
		}
		out = append(out, sign+d.lines[i].Render(st, d.width-1, on))
	}
	for len(out) < d.height {
		out = append(out, style.Blank(d.width))
	}
	return out
}

// title is the rule above the pane, with where one is in it.
func (d *Details) title(focused bool) string {
	st := d.styles
	look := st.Dim
	if focused {
		look = st.Accent
	}
	name := style.Text("details")
	if d.row != nil {
		name = d.row.title() + " " + d.row.summary
	}
	pos := style.Text("")
	if n := len(d.lines); n > d.rows() && n > 0 {
		pos = style.Text(" "+group(uint64(min(n, d.offset+d.rows()))*100/uint64(n))) + "% "
	}
	name = style.Text(name.Cut(d.width - 8 - pos.Width()))
	rule := d.width - 4 - name.Width() - pos.Width()
	return st.Faint.Render("── ") + look.Render(string(name)) + st.Faint.Render(" "+line(rule)) + st.Dim.Render(string(pos))
}

func line(n int) string {
	r := make([]rune, max(0, n))
	for i := range r {
		r[i] = '─'
	}
	return string(r)
}

// bodyName says what a body is.
func bodyName(b *dissect.Body) string {
	s := component.Bytes(uint64(max(0, b.Size)))
	if b.Type != "" {
		s = b.Type + ", " + s
	}
	if b.Encoding != "" {
		s += ", " + b.Encoding + " opened"
	}
	return s
}
