package capture

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/worker/bpf"
	"golang.org/x/sys/unix"
)

// Options of Start. The zero value of a field is its default.
type Options struct {
	Node       string // the node's name, as packets carry it
	RingSize   int    // bytes, a power of two; default 64 MiB
	Interfaces int    // that can be captured at one time; default 1024
	SnapLen    uint32 // bytes kept of a packet where Target says nothing; 0: all

	// Discover finds the pods; the first that knows a namespace names it. Default: none.
	Discover []Discoverer
	// OwnNamespace is where the node's own namespace can be opened, such as
	// /proc/1/ns/net. "": it is not captured.
	OwnNamespace string
	// ExcludePorts are ports of this program at the node's own addresses, such as the
	// console's: what is said there is never captured, in no namespace. The addresses are
	// those of OwnNamespace.
	ExcludePorts []uint16
	// Name makes a pod that a Discoverer told the one that packets carry: Processes knows UIDs
	// only. It must leave the UID as it is. It is asked under a lock and must return at once;
	// Renew has it asked again. Default: pods are as they were told.
	Name func(pcap.Pod) pcap.Pod
	// Target says what is wanted of a pod, by the name that it has, and of the node (the zero
	// Pod). It is asked as Name is. Default: everything.
	Target func(pcap.Pod) Target
	// Final is told the counts of an interface that was let go, before Run returns, and those of
	// an Interface value when another takes its place: there are no more. It may be called
	// under a lock: it must not call back. Default: nobody.
	Final func(*pcap.Interface, pcap.Stats)
	Log   *slog.Logger // default: nothing is logged
}

// Target says what is wanted of one pod.
type Target struct {
	Off     bool     // nothing
	SnapLen uint32   // bytes kept of a packet; 0: Options.SnapLen
	Only    []uint16 // ports, at either end; nil: all packets
	Never   []uint16 // ports that are left out, at either end
}

// A batch ends at so many packets or bytes, so that the ring is given back soon.
const (
	batchPackets = 1024
	batchBytes   = 1 << 20
)

// The reader comes by timer: often while packets come, seldom while none do.
const (
	busyWait = 5 * time.Millisecond
	idleWait = 20 * time.Millisecond // a burst at 25 Gbit/s fills 64 MiB in 21 ms
	// busyShare is the part of the ring that, found filled, makes the next visit come early.
	busyShare = 16
)

// closers is how many sockets are closed at once: each waits for the kernel.
const closers = 32

// Capture captures from Start to Close. Its methods are safe for concurrent use.
type Capture struct {
	opts Options
	log  *slog.Logger
	prog *bpf.Program
	ring *bpf.Ring

	// slots is what the reader needs to know: the interface of each slot. Its owner is mu;
	// the reader loads without it. A slot is given to another interface when the ring no
	// longer holds a packet of the one before.
	slots []atomic.Pointer[pcap.Interface]

	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup // discoverers, listeners, the retry timer
	runs   sync.WaitGroup // Run
	closed sync.WaitGroup // sockets that are being closed
	closer chan struct{}  // a place is taken by each socket that is being closed

	mu      sync.Mutex // guards what follows
	ended   bool
	running bool
	target  func(pcap.Pod) Target
	found   [][]Namespace     // by discoverer, nil: it has not told any yet
	spaces  map[uint32]*space // by inode
	own     *space            // the node's, nil: not wanted
	live    map[uint32]*tap   // by slot: attached, or being closed
	free    []uint32
	retired []retired
	gone    pcap.Stats // of interfaces that are no longer
	vantage uint32     // the last one given
	problem string     // why a discovery ended
}

// retired is a slot whose packets may be in the ring up to a position.
type retired struct {
	slot  uint32
	until uint64
}

// Start begins to look for namespaces and to capture what it finds into the ring, from which
// Run takes it. If this machine or process cannot capture, the error is a *bpf.MissingError.
func Start(opts Options) (*Capture, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Target == nil {
		opts.Target = func(pcap.Pod) Target { return Target{} }
	}
	if opts.Name == nil {
		opts.Name = func(p pcap.Pod) pcap.Pod { return p }
	}
	if opts.Final == nil {
		opts.Final = func(*pcap.Interface, pcap.Stats) {}
	}
	if opts.SnapLen != 0 && opts.SnapLen < bpf.MinSnapLen {
		return nil, fmt.Errorf("snap length of %d bytes: the smallest is %d", opts.SnapLen, bpf.MinSnapLen)
	}
	if err := tryNamespaces(); err != nil {
		return nil, err
	}
	prog, err := bpf.Load(bpf.Options{RingSize: opts.RingSize, Slots: opts.Interfaces})
	if err != nil {
		return nil, err
	}
	c := &Capture{
		opts:   opts,
		log:    opts.Log,
		prog:   prog,
		ring:   prog.Ring(),
		slots:  make([]atomic.Pointer[pcap.Interface], prog.Slots()),
		closer: make(chan struct{}, closers),
		target: opts.Target,
		found:  make([][]Namespace, len(opts.Discover)),
		spaces: map[uint32]*space{},
		live:   map[uint32]*tap{},
	}
	for i := prog.Slots() - 1; i >= 0; i-- {
		c.free = append(c.free, uint32(i))
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	if opts.OwnNamespace != "" {
		inode, err := statNamespace(opts.OwnNamespace)
		if err != nil {
			c.cancel()
			return nil, errors.Join(explainOwn(err), prog.Close())
		}
		c.mu.Lock()
		c.own = c.enter(Namespace{Path: opts.OwnNamespace, Inode: inode}, true)
		c.mu.Unlock()
	}
	for i, d := range opts.Discover {
		c.tasks.Go(func() {
			if err := d.Discover(c.ctx, func(list []Namespace) { c.update(i, list) }); err != nil {
				c.log.Error("discovery of namespaces ended", "err", err)
				c.mu.Lock()
				defer c.mu.Unlock()
				c.problem = err.Error()
			}
		})
	}
	c.tasks.Go(c.retry)
	return c, nil
}

// explainOwn says what it takes to look at another process's namespace (ptrace(2), "Ptrace
// access mode checking").
func explainOwn(err error) error {
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		return &bpf.MissingError{What: "CAP_SYS_PTRACE", Do: "run as root, or give the process this capability", Err: err}
	}
	return bpf.Explain(err)
}

// tryNamespaces finds out early whether namespaces may be entered.
func tryNamespaces() error {
	const self = "/proc/thread-self/ns/net"
	inode, err := statNamespace(self)
	if err != nil {
		return err
	}
	fd, err := openNamespace(self, inode)
	if err != nil {
		return err
	}
	s := space{fd: fd}
	defer s.close()
	return bpf.Explain(inNamespace(fd, func() error { return nil }))
}

// Run hands out packets until ctx ends, each returns an error, or Close is called. At the end
// of ctx all interfaces are let go, what the ring still holds is handed out, and Run returns
// nil. It can be called once. The batch and its Data are valid until each returns.
func (c *Capture) Run(ctx context.Context, each func(batch []pcap.Packet) error) error {
	c.mu.Lock()
	if c.running || c.ended {
		c.mu.Unlock()
		return errors.New("run capture: it was run or closed before")
	}
	c.running = true
	c.runs.Add(1)
	c.mu.Unlock()
	defer c.runs.Done()

	r := reader{ring: c.ring, slots: c.slots, batch: make([]pcap.Packet, batchPackets)}
	timer := time.NewTimer(0)
	defer timer.Stop()
	before := c.ring.Consumed()
	for last := false; ; {
		r.clock.tick(time.Now())
		if batch := r.read(); len(batch) > 0 {
			err := each(batch)
			c.ring.Release()
			if err != nil {
				return err
			}
			if len(batch) == batchPackets || r.full {
				if !last && (ctx.Err() != nil || c.ctx.Err() != nil) {
					c.stop()
					last = true
				}
				continue
			}
		} else {
			c.ring.Release() // discarded records
			if last {
				return nil
			}
		}
		if last {
			continue
		}
		wait := idleWait
		if now := c.ring.Consumed(); now-before > c.ring.Size()/busyShare {
			wait = busyWait
		}
		before = c.ring.Consumed()
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-c.ctx.Done():
		case <-timer.C:
			continue
		}
		c.stop()
		last = true
	}
}

// reader turns records of the ring into packets.
type reader struct {
	ring  *bpf.Ring
	slots []atomic.Pointer[pcap.Interface]
	clock clock
	batch []pcap.Packet
	full  bool // the last batch ended at its limit of bytes
}

// read gives the next packets, none when the ring is empty. They are valid until Release.
func (r *reader) read() []pcap.Packet {
	n, size := 0, 0
	offset := r.clock.offset
	for n < len(r.batch) && size < batchBytes {
		h, data := r.ring.Next()
		if h == nil {
			break
		}
		p := &r.batch[n]
		p.Time = int64(h.Time) + offset
		p.Data = data
		p.Length = h.Length
		p.Flags = uint32(h.Direction) | uint32(h.Partial)<<9 // FlagChecksumPartial
		p.Drops = uint64(h.Drops)
		p.Iface = r.slots[h.Slot].Load()
		n++
		size += len(data)
	}
	r.full = size >= batchBytes
	return r.batch[:n]
}

// stop lets all namespaces go, and returns when their sockets are closed.
func (c *Capture) stop() {
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.cancel()
	c.mu.Lock()
	for _, s := range c.spaces {
		c.leave(s)
	}
	c.mu.Unlock()
	c.tasks.Wait()
	c.closed.Wait()
}

// Close ends the capture and frees the ring. If Run is under way, it returns first.
func (c *Capture) Close() error {
	c.stop()
	c.runs.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.prog == nil {
		return nil
	}
	prog := c.prog
	c.prog = nil
	if err := prog.Close(); err != nil {
		return fmt.Errorf("close capture: %w", err)
	}
	return nil
}

// SetTarget replaces Options.Target and asks it about every pod again.
func (c *Capture) SetTarget(target func(pcap.Pod) Target) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.target = target
	for _, s := range c.spaces {
		c.refresh(s)
	}
}

// SetExcludePorts replaces Options.ExcludePorts.
func (c *Capture) SetExcludePorts(ports []uint16) {
	ports = slices.Sorted(slices.Values(ports))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || slices.Equal(ports, c.opts.ExcludePorts) {
		return
	}
	c.opts.ExcludePorts = ports
	for _, s := range c.spaces {
		c.refresh(s)
	}
}

// Renew asks Options.Name and the target again about every pod, because names or what the
// target goes by have changed. The sockets of a pod that got another name stay: no packet is
// missed.
func (c *Capture) Renew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	changed := false
	for _, s := range c.spaces {
		if pod := c.podOf(s); pod != s.pod || !equalPolicy(c.target(pod), s.policy) {
			c.refresh(s)
			changed = true
		}
	}
	if changed && c.own != nil {
		c.refresh(c.own) // which of its devices lead to captured pods may have changed
	}
}

// retry tries again what failed.
func (c *Capture) retry() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-tick.C:
		}
		c.mu.Lock()
		for _, s := range c.spaces {
			if s.problem != "" && !c.ended {
				c.refresh(s)
			}
		}
		c.mu.Unlock()
	}
}
