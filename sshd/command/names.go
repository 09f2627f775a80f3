package command

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/sshd/auth"
)

// maxNames bounds the names of an answer: anybody can make up addresses.
const maxNames = 100_000

func (e *Env) names() *cobra.Command {
	var q question
	var l look
	formats := []string{formatTable, formatWide, formatJSON}
	c := &cobra.Command{
		Use:   "names [ADDRESS]",
		Short: "who an address was, and when",
		Long: `Who the addresses of flows were, and from when to when they were seen as that: one line for each
address and each of its names in the window, in the order of addresses. ADDRESS is one, or a
network (10.0.0.0/8); without it, all that have a name. An address that never spoke in the window is
not told of. Without a time: the last 15 minutes; of a file, all.`,
		Example: `names 10.1.0.7
names --since 1h 10.1.0.0/16
names -n shop -o json`,
	}
	q.declare(e, c)
	l.declare(c.Flags(), formats...)
	_ = c.Flags().MarkHidden("follow") // it is refused
	c.RunE = func(_ *cobra.Command, args []string) error {
		color, err := l.check(e, formats...)
		if err != nil {
			return err
		}
		if q.follow {
			return usagef("--follow: names are of a window that ends; leave it out")
		}
		within, err := network(args)
		if err != nil {
			return err
		}
		a, done, err := q.ask(e, within.filter(), auth.See, false)
		if a == nil {
			return err
		}
		defer done()
		p := &roll{within: within, known: map[bearer]*named{}}
		r, err := e.Source.Flows(e.ctx, &a.Request, p.flow)
		err = enough(err)
		if err == nil {
			err = e.printNames(p, &l, color)
		}
		if p.others {
			e.say("there are more than %d names: some are not shown; names ADDRESS asks for less", maxNames)
		}
		if err == nil && p.flows > 0 && len(p.known) == 0 {
			e.say("%d flows are in the window, and nobody in them has a name", p.flows)
		}
		return e.concluded(a, r, err, p, "flows")
	}
	return c
}

// addresses are those that are asked for; the zero value is all.
type addresses struct{ netip.Prefix }

func network(args []string) (addresses, error) {
	if len(args) == 0 {
		return addresses{}, nil
	}
	if len(args) == 1 {
		if a, err := netip.ParseAddr(args[0]); err == nil && a.Zone() == "" {
			a = a.Unmap()
			return addresses{netip.PrefixFrom(a, a.BitLen())}, nil
		}
		if p, err := netip.ParsePrefix(args[0]); err == nil {
			return addresses{p.Masked()}, nil
		}
	}
	return addresses{}, usagef("%q is no address: want one (10.1.0.7) or a network (10.1.0.0/16)", strings.Join(args, " "))
}

// filter asks for flows of which an end is one of the addresses.
func (a addresses) filter() []string {
	if !a.IsValid() {
		return nil
	}
	return []string{fmt.Sprintf("cidr(%[1]q).containsIP(src.ip) || cidr(%[1]q).containsIP(dst.ip)", a.String())}
}

// bearer is an address and what was known of it: two with the same say the same.
type bearer struct {
	addr                                                     netip.Addr
	namespace, pod, uid, service, workload, kind, node, name string
}

// named is who an address was, and when: the first and the last packet of its flows.
type named struct {
	end         dissect.Endpoint
	first, last int64
	flows       uint64
}

// roll gathers names. It implements printer.
type roll struct {
	within addresses
	known  map[bearer]*named
	flows  int
	others bool // there were more than maxNames
}

func (p *roll) count() int    { return p.flows }
func (p *roll) finish() error { return nil } // all was printed

func (p *roll) flow(f *dissect.Flow) error {
	p.flows++
	p.end(&f.Client, f)
	p.end(&f.Server, f)
	return nil
}

// end learns of one end. Without an address that was asked for, only those with a name count.
func (p *roll) end(end *dissect.Endpoint, f *dissect.Flow) {
	addr := end.Addr.Addr().Unmap().WithZone("")
	id := end.Identity
	if id == nil {
		id = &dissect.Identity{}
	}
	switch {
	case !addr.IsValid(), p.within.IsValid() && !p.within.Contains(addr), !p.within.IsValid() && id.Name() == "":
		return
	}
	key := bearer{addr, id.Namespace, id.Pod, id.PodUID, id.Service, id.Workload, id.Kind, id.Node, id.DNS}
	n := p.known[key]
	if n == nil {
		if len(p.known) == maxNames {
			p.others = true
			return
		}
		n = &named{end: dissect.Endpoint{Addr: netip.AddrPortFrom(addr, 0), Identity: end.Identity}, first: f.First, last: f.Last}
		p.known[key] = n
	}
	n.flows++
	n.first, n.last = min(n.first, f.First), max(n.last, f.Last)
}

// sorted are all of them, by address, then by time.
func (p *roll) sorted() []*named {
	all := make([]*named, 0, len(p.known))
	for _, n := range p.known {
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b *named) int {
		if c := a.end.Addr.Compare(b.end.Addr); c != 0 {
			return c
		}
		if a.first != b.first {
			return int(min(max(a.first-b.first, -1), 1))
		}
		if c := strings.Compare(a.end.Display(), b.end.Display()); c != 0 {
			return c
		}
		return strings.Compare(who(a).PodUID, who(b).PodUID)
	})
	return all
}

// who is never nil.
func who(n *named) *dissect.Identity {
	if n.end.Identity == nil {
		return &dissect.Identity{}
	}
	return n.end.Identity
}

func (e *Env) printNames(p *roll, l *look, color bool) error {
	if l.output == formatJSON {
		o := e.output()
		for _, n := range p.sorted() {
			o.buf = append(n.object(o.buf), '\n')
			if err := o.spill(false); err != nil {
				return err
			}
		}
		return o.spill(true)
	}
	columns := []column{
		{title: "ADDRESS"},
		{title: "NAME", min: 12, max: 60, flexible: true},
		{title: "WORKLOAD", min: 8, max: 30, rank: 1},
		{title: "NODE", min: 6, max: 30, rank: 2},
		{title: "FIRST SEEN"}, {title: "LAST SEEN"},
	}
	if l.output == formatWide {
		columns = append(columns, column{title: "POD", max: 60, rank: 4}, column{title: "SERVICE", max: 60, rank: 3},
			column{title: "DNS", max: 60, rank: 5}, column{title: "FLOWS", right: true, rank: 6})
	}
	t := e.lines(l, color, false, columns)
	t.table.whole = true
	for _, n := range p.sorted() {
		id, name := who(n), cell{"-", dim}
		if id.Name() != "" {
			name = cell{printable(n.end.Display()), cyan}
		}
		cells := []cell{{n.end.Addr.Addr().String(), normal}, name, {printable(id.Workload), normal}, {printable(id.Node), dim},
			{t.clockText(n.first), dim}, {t.clockText(n.last), dim}}
		if l.output == formatWide {
			cells = append(cells, cell{printable(id.Pod), normal}, cell{printable(id.Service), normal}, cell{printable(id.DNS), normal},
				cell{strconv.FormatUint(n.flows, 10), normal})
		}
		if err := t.table.row(cells...); err != nil {
			return err
		}
	}
	return t.finish()
}

// object appends a name as JSON, with the keys of an end of a call; what is not known is left out.
func (n *named) object(b []byte) []byte {
	b = append(b, `{"ip":`...)
	b = dissect.AppendString(b, n.end.Addr.Addr().String())
	id := who(n)
	text := func(key, value string) {
		if value != "" {
			b = dissect.AppendString(dissect.AppendKey(b, key), value)
		}
	}
	within := func(key, name string) {
		if name != "" {
			b = dissect.AppendString(append(dissect.AppendKey(b, key), `{"name":`...), name)
			text("namespace", id.Namespace)
			b = append(b, '}')
		}
	}
	text("name", id.Name())
	text("namespace", id.Namespace)
	within("pod", id.Pod)
	text("pod_uid", id.PodUID)
	within("service", id.Service)
	text("workload", id.Workload)
	text("kind", id.Kind)
	text("node", id.Node)
	text("dns", id.DNS)
	b = append(dissect.AppendTime(append(b, `,"first":"`...), n.first), `","last":"`...)
	b = append(dissect.AppendTime(b, n.last), `","flows":`...)
	return append(strconv.AppendUint(b, n.flows, 10), '}')
}
