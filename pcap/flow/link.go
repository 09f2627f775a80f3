package flow

import (
	"encoding/binary"

	"github.com/sshark/sshark/pcap"
)

// linkLayer finds the first network header: its offset and EtherType.
func linkLayer(link pcap.LinkType, b []byte) (off int, et uint16, ok bool) {
	be := binary.BigEndian
	switch link {
	case pcap.LinkEthernet:
		if len(b) < 14 {
			return 0, 0, false
		}
		return 14, be.Uint16(b[12:]), true
	case pcap.LinkNull, pcap.LinkLoop:
		return 4, ipVersion(b, 4), len(b) > 4
	case pcap.LinkRaw, pcap.LinkIPv4, pcap.LinkIPv6, 12, 14:
		return 0, ipVersion(b, 0), len(b) > 0
	case pcap.LinkSLL:
		if len(b) < 16 {
			return 0, 0, false
		}
		return 16, be.Uint16(b[14:]), true
	case pcap.LinkSLL2:
		if len(b) < 20 {
			return 0, 0, false
		}
		return 20, be.Uint16(b), true
	case pcap.LinkPPP, pcap.LinkPPPHDLC:
		if et := cisco(b); link == pcap.LinkPPPHDLC && et != 0 {
			return 4, et, true
		}
		if len(b) >= 2 && b[0] == 0xff && b[1] == 0x03 { // HDLC-like framing (RFC 1662)
			off = 2
		}
		if len(b) > off && b[off]&1 != 0 { // the protocol in one byte (RFC 1661, 6.5)
			return off + 1, pppType(uint16(b[off])), true
		}
		if len(b) < off+2 {
			return 0, 0, false
		}
		return off + 2, pppType(be.Uint16(b[off:])), true
	}
	return rareLink(link, b)
}

// rareLink is linkLayer for what is not met on a pod's interface, only in files.
func rareLink(link pcap.LinkType, b []byte) (off int, et uint16, ok bool) {
	be := binary.BigEndian
	switch link {
	case pcap.LinkCisco:
		return 4, cisco(b), len(b) > 4
	case pcap.LinkWireless:
		return wireless(b, 0)
	case pcap.LinkRadiotap:
		return radiotap(b)
	case pcap.LinkPrism, pcap.LinkAVS:
		return prism(b)
	case pcap.LinkPPI: // the link type of the packet is in the header
		if len(b) < 8 {
			return 0, 0, false
		}
		n, inner := int(binary.LittleEndian.Uint16(b[2:])), pcap.LinkType(binary.LittleEndian.Uint16(b[4:]))
		if n < 8 || n > len(b) || inner == pcap.LinkPPI {
			return 0, 0, false
		}
		off, et, ok = linkLayer(inner, b[n:])
		return n + off, et, ok
	case pcap.LinkTokenRing:
		off = 14
		if len(b) > off && b[8]&0x80 != 0 { // a route, with its length, stands behind the addresses
			off += int(b[off] & 0x1f)
		}
		return off, etLLC, len(b) > off
	case pcap.LinkFDDI:
		return 13, etLLC, len(b) > 13 && b[0]&0xf0 == 0x50 // asynchronous, LLC
	case pcap.LinkFrameRelay:
		return frameRelay(b)
	case pcap.LinkIPNet:
		return 24, ipVersion(b, 24), len(b) > 24
	case pcap.LinkIPoIB:
		if len(b) < 44 {
			return 0, 0, false
		}
		return 44, be.Uint16(b[40:]), true
	case pcap.LinkNFLog:
		return nflog(b)
	case pcap.LinkPFLog:
		off = 0
		if len(b) > 0 {
			off = (int(b[0]) + 3) &^ 3
		}
		return off, ipVersion(b, off), off > 0 && len(b) > off
	case pcap.LinkEnc:
		return 12, ipVersion(b, 12), len(b) > 12
	case pcap.LinkMPLS:
		return 0, etMPLS, len(b) > 0
	case pcap.LinkPPPoE:
		return 0, etPPPoE, len(b) > 0
	}
	return 0, 0, false
}

// nflog looks for the packet among the attributes (linux/netfilter/nfnetlink_log.h). Their
// lengths are in the order of the machine that wrote them.
func nflog(b []byte) (int, uint16, bool) {
	const payload, most = 9, 32
	off := 4
	for range most {
		if len(b) < off+4 {
			break
		}
		n, kind := int(binary.LittleEndian.Uint16(b[off:])), binary.LittleEndian.Uint16(b[off+2:])
		if kind&0x7f00 != 0 { // the kinds are few, so these bytes are in the other order
			n, kind = int(binary.BigEndian.Uint16(b[off:])), binary.BigEndian.Uint16(b[off+2:])
		}
		switch {
		case n < 4:
			return 0, 0, false
		case kind == payload:
			return off + 4, ipVersion(b, off+4), len(b) > off+4
		}
		off += (n + 3) &^ 3
	}
	return 0, 0, false
}

// frameRelay takes an address off (Q.922), and RFC 2427's header, or the EtherType in its place
// that Cisco's devices put there.
func frameRelay(b []byte) (int, uint16, bool) {
	off := 1
	for off < 4 && len(b) > off && b[off-1]&1 == 0 { // the last byte of an address says so
		off++
	}
	if off < 2 || len(b) < off+4 || b[off-1]&1 == 0 {
		return 0, 0, false
	}
	if b[off] != 0x03 {
		return off + 2, binary.BigEndian.Uint16(b[off:]), true
	}
	if off++; b[off] == 0 { // padding
		off++
	}
	switch b[off] {
	case 0xcc:
		return off + 1, etIPv4, true
	case 0x8e:
		return off + 1, etIPv6, true
	case 0x80: // SNAP, of EtherTypes
		if len(b) >= off+6 && b[off+1]|b[off+2]|b[off+3] == 0 {
			return off + 6, binary.BigEndian.Uint16(b[off+4:]), true
		}
	}
	return 0, 0, false
}

// cisco is the EtherType behind the two bytes that frames of Cisco's HDLC begin with, 0: it is
// none.
func cisco(b []byte) uint16 {
	if len(b) < 4 || b[0]&0x7f != 0x0f || b[1] != 0 {
		return 0
	}
	return binary.BigEndian.Uint16(b[2:])
}

// radiotap takes the header of that name off (radiotap.org).
func radiotap(b []byte) (int, uint16, bool) {
	if len(b) < 8 {
		return 0, 0, false
	}
	header := int(binary.LittleEndian.Uint16(b[2:]))
	off, et, ok := wireless(b, header)
	at, present := 8, binary.LittleEndian.Uint32(b[4:])
	for more := present; more&0x80000000 != 0 && len(b) >= at+4; at += 4 {
		more = binary.LittleEndian.Uint32(b[at:])
	}
	if present&1 != 0 { // a time of 8 bytes stands before the flags
		at = (at+7)&^7 + 8
	}
	if present&2 != 0 && at < len(b) && b[at]&0x20 != 0 { // what follows is padded
		off = header + (off-header+3)&^3
	}
	return off, et, ok
}

// prism takes the header of a Prism chip's driver off, or AVS's that took its place: both tell
// their length.
func prism(b []byte) (int, uint16, bool) {
	if len(b) < 8 {
		return 0, 0, false
	}
	n := binary.BigEndian.Uint32(b[4:])
	if n > 0xffff {
		n = binary.LittleEndian.Uint32(b[4:])
	}
	if n < 8 || n > uint32(len(b)) {
		return 0, 0, false
	}
	return wireless(b, int(n))
}

// wireless finds what a data frame holds (IEEE 802.11, 9.2 and 9.3.2), if it is not encrypted.
func wireless(b []byte, off int) (int, uint16, bool) {
	if len(b) < off+24 {
		return 0, 0, false
	}
	return dataFrame(b, off, b[off], b[off+1])
}

// dataFrame is wireless of a frame with the two bytes of its control apart.
func dataFrame(b []byte, off int, kind, flags byte) (int, uint16, bool) {
	const (
		data, qos, null              = 2, 8, 4
		toDS, fromDS, protected, htc = 0x01, 0x02, 0x40, 0x80
	)
	if kind&3 != 0 || kind>>2&3 != data || kind>>4&null != 0 || flags&protected != 0 {
		return 0, 0, false
	}
	n := 24
	if flags&(toDS|fromDS) == toDS|fromDS {
		n += 6 // a fourth address
	}
	if kind>>4&qos != 0 {
		n += 2
		if flags&htc != 0 {
			n += 4
		}
	}
	return off + n, etLLC, true
}

// llc takes the header off that stands in place of an EtherType (IEEE 802.2 with SNAP: RFC 1042).
func llc(b []byte, off int) (int, uint16, bool) {
	if len(b) < off+8 || string(b[off:off+6]) != "\xaa\xaa\x03\x00\x00\x00" {
		return off, 0, false
	}
	return off + 8, binary.BigEndian.Uint16(b[off+6:]), true
}

// ipVersion is the EtherType that the first nibble stands for.
func ipVersion(b []byte, off int) uint16 {
	if len(b) <= off {
		return 0
	}
	switch b[off] >> 4 {
	case 4:
		return etIPv4
	case 6:
		return etIPv6
	}
	return 0
}

// pppType turns a PPP protocol number (RFC 1661) into an EtherType.
func pppType(p uint16) uint16 {
	switch p {
	case 0x0021:
		return etIPv4
	case 0x0057:
		return etIPv6
	}
	return 0
}
