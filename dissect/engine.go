package dissect

import (
	"net/netip"
	"runtime"
	"sync"

	"github.com/sshark/sshark/dissect/keylog"
	"github.com/sshark/sshark/dissect/stream"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
)

// Options of an Engine.
type Options struct {
	Protocols []*Protocol
	Workers   int // goroutines that dissect, 0: one for each processor, two at most
	MaxFlows  int // flows that are remembered at once, 0: 500,000
	Held      int // bytes of early segments held in all, 0: 64 MiB
	Bodies    int // bytes of each body that calls keep, 0: none
	// Since and Until, ns since 1970, half open, are what flows are told of: their first and last
	// packet, counts and state. What is read around that serves their calls and ends. Until 0: no
	// end. A flow without a packet in between has counts of 0.
	Since, Until int64
	// CallsOnly says that nobody needs FlowEnd, which may then be left out: memory is given
	// back earlier.
	CallsOnly bool
	// Follow says that packets come as they are captured, of which a few are enough to be handed
	// to the workers: many follow for days, each with an engine.
	Follow bool
	// Secrets decrypt; nil: nothing is decrypted. They must be there before the packets are.
	Secrets *keylog.Store
	// Resolve says who an address was; nil, or a nil answer: unknown. It is called from all
	// workers, once for each end of a flow.
	Resolve func(addr netip.AddrPort, at int64) *Identity
	// Select says whether a flow can matter, before any payload is read; nil: all do. The
	// flow's ends are known, or guessed if it was not seen to open.
	Select func(f *Flow) bool
	// Handler makes what takes the calls of one worker.
	Handler func(worker int) Handler
}

// Handler takes what one worker finds, in that worker's goroutine. Calls and flows are
// borrowed until the method returns: the engine uses them again.
type Handler interface {
	Call(c *Call)
	// FlowEnd tells a flow when it was closed, was idle for long, or the input ended.
	FlowEnd(f *Flow)
	// Batch is called after each batch of packets, also an empty one, so that the workers'
	// results can be put together in the order of the input.
	Batch()
}

// Batches are handed to the workers when they hold this much.
const (
	batchBytes   = 256 << 10
	batchPackets = 1024
)

// The same where packets are followed, and what a batch begins with.
const (
	followBytes   = 16 << 10
	followPackets = 64
	smallBytes    = 8 << 10
	smallPackets  = 32
)

// large are batches that have room for all that one may hold. Engines share them, as there are
// many of those and few of them work at a time.
var large = sync.Pool{New: func() any {
	return &batch{data: make([]byte, 0, batchBytes), items: make([]item, 0, batchPackets), large: true}
}}

// item is one packet in a batch, with its bytes in the batch's memory.
type item struct {
	packet pcap.Packet
	header flow.Header
	id     flow.ID // 0: the worker finds out
	opener flow.Opener
	whole  bool // put together from fragments
	off, n int
}

type batch struct {
	data  []byte
	items []item
	large bool
	last  bool
	clock int64           // ns, all packets until then were fed; 0: nobody says
	sync  *sync.WaitGroup // done when it was dissected, nil: nobody waits
}

// holds says whether there is room for one more packet of n bytes.
func (b *batch) holds(n int) bool { return len(b.data)+n <= cap(b.data) && len(b.items) < cap(b.items) }

// Engine reassembles and dissects what it is fed. Workers share the flows by the hash of
// their keys, so the order of the calls of one flow is that of the packets, and the same input
// gives the same output in every run. A flow is told for each place where it was seen: package
// vantage joins them.
//
// Packet, Flush and Close are called from one goroutine.
type Engine struct {
	workers []*worker
	filling []*batch
	in      []chan *batch
	free    chan *batch
	done    sync.WaitGroup
	defrag  stream.Fragments
	scratch flow.Header
	follow  bool
	clock   int64
}

// NewEngine starts the workers; Close ends them.
func NewEngine(o Options) *Engine {
	if o.Workers <= 0 {
		o.Workers = min(2, runtime.GOMAXPROCS(0))
	}
	if o.MaxFlows <= 0 {
		o.MaxFlows = 500_000
	}
	if o.Held <= 0 {
		o.Held = 64 << 20
	}
	spare := 8
	if o.Follow {
		spare = 2
	}
	e := &Engine{free: make(chan *batch, spare*o.Workers), follow: o.Follow}
	for i := range o.Workers {
		w := newWorker(&o, o.Handler(i))
		in := make(chan *batch, 2)
		e.workers = append(e.workers, w)
		e.in = append(e.in, in)
		e.filling = append(e.filling, e.newBatch())
		e.done.Add(1)
		go func() {
			defer e.done.Done()
			for b := range in {
				w.batch(b)
				if b.sync != nil {
					b.sync.Done()
				}
				e.recycle(b)
			}
		}()
	}
	return e
}

// newBatch is a small one.
func (e *Engine) newBatch() *batch {
	select {
	case b := <-e.free:
		return b
	default:
		return &batch{data: make([]byte, 0, smallBytes), items: make([]item, 0, smallPackets)}
	}
}

// grow puts what a worker's batch holds so far into a large one.
func (e *Engine) grow(worker int) *batch {
	b := large.Get().(*batch)
	small := e.filling[worker]
	b.data, b.items = append(b.data, small.data...), append(b.items, small.items...)
	e.filling[worker] = b
	e.recycle(small)
	return b
}

func (e *Engine) recycle(b *batch) {
	clear(b.items)
	b.data, b.items, b.last, b.sync = b.data[:0], b.items[:0], false, nil
	if b.large {
		if cap(b.data) <= 2*batchBytes { // else a superpacket made it grow
			large.Put(b)
		}
		return
	}
	if cap(b.data) > 2*followBytes {
		b.data = make([]byte, 0, smallBytes)
	}
	select {
	case e.free <- b:
	default:
	}
}

// Packet feeds one packet; its bytes are copied. id is the flow that it belongs to and opener
// who began that, from a source that knows (a store); with 0 the engine finds out. One engine
// is fed in one of the two ways.
func (e *Engine) Packet(p *pcap.Packet, id flow.ID, opener flow.Opener) {
	h := &e.scratch
	h.Parse(p.Iface.Link, p.Data)
	if h.Fragments {
		e.fragment(p, h)
		return
	}
	e.add(p, h, p.Data, item{id: id, opener: opener})
}

// fragment hands on what a part completes; parts that complete nothing are not dissected.
func (e *Engine) fragment(p *pcap.Packet, h *flow.Header) {
	whole := e.defrag.Add(p.Data, h, p.Iface.Vantage, p.Time)
	if whole == nil || !h.Parse(pcap.LinkRaw, whole) || h.Fragments {
		return
	}
	e.add(p, h, whole, item{whole: true})
}

func (e *Engine) add(p *pcap.Packet, h *flow.Header, data []byte, it item) {
	n := int(h.Key.Hash() >> 32 % uint64(len(e.workers)))
	b := e.filling[n]
	if !e.follow && !b.large && !b.holds(len(data)) {
		b = e.grow(n)
	}
	it.packet, it.header, it.off, it.n = *p, *h, len(b.data), len(data)
	b.data = append(b.data, data...)
	b.items = append(b.items, it)
	if len(b.data) >= batchBytes-65536 || len(b.items) >= batchPackets || e.follow && (len(b.data) >= followBytes || len(b.items) >= followPackets) {
		e.Flush()
	}
}

// Flush hands what was fed so far to the workers; it does not wait for them.
func (e *Engine) Flush() {
	for i, b := range e.filling {
		b.clock = e.clock
		e.in[i] <- b
		e.filling[i] = e.newBatch()
	}
}

// Clock says that all packets until ns since 1970 were fed, as the next Flush tells the workers:
// what ends by time does so for a follower, though no packet comes.
func (e *Engine) Clock(ns int64) { e.clock = ns }

// Sync is Flush, and waits until the handlers have seen all of it.
func (e *Engine) Sync() {
	var wait sync.WaitGroup
	wait.Add(len(e.filling))
	for _, b := range e.filling {
		b.sync = &wait
	}
	e.Flush()
	wait.Wait()
}

// Close tells the end of the input: what is held is handed on, all flows end, and the workers
// with them. It waits until the handlers have seen it all.
func (e *Engine) Close() {
	for i, b := range e.filling {
		b.last = true
		e.in[i] <- b
		close(e.in[i])
	}
	e.done.Wait()
}

// Incomplete is the number of fragmented packets whose parts were not all there.
func (e *Engine) Incomplete() uint64 { return e.defrag.Lost() }

// Faults is the number of flows that were given up because a parser panicked, which none
// should.
func (e *Engine) Faults() (n uint64) {
	for _, w := range e.workers {
		n += w.faults.Load()
	}
	return n
}
