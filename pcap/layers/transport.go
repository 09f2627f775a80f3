package layers

import (
	"fmt"
	"strings"
)

// TCPFlags are the names of the flags of a TCP header, the lowest bit first (RFC 9293, 3.1).
func TCPFlags(v uint64) string {
	return flags(v, "FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE")
}

func tcp(d *decoder, off int) (next, int) {
	l, ok := d.layer("TCP", off, 20)
	if !ok {
		return nil, len(d.b)
	}
	src, dst := d.number(l, "source port", off, 2), d.number(l, "destination port", off+2, 2)
	seq := d.number(l, "sequence", off+4, 4)
	ack := d.number(l, "acknowledgment", off+8, 4)
	hl := int(d.b[off+12]>>4) * 4
	l.add("header length", fmt.Sprint(hl), off+12, off+13)
	bits := d.uint(off+12, 2) & 0x1ff
	l.add("flags", TCPFlags(bits), off+12, off+14)
	window := d.number(l, "window", off+14, 2)
	d.hexed(l, "checksum", off+16, 2)
	if bits&0x20 != 0 {
		d.number(l, "urgent pointer", off+18, 2)
	}
	l.Summary = fmt.Sprintf("%d → %d [%s] seq %d ack %d win %d", src, dst, TCPFlags(bits), seq, ack, window)
	if hl < 20 {
		l.add("problem", "no such header length", off+12, off+13)
		return nil, off + 20
	}
	end := min(off+hl, len(d.b))
	l.To = end
	d.tcpOptions(l, off+20, end)
	return nil, end
}

var tcpOptionNames = map[uint64]string{2: "mss", 3: "window scale", 4: "SACK permitted", 5: "SACK", 8: "timestamps", 19: "MD5 signature", 28: "user timeout",
	29: "authentication", 30: "multipath", 34: "fast open", 69: "encryption negotiation", 254: "experiment"}

// tcpOptions lists options (RFC 9293, 3.2).
func (d *decoder) tcpOptions(l *Layer, at, end int) {
	for at < end {
		kind := uint64(d.b[at])
		switch kind {
		case 0:
			return
		case 1:
			at++
			continue
		}
		n := 0
		if at+1 < end {
			n = int(d.b[at+1])
		}
		if n < 2 || at+n > end {
			l.add("option", "cut off", at, end)
			return
		}
		v := ""
		switch {
		case kind == 2 && n == 4:
			v = fmt.Sprint(d.u16(at + 2))
		case kind == 3 && n == 3:
			v = fmt.Sprintf("%d (× %d)", d.b[at+2], 1<<min(d.b[at+2], 14))
		case kind == 5 && (n-2)%8 == 0:
			var parts []string
			for i := at + 2; i+8 <= at+n; i += 8 {
				parts = append(parts, fmt.Sprintf("%d-%d", d.uint(i, 4), d.uint(i+4, 4)))
			}
			v = strings.Join(parts, " ")
		case kind == 8 && n == 10:
			v = fmt.Sprintf("%d, echo %d", d.uint(at+2, 4), d.uint(at+6, 4))
		}
		name := tcpOptionNames[kind]
		if name == "" {
			name = fmt.Sprintf("option %d", kind)
		}
		if v == "" && n > 2 {
			v = fmt.Sprintf("%d bytes", n-2)
		}
		l.add(name, v, at, at+n)
		at += n
	}
}

// Ports of tunnels, each with a header that must look right as well.
const (
	portGTPU   = 2152
	portVXLAN  = 4789
	portGENEVE = 6081
)

func udp(d *decoder, off int) (next, int) {
	l, ok := d.layer("UDP", off, 8)
	if !ok {
		return nil, len(d.b)
	}
	src, dst := d.number(l, "source port", off, 2), d.number(l, "destination port", off+2, 2)
	n := d.number(l, "length", off+4, 2)
	d.hexed(l, "checksum", off+6, 2)
	l.Summary = fmt.Sprintf("%d → %d", src, dst)
	if n >= 8 {
		d.shorten(off + int(n))
	}
	p := off + 8
	if len(d.b) < p+8 {
		return nil, p
	}
	switch {
	case dst == portVXLAN && d.b[p] == 0x08 && d.uint(p+1, 3) == 0:
		return vxlan, p
	case dst == portGENEVE && d.b[p]>>6 == 0:
		return geneve, p
	case (dst == portGTPU || src == portGTPU) && d.b[p]>>5 == 1 && d.b[p]&0x10 != 0 && d.b[p+1] == 0xff:
		return gtpu, p
	}
	return nil, p
}

// vxlan: RFC 7348.
func vxlan(d *decoder, off int) (next, int) {
	l, ok := d.layer("VXLAN", off, 8)
	if !ok {
		return nil, len(d.b)
	}
	vni := d.number(l, "network", off+4, 3)
	l.Summary = fmt.Sprintf("network %d", vni)
	return ethernet, off + 8
}

// geneve: RFC 8926.
func geneve(d *decoder, off int) (next, int) {
	n := 8 + int(d.b[off]&0x3f)*4
	l, ok := d.layer("GENEVE", off, n)
	if !ok {
		return nil, len(d.b)
	}
	et := d.uint(off+2, 2)
	l.add("type", etherType(et), off+2, off+4)
	vni := d.number(l, "network", off+4, 3)
	if n > 8 {
		l.add("options", fmt.Sprintf("%d bytes", n-8), off+8, off+n)
	}
	l.Summary = fmt.Sprintf("network %d", vni)
	return byType(et), off + n
}

// gtpu: 3GPP TS 29.281.
func gtpu(d *decoder, off int) (next, int) {
	l, ok := d.layer("GTP-U", off, 8)
	if !ok {
		return nil, len(d.b)
	}
	teid := d.hexed(l, "tunnel", off+4, 4)
	l.Summary = fmt.Sprintf("tunnel 0x%08x", teid)
	at := off + 8
	if d.b[off]&7 != 0 {
		if len(d.b) < at+4 {
			return nil, len(d.b)
		}
		d.number(l, "sequence", at, 2)
		kind := d.b[at+3]
		at += 4
		for n := 0; d.b[off]&4 != 0 && kind != 0 && n < maxLayers; n++ {
			if at >= len(d.b) || d.b[at] == 0 || at+int(d.b[at])*4 > len(d.b) {
				return nil, len(d.b)
			}
			size := int(d.b[at]) * 4
			l.add("extension", fmt.Sprintf("0x%02x, %d bytes", kind, size), at, at+size)
			kind = d.b[at+size-1]
			at += size
		}
	}
	l.To = at
	return byVersion, at
}

// gre: RFC 2784, 2890; version 1: RFC 2637.
func gre(d *decoder, off int) (next, int) {
	l, ok := d.layer("GRE", off, 4)
	if !ok {
		return nil, len(d.b)
	}
	bits, et := d.uint(off, 2), d.uint(off+2, 2)
	l.add("flags", flags(bits>>12, "sequence", "key", "routing", "checksum"), off, off+2)
	l.add("type", etherType(et), off+2, off+4)
	l.Summary = etherType(et)
	at := off + 4
	for _, f := range []struct {
		on   bool
		name string
	}{{bits&0xc000 != 0, "checksum"}, {bits&0x2000 != 0, "key"}, {bits&0x1000 != 0, "sequence"}, {bits&7 == 1 && bits&0x80 != 0, "acknowledgment"}} {
		if !f.on {
			continue
		}
		if len(d.b) < at+4 {
			return nil, len(d.b)
		}
		d.hexed(l, f.name, at, 4)
		at += 4
	}
	l.To = at
	switch {
	case bits&7 == 1:
		return pppFramed, at
	case et == etERSPAN2 && bits&0x1000 == 0: // type I has no header
		return ethernet, at
	case et == etERSPAN2:
		return func(d *decoder, off int) (next, int) { return d.erspan("ERSPAN II", 8, off) }, at
	case et == etERSPAN3:
		return func(d *decoder, off int) (next, int) { return d.erspan("ERSPAN III", 12, off) }, at
	}
	return byType(et), at
}

// erspan: draft-foschiano-erspan.
func (d *decoder) erspan(name string, n, off int) (next, int) {
	if n == 12 && off+12 <= len(d.b) && d.b[off+11]&1 != 0 { // platform-specific subheader
		n += 8
	}
	l, ok := d.layer(name, off, n)
	if !ok {
		return nil, len(d.b)
	}
	l.add("vlan", fmt.Sprint(d.uint(off, 2)&0xfff), off, off+2)
	session := d.uint(off+2, 2) & 0x3ff
	l.add("session", fmt.Sprint(session), off+2, off+4)
	l.Summary = fmt.Sprintf("session %d", session)
	return ethernet, off + n
}

var sctpChunks = map[uint64]string{0: "DATA", 1: "INIT", 2: "INIT ACK", 3: "SACK", 4: "HEARTBEAT", 5: "HEARTBEAT ACK", 6: "ABORT", 7: "SHUTDOWN",
	8: "SHUTDOWN ACK", 9: "ERROR", 10: "COOKIE ECHO", 11: "COOKIE ACK", 14: "SHUTDOWN COMPLETE", 64: "I-DATA", 130: "RE-CONFIG", 192: "FORWARD TSN"}

// sctp: RFC 9260.
func sctp(d *decoder, off int) (next, int) {
	l, ok := d.layer("SCTP", off, 12)
	if !ok {
		return nil, len(d.b)
	}
	src, dst := d.number(l, "source port", off, 2), d.number(l, "destination port", off+2, 2)
	d.hexed(l, "verification tag", off+4, 4)
	d.hexed(l, "checksum", off+8, 4)
	var chunks []string
	for at := off + 12; at+4 <= len(d.b) && len(chunks) < maxFields; {
		n := int(d.u16(at + 2))
		name := named(d.uint(at, 1), sctpChunks)
		if n < 4 {
			break
		}
		end := min(at+n, len(d.b))
		l.add("chunk", fmt.Sprintf("%s, %d bytes", name, n), at, end)
		chunks = append(chunks, strings.Fields(name)[0])
		at += (n + 3) &^ 3
	}
	l.Summary = fmt.Sprintf("%d → %d %s", src, dst, strings.Join(chunks[:min(len(chunks), 6)], " "))
	return nil, off + 12
}
