package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"sync"
	"unsafe"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
)

// Source is an interface that packets come from, with its state in a store.
type Source struct {
	Iface       *pcap.Interface
	Vantage     uint32
	VantageName string
	// Pending are packets lost since the last one that was kept; the next one reports them.
	Pending uint64

	live *Live // the segment that it has the number id in
	id   uint32
}

// Buffer is a piece of a segment in memory, filled by the producer and written by the flusher.
type Buffer struct {
	data    []byte // aligned to pageBytes
	base    int64  // of the segment's file, a multiple of pageBytes
	n       int    // bytes used
	flushed int    // bytes written, whole pages; the flusher's
	end     int    // bytes to write in all, whole pages; set when it is handed over
}

// Pool holds the buffers of a store. It never has more than its limit.
type Pool struct {
	mu   sync.Mutex
	free []*Buffer
	left int
	size int
	more chan struct{}
}

// NewPool bounds memory to n buffers of this many bytes.
func NewPool(n, size int) *Pool {
	return &Pool{left: n, size: (size + pageBytes - 1) &^ (pageBytes - 1), more: make(chan struct{}, 1)}
}

// get returns nil when all are in use.
func (p *Pool) get() *Buffer {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		b := p.free[n-1]
		p.free = p.free[:n-1]
		*b = Buffer{data: b.data}
		return b
	}
	if p.left == 0 {
		return nil
	}
	p.left--
	raw := make([]byte, p.size+pageBytes)
	skip := -int(uintptr(unsafe.Pointer(&raw[0]))) & (pageBytes - 1)
	return &Buffer{data: raw[skip : skip+p.size : skip+p.size]}
}

func (p *Pool) put(b *Buffer) {
	p.mu.Lock()
	p.free = append(p.free, b)
	p.mu.Unlock()
	p.Wake()
}

// Wake makes More say that there may be one.
func (p *Pool) Wake() {
	select {
	case p.more <- struct{}{}:
	default:
	}
}

// More is sent to when a buffer comes back.
func (p *Pool) More() <-chan struct{} { return p.more }

// Live is the segment that is being written.
type Live struct {
	Seq  uint64
	Base string // its name without extension

	fs    FS
	dir   string
	pool  *Pool
	table *Table
	namer func(netip.Addr) (pcap.Name, bool)
	met   func(flow.Key, flow.Opener)
	full  func(*Live, *Buffer) // takes a full buffer to the flusher; does not block

	mu      sync.RWMutex
	b       *Builder // nil when it was handed on
	bufs    []*Buffer
	written int64 // below this the file has it
	readers File
	size    int64
	named   map[netip.Addr]struct{}

	sums   sums
	summed int64 // where the last sum block ends

	file    File // the flusher's
	page    []byte
	dirty   bool // written and not synced
	entered bool // its name is synced
}

// LiveOptions says where a segment goes and what it shares with the ones before.
type LiveOptions struct {
	FS      FS
	Dir     string
	Pool    *Pool
	Table   *Table
	Builder *Builder // empty
	Namer   func(netip.Addr) (pcap.Name, bool)
	Met     func(flow.Key, flow.Opener) // is told of each flow before its addresses are named
	Full    func(*Live, *Buffer)
	Section pcapng.Section
}

// largest room that is kept for what may come with a packet: flow block and two names.
const (
	extraRoom = 8 << 10
	nameRoom  = 2 << 10
)

// NewLive begins a segment in memory; it touches no file. It is nil when no buffer is free.
func NewLive(seq uint64, first int64, o LiveOptions) *Live {
	buf := o.Pool.get()
	if buf == nil {
		return nil
	}
	l := &Live{Seq: seq, Base: FileName(seq, first), fs: o.FS, dir: o.Dir, pool: o.Pool, table: o.Table, namer: o.Namer, met: o.Met,
		full: o.Full, b: o.Builder, bufs: []*Buffer{buf}, named: map[netip.Addr]struct{}{}}
	o.Section.Comment = segmentComment + fmt.Sprint(Version)
	buf.n = len(pcapng.AppendSection(buf.data[:0], o.Section))
	l.size = int64(buf.n)
	l.sums.begin()
	l.sums.add(buf.data[:buf.n])
	return l
}

// Lock is held by the producer for a batch.
func (l *Live) Lock() { l.mu.Lock() }

// Unlock ends a batch: what was appended can be read.
func (l *Live) Unlock() { l.mu.Unlock() }

// Bytes is what the segment and its index will take on the disk, at most; under the lock.
func (l *Live) Bytes() int64 { return l.size + int64(l.b.indexBytes()) }

// Flows is the number of flows so far; under the lock.
func (l *Live) Flows() int { return len(l.b.flows) }

// Fits says whether a packet can be added so that the segment, completed, and its index
// take no more than limit bytes; under the lock. The first packet always fits.
func (l *Live) Fits(p *pcap.Packet, limit int64) bool {
	return l.b.packets == 0 ||
		l.Bytes()+int64(len(p.Data)+extraRoom+len(l.b.ifaces)*128+pageBytes) <= limit
}

// Interfaces are those that have packets in the segment so far.
func (l *Live) Interfaces() []*pcap.Interface {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.b == nil {
		return nil
	}
	list := make([]*pcap.Interface, len(l.b.ifaces))
	for i := range l.b.ifaces {
		list[i] = l.b.ifaces[i].iface
	}
	return list
}

// Names are the names so far.
func (l *Live) Names() []pcap.Name {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.b == nil {
		return nil
	}
	list := make([]pcap.Name, len(l.b.names))
	for i, n := range l.b.names {
		list[i] = n.Name
	}
	return list
}

// room makes sure that n more bytes fit into the current buffer.
func (l *Live) room(n int) bool {
	cur := l.bufs[len(l.bufs)-1]
	n += sumBytes // is always left for a sum
	if cur.n+n <= len(cur.data) {
		return true
	}
	if n > len(cur.data)-pageBytes {
		return false
	}
	next := l.pool.get()
	if next == nil {
		return false
	}
	cur.end = cur.n &^ (pageBytes - 1)
	next.base = cur.base + int64(cur.end)
	next.n = copy(next.data, cur.data[cur.end:cur.n])
	l.bufs = append(l.bufs, next)
	l.full(l, cur)
	return true
}

// put appends a block that encode makes; there must be room. It returns the block's offset.
func (l *Live) put(encode func(dst []byte) []byte) int64 {
	cur := l.bufs[len(l.bufs)-1]
	off := l.size
	n := len(encode(cur.data[:cur.n]))
	l.sums.add(cur.data[cur.n:n])
	l.size += int64(n - cur.n)
	cur.n = n
	return off
}

// MaxData is how much of a packet is kept: more than any network device hands over.
const MaxData = 512 << 10

// Append adds a packet, whose header was parsed into h, and returns its flow, good until the
// next Append. It is nil if there is no buffer to put the packet in: it is not kept.
func (l *Live) Append(src *Source, p *pcap.Packet, h *flow.Header) *Entry {
	q := *p
	if src.Pending > 0 {
		q.Drops += src.Pending
	}
	if len(q.Data) > MaxData {
		q.Data = q.Data[:MaxData]
	}
	q.Length = max(q.Length, uint32(len(q.Data)))
	if src.live != l {
		block := pcapng.AppendInterface(nil, src.Iface)
		if !l.room(len(block)+pcapng.PacketSize(&q)+extraRoom) || l.b == nil {
			return nil
		}
		l.put(func(dst []byte) []byte { return append(dst, block...) })
		src.live, src.id = l, l.b.AddInterface(src.Iface)
		if l.summed == 0 {
			l.putSum() // says that there are sums; behind an interface, with which Wireshark wants a file to begin
		}
	} else if !l.room(pcapng.PacketSize(&q) + extraRoom) {
		return nil
	}
	e, as := l.table.Assign(h, src.Vantage, src.VantageName, q.Time, nil)
	if as != seen {
		l.introduce(h, e, as)
	}
	cur := l.bufs[len(l.bufs)-1]
	off := l.size
	n := len(pcapng.AppendPacket(cur.data[:cur.n], src.id, &q))
	l.sums.add(cur.data[cur.n:n])
	l.size += int64(n - cur.n)
	cur.n = n
	l.b.Add(off, src.id, &q, h, e, as)
	src.Pending = 0
	return e
}

// introduce writes what stands before a flow's first packet in the segment.
func (l *Live) introduce(h *flow.Header, e *Entry, as how) {
	if l.met != nil && h.Key != (flow.Key{}) {
		l.met(h.Key, e.Opener)
	}
	if l.namer != nil && h.Key != (flow.Key{}) {
		for d := range flow.Dir(2) {
			addr := h.Key.Addr(d).Addr()
			if _, done := l.named[addr]; done {
				continue
			}
			l.named[addr] = struct{}{}
			if n, ok := l.namer(addr); ok {
				l.appendName(n)
			}
		}
	}
	if as == carried {
		var body [flowBlockBytes - 12]byte
		binary.LittleEndian.PutUint64(body[:], uint64(e.ID))
		body[8] = byte(e.Opener)
		l.put(func(dst []byte) []byte { return pcapng.AppendBlock(dst, blockFlow, body[:]) })
	}
}

// Name adds a name; it is false if there is no buffer to put it in.
func (l *Live) Name(n pcap.Name) bool {
	if !l.room(extraRoom) {
		return false
	}
	l.named[n.Addr] = struct{}{}
	l.appendName(n)
	return true
}

// appendName cuts the list of names to what there is room for.
func (l *Live) appendName(n pcap.Name) {
	size := 64
	for i, s := range n.Names {
		if size += len(s) + 1; size > nameRoom {
			n.Names = n.Names[:i]
			break
		}
	}
	if !n.Addr.IsValid() || len(n.Names) == 0 {
		return
	}
	n.Addr = n.Addr.Unmap().WithZone("")
	n.Names = append([]string(nil), n.Names...)
	off := l.put(func(dst []byte) []byte { return pcapng.AppendNames(dst, n) })
	l.b.AddName(off, n)
}

// Stats adds the counters of an interface, which need not have packets here. It is false if
// there is no room for them.
func (l *Live) Stats(src *Source, now int64, s pcap.Stats) bool {
	var block []byte
	if src.live != l {
		block = pcapng.AppendInterface(nil, src.Iface)
	}
	if l.b == nil || !l.room(len(block)+extraRoom) {
		return false
	}
	if block != nil {
		l.put(func(dst []byte) []byte { return append(dst, block...) })
		src.live, src.id = l, l.b.AddInterface(src.Iface)
	}
	l.put(func(dst []byte) []byte { return pcapng.AppendStatistics(dst, src.id, now, s) })
	return true
}

func (l *Live) path(ext string) string { return filepath.Join(l.dir, l.Base+ext) }

// open makes the file; the flusher's.
func (l *Live) open() error {
	if l.file != nil {
		return nil
	}
	name := Hidden(l.path(ExtSegment))
	f, err := l.fs.Create(name)
	if err != nil {
		return fmt.Errorf("create segment: %w", err)
	}
	r, err := l.fs.Open(name)
	if err != nil {
		return fmt.Errorf("open segment: %w", errors.Join(err, f.Close()))
	}
	l.file = f
	l.page = make([]byte, 2*pageBytes)
	skip := -int(uintptr(unsafe.Pointer(&l.page[0]))) & (pageBytes - 1)
	l.page = l.page[skip : skip+pageBytes]
	l.mu.Lock()
	l.readers = r
	l.mu.Unlock()
	return nil
}

// WriteBuffer writes a buffer that was handed over, and gives it back to the pool. After an
// error it may be called again, or Abandon.
func (l *Live) WriteBuffer(b *Buffer) error {
	if err := l.open(); err != nil {
		return err
	}
	if b.flushed < b.end {
		if _, err := l.file.WriteAt(b.data[b.flushed:b.end], b.base+int64(b.flushed)); err != nil {
			return fmt.Errorf("write segment: %w", err)
		}
		b.flushed = b.end
		l.dirty = true
	}
	l.mu.Lock()
	l.written = b.base + int64(b.end)
	for i := range l.bufs {
		if l.bufs[i] == b {
			l.bufs = append(l.bufs[:i], l.bufs[i+1:]...)
			break
		}
	}
	l.mu.Unlock()
	l.pool.put(b)
	return nil
}

// Flush writes what is in the current buffer and syncs; the flusher calls it when all
// buffers that were handed over are written.
func (l *Live) Flush() error {
	if err := l.open(); err != nil {
		return err
	}
	l.mu.Lock()
	if l.summed == 0 { // no packet has come yet
		l.mu.Unlock()
		return nil
	}
	l.putSum()
	cur := l.bufs[len(l.bufs)-1]
	n := cur.n
	l.mu.Unlock()
	whole := n &^ (l.file.Page() - 1)
	if whole > cur.flushed {
		if _, err := l.file.WriteAt(cur.data[cur.flushed:whole], cur.base+int64(cur.flushed)); err != nil {
			return fmt.Errorf("write segment: %w", err)
		}
		cur.flushed = whole &^ (pageBytes - 1)
		l.dirty = true
	}
	if n > whole {
		clear(l.page)
		copy(l.page, cur.data[whole:n])
		if _, err := l.file.WriteAt(l.page, cur.base+int64(whole)); err != nil {
			return fmt.Errorf("write segment: %w", err)
		}
		l.dirty = true
	}
	if l.dirty {
		if err := l.file.Sync(); err != nil {
			return fmt.Errorf("sync segment: %w", err)
		}
		l.dirty = false
	}
	if !l.entered { // a file that is synced may still have no name (fsync(2))
		if err := l.fs.SyncDir(l.dir); err != nil {
			return fmt.Errorf("sync folder: %w", err)
		}
		l.entered = true
	}
	return nil
}

// Finish completes the segment and its index on the disk. The producer has left it. After
// an error it may be called again, or Abandon.
func (l *Live) Finish() (Header, error) {
	if err := l.Flush(); err != nil {
		return Header{}, err
	}
	if err := l.file.Truncate(l.size); err != nil {
		return Header{}, fmt.Errorf("truncate segment: %w", err)
	}
	if err := l.file.Sync(); err != nil {
		return Header{}, fmt.Errorf("sync segment: %w", err)
	}
	l.mu.Lock()
	l.written = l.size
	l.mu.Unlock()
	index := l.b.Encode(l.size)
	if err := Publish(l.fs, l.dir, l.Base, index); err != nil {
		return Header{}, err
	}
	l.release()
	var h Header
	err := h.parse(index)
	return h, errors.Join(err, l.file.Close())
}

// Publish gives a complete, synced, hidden segment its index and its name. After an error the
// segment is hidden as before, unless the error says that this failed too.
func Publish(fs FS, dir, base string, index []byte) error {
	path := filepath.Join(dir, base+ExtSegment)
	if err := fs.Rename(Hidden(path), path); err != nil {
		return fmt.Errorf("complete segment: %w", err)
	}
	indexPath := filepath.Join(dir, base+ExtIndex)
	if err := WriteFile(fs, indexPath, index); err != nil {
		return errors.Join(fmt.Errorf("write index: %w", err), fs.Rename(path, Hidden(path)))
	}
	if err := fs.SyncDir(dir); err != nil {
		return errors.Join(fmt.Errorf("sync folder: %w", err), fs.Remove(indexPath), fs.Rename(path, Hidden(path)))
	}
	return nil
}

// release gives the buffers back.
func (l *Live) release() {
	l.mu.Lock()
	bufs := l.bufs
	l.bufs = nil
	l.mu.Unlock()
	for _, b := range bufs {
		l.pool.put(b)
	}
}

// Abandon gives up a segment that cannot be written: what is in the file stays there.
func (l *Live) Abandon() {
	l.release()
	if l.file != nil {
		l.file.Close() // it failed before: there is nothing more to learn from it
	}
}

// Interfaces are those of the segment, in the order of their numbers.
func (b *Builder) Interfaces() []*pcap.Interface {
	list := make([]*pcap.Interface, len(b.ifaces))
	for i, c := range b.ifaces {
		list[i] = c.iface
	}
	return list
}

// Counts are the packets of each interface, in the order of their numbers, with the drops
// that they report.
func (b *Builder) Counts() []uint64 {
	list := make([]uint64, len(b.ifaces))
	for i, c := range b.ifaces {
		list[i] = c.packets + c.drops
	}
	return list
}

// Packets is the number of packets.
func (b *Builder) Packets() uint64 { return b.packets }

// Builder is the segment's index; for the flusher, when the producer has left.
func (l *Live) Builder() *Builder { return l.b }

// TakeBuilder takes the index away, to be used for another segment. Nobody may read here.
func (l *Live) TakeBuilder() *Builder {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.b
	l.b = nil
	return b
}

// Close closes the file for readers.
func (l *Live) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.readers == nil {
		return nil
	}
	err := l.readers.Close()
	l.readers = nil
	return err
}

// ReadAt reads the segment as far as it was appended, from the file or from memory.
func (l *Live) ReadAt(b []byte, off int64) (int, error) {
	done := 0
	for done < len(b) {
		at := off + int64(done)
		l.mu.RLock()
		if at < l.written {
			f, n := l.readers, int(min(l.written-at, int64(len(b)-done)))
			l.mu.RUnlock()
			if f == nil {
				return done, io.ErrClosedPipe
			}
			k, err := f.ReadAt(b[done:done+n], at)
			done += k
			if err != nil && k < n {
				return done, err
			}
			continue
		}
		k := 0
		for _, x := range l.bufs {
			if at >= x.base && at < x.base+int64(x.n) {
				k = copy(b[done:], x.data[at-x.base:x.n])
				break
			}
		}
		l.mu.RUnlock()
		if k == 0 {
			return done, io.EOF
		}
		done += k
	}
	return done, nil
}

// Bounds are the time of the oldest and newest packet and their number.
func (l *Live) Bounds() (first, last int64, packets uint64) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.b == nil {
		return 0, 0, 0
	}
	return l.b.first, l.b.last, l.b.packets
}

// Packets is how many packets the segment has so far; it is false when it was completed.
func (l *Live) Packets() (n uint64, open bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.b == nil {
		return 0, false
	}
	return l.b.packets, true
}

// Size is how many bytes of the segment there are so far.
func (l *Live) Size() int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.size
}
