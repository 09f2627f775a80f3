package segment

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/netip"
	"slices"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
)

const (
	indexMagic  = "sshkidx\n"
	headerBytes = 16 + 13*8 + 3*4
	crcBytes    = 64 << 10
	maxPart     = 1 << 31
	maxSize     = 1 << 32 // of a segment, which a store makes a quarter as large at most
	minPacket   = 32      // bytes of one in the segment
)

// MaxFlows is how many flows a segment has at most; more are not read.
const MaxFlows = 1 << 18

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

	filterLen, headLen, flowsLen, placesLen, postsLen uint64
	filterCRC, headCRC, flowsCRC                      uint32
}

// IndexSize is the size of the whole index file.
func (h *Header) IndexSize() int64 {
	return headerBytes + int64(h.filterLen+h.headLen+h.flowsLen+h.placesLen+h.postsLen)
}

// Overlaps says whether the segment may have packets in [since, until); until 0 is no bound.
func (h *Header) Overlaps(since, until int64) bool {
	return h.Packets > 0 && h.Last >= since && (until == 0 || h.First < until)
}

func (h *Header) append(dst []byte) []byte {
	le := binary.LittleEndian
	start := len(dst)
	dst = append(dst, indexMagic...)
	dst = le.AppendUint32(dst, IndexVersion)
	dst = le.AppendUint32(dst, 0)
	for _, v := range [...]uint64{h.Seq, uint64(h.Size), uint64(h.First), uint64(h.Last), h.Packets, h.Bytes, h.Drops,
		uint64(h.Flows), h.filterLen, h.headLen, h.flowsLen, h.placesLen, h.postsLen} {
		dst = le.AppendUint64(dst, v)
	}
	dst = le.AppendUint32(dst, h.filterCRC)
	dst = le.AppendUint32(dst, h.headCRC)
	dst = le.AppendUint32(dst, h.flowsCRC)
	le.PutUint32(dst[start+12:], crc32.Checksum(dst[start:], castagnoli))
	return dst
}

func (h *Header) parse(b []byte) error {
	le := binary.LittleEndian
	if len(b) < 12 || string(b[:8]) != indexMagic {
		return fmt.Errorf("%w: it does not begin like one", ErrIndex)
	}
	switch v := le.Uint32(b[8:]); {
	case v < IndexVersion:
		return fmt.Errorf("%w: it is of version %d, the one read here is %d", ErrOldIndex, v, IndexVersion)
	case v > IndexVersion:
		return &VersionError{fmt.Sprint(v), IndexVersion}
	case len(b) < headerBytes:
		return fmt.Errorf("%w: it is cut", ErrIndex)
	}
	zeroed := bytes.Clone(b[:headerBytes])
	le.PutUint32(zeroed[12:], 0)
	if crc32.Checksum(zeroed, castagnoli) != le.Uint32(b[12:]) {
		return fmt.Errorf("%w: checksum of the header", ErrIndex)
	}
	u := func(n int) uint64 { return le.Uint64(b[16+8*n:]) }
	*h = Header{Seq: u(0), Size: int64(u(1)), First: int64(u(2)), Last: int64(u(3)), Packets: u(4), Bytes: u(5), Drops: u(6),
		Flows: uint32(u(7)), filterLen: u(8), headLen: u(9), flowsLen: u(10), placesLen: u(11), postsLen: u(12),
		filterCRC: le.Uint32(b[120:]), headCRC: le.Uint32(b[124:]), flowsCRC: le.Uint32(b[128:])}
	if max(h.filterLen, h.headLen, h.flowsLen, h.placesLen, h.postsLen) > maxPart || h.Size < 0 || h.Size > maxSize || h.Packets > uint64(h.Size)/minPacket || u(7) > MaxFlows {
		return fmt.Errorf("%w: it claims too much", ErrIndex)
	}
	return nil
}

// Index is a segment's index as it was read. Its places and postings stay in the file.
type Index struct {
	Header
	Interfaces []*pcap.Interface
	Names      []Name
	vantages   []string // of the interfaces
	spans      []span
	markParam  [2]uint // parameters of marks: numbers, offsets
	markLeast  [2]uint64
	places     []place // one for each span
	pages      int     // of all spans
	hosts      [][16]byte
	blocks     []block
	restCRC    []byte
	file       io.ReaderAt
}

// place says where in the places the marks of a span are, and how many.
type place struct {
	offset, size uint64
	marks        int // but the first, which is where the span begins
}

// block is a part of the flows.
type block struct {
	flows       []byte
	posts, size uint64 // its postings: where they are in that part, and their bytes
	number      uint64 // of the first packet of its first flow
	min, max    int64  // times of its packets
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

// Lacks says whether a flow is surely not in the segment; it reads little of the index.
func Lacks(file io.ReaderAt, id flow.ID) (bool, error) {
	h, err := ReadHeader(file)
	if err != nil {
		return false, err
	}
	r := reader{Header: h, file: file, at: headerBytes}
	filter, err := r.part(r.filterLen, r.filterCRC)
	return err == nil && !mayHave(filter, uint64(id)), err
}

// ReadIndex reads an index; file must stay open as long as the Index is used. known is asked for
// each interface by the bytes that pcapng.AppendInterface made of it, and returns nil if it
// does not know it; it may be nil.
func ReadIndex(file io.ReaderAt, known func(block []byte) *pcap.Interface) (*Index, error) {
	r, err := newReader(file)
	if err != nil {
		return nil, err
	}
	r.at += int64(r.filterLen)
	head, err := r.part(r.headLen, r.headCRC)
	if err != nil {
		return nil, err
	}
	flows, err := r.part(r.flowsLen, r.flowsCRC)
	if err != nil {
		return nil, err
	}
	x := &Index{Header: r.Header, file: file}
	d := decoder{b: head}
	if err := x.readInterfaces(d.bytes(d.uvarint()), known); err != nil {
		return nil, fmt.Errorf("%w: interfaces: %w", ErrIndex, err)
	}
	for _, i := range x.Interfaces {
		x.vantages = append(x.vantages, flow.Vantage(i))
	}
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		name := Name{Offset: int64(d.uvarint())}
		name.Addr, _ = netip.AddrFromSlice(d.bytes(uint64(d.byte())))
		for k := d.uvarint(); k > 0 && !d.bad; k-- {
			name.Name.Names = append(name.Name.Names, string(d.bytes(d.uvarint())))
		}
		x.Names = append(x.Names, name)
	}
	x.readSpans(&d)
	x.readHosts(&d)
	x.readBlocks(&d, flows)
	x.restCRC = d.b
	if d.bad || uint64(len(x.restCRC)) != (x.placesLen+x.postsLen+crcBytes-1)/crcBytes*4 {
		return nil, fmt.Errorf("%w: head", ErrIndex)
	}
	return x, nil
}

// readInterfaces takes those that are known; if there are others it parses all.
func (x *Index) readInterfaces(described []byte, known func([]byte) *pcap.Interface) error {
	first := true
	for b := described; known != nil && len(b) >= 12; first = false {
		size := binary.LittleEndian.Uint32(b[4:])
		if size < 12 || uint64(size) > uint64(len(b)) {
			break
		}
		if !first { // that is the section
			i := known(b[:size])
			if i == nil {
				break
			}
			x.Interfaces = append(x.Interfaces, i)
		}
		if b = b[size:]; len(b) == 0 {
			return nil
		}
	}
	r, err := pcapng.NewReader(bytes.NewReader(described), pcapng.ReaderOptions{Buffer: max(len(described), 256)})
	if err != nil {
		return err
	}
	if err := r.Next(&pcap.Packet{}); err == nil {
		return errors.New("a packet is among them")
	} else if err != io.EOF {
		return err
	}
	x.Interfaces = r.Interfaces()
	return nil
}

func (x *Index) readSpans(d *decoder) {
	for n := range x.markParam {
		x.markParam[n], x.markLeast[n] = uint(d.byte()), d.uvarint()
		if x.markParam[n] > maxParam || x.markLeast[n] > 1<<32-1 {
			d.bad = true
		}
	}
	var last span
	var at uint64
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		last.offset += int64(d.uvarint())
		last.min += d.varint()
		last.max = last.min + int64(d.uvarint())
		last.drops = d.uvarint()
		if len(x.spans) > 0 && last.offset < x.spans[len(x.spans)-1].offset+spanBytes {
			d.bad = true
		}
		number := uint64(last.number) + d.uvarint()
		marks, size := d.uvarint(), d.uvarint()
		if number > x.Packets || number > 1<<32-1 || last.offset < 0 || last.offset > x.Size ||
			size > x.placesLen-at || marks > spanBytes/markBytes {
			d.bad = true
			return
		}
		last.number, last.marks = uint32(number), uint32(x.pages)
		x.pages += int(marks) + 1
		x.spans = append(x.spans, last)
		x.places = append(x.places, place{at, size, int(marks)})
		at += size
	}
	if at != x.placesLen {
		d.bad = true
	}
}

func (x *Index) readHosts(d *decoder) {
	v4, v6 := d.uvarint(), d.uvarint()
	if d.bad || v4 > uint64(len(d.b)) || v6 > uint64(len(d.b))/16 {
		d.bad = true
		return
	}
	x.hosts = make([][16]byte, v4+v6)
	last := uint32(0)
	for n := range x.hosts[:v4] {
		last += uint32(d.uvarint())
		h := &x.hosts[n]
		copy(h[:], v4Mapped[:])
		binary.BigEndian.PutUint32(h[12:], last)
	}
	for n := range x.hosts[v4:] {
		copy(x.hosts[v4:][n][:], d.bytes(16))
	}
}

func (x *Index) readBlocks(d *decoder, flows []byte) {
	var b block
	b.min = x.First
	for left := int64(x.Flows); left > 0 && !d.bad; left -= blockFlows {
		size := d.uvarint()
		b.posts += b.size
		b.size = d.uvarint()
		more := d.uvarint()
		b.number += more
		b.min += d.varint()
		b.max = b.min + int64(d.uvarint())
		if more == 0 && len(x.blocks) > 0 || more > x.Packets || size > uint64(len(flows)) || b.size > x.postsLen-b.posts || b.number > x.Packets {
			d.bad = true
			return
		}
		b.flows, flows = flows[:size:size], flows[size:]
		x.blocks = append(x.blocks, b)
	}
	if len(flows) > 0 || b.posts+b.size != x.postsLen {
		d.bad = true
	}
}

// reader reads the parts of an index one after the other.
type reader struct {
	Header
	file  io.ReaderAt
	at    int64
	begun []byte // the file's beginning, read in one
}

const begunBytes = 64 << 10

func newReader(file io.ReaderAt) (*reader, error) {
	r := &reader{file: file, begun: make([]byte, begunBytes), at: headerBytes}
	n, err := file.ReadAt(r.begun, 0)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("read index: %w", err)
	}
	r.begun = r.begun[:n]
	return r, r.parse(r.begun)
}

// part is the next part of the file. It allocates only as much as is there.
func (r *reader) part(n uint64, crc uint32) ([]byte, error) {
	var b []byte
	if end := uint64(r.at) + n; end <= uint64(len(r.begun)) {
		b = r.begun[r.at:end:end]
	} else {
		for uint64(len(b)) < n {
			was := len(b)
			b = slices.Grow(b, int(min(n-uint64(was), max(1<<20, uint64(was)))))
			b = b[:min(uint64(cap(b)), n)]
			k, err := r.file.ReadAt(b[was:], r.at+int64(was))
			if err != nil && err != io.EOF {
				return nil, fmt.Errorf("read index: %w", err)
			}
			if k < len(b)-was {
				return nil, fmt.Errorf("%w: it is cut", ErrIndex)
			}
		}
	}
	r.at += int64(n)
	if crc32.Checksum(b, castagnoli) != crc {
		return nil, fmt.Errorf("%w: checksum", ErrIndex)
	}
	return b, nil
}

// postings are where a flow's posting list is in the postings part.
type postings struct {
	at, bits uint64 // where they begin, and how many there are
	number   uint32 // of its first packet
	iface    uint32 // of that
	packets  uint32
	gap      uint32 // if there are two packets
	k        uint8  // of a short list
}

// eachFlow calls visit for each flow that may have packets in the window; the Info is borrowed.
func (x *Index) eachFlow(since, until int64, visit func(i *flow.Info, p *postings) error) error {
	left := int(x.Flows)
	for n := range x.blocks {
		b := &x.blocks[n]
		count := min(left, blockFlows)
		left -= count
		if b.max < since || until != 0 && b.min >= until {
			continue
		}
		if err := x.eachOf(b, count, visit); err != nil {
			return err
		}
	}
	return nil
}

var errFlows = fmt.Errorf("%w: flows", ErrIndex)

// eachOf decodes a block of flows.
func (x *Index) eachOf(b *block, count int, visit func(i *flow.Info, p *postings) error) error {
	d := decoder{b: b.flows}
	p := postings{at: b.posts * 8, k: d.byte()}
	end := (b.posts + b.size) * 8
	var params [columns]uint
	var least [columns]uint64
	for c := range columns {
		params[c], least[c] = uint(d.byte()), d.uvarint()
		if params[c] > maxParam {
			d.bad = true
		}
	}
	least[colFirst] = uint64(unzigzag(least[colFirst]))
	if d.bad || p.k > 63 {
		return errFlows
	}
	r := bitReader{b: d.b}
	var i flow.Info
	var v [columns]uint64
	number, first := b.number, b.min
	for n := range count {
		for c := range columns {
			if v[c] = least[c]; params[c] != noBits {
				v[c] += r.value(params[c])
			}
		}
		proto, ok := decoded(v[colProto])
		if n == 0 {
			v[colNumber] = 0
		}
		if !ok || v[colHostA] >= uint64(len(x.hosts)) || v[colHostB] >= uint64(len(x.hosts)) || v[colIface] >= uint64(len(x.Interfaces)) ||
			v[colNumber] > x.Packets || v[colNumber] == 0 && n > 0 || v[colPackets] >= x.Packets || v[colPacketsB] > v[colPackets]+1 {
			return errFlows
		}
		number += v[colNumber]
		first += int64(v[colFirst])
		one, other := 0, 1
		i.Opener = flow.Opener(v[colOpener] & 7)
		if swapped(i.Opener) {
			one, other = 1, 0
		}
		hosts := [2]*[16]byte{}
		hosts[one], hosts[other] = &x.hosts[v[colHostA]], &x.hosts[v[colHostB]]
		i.Key.A, i.Key.B, i.Key.Proto = *hosts[0], *hosts[1], proto
		ports := [2]uint16{}
		ports[one], ports[other] = uint16(v[colPortA]), uint16(v[colPortB])
		i.Key.PortA, i.Key.PortB = ports[0], ports[1]
		i.First, i.Last = first, x.Last
		if d := duration(v[colLast]); d < uint64(x.Last-first) {
			i.Last = first + int64(d)
		}
		i.Packets[one], i.Packets[other] = v[colPackets]+1-v[colPacketsB], v[colPacketsB]
		i.Bytes[one], i.Bytes[other] = v[colBytesA], v[colBytesB]
		i.Flags[one], i.Flags[other] = uint8(v[colFlagsA]), uint8(v[colFlagsB])
		i.Iface = x.Interfaces[v[colIface]]
		if v[colOpener]&storedID != 0 {
			i.ID = flow.ID(r.bits(64))
		} else {
			i.ID = flow.NewID(&i.Key, x.vantages[v[colIface]], first)
		}
		p.number, p.iface, p.packets, p.bits, p.gap = uint32(number), uint32(v[colIface]), uint32(v[colPackets]+1), v[colPosts], 0
		if p.packets == 2 {
			p.bits, p.gap = 0, uint32(min(v[colPosts], uint64(x.pages)))
		}
		if r.over() || number >= x.Packets || p.bits > end-p.at {
			return errFlows
		}
		if err := visit(&i, &p); err != nil {
			return err
		}
		p.at += p.bits
	}
	return nil
}

// restReader reads places and postings. It keeps the 64 KiB that it checked last: what is read in
// the order of its offsets is checked once.
type restReader struct {
	x     *Index
	block int64 // number + 1 of the block in buf
	buf   []byte
	list  []byte
}

// read returns a part, borrowed until the next read.
func (r *restReader) read(at, size uint64) ([]byte, error) {
	x := r.x
	rest := x.placesLen + x.postsLen
	r.list = r.list[:0]
	for end := at + size; at < end; {
		n := int64(at/crcBytes) + 1
		if n != r.block {
			size := min(crcBytes, rest-uint64(n-1)*crcBytes)
			if r.buf == nil {
				r.buf = make([]byte, crcBytes)
			}
			r.buf = r.buf[:size]
			from := headerBytes + int64(x.filterLen+x.headLen+x.flowsLen) + (n-1)*crcBytes
			if k, err := x.file.ReadAt(r.buf, from); err != nil && err != io.EOF {
				return nil, fmt.Errorf("read index: %w", err)
			} else if k < len(r.buf) {
				return nil, fmt.Errorf("%w: it is cut", ErrIndex)
			}
			if crc32.Checksum(r.buf, castagnoli) != binary.LittleEndian.Uint32(x.restCRC[(n-1)*4:]) {
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

var errPlaces = fmt.Errorf("%w: places", ErrIndex)

// reach goes on from a span to the last one that is not too far, and fills in its pages.
func (r *restReader) reach(pages []mark, from int, near func(*span) bool) (at int, err error) {
	for at = from; at+1 < len(r.x.spans) && near(&r.x.spans[at+1]); at++ {
	}
	switch {
	case at < 0:
		return at, errPlaces
	case at == from:
		return at, nil
	}
	return at, r.marks(pages, at)
}

// marks fills in where the pages of a span begin, and the one behind.
func (r *restReader) marks(pages []mark, n int) error {
	x := r.x
	s, p := &x.spans[n], &x.places[n]
	b, err := r.read(p.offset, p.size)
	if err != nil {
		return err
	}
	pages = pages[s.marks:]
	pages[0] = mark{s.number, uint32(s.offset >> 2)}
	last, end := pages[0], mark{uint32(x.Packets), uint32(x.Size >> 2)}
	if n+1 < len(x.spans) {
		end = mark{x.spans[n+1].number, uint32(x.spans[n+1].offset >> 2)}
		pages[p.marks+1] = end
	}
	bits := bitReader{b: b}
	for k := range p.marks {
		number := uint64(last.number) + x.markLeast[0] + bits.value(x.markParam[0])
		offset := uint64(last.offset) + x.markLeast[1] + bits.value(x.markParam[1])
		if bits.over() || number <= uint64(last.number) || offset <= uint64(last.offset) ||
			number >= uint64(end.number) || offset >= uint64(end.offset) {
			return errPlaces
		}
		last = mark{uint32(number), uint32(offset)}
		pages[k+1] = last
	}
	return nil
}

// gaps calls do with each gap of a posting list.
func (r *restReader) gaps(p *postings, do func(gap uint64) bool) (bool, error) {
	switch p.packets {
	case 1:
		return p.bits == 0, nil
	case 2:
		return do(uint64(p.gap)), nil
	}
	b, err := r.read(r.x.placesLen+p.at/8, (p.at%8+p.bits+7)/8)
	if err != nil {
		return false, err
	}
	bits := bitReader{b: b, at: p.at % 8}
	k := uint(p.k)
	if p.packets-1 >= ownGaps {
		k = uint(bits.bits(6))
	}
	for range p.packets - 1 {
		if !do(bits.number(k)) || bits.over() {
			return false, nil
		}
	}
	return bits.at == p.at%8+p.bits, nil
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
