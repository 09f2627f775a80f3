package flow

import (
	"encoding/binary"

	"github.com/sshark/sshark/pcap"
)

// EtherTypes (IEEE 802 numbers at IANA). Up to 1500 they are a length, and an LLC header follows.
const (
	etLLC        = 1
	maxLength    = 1500
	etIPv4       = 0x0800
	etTransEther = 0x6558
	etVLAN       = 0x8100
	etIPv6       = 0x86dd
	etMPLS       = 0x8847
	etMPLSMulti  = 0x8848
	etPPPoE      = 0x8864
	etERSPAN2    = 0x88be
	etQinQ       = 0x88a8
	etQinQOld    = 0x9100
	etERSPAN3    = 0x22eb
)

// UDP ports of tunnels, each with a header that must look right as well.
const (
	portGTPU   = 2152
	portTeredo = 3544
	portVXLAN  = 4789
	portGENEVE = 6081
)

// IP protocol numbers of tunnels.
const (
	protoIPIP  Proto = 4
	protoIPv6  Proto = 41
	protoGRE   Proto = 47
	protoEther Proto = 143
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
	case pcap.LinkCisco:
		return 4, cisco(b), len(b) > 4
	case pcap.LinkWireless:
		return wireless(b, 0)
	case pcap.LinkRadiotap:
		if len(b) < 4 {
			return 0, 0, false
		}
		return wireless(b, int(binary.LittleEndian.Uint16(b[2:])))
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

// wireless finds what a data frame holds (IEEE 802.11, 9.2 and 9.3.2), if it is not encrypted.
func wireless(b []byte, off int) (int, uint16, bool) {
	const (
		data, qos, null              = 2, 8, 4
		toDS, fromDS, protected, htc = 0x01, 0x02, 0x40, 0x80
	)
	if len(b) < off+24 || b[off]>>2&3 != data || b[off]>>4&null != 0 || b[off+1]&protected != 0 {
		return 0, 0, false
	}
	n := 24
	if b[off+1]&(toDS|fromDS) == toDS|fromDS {
		n += 6 // a fourth address
	}
	if b[off]>>4&qos != 0 {
		n += 2
		if b[off+1]&htc != 0 {
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

// mpls takes the label stack off (RFC 3032); what is below is told by its first nibble.
func mpls(b []byte, off int) (int, uint16, bool) {
	for n := 0; n < maxLayers; n++ {
		if len(b) < off+4 {
			return off, 0, false
		}
		bottom := b[off+2]&1 != 0
		off += 4
		if !bottom {
			continue
		}
		if et := ipVersion(b, off); et != 0 {
			return off, et, true
		}
		if len(b) >= off+4 && b[off]>>4 == 0 { // pseudowire control word (RFC 4385)
			return off + 4, etTransEther, true
		}
		return off, 0, false
	}
	return off, 0, false
}

// tunnel looks for another network header inside the IP packet that h describes.
func (h *Header) tunnel(b []byte) (off int, et uint16, ok bool) {
	if h.Fragments {
		return 0, 0, false
	}
	t := h.Transport
	in := b[:h.End]
	switch h.Key.Proto {
	case protoIPIP:
		return t, etIPv4, ipVersion(in, t) == etIPv4
	case protoIPv6:
		return t, etIPv6, ipVersion(in, t) == etIPv6
	case protoEther:
		return t, etTransEther, len(in) > t+14
	case protoGRE:
		return gre(in, t)
	case UDP:
		if len(in) < t+8+8 {
			return 0, 0, false
		}
		return udpTunnel(in, t, binary.BigEndian.Uint16(in[t+2:]), binary.BigEndian.Uint16(in[t:]))
	}
	return 0, 0, false
}

// gre takes a GRE header off (RFC 2784, 2890; PPTP's version 1: RFC 2637).
func gre(b []byte, off int) (int, uint16, bool) {
	if len(b) < off+4 {
		return 0, 0, false
	}
	flags, et := binary.BigEndian.Uint16(b[off:]), binary.BigEndian.Uint16(b[off+2:])
	off += 4
	if flags&0x8000 != 0 || flags&0x4000 != 0 {
		off += 4
	}
	if flags&0x2000 != 0 {
		off += 4
	}
	if flags&0x1000 != 0 {
		off += 4
	}
	if flags&7 == 1 {
		if flags&0x80 != 0 {
			off += 4
		}
		if et != 0x880b || len(b) < off+1 {
			return 0, 0, false
		}
		link, et2, ok := linkLayer(pcap.LinkPPP, b[off:])
		return off + link, et2, ok
	}
	switch et {
	case etERSPAN2:
		if flags&0x1000 != 0 { // with a sequence number it is type II, without it type I
			off += 8
		}
		et = etTransEther
	case etERSPAN3:
		if len(b) < off+12 {
			return 0, 0, false
		}
		if b[off+11]&1 != 0 { // platform-specific subheader
			off += 8
		}
		off += 12
		et = etTransEther
	}
	return off, et, len(b) > off
}

// teredo takes off what may stand before the IPv6 packet (RFC 4380, 5.1.1).
func teredo(b []byte, off int) (int, uint16, bool) {
	if b[off] == 0 && b[off+1] == 1 { // authentication
		off += 13 + int(b[off+2]) + int(b[off+3])
	}
	if len(b) > off+8 && b[off] == 0 && b[off+1] == 0 { // origin
		off += 8
	}
	et := ipVersion(b, off)
	return off, et, et == etIPv6
}

// udpTunnel recognises Teredo (RFC 4380), VXLAN (RFC 7348), GENEVE (RFC 8926) and GTP-U (3GPP TS 29.281).
func udpTunnel(b []byte, udp int, dport, sport uint16) (int, uint16, bool) {
	p := udp + 8
	switch {
	case dport == portVXLAN:
		if b[p] != 0x08 || b[p+1]|b[p+2]|b[p+3] != 0 {
			return 0, 0, false
		}
		return p + 8, etTransEther, len(b) > p+8+14
	case dport == portGENEVE:
		n := int(b[p]&0x3f) * 4
		et := binary.BigEndian.Uint16(b[p+2:])
		if b[p]>>6 != 0 || len(b) < p+8+n {
			return 0, 0, false
		}
		return p + 8 + n, et, et == etTransEther || et == etIPv4 || et == etIPv6
	case dport == portTeredo || sport == portTeredo:
		return teredo(b, p)
	case dport == portGTPU || sport == portGTPU:
		if b[p]>>5 != 1 || b[p]&0x10 == 0 || b[p+1] != 0xff { // version 1, protocol GTP, G-PDU
			return 0, 0, false
		}
		off := p + 8
		if b[p]&7 != 0 {
			if len(b) < off+4 {
				return 0, 0, false
			}
			next := b[off+3]
			off += 4
			for n := 0; b[p]&4 != 0 && next != 0 && n < maxLayers; n++ {
				if len(b) <= off || b[off] == 0 {
					return 0, 0, false
				}
				size := int(b[off]) * 4
				if len(b) < off+size {
					return 0, 0, false
				}
				next = b[off+size-1]
				off += size
			}
		}
		et := ipVersion(b, off)
		return off, et, et != 0
	}
	return 0, 0, false
}
