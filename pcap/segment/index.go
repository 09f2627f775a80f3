package segment

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net/netip"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
)

const (
	indexMagic   = "sshkidx\n"
	headerBytes  = 112
	maxFlowBytes = 108 // of one flow in the flows part
	crcBytes     = 64 << 10
	maxPart      = 1 << 31
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Header is the beginning of an index: what a store must know of a segment that it does not
// read.
type Header struct {
	Seq         uint64
	Size        int64 // of the segment's file, bytes
	First, Last int64 // lowest and highest time of its packets, ns
	Packets     uint64
	Bytes       uint64 // on the wire
	Drops       uint64 // that its packets report
	Flows       uint32

	headLen, flowsLen, postsLen uint64
	headCRC, flowsCRC           uint32
}

// IndexSize is the size of the whole index file.
func (h *Header) IndexSize() int64 {
	return headerBytes + int64(h.headLen+h.flowsLen+h.postsLen)
}

// Overlaps says whether the segment may have packets in [since, until); until 0 is no bound.
func (h *Header) Overlaps(since, until int64) bool {
	return h.Packets > 0 && h.Last >= since && (until == 0 || h.First < until)
}

func (h *Header) append(dst []byte) []byte {
	le := binary.LittleEndian
	start := len(dst)
	dst = append(dst, indexMagic...)
	dst = le.AppendUint32(dst, Version)
	dst = le.AppendUint32(dst, 0)
	for _, v := range [...]uint64{h.Seq, uint64(h.Size), uint64(h.First), uint64(h.Last), h.Packets, h.Bytes, h.Drops,
		uint64(h.Flows), h.headLen, h.flowsLen, h.postsLen} {
		dst = le.AppendUint64(dst, v)
	}
	dst = le.AppendUint32(dst, h.headCRC)
	dst = le.AppendUint32(dst, h.flowsCRC)
	le.PutUint32(dst[start+12:], crc32.Checksum(dst[start:], castagnoli))
	return dst
}

func (h *Header) parse(b []byte) error {
	le := binary.LittleEndian
	if len(b) < headerBytes || string(b[:8]) != indexMagic {
		return fmt.Errorf("%w: it does not begin like one", ErrIndex)
	}
	if v := le.Uint32(b[8:]); v != Version {
		return &VersionError{fmt.Sprint(v)}
	}
	zeroed := bytes.Clone(b[:headerBytes])
	le.PutUint32(zeroed[12:], 0)
	if crc32.Checksum(zeroed, castagnoli) != le.Uint32(b[12:]) {
		return fmt.Errorf("%w: checksum of the header", ErrIndex)
	}
	u := func(n int) uint64 { return le.Uint64(b[16+8*n:]) }
	*h = Header{Seq: u(0), Size: int64(u(1)), First: int64(u(2)), Last: int64(u(3)), Packets: u(4), Bytes: u(5), Drops: u(6),
		Flows: uint32(u(7)), headLen: u(8), flowsLen: u(9), postsLen: u(10), headCRC: le.Uint32(b[104:]), flowsCRC: le.Uint32(b[108:])}
	if h.headLen > maxPart || h.flowsLen > maxPart || h.postsLen > maxPart || h.Size < 0 {
		return fmt.Errorf("%w: a part claims more than 2 GiB", ErrIndex)
	}
	return nil
}

// Encode is the index file for a segment of this size.
func (b *Builder) Encode(size int64) []byte {
	le := binary.LittleEndian
	h := Header{Seq: b.seq, Size: size, First: b.first, Last: b.last, Packets: b.packets, Bytes: b.bytes, Drops: b.drops, Flows: uint32(len(b.flows))}
	posts := make([]byte, 0, b.posted)
	flows := make([]byte, 0, len(b.flows)*64)
	prev := int64(0)
	for n := range b.flows {
		flows = appendFlow(flows, &b.flows[n], prev)
		prev = b.flows[n].first
		posts = b.appendPosts(posts, &b.flows[n])
	}
	described := pcapng.AppendSection(nil, pcapng.Section{})
	for i := range b.ifaces {
		described = pcapng.AppendInterface(described, b.ifaces[i].iface)
	}
	head := binary.AppendUvarint(nil, uint64(len(described)))
	head = append(head, described...)
	head = binary.AppendUvarint(head, uint64(len(b.names)))
	for _, n := range b.names {
		head = binary.AppendUvarint(head, uint64(n.Offset))
		addr := n.Addr.AsSlice()
		head = append(head, byte(len(addr)))
		head = append(head, addr...)
		head = binary.AppendUvarint(head, uint64(len(n.Names)))
		for _, s := range n.Names {
			head = binary.AppendUvarint(head, uint64(len(s)))
			head = append(head, s...)
		}
	}
	head = binary.AppendUvarint(head, uint64(len(b.spans)))
	var last span
	for _, s := range b.spans {
		head = binary.AppendUvarint(head, uint64(s.offset-last.offset))
		head = binary.AppendVarint(head, s.min-last.min)
		head = binary.AppendUvarint(head, uint64(s.max-s.min))
		head = binary.AppendUvarint(head, s.drops)
		last = s
	}
	for p := posts; len(p) > 0; p = p[min(crcBytes, len(p)):] {
		head = le.AppendUint32(head, crc32.Checksum(p[:min(crcBytes, len(p))], castagnoli))
	}
	h.headLen, h.flowsLen, h.postsLen = uint64(len(head)), uint64(len(flows)), uint64(len(posts))
	h.headCRC, h.flowsCRC = crc32.Checksum(head, castagnoli), crc32.Checksum(flows, castagnoli)
	out := make([]byte, 0, h.IndexSize())
	out = h.append(out)
	out = append(out, head...)
	out = append(out, flows...)
	return append(out, posts...)
}

var v4Mapped = [12]byte{10: 0xff, 11: 0xff}

func appendFlow(dst []byte, f *record, prev int64) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint64(dst, uint64(f.id))
	v4 := [12]byte(f.key.A[:12]) == v4Mapped && [12]byte(f.key.B[:12]) == v4Mapped
	if v4 {
		dst = append(dst, byte(f.opener)|8, byte(f.key.Proto))
		dst = append(dst, f.key.A[12:]...)
		dst = append(dst, f.key.B[12:]...)
	} else {
		dst = append(dst, byte(f.opener), byte(f.key.Proto))
		dst = append(dst, f.key.A[:]...)
		dst = append(dst, f.key.B[:]...)
	}
	dst = le.AppendUint16(dst, f.key.PortA)
	dst = le.AppendUint16(dst, f.key.PortB)
	dst = append(dst, f.flags[0], f.flags[1])
	dst = binary.AppendVarint(dst, f.first-prev)
	for _, v := range [...]uint64{uint64(f.last - f.first), uint64(f.iface), uint64(f.packets[0]), uint64(f.packets[1]),
		f.bytes[0], f.bytes[1], uint64(f.posted)} {
		dst = binary.AppendUvarint(dst, v)
	}
	return dst
}

// Index is a segment's index as it was read. Its postings stay in the file.
type Index struct {
	Header
	Interfaces []*pcap.Interface
	Names      []Name
	spans      []span
	flows      []byte
	postCRC    []byte
	file       io.ReaderAt
}

// ReadHeader reads only the beginning of an index.
func ReadHeader(file io.ReaderAt) (h Header, err error) {
	b := make([]byte, headerBytes)
	n, err := file.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return h, err
	}
	return h, h.parse(b[:n])
}

// ReadIndex reads an index; file must stay open as long as the Index is used.
func ReadIndex(file io.ReaderAt) (*Index, error) {
	x := &Index{file: file}
	var err error
	if x.Header, err = ReadHeader(file); err != nil {
		return nil, err
	}
	head, err := x.part(headerBytes, x.headLen, x.headCRC)
	if err != nil {
		return nil, err
	}
	if x.flows, err = x.part(headerBytes+int64(x.headLen), x.flowsLen, x.flowsCRC); err != nil {
		return nil, err
	}
	d := decoder{b: head}
	described := d.bytes(d.uvarint())
	r, err := pcapng.NewReader(bytes.NewReader(described), pcapng.ReaderOptions{Buffer: max(len(described), 256)})
	if err != nil {
		return nil, fmt.Errorf("%w: interfaces: %w", ErrIndex, err)
	}
	if err := r.Next(&pcap.Packet{}); err != io.EOF {
		return nil, fmt.Errorf("%w: interfaces: %v", ErrIndex, err)
	}
	x.Interfaces = r.Interfaces()
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		name := Name{Offset: int64(d.uvarint())}
		name.Addr, _ = netip.AddrFromSlice(d.bytes(uint64(d.byte())))
		for k := d.uvarint(); k > 0 && !d.bad; k-- {
			name.Name.Names = append(name.Name.Names, string(d.bytes(d.uvarint())))
		}
		x.Names = append(x.Names, name)
	}
	var last span
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		last.offset += int64(d.uvarint())
		last.min += d.varint()
		last.max = last.min + int64(d.uvarint())
		last.drops = d.uvarint()
		x.spans = append(x.spans, last)
	}
	x.postCRC = d.b
	if d.bad || uint64(len(x.postCRC)) != (x.postsLen+crcBytes-1)/crcBytes*4 {
		return nil, fmt.Errorf("%w: head", ErrIndex)
	}
	return x, nil
}

// part reads a part of the file; it allocates only as much as is there.
func (x *Index) part(offset int64, n uint64, crc uint32) ([]byte, error) {
	b, err := io.ReadAll(io.NewSectionReader(x.file, offset, int64(n)))
	if err != nil {
		return nil, fmt.Errorf("read index: %w", err)
	}
	if uint64(len(b)) != n || crc32.Checksum(b, castagnoli) != crc {
		return nil, fmt.Errorf("%w: checksum", ErrIndex)
	}
	return b, nil
}

// postings are where a flow's posting list is in the postings part.
type postings struct {
	flow    uint32
	packets uint64
	offset  uint64
	size    uint64
}

// eachFlow calls visit for each flow; the Info is borrowed.
func (x *Index) eachFlow(visit func(i *flow.Info, p postings) error) error {
	le := binary.LittleEndian
	d := decoder{b: x.flows}
	var i flow.Info
	var at uint64
	for n := uint32(0); n < x.Flows; n++ {
		fixed := d.bytes(10)
		if d.bad {
			break
		}
		i.ID, i.Opener, i.Key.Proto = flow.ID(le.Uint64(fixed)), flow.Opener(fixed[8]&7), flow.Proto(fixed[9])
		if fixed[8]&8 != 0 {
			a := d.bytes(8)
			if d.bad {
				break
			}
			copy(i.Key.A[:12], v4Mapped[:])
			copy(i.Key.B[:12], v4Mapped[:])
			copy(i.Key.A[12:], a)
			copy(i.Key.B[12:], a[4:])
		} else {
			a := d.bytes(32)
			if d.bad {
				break
			}
			copy(i.Key.A[:], a)
			copy(i.Key.B[:], a[16:])
		}
		fixed = d.bytes(6)
		if d.bad {
			break
		}
		i.Key.PortA, i.Key.PortB = le.Uint16(fixed), le.Uint16(fixed[2:])
		i.Flags = [2]uint8{fixed[4], fixed[5]}
		i.First += d.varint()
		i.Last = i.First + int64(d.uvarint())
		iface := d.uvarint()
		i.Packets = [2]uint64{d.uvarint(), d.uvarint()}
		i.Bytes = [2]uint64{d.uvarint(), d.uvarint()}
		p := postings{n, i.Packets[0] + i.Packets[1], at, d.uvarint()}
		if d.bad || iface >= uint64(len(x.Interfaces)) || p.size > x.postsLen-at || p.packets > p.size || p.packets == 0 ||
			i.Packets[0] > p.size || i.Packets[1] > p.size {
			d.bad = true
			break
		}
		at += p.size
		i.Iface = x.Interfaces[iface]
		if err := visit(&i, p); err != nil {
			return err
		}
	}
	if d.bad || at != x.postsLen || len(d.b) > 0 {
		return fmt.Errorf("%w: flows", ErrIndex)
	}
	return nil
}

// postReader reads posting lists in the order of their offsets, each 64 KiB checked once.
type postReader struct {
	x     *Index
	block int64 // number + 1 of the block in buf
	buf   []byte
	list  []byte
}

// read returns a flow's posting list, borrowed until the next read.
func (r *postReader) read(p postings) ([]byte, error) {
	x := r.x
	r.list = r.list[:0]
	for at, end := p.offset, p.offset+p.size; at < end; {
		n := int64(at/crcBytes) + 1
		if n != r.block {
			size := min(crcBytes, x.postsLen-uint64(n-1)*crcBytes)
			if r.buf == nil {
				r.buf = make([]byte, crcBytes)
			}
			r.buf = r.buf[:size]
			from := headerBytes + int64(x.headLen+x.flowsLen) + (n-1)*crcBytes
			if _, err := x.file.ReadAt(r.buf, from); err != nil && err != io.EOF {
				return nil, fmt.Errorf("read index: %w", err)
			}
			if crc32.Checksum(r.buf, castagnoli) != binary.LittleEndian.Uint32(x.postCRC[(n-1)*4:]) {
				return nil, fmt.Errorf("%w: checksum of postings", ErrIndex)
			}
			r.block = n
		}
		from := at % crcBytes
		k := min(uint64(len(r.buf))-from, end-at)
		r.list = append(r.list, r.buf[from:from+k]...)
		at += k
	}
	return r.list, nil
}

// decoder reads varints and bytes; bad is set when they end early.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (d *decoder) byte() byte {
	b := d.bytes(1)
	if d.bad {
		return 0
	}
	return b[0]
}

func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

// ParseHeader reads the header of an index in memory.
func ParseHeader(index []byte) (h Header, err error) { return h, h.parse(index) }
