package pcapng

import (
	"encoding/binary"
	"slices"

	"github.com/sshark/sshark/pcap"
)

// Section is what a section header says.
type Section struct {
	Application string
	OS          string
	Hardware    string
	Comment     string
	Node        string // the node that its interfaces are on, where they do not say otherwise
}

// maxText is the longest string that is written: an option's length has 16 bits.
const maxText = 65000

// The Append functions append one block to dst, little-endian. They allocate only where dst
// has no room.

// begin appends a block's type and room for its length.
func begin(dst []byte, kind uint32) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, kind)
	return append(dst, 0, 0, 0, 0)
}

// finish appends the closing length of the block that began at start, and sets the first.
func finish(dst []byte, start int) []byte {
	n := uint32(len(dst) - start + 4)
	binary.LittleEndian.PutUint32(dst[start+4:], n)
	return binary.LittleEndian.AppendUint32(dst, n)
}

func appendOption[T string | []byte](dst []byte, code uint16, v T) []byte {
	if len(v) > maxText {
		v = v[:maxText]
	}
	dst = binary.LittleEndian.AppendUint16(dst, code)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(v)))
	dst = append(dst, v...)
	return appendPad(dst, len(v))
}

func appendPad(dst []byte, n int) []byte {
	return append(dst, "\x00\x00\x00"[:pad4(n)-n]...)
}

func appendText(dst []byte, code uint16, s string) []byte {
	if s == "" {
		return dst
	}
	return appendOption(dst, code, s)
}

// AppendSection appends a Section Header Block of unknown length.
func AppendSection(dst []byte, s Section) []byte {
	start := len(dst)
	dst = begin(dst, blockSection)
	dst = binary.LittleEndian.AppendUint32(dst, byteOrderMagic)
	dst = append(dst, 1, 0, 0, 0) // version 1.0
	dst = binary.LittleEndian.AppendUint64(dst, ^uint64(0))
	dst = appendText(dst, optHardware, s.Hardware)
	dst = appendText(dst, optOS, s.OS)
	dst = appendText(dst, optApplication, s.Application)
	dst = appendText(dst, optComment, s.Comment)
	if s.Node != "" {
		dst = appendOption(dst, optComment, appendIdentity(nil, pcap.Pod{}, s.Node))
	}
	dst = append(dst, 0, 0, 0, 0)
	return finish(dst, start)
}

// AppendInterface appends an Interface Description Block with nanosecond timestamps.
func AppendInterface(dst []byte, i *pcap.Interface) []byte {
	start := len(dst)
	dst = begin(dst, blockInterface)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(i.Link))
	dst = append(dst, 0, 0)
	dst = binary.LittleEndian.AppendUint32(dst, i.SnapLen)
	dst = appendText(dst, optName, interfaceName(i))
	comment := i.Comment
	if id := appendIdentity(nil, i.Pod, i.Node); len(id) > 0 {
		dst = appendOption(dst, optDescription, id)
	} else if _, _, taken := parseIdentity(comment); !taken {
		dst = appendText(dst, optDescription, comment)
		comment = ""
	}
	dst = appendText(dst, optComment, comment)
	for _, p := range i.Addrs {
		addr := p.Addr().Unmap()
		switch {
		case !p.IsValid():
		case addr.Is4():
			v := addr.As4()
			ones := p.Bits()
			if p.Addr().Is4In6() {
				ones = max(0, ones-96)
			}
			mask := ^uint32(0) << (32 - ones)
			dst = appendOption(dst, optIPv4, binary.BigEndian.AppendUint32(v[:], mask))
		default:
			v := addr.As16()
			dst = appendOption(dst, optIPv6, append(v[:], byte(p.Bits())))
		}
	}
	dst = appendOption(dst, optTimeRes, []byte{9})
	dst = append(dst, 0, 0, 0, 0)
	return finish(dst, start)
}

// PacketSize is the number of bytes that AppendPacket appends for p.
func PacketSize(p *pcap.Packet) int {
	n := 32 + pad4(len(p.Data))
	if p.Flags != 0 {
		n += 8
	}
	if p.Drops != 0 {
		n += 12
	}
	if p.Flags != 0 || p.Drops != 0 {
		n += 4
	}
	return n
}

// AppendPacket appends an Enhanced Packet Block; id is the number of the packet's interface
// in the section. Times before 1970 become 0.
func AppendPacket(dst []byte, id uint32, p *pcap.Packet) []byte {
	total := PacketSize(p)
	start := len(dst)
	if cap(dst)-start < total {
		dst = slices.Grow(dst, total)
	}
	dst = dst[:start+total]
	b := dst[start:]
	le := binary.LittleEndian
	ts := uint64(max(p.Time, 0))
	n := len(p.Data)
	le.PutUint64(b, uint64(total)<<32|blockEnhanced)
	le.PutUint64(b[8:], ts&^0xffffffff|uint64(id))
	le.PutUint64(b[16:], uint64(n)<<32|ts&0xffffffff)
	padded := pad4(n)
	le.PutUint32(b[24+padded:], 0) // the padding, and what is set right after
	le.PutUint32(b[24:], p.Length)
	copy(b[28:], p.Data)
	o := 28 + padded
	if p.Flags != 0 {
		le.PutUint64(b[o:], uint64(p.Flags)<<32|4<<16|optFlags)
		o += 8
	}
	if p.Drops != 0 {
		le.PutUint32(b[o:], 8<<16|optDropCount)
		le.PutUint64(b[o+4:], p.Drops)
		o += 12
	}
	if o > 28+padded {
		le.PutUint32(b[o:], optEnd)
		o += 4
	}
	le.PutUint32(b[o:], uint32(total))
	return dst
}

// AppendNames appends a Name Resolution Block; without names it appends nothing.
func AppendNames(dst []byte, names ...pcap.Name) []byte {
	if len(names) == 0 {
		return dst
	}
	start := len(dst)
	dst = begin(dst, blockNames)
	for _, name := range names {
		addr := name.Addr.Unmap()
		if !addr.IsValid() || len(name.Names) == 0 {
			continue
		}
		kind := uint16(recordIPv6)
		if addr.Is4() {
			kind = recordIPv4
		}
		record := len(dst)
		dst = binary.LittleEndian.AppendUint16(dst, kind)
		dst = append(dst, 0, 0)
		dst = append(dst, addr.AsSlice()...)
		shown := name.Names[0]
		for _, s := range name.Names {
			if len(dst)-record+len(s)+len(shown)+1 > maxText {
				break
			}
			dst = append(append(dst, s...), 0)
		}
		if len(name.Names) > 1 && len(dst)-record+len(shown) <= maxText {
			dst = append(append(dst, shown...), 0) // Wireshark shows the last one, others the first
		}
		n := len(dst) - record - 4
		binary.LittleEndian.PutUint16(dst[record+2:], uint16(n))
		dst = appendPad(dst, n)
	}
	dst = append(dst, 0, 0, 0, 0)
	return finish(dst, start)
}

// AppendStatistics appends an Interface Statistics Block with the counters of a capture from
// its beginning up to now (ns).
func AppendStatistics(dst []byte, id uint32, now int64, s pcap.Stats) []byte {
	return appendStatistics(dst, id, now, s, "")
}

func appendStatistics(dst []byte, id uint32, now int64, s pcap.Stats, comment string) []byte {
	le := binary.LittleEndian
	start := len(dst)
	dst = begin(dst, blockStatistics)
	dst = le.AppendUint32(dst, id)
	dst = le.AppendUint32(dst, uint32(uint64(now)>>32))
	dst = le.AppendUint32(dst, uint32(now))
	dst = appendText(dst, optComment, comment)
	for _, c := range [...]struct {
		code  uint16
		value uint64
	}{{optReceived, s.Seen}, {optDropped, s.Dropped}, {optFilterAccept, s.Seen - s.Filtered}, {optDelivered, s.Stored}} {
		dst = le.AppendUint16(dst, c.code)
		dst = le.AppendUint16(dst, 8)
		dst = le.AppendUint64(dst, c.value)
	}
	dst = append(dst, 0, 0, 0, 0)
	return finish(dst, start)
}

// DecodePacket reads the block that b begins with, if AppendPacket wrote it: it returns the
// block's size, and the number of the interface, which the caller looks up. size is 0 if b
// does not begin with a whole such block. The data is borrowed from b.
func DecodePacket(b []byte, p *pcap.Packet) (id uint32, size int) {
	le := binary.LittleEndian
	if len(b) < 32 || le.Uint32(b) != blockEnhanced {
		return 0, 0
	}
	size = int(le.Uint32(b[4:]))
	n := int(le.Uint32(b[20:]))
	if size < 32 || size > len(b) || size > MaxBlock || size&3 != 0 || n > size-32 || int(le.Uint32(b[size-4:])) != size {
		return 0, 0
	}
	p.Time = int64(uint64(le.Uint32(b[12:]))<<32 | uint64(le.Uint32(b[16:])))
	p.Data = b[28 : 28+n : 28+n]
	p.Length = le.Uint32(b[24:])
	p.Flags, p.Drops = 0, 0
	o := b[28+pad4(n) : size-4]
	if len(o) >= 8 && le.Uint32(o) == 4<<16|optFlags {
		p.Flags = le.Uint32(o[4:])
		o = o[8:]
	}
	if len(o) >= 12 && le.Uint32(o) == 8<<16|optDropCount {
		p.Drops = le.Uint64(o[4:])
	}
	return le.Uint32(b[8:]), size
}

// AppendSecrets appends a Decryption Secrets Block; kind says what the data is, as in the block
// that it was read from.
func AppendSecrets(dst []byte, kind uint32, data []byte) []byte {
	start := len(dst)
	dst = begin(dst, blockSecrets)
	dst = binary.LittleEndian.AppendUint32(dst, kind)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(data)))
	dst = appendPad(append(dst, data...), len(data))
	return finish(dst, start)
}

// AppendBlock appends a block of any type; those for local use have the highest bit set.
func AppendBlock(dst []byte, kind uint32, body []byte) []byte {
	start := len(dst)
	dst = begin(dst, kind)
	dst = append(dst, body...)
	return finish(appendPad(dst, len(body)), start)
}
