package store

import (
	"context"
	"io"
	"slices"
	"sync/atomic"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/segment"
)

// Tail is what is appended from now on, also while the disk takes nothing. It is used by one
// goroutine. A follower that is too slow loses packets, which are counted; it never slows
// down Append.
type Tail struct {
	// OnName, if set before the first Next, gets names before the packets that they are for.
	OnName func(pcap.Name)

	s      *Store
	ctx    context.Context
	c      chan *batch
	limit  int64
	queued atomic.Int64
	lost   atomic.Uint64
	cur    *batch
	n      int
}

// batch is a copy of what one Append took, shared by all followers.
type batch struct {
	data    []byte
	packets []pcap.Packet
	flows   []told
	names   []pcap.Name
	lost    uint64
}

// told is what a follower learns of a packet's flow.
type told struct {
	id     flow.ID
	opener flow.Opener
}

// maxBatches bounds a follower's queue, besides its bytes.
const maxBatches = 4096

func newBatch(packets []pcap.Packet) *batch {
	n := 0
	for i := range packets {
		n += len(packets[i].Data)
	}
	return &batch{data: make([]byte, 0, n), packets: make([]pcap.Packet, 0, len(packets)), flows: make([]told, 0, len(packets))}
}

func (b *batch) add(p *pcap.Packet, i *pcap.Interface, e *segment.Entry) {
	n := len(b.data)
	b.data = append(b.data, p.Data...)
	q := *p
	q.Data, q.Iface = b.data[n:len(b.data):len(b.data)], i
	b.packets = append(b.packets, q)
	b.flows = append(b.flows, told{e.ID, e.Opener})
}

// Tail begins to follow. At most buffer bytes of packets wait for Next; 0: 16 MiB. It ends
// with its context, which must end.
func (s *Store) Tail(ctx context.Context, buffer int64) (*Tail, error) {
	s.ap.Lock()
	defer s.ap.Unlock()
	return s.tail(ctx, buffer)
}

// tail is called with ap held.
func (s *Store) tail(ctx context.Context, buffer int64) (*Tail, error) {
	if s.closed {
		return nil, ErrClosed
	}
	if buffer <= 0 {
		buffer = 16 << 20
	}
	t := &Tail{s: s, ctx: ctx, c: make(chan *batch, maxBatches), limit: buffer}
	if s.live != nil {
		t.send(&batch{names: s.live.live.Names()})
	}
	s.tails = append(s.tails, t)
	context.AfterFunc(ctx, func() {
		s.ap.Lock()
		defer s.ap.Unlock()
		if n := slices.Index(s.tails, t); n >= 0 {
			s.tails = slices.Delete(s.tails, n, n+1)
		}
	})
	return t, nil
}

// sendTail hands the batch of this Append to all followers.
func (s *Store) sendTail() {
	b := s.tailing
	s.tailing = nil
	for _, t := range s.tails {
		t.send(b)
	}
}

func (t *Tail) send(b *batch) {
	n := int64(len(b.data))
	if t.queued.Load()+n > t.limit && t.queued.Load() > 0 {
		t.lost.Add(uint64(len(b.packets)) + b.lost)
		return
	}
	select {
	case t.c <- b:
		t.queued.Add(n)
		t.lost.Add(b.lost)
	default:
		t.lost.Add(uint64(len(b.packets)) + b.lost)
	}
}

// Lost is how many packets the follower did not see so far.
func (t *Tail) Lost() uint64 { return t.lost.Load() }

// Flow is the flow of the last packet.
func (t *Tail) Flow() flow.ID { return t.cur.flows[t.n-1].id }

// Opener is who began that flow, as far as is known by then.
func (t *Tail) Opener() flow.Opener { return t.cur.flows[t.n-1].opener }

// Pending says whether Next has a packet without waiting. Names that came with none are told.
func (t *Tail) Pending() bool {
	for t.empty() {
		select {
		case b, ok := <-t.c:
			if !ok {
				return false
			}
			t.take(b)
		default:
			return false
		}
	}
	return true
}

// empty says that the batch in hand has no more packets; it is then given up.
func (t *Tail) empty() bool {
	if t.cur != nil && t.n < len(t.cur.packets) {
		return false
	}
	if t.cur != nil {
		t.queued.Add(-int64(len(t.cur.data)))
		t.cur = nil
	}
	return true
}

func (t *Tail) take(b *batch) {
	t.cur, t.n = b, 0
	for _, n := range b.names {
		if t.OnName != nil {
			t.OnName(n)
		}
	}
}

// Next waits for the next packet; its data is borrowed until the next Next or Pending. It
// returns the context's error when that ends, and io.EOF when the store was closed.
func (t *Tail) Next(p *pcap.Packet) error {
	for t.empty() {
		select {
		case b, ok := <-t.c:
			if !ok {
				return io.EOF
			}
			t.take(b)
		case <-t.ctx.Done():
			return t.ctx.Err()
		}
	}
	*p = t.cur.packets[t.n]
	t.n++
	return nil
}
