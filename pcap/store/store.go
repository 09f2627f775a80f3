// Package store keeps a node's packets: a folder of segments (see package segment), the
// oldest deleted first, and answers what is in them.
//
// # What holds
//
// A packet is findable as soon as the Append that took it returns, and on the disk within
// SyncEvery and the time that a sync takes. After a crash all that was synced is there, whatever
// the disk made of the rest. The folder never takes more than
// MaxBytes, nothing in it is older than MaxAge, and MinFree bytes stay free on the disk, but
// for a quarter of MaxBytes (eight segments without that): so much is kept of the newest
// packets also while others fill the disk. The segments that are being read are not deleted,
// and not the one being written.
//
// Nothing that happens to the disk makes Append fail or wait: what cannot be kept is counted,
// by interface, reported by the next packet of the interface that is kept (epb_dropcount),
// in the statistics at the segment's end, and in Stats. Writing resumes by itself.
//
// # What it costs to sync
//
// Buffers are written when they are full. Every SyncEvery the rest is written too, up to its
// last page, which is written again when more has come, and the file is synced (fdatasync); a
// new segment's name is synced once, and a complete one's with its index. Only the goroutine
// that writes waits for it. Measured with 20 MB/s on a virtual disk (BenchmarkSync): 4.1 % of a
// core and no sync at all; 4.1 % with one a second, which takes 0.4 ms; 4.3 % with ten, 0.2 ms
// each; 6.8 % with a hundred. A disk that takes long to sync (a hard disk: 10 to 30 ms) does not
// write in that time; buffers for over half a second of that traffic wait for it.
//
// # Clocks
//
// How long a segment is written to and how old it is goes by the time that passes while the
// store is open; what was there before is as old as its packets say at Open, and no younger
// than what came after it. So setting the clock neither deletes nor keeps anything. Packets have
// the time that the clock showed. A window has all that are in it, and hands them out in
// the order of arrival; Iter.Back says when that is not the order of time. A connection stays
// one flow when the clock is set; a UDP flow ends when it is set on by more than a minute.
//
// # Files that are not as they should be
//
// Open cuts torn tails, and makes missing or damaged indexes anew. A segment that is damaged
// within is renamed (SEGMENT.broken) and not read. Indexes of an older version are made anew;
// segments of another version, indexes of a newer one and files of other programs are left
// alone. Each of these is told in Stats and logged, by name.
//
// # Concurrency
//
// Append is called by one goroutine. All else may be called by any, also meanwhile. One
// goroutine in the background does all writing.
package store

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
	"github.com/sshark/sshark/pcap/segment"
)

// Options of a store. Dir is needed.
type Options struct {
	Dir  string
	Node string // the name of this node; "" if it has none

	MaxBytes     int64         // of segments and indexes; 0: no bound
	MaxAge       time.Duration // 0: no bound
	MinFree      int64         // bytes to leave free on the disk; see the package comment
	SegmentBytes int64         // of one segment and its index; 0: 128 MiB, or less if MaxBytes is small
	SegmentAge   time.Duration // a segment is completed after this; 0: 10 minutes
	SyncEvery    time.Duration // 0: 1 second

	Buffers int  // of up to 4 MiB each, between Append and the disk; 0: 8
	Wait    bool // Append waits for a free buffer instead of dropping: to read files in

	// Namer is asked once for each address of a segment, before its first packet is kept. It
	// is called from Append: it must not block.
	Namer func(netip.Addr) (pcap.Name, bool)
	// Met is told of each flow when it is new in a segment, with who opened it as far as is
	// known, before its addresses are named. It is called from Append: it must not block.
	Met func(flow.Key, flow.Opener)

	FS    segment.FS
	Clock Clock
	Log   *slog.Logger
}

// Clock tells the time.
type Clock interface {
	// Now is what a clock on the wall says: people and programs set it, also back.
	Now() time.Time
	// Uptime passes evenly, from some moment on; nobody sets it.
	Uptime() time.Duration
	// Tick sends every d until stop is called.
	Tick(d time.Duration) (c <-chan time.Time, stop func())
}

type systemClock struct{ began time.Time }

func (systemClock) Now() time.Time { return time.Now() }

// Uptime is by the kernel's CLOCK_MONOTONIC, which time.Now reads too.
func (c systemClock) Uptime() time.Duration { return time.Since(c.began) }

func (systemClock) Tick(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTicker(d)
	return t.C, t.Stop
}

// Bounds of what Options may say.
const (
	MinBytes       = 1 << 20 // of Options.MaxBytes
	defaultSegment = 128 << 20
	maxSegment     = 1 << 30
	minBuffer      = 1 << 20
	maxNames       = 1 << 16 // that SetName keeps
	lockFile       = ".lock"
	brokenExt      = ".broken"
)

// Errors of Open.
var (
	// ErrQuota: MaxBytes is too small to work with.
	ErrQuota = errors.New("the store's quota is too small")
	// ErrNotWritable: no file can be written in the folder.
	ErrNotWritable = errors.New("the store's folder is not writable")
	// ErrInUse: another process works in the folder.
	ErrInUse = errors.New("the store is in use by another process")
)

// ErrClosed is returned by what needs an open store.
var ErrClosed = errors.New("the store is closed")

// Store is an open store.
type Store struct {
	o    Options
	lock io.Closer
	pool *segment.Pool
	jobs chan job
	quit chan struct{}
	done chan struct{}

	// The producer's side.
	ap         sync.Mutex
	closed     bool
	table      *segment.Table
	live       *entry        // nil: none is open
	seq        uint64        // of the next segment
	retryAt    time.Duration // no segment is begun before; these are of Clock.Uptime
	begunAt    time.Duration // of the open segment
	appendedAt time.Duration // the last Append
	recent     [64]recent
	tails      []*Tail
	tailing    *batch
	names      map[netip.Addr]pcap.Name

	// The list of segments, and what is shared.
	mu       sync.Mutex
	segments []*entry // in order
	sources  map[*pcap.Interface]*source
	content  map[string]*source // by the bytes of the interface's block
	vantages segment.Vantages
	problems []string // of the files, found at Open or later
	trouble  string   // with the disk, now
	waiting  []string // why segments that a failure cut short are not complete, now
	other    int64    // bytes of files that are set aside
	held     int64    // bytes of segments that readers hold
	low      string   // why less than the quota is kept, "": nothing

	limbo      []limbo            // the flusher's
	builders   []*segment.Builder // to be used again
	lost       map[*source]uint64 // by failed segments, for the next packets to report
	anyLost    atomic.Bool
	diskDrops  atomic.Uint64
	queueDrops atomic.Uint64
	rebuild    sync.Mutex
}

// entry is a segment of the list.
type entry struct {
	base   string
	seq    uint64
	header segment.Header // once complete
	live   *segment.Live  // nil: only on the disk
	done   bool           // complete on the disk
	failed atomic.Bool
	gone   bool          // not in the list any more
	pins   int           // readers that are in it
	holds  int           // readers that are still to come to it
	heldAs int64         // bytes that it counts in Store.held
	bytes  int64         // on the disk, with the index; what is reserved while it is written
	lastAt time.Duration // uptime of the last Append into it, below 0 if that was before Open
}

// source is an interface with what the store counts for it.
type source struct {
	segment.Source
	kept, drops uint64 // packets appended; lost by the capture, as they reported
	disk        uint64 // lost here
	stats       *pcap.Stats
	used        uint64 // the segment it was last seen in
}

// Open opens a store, and puts in order what a crash left. Notes about it are in Stats.
func Open(o Options) (*Store, error) {
	if o.FS == nil {
		o.FS = segment.OS{}
	}
	if o.Clock == nil {
		o.Clock = systemClock{time.Now()}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.SyncEvery <= 0 {
		o.SyncEvery = time.Second
	}
	if o.SegmentAge <= 0 {
		o.SegmentAge = 10 * time.Minute
	}
	if o.MaxAge > 0 {
		o.SegmentAge = min(o.SegmentAge, max(o.MaxAge/8, o.SyncEvery))
	}
	if o.Buffers <= 0 {
		o.Buffers = 8
	}
	o.Buffers = max(o.Buffers, 3)
	s := &Store{o: o, table: segment.NewTable(), quit: make(chan struct{}), done: make(chan struct{}),
		jobs: make(chan job, o.Buffers+1024), sources: map[*pcap.Interface]*source{}, content: map[string]*source{},
		names: map[netip.Addr]pcap.Name{}, lost: map[*source]uint64{}}
	if err := s.sizes(); err != nil {
		return nil, err
	}
	if err := o.FS.MkdirAll(o.Dir); err != nil {
		return nil, fmt.Errorf("open store %s: %w: %w", o.Dir, ErrNotWritable, err)
	}
	var err error
	s.lock, err = o.FS.Lock(filepath.Join(o.Dir, lockFile))
	if errors.Is(err, segment.ErrLocked) {
		return nil, fmt.Errorf("open store %s: %w", o.Dir, ErrInUse)
	}
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w: %w", o.Dir, ErrNotWritable, err)
	}
	if err := s.recover(); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", o.Dir, err), s.lock.Close())
	}
	s.tidy()
	ticks, stop := o.Clock.Tick(o.SyncEvery)
	go s.run(ticks, stop)
	return s, nil
}

// sizes makes quota, segment and buffer sizes fit each other.
func (s *Store) sizes() error {
	o := &s.o
	if o.MaxBytes != 0 && o.MaxBytes < MinBytes {
		return fmt.Errorf("open store %s: %w: %d bytes, it needs %d", o.Dir, ErrQuota, o.MaxBytes, MinBytes)
	}
	asked := o.SegmentBytes
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = defaultSegment
	}
	o.SegmentBytes = min(max(o.SegmentBytes, 64<<10), maxSegment)
	if o.MaxBytes > 0 && o.SegmentBytes > o.MaxBytes/8 {
		o.SegmentBytes = o.MaxBytes / 8
		if asked > 0 {
			s.note("segments of %d bytes do not fit a quota of %d: they are %d", asked, o.MaxBytes, o.SegmentBytes)
		}
	}
	size := 4 << 20
	for size > minBuffer && int64(size) > o.SegmentBytes/4 {
		size /= 2
	}
	s.pool = segment.NewPool(o.Buffers, size)
	return nil
}

// note remembers a problem that does not go away by itself, and logs it.
func (s *Store) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.o.Log.Warn(text, "store", s.o.Dir)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.problems) < 100 && !slices.Contains(s.problems, text) {
		s.problems = append(s.problems, text)
	}
}

// setTrouble says what is wrong with the disk; "" when it works again.
func (s *Store) setTrouble(text string) {
	s.mu.Lock()
	was := s.trouble
	s.trouble = text
	s.mu.Unlock()
	switch {
	case text != "" && text != was:
		s.o.Log.Error("packets are not kept", "store", s.o.Dir, "reason", text)
	case text == "" && was != "":
		s.o.Log.Info("packets are kept again", "store", s.o.Dir)
	}
}

func (s *Store) path(base, ext string) string { return filepath.Join(s.o.Dir, base+ext) }

// Stats says how the store is.
type Stats struct {
	Used           int64 // bytes on the disk
	Limit          int64 // bytes, 0: none
	Oldest, Newest int64 // times of packets, ns; 0: none is kept
	Segments       int   // with the open one
	DiskDrops      uint64
	QueueDrops     uint64
	Problems       []string // for a person; what stops writing first
}

// Stats says how the store is now.
func (s *Store) Stats() Stats {
	st := Stats{Limit: s.o.MaxBytes, DiskDrops: s.diskDrops.Load(), QueueDrops: s.queueDrops.Load()}
	add := func(first, last int64, packets uint64, bytes int64) {
		st.Used += bytes
		if packets == 0 {
			return
		}
		if st.Oldest == 0 || first < st.Oldest {
			st.Oldest = first
		}
		st.Newest = max(st.Newest, last)
	}
	var live []*segment.Live
	s.mu.Lock()
	st.Used, st.Segments = s.other, len(s.segments)
	for _, e := range s.segments {
		if e.done {
			add(e.header.First, e.header.Last, e.header.Packets, e.bytes)
		} else {
			live = append(live, e.live)
		}
	}
	for _, p := range [...]string{s.trouble, s.low} {
		if p != "" {
			st.Problems = append(st.Problems, p)
		}
	}
	st.Problems = append(append(st.Problems, s.waiting...), s.problems...)
	s.mu.Unlock()
	// Append locks a live segment and then the list: not the other way round here.
	for _, l := range live {
		first, last, packets := l.Bounds()
		add(first, last, packets, l.Size())
	}
	return st
}

// source is the store's own of an interface; equal interfaces share one.
func (s *Store) source(i *pcap.Interface) *source {
	var r *recent
	if i != nil {
		// The interfaces of one pod differ in their names: lo and eth0.
		r = &s.recent[(i.Vantage<<1^uint32(len(i.Name)))%uint32(len(s.recent))]
		if r.iface == i && r.seq == s.seq {
			return r.src
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	src := s.intern(i)
	src.used = s.seq
	if r != nil {
		*r = recent{i, src, s.seq}
	}
	return src
}

// recent is a source that was asked for in the segment seq: found without a lock.
type recent struct {
	iface *pcap.Interface
	src   *source
	seq   uint64
}

// intern is called with mu held.
func (s *Store) intern(i *pcap.Interface) *source {
	if src, ok := s.sources[i]; ok {
		return src
	}
	own := pcap.Interface{Name: "?", Link: 0xffff, Node: s.o.Node}
	if i != nil {
		own = *i
		if own.Node == "" {
			own.Node = s.o.Node
		}
	}
	key := string(pcapng.AppendInterface(nil, &own))
	src, ok := s.content[key]
	if !ok {
		src = &source{used: s.seq}
		src.Source.Iface = &own
		own.Vantage, src.VantageName = s.vantages.Of(&own)
		src.Vantage = own.Vantage
		s.content[key] = src
		s.sources[src.Iface] = src
	}
	if len(s.sources) > 1<<14 {
		s.forgetSources()
	}
	if i != nil {
		s.sources[i] = src
	}
	return src
}

// known is an interface that was seen before, by its block; nil if it was not.
func (s *Store) known(block []byte) *pcap.Interface {
	s.mu.Lock()
	defer s.mu.Unlock()
	if src := s.content[string(block)]; src != nil {
		return src.Iface
	}
	return nil
}

// forgetSources drops interfaces that had no packet for some segments.
func (s *Store) forgetSources() {
	clear(s.sources)
	for key, src := range s.content {
		if src.used+16 < s.seq && src.Pending == 0 {
			delete(s.content, key)
			continue
		}
		s.sources[src.Iface] = src
	}
}

// Close completes the open segment and ends the store. Iterators must be closed before.
func (s *Store) Close() error {
	s.ap.Lock()
	if s.closed {
		s.ap.Unlock()
		return ErrClosed
	}
	s.finish()
	s.closed = true
	for _, t := range s.tails {
		close(t.c)
	}
	s.tails = nil
	s.ap.Unlock()
	close(s.quit)
	<-s.done
	s.mu.Lock()
	trouble := s.trouble
	for _, e := range s.segments {
		if e.live != nil {
			e.live.Close()
		}
	}
	s.mu.Unlock()
	err := s.lock.Close()
	if trouble != "" {
		err = errors.Join(fmt.Errorf("close store %s: %s", s.o.Dir, trouble), err)
	}
	return err
}
