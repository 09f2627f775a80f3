// Package pcap says what a packet is. Everything that captures, stores, reads, merges or
// writes packets speaks in these types; nothing here knows Kubernetes, SSH or screens.
//
// Ownership: Packet.Data is borrowed. Whoever hands out a packet says until when it may be
// read (usually: until the next packet is asked for); who needs it longer copies it.
// Interface values are immutable once shared and may be kept for ever.
package pcap

import (
	"net/netip"
)

// LinkType is a pcap link-layer header type (tcpdump.org/linktypes.html).
type LinkType uint16

// The link types that are parsed. Packets of others are kept and counted, not dissected.
const (
	LinkNull       LinkType = 0   // BSD loopback, address family in the writer's byte order
	LinkEthernet   LinkType = 1   // IEEE 802.3
	LinkTokenRing  LinkType = 6   // IEEE 802.5
	LinkPPP        LinkType = 9   // PPP, with or without HDLC-like framing
	LinkFDDI       LinkType = 10  // FDDI
	LinkPPPHDLC    LinkType = 50  // PPP or Cisco's HDLC of a serial line
	LinkPPPoE      LinkType = 51  // starts with the PPPoE header
	LinkRaw        LinkType = 101 // starts with the IP header (classic files also say 12 or 14)
	LinkCisco      LinkType = 104 // Cisco's HDLC
	LinkWireless   LinkType = 105 // IEEE 802.11
	LinkFrameRelay LinkType = 107 // frame relay
	LinkLoop       LinkType = 108 // OpenBSD loopback, address family in network byte order
	LinkEnc        LinkType = 109 // OpenBSD's IPsec interface
	LinkSLL        LinkType = 113 // Linux cooked, version 1
	LinkPFLog      LinkType = 117 // OpenBSD's packet filter log
	LinkPrism      LinkType = 119 // IEEE 802.11 behind a Prism header
	LinkRadiotap   LinkType = 127 // IEEE 802.11 behind a radiotap header (radiotap.org)
	LinkAVS        LinkType = 163 // IEEE 802.11 behind an AVS header
	LinkPPI        LinkType = 192 // another link type behind per-packet information
	LinkMPLS       LinkType = 219 // starts with an MPLS label
	LinkIPNet      LinkType = 226 // Solaris's IP observability
	LinkIPv4       LinkType = 228 // starts with an IPv4 header
	LinkIPv6       LinkType = 229 // starts with an IPv6 header
	LinkNFLog      LinkType = 239 // Linux's netfilter log
	LinkIPoIB      LinkType = 242 // IP over InfiniBand
	LinkSLL2       LinkType = 276 // Linux cooked, version 2
)

// Pod names the owner of an interface. On a machine without Kubernetes it is a named network
// namespace: Name is its name, Namespace is empty. The zero Pod is the node itself, or a file
// that does not say.
type Pod struct {
	Namespace string
	Name      string
	UID       string
}

// String is "namespace/name", or the name alone where there is no namespace.
func (p Pod) String() string {
	if p.Namespace == "" {
		return p.Name
	}
	return p.Namespace + "/" + p.Name
}

// Interface is one network device of one pod, or of the node; in pcapng one Interface
// Description Block.
type Interface struct {
	Name    string   // the device's name in its own namespace: "eth0"
	Link    LinkType // how its packets begin
	SnapLen uint32   // bytes kept of a packet, 0: all
	Node    string   // the node it is on, "" when a file does not say
	Pod     Pod
	Addrs   []netip.Prefix // the device's own addresses, where known
	Comment string         // the description of a foreign file, kept as it was

	// Vantage is one small number for all interfaces of one pod within one source of packets:
	// what they see is one point of view. 0 stands for all that name neither a pod nor a node.
	Vantage uint32
}

// Bits of Packet.Flags: the low bits of a pcapng epb_flags option
// (draft-ietf-opsawg-pcapng, 4.3.1).
const (
	FlagInbound         uint32 = 1 // received by the interface
	FlagOutbound        uint32 = 2 // sent by the interface
	FlagDirection       uint32 = 3 // mask
	FlagChecksumPartial uint32 = 1 << 9
)

// Packet is one packet as it was captured.
type Packet struct {
	Time   int64  // nanoseconds since 1970-01-01 UTC
	Data   []byte // from the link layer on, borrowed
	Length uint32 // bytes on the wire, at least len(Data)
	Flags  uint32 // epb_flags
	Drops  uint64 // packets lost since the one before on this interface (epb_dropcount)
	Iface  *Interface
}

// Name is what an address was called, from the packet that follows on: a record of a pcapng
// Name Resolution Block. The first name is the one to show; the meaning of the others
// belongs to servicemap/identity.
type Name struct {
	Addr  netip.Addr
	Names []string
}

// Stats are the counters of one capture. Seen == Stored + Dropped + Filtered.
// Seen counts what the program in the kernel was shown of its targets.
type Stats struct {
	Seen     uint64 // shown to the capture
	Stored   uint64 // handed on
	Dropped  uint64 // lost: no room in the ring
	Filtered uint64 // left out on purpose: not a target
	Bytes    uint64 // captured bytes of the stored ones
}

// Known says whether packets of this link type are parsed.
func (l LinkType) Known() bool {
	switch l {
	case LinkNull, LinkEthernet, LinkTokenRing, LinkPPP, LinkFDDI, 12, 14, LinkPPPHDLC, LinkPPPoE, LinkRaw, LinkCisco, LinkWireless, LinkFrameRelay, LinkLoop, LinkEnc, LinkSLL,
		LinkPFLog, LinkPrism, LinkRadiotap, LinkAVS, LinkPPI, LinkMPLS, LinkIPNet, LinkIPv4, LinkIPv6, LinkNFLog, LinkIPoIB, LinkSLL2:
		return true
	}
	return false
}
