package flow

import (
	"encoding/binary"
	"math"

	"github.com/sshark/sshark/pcap"
)

// Layers appends what Parse reads of each IP header of a packet, the outermost first: each
// Header is as if the packet ended the search there. Where nothing is appended there is no
// IP header that can be read.
func Layers(dst []Header, link pcap.LinkType, b []byte) []Header {
	off, et, ok := linkLayer(link, b)
	most := math.MaxInt
	for layer := 0; layer < maxLayers && ok; layer++ {
		var h Header
		switch et {
		case etIPv4:
			ok = h.ipv4(b, off)
		case etIPv6:
			ok = h.ipv6(b, off)
		default:
			if et == etPPPoE {
				b, most = pppoe(b, off)
			}
			off, et, ok = between(b, off, et)
			continue
		}
		if ok {
			h.WireEnd = min(h.WireEnd, most)
			off, et, ok = h.tunnel(b)
			h.transport(b)
			dst = append(dst, h)
		}
	}
	return dst
}

// etARP is kept whole where headers are: it has nothing else.
const etARP = 0x0806

// HeaderLength is how many bytes at the beginning of a packet are headers, up to and with that
// of the innermost transport. Of what has no header that can be read it is those of the link
// layer; of a fragment, those of IP.
func HeaderLength(link pcap.LinkType, b []byte) int {
	var h Header
	if !h.Parse(link, b) {
		off, et, ok := linkLayer(link, b)
		for layer := 0; layer < maxLayers && ok && et != etARP; layer++ {
			off, et, ok = between(b, off, et)
		}
		if et == etARP {
			return len(b)
		}
		return min(off, len(b))
	}
	n := 0
	if !h.Fragments {
		t := b[h.Transport:h.End]
		switch h.Key.Proto {
		case TCP:
			if n = 20; len(t) >= 13 {
				n = max(n, int(t[12]>>4)*4)
			}
		case UDP, ICMP, ICMPv6:
			n = 8
		case SCTP:
			n = 12
		}
	}
	return min(h.Transport+n, h.End)
}

// FixChecksums completes the checksums that were left to a device: of IPv4 headers that have
// none, and of TCP, UDP and ICMPv6 where only the sum of the pseudo header is there (as Linux
// hands packets to a device that does the rest). partial says that the innermost transport's
// is known not to be complete. Others are left as they are, right or wrong: a packet may have
// been damaged on its way. It writes to b, and says whether nothing is left to do: not so
// where bytes are missing that the sum is of.
func FixChecksums(link pcap.LinkType, b []byte, partial bool) (complete bool) {
	var room [4]Header
	layers := Layers(room[:0], link, b)
	complete = !partial
	for n := len(layers) - 1; n >= 0; n-- { // those outside are of what is inside
		h := &layers[n]
		innermost := n == len(layers)-1
		fixTransport(b, h, partial && innermost)
		if innermost && partial {
			complete = !h.Truncated && !h.Fragments
		}
		if b[h.Network]>>4 != 4 {
			continue
		}
		if ip := b[h.Network : h.Network+int(b[h.Network]&15)*4]; ip[10] == 0 && ip[11] == 0 {
			binary.BigEndian.PutUint16(ip[10:], ^fold(sum(0, ip)))
		}
	}
	return complete
}

// fixTransport completes a transport's checksum if it is partial.
func fixTransport(b []byte, h *Header, partial bool) {
	if h.Fragments || h.WireEnd > h.End {
		return
	}
	at := 0
	switch h.Key.Proto {
	case TCP:
		at = 16
	case UDP:
		at = 6
	case ICMPv6:
		at = 2
	default:
		return
	}
	t := b[h.Transport:h.End]
	if len(t) < at+2 {
		return
	}
	ip := b[h.Network:]
	var pseudo uint64
	if ip[0]>>4 == 4 {
		pseudo = sum(0, ip[12:20])
	} else {
		pseudo = sum(0, ip[8:40])
	}
	pseudo += uint64(h.Key.Proto)
	whole := pseudo + uint64(len(t)>>16) + uint64(len(t)&0xffff)
	stored := binary.BigEndian.Uint16(t[at:])
	// A device that cuts large packets into segments is given the sum without a length.
	if !partial && stored != fold(whole) && stored != fold(pseudo) {
		return
	}
	if h.Key.Proto == UDP && stored == 0 && ip[0]>>4 == 4 {
		return // it has none
	}
	t[at], t[at+1] = 0, 0
	c := ^fold(sum(whole, t))
	if c == 0 && h.Key.Proto == UDP {
		c = 0xffff // RFC 768
	}
	binary.BigEndian.PutUint16(t[at:], c)
}

// sum adds bytes up as the Internet checksum does (RFC 1071).
func sum(s uint64, b []byte) uint64 {
	for ; len(b) >= 2; b = b[2:] {
		s += uint64(b[0])<<8 | uint64(b[1])
	}
	if len(b) == 1 {
		s += uint64(b[0]) << 8
	}
	return s
}

func fold(s uint64) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
