package flow

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/sshark/sshark/pcap"
)

// The builders below put one header before what is inside.

func cat(parts ...[]byte) []byte { return slices.Concat(parts...) }

func u16(v ...uint16) (b []byte) {
	for _, x := range v {
		b = binary.BigEndian.AppendUint16(b, x)
	}
	return b
}

func eth(et uint16, inner []byte) []byte { return cat(make([]byte, 12), u16(et), inner) }

func ip4(proto Proto, src, dst string, inner []byte) []byte {
	h := make([]byte, 20)
	h[0], h[8], h[9] = 0x45, 64, byte(proto)
	binary.BigEndian.PutUint16(h[2:], uint16(20+len(inner)))
	copy(h[12:], netip.MustParseAddr(src).AsSlice())
	copy(h[16:], netip.MustParseAddr(dst).AsSlice())
	return cat(h, inner)
}

func ip6(next byte, src, dst string, inner []byte) []byte {
	h := make([]byte, 40)
	h[0], h[6], h[7] = 0x60, next, 64
	binary.BigEndian.PutUint16(h[4:], uint16(len(inner)))
	copy(h[8:], netip.MustParseAddr(src).AsSlice())
	copy(h[24:], netip.MustParseAddr(dst).AsSlice())
	return cat(h, inner)
}

func tcp(src, dst uint16, payload string) []byte {
	h := make([]byte, 20)
	copy(h, u16(src, dst, 0, 1, 0, 2))
	h[12], h[13] = 5<<4, ACK|PSH
	return cat(h, []byte(payload))
}

func udp(src, dst uint16, payload []byte) []byte {
	return cat(u16(src, dst, uint16(8+len(payload)), 0), payload)
}

const c4, s4 = "10.0.0.1", "10.0.0.2"
const c6, s6 = "fd00::1", "fd00::2"

// session puts the header of a PPPoE session before an IPv4 packet, with the length that it has.
func session(inner []byte) []byte {
	return cat([]byte{0x11, 0}, u16(1, uint16(2+len(inner)), 0x21), inner)
}

// sized is an IPv4 packet that says that it is so long.
func sized(packet []byte, total uint16) []byte {
	b := slices.Clone(packet)
	binary.BigEndian.PutUint16(b[2:], total)
	return b
}

// part is an IPv4 packet that says that more of it follows.
func part(packet []byte) []byte {
	b := slices.Clone(packet)
	b[6] |= 0x20
	return b
}

var get = tcp(4000, 80, "GET /")

// parseCase is a packet, and what Parse reads: "SRC > DST PROTO PAYLOAD", or "none".
type parseCase struct {
	name string
	link pcap.LinkType
	in   []byte
	want string
}

func parseCases() []parseCase {
	inner4 := ip4(TCP, c4, s4, get)
	inner6 := ip6(6, c6, s6, get)
	snap4 := cat([]byte{0xaa, 0xaa, 3, 0, 0, 0}, u16(etIPv4))
	outer := func(proto Proto, b []byte) []byte { return eth(etIPv4, ip4(proto, "192.0.2.1", "192.0.2.2", b)) }
	const web4, web6 = "10.0.0.1:4000 > 10.0.0.2:80 tcp GET /", "[fd00::1]:4000 > [fd00::2]:80 tcp GET /"
	gtp := func(flags byte, rest ...byte) []byte {
		return outer(UDP, udp(2152, 2152, cat([]byte{flags, 0xff, 0, byte(len(rest) + len(inner4)), 0, 0, 0, 1}, rest, inner4)))
	}
	return []parseCase{
		{"ethernet", 1, eth(etIPv4, inner4), web4},
		{"ethernet v6", 1, eth(etIPv6, inner6), web6},
		{"padding", 1, cat(eth(etIPv4, inner4), make([]byte, 9)), web4},
		{"raw", 101, inner4, web4},
		{"raw v6", 229, inner6, web6},
		{"raw, old number", 12, inner4, web4},
		{"null", 0, cat([]byte{2, 0, 0, 0}, inner4), web4},
		{"loop", 108, cat([]byte{0, 0, 0, 24}, inner6), web6},
		{"sll", 113, cat(make([]byte, 14), u16(etIPv4), inner4), web4},
		{"sll2", 276, cat(u16(etIPv6), make([]byte, 18), inner6), web6},
		{"ppp", 9, cat(u16(0x21), inner4), web4},
		{"ppp, HDLC", 9, cat([]byte{0xff, 3}, u16(0x57), inner6), web6},
		{"ppp, protocol in a byte", 9, cat([]byte{0x21}, inner4), web4},
		{"ppp, HDLC, protocol in a byte", 9, cat([]byte{0xff, 3, 0x57}, inner6), web6},
		{"ppp over a serial line", 50, cat([]byte{0xff, 3}, u16(0x21), inner4), web4},
		{"Cisco's HDLC", 50, cat([]byte{0x0f, 0}, u16(etIPv4), inner4), web4},
		{"Cisco's HDLC, own number", 104, cat([]byte{0x8f, 0}, u16(etIPv6), inner6), web6},
		{"802.11", 105, cat([]byte{0x08, 1}, make([]byte, 22), snap4, inner4), web4},
		{"802.11 with QoS, HT control and four addresses", 105, cat([]byte{0x88, 0x83}, make([]byte, 34), snap4, inner4), web4},
		{"802.11, encrypted", 105, cat([]byte{0x08, 0x41}, make([]byte, 22), snap4, inner4), "none"},
		{"802.11, a beacon", 105, cat([]byte{0x80, 0}, make([]byte, 22), snap4, inner4), "none"},
		{"radiotap", 127, cat([]byte{0, 0, 9, 0, 0, 0, 0, 0, 0}, []byte{0x88, 1}, make([]byte, 24), snap4, inner4), web4},
		{"radiotap, cut", 127, []byte{0, 0, 9}, "none"},
		{"radiotap, padded header", 127, cat([]byte{0, 0, 9, 0, 2, 0, 0, 0, 0x20}, []byte{0x88, 1}, make([]byte, 26), snap4, inner4), web4},
		{"radiotap with a time, padded header", 127, cat([]byte{0, 0, 25, 0, 3, 0, 0, 0x80, 0, 0, 0, 0}, make([]byte, 12), []byte{0x20}, []byte{0x88, 1}, make([]byte, 26), snap4, inner4), web4},
		{"Prism", 119, cat([]byte{0x44, 0, 0, 0, 144, 0, 0, 0}, make([]byte, 136), []byte{0x08, 1}, make([]byte, 22), snap4, inner4), web4},
		{"AVS", 163, cat([]byte{0x80, 0x21, 0x10, 0x01, 0, 0, 0, 64}, make([]byte, 56), []byte{0x08, 1}, make([]byte, 22), snap4, inner4), web4},
		{"PPI", 192, cat([]byte{0, 0, 8, 0, 105, 0, 0, 0}, []byte{0x08, 1}, make([]byte, 22), snap4, inner4), web4},
		{"PPI in PPI", 192, cat([]byte{0, 0, 8, 0, 192, 0, 0, 0}, []byte{0, 0, 8, 0, 101, 0, 0, 0}, inner4), "none"},
		{"token ring", 6, cat([]byte{0x10, 0x40}, make([]byte, 12), snap4, inner4), web4},
		{"token ring with a route", 6, cat([]byte{0x10, 0x40}, make([]byte, 6), []byte{0x80}, make([]byte, 5), []byte{6, 0x30, 0, 0x10, 0, 0x20}, snap4, inner4), web4},
		{"FDDI", 10, cat([]byte{0x51}, make([]byte, 12), snap4, inner4), web4},
		{"frame relay", 107, cat([]byte{0x18, 0x41, 3, 0xcc}, inner4), web4},
		{"frame relay, v6", 107, cat([]byte{0x18, 0x41, 3, 0x8e}, inner6), web6},
		{"frame relay, long address, SNAP", 107, cat([]byte{0x18, 0x40, 0, 0x41, 3, 0, 0x80, 0, 0, 0}, u16(etIPv4), inner4), web4},
		{"frame relay of Cisco", 107, cat([]byte{0x18, 0x41}, u16(etIPv4), inner4), web4},
		{"frame relay, its own signals", 107, cat([]byte{0, 1, 3, 8}, inner4), "none"},
		{"ipnet", 226, cat([]byte{1, 2, 0, 0, 0, 0, 0, byte(len(inner4))}, make([]byte, 16), inner4), web4},
		{"IP over InfiniBand", 242, cat(make([]byte, 40), u16(etIPv4, 0), inner4), web4},
		{"netfilter log", 239, cat([]byte{2, 0, 0, 0, 5, 0, 10, 0, 0, 0, 0, 0, byte(4 + len(inner4)), 0, 9, 0}, inner4), web4},
		{"netfilter log, the other order", 239, cat([]byte{2, 0, 0, 0, 0, 5, 0, 10, 0, 0, 0, 0, 0, byte(4 + len(inner4)), 0, 9}, inner4), web4},
		{"netfilter log without a packet", 239, []byte{2, 0, 0, 0, 5, 0, 10, 0, 0, 0, 0, 0, 3, 0, 9, 0, 0x45}, "none"},
		{"packet filter log", 117, cat([]byte{61, 2}, make([]byte, 62), inner4), web4},
		{"OpenBSD's IPsec", 109, cat([]byte{2, 0, 0, 0}, make([]byte, 8), inner4), web4},
		{"MPLS alone", 219, cat([]byte{0, 1, 1, 9}, inner4), web4},
		{"PPPoE alone", 51, session(inner4), web4},
		{"VN-Tag", 1, eth(etVNTag, cat(u16(0, 7, etIPv4), inner4)), web4},
		{"E-Tag", 1, eth(etETag, cat(u16(0, 7, 0, etIPv4), inner4)), web4},
		{"Cisco metadata", 1, eth(etCiscoMeta, cat(u16(0x0101, 1, 7, etIPv4), inner4)), web4},
		{"backbone", 1, eth(etBackbone, cat(u16(0, 7), eth(etIPv4, inner4))), web4},
		{"NSH", 1, eth(etNSH, cat([]byte{0x0f, 0xc6, 1, 1}, make([]byte, 20), inner4)), web4},
		{"MACsec without encryption", 1, eth(etMACsec, cat([]byte{0, 0}, make([]byte, 4), u16(etIPv4), inner4, make([]byte, 16))), web4},
		{"MACsec with a channel", 1, eth(etMACsec, cat([]byte{0x20, 0}, make([]byte, 12), u16(etIPv4), inner4, make([]byte, 16))), web4},
		{"MACsec with encryption", 1, eth(etMACsec, cat([]byte{0x2c, 0}, make([]byte, 12), u16(etIPv4), inner4)), "none"},
		{"LLC and SNAP", 1, eth(uint16(8+len(inner4)), cat(snap4, inner4)), web4},
		{"LLC of something else", 1, eth(38, cat([]byte{0x42, 0x42, 3}, make([]byte, 35))), "none"},
		{"authentication header", 1, outer(nhAuth, cat([]byte{byte(protoIPIP), 4}, make([]byte, 22), inner4)), web4},
		{"authentication header, cut", 1, outer(nhAuth, []byte{byte(protoIPIP), 4, 0, 0}), "192.0.2.1:0 > 192.0.2.2:0 ip-51 \x04\x04\x00\x00"},
		{"Teredo", 1, outer(UDP, udp(5000, portTeredo, inner6)), web6},
		{"Teredo with authentication and origin", 1, outer(UDP, udp(portTeredo, 5000, cat([]byte{0, 1, 0, 0}, make([]byte, 9), make([]byte, 8), inner6))), web6},
		{"VLAN", 1, eth(etVLAN, cat(u16(7, etIPv4), inner4)), web4},
		{"QinQ v6", 1, eth(etQinQ, cat(u16(7, etVLAN, 8, etIPv6), inner6)), web6},
		{"MPLS", 1, eth(etMPLS, cat([]byte{0, 1, 0, 9, 0, 2, 1, 9}, inner4)), web4},
		{"MPLS pseudowire", 1, eth(etMPLS, cat([]byte{0, 2, 1, 9, 0, 0, 0, 0}, eth(etIPv4, inner4))), web4},
		{"PPPoE", 1, eth(etPPPoE, cat([]byte{0x11, 0}, u16(1, 99, 0x21), inner4)), web4},
		{"PPPoE, padded", 1, cat(eth(etPPPoE, session(sized(inner4, 0))), make([]byte, 6)), web4},
		{"PPPoE, padded, IP counts it", 1, cat(eth(etPPPoE, session(sized(inner4, uint16(len(inner4)+6)))), make([]byte, 6)), web4},
		{"PPPoE, cut", 1, eth(etPPPoE, session(inner4))[:14+8+20+20+3], "10.0.0.1:4000 > 10.0.0.2:80 tcp GET cut 2"},
		{"PPPoE that says less than its header", 1, eth(etPPPoE, cat([]byte{0x11, 0}, u16(1, 0, 0x21), inner4)), "none"},
		{"IP in IP", 1, outer(protoIPIP, inner4), web4},
		{"6in4", 1, outer(protoIPv6, inner6), web6},
		{"GRE", 1, outer(protoGRE, cat(u16(0, etIPv4), inner4)), web4},
		{"GRE key and sequence", 1, outer(protoGRE, cat(u16(0x3000, etIPv6), make([]byte, 8), inner6)), web6},
		{"NVGRE", 1, outer(protoGRE, cat(u16(0x2000, etTransEther), make([]byte, 4), eth(etIPv4, inner4))), web4},
		{"PPTP", 1, outer(protoGRE, cat(u16(0x2001, 0x880b, 0, 0), u16(0x21), inner4)), web4},
		{"ERSPAN II", 1, outer(protoGRE, cat(u16(0x1000, etERSPAN2, 0, 0), []byte{0x10}, make([]byte, 7), eth(etIPv4, inner4))), web4},
		{"ERSPAN I", 1, outer(protoGRE, cat(u16(0, etERSPAN2), eth(etIPv4, inner4))), web4},
		{"ERSPAN III", 1, outer(protoGRE, cat(u16(0x1000, etERSPAN3, 0, 0), []byte{0x20}, make([]byte, 10), []byte{1}, make([]byte, 8), eth(etIPv4, inner4))), web4},
		{"VXLAN", 1, outer(UDP, udp(5000, portVXLAN, cat([]byte{8, 0, 0, 0, 0, 0, 9, 0}, eth(etIPv4, inner4)))), web4},
		{"VXLAN, VLAN inside", 1, outer(UDP, udp(5000, portVXLAN, cat([]byte{8, 0, 0, 0, 0, 0, 9, 0}, eth(etVLAN, cat(u16(7, etIPv6), inner6))))), web6},
		{"GENEVE with options", 1, outer(UDP, udp(5000, portGENEVE, cat([]byte{1, 0}, u16(etTransEther), make([]byte, 8), eth(etIPv4, inner4)))), web4},
		{"VXLAN with a policy", 1, outer(UDP, udp(5000, portVXLAN, cat([]byte{0x88, 0x40, 0, 3, 0, 0, 9, 0}, eth(etIPv4, inner4)))), web4},
		{"VXLAN on Linux's old port", 1, outer(UDP, udp(5000, portVXLANOld, cat([]byte{8, 0, 0, 0, 0, 0, 9, 0}, eth(etIPv4, inner4)))), web4},
		{"VXLAN-GPE", 1, outer(UDP, udp(5000, portVXLANGPE, cat([]byte{0x0c, 0, 0, 1, 0, 0, 9, 0}, inner4))), web4},
		{"NSH in VXLAN-GPE", 1, outer(UDP, udp(5000, portVXLANGPE, cat([]byte{0x0c, 0, 0, 4, 0, 0, 9, 0}, []byte{0x0f, 0xc2, 2, 3, 0, 0, 0, 9}, eth(etIPv6, inner6)))), web6},
		{"MPLS in UDP", 1, outer(UDP, udp(5000, portMPLS, cat([]byte{0, 1, 1, 9}, inner4))), web4},
		{"PIM register", 1, outer(protoPIM, cat([]byte{0x21, 0, 0, 0, 0, 0, 0, 0}, inner4)), web4},
		{"MPLS in IP", 1, outer(protoMPLS, cat([]byte{0, 1, 1, 9}, inner4)), web4},
		{"Ethernet in IP", 1, outer(protoEthIP, cat([]byte{0x30, 0}, eth(etIPv4, inner4))), web4},
		{"GRE to a cache", 1, outer(protoGRE, cat(u16(0, etWCCP), inner4)), web4},
		{"GRE to a cache, version 2", 1, outer(protoGRE, cat(u16(0, etWCCP), make([]byte, 4), inner4)), web4},
		{"CAPWAP", 1, outer(UDP, udp(5000, portCAPWAP, cat([]byte{0, 0x10, 2, 0, 0, 0, 0, 0}, eth(etIPv4, inner4)))), web4},
		{"CAPWAP, 802.11, swapped", 1, outer(UDP, udp(portCAPWAP, 5000, cat([]byte{0, 0x10, 3, 0, 0, 0, 0, 0}, []byte{1, 0x08}, make([]byte, 22), snap4, inner4))), web4},
		{"CAPWAP, 802.11", 1, outer(UDP, udp(portCAPWAP, 5000, cat([]byte{0, 0x10, 3, 0, 0, 0, 0, 0}, []byte{0x88, 2}, make([]byte, 24), snap4, inner4))), web4},
		{"CAPWAP, keep alive", 1, outer(UDP, udp(portCAPWAP, 5000, cat([]byte{0, 0x10, 3, 0x08, 0, 0, 0, 0}, make([]byte, 40)))), "192.0.2.1:5247 > 192.0.2.2:5000 udp ..."},
		{"L2TP", 1, outer(UDP, udp(portL2TP, portL2TP, cat(u16(2, 7, 9), []byte{0xff, 3}, u16(0x21), inner4))), web4},
		{"L2TP with all there is", 1, outer(UDP, udp(5000, portL2TP, cat(u16(0x4a02, uint16(18+len(inner6)), 7, 9, 1, 1, 2, 0), u16(0x57), inner6))), web6},
		{"L2TP, control", 1, outer(UDP, udp(5000, portL2TP, cat(u16(0xc802, 12, 7, 0, 1, 1), []byte("tied up")))), "192.0.2.1:5000 > 192.0.2.2:1701 udp ..."},
		{"GTP-U", 1, gtp(0x30), web4},
		{"GTP-U with extension", 1, gtp(0x34, 0, 1, 0, 0x85, 1, 0, 9, 0), web4},
		{"IPv6 extensions", 1, eth(etIPv6, ip6(0, c6, s6, cat([]byte{60, 0, 0, 0, 0, 0, 0, 0}, []byte{6, 1}, make([]byte, 14), get))), web6},
		{"IPv6 lone fragment", 1, eth(etIPv6, ip6(44, c6, s6, cat([]byte{6, 0, 0, 0, 0, 0, 0, 1}, get))), web6},
		{"UDP", 1, eth(etIPv4, ip4(UDP, s4, c4, cat(udp(53, 4000, []byte("answer")), []byte("pad")))), "10.0.0.2:53 > 10.0.0.1:4000 udp answer"},
		{"SCTP", 1, eth(etIPv4, ip4(SCTP, s4, c4, cat(u16(38412, 500, 0, 0, 0, 0), []byte("chunk")))), "10.0.0.2:38412 > 10.0.0.1:500 sctp chunk"},
		{"ICMP", 1, eth(etIPv4, ip4(ICMP, s4, c4, []byte("echo"))), "10.0.0.2:0 > 10.0.0.1:0 icmp echo"},
		// The tunnel's own header is the flow where the inside cannot be read.
		{"ARP in VXLAN", 1, outer(UDP, udp(5000, portVXLAN, cat([]byte{8, 0, 0, 0, 0, 0, 9, 0}, eth(0x0806, make([]byte, 28))))), "192.0.2.1:5000 > 192.0.2.2:4789 udp ..."},
		{"cut IP in IP", 1, outer(protoIPIP, inner4[:12]), "192.0.2.1:0 > 192.0.2.2:0 ip-4 ..."},
		{"cut IPv6 extension in a tunnel", 1, outer(protoIPv6, ip6(0, c6, s6, []byte{6, 9})), "192.0.2.1:0 > 192.0.2.2:0 ip-41 ..."},
		{"not VXLAN", 1, outer(UDP, udp(5000, portVXLAN, []byte("hello, world of ports"))), "192.0.2.1:5000 > 192.0.2.2:4789 udp hello, world of ports"},
		{"segmentation offload", 1, eth(etIPv4, func() []byte { b := slices.Clone(inner4); b[2], b[3] = 0, 0; return b }()), web4},
		{"cut TCP header", 1, eth(etIPv4, inner4)[:14+20+16], "10.0.0.1:4000 > 10.0.0.2:80 tcp  cut 9"},
		{"cut payload", 1, eth(etIPv4, inner4)[:14+20+20+3], "10.0.0.1:4000 > 10.0.0.2:80 tcp GET cut 2"},
		{"ARP", 1, eth(0x0806, make([]byte, 28)), "none"},
		{"short", 1, make([]byte, 9), "none"},
		{"cut IPv6 extension", 1, eth(etIPv6, ip6(0, c6, s6, []byte{6, 0})), "none"},
		{"another link type", 127, inner4, "none"},
		{"first fragment, cut", 1, eth(etIPv4, part(ip4(UDP, c4, s4, udp(4000, 53, []byte("a question")))))[:14+20+8+4], "10.0.0.1:4000 > 10.0.0.2:53 udp a qu cut 6"},
		{"first fragment, cut, v6", 1, eth(etIPv6, ip6(44, c6, s6, cat([]byte{17, 0, 0, 1, 0, 0, 0, 1}, udp(4000, 53, []byte("a question")))))[:14+40+8+8+4], "[fd00::1]:4000 > [fd00::2]:53 udp a qu cut 6"},
	}
}

func TestParse(t *testing.T) {
	for _, c := range parseCases() {
		t.Run(c.name, func(t *testing.T) {
			var h Header
			got := "none"
			if h.Parse(c.link, c.in) {
				got = fmt.Sprintf("%v > %v %v %s", h.Key.Addr(h.Dir), h.Key.Addr(h.Dir.Other()), h.Key.Proto, h.Data(c.in))
				if h.Truncated {
					got += fmt.Sprintf(" cut %d", h.WireEnd-h.End)
				}
			}
			if want, open := cutDots(c.want); got != want && !(open && len(got) > len(want) && got[:len(want)] == want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

// cutDots: a wanted text that ends in dots wants only its beginning.
func cutDots(s string) (string, bool) {
	if n := len(s) - 3; n > 0 && s[n:] == "..." {
		return s[:n], true
	}
	return s, false
}

func TestFragments(t *testing.T) {
	for name, part := range map[string]func(offset uint16, more bool, b []byte) []byte{
		"IPv4": func(offset uint16, more bool, b []byte) []byte {
			p := ip4(UDP, c4, s4, b)
			v := offset / 8
			if more {
				v |= 0x2000
			}
			copy(p[4:], u16(77, v))
			return eth(etIPv4, p)
		},
		"IPv6": func(offset uint16, more bool, b []byte) []byte {
			v := offset
			if more {
				v |= 1
			}
			return eth(etIPv6, ip6(44, c6, s6, cat([]byte{17, 0}, u16(v, 0, 77), b)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			whole := udp(4000, 53, []byte("a question of 24 letters"))
			var keys []Key
			for _, f := range []struct {
				offset uint16
				more   bool
			}{{0, true}, {16, false}} {
				data := whole[f.offset:]
				if f.more {
					data = whole[:16]
				}
				b := part(f.offset, f.more, data)
				var h Header
				if !h.Parse(pcap.LinkEthernet, b) || !h.Fragments || h.Fragment != (Fragment{77, uint32(f.offset), f.more}) {
					t.Fatalf("fragment at %d: %+v", f.offset, h)
				}
				if string(h.Data(b)) != string(data) {
					t.Errorf("fragment at %d: %q", f.offset, h.Data(b))
				}
				keys = append(keys, h.Key)
			}
			if keys[0] != keys[1] || keys[0].PortA != 0 || keys[0].PortB != 0 || keys[0].Proto != UDP {
				t.Errorf("keys %v", keys)
			}
		})
	}
}

func TestID(t *testing.T) {
	k, dir := NewKey(netip.MustParseAddrPort("10.0.0.2:80"), netip.MustParseAddrPort("10.0.0.1:4000"), TCP)
	back, other := NewKey(netip.MustParseAddrPort("10.0.0.1:4000"), netip.MustParseAddrPort("10.0.0.2:80"), TCP)
	if k != back || dir != other.Other() || k.Addr(dir) != netip.MustParseAddrPort("10.0.0.2:80") {
		t.Errorf("%v %v, %v %v", k, dir, back, other)
	}
	id := NewID(&k, "pod", 5)
	for _, x := range []ID{NewID(&k, "pod", 6), NewID(&k, "dop", 5), NewID(&Key{}, "pod", 5)} {
		if x == id {
			t.Error("two flows with one ID")
		}
	}
	if id>>52 != 0 {
		t.Errorf("%v has more than 52 bits", id)
	}
	if got, err := ParseID(id.String()); err != nil || got != id {
		t.Errorf("ParseID(%v) = %v, %v", id, got, err)
	}
	for _, bad := range []string{"", "1", "000000000000g", "0000000000000", "00000000000001", "+00000000000a", "0x00000000001", " 00000000000a", "00000000000 a"} {
		if id, err := ParseID(bad); err == nil {
			t.Errorf("ParseID(%q) = %v", bad, id)
		}
	}
}

// Offsets are in order and within the data, and the way back has the same key.
func FuzzParse(f *testing.F) {
	for _, c := range parseCases() {
		f.Add(uint16(c.link), c.in)
	}
	f.Add(uint16(1), eth(etVLAN, cat(u16(7, etIPv4), ip4(TCP, c4, s4, get))))
	f.Add(uint16(1), eth(etIPv6, ip6(0, c6, s6, cat([]byte{44, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 8, 0, 0, 0, 1}, get))))
	f.Add(uint16(101), ip4(UDP, c4, s4, udp(1, portVXLAN, cat([]byte{8, 0, 0, 0, 0, 0, 9, 0}, eth(etIPv4, ip4(TCP, c4, s4, get))))))
	f.Add(uint16(101), ip4(UDP, c4, s4, udp(1, portGTPU, cat([]byte{0x34, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0, 9, 0}, ip6(6, c6, s6, get)))))
	f.Add(uint16(101), ip4(protoGRE, c4, s4, cat(u16(0x3000, etMPLS), make([]byte, 8), []byte{0, 1, 1, 9}, ip4(SCTP, c4, s4, get))))
	f.Fuzz(func(t *testing.T, link uint16, in []byte) {
		var h Header
		if !h.Parse(pcap.LinkType(link), in) {
			if h.Key != (Key{}) {
				t.Fatalf("no header, but a key: %+v", h)
			}
			return
		}
		if !(0 <= h.Network && h.Network < h.Transport && h.Transport <= h.Payload && h.Payload <= h.End && h.End <= len(in) && h.End <= h.WireEnd) ||
			h.Truncated != (h.WireEnd > h.End) {
			t.Fatalf("offsets of %d bytes: %+v", len(in), h)
		}
		back := slices.Clone(in)
		n := 4
		if in[h.Network]>>4 == 6 {
			n = 16
			swap(back[h.Network+8:], n)
		} else {
			swap(back[h.Network+12:], n)
		}
		if h.Key.PortA|h.Key.PortB != 0 {
			swap(back[h.Transport:], 2)
		}
		var r Header
		// Swapped ports may make a tunnel of it; what is then inside is another flow.
		if !r.Parse(pcap.LinkType(link), back) || r.Network != h.Network {
			return
		}
		if r.Key != h.Key || r.Key.Hash() != h.Key.Hash() || r.Dir != h.Dir.Other() && h.Key.Addr(0) != h.Key.Addr(1) {
			t.Fatalf("there %+v, back %+v", h, r)
		}
	})
}

// swap exchanges the first n bytes with the n that follow.
func swap(b []byte, n int) {
	for i := range n {
		b[i], b[n+i] = b[n+i], b[i]
	}
}

func BenchmarkParse(b *testing.B) {
	for name, in := range map[string][]byte{
		"v4":    eth(etIPv4, ip4(TCP, c4, s4, get)),
		"v6":    eth(etIPv6, ip6(6, c6, s6, get)),
		"vxlan": eth(etIPv4, ip4(UDP, c4, s4, udp(1, portVXLAN, cat([]byte{8, 0, 0, 0, 0, 0, 9, 0}, eth(etIPv4, ip4(TCP, c4, s4, get)))))),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var h Header
			for b.Loop() {
				if !h.Parse(pcap.LinkEthernet, in) {
					b.Fatal("not parsed")
				}
			}
		})
	}
}
