package pcapng

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
	"net/netip"
	"strings"

	"github.com/sshark/sshark/pcap"
)

// openSection reads the section header at pos; it sets the byte order.
func (r *Reader) openSection() error {
	r.at = r.base + int64(r.pos)
	if err := r.fill(12); err != nil {
		return err
	}
	switch magic := binary.LittleEndian.Uint32(r.buf[r.pos+8:]); magic {
	case byteOrderMagic:
		r.big = false
	case swappedByteOrder:
		r.big = true
	default:
		return r.corrupt("a section with the byte-order magic %#08x", magic)
	}
	b, err := r.block()
	if err != nil {
		return err
	}
	if len(b) < 16 {
		return r.corrupt("a section header of %d bytes", len(b))
	}
	if major := r.u16(b[4:]); major != 1 {
		return r.corrupt("pcapng version %d.%d: version 1 is known here", major, r.u16(b[6:]))
	}
	r.ifaces, r.held = r.ifaces[:0], 0
	r.section = Section{}
	r.counts.Sections++
	r.options(b[16:], func(code uint16, v []byte) {
		switch code {
		case optHardware:
			r.section.Hardware = text(v)
		case optOS:
			r.section.OS = text(v)
		case optApplication:
			r.section.Application = text(v)
		case optComment:
			s := text(v)
			if pod, node, ok := parseIdentity(s); ok && pod == (pcap.Pod{}) {
				r.section.Node = node
			} else if r.section.Comment == "" {
				r.section.Comment = s
			} else if len(r.section.Comment) < 64<<10 {
				r.section.Comment += "\n" + s
			}
		}
	})
	return nil
}

// block is the body of the block at pos, which is passed.
func (r *Reader) block() ([]byte, error) {
	n := int(r.u32(r.buf[r.pos+4:]))
	if n < 12 || n&3 != 0 || n > MaxBlock {
		return nil, r.corrupt("a block that claims %d bytes", n)
	}
	if r.end-r.pos < n {
		if err := r.fill(n); err != nil {
			return nil, err
		}
	}
	b := r.buf[r.pos : r.pos+n]
	if end := int(r.u32(b[n-4:])); end != n {
		return nil, r.corrupt("a block whose lengths disagree: %d and %d", n, end)
	}
	r.pos += n
	return b[8 : n-4], nil
}

func (r *Reader) nextPacket(p *pcap.Packet) error {
	for {
		r.at = r.base + int64(r.pos)
		if r.end-r.pos < 12 {
			if err := r.fill(12); err != nil {
				return err
			}
		}
		kind := r.u32(r.buf[r.pos:])
		if kind == blockSection {
			if err := r.openSection(); err != nil {
				return err
			}
			continue
		}
		b, err := r.block()
		if err != nil {
			return err
		}
		switch kind {
		case blockEnhanced:
			return r.enhanced(b, p)
		case blockOldPacket:
			return r.oldPacket(b, p)
		case blockSimple:
			return r.simple(b, p)
		case blockInterface:
			err = r.iface(b)
		case blockNames:
			r.names(b)
		case blockStatistics:
			r.statistics(b)
		case blockSecrets:
			r.secrets(b)
		default:
			r.counts.Skipped++
			if r.opt.OnBlock != nil {
				r.opt.OnBlock(kind, b)
			}
		}
		if err != nil {
			return err
		}
	}
}

// enhanced reads an Enhanced Packet Block (draft-ietf-opsawg-pcapng, 4.3).
func (r *Reader) enhanced(b []byte, p *pcap.Packet) error {
	if len(b) < 20 {
		return r.corrupt("a packet block of %d bytes", len(b))
	}
	r.id = r.u32(b)
	ts := uint64(r.u32(b[4:]))<<32 | uint64(r.u32(b[8:]))
	return r.packet(b[20:], r.u32(b[12:]), r.u32(b[16:]), ts, 0, p)
}

// oldPacket reads the obsolete Packet Block (appendix A of the draft).
func (r *Reader) oldPacket(b []byte, p *pcap.Packet) error {
	if len(b) < 20 {
		return r.corrupt("a packet block of %d bytes", len(b))
	}
	r.id = uint32(r.u16(b))
	drops := uint64(r.u16(b[2:]))
	if drops == 0xffff { // unknown
		drops = 0
	}
	ts := uint64(r.u32(b[4:]))<<32 | uint64(r.u32(b[8:]))
	return r.packet(b[20:], r.u32(b[12:]), r.u32(b[16:]), ts, drops, p)
}

// simple reads a Simple Packet Block. It has no time: the packet takes that of the one before.
func (r *Reader) simple(b []byte, p *pcap.Packet) error {
	if len(b) < 4 {
		return r.corrupt("a packet block of %d bytes", len(b))
	}
	r.id = 0
	wire := r.u32(b)
	n := min(wire, uint32(len(b)-4))
	if len(r.ifaces) > 0 && r.ifaces[0].iface.SnapLen > 0 {
		n = min(n, r.ifaces[0].iface.SnapLen)
	}
	err := r.packet(b[4:4+pad4(int(n))], n, wire, 0, 0, p)
	p.Time = r.last
	return err
}

func (r *Reader) packet(b []byte, captured, wire uint32, ts, drops uint64, p *pcap.Packet) error {
	if int(r.id) >= len(r.ifaces) {
		return r.corrupt("a packet of interface %d: %d are described", r.id, len(r.ifaces))
	}
	if int64(captured) > int64(len(b)) {
		return r.corrupt("a packet of %d bytes in a block of %d", captured, len(b))
	}
	s := &r.ifaces[r.id]
	p.Iface = s.iface
	p.Data = b[:captured:captured]
	p.Length = max(wire, captured)
	p.Flags, p.Drops = 0, drops
	if s.mul == 1 && s.div == 1 && s.offset == 0 && ts <= math.MaxInt64 {
		p.Time = int64(ts)
	} else {
		p.Time = s.time(ts)
	}
	for o := b[pad4(int(captured)):]; len(o) >= 4; {
		code, n := r.u16(o), int(r.u16(o[2:]))
		if code == optEnd || len(o) < 4+pad4(n) {
			break
		}
		switch {
		case code == optFlags && n == 4:
			p.Flags = r.u32(o[4:])
		case code == optDropCount && n == 8:
			p.Drops = r.u64(o[4:])
		}
		o = o[4+pad4(n):]
	}
	return nil
}

// maxSeconds is the largest number of seconds that is an int64 in nanoseconds.
const maxSeconds = math.MaxInt64 / 1_000_000_000

// time turns a timestamp into nanoseconds; what does not fit is the last time that does.
func (s *source) time(ts uint64) int64 {
	hi, lo := bits.Mul64(ts, s.mul)
	switch {
	case s.shift > 0 && hi>>s.shift == 0:
		lo = hi<<(64-s.shift) | lo>>s.shift
	case s.shift == 0 && hi < s.div:
		lo, _ = bits.Div64(hi, lo, s.div)
	default:
		return math.MaxInt64
	}
	if lo > math.MaxInt64 || s.offset > 0 && int64(lo) > math.MaxInt64-s.offset {
		return math.MaxInt64
	}
	return int64(lo) + s.offset
}

// resolution sets how timestamps count (if_tsresol): 10^-v seconds, or 2^-v.
func (s *source) resolution(v byte) {
	s.mul, s.div, s.shift = 1, 1, 0
	if v&0x80 != 0 {
		v &= 0x7f
		s.mul = 1e9
		if s.shift = v; v > 63 { // finer than can be told apart: all times are 0
			s.mul, s.shift = 0, 0
		}
		return
	}
	for ; v < 9; v++ {
		s.mul *= 10
	}
	for ; v > 9; v-- {
		if s.div > math.MaxUint64/10 {
			s.mul = 0
			return
		}
		s.div *= 10
	}
}

// iface reads an Interface Description Block.
func (r *Reader) iface(b []byte) error {
	if len(b) < 8 {
		return r.corrupt("an interface block of %d bytes", len(b))
	}
	if len(r.ifaces) == MaxInterfaces {
		return r.corrupt("more than %d interfaces", MaxInterfaces)
	}
	i := &pcap.Interface{Link: linkType(uint32(r.u16(b))), SnapLen: r.u32(b[4:])}
	s := source{iface: i}
	s.resolution(6)
	var description, comment string
	r.options(b[8:], func(code uint16, v []byte) {
		switch {
		case code == optComment:
			comment = text(v)
		case code == optName:
			i.Name = text(v)
		case code == optDescription:
			description = text(v)
		case code == optIPv4 && len(v) == 8 && len(i.Addrs) < maxAddrs:
			ones := bits.LeadingZeros32(^binary.BigEndian.Uint32(v[4:]))
			i.Addrs = append(i.Addrs, netip.PrefixFrom(netip.AddrFrom4([4]byte(v)), ones))
		case code == optIPv6 && len(v) == 17 && v[16] <= 128 && len(i.Addrs) < maxAddrs:
			i.Addrs = append(i.Addrs, netip.PrefixFrom(netip.AddrFrom16([16]byte(v)), int(v[16])))
		case code == optTimeRes && len(v) == 1:
			s.resolution(v[0])
		case code == optTimeOffset && len(v) == 8:
			seconds := int64(r.u64(v))
			s.offset = max(min(seconds, maxSeconds), -maxSeconds) * 1e9
		}
	})
	if r.held += len(i.Name) + len(description) + len(comment); r.held > maxHeld {
		return r.corrupt("interfaces described with more than %d bytes", maxHeld)
	}
	pod, node, ok := parseIdentity(description)
	if ok {
		i.Pod, i.Node, i.Comment = pod, node, comment
		if label := ownerLabel(pod, node); label != "" {
			i.Name = strings.TrimPrefix(i.Name, label+":")
		}
	} else if i.Comment = description; description == "" {
		i.Comment = comment
	}
	if i.Node == "" {
		i.Node = r.section.Node
	}
	i.Vantage = r.vantage(i)
	r.ifaces = append(r.ifaces, s)
	return nil
}

// vantage numbers pods, and the nodes' own namespaces, in the order of their appearance.
func (r *Reader) vantage(i *pcap.Interface) uint32 {
	if i.Pod == (pcap.Pod{}) && i.Node == "" {
		return 0
	}
	key := i.Node + "\x00" + i.Pod.UID
	if i.Pod.UID == "" {
		key += "\x00" + i.Pod.Namespace + "\x00" + i.Pod.Name
	}
	v, ok := r.vantages[key]
	if !ok && len(r.vantages) < maxVantages && r.keys+len(key) <= maxHeld {
		r.keys += len(key)
		v = uint32(len(r.vantages) + 1)
		r.vantages[key] = v
	}
	return v
}

// names reads a Name Resolution Block.
func (r *Reader) names(b []byte) {
	for len(b) >= 4 {
		kind, n := r.u16(b), int(r.u16(b[2:]))
		if len(b) < 4+pad4(n) || kind == 0 && n == 0 {
			return
		}
		v := b[4 : 4+n]
		b = b[4+pad4(n):]
		size := 0
		switch kind {
		case recordIPv4:
			size = 4
		case recordIPv6:
			size = 16
		}
		if size == 0 || n <= size {
			continue
		}
		r.counts.Names++
		if r.opt.OnName == nil {
			continue
		}
		name := pcap.Name{}
		name.Addr, _ = netip.AddrFromSlice(v[:size])
		for _, s := range bytes.Split(bytes.TrimRight(v[size:], "\x00"), []byte{0}) {
			name.Names = append(name.Names, text(s))
		}
		if n := len(name.Names); n > 2 && name.Names[n-1] == name.Names[0] {
			name.Names = name.Names[:n-1] // AppendNames says it twice
		}
		r.opt.OnName(name)
	}
}

// secrets reads a Decryption Secrets Block (draft-ietf-opsawg-pcapng, 4.7).
func (r *Reader) secrets(b []byte) {
	r.counts.Secrets++
	if len(b) < 8 || r.opt.OnSecrets == nil {
		return
	}
	if n := int64(r.u32(b[4:])); n <= int64(len(b)-8) {
		r.opt.OnSecrets(r.u32(b), b[8:8+n])
	}
}

// statistics reads an Interface Statistics Block.
func (r *Reader) statistics(b []byte) {
	r.counts.Stats++
	if len(b) < 12 || r.opt.OnStats == nil {
		return
	}
	id := r.u32(b)
	if int64(id) >= int64(len(r.ifaces)) {
		return
	}
	var received, dropped uint64
	r.options(b[12:], func(code uint16, v []byte) {
		if len(v) != 8 {
			return
		}
		switch code {
		case optReceived:
			received = r.u64(v)
		case optDropped, optOSDropped:
			dropped += r.u64(v)
		}
	})
	r.opt.OnStats(r.ifaces[id].iface, received, dropped)
}

// options calls f for each option; a malformed one ends the list.
func (r *Reader) options(b []byte, f func(code uint16, value []byte)) {
	for len(b) >= 4 {
		code, n := r.u16(b), int(r.u16(b[2:]))
		if code == optEnd || len(b) < 4+pad4(n) {
			return
		}
		f(code, b[4:4+n])
		b = b[4+pad4(n):]
	}
}

// text is an option's string; what is not UTF-8 is replaced.
func text(v []byte) string {
	return strings.ToValidUTF8(strings.TrimRight(string(v), "\x00"), "\uFFFD")
}
