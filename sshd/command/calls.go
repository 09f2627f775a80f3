package command

import (
	"errors"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/worker/query"
)

var listFormats = []string{formatTable, formatWide, formatJSON, formatCompact, formatDict}

func (e *Env) calls() *cobra.Command {
	c := &cobra.Command{
		Use:   "calls [FILTER]",
		Short: "L7 calls, one line each",
		Long: `Calls: a request and its response, or a lone message, one line each.
Without a time: the newest 100 of the last 15 minutes; of a file, all.`,
		Example: `calls --last 20
calls -f 'http && status_code >= 500'
calls --since 1h --to-service cart --http-status 5+ -o json`,
	}
	return e.list(c, func(l *look, color bool, a *asked) (printer, asker) {
		p := newCallPrinter(e, l, color, a)
		return p, func(r *query.Request) (*query.Report, error) { return e.Source.Calls(e.ctx, r, p.call) }
	})
}

// asker puts a request to the source; a printer takes what is found.
type asker func(*query.Request) (*query.Report, error)

// list makes a command that prints what a query finds, one line each.
func (e *Env) list(c *cobra.Command, start func(l *look, color bool, a *asked) (printer, asker)) *cobra.Command {
	var q question
	var l look
	q.declare(e, c)
	l.declare(c.Flags(), listFormats...)
	c.RunE = func(_ *cobra.Command, args []string) error {
		color, err := l.check(e, listFormats...)
		if err != nil {
			return err
		}
		a, done, err := q.ask(e, args, auth.See, true)
		if a == nil {
			return err
		}
		defer done()
		p, ask := start(&l, color, a)
		if err := e.askBefore(a, ask); err != nil {
			return err
		}
		r, err := ask(&a.Request)
		return e.concluded(a, r, err, p, c.Name())
	}
	return c
}

// printer is what prints calls or flows.
type printer interface {
	finish() error
	count() int
}

// concluded ends a query: what was found is printed even if the query failed half way.
func (e *Env) concluded(a *asked, r *query.Report, err error, p printer, what string) error {
	err = enough(err)
	if ferr := p.finish(); err == nil {
		err = ferr
	}
	if e.Told != nil {
		e.Told(p.count())
	}
	if err != nil && r != nil && !errors.Is(err, errGone) {
		// The report says what else is missing; the error (or Ctrl-C) is what ends the command.
		_ = e.retell(&asked{Request: query.Request{Follow: true}}, r, p.count(), what)
	}
	if err != nil {
		return err
	}
	return e.retell(a, r, p.count(), what)
}

// lines is what the printers of calls and flows share.
type lines struct {
	out    *output
	look   *look
	table  *table
	zone   *time.Location
	follow bool
	n      int
	text   []byte
}

func (e *Env) lines(l *look, color bool, follow bool, columns []column) lines {
	p := lines{out: e.output(), look: l, zone: e.Location, follow: follow}
	if l.utc {
		p.zone = time.UTC
	}
	if l.output == formatTable || l.output == formatWide {
		width := 0
		if e.Terminal {
			width = e.Width
		}
		p.table = &table{out: p.out, columns: columns, width: width, color: color, eager: follow}
	}
	return p
}

func (p *lines) finish() error {
	if p.table != nil {
		return p.table.finish()
	}
	return p.out.spill(true)
}

func (p *lines) count() int { return p.n }

// clockText is a capture time in a table: with the date where there is room.
func (p *lines) clockText(ns int64) string {
	layout := "15:04:05.000"
	if p.table == nil || p.table.width == 0 || p.table.width >= 120 {
		layout = "2006-01-02 15:04:05.000"
	}
	return time.Unix(0, ns).In(p.zone).Format(layout)
}

// end is how an endpoint is shown. The port of a client says little: it is shown when wide.
func (p *lines) end(ep *dissect.Endpoint, port bool) string {
	wide := p.look.output != formatTable
	if p.look.numeric || ep.Name() == "" {
		if ep.Addr.Port() != 0 && (port || wide || p.look.numeric) {
			return ep.Addr.String()
		}
		return ep.Addr.Addr().String()
	}
	p.text = AppendPrintable(p.text[:0], ep.Display())
	if ep.Addr.Port() != 0 && (port || wide) {
		p.text = strconv.AppendUint(append(p.text, ':'), uint64(ep.Addr.Port()), 10)
	}
	return string(p.text)
}

// callPrinter prints calls.
type callPrinter struct {
	lines
	scratch []byte
}

func newCallPrinter(e *Env, l *look, color bool, a *asked) *callPrinter {
	columns := []column{
		{title: "TIME", min: 0},
		{title: "SRC", min: 10, max: 40, typical: 22}, {title: "DST", min: 10, max: 40, typical: 26},
		{title: "PROTO", max: 12, typical: 6, rank: 1},
		{title: "SUMMARY", min: 16, max: 100, typical: 30, flexible: true},
		{title: "STATUS", min: 6, max: 20, typical: 8},
		{title: "LATENCY", min: 7, max: 10, right: true, rank: 2},
	}
	if l.output == formatWide {
		columns = append(columns, column{title: "NETWORK", min: 7, max: 10, right: true, rank: 4}, column{title: "NODE", max: 30, rank: 3}, column{title: "STREAM", max: 13})
	}
	return &callPrinter{lines: e.lines(l, color, a.Follow, columns)}
}

func (p *callPrinter) call(c *dissect.Call) error {
	p.n++
	switch p.look.output {
	case formatJSON:
		p.out.buf = append(dissect.AppendCall(p.out.buf, c), '\n')
	case formatCompact:
		p.compact(c)
	case formatDict:
		p.dict(c)
	default:
		return p.row(c)
	}
	return p.out.spill(p.follow)
}

func (p *callPrinter) row(c *dissect.Call) error {
	latency := ""
	if ns, ok := c.Elapsed(); ok {
		latency = latencyText(ns)
	}
	summary, status := p.summary(c), p.status(c)
	how := green
	switch {
	case c.Error:
		how = red
	case c.Incomplete:
		how = yellow
	}
	cells := []cell{
		{p.clockText(c.Time), dim},
		{p.end(c.Src(), c.Reverse), normal},
		{p.end(c.Dst(), !c.Reverse), normal},
		{printable(c.Protocol.Name), cyan},
		{summary, normal},
		{status, how},
		{latency, normal},
	}
	if p.look.output == formatWide {
		cells = append(cells, cell{networkText(c), normal}, cell{printable(c.Flow.Node), dim}, cell{c.Flow.ID.String(), dim})
	}
	return p.table.row(cells...)
}

// networkText is how much longer the client waited than the server took, "" where the call was
// not seen at both ends.
func networkText(c *dissect.Call) string {
	ns, ok := c.Network()
	if !ok {
		return ""
	}
	return latencyText(ns)
}

func (p *callPrinter) summary(c *dissect.Call) string {
	if c.Message == nil {
		return ""
	}
	p.scratch = c.Message.AppendSummary(p.scratch[:0])
	return printable(string(p.scratch))
}

// status is what came of a call; a call that waited in vain, or that was cut, says so.
func (p *callPrinter) status(c *dissect.Call) string {
	var s string
	if c.Message != nil {
		p.scratch = c.Message.AppendStatus(p.scratch[:0])
		s = printable(string(p.scratch))
	}
	switch {
	case s == "" && c.Incomplete:
		return "incomplete"
	case s == "" && c.Error:
		return "error"
	}
	return s
}

// compact is one line for eyes and grep.
func (p *callPrinter) compact(c *dissect.Call) {
	b := append(p.out.buf, p.clockText(c.Time)...)
	b = append(b, ": "...)
	b = append(b, p.end(c.Src(), c.Reverse)...)
	b = append(b, " -> "...)
	b = append(b, p.end(c.Dst(), !c.Reverse)...)
	b = append(append(b, ' '), printable(c.Protocol.Name)...)
	if s := p.summary(c); s != "" {
		b = append(append(b, ' '), s...)
	}
	if s := p.status(c); s != "" {
		b = append(append(b, ' '), s...)
	}
	if ns, ok := c.Elapsed(); ok {
		b = append(append(append(b, " ("...), latencyText(ns)...), ')')
	}
	p.out.buf = append(b, '\n')
}

// dict is one field a line, with an empty line between calls.
func (p *callPrinter) dict(c *dissect.Call) {
	latency := ""
	if ns, ok := c.Elapsed(); ok {
		latency = latencyText(ns)
	}
	p.pairs("TIME", p.clockText(c.Time), "NODE", printable(c.Flow.Node),
		"SRC", p.end(c.Src(), c.Reverse), "DST", p.end(c.Dst(), !c.Reverse),
		"PROTO", printable(c.Protocol.Name), "SUMMARY", p.summary(c), "STATUS", p.status(c),
		"LATENCY", latency, "NETWORK", networkText(c), "STREAM", c.Flow.ID.String())
}

// pairs prints keys and values; empty values are left out.
func (p *lines) pairs(kv ...string) {
	if p.n > 1 {
		p.out.buf = append(p.out.buf, '\n')
	}
	for i := 0; i+1 < len(kv); i += 2 {
		if kv[i+1] == "" {
			continue
		}
		b := pad(p.out.buf, 9-len(kv[i]))
		b = append(append(b, kv[i]...), ": "...)
		p.out.buf = append(append(b, kv[i+1]...), '\n')
	}
}

// latencyText is a duration as the screen has it: 850µs, 1.23ms, 12.3s.
func latencyText(ns int64) string { return component.Duration(time.Duration(ns)) }
