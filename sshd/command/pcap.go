package command

import (
	"io"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/sshd/export"
	"github.com/sshark/sshark/worker/query"
)

const (
	formatPcapng = "pcapng"
	formatPcap   = "pcap"
)

func (e *Env) pcap() *cobra.Command {
	var q question
	var d dump
	c := &cobra.Command{
		Use:   "pcap [FILTER]",
		Short: "packets as pcapng on standard output",
		Long: `Packets of the flows that match, of all nodes in the order of time, as pcapng with the names
of pods on standard output. Without a time: the last 15 minutes; of a file, all.
Opens in Wireshark as it comes:  ssh console pcap -f | wireshark -k -i -`,
		Example: `pcap --since 5m --pod shop/cart > cart.pcapng
pcap -f 'dns' | wireshark -k -i -
pcap --since 1h -c 1000 -s 128 -o pcap > headers.pcap`,
	}
	q.declare(e, c)
	f := c.Flags()
	d.declare(f)
	f.BoolVar(&d.options.HeadersOnly, "headers-only", false, "keep headers only, up to that of TCP, UDP, ICMP or SCTP, also in tunnels: nothing of what was said")
	f.BoolVar(&d.options.FixChecksums, "fix-checksums", false, "complete IPv4, TCP, UDP and ICMPv6 checksums that were left to the network device")
	f.StringVarP(&d.file, "write", "w", "-", "- (standard output); redirect it to have a file")
	f.StringVarP(&d.format, "output", "o", formatPcapng, "`FORMAT`: pcapng, pcap (classic, one link type)")
	c.RunE = func(_ *cobra.Command, args []string) error { return e.runPcap(&q, &d, args) }
	return c
}

// tcpdump is what Wireshark's sshdump types. Flags that ask for what happens anyway are
// accepted; those that would change the answer and cannot be followed are refused.
func (e *Env) tcpdump() *cobra.Command {
	var q question
	var d dump
	var device, captureFilter string
	c := &cobra.Command{
		Use:     "tcpdump -U -i any -w - [FILTER]",
		Aliases: []string{"dumpcap"},
		Short:   "pcap -f, for Wireshark's sshdump",
		Long: `An alias of pcap -f that takes the flags that Wireshark's sshdump types. The filter is one of
this console (help pcap), or a simple one of tcpdump: host, net, port, tcp, udp, and, or, not.`,
		Example: `tcpdump -U -i any -w - 'dst.port == 443'`,
	}
	f := c.Flags()
	f.SortFlags = false
	// The window is that of pcap -f; its flags are not shown here.
	q.flags = c.Flags()
	q.vantage, q.follow = "auto", true
	ignored := func(letter, name, usage string) { f.BoolP(name, letter, false, usage) }
	ignored("U", "packet-buffered", "hand on each packet at once (always)")
	ignored("n", "numeric", "no names (pcapng carries them beside the packets)")
	ignored("p", "no-promiscuous-mode", "accepted: nothing here is promiscuous")
	ignored("K", "dont-verify-checksums", "accepted")
	ignored("q", "quiet", "accepted")
	ignored("l", "line-buffered", "accepted")
	ignored("v", "verbose", "accepted")
	ignored("P", "pcapng", "accepted: it is pcapng")
	f.StringVarP(&device, "interface", "i", "any", "any: pods are chosen with the filter")
	d.declare(f)
	f.StringVarP(&d.file, "write", "w", "", "-: standard output")
	f.StringVarP(&captureFilter, "capture-filter", "f", "", "the `FILTER`, as dumpcap has it")
	d.format = formatPcapng
	c.RunE = func(_ *cobra.Command, args []string) error {
		if device != "any" {
			return usagef(`-i %s: only "any" is known here; choose pods with the filter: src.pod.name == "…"`, device)
		}
		if d.file == "" {
			return usagef("tcpdump without -w -: packets are not printed as text here; try: calls, flows")
		}
		if captureFilter != "" {
			args = append(args, captureFilter)
		}
		typed := e.filterOf(args)
		if e.compile(typed) != nil {
			own, err := bpf(typed)
			switch {
			case err == nil:
				args = []string{own}
			case tcpdumpWords.MatchString(typed):
				return usagef("of tcpdump's filters the simple ones are known here (host, net, port, portrange, tcp, udp, icmp, and, or, not): %w; or one of this console: dst.port == 80 && src.ip == \"10.0.0.1\"; try: help pcap", err)
			}
		}
		return e.runPcap(&q, &d, args)
	}
	return c
}

// tcpdumpWords tells one of tcpdump's filters that failed from one of this console that did.
var tcpdumpWords = regexp.MustCompile(`\b(and|or|not|host|net|port|portrange|src|dst|tcp|udp|icmp|proto|ether|vlan|greater|less) [a-z0-9(]`)

// dump is where packets go, and how many.
type dump struct {
	options      export.Options
	file, format string
}

// declare adds the flags that pcap and tcpdump share.
func (d *dump) declare(f *pflag.FlagSet) {
	f.IntVarP(&d.options.Count, "count", "c", 0, "stop after `N` packets")
	f.IntVarP(&d.options.Snap, "snapshot-length", "s", 0, "keep the first `N` bytes of each packet, 0: all")
}

func (e *Env) runPcap(q *question, d *dump, args []string) error {
	switch {
	case d.options.Count < 0, d.options.Count == 0 && q.flags.Changed("count"):
		return usagef("-c %d: want a number from 1 on", d.options.Count)
	case d.options.Snap < 0:
		return usagef("-s %d: want a number of bytes, or 0 for all", d.options.Snap)
	case d.file != "-":
		return usagef("-w %s: only - (standard output) can be written to; redirect it: … pcap > %s", d.file, d.file)
	case e.Terminal && !q.print:
		return usagef("packets are not for a terminal: redirect them (… pcap > file.pcapng) or pipe them (… pcap -f | wireshark -k -i -); with ssh -t, leave out the -t")
	}
	d.options.Application = "sshark " + e.Version
	switch strings.ReplaceAll(d.format, "-", "") {
	case formatPcapng:
	case formatPcap:
		d.options.Classic = true
	default:
		return usagef("-o %q: want pcapng or pcap", d.format)
	}
	a, done, err := q.ask(e, args, auth.Export, false)
	if a == nil {
		return err
	}
	defer done()
	out, err := export.New(direct{e.Stdout}, d.options)
	if err != nil {
		return err
	}
	// The header goes out at once: a Wireshark that follows a quiet cluster waits for it. Classic
	// pcap has to wait for the first packet, which decides its link type.
	if !d.options.Classic {
		if err := out.Flush(); err != nil {
			return err
		}
	}
	err = e.askBefore(a, func(r *query.Request) (*query.Report, error) { return e.Source.Packets(e.ctx, r, out) })
	if err != nil {
		return err
	}
	r, err := e.Source.Packets(e.ctx, &a.Request, out)
	a.stopped = d.options.Count > 0 && out.Count() >= d.options.Count
	return e.concluded(a, r, err, &packets{out, r}, "packets")
}

// packets prints an export as the other printers print their lines.
type packets struct {
	*export.Writer
	report *query.Report
}

func (p *packets) count() int    { return p.Count() }
func (p *packets) finish() error { return p.End(p.report) }

// direct is standard output with errors that tell a reader that went away.
type direct struct{ w io.Writer }

func (d direct) Write(p []byte) (int, error) {
	if err := writeAll(d.w, p); err != nil {
		return 0, err
	}
	return len(p), nil
}
