package command

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/servicemap"
	"github.com/sshark/sshark/servicemap/text"
	"github.com/sshark/sshark/sshd/auth"
)

// Formats of the map, besides text and JSON.
const (
	formatDOT     = "dot"
	formatMermaid = "mermaid"
)

var mapFormats = []string{formatText, formatJSON, formatDOT, formatMermaid}

func (e *Env) serviceMap() *cobra.Command {
	c := &cobra.Command{
		Use:   "map [FILTER]",
		Short: "the service map: who speaks with whom",
		Long: `The service map: callers on the left, what they call on the right. In each box, behind the
arrow that comes in: the protocol, calls (or bytes, where no call was found), the part that
failed, and the latency that 90 % did not pass. A filter that speaks of calls leaves the edges
that have such calls, and counts those only. Without a time: the last 15 minutes; of a file, all.`,
		Example: `map -n shop
map --since 1h --by namespace
map 'src.workload == "cart" || dst.workload == "cart"'
map -o dot | dot -Tsvg > map.svg`,
	}
	var q question
	var l look
	var by string
	var calls bool
	q.declare(e, c)
	f := c.Flags()
	f.StringVarP(&l.output, "output", "o", formatText, "`FORMAT`: "+strings.Join(mapFormats, ", ")+" (of JSON: one edge a line)")
	f.StringVar(&l.color, "color", "auto", "`WHEN`: auto (on a terminal, unless NO_COLOR is set), always, never")
	f.StringVar(&by, "by", servicemap.Workload.String(), "what a box is: "+strings.Join(servicemap.Groupings(), ", "))
	f.BoolVar(&calls, "calls", true, "count calls, errors and latency; --calls=false is quicker")
	c.RunE = func(_ *cobra.Command, args []string) error {
		color, err := l.check(e, mapFormats...)
		if err != nil {
			return err
		}
		grouping, ok := servicemap.ParseBy(by)
		switch {
		case !ok:
			return usagef("--by %q: want %s", by, strings.Join(servicemap.Groupings(), ", "))
		case q.follow:
			return usagef("map --follow: a map is of a window that is over; leave it out, and ask again for a new one")
		case q.first != 0 || q.last != 0:
			return usagef("map --first, --last: a map is of all that matches in its window; use --since, --until and the filter")
		}
		a, done, err := q.ask(e, args, auth.See, false)
		if a == nil {
			return err
		}
		defer done()
		return e.drawMap(a, &mapPrinter{e: e, look: &l, color: color, by: grouping, builder: servicemap.NewBuilder(grouping)}, calls)
	}
	return c
}

// drawMap asks for flows and then for the calls of the same window.
func (e *Env) drawMap(a *asked, p *mapPrinter, calls bool) error {
	request := a.Request // a source may keep its own in it
	r, err := e.Source.Flows(e.ctx, &request, func(f *dissect.Flow) error {
		p.builder.Flow(f)
		return nil
	})
	if calls && enough(err) == nil {
		request = a.Request
		answer, failed := e.Source.Calls(e.ctx, &request, func(c *dissect.Call) error {
			p.builder.Call(c)
			return nil
		})
		err = failed
		if answer != nil {
			e.sayMissing(answer)
			a.partial = a.partial || answer.Partial()
		}
	}
	return e.concluded(a, r, err, p, "flows")
}

// mapPrinter prints the map when all of it is known.
type mapPrinter struct {
	e       *Env
	look    *look
	color   bool
	by      servicemap.By
	builder *servicemap.Builder
	edges   int
}

func (p *mapPrinter) count() int { return p.edges }

func (p *mapPrinter) finish() error {
	m := p.builder.Map()
	p.edges = len(m.Edges)
	o := p.e.output()
	switch p.look.output {
	case formatJSON:
		for i := range m.Edges {
			o.buf = append(text.AppendEdge(o.buf, m, i), '\n')
			if err := o.spill(false); err != nil {
				return err
			}
		}
	case formatDOT:
		o.buf = append(o.buf, text.DOT(m)...)
	case formatMermaid:
		o.buf = append(o.buf, text.Mermaid(m)...)
	default:
		if p.edges == 0 {
			break
		}
		width := 0
		if p.e.Terminal {
			width = p.e.Width
		}
		d := text.Draw(m, text.Options{Width: width, Color: p.color, What: p.by.String()})
		o.buf = append(append(o.buf, strings.Join(d.Lines, "\n")...), '\n')
	}
	if err := o.spill(true); err != nil {
		return err
	}
	p.summary(m)
	return nil
}

// summary says on standard error what the map is of, and what it lacks.
func (p *mapPrinter) summary(m *servicemap.Map) {
	if p.edges == 0 && m.Left == (servicemap.Left{}) {
		return // why is said by the report
	}
	counts := func(n int, what string) string {
		if n == 1 {
			return "1 " + what
		}
		return fmt.Sprintf("%d %ss", n, what)
	}
	// What is drawn has one line for all that two speak.
	p.e.say("%s, %s by protocol and port, from %s to %s", counts(len(m.Nodes), p.by.String()), counts(p.edges, "edge"), rfc3339(m.First), rfc3339(m.Last))
	if n := m.Left.Addresses; n > 0 {
		more := ""
		if m.Left.Uncounted {
			more = " or more"
		}
		p.e.say("%d%s addresses and names outside of the cluster are one box, \"outside\"; names with most bytes are boxes of their own, or of their domain", n, more)
	}
	if n := m.Left.Neighbours; n > 0 {
		are := "are"
		if n == 1 {
			are = "is"
		}
		p.e.say("%s %s not in the map: with multicast and link-local addresses, by which systems find each other", counts(int(n), "flow"), are)
	}
	if m.Left.Flows > 0 || m.Left.Calls > 0 {
		p.e.say("the map is full: %d flows and %d calls are not in it; ask for less: a filter, a shorter window, or --by namespace", m.Left.Flows, m.Left.Calls)
	}
}
