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
	etWCCP       = 0x883e
	etERSPAN2    = 0x88be
	etQinQ       = 0x88a8
	etMACsec     = 0x88e5
	etBackbone   = 0x88e7
	etCiscoMeta  = 0x8909
	etVNTag      = 0x8926
	etETag       = 0x893f
	etNSH        = 0x894f
	etQinQOld    = 0x9100
	etERSPAN3    = 0x22eb
)

// UDP ports of tunnels, each with a header that must look right as well.
const (
	portL2TP     = 1701
	portGTPU     = 2152
	portTeredo   = 3544
	portVXLAN    = 4789
	portVXLANGPE = 4790
	portCAPWAP   = 5247
	portGENEVE   = 6081
	portMPLS     = 6635
	portVXLANOld = 8472 // Linux's, before IANA gave one
)

// IP protocol numbers of tunnels.
const (
	protoIPIP  Proto = 4
	protoIPv6  Proto = 41
	protoGRE   Proto = 47
	protoEthIP Proto = 97
	protoPIM   Proto = 103
	protoMPLS  Proto = 137
	protoEther Proto = 143
)

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
	case protoEthIP: // version 3 (RFC 3378)
		return t + 2, etTransEther, len(in) > t+2+14 && in[t] == 0x30
	case protoPIM: // a register holds a packet (RFC 7761, 4.9.3)
		et = ipVersion(in, t+8)
		return t + 8, et, et != 0 && in[t] == 0x21
	case protoMPLS: // RFC 4023
		return t, etMPLS, len(in) > t+4
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
	case etWCCP: // what is given to a cache, behind a header that version 2 has
		if len(b) > off && ipVersion(b, off) != etIPv4 {
			off += 4
		}
		et = etIPv4
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

// l2tp takes the header of a data message off (RFC 2661, 3.1). Version 3's is not told from its
// cookie without the session's beginning.
func l2tp(b []byte, off int) (int, uint16, bool) {
	const control, length, sequence, offset = 0x8000, 0x4000, 0x0800, 0x0200
	flags := binary.BigEndian.Uint16(b[off:])
	if flags&control != 0 || flags&15 != 2 {
		return 0, 0, false
	}
	off += 6
	if flags&length != 0 {
		off += 2
	}
	if flags&sequence != 0 {
		off += 4
	}
	if flags&offset != 0 {
		if len(b) < off+2 {
			return 0, 0, false
		}
		off += 2 + int(binary.BigEndian.Uint16(b[off:]))
	}
	if len(b) <= off {
		return 0, 0, false
	}
	link, et, ok := linkLayer(pcap.LinkPPP, b[off:])
	return off + link, et, ok && et != 0
}

// vxlan takes the header of that name off (RFC 7348), with a group's policy or without
// (draft-smith-vxlan-group-policy).
func vxlan(b []byte, off int) (int, uint16, bool) {
	switch {
	case b[off] == 0x08 && b[off+1]|b[off+2]|b[off+3] == 0, b[off] == 0x88 && b[off+1]&^0x48 == 0:
		return off + 8, etTransEther, len(b) > off+8+14
	}
	return 0, 0, false
}

// capwap takes the header off that an access point's data has (RFC 5415, 4.3), if it is neither
// encrypted nor a fragment.
func capwap(b []byte, off int) (int, uint16, bool) {
	n, native, wifi := int(b[off+1]>>3)*4, b[off+2]&1 != 0, b[off+2]>>1&31 == 1
	if b[off] != 0 || b[off+3]&0x88 != 0 || n < 8 || len(b) < off+n+24 || native && !wifi {
		return 0, 0, false
	}
	off += n
	switch {
	case !native:
		return off, etTransEther, true
	case b[off]&15 != 8 && b[off+1]&15 == 8: // some swap the two bytes of the frame's control
		return dataFrame(b, off, b[off+1], b[off])
	}
	return wireless(b, off)
}

// byNext turns the number of what follows, as VXLAN-GPE and NSH have it, into an EtherType.
func byNext(n byte) uint16 {
	switch n {
	case 1:
		return etIPv4
	case 2:
		return etIPv6
	case 3:
		return etTransEther
	case 4:
		return etNSH
	case 5:
		return etMPLS
	}
	return 0
}

// nsh takes a network service header off (RFC 8300, 2).
func nsh(b []byte, off int) (int, uint16, bool) {
	if len(b) < off+8 || b[off]>>6 != 0 {
		return off, 0, false
	}
	n, et := int(b[off+1]&0x3f)*4, byNext(b[off+3])
	return off + n, et, n >= 8 && len(b) > off+n && et != 0
}

// udpTunnel recognises L2TP, Teredo (RFC 4380), VXLAN and its generic extension
// (draft-ietf-nvo3-vxlan-gpe), CAPWAP, MPLS (RFC 7510), GENEVE (RFC 8926) and GTP-U (3GPP TS
// 29.281).
func udpTunnel(b []byte, udp int, dport, sport uint16) (int, uint16, bool) {
	p := udp + 8
	switch {
	case dport == portVXLAN || dport == portVXLANOld:
		return vxlan(b, p)
	case dport == portVXLANGPE:
		et := byNext(b[p+3])
		return p + 8, et, b[p]&0xcc == 0x0c && len(b) > p+8 && et != 0
	case dport == portMPLS:
		return p, etMPLS, true
	case dport == portCAPWAP || sport == portCAPWAP:
		return capwap(b, p)
	case dport == portL2TP || sport == portL2TP:
		return l2tp(b, p)
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
