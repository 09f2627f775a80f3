package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshark/sshark/pcap/snapshot"
	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/sshd/snapshots"
	"github.com/sshark/sshark/worker/query"
)

func (e *Env) snapshotCreate() *cobra.Command {
	q := question{window: window{vantage: "auto"}}
	var l look
	formats := []string{formatTable, formatJSON}
	c := &cobra.Command{
		Use:   "create NAME [FILTER]",
		Short: "make a snapshot of a window, of the flows that match",
		Long: `Makes a snapshot: the packets of a window, of the flows that match, of all nodes. Without a
time: the last 15 minutes. Its end is now at the latest. What it needs is kept until it was
read; a node that does not answer is named, and the snapshot says that it is missing (exit
status 3). Ctrl-C leaves nothing. -o json prints what the snapshot says of itself.`,
		Example: `snapshot create checkout --since 10m
snapshot create errors --since 14:03 --until 14:07 -n shop 'http && error'`,
	}
	f := c.Flags()
	f.SortFlags = false
	q.window.flags = f
	f.StringVar(&q.since, "since", "", "from this `TIME` on: an age (5m, 1h30m, 2d), or 2026-01-02T15:04:05Z, or \"2026-01-02 15:04\", or 15:04")
	f.StringVar(&q.until, "until", "", "up to this `TIME`, now at the latest")
	f.BoolVar(&q.all, "all", false, "everything that is kept")
	q.shorthands.declare(f)
	f.StringVarP(&l.output, "output", "o", formatTable, "`FORMAT`: table (nothing on standard output), json")
	l.color = "never"
	c.RunE = func(_ *cobra.Command, args []string) error {
		if _, err := l.check(e, formats...); err != nil {
			return err
		}
		if len(args) == 0 {
			return usagef("snapshot create: want a name, %s", snapshot.NameRule)
		}
		if !snapshot.ValidName(args[0]) {
			return usagef("snapshot create %q: want a name, %s", args[0], snapshot.NameRule)
		}
		a, done, err := q.ask(e, args[1:], auth.Snapshot, false)
		if a == nil {
			return err
		}
		defer done()
		return e.createSnapshot(args[0], a, l.output == formatJSON)
	}
	return c
}

func (e *Env) createSnapshot(name string, a *asked, print bool) error {
	now := e.Now().UnixNano()
	if a.Until == 0 || a.Until > now {
		a.Until = now
	}
	if a.Since >= a.Until {
		return usagef("the window is empty: it begins at %s, and ends now", rfc3339(a.Since))
	}
	line := &progressLine{e: e}
	o := snapshots.CreateOptions{Name: name, Since: a.Since, Until: a.Until, Filter: a.Filter}
	if e.Terminal {
		o.Progress = line.show
	}
	i, err := e.Snapshots.Create(e.ctx, o)
	line.clear()
	if err != nil {
		if errors.Is(err, context.Canceled) {
			e.say("snapshot %s is not made: it was cancelled, and nothing of it is left", name)
		}
		return err
	}
	_, m, err := e.Snapshots.Show(name)
	if err != nil {
		return err
	}
	if e.Told != nil {
		e.Told(int(i.Packets))
	}
	if print {
		if err := e.manifestJSON(m); err != nil {
			return err
		}
	}
	return e.snapshotMade(a, i, m)
}

// snapshotMade says what came of it, and what did not.
func (e *Env) snapshotMade(a *asked, i *snapshots.Info, m *snapshot.Manifest) error {
	r := &query.Report{}
	for n := range m.Nodes {
		n := &m.Nodes[n]
		r.Nodes = append(r.Nodes, query.NodeReport{Node: n.Name, Missing: n.Missing, Part: n.File != "", Dropped: n.Drops, Notes: n.Notes})
		if kept := n.Kept; a.explicit && !a.everyone && !kept.IsZero() && kept.UnixNano() > a.Since+int64(time.Second) {
			e.say("oldest packet kept: %s %s", n.Name, rfc3339(kept.UnixNano()))
		}
	}
	err := e.retell(&asked{Request: query.Request{Follow: true}}, r, int(i.Packets), "packets")
	nodes := "1 node"
	if i.Nodes > 1 {
		nodes = fmt.Sprintf("%d nodes", i.Nodes)
	}
	if n := len(i.Missing); n > 0 {
		nodes += fmt.Sprintf(", %d of them incomplete or missing", n)
	}
	e.say("snapshot %s: %d packets (%s) from %s to %s, of %s; the file has %s: scp CONSOLE:/snapshots/%s%s .",
		i.Name, i.Packets, sizeText(i.Bytes), rfc3339(m.Since.UnixNano()), rfc3339(m.Until.UnixNano()), nodes, sizeText(uint64(i.Size)), i.Name, snapshots.Ext)
	return err
}

// progressLine is one line of a terminal that is written again and again.
type progressLine struct {
	e     *Env
	shown bool
}

func (p *progressLine) show(s snapshots.Progress) {
	text := fmt.Sprintf("%d of %d nodes, %d packets, %s", s.Done, s.Nodes, s.Packets, sizeText(s.Bytes))
	if s.Packing {
		text += ", packing"
	}
	if w := p.e.Width; w > 0 && len(text) >= w {
		text = text[:w-1]
	}
	p.shown = true
	p.put("\r" + text + "\x1b[K")
}

// clear takes it away, for the lines that stay.
func (p *progressLine) clear() {
	if p.shown {
		p.put("\r\x1b[K")
	}
}

func (p *progressLine) put(text string) {
	p.e.told.mu.Lock()
	defer p.e.told.mu.Unlock()
	_, _ = p.e.Stderr.Write([]byte(text)) // nobody is left to tell when standard error is gone
}
