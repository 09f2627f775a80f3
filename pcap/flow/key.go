// Package flow parses packet headers without allocation, and names conversations.
//
// A Header is filled by Parse from one packet. Its Key is free of direction: the lower
// endpoint is A, so both directions of a conversation have one key; Header.Dir tells which
// way this packet went. Tunnels (VLAN, QinQ, MPLS, PPPoE, GRE, ERSPAN, VXLAN, GENEVE, GTP-U,
// Teredo, IP in IP) are taken off: the key is that of the innermost IP header that could be read.
// IP fragments keep their key without ports; Header.Fragment describes them.
package flow

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"strconv"
)

// Proto is an IP protocol number; 0 is a packet without an IP header (ARP and the like).
type Proto uint8

// The transports that have ports or calls of their own.
const (
	ICMP   Proto = 1
	TCP    Proto = 6
	UDP    Proto = 17
	ICMPv6 Proto = 58
	SCTP   Proto = 132
)

// String is the lower-case name, as filters and JSON have it.
func (p Proto) String() string {
	switch p {
	case 0:
		return "none"
	case ICMP:
		return "icmp"
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case ICMPv6:
		return "icmpv6"
	case SCTP:
		return "sctp"
	}
	return fmt.Sprintf("ip-%d", uint8(p))
}

// Dir is the direction of a packet or a stream.
type Dir uint8

// Of a key: A to B, and B to A.
const (
	AtoB Dir = 0
	BtoA Dir = 1
)

// Other is the opposite direction.
func (d Dir) Other() Dir { return d ^ 1 }

// Key is a conversation: two endpoints, the lower one first, and the protocol between them.
// IPv4 addresses are in their IPv4-mapped form. It is comparable; the zero Key is "no IP".
type Key struct {
	A, B         [16]byte
	PortA, PortB uint16
	Proto        Proto
	_            [3]byte
}

// Addr is the endpoint that sends in direction d.
func (k *Key) Addr(d Dir) netip.AddrPort {
	if d == AtoB {
		return netip.AddrPortFrom(netip.AddrFrom16(k.A).Unmap(), k.PortA)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(k.B).Unmap(), k.PortB)
}

// NewKey orders two endpoints; dir is the direction src to dst has in the key.
func NewKey(src, dst netip.AddrPort, proto Proto) (k Key, dir Dir) {
	k.A, k.B = src.Addr().As16(), dst.Addr().As16()
	k.PortA, k.PortB = src.Port(), dst.Port()
	k.Proto = proto
	return k, k.order()
}

// order swaps the endpoints if B is the lower one, and says so.
func (k *Key) order() Dir {
	be := binary.BigEndian
	c := cmp.Compare(be.Uint64(k.A[:8]), be.Uint64(k.B[:8]))
	if c == 0 {
		c = cmp.Compare(be.Uint64(k.A[8:]), be.Uint64(k.B[8:]))
	}
	if c == 0 {
		c = cmp.Compare(k.PortA, k.PortB)
	}
	if c <= 0 {
		return AtoB
	}
	k.A, k.B = k.B, k.A
	k.PortA, k.PortB = k.PortB, k.PortA
	return BtoA
}

// Hash is the same for both directions, on every machine and in every run.
func (k *Key) Hash() uint64 {
	le := binary.LittleEndian
	const m1, m2 = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93
	h := le.Uint64(k.A[8:]) ^ uint64(k.PortA)<<48 ^ uint64(k.PortB)<<32 ^ uint64(k.Proto)<<24
	hi, lo := bits.Mul64(h^m1, m2)
	h = hi ^ lo ^ le.Uint64(k.B[8:])
	hi, lo = bits.Mul64(h^m2, m1)
	h = hi ^ lo
	// The upper halves are the same constant for all IPv4 keys.
	hi, lo = bits.Mul64(h^le.Uint64(k.A[:8]), m2^le.Uint64(k.B[:8]))
	return hi ^ lo
}

// ID names a flow for life: 52 bits, so that it is exact in every JSON reader, and never 0.
type ID uint64

// NewID derives the ID from where the flow was seen, its key, and its first packet's time,
// so that the same packets give the same ID wherever they are read.
func NewID(k *Key, vantage string, first int64) ID {
	h := k.Hash()
	for i := 0; i < len(vantage); i++ {
		h = (h ^ uint64(vantage[i])) * 0x100000001b3
	}
	hi, lo := bits.Mul64(h^uint64(first), 0x9E3779B97F4A7C15)
	id := ID((hi ^ lo) >> 12)
	if id == 0 {
		id = 1
	}
	return id
}

// String is 13 hexadecimal digits.
func (id ID) String() string { return fmt.Sprintf("%013x", uint64(id)) }

// ParseID reads what String wrote.
func ParseID(s string) (ID, error) {
	id, err := strconv.ParseUint(s, 16, 52)
	if err != nil || id == 0 || len(s) != 13 {
		return 0, fmt.Errorf("flow ID %q: want 13 hexadecimal digits, as in the stream column of calls or flows", s)
	}
	return ID(id), nil
}
