// Package query answers questions about packets: a time range and a filter go in; packets,
// flows or calls come out, in time order. It is the on-demand dissection.
//
// Source is the one small interface that a file, a node's store, a node over gRPC and the
// fleet all answer, so every command and the TUI are one code path. A Source is safe for
// concurrent use. What it hands to a callback is borrowed until the callback returns, and
// others may read it too: it is not to be changed. An error from the callback ends the query
// and is returned as it is. A query ends within a second of its context.
package query

import (
	"context"
	"errors"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
)

// Request is one question.
type Request struct {
	Since, Until int64  // ns since 1970 UTC, half open; Until 0: to the newest
	Filter       string // as typed; "" matches all
	// First and Last bound the answer to the oldest or newest that match, in time order
	// either way; 0 is no bound. At most one of them is set, and Last not with Follow.
	First, Last int
	Follow      bool // go on with what comes in, from now on
	Vantage     Vantage
	// Bodies asks for the bodies of calls, up to this many bytes each; 0: none.
	Bodies int
	// Stream asks for the calls or packets of this flow only; 0: all.
	Stream flow.ID
	Node   string // ask this node alone; "": all
	// Hold asks for packets that must be complete: what the answer needs is kept until it was
	// read, as far as the quota lets it. What had to go all the same is in NodeReport.Gone.
	Hold   bool
	Access Access
	// Notice, if set, is told while the query runs when a node goes missing (Missing says why)
	// and when it begins to answer, also again; and, of no node, what the asker was too slow to
	// be told (Notes). It is called by one goroutine at a time.
	Notice func(NodeReport)
	// Withheld, if set, is told of each thing that a node told beyond Access, which whoever asks
	// several nodes leaves out. It is called by several goroutines at a time.
	Withheld func()
}

// Access limits what an answer may tell. The zero value is no limit.
type Access struct {
	// Limited: only flows are told of which one end at least is in one of Namespaces, as far as
	// that is known; nothing if there are none.
	Limited    bool
	Namespaces []string
	// Metadata: calls tell who spoke when with whom, how long it took and how it ended, and
	// nothing of what was said, but for flows of which one end is in Payload. A filter must not
	// ask for what was said then, and no bytes of streams are told: that is ErrRefused.
	Metadata bool
	Payload  []string
}

// Vantage says which sightings of a flow are told.
type Vantage uint8

// Auto tells a flow once, joined of what was seen at both ends (package vantage); Both tells
// every sighting. A filter judges each sighting by what was seen there: with Auto a call is
// told of the sightings that match.
const (
	Auto Vantage = iota
	Client
	Server
	Both
)

// tells says whether a sighting of a flow is one to tell, or to join with others; a flow seen
// in the middle is told to everybody.
func (v Vantage) tells(side dissect.Side) bool {
	switch v {
	case Client:
		return side != dissect.SideServer
	case Server:
		return side != dissect.SideClient
	}
	return true
}

// Source answers questions. Each method returns a Report as soon as it answered at all, also
// together with an error.
type Source interface {
	// Calls hands out calls in the order of their time. Calls that lasted longer than
	// ReorderWindow may come late.
	Calls(ctx context.Context, r *Request, each func(*dissect.Call) error) (*Report, error)
	// Flows hands out flows that have a packet in the window, in the order of their first.
	Flows(ctx context.Context, r *Request, each func(*dissect.Flow) error) (*Report, error)
	// Packets hands out the packets of flows that match (that have a call that does, if the
	// filter speaks of calls), and names before the first packet that they are for.
	Packets(ctx context.Context, r *Request, out PacketSink) (*Report, error)
	// Stream hands out the reassembled bytes of the flow Request.Stream, both directions in the
	// order of their capture; of the rest of the request Access counts. It returns
	// ErrNoSuchFlow if nothing is kept of it that the asker may see.
	Stream(ctx context.Context, r *Request, out StreamSink) (*Report, error)
	// Nodes says how each node is.
	Nodes(ctx context.Context) ([]Node, *Report, error)
}

// PacketSink takes what a packet query finds.
type PacketSink interface {
	Packet(*pcap.Packet) error
	Name(pcap.Name) error
	// Flush is called when all that was found so far was handed over and the query waits
	// for more (following).
	Flush() error
}

// SecretSink is a PacketSink that also takes what a file holds for the packets to be decrypted
// with; kind and data are those of a pcapng Decryption Secrets Block. Only who may see all is
// told.
type SecretSink interface {
	PacketSink
	Secrets(kind uint32, data []byte) error
}

// Report says how an answer came about, so that nothing is silently missing.
type Report struct {
	Nodes []NodeReport
}

// NodeReport is one node's part in an answer.
type NodeReport struct {
	Node    string
	Missing string // why it did not answer (in full), "" if it did
	Part    bool   // it is missing, but some of its answer had come
	Oldest  int64  // time of the oldest packet kept, 0: nothing kept
	Newest  int64
	Matched uint64 // what matched, before First and Last cut it
	// More: the answer was complete before all of the window was read, so Matched is a lower
	// bound.
	More bool
	// Most: calls that were seen at several places count at each of them, as not all were
	// joined; so Matched is an upper bound.
	Most    bool
	Dropped uint64   // packets lost in the window, as far as the node can tell
	Lagged  uint64   // packets that a follower was too slow to see
	Gone    int      // segments of the window that went while it was read: the answer lacks them
	Notes   []string // other things that the asker must know: a damaged segment, a truncated file
}

// Absence is the sentence that says that a node is missing and why, "" if it is not.
func (n *NodeReport) Absence() string {
	switch {
	case n.Missing == "":
		return ""
	case n.Part:
		return n.Node + " stopped answering: " + n.Missing
	}
	return n.Node + " did not answer: " + n.Missing
}

// Partial says whether a node is missing.
func (r *Report) Partial() bool {
	for i := range r.Nodes {
		if r.Nodes[i].Missing != "" {
			return true
		}
	}
	return false
}

// Node is the state of one worker.
type Node struct {
	Name       string
	State      string // "capturing", "reading" (a file), "degraded", "gone"
	Problem    string // what is wrong, for a person; "" if nothing
	Time       int64  // when this was read, ns
	Stats      pcap.Stats
	PacketRate float64 // per second, over the last seconds
	ByteRate   float64
	DropRate   float64
	QueueDrops uint64 // lost between ring and disk
	DiskDrops  uint64 // lost because the disk did not take them
	Oldest     int64
	Newest     int64
	StoreUsed  uint64 // bytes
	StoreLimit uint64 // bytes
	Segments   int
	Queries    int // questions about calls, flows and packets that are being answered now
	Pods       []PodState
	Version    string // of the program, "": not known
	Kernel     string // release of the node's kernel (uname -r), "": not known
}

// PodState is what is captured of one pod.
type PodState struct {
	Pod        pcap.Pod
	Interfaces []string
	Off        bool   // it is not wanted: the worker's targets leave it out
	Problem    string // why it is not captured, "" if it is
	Stats      pcap.Stats
}

// Own says whether this is no pod, but the node's own network.
func (p *PodState) Own() bool { return p.Pod.Name == "" && p.Pod.UID == "" }

// ReorderWindow is how long an answer is held back to keep time order.
const ReorderWindow = 2 * time.Second

// Errors that commands tell apart.
var (
	// ErrNoSuchFlow: nothing is kept of the flow that was asked for.
	ErrNoSuchFlow = errors.New("no such flow")
	// ErrStop ends a query early without being an error: return it from a callback.
	ErrStop = errors.New("enough")
)
