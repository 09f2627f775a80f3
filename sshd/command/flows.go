package command

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/worker/query"
)

func (e *Env) flows() *cobra.Command {
	c := &cobra.Command{
		Use:   "flows [FILTER]",
		Short: "L4 conversations, one line each",
		Long: `Flows: conversations of TCP, UDP and others, one line each, whether a protocol was found in
them or not. Without a time: the newest 100 of the last 15 minutes; of a file, all.`,
		Example: `flows --last 20
flows --since 1h --port 5432 -o json
flows 'tcp_flow && flow_state == "open"'`,
	}
	return e.list(c, func(l *look, color bool, a *asked) (printer, asker) {
		p := newFlowPrinter(e, l, color, a)
		if a.Follow {
			e.say("a flow is told when it has ended: two seconds after it was closed, or a minute after its last packet")
		}
		return p, func(r *query.Request) (*query.Report, error) { return e.Source.Flows(e.ctx, r, p.flow) }
	})
}

// flowPrinter prints flows.
type flowPrinter struct {
	lines
}

func newFlowPrinter(e *Env, l *look, color bool, a *asked) *flowPrinter {
	columns := []column{
		{title: "TIME"},
		{title: "SRC", min: 12, max: 48, typical: 26, flexible: true},
		{title: "DST", min: 12, max: 40, typical: 26},
		{title: "L4", max: 7, rank: 1},
		{title: "L7", max: 12, typical: 6},
		{title: "STATE", min: 6, max: 11, typical: 11},
		{title: "PACKETS", max: 12, right: true, rank: 2},
		{title: "BYTES", max: 12, typical: 8, right: true},
	}
	if l.output == formatWide {
		columns = append(columns, column{title: "DURATION", max: 10, right: true, rank: 4}, column{title: "NODE", max: 30, rank: 3}, column{title: "STREAM", max: 13})
	}
	return &flowPrinter{e.lines(l, color, a.Follow, columns)}
}

func (p *flowPrinter) flow(f *dissect.Flow) error {
	p.n++
	switch p.look.output {
	case formatJSON:
		p.out.buf = append(dissect.AppendFlow(p.out.buf, f), '\n')
	case formatCompact:
		p.compact(f)
	case formatDict:
		p.pairs("TIME", p.clockText(f.First), "END", p.clockText(f.Last), "NODE", printable(f.Node),
			"SRC", p.end(&f.Client, false), "DST", p.end(&f.Server, true),
			"L4", f.Transport.String(), "L7", protocolOf(f), "STATE", stateText(f),
			"PACKETS", packetsOf(f), "BYTES", bytesOf(f), "STREAM", f.ID.String())
	default:
		return p.row(f)
	}
	return p.out.spill(p.follow)
}

func (p *flowPrinter) row(f *dissect.Flow) error {
	how := normal
	if f.State == dissect.Reset {
		how = red
	}
	cells := []cell{
		{p.clockText(f.First), dim},
		{p.end(&f.Client, false), normal},
		{p.end(&f.Server, true), normal},
		{f.Transport.String(), normal},
		{protocolOf(f), cyan},
		{stateText(f), how},
		{packetsOf(f), normal},
		{bytesOf(f), normal},
	}
	if p.look.output == formatWide {
		cells = append(cells, cell{latencyText(f.Last - f.First), normal}, cell{printable(f.Node), dim}, cell{f.ID.String(), dim})
	}
	return p.table.row(cells...)
}

func (p *flowPrinter) compact(f *dissect.Flow) {
	b := append(p.out.buf, p.clockText(f.First)...)
	b = append(b, ": "...)
	b = append(b, p.end(&f.Client, false)...)
	b = append(b, " -> "...)
	b = append(b, p.end(&f.Server, true)...)
	b = append(append(b, ' '), f.Transport.String()...)
	if l7 := protocolOf(f); l7 != "" {
		b = append(append(b, ' '), l7...)
	}
	b = append(append(b, ' '), stateText(f)...)
	b = append(append(append(b, ' '), packetsOf(f)...), " packets "...)
	b = append(append(b, bytesOf(f)...), " bytes ("...)
	b = append(b, latencyText(f.Last-f.First)...)
	p.out.buf = append(b, ')', '\n')
}

func protocolOf(f *dissect.Flow) string {
	if f.Protocol == nil {
		return ""
	}
	return printable(f.Protocol.Name)
}

// stateText tells a reset from a close, which filters do not.
func stateText(f *dissect.Flow) string {
	if f.State == dissect.Reset {
		return "reset"
	}
	return f.State.String()
}

func packetsOf(f *dissect.Flow) string { return strconv.FormatUint(f.Packets[0]+f.Packets[1], 10) }
func bytesOf(f *dissect.Flow) string   { return strconv.FormatUint(f.Bytes[0]+f.Bytes[1], 10) }
