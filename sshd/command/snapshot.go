package command

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshark/sshark/pcap/snapshot"
	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/sshd/snapshots"
)

// snapshot is the commands about snapshots.
func (e *Env) snapshot() *cobra.Command {
	c := &cobra.Command{
		Use:   "snapshot create|list|show|delete NAME",
		Short: "an immutable copy of a window, of all nodes",
		Long: `Snapshots: a window of all nodes' packets, copied out of their stores, with the names that the
addresses had. They are files too: scp CONSOLE:/snapshots/NAME.tar.gz . gets one, and scp
NAME.tar.gz CONSOLE:/snapshots/ brings one here. Other commands ask one with --snapshot NAME.`,
		Example: `snapshot create checkout --since 10m 'http && status_code >= 500'
snapshot list
calls --snapshot checkout --http-status 5+`,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("snapshot %s: want create, list, show or delete", args[0])
			}
			return usagef("what about snapshots? want create, list, show or delete; try: help snapshot")
		},
	}
	c.AddCommand(e.snapshotCreate(), e.snapshotList(), e.snapshotShow(), e.snapshotDelete())
	return c
}

// oneName wants one word.
func oneName(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("%s: want the name of one snapshot", words(c))
	}
	return nil
}

// words are what is typed to run a command.
func words(c *cobra.Command) string {
	_, path, _ := strings.Cut(c.CommandPath(), " ") // without the program
	return path
}

func (e *Env) snapshotList() *cobra.Command {
	var l look
	formats := []string{formatTable, formatJSON}
	c := &cobra.Command{
		Use:     "list",
		Short:   "all snapshots, one line each",
		Example: "snapshot list\nsnapshot list -o json",
		Args:    noArgs,
	}
	l.declare(c.Flags(), formats...)
	c.RunE = func(*cobra.Command, []string) error {
		color, err := l.check(e, formats...)
		if err != nil {
			return err
		}
		list, err := e.Snapshots.List()
		if err != nil {
			return err
		}
		o := e.output()
		if l.output == formatJSON {
			err = snapshotsJSON(o, list)
		} else {
			err = e.snapshotsTable(o, &l, color, list)
		}
		if err == nil && len(list) == 0 {
			e.say("there are no snapshots; to make one: snapshot create NAME --since 10m")
		}
		return err
	}
	return c
}

// hiddenInfo stands for what the asker may not see of a snapshot.
const hiddenInfo = "-"

func (e *Env) snapshotsTable(o *output, l *look, color bool, list []*snapshots.Info) error {
	at := e.times(l)
	t := &table{out: o, color: color, columns: []column{
		{title: "NAME", min: 8, max: 63}, {title: "MADE", rank: 3}, {title: "BY", min: 4, max: 30, rank: 4}, {title: "SINCE"}, {title: "UNTIL"},
		{title: "NODES", right: true, rank: 1}, {title: "PACKETS", right: true, rank: 2}, {title: "SIZE", right: true}, {title: "FILTER", min: 6, max: 100, flexible: true},
	}}
	if e.Terminal {
		t.width = e.Width
	}
	for _, i := range list {
		nodes, packets, size, how := hiddenInfo, hiddenInfo, hiddenInfo, normal
		if i.Nodes > 0 {
			nodes, packets, size = strconv.Itoa(i.Nodes), strconv.FormatUint(i.Packets, 10), sizeText(uint64(i.Size))
			if n := len(i.Missing); n > 0 {
				nodes, how = fmt.Sprintf("%d/%d", i.Nodes-n, i.Nodes), red
			}
		}
		err := t.row(cell{printable(i.Name), bold}, cell{at(i.Created), dim}, cell{printable(i.By), normal}, cell{at(i.Since), normal}, cell{at(i.Until), normal},
			cell{nodes, how}, cell{packets, normal}, cell{size, normal}, cell{printable(i.Filter), normal})
		if err != nil {
			return err
		}
	}
	return t.finish()
}

// times is how a table shows times.
func (e *Env) times(l *look) func(time.Time) string {
	zone := e.Location
	if l.utc {
		zone = time.UTC
	}
	return func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return t.In(zone).Format("2006-01-02 15:04:05")
	}
}

// snapshotJSON is a snapshot as scripts see it; what the asker may not see is left out.
type snapshotJSON struct {
	Name     string    `json:"name"`
	Created  time.Time `json:"created"`
	By       string    `json:"by,omitempty"`
	Brought  bool      `json:"brought,omitempty"`
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until"`
	Filter   string    `json:"filter,omitempty"`
	Nodes    int       `json:"nodes,omitempty"`
	Missing  []string  `json:"missing,omitempty"`
	Packets  *uint64   `json:"packets,omitempty"`
	Bytes    *uint64   `json:"bytes,omitempty"`
	Drops    *uint64   `json:"drops,omitempty"`
	FileSize int64     `json:"file_bytes,omitempty"`
}

func snapshotsJSON(o *output, list []*snapshots.Info) error {
	enc := json.NewEncoder(writer{o})
	enc.SetEscapeHTML(false)
	for _, i := range list {
		j := snapshotJSON{Name: i.Name, Created: i.Created.UTC(), By: i.By, Brought: i.Brought, Since: i.Since.UTC(), Until: i.Until.UTC(),
			Filter: i.Filter, Nodes: i.Nodes, Missing: i.Missing, FileSize: i.Size}
		if i.Nodes > 0 {
			j.Packets, j.Bytes, j.Drops = &i.Packets, &i.Bytes, &i.Drops
		}
		if err := enc.Encode(j); err != nil {
			return err
		}
	}
	return o.spill(true)
}

func (e *Env) snapshotShow() *cobra.Command {
	var l look
	formats := []string{formatTable, formatJSON}
	c := &cobra.Command{
		Use:     "show NAME",
		Short:   "what a snapshot says of itself, node by node",
		Example: "snapshot show checkout\nsnapshot show checkout -o json",
		Args:    oneName,
	}
	l.declare(c.Flags(), formats...)
	c.RunE = func(_ *cobra.Command, args []string) error {
		color, err := l.check(e, formats...)
		if err != nil {
			return err
		}
		i, m, err := e.Snapshots.Show(args[0])
		if err != nil {
			return err
		}
		if l.output == formatJSON {
			return e.manifestJSON(m)
		}
		return e.showSnapshot(&l, color, i, m)
	}
	return c
}

// manifestJSON prints what a snapshot says of itself.
func (e *Env) manifestJSON(m *snapshot.Manifest) error {
	o := e.output()
	enc := json.NewEncoder(writer{o})
	enc.SetEscapeHTML(false) // a filter has && and >
	if err := enc.Encode(m); err != nil {
		return err
	}
	return o.spill(true)
}

func (e *Env) showSnapshot(l *look, color bool, i *snapshots.Info, m *snapshot.Manifest) error {
	o := e.output()
	at := e.times(l)
	line := func(key, value string) {
		if value != "" {
			_, _ = fmt.Fprintf(writer{o}, "%-9s %s\n", key, printable(value)) // into memory
		}
	}
	line("name", i.Name)
	line("made", at(m.Created)+" by "+m.CreatedBy)
	if i.Brought {
		line("brought", at(i.Modified)+" by "+i.By)
		if m.Name != i.Name {
			line("called", m.Name)
		}
	}
	line("window", at(m.Since)+" to "+at(m.Until))
	line("filter", m.Filter)
	if len(m.Namespaces) > 0 {
		line("holds", "flows of "+strings.Join(m.Namespaces, ", ")+" only")
	}
	line("program", m.Program)
	line("packets", fmt.Sprintf("%d, %s; %d lost when they were captured", i.Packets, sizeText(i.Bytes), i.Drops))
	line("file", fmt.Sprintf("/snapshots/%s%s, %d bytes", i.Name, snapshots.Ext, i.Size))
	o.buf = append(o.buf, '\n')
	t := &table{out: o, color: color, columns: []column{
		{title: "NODE", min: 8, max: 40}, {title: "PACKETS", right: true, rank: 1}, {title: "BYTES", right: true, rank: 2}, {title: "LOST", right: true},
		{title: "OLDEST"}, {title: "NEWEST"}, {title: "MISSING", min: 8, max: 200, flexible: true},
	}}
	if e.Terminal {
		t.width = e.Width
	}
	for n := range m.Nodes {
		n := &m.Nodes[n]
		lost := normal
		if n.Drops > 0 {
			lost = red
		}
		err := t.row(cell{printable(n.Name), bold}, cell{strconv.FormatUint(n.Packets, 10), normal}, cell{sizeText(n.Bytes), normal},
			cell{strconv.FormatUint(n.Drops, 10), lost}, cell{at(n.Oldest), dim}, cell{at(n.Newest), dim}, cell{printable(n.Missing), red})
		if err != nil {
			return err
		}
	}
	if err := t.finish(); err != nil {
		return err
	}
	for n := range m.Nodes {
		for _, note := range m.Nodes[n].Notes {
			e.say("%s: %s", m.Nodes[n].Name, note)
		}
	}
	return nil
}

func (e *Env) snapshotDelete() *cobra.Command {
	return &cobra.Command{
		Use:     "delete NAME",
		Short:   "delete a snapshot; who reads it goes on",
		Example: "snapshot delete checkout",
		Args:    oneName,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := e.allow(auth.Snapshot); err != nil {
				return err
			}
			if err := e.Snapshots.Delete(args[0]); err != nil {
				return err
			}
			e.say("snapshot %s is deleted", args[0])
			return nil
		},
	}
}
