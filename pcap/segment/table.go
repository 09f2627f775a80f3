package segment

import (
	"cmp"
	"slices"

	"github.com/sshark/sshark/pcap/flow"
)

// Table gives each packet its flow: one flow is a key, seen from one vantage, for as long as
// its flow.Life says.
//
// Invariant: from a flow's second packet in a segment on, the decision depends only on
// packets in that segment. Only the first may depend on what was before, and then a flow
// block says so. This is why a rebuilt index has the same IDs.
type Table struct {
	slots   []uint32 // 0: empty, else number of the entry + 1
	tags    []uint32
	entries []Entry
	epoch   uint32
	latest  int64 // time of the last packet, 0: none yet
	jumped  int64 // ns that no packet came in, in this segment, but for DatagramIdle each time
}

// Entry is a flow's state. Pointers to it are good until the next Assign.
type Entry struct {
	ID      flow.ID
	key     flow.Key
	last    int64
	life    flow.Life
	vantage uint32
	epoch   uint32 // the segment it was last seen in
	slot    uint32 // its number in that segment's Builder
	Opener  flow.Opener
}

// maxEntries bounds what is carried from one segment to the next.
const maxEntries = 1 << 18

// NewTable returns an empty table.
func NewTable() *Table {
	const n = 1 << 12
	return &Table{slots: make([]uint32, n), tags: make([]uint32, n), epoch: 1}
}

// Vantage mixing keeps the same key of two pods apart.
func (e *Entry) hash() uint64 { return hashKey(&e.key, e.vantage) }

func hashKey(k *flow.Key, vantage uint32) uint64 {
	h := k.Hash() ^ uint64(vantage)*0x9E3779B97F4A7C15
	return h ^ h>>29
}

// How Assign came to an entry.
type how uint8

const (
	seen    how = iota // the flow has packets in this segment
	begun              // the flow begins with this packet
	carried            // it is known from an earlier segment
)

// Assign finds the flow of a packet. name is the vantage's, for new IDs. A forced entry's ID
// and opener are taken as they are (a flow block was read).
func (t *Table) Assign(h *flow.Header, vantage uint32, name string, now int64, forced *Entry) (*Entry, how) {
	t.pass(now)
	hash := hashKey(&h.Key, vantage)
	tag := uint32(hash >> 32)
	mask := uint64(len(t.slots) - 1)
	var e *Entry
	i := hash & mask
	for ; ; i = (i + 1) & mask {
		n := t.slots[i]
		if n == 0 {
			break
		}
		if t.tags[i] == tag {
			if x := &t.entries[n-1]; x.vantage == vantage && x.key == h.Key {
				e = x
				break
			}
		}
	}
	if e == nil {
		t.entries = append(t.entries, Entry{key: h.Key, vantage: vantage})
		t.slots[i], t.tags[i] = uint32(len(t.entries)), tag
		if len(t.entries)*2 > len(t.slots) {
			t.resize(len(t.slots) * 2)
		}
		e = &t.entries[len(t.entries)-1]
		return e, t.begin(e, h, name, now, forced)
	}
	if forced != nil || e.life.Over(h, now-e.last) {
		return e, t.begin(e, h, name, now, forced)
	}
	as := seen
	if e.epoch != t.epoch {
		e.epoch, e.life, e.last = t.epoch, flow.Life{}, now
		as = carried
	} else if e.life.Flags&flow.SYN == 0 && h.Flags&flow.SYN != 0 {
		e.Opener = flow.OpenerOf(h)
	}
	e.update(h, now)
	return e, as
}

// pass notes when the clock was set on, or nothing was captured for a while: for that time no
// flow counts as idle.
func (t *Table) pass(now int64) {
	if d := now - t.latest; d > flow.DatagramIdle && t.latest != 0 {
		t.jumped += d - flow.DatagramIdle
	}
	t.latest = now
}

func (t *Table) begin(e *Entry, h *flow.Header, name string, now int64, forced *Entry) how {
	e.epoch, e.life, e.last = t.epoch, flow.Life{}, now
	e.Opener = flow.OpenerOf(h)
	if forced != nil {
		e.ID, e.Opener = forced.ID, forced.Opener
		e.update(h, now)
		return carried
	}
	e.ID = flow.NewID(&h.Key, name, now)
	e.update(h, now)
	return begun
}

func (e *Entry) update(h *flow.Header, now int64) {
	if e.last-now > flow.DatagramIdle { // the clock was set back: it counts from there
		e.last = now
	}
	e.last = max(e.last, now)
	e.life.Update(h)
}

// resize makes room, for a power of two of slots.
func (t *Table) resize(n int) {
	t.slots, t.tags = make([]uint32, n), make([]uint32, n)
	mask := uint64(n - 1)
	for f := range t.entries {
		h := t.entries[f].hash()
		i := h & mask
		for t.slots[i] != 0 {
			i = (i + 1) & mask
		}
		t.slots[i], t.tags[i] = uint32(f+1), uint32(h>>32)
	}
}

// NextSegment makes all flows count as carried, and forgets those that are over.
func (t *Table) NextSegment(now int64) {
	t.epoch++
	t.pass(now)
	keep := t.entries[:0]
	for i := range t.entries {
		e := &t.entries[i]
		e.last = min(e.last+t.jumped, now) // and back
		if !e.life.Forget(e.key.Proto, now-e.last) {
			keep = append(keep, *e)
		}
	}
	t.jumped = 0
	if len(keep) > maxEntries { // somebody scans: those that were idle for longest go early
		slices.SortFunc(keep, func(a, b Entry) int { return cmp.Compare(b.last, a.last) })
		keep = keep[:maxEntries]
	}
	t.entries = keep
	n := 1 << 12
	for n < 4*len(t.entries) {
		n *= 2
	}
	t.resize(n)
}

// Restore takes over a flow from an index, so that its ID goes on after a restart.
func (t *Table) Restore(i *flow.Info, vantage uint32) {
	h := flow.Header{Key: i.Key}
	e, _ := t.Assign(&h, vantage, "", i.Last, &Entry{ID: i.ID, Opener: i.Opener})
	e.life.Flags = i.Flags[0] | i.Flags[1]
	t.latest, t.jumped = 0, 0
}
