package view

import (
	"fmt"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/sshark/sshark/pcap/layers"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/style"
)

// layerTree is the pane of one packet's layers, with its bytes.
type layerTree struct {
	styles *style.Styles
	clock  Clock

	row    *packetRow
	layers []layers.Layer
	open   map[string]bool // layers that are unfolded, by name: also of the next packet
	lines  []treeLine
	cursor int
	offset int
	mover  component.Mover

	height int
}

// treeLine is a layer, or a field of one.
type treeLine struct {
	layer, field int // field is -1 for the layer itself
}

// show takes a packet apart.
func (t *layerTree) show(row *packetRow) {
	if t.row == row {
		return
	}
	t.row, t.layers = row, nil
	if row != nil {
		t.layers = append([]layers.Layer{row.frame(t.clock)}, layers.Decode(row.packet.Iface.Link, row.packet.Data)...)
	}
	t.lay()
}

func (t *layerTree) lay() {
	t.lines = t.lines[:0]
	for i := range t.layers {
		t.lines = append(t.lines, treeLine{i, -1})
		if t.open[t.layers[i].Name] {
			for k := range t.layers[i].Fields {
				t.lines = append(t.lines, treeLine{i, k})
			}
		}
	}
	t.to(t.cursor)
}

func (t *layerTree) to(at int) {
	n := len(t.lines)
	t.cursor = max(0, min(at, n-1))
	if t.cursor < t.offset {
		t.offset = t.cursor
	}
	if t.cursor >= t.offset+t.height {
		t.offset = t.cursor - t.height + 1
	}
	t.offset = max(0, min(t.offset, n-t.height))
}

// fold folds or unfolds the layer at the cursor.
func (t *layerTree) fold(open func(was bool) bool) {
	if t.cursor >= len(t.lines) {
		return
	}
	i := t.lines[t.cursor].layer
	name := t.layers[i].Name
	t.open[name] = open(t.open[name])
	t.lay()
	for at, l := range t.lines {
		if l.layer == i && (l.field == -1 || at == t.cursor) {
			t.to(at)
			return
		}
	}
}

// foldAll unfolds all layers, or folds them where one is unfolded.
func (t *layerTree) foldAll() {
	any := false
	for i := range t.layers {
		any = any || t.open[t.layers[i].Name]
	}
	for i := range t.layers {
		t.open[t.layers[i].Name] = !any
	}
	t.lay()
}

// span are the bytes of what the cursor is on.
func (t *layerTree) span() (from, to int) {
	if t.cursor >= len(t.lines) {
		return 0, 0
	}
	l := t.lines[t.cursor]
	if l.field < 0 {
		return t.layers[l.layer].From, t.layers[l.layer].To
	}
	f := t.layers[l.layer].Fields[l.field]
	return f.From, f.To
}

// text is the line at the cursor, to be copied.
func (t *layerTree) text() string {
	if t.cursor >= len(t.lines) {
		return ""
	}
	l := t.lines[t.cursor]
	if l.field < 0 {
		return string(style.Clean(t.layers[l.layer].Name + ": " + t.layers[l.layer].Summary))
	}
	f := t.layers[l.layer].Fields[l.field]
	return string(style.Clean(f.Name + ": " + f.Value))
}

// view draws the layers in w cells.
func (t *layerTree) view(w int, focused bool) []string {
	st := t.styles
	out := make([]string, 0, t.height)
	for i := t.offset; i < min(len(t.lines), t.offset+t.height); i++ {
		l := t.lines[i]
		layer := &t.layers[l.layer]
		var line component.Line
		if l.field < 0 {
			sign := style.Text(" ▸ ")
			switch {
			case len(layer.Fields) == 0:
				sign = "   "
			case t.open[layer.Name]:
				sign = " ▾ "
			}
			line.Spans = []component.Span{{Text: sign, Style: st.Faint}, {Text: style.Clean(layer.Name), Style: st.Accent},
				{Text: "  " + style.Clean(layer.Summary), Style: st.Text}}
		} else {
			f := &layer.Fields[l.field]
			line.Spans = []component.Span{{Text: "     " + style.Clean(f.Name) + "  ", Style: st.Dim}, {Text: style.Clean(f.Value), Style: st.Text}}
		}
		on := style.Plain
		if i == t.cursor {
			on = style.Idle
			if focused {
				on = style.Selected
			}
		}
		out = append(out, line.Render(st, w, on))
	}
	for len(out) < t.height {
		out = append(out, style.Blank(w))
	}
	return out
}

// hex draws the bytes in w times h cells, those of the cursor marked.
func (t *layerTree) hex(w, h int) []string {
	st := t.styles
	out := make([]string, 0, h)
	row := 16
	if w < 6+16*3+1+16+2 {
		row = 8
	}
	var b []byte
	if t.row != nil {
		b = t.row.packet.Data
	}
	from, to := t.span()
	first := from / row
	if n := (to - 1) / row; n-first < h {
		first = max(0, n-h+1)
	}
	if total := (len(b) + row - 1) / row; first+h > total {
		first = max(0, total-h)
	}
	picked := st.Warn
	if !st.Colors {
		picked = st.Strong
	}
	for at := first * row; at < len(b) && len(out) < h; at += row {
		line := component.Line{Spans: []component.Span{{Text: style.Text(fmt.Sprintf(" %04x ", at)), Style: st.Faint}}}
		put := func(s string, look lipgloss.Style) {
			line.Spans = append(line.Spans, component.Span{Text: style.Text(s), Style: look})
		}
		var ascii [3]strings.Builder // before, in and behind what is marked
		for i := at; i < at+row; i++ {
			if i >= len(b) {
				put("   ", st.Text)
				continue
			}
			look, part := st.Dim, 0
			switch {
			case i >= to:
				part = 2
			case i >= from:
				look, part = picked.Reverse(true), 1
			}
			put(" ", st.Text)
			put(fmt.Sprintf("%02x", b[i]), look)
			c := b[i]
			if c < 0x20 || c >= 0x7f {
				c = '.'
			}
			ascii[part].WriteByte(c)
		}
		put("  ", st.Text)
		put(ascii[0].String(), st.Dim)
		put(ascii[1].String(), picked.Reverse(true))
		put(ascii[2].String(), st.Dim)
		out = append(out, line.Render(st, w, style.Plain))
	}
	for len(out) < h {
		out = append(out, style.Blank(w))
	}
	return out
}
