package segment

import (
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
)

const (
	spanBytes = 256 << 10 // of the segment that share one entry of the time index
	markBytes = 4 << 10   // of the segment that are a page: the first packet behind begins the next
)

// Builder is the index of a segment that is being written or scanned.
type Builder struct {
	seq    uint64
	ifaces []ifaceCount
	names  []Name
	flows  []record
	spans  []span
	marks  []mark
	posts  arena
	most   int // bytes of the index without postings, at most

	first, last    int64
	packets, bytes uint64
	drops          uint64
}

// Name is a name with its place in the segment.
type Name struct {
	Offset int64
	pcap.Name
}

// ifaceCount counts what a segment holds of an interface: packets, and the drops that they
// report.
type ifaceCount struct {
	iface          *pcap.Interface
	packets, drops uint64
}

// record is a flow of the segment. Its postings, varints here, begin inline and go on in chunks.
type record struct {
	id          flow.ID
	key         flow.Key
	first, last int64
	bytes       [2]uint64
	packets     [2]uint32
	iface       uint32
	number      uint32 // of its first packet
	page        uint32 // of its last packet
	posted      uint32 // bytes of postings
	head, tail  uint32 // chunks, numbered from 1
	flags       [2]uint8
	opener      flow.Opener
	inline      [13]byte
}

// span is the time range of a part of the segment.
type span struct {
	offset   int64 // of the first packet in it
	min, max int64
	drops    uint64 // that its packets report
	number   uint32 // of the first packet in it
	marks    uint32 // how many marks are before it: the number of its first page
}

// mark is where a page begins: a packet, and all that follow within markBytes or the span. Pages
// are numbered from 0.
type mark struct {
	number, offset uint32 // of the packet; of its block, divided by 4
}

// arena holds the chunks of all posting lists in slabs that are kept for the next segment.
type arena struct {
	slabs [][]chunk
	used  uint32
}

type chunk struct {
	data [60]byte
	next uint32
}

const slabChunks = 4096

func (a *arena) at(n uint32) *chunk { return &a.slabs[(n-1)/slabChunks][(n-1)%slabChunks] }

func (a *arena) alloc() uint32 {
	if int(a.used) == len(a.slabs)*slabChunks {
		a.slabs = append(a.slabs, make([]chunk, slabChunks))
	}
	a.used++
	a.at(a.used).next = 0
	return a.used
}

// NewBuilder returns an empty index of segment seq.
func NewBuilder(seq uint64) *Builder { return &Builder{seq: seq, most: headerBytes + 1024} }

// Reset empties b for another segment; its memory is used again.
func (b *Builder) Reset(seq uint64) {
	clear(b.ifaces)
	clear(b.names)
	*b = Builder{seq: seq, most: headerBytes + 1024, ifaces: b.ifaces[:0], names: b.names[:0], flows: b.flows[:0], spans: b.spans[:0],
		marks: b.marks[:0], posts: arena{slabs: b.posts.slabs}}
}

// AddInterface numbers an interface.
func (b *Builder) AddInterface(i *pcap.Interface) uint32 {
	b.ifaces = append(b.ifaces, ifaceCount{iface: i})
	b.most += len(pcapng.AppendInterface(nil, i))
	return uint32(len(b.ifaces) - 1)
}

// AddName notes a name that stands at offset.
func (b *Builder) AddName(offset int64, n pcap.Name) {
	b.names = append(b.names, Name{offset, n})
	b.most += 24
	for _, s := range n.Names {
		b.most += len(s) + 2
	}
}

// Add notes a packet of interface iface that stands at offset, and its flow.
func (b *Builder) Add(offset int64, iface uint32, p *pcap.Packet, h *flow.Header, e *Entry, as how) {
	number := uint32(b.packets)
	if n := len(b.spans); n == 0 || offset-b.spans[n-1].offset >= spanBytes {
		b.spans = append(b.spans, span{offset, p.Time, p.Time, p.Drops, number, uint32(len(b.marks))})
		b.marks = append(b.marks, mark{number, uint32(offset >> 2)})
		b.most += maxSpanBytes + maxMarkBytes
	} else {
		s := &b.spans[n-1]
		s.min, s.max = min(s.min, p.Time), max(s.max, p.Time)
		s.drops += p.Drops
		if at := uint32(offset >> 2); at-b.marks[len(b.marks)-1].offset >= markBytes>>2 {
			b.marks = append(b.marks, mark{number, at})
			b.most += maxMarkBytes
		}
	}
	page := uint32(len(b.marks) - 1)
	if as != seen {
		e.slot = uint32(len(b.flows))
		b.most += maxFlowBytes
		b.flows = append(b.flows, record{id: e.ID, key: h.Key, first: p.Time, last: p.Time, iface: iface, number: number, page: page})
	}
	f := &b.flows[e.slot]
	f.first, f.last = min(f.first, p.Time), max(f.last, p.Time)
	f.packets[h.Dir]++
	f.bytes[h.Dir] += uint64(p.Length)
	f.flags[h.Dir] |= h.Flags
	f.opener = e.Opener
	if number != f.number {
		b.post(f, page)
	}
	if b.packets == 0 {
		b.first, b.last = p.Time, p.Time
	}
	b.first, b.last = min(b.first, p.Time), max(b.last, p.Time)
	b.packets++
	b.bytes += uint64(p.Length)
	b.drops += p.Drops
	c := &b.ifaces[iface]
	c.packets++
	c.drops += p.Drops
}

// post appends to a flow's posting list: how many pages there are from that of its last packet
// to this one's.
func (b *Builder) post(f *record, page uint32) {
	d := page - f.page
	f.page = page
	for {
		v := byte(d)
		if d >= 0x80 {
			v |= 0x80
		}
		if n := f.posted; n < uint32(len(f.inline)) {
			f.inline[n] = v
		} else {
			at := (n - uint32(len(f.inline))) % uint32(len(chunk{}.data))
			if at == 0 {
				c := b.posts.alloc()
				if f.head == 0 {
					f.head = c
				} else {
					b.posts.at(f.tail).next = c
				}
				f.tail = c
			}
			b.posts.at(f.tail).data[at] = v
		}
		f.posted++
		if d < 0x80 {
			return
		}
		d >>= 7
	}
}

// appendPosts appends a flow's posting list: varints.
func (b *Builder) appendPosts(dst []byte, f *record) []byte {
	n := int(f.posted)
	dst = append(dst, f.inline[:min(n, len(f.inline))]...)
	n -= min(n, len(f.inline))
	for c := f.head; n > 0; {
		x := b.posts.at(c)
		k := min(n, len(x.data))
		dst = append(dst, x.data[:k]...)
		n -= k
		c = x.next
	}
	return dst
}

// info fills i from a flow.
func (b *Builder) info(n int, i *flow.Info) {
	f := &b.flows[n]
	*i = flow.Info{ID: f.id, Key: f.key, Iface: b.ifaces[f.iface].iface, First: f.first, Last: f.last,
		Packets: [2]uint64{uint64(f.packets[0]), uint64(f.packets[1])}, Bytes: f.bytes, Flags: f.flags, Opener: f.opener}
}

// indexBytes is at least what Encode will need. A gap between two packets of a flow takes one
// bit more than the number of the last page at most: no more than 20 bits, as a segment has 1
// GiB. With checksums that is less than 21.
func (b *Builder) indexBytes() int { return b.most + int(b.packets)*21/8 }

// Vantages numbers vantages by name, so that all interfaces of a pod share one.
type Vantages struct {
	numbers map[string]uint32
}

// Of is the number and the name of an interface's vantage; the number is 0 for one that
// names neither pod nor node.
func (v *Vantages) Of(i *pcap.Interface) (uint32, string) {
	name := flow.Vantage(i)
	return v.number(name), name
}

func (v *Vantages) number(name string) uint32 {
	if name == "" {
		return 0
	}
	n, ok := v.numbers[name]
	if !ok {
		if v.numbers == nil {
			v.numbers = map[string]uint32{}
		}
		n = uint32(len(v.numbers) + 1)
		v.numbers[name] = n
	}
	return n
}
