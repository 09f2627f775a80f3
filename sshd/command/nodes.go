package command

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/worker/query"
)

func (e *Env) nodes() *cobra.Command {
	var l look
	var snapshot string
	formats := []string{formatTable, formatWide, formatJSON}
	c := &cobra.Command{
		Use:     "nodes",
		Short:   "each worker: state, rate, drops, what it keeps",
		Long:    `Nodes: each worker's state, what it captures and loses, and what its store keeps.`,
		Example: "nodes\nnodes -o json",
		Args:    noArgs,
	}

	l.declare(c.Flags(), formats...)
	e.declareSnapshot(c.Flags(), &snapshot)
	c.RunE = func(*cobra.Command, []string) error {
		color, err := l.check(e, formats...)
		if err != nil {
			return err
		}
		if err := e.allow(auth.See); err != nil {
			return err
		}
		if snapshot != "" {
			done, err := e.askSnapshot(snapshot)
			if err != nil {
				return err
			}
			defer done()
		}
		if e.Source == nil {
			return usagef("nodes asks a cluster: ssh console nodes")
		}
		nodes, r, err := e.Source.Nodes(e.ctx)
		if err != nil && len(nodes) == 0 {
			return err
		}
		o := e.output()
		if l.output == formatJSON {
			err = nodesJSON(o, nodes)
		} else {
			err = e.nodesTable(o, &l, color, nodes)
		}
		if err != nil {
			return err
		}
		e.sayProblems(nodes)
		if len(nodes) == 0 && (r == nil || !r.Partial()) {
			e.say("there are no nodes")
		}
		return e.retell(&asked{Request: query.Request{Follow: true}}, r, len(nodes), "nodes")
	}
	return c
}

// maxProblems is how many pods' problems are told of a node.
const maxProblems = 5

// sayProblems says what is wrong with the nodes that answered, and with their pods.
func (e *Env) sayProblems(nodes []query.Node) {
	for i := range nodes {
		n := &nodes[i]
		if n.Problem != "" && n.State != "gone" { // those are named as missing
			e.say("%s: %s", n.Name, n.Problem)
		}
		ill := 0
		for j := range n.Pods {
			p := &n.Pods[j]
			if p.Problem == "" {
				continue
			}
			if ill++; ill <= maxProblems {
				e.say("%s: %s is not captured as it should be: %s", n.Name, podName(p.Pod), p.Problem)
			}
		}
		if ill > maxProblems {
			e.say("%s: %d more pods are not captured as they should be; try: doctor", n.Name, ill-maxProblems)
		}
	}
}

// podName is how a line speaks of a pod.
func podName(p pcap.Pod) string {
	switch {
	case p == (pcap.Pod{}):
		return "the node's own network"
	case p.Name == "":
		return p.UID // nobody has told its name yet
	}
	return p.String()
}

// noArgs refuses words that are left over.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no words: %s", words(c), strings.Join(args, " "))
	}
	return nil
}

// lostOf is all that a node lost, wherever it happened.
func lostOf(n *query.Node) uint64 { return n.Stats.Dropped + n.QueueDrops + n.DiskDrops }

// storedOf is what a node kept: what the capture handed on, and was not lost behind it. So
// what was seen is what was stored, lost and filtered.
func storedOf(n *query.Node) uint64 {
	return n.Stats.Stored - min(n.Stats.Stored, n.QueueDrops+n.DiskDrops)
}

func (e *Env) nodesTable(o *output, l *look, color bool, nodes []query.Node) error {
	zone := e.Location
	if l.utc {
		zone = time.UTC
	}
	width := 0
	if e.Terminal {
		width = e.Width
	}
	t := &table{out: o, width: width, color: color, columns: []column{
		{title: "NODE", min: 8, max: 40, flexible: true}, {title: "STATE", max: 10}, {title: "PODS", right: true, rank: 1},
		{title: "PKT/S", right: true}, {title: "MBIT/S", right: true, rank: 4}, {title: "PACKETS", right: true, rank: 3}, {title: "DROPPED", right: true},
		{title: "OLDEST"}, {title: "NEWEST", rank: 2}, {title: "STORE", right: true},
	}}
	if l.output == formatWide {
		t.columns = append(t.columns, column{title: "RING", right: true, rank: 5}, column{title: "QUEUE", right: true, rank: 5}, column{title: "DISK", right: true, rank: 5},
			column{title: "SEGMENTS", right: true, rank: 6}, column{title: "VERSION", rank: 7}, column{title: "KERNEL", rank: 8})
	}
	at := func(ns int64) string {
		if ns == 0 {
			return "-"
		}
		if t.width > 0 && t.width < 120 {
			return time.Unix(0, ns).In(zone).Format("15:04:05")
		}
		return time.Unix(0, ns).In(zone).Format("2006-01-02 15:04:05")
	}
	for i := range nodes {
		n := &nodes[i]
		state, lost := green, normal
		if n.Problem != "" || n.State == "degraded" || n.State == "gone" {
			state = red
		}
		if lostOf(n) > 0 {
			lost = red
		}
		store := sizeText(n.StoreUsed)
		if n.StoreLimit > 0 {
			store += "/" + sizeText(n.StoreLimit)
		}
		cells := []cell{
			{printable(n.Name), bold}, {printable(n.State), state}, podsCell(n),
			{fmt.Sprintf("%.0f", n.PacketRate), normal}, {fmt.Sprintf("%.1f", n.ByteRate*8/1e6), normal},
			{strconv.FormatUint(storedOf(n), 10), normal}, {strconv.FormatUint(lostOf(n), 10), lost},
			{at(n.Oldest), dim}, {at(n.Newest), dim}, {store, normal},
		}
		if l.output == formatWide {
			for _, v := range []uint64{n.Stats.Dropped, n.QueueDrops, n.DiskDrops, uint64(n.Segments)} {
				cells = append(cells, cell{strconv.FormatUint(v, 10), normal})
			}
			cells = append(cells, cell{dash(n.Version), dim}, cell{dash(n.Kernel), dim})
		}
		if err := t.row(cells...); err != nil {
			return err
		}
	}
	return t.finish()
}

// podsCell counts a node's pods, and says how many of them are captured where not all are.
func podsCell(n *query.Node) cell {
	all, ill := 0, 0
	for i := range n.Pods {
		p := &n.Pods[i]
		if p.Problem != "" {
			ill++
		} else if p.Own() {
			continue
		}
		all++
	}
	if ill == 0 {
		return cell{strconv.Itoa(all), normal}
	}
	return cell{fmt.Sprintf("%d/%d", all-ill, all), red}
}

// dash stands for what is not known.
func dash(text string) string {
	if text == "" {
		return "-"
	}
	return printable(text)
}

// sizeText is a number of bytes with three digits.
func sizeText(n uint64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return strconv.FormatUint(n, 10) + "B"
	}
	v, i := float64(n)/1024, 0
	for v >= 1000 && i < len(units)-1 {
		v /= 1024
		i++
	}
	digits := 1
	if v >= 100 {
		digits = 0
	}
	return strconv.FormatFloat(v, 'f', digits, 64) + units[i:i+1] + "iB"
}

// nodeJSON is a node as scripts see it.
type nodeJSON struct {
	Name       string         `json:"node_name"`
	State      string         `json:"state"`
	Problem    string         `json:"problem,omitempty"`
	Time       json.Marshaler `json:"time,omitempty"`
	Seen       uint64         `json:"packets_seen"`
	Stored     uint64         `json:"packets_stored"`
	Dropped    uint64         `json:"packets_dropped"`
	Filtered   uint64         `json:"packets_filtered"`
	RingDrops  uint64         `json:"ring_dropped"`
	QueueDrops uint64         `json:"queue_dropped"`
	DiskDrops  uint64         `json:"disk_dropped"`
	Bytes      uint64         `json:"bytes_stored"`
	PacketRate float64        `json:"packets_per_second"`
	ByteRate   float64        `json:"bytes_per_second"`
	DropRate   float64        `json:"drops_per_second"`
	Oldest     json.Marshaler `json:"oldest,omitempty"`
	Newest     json.Marshaler `json:"newest,omitempty"`
	StoreUsed  uint64         `json:"store_used_bytes"`
	StoreLimit uint64         `json:"store_limit_bytes"`
	Segments   int            `json:"segments"`
	Version    string         `json:"version,omitempty"`
	Kernel     string         `json:"kernel,omitempty"`
	Queries    int            `json:"queries"`
	Pods       []podJSON      `json:"pods"`
}

type podJSON struct {
	Namespace  string   `json:"namespace,omitempty"`
	Name       string   `json:"name"`
	UID        string   `json:"uid,omitempty"`
	Interfaces []string `json:"interfaces"`
	Off        bool     `json:"left_out,omitempty"`
	Problem    string   `json:"problem,omitempty"`
	Seen       uint64   `json:"packets_seen"`
	Stored     uint64   `json:"packets_stored"`
	Dropped    uint64   `json:"packets_dropped"`
}

// stamp is a capture time in JSON.
type stamp int64

func (s stamp) MarshalJSON() ([]byte, error) {
	return append(dissect.AppendTime([]byte{'"'}, int64(s)), '"'), nil
}

// stampOf leaves out what is not known.
func stampOf(ns int64) json.Marshaler {
	if ns == 0 {
		return nil
	}
	return stamp(ns)
}

func nodesJSON(o *output, nodes []query.Node) error {
	enc := json.NewEncoder(writer{o})
	enc.SetEscapeHTML(false)
	for i := range nodes {
		n := &nodes[i]
		j := nodeJSON{
			Name: n.Name, State: n.State, Problem: n.Problem, Time: stampOf(n.Time),
			Seen: n.Stats.Seen, Stored: storedOf(n), Dropped: lostOf(n), Filtered: n.Stats.Filtered, Bytes: n.Stats.Bytes,
			RingDrops: n.Stats.Dropped, QueueDrops: n.QueueDrops, DiskDrops: n.DiskDrops,
			PacketRate: n.PacketRate, ByteRate: n.ByteRate, DropRate: n.DropRate,
			Oldest: stampOf(n.Oldest), Newest: stampOf(n.Newest),
			StoreUsed: n.StoreUsed, StoreLimit: n.StoreLimit, Segments: n.Segments, Queries: n.Queries, Version: n.Version, Kernel: n.Kernel, Pods: []podJSON{},
		}
		for _, p := range n.Pods {
			j.Pods = append(j.Pods, podJSON{p.Pod.Namespace, p.Pod.Name, p.Pod.UID, p.Interfaces, p.Off, p.Problem, p.Stats.Seen, p.Stats.Stored, p.Stats.Dropped})
		}
		if err := enc.Encode(j); err != nil {
			return err
		}
	}
	return o.spill(true)
}
