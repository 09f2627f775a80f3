package flow

import (
	"encoding/binary"
	"math"

	"github.com/sshark/sshark/pcap"
)

// TCP flags, as in the header's 14th byte (RFC 9293, 3.1).
const (
	FIN uint8 = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
)

// Fragment describes an IP fragment (RFC 791, RFC 8200 4.5).
type Fragment struct {
	ID     uint32
	Offset uint32 // in bytes
	More   bool
}

// Header is what Parse reads from one packet. Offsets are into the packet's data.
type Header struct {
	Key       Key
	Dir       Dir   // of this packet, in the key
	Flags     uint8 // TCP
	Truncated bool  // the capture cut the payload short
	Fragments bool  // Fragment is valid: this is a part of an IP packet, and may become whole
	Window    uint16
	Seq, Ack  uint32
	Network   int // where the innermost IP header begins
	Transport int // where the transport header begins
	Payload   int // where the payload begins
	End       int // where it ends: padding behind the IP packet is left out
	// WireEnd is where the payload would end had nothing been cut: WireEnd-End bytes are missing.
	WireEnd  int
	Fragment Fragment
}

// Data is the payload of the packet that was parsed, as far as it was captured.
func (h *Header) Data(packet []byte) []byte { return packet[h.Payload:h.End] }

// Limits on what tunnels may wrap: a hostile packet ends the search, it does not loop.
const maxLayers = 16

// Parse fills h from a packet. It reports false, with the zero Key, for what has no readable
// IP header; such a packet is kept under the zero key of its interface.
func (h *Header) Parse(link pcap.LinkType, b []byte) bool {
	*h = Header{}
	off, et, ok := linkLayer(link, b)
	if !ok {
		return false
	}
	found, most := false, math.MaxInt
	for layer := 0; layer < maxLayers && ok; layer++ {
		switch et {
		case etIPv4:
			if ok = h.ipv4(b, off); ok {
				found = true
				h.WireEnd = min(h.WireEnd, most)
				off, et, ok = h.tunnel(b)
			}
		case etIPv6:
			if ok = h.ipv6(b, off); ok {
				found = true
				h.WireEnd = min(h.WireEnd, most)
				off, et, ok = h.tunnel(b)
			}
		default:
			if et == etPPPoE {
				b, most = pppoe(b, off)
			}
			off, et, ok = between(b, off, et)
		}
	}
	// Where a tunnel holds nothing that can be read, h is still that of the IP header around it.
	if found {
		h.transport(b)
	}
	return found
}

// pppoe leaves the padding behind a PPPoE packet out, and says where the packet ends on the wire
// (RFC 2516, section 4). The IP packet in it may say that it is longer, or not how long it is.
func pppoe(b []byte, off int) ([]byte, int) {
	if len(b) < off+8 {
		return b, math.MaxInt
	}
	most := max(off+8, off+6+int(binary.BigEndian.Uint16(b[off+4:])))
	return b[:min(len(b), most)], most
}

// between takes a header off that stands before an IP header.
func between(b []byte, off int, et uint16) (int, uint16, bool) {
	switch et {
	case etVLAN, etQinQ, etQinQOld:
		if len(b) >= off+4 {
			return off + 4, binary.BigEndian.Uint16(b[off+2:]), true
		}
	case etMPLS, etMPLSMulti:
		return mpls(b, off)
	case etPPPoE:
		if len(b) >= off+8 && b[off] == 0x11 {
			return off + 8, pppType(binary.BigEndian.Uint16(b[off+6:])), true
		}
	case etMACsec: // where it does not encrypt (IEEE 802.1AE, 9.3)
		n := 6
		if len(b) > off && b[off]&0x20 != 0 { // its channel's name
			n += 8
		}
		if len(b) >= off+n+2 && b[off]&0x8c == 0 {
			return off + n + 2, binary.BigEndian.Uint16(b[off+n:]), true
		}
	case etVNTag, etETag, etCiscoMeta: // a tag, and the EtherType (IEEE 802.1BR)
		n := 6
		if et == etVNTag {
			n = 4
		}
		if len(b) >= off+n+2 {
			return off + n + 2, binary.BigEndian.Uint16(b[off+n:]), true
		}
	case etBackbone: // a tag, and a whole Ethernet frame (IEEE 802.1ah)
		return off + 4, etTransEther, len(b) > off+4
	case etNSH:
		return nsh(b, off)
	case etTransEther: // NVGRE, GENEVE and VXLAN carry whole Ethernet frames
		if len(b) >= off+14 {
			return off + 14, binary.BigEndian.Uint16(b[off+12:]), true
		}
	}
	if et > 0 && et <= maxLength {
		return llc(b, off)
	}
	return off, et, false
}

func (h *Header) ipv4(b []byte, off int) bool {
	if len(b) < off+20 || b[off]>>4 != 4 {
		return false
	}
	ip := b[off:]
	hl := int(ip[0]&15) * 4
	if hl < 20 || len(ip) < hl {
		return false
	}
	total := int(binary.BigEndian.Uint16(ip[2:]))
	if total < hl { // 0 with segmentation offload: the length did not fit or was left to the device
		total = len(ip)
	}
	h.Network, h.Transport = off, off+hl
	h.WireEnd = off + total
	h.End = min(h.WireEnd, len(b))
	frag := binary.BigEndian.Uint16(ip[6:])
	h.Fragments = frag&0x3fff != 0
	if h.Fragments {
		h.fragment(Fragment{uint32(binary.BigEndian.Uint16(ip[4:])), uint32(frag&0x1fff) * 8, frag&0x2000 != 0})
	}
	next := ip[9]
	if t := h.Transport; next == nhAuth && !h.Fragments && len(b) >= t+8 { // RFC 4302
		if n := t + int(b[t+1])*4 + 8; n <= h.End {
			next, h.Transport = b[t], n
		}
	}
	h.Key = Key{Proto: Proto(next)}
	h.Key.A[10], h.Key.A[11], h.Key.B[10], h.Key.B[11] = 0xff, 0xff, 0xff, 0xff
	copy(h.Key.A[12:], ip[12:16])
	copy(h.Key.B[12:], ip[16:20])
	return true
}

// fragment notes what part of a packet this is. The first part, where the capture cut it, is
// taken for a packet that was cut: it has the transport header, and never becomes whole.
func (h *Header) fragment(f Fragment) {
	if f.Offset == 0 && h.WireEnd > h.End {
		h.Fragments = false
		return
	}
	h.Fragment = f
}

// Next-header values of IPv6 extension headers (IANA, "IPv6 Extension Header Types").
const (
	nhHopByHop = 0
	nhRouting  = 43
	nhFragment = 44
	nhAuth     = 51
	nhDestOpts = 60
	nhMobility = 135
)

func (h *Header) ipv6(b []byte, off int) bool {
	if len(b) < off+40 || b[off]>>4 != 6 {
		return false
	}
	ip := b[off:]
	total := int(binary.BigEndian.Uint16(ip[4:])) + 40
	if total == 40 { // jumbograms (BIG TCP) say 0
		total = len(ip)
	}
	end := min(off+total, len(b))
	var frag Fragment
	fragments := false
	next, l4 := ip[6], off+40
	for n := 0; n < 8 && !fragments; n++ {
		size := 0
		switch next {
		case nhHopByHop, nhRouting, nhDestOpts, nhMobility, nhAuth, nhFragment:
			if len(b) < l4+8 {
				return false
			}
		}
		switch next {
		case nhHopByHop, nhRouting, nhDestOpts, nhMobility:
			size = int(b[l4+1])*8 + 8
		case nhAuth:
			size = int(b[l4+1])*4 + 8
		case nhFragment:
			size = 8
			f := binary.BigEndian.Uint16(b[l4+2:])
			// A lone fragment (RFC 6946) is whole.
			if fragments = f&0xfff9 != 0; fragments {
				frag = Fragment{binary.BigEndian.Uint32(b[l4+4:]), uint32(f &^ 7), f&1 != 0}
			}
		}
		if size == 0 {
			break
		}
		next = b[l4]
		l4 += size
	}
	if l4 > end {
		return false
	}
	h.Network, h.Transport = off, l4
	h.WireEnd, h.End = off+total, end
	h.Fragments = fragments
	if fragments {
		h.fragment(frag)
	}
	h.Key = Key{Proto: Proto(next)}
	copy(h.Key.A[:], ip[8:24])
	copy(h.Key.B[:], ip[24:40])
	return true
}

// transport reads ports, puts the key in order and finds the payload. A transport header
// that was cut leaves no payload.
func (h *Header) transport(b []byte) {
	h.Payload = h.Transport
	t := b[h.Transport:h.End]
	if h.Fragments {
		h.Dir = h.Key.order()
		h.Truncated = h.WireEnd > h.End
		return
	}
	switch h.Key.Proto {
	case TCP, UDP, SCTP:
		if len(t) >= 4 {
			h.Key.PortA = binary.BigEndian.Uint16(t)
			h.Key.PortB = binary.BigEndian.Uint16(t[2:])
		}
	}
	h.Dir = h.Key.order()
	switch h.Key.Proto {
	case TCP:
		if len(t) < 20 {
			h.Payload = h.End
			break
		}
		h.Seq, h.Ack = binary.BigEndian.Uint32(t[4:]), binary.BigEndian.Uint32(t[8:])
		h.Flags = t[13] & 0x3f
		h.Window = binary.BigEndian.Uint16(t[14:])
		hl := int(t[12]>>4) * 4
		if hl < 20 || hl > h.WireEnd-h.Transport { // no such header: there is no telling payload from it
			h.Payload, h.WireEnd = h.End, h.End
			break
		}
		h.Payload = min(h.Transport+hl, h.End)
	case UDP:
		if len(t) < 8 {
			h.Payload = h.End
			break
		}
		h.Payload = h.Transport + 8
		// A UDP length shorter than the IP payload leaves padding behind (RFC 768).
		if n := int(binary.BigEndian.Uint16(t[4:])); n >= 8 && h.Transport+n < h.WireEnd {
			h.WireEnd = h.Transport + n
			h.End = min(h.End, h.WireEnd)
		}
	case SCTP:
		h.Payload = min(h.Transport+12, h.End)
	}
	h.Truncated = h.WireEnd > h.End
}
