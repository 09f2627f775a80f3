package layers

import (
	"fmt"
	"strings"
)

// IP protocol numbers (IANA).
const (
	protoICMP   = 1
	protoIPIP   = 4
	protoTCP    = 6
	protoUDP    = 17
	protoIPv6   = 41
	protoGRE    = 47
	protoICMPv6 = 58
	protoSCTP   = 132
	protoEther  = 143
)

// Next-header values of IPv6 extension headers (IANA).
const (
	nhHopByHop = 0
	nhRouting  = 43
	nhFragment = 44
	nhAuth     = 51
	nhNone     = 59
	nhDestOpts = 60
	nhMobility = 135
)

var protocols = map[uint64]string{protoICMP: "ICMP", 2: "IGMP", protoIPIP: "IPv4", protoTCP: "TCP", protoUDP: "UDP", protoIPv6: "IPv6", protoGRE: "GRE",
	50: "ESP", nhAuth: "AH", protoICMPv6: "ICMPv6", 89: "OSPF", 103: "PIM", 112: "VRRP", protoSCTP: "SCTP", protoEther: "Ethernet",
	nhHopByHop: "hop-by-hop options", nhRouting: "routing", nhFragment: "fragment", nhNone: "nothing", nhDestOpts: "destination options", nhMobility: "mobility"}

// byProtocol is what reads on behind an IP header.
func byProtocol(p uint64) next {
	switch p {
	case protoICMP:
		return icmp
	case protoICMPv6:
		return icmpv6
	case protoIPIP:
		return ipv4
	case protoIPv6:
		return ipv6
	case protoTCP:
		return tcp
	case protoUDP:
		return udp
	case protoGRE:
		return gre
	case protoSCTP:
		return sctp
	case protoEther:
		return ethernet
	}
	return nil
}

var ecn = [4]string{"not capable", "capable (1)", "capable (0)", "congestion"}

func ipv4(d *decoder, off int) (next, int) {
	l, ok := d.layer("IPv4", off, 20)
	if !ok {
		return nil, len(d.b)
	}
	hl := int(d.b[off]&15) * 4
	if d.b[off]>>4 != 4 || hl < 20 || len(d.b) < off+hl {
		l.Summary = "no such header"
		return nil, off
	}
	l.To = off + hl
	l.add("header length", fmt.Sprint(hl), off, off+1)
	l.add("dscp", fmt.Sprint(d.b[off+1]>>2), off+1, off+2)
	l.add("ecn", ecn[d.b[off+1]&3], off+1, off+2)
	total := int(d.number(l, "total length", off+2, 2))
	d.hexed(l, "id", off+4, 2)
	frag := d.uint(off+6, 2)
	l.add("flags", flags(frag>>13, "more fragments", "do not fragment", "reserved"), off+6, off+7)
	l.add("fragment offset", fmt.Sprint(frag&0x1fff*8), off+6, off+8)
	ttl := d.number(l, "ttl", off+8, 1)
	p := d.uint(off+9, 1)
	l.add("protocol", named(p, protocols), off+9, off+10)
	d.hexed(l, "checksum", off+10, 2)
	src := d.address(l, "source", off+12, 4)
	dst := d.address(l, "destination", off+16, 4)
	d.ipOptions(l, off+20, off+hl)
	l.Summary = fmt.Sprintf("%s → %s, ttl %d", src, dst, ttl)
	if total >= hl { // 0 with segmentation offload: it was left to the device
		d.shorten(off + total)
	}
	if frag&0x3fff != 0 {
		l.Summary += fmt.Sprintf(", fragment at %d", frag&0x1fff*8)
		return nil, off + hl
	}
	return byProtocol(p), off + hl
}

var ipOptionNames = map[uint64]string{7: "record route", 68: "timestamp", 130: "security", 131: "loose source route", 137: "strict source route", 148: "router alert"}

func (d *decoder) ipOptions(l *Layer, at, end int) {
	for at < end {
		kind := uint64(d.b[at])
		n := 1
		if kind > 1 {
			if at+1 >= end {
				return
			}
			if n = int(d.b[at+1]); n < 2 || at+n > end {
				l.add("option", "cut off", at, end)
				return
			}
			l.add("option", named(kind, ipOptionNames), at, at+n)
		}
		if at += n; kind == 0 {
			return
		}
	}
}

func ipv6(d *decoder, off int) (next, int) {
	l, ok := d.layer("IPv6", off, 40)
	if !ok {
		return nil, len(d.b)
	}
	if d.b[off]>>4 != 6 {
		l.Summary = "no such header"
		return nil, off
	}
	first := d.uint(off, 4)
	l.add("traffic class", fmt.Sprint(first>>20&0xff), off, off+2)
	l.add("flow label", fmt.Sprintf("0x%05x", first&0xfffff), off+1, off+4)
	n := int(d.number(l, "payload length", off+4, 2))
	p := d.uint(off+6, 1)
	l.add("next header", named(p, protocols), off+6, off+7)
	hops := d.number(l, "hop limit", off+7, 1)
	src := d.address(l, "source", off+8, 16)
	dst := d.address(l, "destination", off+24, 16)
	l.Summary = fmt.Sprintf("%s → %s, hop limit %d", src, dst, hops)
	if n > 0 { // jumbograms say 0
		d.shorten(off + 40 + n)
	}
	return extension(p), off + 40
}

// extension is what reads on behind an IPv6 header (RFC 8200, 4).
func extension(p uint64) next {
	switch p {
	case nhHopByHop, nhRouting, nhFragment, nhAuth, nhDestOpts, nhMobility:
		return func(d *decoder, off int) (next, int) { return d.extension(p, off) }
	}
	return byProtocol(p)
}

func (d *decoder) extension(kind uint64, off int) (next, int) {
	name := "IPv6 " + strings.ReplaceAll(protocols[kind], "AH", "authentication")
	l, ok := d.layer(name, off, 8)
	if !ok {
		return nil, len(d.b)
	}
	p := d.uint(off, 1)
	l.add("next header", named(p, protocols), off, off+1)
	n := int(d.b[off+1])*8 + 8
	switch kind {
	case nhAuth:
		n = int(d.b[off+1])*4 + 8
		d.hexed(l, "spi", off+4, 4)
	case nhFragment:
		n = 8
		f := d.uint(off+2, 2)
		l.add("offset", fmt.Sprint(f&^7), off+2, off+4)
		l.add("more fragments", fmt.Sprint(f&1 == 1), off+3, off+4)
		d.hexed(l, "id", off+4, 4)
		l.Summary = fmt.Sprintf("fragment at %d", f&^7)
		if f&0xfff9 != 0 {
			return nil, off + n
		}
	}
	l.To = off + n
	if off+n > len(d.b) {
		return nil, len(d.b)
	}
	return extension(p), off + n
}

var icmpTypes = map[uint64]string{0: "echo reply", 3: "destination unreachable", 4: "source quench", 5: "redirect", 8: "echo request", 9: "router advertisement",
	10: "router solicitation", 11: "time exceeded", 12: "parameter problem", 13: "timestamp request", 14: "timestamp reply"}

var unreachable = map[uint64]string{0: "network", 1: "host", 2: "protocol", 3: "port", 4: "too large for a link", 9: "network prohibited", 10: "host prohibited", 13: "prohibited"}

func icmp(d *decoder, off int) (next, int) {
	l, ok := d.layer("ICMP", off, 8)
	if !ok {
		return nil, len(d.b)
	}
	kind := d.uint(off, 1)
	l.Summary = named(kind, icmpTypes)
	l.add("type", l.Summary, off, off+1)
	code := d.uint(off+1, 1)
	l.add("code", fmt.Sprint(code), off+1, off+2)
	d.hexed(l, "checksum", off+2, 2)
	switch kind {
	case 0, 8, 13, 14:
		d.echo(l, off)
	case 3, 4, 5, 11, 12:
		if kind == 3 {
			l.Summary += ": " + named(code, unreachable)
			if code == 4 {
				d.number(l, "mtu of the link", off+6, 2)
			}
		}
		return ipv4, off + 8 // the packet that it is about
	}
	return nil, off + 8
}

func (d *decoder) echo(l *Layer, off int) {
	id := d.number(l, "id", off+4, 2)
	seq := d.number(l, "sequence", off+6, 2)
	l.Summary += fmt.Sprintf(", id %d, sequence %d", id, seq)
}

var icmpv6Types = map[uint64]string{1: "destination unreachable", 2: "packet too big", 3: "time exceeded", 4: "parameter problem", 128: "echo request", 129: "echo reply",
	130: "multicast listener query", 131: "multicast listener report", 133: "router solicitation", 134: "router advertisement", 135: "neighbour solicitation",
	136: "neighbour advertisement", 137: "redirect", 143: "multicast listener report 2"}

func icmpv6(d *decoder, off int) (next, int) {
	l, ok := d.layer("ICMPv6", off, 8)
	if !ok {
		return nil, len(d.b)
	}
	kind := d.uint(off, 1)
	l.Summary = named(kind, icmpv6Types)
	l.add("type", l.Summary, off, off+1)
	d.number(l, "code", off+1, 1)
	d.hexed(l, "checksum", off+2, 2)
	switch kind {
	case 128, 129:
		d.echo(l, off)
	case 135, 136:
		if len(d.b) >= off+24 {
			l.To = off + 24
			l.Summary += " of " + d.address(l, "target", off+8, 16)
			return nil, off + 24
		}
	case 1, 2, 3, 4:
		if kind == 2 {
			d.number(l, "mtu of the link", off+4, 4)
		}
		return ipv6, off + 8
	}
	return nil, off + 8
}
