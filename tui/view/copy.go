package view

import (
	"bytes"
	"context"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/tui/component"
)

// work is the copying of calls whose whole content has to be read first, one after the other.
type work struct {
	form   copyForm
	rows   []*row
	at     int
	text   bytes.Buffer
	why    string // of the last that could not be copied
	failed int
	cancel context.CancelFunc
}

// copyForm is as what calls are copied.
type copyForm uint8

const (
	copyText copyForm = iota
	copyBody
	copyCommand
	copyJSON
	copyStream
	copySCP
)

// copiedMsg is one call of a work.
type copiedMsg struct {
	work   *work
	detail *Detail
	err    error
}

// maxCopied is how many calls are read to be copied.
const maxCopied = 100

// openCopy asks as what the selected or the marked calls are to be copied.
func (m *Calls) openCopy() tea.Cmd {
	if m.selected == nil {
		return refuse("there is nothing to copy")
	}
	rows := m.markedRows()
	what := "the call"
	if len(rows) > 0 {
		what = count(len(rows), "marked call")
	} else {
		rows = []*row{m.selected}
	}
	many := ""
	if len(rows) > maxCopied {
		many = "only " + count(maxCopied, "call") + " at once"
	}
	first := component.Choice{Key: "c", Text: "text", Help: "one line each, as here"}
	if m.onDetail {
		first = component.Choice{Key: "c", Text: "this line", Help: "or the body that it is of"}
	}
	choices := []component.Choice{first,
		{Key: "u", Text: "command", Help: "curl, grpcurl, redis-cli, dig, or the query", Off: many},
		{Key: "o", Text: "JSON", Help: "as calls -o json prints it", Off: many},
		{Key: "s", Text: "stream ID", Help: "for the stream and pcap commands"},
		{Key: "p", Text: "scp line", Help: "that gets its packets"},
	}
	m.modal = &menu{Menu: component.NewMenu(m.host.Styles, "copy as", choices), chosen: func(i int) tea.Cmd {
		form := [...]copyForm{copyText, copyCommand, copyJSON, copyStream, copySCP}[i]
		if form == copyText && m.onDetail {
			form = copyBody
		}
		return m.copyAs(form, rows, what)
	}}
	return nil
}

func (m *Calls) copyAs(form copyForm, rows []*row, what string) tea.Cmd {
	var lines []string
	add := func(s string) {
		if len(lines) == 0 || lines[len(lines)-1] != s {
			lines = append(lines, s)
		}
	}
	switch form {
	case copyBody:
		return m.Detail.yank()
	case copyCommand, copyJSON:
		return m.startWork(form, rows)
	case copyStream:
		what = "the stream of " + what
	case copySCP:
		what = "the scp line of " + what
	}
	for _, r := range rows {
		switch form {
		case copyStream:
			add(r.flow.stream)
		case copySCP:
			add(scpOf(m.console(), r.flow.stream))
		default:
			lines = append(lines, r.line(m.host.Clock.Location))
		}
	}
	if len(lines) == 1 {
		return yank(what, lines[0])
	}
	return yank(what, strings.Join(lines, "\n")+"\n")
}

// startWork reads calls, one after the other, and copies what becomes of them.
func (m *Calls) startWork(form copyForm, rows []*row) tea.Cmd {
	m.stopWork()
	m.work = &work{form: form, rows: rows}
	return m.nextWork()
}

// nextWork reads the next call.
func (m *Calls) nextWork() tea.Cmd {
	w, backend, ref := m.work, m.host.Backend, m.work.rows[m.work.at].ref()
	if w.cancel != nil {
		w.cancel()
	}
	ctx, cancel := context.WithTimeout(m.host.Context, detailTimeout)
	w.cancel = cancel
	if d := m.Detail.detail; d != nil && d.ID == ref.ID && m.Detail.row != nil && m.Detail.row.ref() == ref {
		return func() tea.Msg { return copiedMsg{work: w, detail: d} }
	}
	return func() tea.Msg {
		msg := copiedMsg{work: w}
		func() {
			defer guard(&msg.err)
			msg.detail, msg.err = backend.Detail(ctx, ref)
		}()
		return msg
	}
}

// stopWork ends the copying; ok is false if nothing was copied.
func (m *Calls) stopWork() (ok bool) {
	if m.work == nil {
		return false
	}
	m.work.cancel()
	m.work = nil
	return true
}

// copied takes one call, and goes on to the next.
func (m *Calls) copied(msg copiedMsg) tea.Cmd {
	w := m.work
	if w == nil || msg.work != w {
		return nil // it was cancelled
	}
	text, why := "", ""
	switch {
	case msg.err != nil:
		why = firstLine(msg.err.Error())
	case w.form == copyJSON:
		text = string(msg.detail.JSON)
	default:
		text, why = command(msg.detail)
	}
	if why != "" {
		w.failed++
		w.why = why
	} else if w.text.Len() <= maxClipboard {
		if w.text.Len() > 0 {
			w.text.WriteByte('\n')
		}
		w.text.WriteString(text)
	}
	if w.at++; w.at < len(w.rows) {
		return m.nextWork()
	}
	m.stopWork()
	what := "the call as JSON"
	n := len(w.rows) - w.failed
	switch {
	case n == 0:
		return refuse("nothing was copied: %s", w.why)
	case w.form == copyCommand && n == 1:
		what = "the command"
	case w.form == copyCommand:
		what = count(n, "command")
	case n > 1:
		what = count(n, "call") + " as JSON"
	}
	out := w.text.String()
	if len(w.rows) > 1 {
		out += "\n"
	}
	if w.failed > 0 {
		what += ", without " + count(w.failed, "other") + ": " + w.why
	}
	return yank(what, out)
}

// progress says how far the copying is, "" if nothing is copied.
func (m *Calls) progress() string {
	if m.work == nil {
		return ""
	}
	return "copying " + group(uint64(m.work.at+1)) + " of " + group(uint64(len(m.work.rows))) + ", esc cancels"
}
