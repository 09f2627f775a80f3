package command

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/dissect/quantile"
	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/worker/query"
)

// Bounds on what stats remember, as who is captured may make up any number of paths: groups, and
// bytes of each value, whose rest is left out.
const (
	maxGroups = 10_000
	maxValue  = 512
)

func (e *Env) stats() *cobra.Command {
	var q question
	var l look
	var by []string
	formats := []string{formatTable, formatJSON}
	c := &cobra.Command{
		Use:   "stats [FILTER]",
		Short: "counts, rates, errors and latency of calls",
		Long: `How many calls there were, how many a second, how many were errors, and how long the server took
(p50, p90, p99 from the end of the request to the start of the response, within 2 %); in one line,
or in one for each group, the largest first. Without a time: the last 15 minutes; of a file, all.
The rate is over the window, from the oldest packet kept on.`,
		Example: `stats http
stats --by protocol
stats --since 1h --by dst.service,status_code http
stats --by src,dst,error -o json`,
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringSliceVar(&by, "by", nil, "a line for each value of `FIELD[,FIELD]`, as filters name fields: protocol, dst.service, status_code, path, dst.labels.app, …")
	q.declare(e, c)
	l.declare(f, formats...)
	_ = f.MarkHidden("follow") // it is refused
	c.RunE = func(_ *cobra.Command, args []string) error {
		color, err := l.check(e, formats...)
		if err != nil {
			return err
		}
		if q.follow {
			return usagef("--follow: stats are of a window that ends; leave it out")
		}
		for i, name := range by {
			by[i] = strings.TrimSpace(name)
		}
		if f.Changed("by") && len(by) == 0 {
			return usagef("--by: want a field, such as --by protocol")
		}
		columns, err := e.columns(by)
		if err != nil {
			return err
		}
		a, done, err := q.ask(e, args, auth.See, false)
		if a == nil {
			return err
		}
		defer done()
		p := newTally(by, columns)
		r, err := e.Source.Calls(e.ctx, &a.Request, p.call)
		err = enough(err)
		if err == nil && p.calls > 0 {
			err = e.printStats(p, &l, color, p.window(e, a, r))
		}
		if p.others > 0 {
			e.say("there are more than %d groups: %d calls of others are not shown; a filter makes them fewer", maxGroups, p.others)
		}
		return e.concluded(a, r, err, p, "calls")
	}
	return c
}

// columns are the fields to group by. Who may not see what was said may not count it either.
func (e *Env) columns(by []string) (*filter.Columns, error) {
	if len(by) == 0 {
		return nil, nil
	}
	if e.Language == nil {
		return nil, usagef("--by: no fields are known here")
	}
	c, err := e.Language.Columns(by...)
	if err != nil {
		return nil, usagef("--by: %s\nhelp stats lists the fields", strings.TrimPrefix(err.Error(), "filter, "))
	}
	if field := c.Payload(); field != "" {
		if err := e.allow(auth.Payload); err != nil {
			return nil, fmt.Errorf("--by %s: %w", field, err)
		}
	}
	return c, nil
}

// tally counts calls by groups. It implements printer.
type tally struct {
	by      []string
	columns *filter.Columns
	groups  map[string]*group
	calls   int
	others  uint64 // calls of groups beyond maxGroups
	first   int64
	last    int64
	values  []any
	key     []byte
}

// group is the calls with the same values.
type group struct {
	key     string
	values  []any
	calls   uint64
	errors  uint64
	latency quantile.Histogram
}

func newTally(by []string, columns *filter.Columns) *tally {
	return &tally{by: by, columns: columns, groups: map[string]*group{}}
}

func (t *tally) count() int    { return t.calls }
func (t *tally) finish() error { return nil } // all was printed

// call counts one.
func (t *tally) call(c *dissect.Call) error {
	if t.calls == 0 {
		t.first, t.last = c.Time, c.Time
	}
	t.calls++
	t.first, t.last = min(t.first, c.Time), max(t.last, c.Time)
	g := t.group(c)
	if g == nil {
		t.others++
		return nil
	}
	g.calls++
	if c.Error {
		g.errors++
	}
	if ns, ok := c.Elapsed(); ok {
		g.latency.Add(ns)
	}
	return nil
}

// group is that of a call, nil if there are too many.
func (t *tally) group(c *dissect.Call) *group {
	t.values, t.key = t.values[:0], t.key[:0]
	if t.columns != nil {
		t.values = t.columns.Read(t.values, c)
		for i, v := range t.values {
			if s, ok := v.(string); ok && len(s) > maxValue {
				v = strings.ToValidUTF8(s[:maxValue], "") + "…"
				t.values[i] = v
			}
			t.key = append(appendValue(t.key, v), ',')
		}
	}
	g := t.groups[string(t.key)]
	if g == nil && len(t.groups) < maxGroups {
		g = &group{key: string(t.key), values: slices.Clone(t.values)}
		t.groups[g.key] = g
	}
	return g
}

// appendValue appends a field's value as JSON has it.
func appendValue(dst []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return dissect.AppendString(dst, v)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case bool:
		return strconv.AppendBool(dst, v)
	}
	return append(dst, "null"...)
}

// window is how long was counted: what was asked for, as far as it is kept. Where an end of it
// is not said, it is that of a file, or of what was counted.
func (t *tally) window(e *Env, a *asked, r *query.Report) time.Duration {
	oldest, newest := t.first, t.last
	if r != nil && (e.File || !a.everyone) {
		oldest, newest = kept(r, oldest, newest)
	}
	if !e.File {
		newest = e.Now().UnixNano()
	}
	if a.First > 0 || a.Last > 0 {
		oldest, newest = t.first, t.last
	} else {
		oldest = max(oldest, a.Since)
		if a.Until != 0 {
			newest = min(newest, a.Until)
		}
	}
	return time.Duration(newest - oldest)
}

// kept is the time of the oldest and of the newest packet of all nodes.
func kept(r *query.Report, oldest, newest int64) (from, to int64) {
	for i := range r.Nodes {
		if n := &r.Nodes[i]; n.Missing == "" && n.Oldest != 0 {
			oldest, newest = min(oldest, n.Oldest), max(newest, n.Newest)
		}
	}
	return oldest, newest
}

// sorted are the groups, the largest first.
func (t *tally) sorted() []*group {
	all := make([]*group, 0, len(t.groups))
	for _, g := range t.groups {
		all = append(all, g)
	}
	slices.SortFunc(all, func(a, b *group) int {
		if a.calls != b.calls {
			return int(min(max(int64(b.calls)-int64(a.calls), -1), 1))
		}
		return strings.Compare(a.key, b.key)
	})
	return all
}

// quantiles are those that are told.
var quantiles = []struct {
	name string
	q    float64
}{{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}}

func (e *Env) printStats(t *tally, l *look, color bool, window time.Duration) error {
	if l.output == formatJSON {
		o := e.output()
		for _, g := range t.sorted() {
			o.buf = t.object(o.buf, g, window)
			if err := o.spill(false); err != nil {
				return err
			}
		}
		return o.spill(true)
	}
	var columns []column
	for i, name := range t.by {
		columns = append(columns, column{title: printable(strings.ToUpper(name)), min: 8, max: 60, flexible: i == len(t.by)-1})
	}
	for _, c := range []column{{title: "CALLS"}, {title: "PER SECOND", rank: 4}, {title: "ERRORS", rank: 3}, {title: "ERROR %"}} {
		c.right = true
		columns = append(columns, c)
	}
	for i, q := range quantiles {
		columns = append(columns, column{title: strings.ToUpper(q.name), right: true, rank: max(0, 2-i)}) // the tail tells most
	}
	p := e.lines(l, color, false, columns)
	p.table.whole = true
	for _, g := range t.sorted() {
		if err := p.table.row(t.row(g, window)...); err != nil {
			return err
		}
	}
	return p.finish()
}

func (t *tally) row(g *group, window time.Duration) []cell {
	var cells []cell
	for _, v := range g.values {
		text := "-"
		if s, ok := v.(string); ok {
			text = printable(s)
		} else if v != nil {
			text = string(appendValue(nil, v))
		}
		cells = append(cells, cell{text, cyan})
	}
	how, rate := normal, ""
	if g.errors > 0 {
		how = red
	}
	if perSecond, ok := rateOf(g.calls, window); ok {
		rate = rateText(perSecond)
	}
	cells = append(cells, cell{strconv.FormatUint(g.calls, 10), normal}, cell{rate, normal},
		cell{strconv.FormatUint(g.errors, 10), how}, cell{strconv.FormatFloat(100*float64(g.errors)/float64(g.calls), 'f', 2, 64), how})
	for _, q := range quantiles {
		text := ""
		if g.latency.Count() > 0 {
			text = latencyText(g.latency.Quantile(q.q))
		}
		cells = append(cells, cell{text, normal})
	}
	return cells
}

// object appends a group as JSON. elapsed_time is in microseconds, as that of a call.
func (t *tally) object(b []byte, g *group, window time.Duration) []byte {
	b = append(b, '{')
	for i, v := range g.values {
		b = append(append(dissect.AppendString(b, t.by[i]), ':'), appendValue(nil, v)...)
		b = append(b, ',')
	}
	b = strconv.AppendUint(append(b, `"calls":`...), g.calls, 10)
	if perSecond, ok := rateOf(g.calls, window); ok {
		b = strconv.AppendFloat(append(b, `,"rate":`...), perSecond, 'g', 6, 64)
	}
	b = strconv.AppendUint(append(b, `,"errors":`...), g.errors, 10)
	b = strconv.AppendFloat(append(b, `,"error_ratio":`...), float64(g.errors)/float64(g.calls), 'g', 6, 64)
	if g.latency.Count() > 0 {
		b = append(b, `,"elapsed_time":{`...)
		for i, q := range quantiles {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(dissect.AppendString(b, q.name), ':')
			b = strconv.AppendInt(b, g.latency.Quantile(q.q)/1000, 10)
		}
		b = append(b, '}')
	}
	return append(b, "}\n"...)
}

// rateOf is how many there were a second; a moment has no rate.
func rateOf(n uint64, window time.Duration) (perSecond float64, ok bool) {
	if window <= 0 {
		return 0, false
	}
	return float64(n) / window.Seconds(), true
}

// rateText has three digits, or all of a whole number.
func rateText(v float64) string {
	if v >= 100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
