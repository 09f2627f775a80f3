package command

import (
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/pcapng"
	"github.com/sshark/sshark/sshd/auth"
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
	f.IntVarP(&d.count, "count", "c", 0, "stop after `N` packets")
	f.IntVarP(&d.snap, "snapshot-length", "s", 0, "keep the first `N` bytes of each packet, 0: all")
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
	var device string
	c := &cobra.Command{
		Use:   "tcpdump -U -i any -w - [FILTER]",
		Short: "pcap -f, for Wireshark's sshdump",
		Long: `An alias of pcap -f that takes the flags that Wireshark's sshdump types. The filter is one of
this console (help pcap), not one of tcpdump.`,
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
	ignored("P", "pcapng", "accepted: it is pcapng")
	f.StringVarP(&device, "interface", "i", "any", "any: pods are chosen with the filter")
	f.IntVarP(&d.count, "count", "c", 0, "stop after `N` packets")
	f.IntVarP(&d.snap, "snapshot-length", "s", 0, "keep the first `N` bytes of each packet, 0: all")
	f.StringVarP(&d.file, "write", "w", "", "-: standard output")
	d.format = formatPcapng
	c.RunE = func(_ *cobra.Command, args []string) error {
		if device != "any" {
			return usagef(`-i %s: only "any" is known here; choose pods with the filter: src.pod.name == "…"`, device)
		}
		if d.file == "" {
			return usagef("tcpdump without -w -: packets are not printed as text here; try: calls, flows")
		}
		typed := e.filterOf(args)
		if own, ok := ownTraffic(typed); ok {
			args = []string{own}
		} else if e.compile(typed) != nil && tcpdumpWords.MatchString(typed) {
			e.say("filters here are not those of tcpdump: dst.port == 80 && src.ip == \"10.0.0.1\"; try: help pcap")
		}
		return e.runPcap(&q, &d, args)
	}
	return c
}

var (
	// What sshdump adds to leave out its own connection (Wireshark, extcap/sshdump.c,
	// interfaces_list_to_filter).
	sshdumpOwn   = regexp.MustCompile(`^not \(\(host ([^()]+)\) and port ([0-9]+)\)$`)
	tcpdumpWords = regexp.MustCompile(`\b(and|or|not|host|net|port|portrange|src|dst|tcp|udp|icmp|proto) [a-z0-9(]`)
)

// ownTraffic turns the one filter that sshdump makes by itself into one of this console.
func ownTraffic(typed string) (string, bool) {
	m := sshdumpOwn.FindStringSubmatch(typed)
	if m == nil {
		return "", false
	}
	var s filter.Shorthand
	for _, host := range strings.Split(m[1], " or host ") {
		host, _, _ = strings.Cut(strings.TrimSpace(host), "%") // a zone
		if s.Add("ip", host, false) != nil {
			return "", false
		}
	}
	if s.Add("port", m[2], false) != nil {
		return "", false
	}
	return "!(" + s.String() + ")", true
}

// dump is where packets go, and how many.
type dump struct {
	count, snap  int
	file, format string
}

func (e *Env) runPcap(q *question, d *dump, args []string) error {
	switch {
	case d.count < 0:
		return usagef("-c %d: want a number from 1 on", d.count)
	case d.snap < 0:
		return usagef("-s %d: want a number of bytes, or 0 for all", d.snap)
	case d.file != "-":
		return usagef("-w %s: only - (standard output) can be written to; redirect it: … pcap > %s", d.file, d.file)
	case e.Terminal && !q.print:
		return usagef("packets are not for a terminal: redirect them (… pcap > file.pcapng) or pipe them (… pcap -f | wireshark -k -i -); with ssh -t, leave out the -t")
	}
	w := &packetSink{out: direct{e.Stdout}, snap: d.snap, left: d.count, bounded: d.count > 0}
	switch strings.ReplaceAll(d.format, "-", "") {
	case formatPcapng:
		ng, err := pcapng.NewWriter(w.out, pcapng.WriterOptions{Application: "sshark " + e.Version})
		if err != nil {
			return err
		}
		w.writer, w.names = ng, ng
	case formatPcap:
		w.writer = pcapng.NewClassicWriter(w.out)
	default:
		return usagef("-o %q: want pcapng or pcap", d.format)
	}
	a, done, err := q.ask(e, args, auth.Export, false)
	if a == nil {
		return err
	}
	defer done()
	// The header goes out at once: a Wireshark that follows a quiet cluster waits for it. Classic
	// pcap has to wait for the first packet, which decides its link type.
	if w.names != nil {
		if err := w.Flush(); err != nil {
			return err
		}
	}
	err = e.askBefore(a, func(r *query.Request) (*query.Report, error) { return e.Source.Packets(e.ctx, r, w) })
	if err != nil {
		return err
	}
	r, err := e.Source.Packets(e.ctx, &a.Request, w)
	return e.concluded(a, r, err, w, "packets")
}

// packetSink writes what a query finds to standard output.
type packetSink struct {
	out    io.Writer
	writer interface {
		Write(*pcap.Packet) error
		Flush() error
	}
	names   interface{ Name(pcap.Name) error } // nil: the format has no names
	snap    int
	left    int
	bounded bool
	n       int
}

var _ query.PacketSink = (*packetSink)(nil)

func (s *packetSink) Packet(p *pcap.Packet) error {
	if s.snap > 0 && len(p.Data) > s.snap {
		cut := *p
		cut.Data = p.Data[:s.snap]
		p = &cut
	}
	if err := s.writer.Write(p); err != nil {
		return err
	}
	s.n++
	if s.bounded {
		if s.left--; s.left == 0 {
			return query.ErrStop
		}
	}
	return nil
}

func (s *packetSink) Name(n pcap.Name) error {
	if s.names == nil {
		return nil
	}
	return s.names.Name(n)
}

func (s *packetSink) Flush() error { return s.writer.Flush() }

func (s *packetSink) finish() error {
	if err := s.writer.Flush(); err != nil {
		return fmt.Errorf("end the capture: %w", err)
	}
	return nil
}

func (s *packetSink) count() int { return s.n }

// direct is standard output with errors that tell a reader that went away.
type direct struct{ w io.Writer }

func (d direct) Write(p []byte) (int, error) {
	if err := writeAll(d.w, p); err != nil {
		return 0, err
	}
	return len(p), nil
}
