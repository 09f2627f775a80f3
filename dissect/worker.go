package dissect

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/sshark/sshark/dissect/stream"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
)

// worker dissects its share of the flows.
type worker struct {
	o         *Options
	handler   Handler
	byProto   map[flow.Proto][]*Protocol
	byName    map[string]*Protocol
	pool      *stream.Pool
	flows     *flow.Tracker[*conn]
	spare     []*conn               // of flows that have ended, to be used again
	idle      map[*Protocol][]Idler // parsers that wait for a flow
	scratch   Probe
	owners    map[*pcap.Interface]*Identity
	known     map[flow.ID]*conn // flows that the source identified
	byKey     map[place]*conn   // the same, the newest of each key: for what fragments were put together to
	batches   uint
	clock     int64 // time of the packet in hand
	looked    int64 // when connections that are over were looked for
	current   *conn // its flow
	faults    atomic.Uint64
	datagrams []*conn // flows of datagrams with a parser, those that got it first in front
	unsure    []*conn // streams whose beginning waits for more packets
}

func newWorker(o *Options, h Handler) *worker {
	w := &worker{o: o, handler: h, byProto: map[flow.Proto][]*Protocol{}, byName: map[string]*Protocol{},
		pool:  stream.NewPool(o.Held/o.Workers, 4<<20),
		known: map[flow.ID]*conn{}, byKey: map[place]*conn{}, idle: map[*Protocol][]Idler{}}
	for _, p := range o.Protocols {
		w.byName[p.Name] = p
		for _, t := range p.Transport {
			w.byProto[t] = append(w.byProto[t], p)
		}
	}
	w.flows = flow.NewTracker(o.MaxFlows/o.Workers, func(e *flow.Entry[*conn]) { w.end(e.Value) })
	return w
}

func (w *worker) batch(b *batch) {
	for n := 0; n < len(b.items); {
		n = w.packets(b, n)
	}
	// What is held only for want of an earlier packet is not held for ever.
	for i, c := range w.unsure {
		if c.tcp != nil {
			c.tcp.Settle(c)
		}
		c.waiting = false
		w.unsure[i] = nil
	}
	w.unsure = w.unsure[:0]
	w.rest()
	if w.batches++; w.batches%sweepEvery == 0 {
		w.sweep()
	}
	if now := max(w.clock, b.clock); w.o.Follow && !w.o.CallsOnly && now-w.looked >= closedAfter/2 {
		w.looked = now
		w.closed(now)
	}
	if b.last {
		w.flows.Each(func(e *flow.Entry[*conn]) { w.end(e.Value) })
		for _, c := range w.known {
			w.end(c)
		}
	}
	w.handler.Batch()
}

// within reports whether flows are told of what was then.
func (w *worker) within(at int64) bool { return at >= w.o.Since && w.before(at) }

// before reports whether flows are told of what had become of them then.
func (w *worker) before(at int64) bool { return w.o.Until == 0 || at < w.o.Until }

// packets dissects a batch from its nth packet on. Should a parser panic, its flow is given
// up, and counted, and the next packet is the one to go on with.
func (w *worker) packets(b *batch, n int) (next int) {
	defer func() {
		if recover() == nil {
			return
		}
		w.faults.Add(1)
		if c := w.current; c != nil {
			c.parser, c.phase = nil, ignored
		}
		next = n + 1
	}()
	for ; n < len(b.items); n++ {
		it := &b.items[n]
		w.packet(it, b.data[it.off:it.off+it.n])
	}
	return n
}

func (w *worker) packet(it *item, data []byte) {
	p, h := &it.packet, &it.header
	w.clock = p.Time
	c := w.conn(it)
	w.current = c
	d := h.Dir ^ c.client
	f := &c.flow
	c.last = max(c.last, p.Time)
	c.seen[h.Dir] = true
	if w.within(p.Time) {
		if f.Packets == [2]uint64{} {
			f.First = p.Time
		}
		f.Last = max(f.Last, p.Time)
		f.Packets[d]++
		f.Bytes[d] += uint64(p.Length)
	}
	if f.State == Open && c.seen[0] && c.seen[1] && w.before(p.Time) {
		f.State = InProgress
	}
	if h.Flags&flow.SYN != 0 && h.Key.Proto == flow.TCP {
		c.opens(h)
	}
	if c.phase == done || c.phase == unwanted {
		c.flags(h, p.Time)
		return
	}
	payload := h.Data(data)
	if c.tcp == nil {
		switch {
		case len(payload) == 0 || h.Key.Proto == 0:
		case c.sctp != nil:
			c.sctp.Packet(h.Dir, payload, p.Time, c)
		default:
			c.Data(h.Dir, payload, p.Time)
		}
		return
	}
	c.tcp.Segment(h, h.Dir, payload, uint32(h.WireEnd-h.End), p.Time, c)
	if c.tcp != nil && !c.waiting && len(payload) > 0 && !c.tcp.FromStart(h.Dir) {
		c.waiting = true
		w.unsure = append(w.unsure, c)
	}
	c.flags(h, p.Time)
	if h.Flags&(flow.FIN|flow.RST) != 0 || c.flow.State == Closed {
		c.maybeDone(h)
	}
}

// Datagram flows are many and short: those that wait for nothing give their parser's memory
// back after a while, or earlier if there are too many.
const (
	restAfter  = int64(2e9)
	maxParsers = 50_000
)

// parser makes a parser for a flow that its protocol has claimed.
func (w *worker) parser(c *conn) Parser {
	p := c.flow.Protocol
	if list := w.idle[p]; len(list) > 0 {
		idle := list[len(list)-1]
		w.idle[p] = list[:len(list)-1]
		idle.Reuse(&c.flow, c)
		return idle
	}
	return p.New(&c.flow, c)
}

// list notes that a datagram flow has a parser.
func (w *worker) list(c *conn) {
	c.listed = true
	w.datagrams = append(w.datagrams, c)
}

// rest takes the parsers from datagram flows that have been quiet, and if nobody wants to be
// told of flows all that is held of them.
func (w *worker) rest() {
	n := 0
	for end := len(w.datagrams); n < end; n++ { // those that are listed again are at the end
		c := w.datagrams[n]
		quiet := w.clock - c.last
		if quiet < restAfter && len(w.datagrams)-n <= maxParsers {
			break
		}
		c.listed = false
		if c.parser == nil || c.told {
			continue
		}
		idle, ok := c.parser.(Idler)
		if !ok || !idle.Idle() {
			if quiet < flow.DatagramIdle {
				w.list(c)
			}
			continue
		}
		w.idle[c.flow.Protocol] = append(w.idle[c.flow.Protocol], idle)
		c.parser = nil
		if w.o.CallsOnly {
			c.told = true
			w.release(c)
		}
	}
	w.datagrams = append(w.datagrams[:0], w.datagrams[n:]...)
}

// place is a key seen from somewhere.
type place struct {
	key     flow.Key
	vantage uint32
}

// conn is the worker's state of the packet's flow.
func (w *worker) conn(it *item) *conn {
	if it.id == 0 && it.whole && len(w.known) > 0 {
		if c := w.byKey[place{it.header.Key, it.packet.Iface.Vantage}]; c != nil {
			return c
		}
	}
	if it.id != 0 {
		c := w.known[it.id]
		if c == nil {
			info := flow.Info{ID: it.id, Key: it.header.Key, Iface: it.packet.Iface, Opener: it.opener}
			if info.Opener == flow.UnknownOpener {
				info.Opener = flow.OpenerOf(&it.header)
			}
			if len(w.known) >= max(1, w.o.MaxFlows/w.o.Workers) {
				w.thin()
			}
			c = w.open(it, &info)
			w.known[it.id] = c
			w.byKey[place{c.key, c.iface.Vantage}] = c
		}
		return c
	}
	e, fresh := w.flows.Packet(&it.packet, &it.header)
	if fresh || e.Value == nil {
		e.Value = w.open(it, &e.Info)
		e.Value.entry = e
	}
	return e.Value
}

// sweepEvery is after how many batches flows that the source identified, and that must be
// over by now, are ended.
const sweepEvery = 256

// closedAfter is how long after its last packet a follower is told of a connection that was
// closed: the last acknowledgements have come by then.
const closedAfter = int64(2 * time.Second)

// closed tells of connections that are over. What comes of them later is theirs still.
func (w *worker) closed(now int64) {
	for _, c := range w.known {
		if c.flow.State >= Closed && now-c.last >= closedAfter {
			w.end(c)
		}
	}
}

// sweep ends identified flows; the tracker does so for its own.
func (w *worker) sweep() {
	for _, c := range w.known {
		idle := w.clock - c.last
		if idle > flow.StreamIdle || idle > flow.DatagramIdle && (c.flow.Transport != flow.TCP || c.phase == done || c.flow.State >= Closed) {
			w.end(c)
			w.release(c)
		}
	}
}

// thin ends a quarter of the flows that the source identified, those that were quiet for longest,
// so that the memory of flows is bounded; the tracker does so for its own.
func (w *worker) thin() {
	last := make([]int64, 0, len(w.known))
	for _, c := range w.known {
		last = append(last, c.last)
	}
	slices.Sort(last)
	quiet := last[len(last)/4]
	for _, c := range w.known {
		if c.last <= quiet {
			w.end(c)
			w.release(c)
		}
	}
}

// open begins a flow, or goes on with one that was laid to rest.
func (w *worker) open(it *item, info *flow.Info) *conn {
	var c *conn
	if n := len(w.spare); n > 0 {
		c, w.spare = w.spare[n-1], w.spare[:n-1]
	} else {
		c = &conn{}
	}
	*c = conn{w: w, iface: info.Iface}
	if info.Key.Proto == flow.TCP {
		c.tcp = &stream.TCP{}
		c.tcp.Init(w.pool)
	}
	if info.Key.Proto == flow.SCTP {
		c.sctp = &stream.SCTP{}
	}
	f := &c.flow
	f.ID, f.Node, f.Transport, f.First = info.ID, info.Iface.Node, info.Key.Proto, it.packet.Time
	c.orient(info)
	if w.o.Select != nil && !w.o.Select(f) {
		c.phase = unwanted
	} else if len(w.byProto[f.Transport]) == 0 {
		c.phase = ignored
	}
	return c
}

// owner is who an interface belongs to, as far as it says itself.
func (w *worker) owner(i *pcap.Interface) *Identity {
	id := w.owners[i]
	if id == nil {
		id = &Identity{Namespace: i.Pod.Namespace, Pod: i.Pod.Name, PodUID: i.Pod.UID, Node: i.Node}
		if w.owners == nil || len(w.owners) > 1<<12 {
			w.owners = map[*pcap.Interface]*Identity{}
		}
		w.owners[i] = id
	}
	return id
}

// end tells the flow's end once.
func (w *worker) end(c *conn) {
	if c == nil || c.told {
		return
	}
	c.told = true
	if c.phase != unwanted {
		c.finish()
	}
	if c.phase != unwanted {
		w.handler.FlowEnd(&c.flow)
	}
	if c.entry != nil { // else the source may still send packets of it
		w.release(c)
	}
}

// release gives a flow's memory back, and takes it out of all that leads to it.
func (w *worker) release(c *conn) {
	if c.entry != nil {
		c.entry.Value = nil
	} else {
		delete(w.known, c.flow.ID)
		if at := (place{c.key, c.iface.Vantage}); w.byKey[at] == c {
			delete(w.byKey, at)
		}
	}
	w.spare = append(w.spare, c)
}
