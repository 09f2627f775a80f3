package store

import (
	"net/netip"
	"time"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
	"github.com/sshark/sshark/pcap/segment"
)

// retryAfter is the time between attempts to write again.
const retryAfter = time.Second

// Append keeps packets, in this order. Their data is copied. It fails only when the store is
// closed; what the disk does not take is counted.
func (s *Store) Append(packets []pcap.Packet) error {
	s.ap.Lock()
	defer s.ap.Unlock()
	if s.closed {
		return ErrClosed
	}
	now := s.o.Clock.Uptime()
	s.appendedAt = now
	if s.anyLost.Load() {
		s.takeLost()
	}
	if s.live != nil && s.live.failed.Load() {
		s.abandon(now)
	}
	if len(s.tails) > 0 {
		s.tailing = newBatch(packets)
	}
	l := s.lockLive()
	var h flow.Header
	for n := range packets {
		p := &packets[n]
		src := s.source(p.Iface)
		src.kept++
		src.drops += p.Drops
		h.Parse(src.Iface.Link, p.Data)
		if l != nil && (!l.Fits(p, s.o.SegmentBytes) || l.Flows() >= segment.MaxFlows) {
			l.Unlock()
			s.finish()
			l = nil
		}
		if l == nil {
			full := false
			if now >= s.retryAt {
				for full = !s.begin(p.Time, now); full && s.o.Wait; full = !s.begin(p.Time, now) {
					<-s.pool.More()
				}
			}
			if l = s.lockLive(); l == nil {
				s.drop(src, p, &h, full)
				continue
			}
		}
		e := l.Append(&src.Source, p, &h)
		for e == nil && s.o.Wait && !s.live.failed.Load() {
			l.Unlock()
			<-s.pool.More()
			l.Lock()
			e = l.Append(&src.Source, p, &h)
		}
		if e == nil {
			s.count(src, p, true)
			if s.tailing != nil {
				s.tailing.lost++
			}
			continue
		}
		if s.tailing != nil {
			s.tailing.add(p, src.Iface, e)
		}
	}
	if l != nil {
		l.Unlock()
	}
	if s.tailing != nil {
		s.sendTail()
	}
	return nil
}

func (s *Store) lockLive() *segment.Live {
	if s.live == nil {
		return nil
	}
	s.live.live.Lock()
	return s.live.live
}

// count notes that a packet is not kept: because the queue to the disk is full, or the disk
// takes nothing.
func (s *Store) count(src *source, p *pcap.Packet, queue bool) {
	if queue {
		s.queueDrops.Add(1)
	} else {
		s.diskDrops.Add(1)
	}
	src.disk++
	src.Pending += 1 + p.Drops
}

// drop counts a packet that there is no segment for. Followers see it all the same.
func (s *Store) drop(src *source, p *pcap.Packet, h *flow.Header, queue bool) {
	s.count(src, p, queue)
	if s.tailing != nil {
		e, _ := s.table.Assign(h, src.Vantage, src.VantageName, p.Time, nil)
		s.tailing.add(p, src.Iface, e)
	}
}

// takeLost makes what failed segments lost known to the packets that follow.
func (s *Store) takeLost() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.anyLost.Store(false)
	for src, n := range s.lost {
		src.Pending += n
		src.disk += n
	}
	clear(s.lost)
}

// begin opens a segment, if the quota has room. It is false if it only lacks a buffer: all
// are on their way to the disk.
func (s *Store) begin(first int64, now time.Duration) bool {
	if !s.makeRoom() {
		s.retryAt = now + retryAfter
		return true
	}
	b := s.builder()
	l := segment.NewLive(s.seq, first, segment.LiveOptions{FS: s.o.FS, Dir: s.o.Dir, Pool: s.pool, Table: s.table,
		Builder: b, Namer: s.name, Met: s.o.Met, Full: s.handOver,
		Section: pcapng.Section{Application: "sshark", OS: "Linux", Node: s.o.Node}})
	if l == nil {
		s.mu.Lock()
		s.builders = append(s.builders, b)
		s.mu.Unlock()
		return false
	}
	s.table.NextSegment(first)
	e := &entry{base: l.Base, seq: s.seq, live: l, bytes: s.o.SegmentBytes}
	s.seq++
	s.live, s.begunAt = e, now
	s.mu.Lock()
	s.segments = append(s.segments, e)
	s.mu.Unlock()
	return true
}

// builder is an empty index, if possible one whose memory was used before.
func (s *Store) builder() *segment.Builder {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.builders)
	if n == 0 {
		return segment.NewBuilder(s.seq)
	}
	b := s.builders[n-1]
	s.builders = s.builders[:n-1]
	b.Reset(s.seq)
	return b
}

// finish completes the open segment; the flusher does the rest.
func (s *Store) finish() {
	e := s.live
	if e == nil {
		return
	}
	defer func() { s.live = nil }() // handOver still needs it
	e.lastAt = s.appendedAt
	if e.failed.Load() {
		s.jobs <- job{kind: abandonSegment, e: e}
		return
	}
	now := s.o.Clock.Now().UnixNano()
	e.live.Lock()
	s.mu.Lock()
	told := map[*source]bool{}
	tell := func(src *source) {
		st := pcap.Stats{Seen: src.kept + src.drops, Dropped: src.drops}
		if src.stats != nil {
			st = *src.stats
		}
		st.Dropped += src.disk
		st.Stored = st.Seen - min(st.Seen, st.Dropped+st.Filtered)
		e.live.Stats(&src.Source, now, st)
		told[src] = true
	}
	for _, i := range e.live.Builder().Interfaces() {
		if src, ok := s.sources[i]; ok {
			tell(src)
		}
	}
	// One that lost packets and was silent since has no packet to tell of them.
	for _, src := range s.content {
		if !told[src] && src.stats != nil && src.stats.Dropped > src.drops {
			tell(src)
		}
	}
	s.mu.Unlock()
	e.live.Unlock()
	s.jobs <- job{kind: finishSegment, e: e}
}

// abandon leaves a segment that could not be written.
func (s *Store) abandon(now time.Duration) {
	s.finish()
	s.retryAt = now + retryAfter
}

func (s *Store) handOver(l *segment.Live, b *segment.Buffer) {
	s.jobs <- job{kind: writeBuffer, e: s.live, buf: b}
}

// name is asked by the segment for each address that is new in it.
func (s *Store) name(a netip.Addr) (n pcap.Name, ok bool) {
	if s.o.Namer != nil {
		n, ok = s.o.Namer(a)
	}
	if !ok {
		n, ok = s.names[a]
	}
	if ok && s.tailing != nil {
		s.tailing.names = append(s.tailing.names, n)
	}
	return n, ok
}

// SetName says what an address is called from now on. It is kept with the packets, in this
// segment and in those that follow. Without names, those that follow do not have it.
func (s *Store) SetName(n pcap.Name) {
	n.Addr = n.Addr.Unmap().WithZone("")
	if !n.Addr.IsValid() {
		return
	}
	s.ap.Lock()
	defer s.ap.Unlock()
	if len(n.Names) == 0 {
		delete(s.names, n.Addr)
		return
	}
	if len(s.names) >= maxNames {
		for a := range s.names { // any one: it is asked for again when it is seen
			delete(s.names, a)
			break
		}
	}
	s.names[n.Addr] = n
	if l := s.lockLive(); l != nil {
		l.Name(n)
		l.Unlock()
	}
	for _, t := range s.tails {
		t.send(&batch{names: []pcap.Name{n}})
	}
}

// SetStats gives the capture's counters of an interface; the last ones are written at the
// end of each segment.
func (s *Store) SetStats(i *pcap.Interface, st pcap.Stats) {
	s.ap.Lock()
	defer s.ap.Unlock()
	s.source(i).stats = &st
}
