package view

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/dissect"
)

// seeking is the search for the flow of a packet of a scope. What is to be done with the flow is
// done when it is found.
type seeking struct {
	cancel context.CancelFunc
	then   func(Ref) tea.Cmd
}

// soughtMsg is what a search found.
type soughtMsg struct {
	by  *seeking
	of  Ref
	err error
}

// flowSlack is how far the clocks of two nodes that saw a packet may be apart.
const flowSlack = int64(time.Second)

// withFlow does something with the flow of the selected packet, which is sought first where the
// packets are those of a scope.
func (m *Packets) withFlow(then func(Ref) tea.Cmd) tea.Cmd {
	row := m.selected()
	switch {
	case m.of.Stream != "":
		of := m.of
		if row != nil {
			of.Time = row.packet.Time
		}
		return then(of)
	case row == nil:
		return refuse("there is no packet here, so there is no flow")
	case !row.src.IsValid():
		return refuse("this packet is of no flow: no addresses were found in it")
	}
	m.unseek()
	s := &seeking{then: then}
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(m.ctx)
	m.seeking = s
	backend := m.host.Backend
	return func() tea.Msg {
		defer s.cancel()
		msg := soughtMsg{by: s}
		func() {
			defer guard(&msg.err)
			msg.of, msg.err = seek(ctx, backend, row)
		}()
		return msg
	}
}

// unseek ends the search, if there is one.
func (m *Packets) unseek() (was bool) {
	if m.seeking == nil {
		return false
	}
	m.seeking.cancel()
	m.seeking = nil
	return true
}

// sought does what was to be done with the flow.
func (m *Packets) sought(msg soughtMsg) tea.Cmd {
	if msg.by != m.seeking {
		return nil
	}
	m.seeking = nil
	if msg.err != nil {
		return refuse("its flow cannot be found: %s", firstLine(msg.err.Error()))
	}
	if msg.of.Stream == "" {
		return refuse("no flow is kept any more that this packet is of")
	}
	return msg.by.then(msg.of)
}

// seek finds the flow of a packet: that between its ends at its time, or the one nearest to it.
func seek(ctx context.Context, b Backend, row *packetRow) (of Ref, err error) {
	at, best := row.packet.Time, int64(-1)
	_, err = b.Flows(ctx, Query{Since: at - flowSlack, Until: at + flowSlack, Filter: endsFilter(row.src, row.dst)}, func(f *dissect.Flow) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if apart := max(0, f.First-at, at-f.Last); f.Transport == row.transport && (best < 0 || apart < best) {
			best, of = apart, Ref{Stream: f.ID.String(), Node: f.Node, Time: at}
		}
		return nil
	})
	return of, err
}

// endsFilter selects the flows between two ends, whichever of them is the client. What has no
// ports, a fragment or ICMP, is between addresses.
func endsFilter(a, b netip.AddrPort) string {
	side := func(name string, end netip.AddrPort) string {
		f := fmt.Sprintf("%s.ip == %s", name, dissect.Quote(end.Addr().String()))
		if a.Port() != 0 || b.Port() != 0 {
			f += fmt.Sprintf(" && %s.port == %d", name, end.Port())
		}
		return f
	}
	return side("src", a) + " && " + side("dst", b) + " || " + side("src", b) + " && " + side("dst", a)
}

// openStream goes to what was said in the flow.
func (m *Packets) openStream() tea.Cmd {
	return m.withFlow(func(of Ref) tea.Cmd { return Go(GoMsg{View: "stream", Scope: m.bar.scope, Of: of}) })
}

// openCalls goes to the calls of the flow up to the packet.
func (m *Packets) openCalls() tea.Cmd {
	if m.selected() == nil {
		return refuse("there is no packet here that belongs to a call")
	}
	return m.withFlow(func(of Ref) tea.Cmd { return goCalls(of, of.Time) })
}

// openFlow goes to all packets of the flow.
func (m *Packets) openFlow() tea.Cmd {
	if m.of.Stream != "" {
		return refuse("these are the packets of one flow already")
	}
	return m.withFlow(func(of Ref) tea.Cmd { return Go(GoMsg{View: "packets", Scope: m.bar.scope, Of: of}) })
}
