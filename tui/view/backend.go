// Package view holds the screens of the TUI. Each has the shape of a bubble (New, Update, View)
// and is used by the one goroutine of its session. Nothing here reads or waits: what takes time
// runs as a command, its result comes as a message, and both end with the context of the session.
//
// A screen is the files that begin with its name: calls, with details for the pane of one call,
// flows, packets, stream, servicemap, replay, snapshots, nodes, doctor. The others are what they
// share: what is looked at (bar, window, timeline, clock, columns, saved), how it is asked (backend,
// feed and gather), what is said of it (losses, empty), and what lies over it (modal, chooser, copy).
// They are one package since each screen is made of most of that.
//
// Rows are copied from what a Backend lends; all text in them has passed style.Clean.
package view

import (
	"bytes"
	"context"
	"fmt"
	"runtime/debug"

	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
)

// Backend answers what the screens ask. It is safe for concurrent use; a call ends soon after
// its context.
type Backend interface {
	// Calls hands out the calls that q asks for, in time order. They are borrowed until each
	// returns; an error from each ends the answer. The report also comes with an error.
	Calls(ctx context.Context, q Query, each func(*dissect.Call) error) (Report, error)
	// Flows hands out the flows that q asks for, in the order of their first packet. They are
	// borrowed until each returns; an error from each ends the answer. Following tells flows
	// as they end.
	Flows(ctx context.Context, q Query, each func(*dissect.Flow) error) (Report, error)
	// Packets hands out the packets that q asks for, in time order, and who their ends were; an
	// error from out ends the answer.
	Packets(ctx context.Context, q Query, out PacketSink) (Report, error)
	// Stream hands out the reassembled bytes of a flow, both sides in the order of their capture,
	// from its first byte that is kept; an error from out ends the answer.
	Stream(ctx context.Context, stream string, out StreamSink) (Report, error)
	// Detail finds one call again, with its fields and bodies.
	Detail(ctx context.Context, ref Ref) (*Detail, error)
	// Nodes says how each node is.
	Nodes(ctx context.Context) ([]Node, error)
	// Check says what is wrong with a filter, with line, column and caret; nil: nothing.
	Check(filter string) error
	// Complete says what may stand where the cursor is (in bytes).
	Complete(filter string, cursor int) []Completion
	// Columns makes a reader of fields by their names, the key of a map behind a dot; its error
	// says which there is not.
	Columns(names ...string) (ColumnReader, error)
}

// PacketSink takes packets, which are borrowed until the call returns, and before the first
// packet that it is for the name of an address.
type PacketSink interface {
	Packet(*pcap.Packet) error
	Name(pcap.Name) error
}

// StreamSink takes the bytes of a flow; d is 0 for client to server. Bytes are borrowed until
// the call returns. n missing bytes are a Gap (0: unknown how many).
type StreamSink interface {
	Data(d flow.Dir, b []byte, at int64) error
	Gap(d flow.Dir, n, at int64) error
}

// Query asks for calls, flows or packets. Times are ns since 1970 UTC, half open.
type Query struct {
	Since  int64 // 0: from the oldest
	Until  int64 // 0: to the newest
	Filter string
	Stream string // of this flow only, "": of all
	Last   int    // only the newest that match; 0: all
	Follow bool   // what comes in from now on, until the context ends
}

// Report says how an answer came about.
type Report struct {
	Missing    []Missing // nodes that did not answer
	Oldest     int64     // time of the oldest packet kept, ns; 0: nothing is kept
	OldestNode string
	Newest     int64
	Matched    uint64 // before Last cut it
	More       bool   // not all was read, so that Matched is a lower bound
	Most       bool   // what was seen at several places may count at each, so that it is an upper one
	Dropped    uint64 // packets lost in the window
	Lagged     uint64 // packets that following was too slow for
	Notes      []string
}

// Missing is a node that did not answer.
type Missing struct{ Node, Why string }

// Ref names one call, so that it is found again.
type Ref struct {
	Stream string // of its flow, as in the stream column
	Seq    uint32 // of the call in its flow, as dissected then; it may differ when read again
	ID     uint64
	Node   string
	Time   int64 // of the call, ns

	Client *dissect.Sighting // how it was seen at the client's end too; nil: it was not
}

// Detail is all there is to know of one call. It is the screen's own: nothing in it is
// borrowed.
type Detail struct {
	Ref
	Protocol     string // "http"
	Title        string // "HTTP"
	Transport    string // "tcp"
	Src, Dst     dissect.Endpoint
	Vantage      string // "client", "server", ""
	RequestEnd   int64
	RespStart    int64
	RespEnd      int64
	RequestSize  uint64
	ResponseSize uint64
	Error        bool
	Incomplete   bool
	Summary      string
	Status       string
	Fields       []byte // `,"name":value` for each, as Message.AppendFields has it
	Bodies       [2]*dissect.Body
	Decrypted    bool
	JSON         []byte // the call as `calls -o json` prints it, without a line end
}

// NewDetail copies a call that was lent.
func NewDetail(c *dissect.Call) *Detail {
	d := &Detail{
		Ref:      Ref{Stream: c.Flow.ID.String(), Seq: c.Seq, ID: c.ID(), Node: c.Flow.Node, Time: c.Time},
		Protocol: c.Protocol.Name, Title: c.Protocol.Title, Transport: c.Flow.Transport.String(),
		Src: *c.Src(), Dst: *c.Dst(), Vantage: c.Flow.Vantage.String(),
		RequestEnd: c.RequestEnd, RespStart: c.ResponseStart, RespEnd: c.ResponseEnd,
		RequestSize: c.RequestSize, ResponseSize: c.ResponseSize,
		Error: c.Error, Incomplete: c.Incomplete,
		Summary: string(c.Message.AppendSummary(nil)), Status: string(c.Message.AppendStatus(nil)),
		Fields: c.Message.AppendFields(nil), Decrypted: c.Decrypted, JSON: dissect.AppendCall(nil, c),
	}
	if c.Client != nil {
		own := *c.Client
		d.Client = &own
	}
	for part := range d.Bodies {
		if b := c.Message.Body(part); b != nil {
			own := *b
			own.Data = bytes.Clone(b.Data)
			d.Bodies[part] = &own
		}
	}
	return d
}

// Node is the state of one worker, or of a file.
type Node struct {
	Name       string
	State      string // "capturing", "reading" (a file), "degraded", "gone"
	Problem    string // for a person; "" if nothing
	PacketRate float64
	ByteRate   float64
	DropRate   float64
	Seen       uint64 // packets
	Dropped    uint64 // packets lost anywhere: ring, queue, disk
	Oldest     int64
	Newest     int64
	StoreUsed  uint64 // bytes
	StoreLimit uint64 // bytes, 0: none
	Pods       int    // that should be captured
	Problems   []PodProblem
}

// PodProblem is a pod that is not captured, and why.
type PodProblem struct{ Pod, Problem string }

// Completion is something that may stand at the cursor of a filter.
type Completion struct {
	Text  string // to insert in place of the bytes from Start to the cursor
	Start int
	Kind  string // type, "function", "value"
	Help  string
}

// failed is the result of a command that could not do its work.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string {
	return fmt.Sprintf("internal error: %v (this is a bug)", e.value)
}

// guard turns a panic of a command into its error, so that it ends neither the session nor
// others.
func guard(err *error) {
	if r := recover(); r != nil {
		*err = &panicError{r, debug.Stack()}
	}
}

// FlashMsg is said at the bottom of the screen for a while.
type FlashMsg struct {
	Text string
	Bad  bool
}

func flash(format string, args ...any) tea.Cmd {
	return func() tea.Msg { return FlashMsg{Text: fmt.Sprintf(format, args...)} }
}

// refuse says why an action cannot run.
func refuse(format string, args ...any) tea.Cmd {
	return func() tea.Msg { return FlashMsg{Text: fmt.Sprintf(format, args...), Bad: true} }
}

// maxClipboard is what terminals take over OSC 52 without complaint.
const maxClipboard = 64 << 10

// yank copies text to the clipboard of the operator's terminal.
func yank(what, text string) tea.Cmd {
	note := fmt.Sprintf("copied %s", what)
	if len(text) > maxClipboard {
		text = text[:maxClipboard]
		note += ", only its first 64 KiB: terminals take no more"
	}
	return tea.Batch(tea.SetClipboard(text), flash("%s", note))
}
