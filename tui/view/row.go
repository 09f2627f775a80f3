package view

import (
	"net/netip"
	"slices"
	"sort"
	"strconv"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/servicemap/identity"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/style"
)

// MaxRows is how many calls a screen keeps, the newest.
const MaxRows = 10_000

// maxSummary is how many bytes of a summary a row keeps; the details have all of it.
const maxSummary = 300

// peer is one end of a flow, shared by its rows.
type peer struct {
	full  style.Text // with namespace
	short style.Text
	addr  netip.AddrPort
	id    *dissect.Identity
}

// flowInfo is what the rows of one flow share.
type flowInfo struct {
	stream string
	node   string
	both   bool // seen at both ends
	peers  [2]peer
}

// row is one call in the list.
type row struct {
	*told
	values []any // of the fields that are columns
	mark   bool
}

// told is what a row tells. Screens have it in common, so it is never changed.
type told struct {
	time     int64
	id       uint64
	latency  int64 // ns, -1: unknown
	flow     *flowInfo
	proto    *dissect.Protocol
	client   *dissect.Sighting // nil: it was not seen at the client's end too
	summary  style.Text
	raw      string // the summary as it came, "" where it is the same
	status   style.Text
	seq      uint32
	err      bool
	reverse  bool
	cut      bool // lost bytes, or the end
	overlong bool // summary is not all of it
}

// title is how the protocol is called.
func (r *row) title() style.Text {
	if r.proto == nil {
		return ""
	}
	return style.Text(r.proto.Title)
}

func (r *row) src() *peer {
	if r.reverse {
		return &r.flow.peers[1]
	}
	return &r.flow.peers[0]
}

func (r *row) dst() *peer {
	if r.reverse {
		return &r.flow.peers[0]
	}
	return &r.flow.peers[1]
}

func (r *row) ref() Ref {
	return Ref{Stream: r.flow.stream, Seq: r.seq, ID: r.id, Node: r.flow.node, Time: r.time, Client: r.client}
}

// line is the row as text, to be copied.
func (r *row) line(loc *time.Location) string {
	s := time.Unix(0, r.time).In(loc).Format("2006-01-02T15:04:05.000000Z07:00") + "  " +
		string(r.src().full) + " → " + string(r.dst().full) + "  " + string(r.title()) + "  " + string(r.summary)
	if r.status != "" {
		s += "  " + string(r.status)
	}
	if r.latency >= 0 {
		s += "  " + component.Duration(time.Duration(r.latency))
	}
	return s
}

// copier makes rows of calls that are lent. One goroutine uses it.
type copier struct {
	flow     *dissect.Flow
	info     *flowInfo
	called   map[*dissect.Identity]peer // whose names are shared
	flows    map[flow.ID]*flowInfo      // as rows share them
	statuses map[string]style.Text      // as rows share them
	shared   *Shared                    // by other screens too; nil: nothing is
	scratch  []byte
	read     ColumnReader // nil: no field is a column
	fields   int
}

func (c *copier) row(call *dissect.Call) *row {
	if c.info == nil || c.flow != call.Flow {
		c.flow, c.info = call.Flow, c.flowInfo(call.Flow)
	}
	r := &row{}
	if c.read != nil {
		r.values = bounded(c.read(make([]any, 0, c.fields), call))
	}
	t := told{time: call.Time, id: call.ID(), flow: c.info, proto: call.Protocol, client: call.Client, seq: call.Seq,
		err: call.Error, reverse: call.Reverse, cut: call.Incomplete, latency: -1}
	if ns, ok := call.Elapsed(); ok {
		t.latency = ns
	}
	c.scratch = call.Message.AppendStatus(c.scratch[:0])
	t.status = c.status(c.scratch[:min(len(c.scratch), 64)])
	c.scratch = call.Message.AppendSummary(c.scratch[:0])
	if len(c.scratch) > maxSummary {
		c.scratch, t.overlong = c.scratch[:maxSummary], true
	}
	if r.told = c.shared.call(&t, c.scratch); r.told != nil {
		return r
	}
	raw := string(c.scratch)
	if t.summary = style.Clean(raw); string(t.summary) != raw {
		t.raw = raw
	}
	if t.client != nil {
		own := *t.client
		t.client = &own
	}
	own := t
	r.told = &own
	c.shared.keepCall(r.told)
	return r
}

// status is a text that most rows share with others.
func (c *copier) status(text []byte) style.Text {
	if known, ok := c.statuses[string(text)]; ok {
		return known
	}
	if len(c.statuses) >= maxShared || c.statuses == nil {
		c.statuses = map[string]style.Text{}
	}
	own := string(text)
	c.statuses[own] = style.Clean(own)
	return c.statuses[own]
}

// maxShared bounds what a copier remembers to be shared by rows.
const maxShared = 1 << 10

// flowInfo is what the rows of a flow share, which come between those of others.
func (c *copier) flowInfo(f *dissect.Flow) *flowInfo {
	if known := c.flows[f.ID]; known != nil && known.tells(f) {
		return known
	}
	if len(c.flows) >= maxShared || c.flows == nil {
		c.flows = map[flow.ID]*flowInfo{}
	}
	info := c.shared.flow(f)
	if info == nil {
		info = c.newFlowInfo(f)
		c.shared.keepFlow(f.ID, info)
	}
	c.flows[f.ID] = info
	return info
}

// tells says whether a flow is still what it was: names may be learnt later, and it may be seen
// at its other end too.
func (i *flowInfo) tells(f *dissect.Flow) bool {
	client, server := &i.peers[0], &i.peers[1]
	return i.node == f.Node && i.both == (f.Vantage == dissect.SideBoth) &&
		client.addr == f.Client.Addr && identity.Equal(client.id, f.Client.Identity) && server.addr == f.Server.Addr && identity.Equal(server.id, f.Server.Identity)
}

func (c *copier) newFlowInfo(f *dissect.Flow) *flowInfo {
	return &flowInfo{stream: f.ID.String(), node: f.Node, both: f.Vantage == dissect.SideBoth, peers: [2]peer{c.peer(&f.Client), c.peer(&f.Server)}}
}

// peer is newPeer, whose names are shared by the flows of one identity.
func (c *copier) peer(e *dissect.Endpoint) peer {
	id := e.Identity
	if n := e.Name(); n == "" || id == nil { // what is shown is the address
		return newPeer(e)
	}
	p, known := c.called[id]
	if !known {
		p = newPeer(e)
		if len(c.called) >= maxShared || c.called == nil {
			c.called = map[*dissect.Identity]peer{}
		}
		c.called[id] = p
	}
	p.addr = e.Addr
	return p
}

func newPeer(e *dissect.Endpoint) peer {
	p := peer{full: style.Clean(e.Display()), addr: e.Addr, id: e.Identity}
	p.short = p.full
	if n := e.Name(); n != "" {
		p.short = style.Clean(n)
	}
	return p
}

// rows is a list in time order, bounded.
type rows struct {
	list []*row
	max  int
}

// add merges a batch in, and drops what is older than the newest max. It says whether
// anything was dropped.
func (rs *rows) add(batch []*row) (dropped bool) {
	if len(batch) == 0 {
		return false
	}
	sort.SliceStable(batch, func(i, j int) bool { return batch[i].time < batch[j].time })
	old := rs.list
	// Only what is not older than the batch has to be merged with it.
	from := sort.Search(len(old), func(i int) bool { return old[i].time >= batch[0].time })
	tail := append([]*row(nil), old[from:]...)
	old = old[:from]
	for len(tail) > 0 || len(batch) > 0 {
		switch {
		case len(batch) == 0 || len(tail) > 0 && tail[0].time < batch[0].time:
			old, tail = append(old, tail[0]), tail[1:]
		default:
			b := batch[0]
			batch = batch[1:]
			if !seen(tail, b) && !seenBack(old, b) {
				old = append(old, b)
			}
		}
	}
	if over := len(old) - rs.max; over > 0 {
		n := copy(old, old[over:])
		clear(old[n:])
		old, dropped = old[:n], true
	}
	rs.list = old
	return dropped
}

// seen says whether a call is among those of the same moment: what was read from the store
// and what came in live may overlap.
func seen(list []*row, r *row) bool {
	for _, o := range list {
		if o.time != r.time {
			return false
		}
		if o.id == r.id && o.flow.node == r.flow.node {
			return true
		}
	}
	return false
}

func seenBack(list []*row, r *row) bool {
	for i := len(list) - 1; i >= 0 && list[i].time == r.time; i-- {
		if list[i].id == r.id && list[i].flow.node == r.flow.node {
			return true
		}
	}
	return false
}

// comparison orders rows by a column; fields are those of the rows' values.
func comparison(c *column, fields []string) func(a, b *row) int {
	if c.kind != colField {
		return func(a, b *row) int { return compare(c.kind, a, b) }
	}
	at := slices.Index(fields, dotted(c.field))
	return func(a, b *row) int { return compareValues(a.value(at), b.value(at)) }
}

// value is that of a field that is a column, nil where it is not known.
func (r *row) value(at int) any {
	if at < 0 || at >= len(r.values) {
		return nil
	}
	return r.values[at]
}

// compare orders rows by a column.
func compare(col int, a, b *row) int {
	text := func(x, y style.Text) int {
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	}
	switch col {
	case colSource:
		return text(a.src().full, b.src().full)
	case colDestination:
		return text(a.dst().full, b.dst().full)
	case colProtocol:
		return text(a.title(), b.title())
	case colSummary:
		return text(a.summary, b.summary)
	case colStatus:
		x, errX := strconv.Atoi(string(a.status))
		y, errY := strconv.Atoi(string(b.status))
		if errX == nil && errY == nil {
			return x - y
		}
		return text(a.status, b.status)
	case colLatency:
		switch {
		case a.latency < b.latency:
			return -1
		case a.latency > b.latency:
			return 1
		}
	}
	return 0
}
