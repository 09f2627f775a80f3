package segment

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/crc32"
	"math"
	"slices"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
)

const (
	blockFlows = 1024 // flows that are coded together
	ownGaps    = 16   // so many gaps have a parameter of their own

	// What parts of an index take at most; a flow with its part of what the flows of a block share.
	maxFlowBytes = 113
	maxSpanBytes = 48
	maxMarkBytes = 9
)

// The columns of a flow. What depends on the direction is of the side that opened the flow, as
// far as is known, and then of the other.
const (
	colNumber = iota // packets between its first and that of the flow before
	colFirst         // time since the first packet of the flow before, which may be below 0
	colLast          // time since its first packet, as rounded numbers it
	colIface
	colOpener // and storedID
	colProto
	colHostA // numbers in the table of hosts
	colHostB
	colPortA
	colPortB
	colPackets // of both sides
	colPacketsB
	colBytesA
	colBytesB
	colFlagsA
	colFlagsB
	colPosts // bits of its postings; if there are two packets, the pages between them instead
	columns
)

// storedID: the ID does not follow from the first packet, and is there.
const storedID = 8

// swapped says that a flow was opened by B.
func swapped(o flow.Opener) bool { return o == flow.OpenerB || o == flow.OpenerBGuess }

// coded maps a protocol to a number that is small if it is seen often.
func coded(p flow.Proto) uint64 {
	switch p {
	case flow.TCP:
		return 0
	case flow.UDP:
		return 1
	}
	return uint64(p) + 2
}

func decoded(v uint64) (flow.Proto, bool) {
	switch v {
	case 0:
		return flow.TCP, true
	case 1:
		return flow.UDP, true
	}
	return flow.Proto(v - 2), v-2 <= 0xff
}

// Encode is the index file for a segment of this size.
func (b *Builder) Encode(size int64) []byte {
	h := Header{Seq: b.seq, Size: size, First: b.first, Last: b.last, Packets: b.packets, Bytes: b.bytes, Drops: b.drops, Flows: uint32(len(b.flows))}
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
	head, places := b.appendSpans(head)
	hosts, numbers := b.hosts()
	head = appendHosts(head, hosts)

	e := flowEncoder{b: b, numbers: numbers, vantages: vantagesOf(described)}
	filter := appendFilter(nil, b.flows)
	var flows, posts, list []byte
	number, first := uint32(0), b.first
	for from := 0; from < len(b.flows); from += blockFlows {
		part := b.flows[from:min(from+blockFlows, len(b.flows))]
		low, high := part[0].first, part[0].last
		for n := range part {
			low, high = min(low, part[n].first), max(high, part[n].last)
		}
		wasFlows, wasPosts := len(flows), len(posts)
		flows, posts, list = e.block(flows, posts, list, part, low)
		head = binary.AppendUvarint(head, uint64(len(flows)-wasFlows))
		head = binary.AppendUvarint(head, uint64(len(posts)-wasPosts))
		head = binary.AppendUvarint(head, uint64(part[0].number-number))
		head = binary.AppendVarint(head, low-first)
		head = binary.AppendUvarint(head, uint64(high-low))
		number, first = part[0].number, low
	}
	rest := append(places, posts...)
	for p := rest; len(p) > 0; p = p[min(crcBytes, len(p)):] {
		head = binary.LittleEndian.AppendUint32(head, crc32.Checksum(p[:min(crcBytes, len(p))], castagnoli))
	}
	h.filterLen, h.headLen, h.flowsLen = uint64(len(filter)), uint64(len(head)), uint64(len(flows))
	h.placesLen, h.postsLen = uint64(len(places)), uint64(len(posts))
	h.filterCRC, h.headCRC, h.flowsCRC = crc32.Checksum(filter, castagnoli), crc32.Checksum(head, castagnoli), crc32.Checksum(flows, castagnoli)
	out := make([]byte, 0, h.IndexSize())
	out = h.append(out)
	out = append(out, filter...)
	out = append(out, head...)
	out = append(out, flows...)
	return append(out, rest...)
}

// appendSpans appends the time index, and returns what says where packets are: for each span
// its marks but the first, which is where the span begins.
func (b *Builder) appendSpans(head []byte) (_, places []byte) {
	least := mark{math.MaxUint32, math.MaxUint32}
	eachPage := func(do func(m mark)) { // that is not the first of its span
		for n, s := 1, 1; n < len(b.marks); n++ {
			if s < len(b.spans) && n == int(b.spans[s].marks) {
				s++
				continue
			}
			do(mark{b.marks[n].number - b.marks[n-1].number, b.marks[n].offset - b.marks[n-1].offset})
		}
	}
	eachPage(func(m mark) { least = mark{min(least.number, m.number), min(least.offset, m.offset)} })
	var numbers, offsets lengths
	eachPage(func(m mark) {
		numbers.add(uint64(m.number - least.number))
		offsets.add(uint64(m.offset - least.offset))
	})
	kn, ko := numbers.column(), offsets.column()
	head = binary.AppendUvarint(append(head, byte(kn)), uint64(least.number))
	head = binary.AppendUvarint(append(head, byte(ko)), uint64(least.offset))
	head = binary.AppendUvarint(head, uint64(len(b.spans)))
	var last span
	for n, s := range b.spans {
		to := len(b.marks)
		if n+1 < len(b.spans) {
			to = int(b.spans[n+1].marks)
		}
		w := bitWriter{b: places}
		was := len(places)
		marks := b.marks[s.marks:to]
		for i := 1; i < len(marks); i++ {
			w.value(uint64(marks[i].number-marks[i-1].number-least.number), kn)
			w.value(uint64(marks[i].offset-marks[i-1].offset-least.offset), ko)
		}
		places = w.close()
		head = binary.AppendUvarint(head, uint64(s.offset-last.offset))
		head = binary.AppendVarint(head, s.min-last.min)
		head = binary.AppendUvarint(head, uint64(s.max-s.min))
		head = binary.AppendUvarint(head, s.drops)
		head = binary.AppendUvarint(head, uint64(s.number-last.number))
		head = binary.AppendUvarint(head, uint64(len(marks)-1))
		head = binary.AppendUvarint(head, uint64(len(places)-was))
		last = s
	}
	return head, places
}

// hosts are the addresses of all flows, in order, IPv4 first, and their numbers in it.
func (b *Builder) hosts() (list [][16]byte, numbers map[[16]byte]uint32) {
	numbers = map[[16]byte]uint32{}
	for n := range b.flows {
		for _, h := range [...]*[16]byte{&b.flows[n].key.A, &b.flows[n].key.B} {
			if _, ok := numbers[*h]; !ok {
				numbers[*h] = 0
				list = append(list, *h)
			}
		}
	}
	slices.SortFunc(list, compareHosts)
	for n, h := range list {
		numbers[h] = uint32(n)
	}
	return list, numbers
}

func isV4(a *[16]byte) bool { return [12]byte(a[:12]) == v4Mapped }

func compareHosts(x, y [16]byte) int {
	if v, w := isV4(&x), isV4(&y); v != w {
		if v {
			return -1
		}
		return 1
	}
	be := binary.BigEndian
	return cmp.Or(cmp.Compare(be.Uint64(x[:8]), be.Uint64(y[:8])), cmp.Compare(be.Uint64(x[8:]), be.Uint64(y[8:])))
}

func appendHosts(dst []byte, hosts [][16]byte) []byte {
	v4, _ := slices.BinarySearchFunc(hosts, true, func(h [16]byte, _ bool) int {
		if isV4(&h) {
			return -1
		}
		return 1
	})
	dst = binary.AppendUvarint(dst, uint64(v4))
	dst = binary.AppendUvarint(dst, uint64(len(hosts)-v4))
	last := uint32(0)
	for _, h := range hosts[:v4] {
		a := binary.BigEndian.Uint32(h[12:])
		dst = binary.AppendUvarint(dst, uint64(a-last))
		last = a
	}
	for _, h := range hosts[v4:] {
		dst = append(dst, h[:]...)
	}
	return dst
}

// vantagesOf are the vantages of interfaces as a reader will see them.
func vantagesOf(described []byte) (names []string) {
	r, err := pcapng.NewReader(bytes.NewReader(described), pcapng.ReaderOptions{Buffer: max(len(described), 256)})
	if err != nil {
		return nil
	}
	r.Next(&pcap.Packet{}) // there is none: it reads the interfaces
	for _, i := range r.Interfaces() {
		names = append(names, flow.Vantage(i))
	}
	return names
}

// flowEncoder codes flows block by block.
type flowEncoder struct {
	b        *Builder
	numbers  map[[16]byte]uint32 // of hosts
	vantages []string
	values   [columns][blockFlows]uint64
	stored   [blockFlows]bool // the ID is stored
}

// block appends flows and their postings; low is the lowest time of a first packet. list is
// memory to be used again.
func (e *flowEncoder) block(flows, posts, list []byte, part []record, low int64) (_, _, _ []byte) {
	// The gaps of short lists share a parameter.
	var short lengths
	for n := range part {
		if f := &part[n]; f.gaps() > 1 && f.gaps() < ownGaps {
			list = e.b.appendPosts(list[:0], f)
			eachGap(list, short.add)
		}
	}
	shared, _ := short.best()
	w := bitWriter{b: posts}
	number, first := part[0].number, low
	v := &e.values
	for n := range part {
		f := &part[n]
		a, b := 0, 1
		if swapped(f.opener) {
			a, b = 1, 0
		}
		hosts := [2]uint32{e.numbers[f.key.A], e.numbers[f.key.B]}
		ports := [2]uint16{f.key.PortA, f.key.PortB}
		v[colNumber][n] = uint64(f.number - number)
		v[colFirst][n] = uint64(f.first-first) ^ signBit
		v[colLast][n] = rounded(uint64(f.last - f.first))
		v[colIface][n] = uint64(f.iface)
		v[colOpener][n] = uint64(f.opener)
		if e.stored[n] = int(f.iface) >= len(e.vantages) || flow.NewID(&f.key, e.vantages[f.iface], f.first) != f.id; e.stored[n] {
			v[colOpener][n] |= storedID
		}
		v[colProto][n] = coded(f.key.Proto)
		v[colHostA][n], v[colHostB][n] = uint64(hosts[a]), uint64(hosts[b])
		v[colPortA][n], v[colPortB][n] = uint64(ports[a]), uint64(ports[b])
		v[colPackets][n], v[colPacketsB][n] = uint64(f.gaps()), uint64(f.packets[b])
		v[colBytesA][n], v[colBytesB][n] = f.bytes[a], f.bytes[b]
		v[colFlagsA][n], v[colFlagsB][n] = uint64(f.flags[a]), uint64(f.flags[b])
		number, first = f.number, f.first

		was := w.len()
		list = e.b.appendPosts(list[:0], f)
		if f.gaps() == 1 {
			v[colPosts][n], _ = binary.Uvarint(list)
			continue
		}
		k := shared
		if f.gaps() >= ownGaps {
			var own lengths
			eachGap(list, own.add)
			k, _ = own.best()
			w.bits(uint64(k), 6)
		}
		for rest := list; len(rest) > 0; {
			gap, n := binary.Uvarint(rest)
			w.number(gap, k)
			rest = rest[n:]
		}
		v[colPosts][n] = w.len() - was
	}
	posts = w.close()
	if len(part) > 1 { // the first flow's is that of the block: here it is what takes least
		v[colNumber][0] = v[colNumber][1]
	}

	flows = append(flows, byte(shared))
	var ks [columns]uint
	for c := range columns {
		values := v[c][:len(part)]
		least := slices.Min(values)
		var l lengths
		for n := range values {
			values[n] -= least
			l.add(values[n])
		}
		if c == colFirst {
			least = zigzag(int64(least ^ signBit))
		}
		ks[c] = l.column()
		flows = binary.AppendUvarint(append(flows, byte(ks[c])), least)
	}
	w = bitWriter{b: flows}
	for n := range part {
		for c := range columns {
			w.value(v[c][n], ks[c])
		}
		if e.stored[n] {
			w.bits(uint64(part[n].id), 64)
		}
	}
	return w.close(), posts, list
}

// gaps is how many packets a flow has after its first.
func (f *record) gaps() uint32 { return f.packets[0] + f.packets[1] - 1 }

func eachGap(list []byte, do func(uint64)) {
	for len(list) > 0 {
		v, n := binary.Uvarint(list)
		do(v)
		list = list[n:]
	}
}

// signBit makes the order of signed numbers that of unsigned ones.
const signBit = 1 << 63

// zigzag makes small numbers of either sign small.
func zigzag(v int64) uint64 { return uint64(v)<<1 ^ uint64(v>>63) }

func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

var v4Mapped = [12]byte{10: 0xff, 11: 0xff}
