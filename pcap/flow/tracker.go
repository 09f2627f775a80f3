package flow

import "github.com/sshark/sshark/pcap"

// Entry is one flow that a Tracker knows, with a value of its owner's.
type Entry[T any] struct {
	Info
	Value T

	life Life
	hash uint64
	slot uint32
}

// Tracker assigns packets to flows: a connection by its key until it is closed and opened
// anew, datagrams by their key until they have been idle for a minute. It holds at most a
// given number of flows; beyond it, those idle for longest go. Not safe for concurrent use.
type Tracker[T any] struct {
	index   []uint32 // open addressing, linear probing; 0 is empty, else slot+1
	entries []*Entry[T]
	free    []uint32
	hand    int
	count   int
	max     int
	evict   func(*Entry[T])
}

// NewTracker makes a tracker of at most max flows. evict, if not nil, is told of each flow
// that is forgotten; the entry is used again after it returns.
func NewTracker[T any](max int, evict func(*Entry[T])) *Tracker[T] {
	return &Tracker[T]{index: make([]uint32, 1024), max: max, evict: evict}
}

// Len is the number of flows that are known.
func (t *Tracker[T]) Len() int { return t.count }

// Each visits all flows, in no order. The visitor must not call the tracker.
func (t *Tracker[T]) Each(visit func(*Entry[T])) {
	for _, e := range t.entries {
		if e != nil && e.ID != 0 {
			visit(e)
		}
	}
}

// Packet finds the flow of a packet and counts it there. fresh says that it is a new one.
// The entry stays valid until it is evicted.
func (t *Tracker[T]) Packet(p *pcap.Packet, h *Header) (e *Entry[T], fresh bool) {
	hash := h.Key.Hash() ^ uint64(p.Iface.Vantage)*0x9E3779B97F4A7C15
	mask := uint64(len(t.index) - 1)
	i := hash & mask
	for ; t.index[i] != 0; i = (i + 1) & mask {
		c := t.entries[t.index[i]-1]
		if c.hash != hash || c.Key != h.Key || c.Iface.Vantage != p.Iface.Vantage {
			continue
		}
		if c.life.Over(h, p.Time-c.Last) {
			t.remove(c)
			break
		}
		c.count(p, h)
		return c, false
	}
	e = t.insert(p, h, hash)
	e.count(p, h)
	return e, true
}

func (e *Entry[T]) count(p *pcap.Packet, h *Header) {
	d := h.Dir
	e.Last = max(e.Last, p.Time)
	e.Packets[d]++
	e.Bytes[d] += uint64(p.Length)
	e.Flags[d] |= h.Flags
	if h.Flags&SYN != 0 && e.life.Flags&SYN == 0 {
		e.Opener = OpenerOf(h)
	}
	e.life.Update(h)
}

func (t *Tracker[T]) insert(p *pcap.Packet, h *Header, hash uint64) *Entry[T] {
	t.sweep(p.Time)
	if t.count*2 >= len(t.index) {
		t.grow()
	}
	var e *Entry[T]
	if n := len(t.free); n > 0 {
		e = t.entries[t.free[n-1]]
		t.free = t.free[:n-1]
		*e = Entry[T]{slot: e.slot}
	} else {
		e = &Entry[T]{slot: uint32(len(t.entries))}
		t.entries = append(t.entries, e)
	}
	e.hash = hash
	e.Info = Info{ID: NewID(&h.Key, Vantage(p.Iface), p.Time), Key: h.Key, Iface: p.Iface,
		First: p.Time, Last: p.Time, Opener: OpenerOf(h)}
	t.place(e)
	t.count++
	return e
}

// Vantage is the text that stands for the point of view of an interface in a flow's ID.
func Vantage(i *pcap.Interface) string {
	if i.Pod.UID != "" {
		return i.Pod.UID
	}
	if i.Pod.Name != "" {
		return i.Pod.String()
	}
	return i.Node
}

func (t *Tracker[T]) place(e *Entry[T]) {
	mask := uint64(len(t.index) - 1)
	i := e.hash & mask
	for t.index[i] != 0 {
		i = (i + 1) & mask
	}
	t.index[i] = e.slot + 1
}

func (t *Tracker[T]) grow() {
	t.index = make([]uint32, len(t.index)*2)
	for _, e := range t.entries {
		if e.ID != 0 {
			t.place(e)
		}
	}
}

// sweep looks at a few flows for each new one, so that forgetting costs the same as learning.
func (t *Tracker[T]) sweep(now int64) {
	var oldest *Entry[T]
	for n := 0; n < 4 && len(t.entries) > 0; n++ {
		t.hand = (t.hand + 1) % len(t.entries)
		e := t.entries[t.hand]
		if e.ID == 0 {
			continue
		}
		if e.life.Forget(e.Key.Proto, now-e.Last) {
			t.remove(e)
		} else if oldest == nil || e.Last < oldest.Last {
			oldest = e
		}
	}
	if t.count >= t.max && oldest != nil && oldest.ID != 0 {
		t.remove(oldest)
	}
}

// remove takes an entry out, and closes the hole in its run of the index.
func (t *Tracker[T]) remove(e *Entry[T]) {
	if t.evict != nil {
		t.evict(e)
	}
	mask := uint64(len(t.index) - 1)
	i := e.hash & mask
	for t.index[i] != e.slot+1 {
		i = (i + 1) & mask
	}
	for j := i; ; {
		j = (j + 1) & mask
		if t.index[j] == 0 {
			break
		}
		home := t.entries[t.index[j]-1].hash & mask
		if (j-home)&mask >= (j-i)&mask {
			t.index[i] = t.index[j]
			i = j
		}
	}
	t.index[i] = 0
	e.ID = 0
	t.free = append(t.free, e.slot)
	t.count--
}
