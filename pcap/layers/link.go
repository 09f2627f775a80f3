package layers

import (
	"encoding/binary"
	"fmt"

	"github.com/sshark/sshark/pcap"
)

// EtherTypes (IEEE 802 numbers at IANA).
const (
	etIPv4       = 0x0800
	etARP        = 0x0806
	etTransEther = 0x6558
	etVLAN       = 0x8100
	etIPv6       = 0x86dd
	etMPLS       = 0x8847
	etMPLSMulti  = 0x8848
	etPPPoEDisc  = 0x8863
	etPPPoE      = 0x8864
	etERSPAN2    = 0x88be
	etQinQ       = 0x88a8
	etQinQOld    = 0x9100
	etERSPAN3    = 0x22eb
)

var etherTypes = map[uint64]string{etIPv4: "IPv4", etARP: "ARP", etTransEther: "Ethernet", etVLAN: "VLAN", etIPv6: "IPv6",
	etMPLS: "MPLS", etMPLSMulti: "MPLS multicast", etPPPoEDisc: "PPPoE discovery", etPPPoE: "PPPoE", etERSPAN2: "ERSPAN II", etQinQ: "QinQ",
	etQinQOld: "QinQ", etERSPAN3: "ERSPAN III", 0x88cc: "LLDP", 0x88e5: "MACsec", 0x880b: "PPP"}

// etherType is a number with its name.
func etherType(v uint64) string {
	if n, ok := etherTypes[v]; ok {
		return fmt.Sprintf("%s (0x%04x)", n, v)
	}
	return fmt.Sprintf("0x%04x", v)
}

// linkLayer is what reads the first header.
func linkLayer(link pcap.LinkType) next {
	switch link {
	case pcap.LinkEthernet:
		return ethernet
	case pcap.LinkSLL:
		return sll
	case pcap.LinkSLL2:
		return sll2
	case pcap.LinkNull, pcap.LinkLoop:
		return loopback
	case pcap.LinkPPP:
		return pppFramed
	case pcap.LinkRaw, pcap.LinkIPv4, pcap.LinkIPv6, 12, 14:
		return byVersion
	}
	return nil
}

// byType is what reads on behind an EtherType.
func byType(et uint64) next {
	switch et {
	case etIPv4:
		return ipv4
	case etIPv6:
		return ipv6
	case etARP:
		return arp
	case etVLAN, etQinQ, etQinQOld:
		return vlan
	case etMPLS, etMPLSMulti:
		return mpls
	case etPPPoE:
		return pppoe
	case etTransEther:
		return ethernet
	}
	return nil
}

// byVersion goes by the first nibble.
func byVersion(d *decoder, off int) (next, int) {
	if off < len(d.b) {
		switch d.b[off] >> 4 {
		case 4:
			return ipv4, off
		case 6:
			return ipv6, off
		}
	}
	return nil, off
}

func ethernet(d *decoder, off int) (next, int) {
	l, ok := d.layer("Ethernet", off, 14)
	if !ok {
		return nil, len(d.b)
	}
	dst, src := mac(d.b[off:off+6]), mac(d.b[off+6:off+12])
	l.add("destination", dst, off, off+6)
	l.add("source", src, off+6, off+12)
	et := d.uint(off+12, 2)
	if et < 0x600 { // IEEE 802.3: a length
		l.add("length", fmt.Sprint(et), off+12, off+14)
		l.Summary = src + " → " + dst + ", 802.3"
		return nil, off + 14
	}
	l.add("type", etherType(et), off+12, off+14)
	l.Summary = src + " → " + dst
	return byType(et), off + 14
}

var sllTypes = map[uint64]string{0: "to us", 1: "broadcast", 2: "multicast", 3: "to another host", 4: "from us"}

func sll(d *decoder, off int) (next, int) {
	l, ok := d.layer("Linux cooked", off, 16)
	if !ok {
		return nil, len(d.b)
	}
	kind := named(d.uint(off, 2), sllTypes)
	l.add("packet", kind, off, off+2)
	d.number(l, "device type", off+2, 2)
	n := int(min(8, d.uint(off+4, 2)))
	l.add("source", mac(d.b[off+6:off+6+n]), off+6, off+6+n)
	et := d.uint(off+14, 2)
	l.add("type", etherType(et), off+14, off+16)
	l.Summary = kind
	return byType(et), off + 16
}

func sll2(d *decoder, off int) (next, int) {
	l, ok := d.layer("Linux cooked 2", off, 20)
	if !ok {
		return nil, len(d.b)
	}
	et := d.uint(off, 2)
	l.add("type", etherType(et), off, off+2)
	d.number(l, "interface", off+4, 4)
	d.number(l, "device type", off+8, 2)
	kind := named(d.uint(off+10, 1), sllTypes)
	l.add("packet", kind, off+10, off+11)
	n := int(min(8, d.uint(off+11, 1)))
	l.add("source", mac(d.b[off+12:off+12+n]), off+12, off+12+n)
	l.Summary = kind
	return byType(et), off + 20
}

func loopback(d *decoder, off int) (next, int) {
	l, ok := d.layer("Loopback", off, 4)
	if !ok {
		return nil, len(d.b)
	}
	// The family is in the order of the machine that wrote it (tcpdump.org/linktypes.html).
	family := binary.LittleEndian.Uint32(d.b[off:])
	if family > 0xffff {
		family = be32(d.b[off:])
	}
	l.add("family", fmt.Sprint(family), off, off+4)
	l.Summary = fmt.Sprintf("address family %d", family)
	return byVersion, off + 4
}

func vlan(d *decoder, off int) (next, int) {
	l, ok := d.layer("VLAN", off, 4)
	if !ok {
		return nil, len(d.b)
	}
	tag := d.uint(off, 2)
	l.add("id", fmt.Sprint(tag&0xfff), off, off+2)
	l.add("priority", fmt.Sprint(tag>>13), off, off+1)
	l.add("may be dropped", fmt.Sprint(tag>>12&1 == 1), off, off+1)
	et := d.uint(off+2, 2)
	l.add("type", etherType(et), off+2, off+4)
	l.Summary = fmt.Sprintf("id %d", tag&0xfff)
	return byType(et), off + 4
}

// mpls is one label (RFC 3032); behind the last one the first nibble tells what follows.
func mpls(d *decoder, off int) (next, int) {
	l, ok := d.layer("MPLS", off, 4)
	if !ok {
		return nil, len(d.b)
	}
	v := d.uint(off, 4)
	bottom := v>>8&1 == 1
	l.add("label", fmt.Sprint(v>>12), off, off+3)
	l.add("traffic class", fmt.Sprint(v>>9&7), off+2, off+3)
	l.add("bottom of stack", fmt.Sprint(bottom), off+2, off+3)
	l.add("ttl", fmt.Sprint(v&0xff), off+3, off+4)
	l.Summary = fmt.Sprintf("label %d, ttl %d", v>>12, v&0xff)
	off += 4
	switch {
	case !bottom:
		return mpls, off
	case off+4 <= len(d.b) && d.b[off]>>4 == 0: // pseudowire control word (RFC 4385)
		if c, ok := d.layer("Control word", off, 4); ok {
			d.hexed(c, "value", off, 4)
		}
		return ethernet, off + 4
	}
	return byVersion, off
}

func pppoe(d *decoder, off int) (next, int) {
	l, ok := d.layer("PPPoE", off, 6)
	if !ok {
		return nil, len(d.b)
	}
	d.hexed(l, "code", off+1, 1)
	session := d.hexed(l, "session", off+2, 2)
	n := d.number(l, "length", off+4, 2)
	l.Summary = fmt.Sprintf("session 0x%04x", session)
	if d.b[off] != 0x11 || d.b[off+1] != 0 {
		return nil, off + 6
	}
	d.shorten(off + 6 + int(n))
	return ppp, off + 6
}

var pppTypes = map[uint64]string{0x21: "IPv4", 0x57: "IPv6", 0xc021: "LCP", 0xc023: "PAP", 0xc223: "CHAP", 0x8021: "IPCP", 0x8057: "IPv6CP"}

func ppp(d *decoder, off int) (next, int) {
	l, ok := d.layer("PPP", off, 2)
	if !ok {
		return nil, len(d.b)
	}
	p := d.uint(off, 2)
	l.Summary = named(p, pppTypes)
	l.add("protocol", l.Summary, off, off+2)
	switch p {
	case 0x21:
		return ipv4, off + 2
	case 0x57:
		return ipv6, off + 2
	}
	return nil, off + 2
}

// pppFramed may have an HDLC-like frame around it (RFC 1662).
func pppFramed(d *decoder, off int) (next, int) {
	if len(d.b) >= off+4 && d.b[off] == 0xff && d.b[off+1] == 0x03 {
		if l, ok := d.layer("HDLC", off, 2); ok {
			d.hexed(l, "address", off, 1)
			d.hexed(l, "control", off+1, 1)
		}
		return ppp, off + 2
	}
	return ppp, off
}

var arpCodes = map[uint64]string{1: "request", 2: "reply", 3: "reverse request", 4: "reverse reply"}

func arp(d *decoder, off int) (next, int) {
	l, ok := d.layer("ARP", off, 8)
	if !ok {
		return nil, len(d.b)
	}
	d.number(l, "hardware", off, 2)
	l.add("protocol", etherType(d.uint(off+2, 2)), off+2, off+4)
	hn, pn := int(d.b[off+4]), int(d.b[off+5])
	op := named(d.uint(off+6, 2), arpCodes)
	l.add("operation", op, off+6, off+8)
	l.Summary = op
	at := off + 8
	if hn != 6 || pn != 4 || len(d.b) < at+20 {
		return nil, at
	}
	l.To = at + 20
	l.add("sender", mac(d.b[at:at+6]), at, at+6)
	from := d.address(l, "sender address", at+6, 4)
	l.add("target", mac(d.b[at+10:at+16]), at+10, at+16)
	to := d.address(l, "target address", at+16, 4)
	switch d.uint(off+6, 2) {
	case 1:
		l.Summary = "who has " + to + "? tell " + from
	case 2:
		l.Summary = from + " is at " + mac(d.b[at:at+6])
	}
	d.shorten(l.To)
	return nil, l.To
}
