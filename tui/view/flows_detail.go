package view

import (
	"context"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/tcp"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/style"
)

// flowPane says how one flow went, as its packets tell.
type flowPane struct {
	host   *Host
	row    *flowRow
	cancel context.CancelFunc // nil: nothing is asked
	number int
	found  *examinedFlowMsg

	width, height int
}

// flowPaneHeight is how many lines the pane has where there is room.
const flowPaneHeight = 16

// maxExamined bounds how many packets of one flow are read for it.
const maxExamined = 500_000

// examinedFlowMsg is what the packets of a flow tell.
type examinedFlowMsg struct {
	pane    *flowPane
	number  int
	summary tcp.Summary
	turned  bool // direction 0 of the summary is the server's
	packets [2]uint64
	payload [2]uint64
	total   int
	more    bool
	err     error
}

// show asks for the packets of a flow. It waits first, so that moving through a list does not
// read each flow on the way.
func (p *flowPane) show(row *flowRow) tea.Cmd {
	if row == p.row && (row == nil || p.found != nil || p.cancel != nil) {
		return nil
	}
	if p.cancel != nil {
		p.cancel()
		p.cancel = nil
	}
	p.row, p.found = row, nil
	p.number++
	if row == nil {
		return nil
	}
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(p.host.Context)
	msg := examinedFlowMsg{pane: p, number: p.number}
	backend, id, client := p.host.Backend, row.flow.ID.String(), row.flow.Client.Addr
	return func() tea.Msg {
		t := time.NewTimer(flushEvery)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
		var a tcp.Analyzer
		var h flow.Header
		func() {
			defer guard(&msg.err)
			_, msg.err = backend.Packets(ctx, Query{Stream: id}, packetFuncs{packet: func(packet *pcap.Packet) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				if msg.total == maxExamined {
					msg.more = true
					return errEnough
				}
				msg.total++
				if !h.Parse(packet.Iface.Link, packet.Data) {
					return nil
				}
				msg.turned = h.Key.Addr(flow.AtoB) != client
				msg.packets[h.Dir]++
				msg.payload[h.Dir] += uint64(max(0, h.WireEnd-h.Payload))
				a.Packet(&h, packet.Data, packet.Time)
				return nil
			}})
		}()
		msg.summary = a.Summary()
		return msg
	}
}

func (p *flowPane) take(msg examinedFlowMsg) {
	if msg.pane != p || msg.number != p.number || p.row == nil {
		return
	}
	p.cancel()
	p.cancel = nil
	p.found = &msg
}

// view draws the pane.
func (p *flowPane) view() []string {
	st := p.host.Styles
	out := make([]string, 0, p.height)
	name := style.Text("flow")
	if p.row != nil {
		name = p.row.client.full + " → " + p.row.server.full + "  " + style.Text(p.row.flow.ID.String())
	}
	name = style.Text(name.Cut(p.width - 6))
	out = append(out, st.Faint.Render("── ")+st.Accent.Render(string(name))+st.Faint.Render(" "+line(p.width-4-name.Width())))
	for _, l := range p.lines() {
		if len(out) < p.height {
			out = append(out, " "+l.Render(st, p.width-1, style.Plain))
		}
	}
	for len(out) < p.height {
		out = append(out, style.Blank(p.width))
	}
	return out
}

// lines are what there is to say.
func (p *flowPane) lines() []component.Line {
	st := p.host.Styles
	var out []component.Line
	say := func(name, value string, bad bool) {
		look := st.Text
		if bad {
			look = st.Warn
		}
		out = append(out, component.Line{Spans: []component.Span{{Text: style.Text(style.Text(name).Fit(10)), Style: st.Dim}, {Text: style.Clean(value), Style: look}}})
	}
	f := p.found
	switch {
	case p.row == nil:
		return nil
	case f == nil:
		say("", "reading its packets …", false)
		return out
	}
	if a := (&answer{err: f.err}); a.failed() != "" {
		for l := range strings.SplitSeq(a.failed(), "\n") {
			say("", l, true)
		}
		say("", "How it went is told by its packets, which were not all read.", false)
		if f.total == 0 {
			return out
		}
	}
	client, server := flow.AtoB, flow.BtoA
	if f.turned {
		client, server = server, client
	}
	note := ""
	if f.more {
		note = ", only the first were read"
	}
	say("ends", p.row.flow.Client.Addr.String()+" → "+p.row.flow.Server.Addr.String(), false)
	if p.row.flow.Transport != flow.TCP {
		say("packets", fmt.Sprintf("→ %s  ← %s%s", group(f.packets[client]), group(f.packets[server]), note), false)
		say("payload", fmt.Sprintf("→ %s  ← %s", component.Bytes(f.payload[client]), component.Bytes(f.payload[server])), false)
		end := "still open"
		if p.row.flow.State == dissect.Closed {
			end = "idle: nothing came for a minute"
		}
		say("ended", end, false)
		return out
	}
	s := &f.summary
	end, bad := ended(s, client, p.host.Clock)
	say("ended", end, bad)
	say("opening", opening(s, p.row.flow.Vantage), s.End == tcp.Refused || s.End == tcp.Opening)
	if f.more {
		say("packets", "only the first "+group(uint64(f.total))+" were read", true)
	}
	out = append(out, component.Line{Spans: []component.Span{{Text: style.Text(fmt.Sprintf("%-24s%12s%12s", "", "→ client", "← server")), Style: st.Heading}}})
	c, v := &s.Side[client], &s.Side[server]
	row := func(name, a, b string, bad bool) {
		look := st.Text
		if bad {
			look = st.Warn
		}
		out = append(out, component.Line{Spans: []component.Span{{Text: style.Text(style.Text(name).Fit(24)), Style: st.Dim},
			{Text: style.Text(style.Text(a).FitRight(12) + style.Text(b).FitRight(12)), Style: look}}})
	}
	counts := func(name string, m tcp.Marks) {
		a, b := c.Counts.Of(m), v.Counts.Of(m)
		row(name, group(a), group(b), m&tcp.Trouble != 0 && a+b > 0)
	}
	row("packets", group(c.Packets), group(v.Packets), false)
	row("payload", component.Bytes(c.Payload), component.Bytes(v.Payload), false)
	counts("retransmissions", tcp.Retransmission)
	counts("  fast", tcp.FastRetransmission)
	counts("out of order", tcp.OutOfOrder)
	counts("gaps", tcp.Gap)
	counts("duplicate acks", tcp.DuplicateAck)
	counts("zero windows", tcp.ZeroWindow)
	counts("window full", tcp.WindowFull)
	counts("keep-alives", tcp.KeepAlive)
	row("smallest window", window(c, s.SYN != 0), window(v, s.SYNACK != 0), false)
	return out
}

func window(s *tcp.Side, opened bool) string {
	if s.Lowest < 0 {
		return "–"
	}
	if s.Scale < 0 && !opened { // the opening said how many times as much it is
		return "≥ " + component.Bytes(uint64(s.Lowest))
	}
	return component.Bytes(uint64(s.Lowest))
}

// ended says how a connection ended, and whether that is a trouble.
func ended(s *tcp.Summary, client flow.Dir, c Clock) (text string, bad bool) {
	who := func(d flow.Dir) string {
		if d == client {
			return "the client"
		}
		return "the server"
	}
	clock := func(ns int64) string { return ", " + time.Unix(0, ns).In(c.Location).Format("15:04:05.000") }
	switch s.End {
	case tcp.Opening:
		return "no answer came to the opening", true
	case tcp.HalfClosed:
		return who(s.By) + " sends no more (FIN)" + clock(s.Side[s.By].FIN) + ", the other side has not closed", false
	case tcp.Closed:
		return "closed by both, " + who(s.By) + " first (FIN)" + clock(s.Side[s.By].FIN), false
	case tcp.Refused:
		return "refused: " + who(s.By) + " answered the opening with a reset (RST)" + clock(s.Side[s.By].RST), true
	case tcp.Reset:
		return "reset by " + who(s.By) + " (RST)" + clock(s.Side[s.By].RST), true
	}
	return "still open, as far as it was seen", false
}

// opening says how long the handshake took.
func opening(s *tcp.Summary, seen dissect.Side) string {
	ms := func(ns int64) string { return component.Duration(time.Duration(ns)) }
	switch {
	case s.SYN == 0 && s.SYNACK == 0:
		return "not seen: it was before the first packet that is kept"
	case s.SYNACK == 0:
		return "SYN, and no SYN/ACK"
	case s.SYN == 0:
		return "SYN/ACK: the SYN was not seen"
	case s.ACK == 0:
		return "SYN → SYN/ACK " + ms(s.SYNACK-s.SYN) + ", and no ACK"
	}
	where := "round trip from end to end "
	text := "SYN → SYN/ACK " + ms(s.SYNACK-s.SYN) + " → ACK " + ms(s.ACK-s.SYNACK) + ", "
	switch seen {
	case dissect.SideClient:
		return text + "round trip " + ms(s.SYNACK-s.SYN) + " (seen at the client)"
	case dissect.SideServer:
		return text + "round trip " + ms(s.ACK-s.SYNACK) + " (seen at the server)"
	}
	return text + where + ms(s.ACK-s.SYN)
}
