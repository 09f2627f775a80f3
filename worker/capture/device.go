package capture

import (
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/worker/bpf"
	"golang.org/x/sys/unix"
)

const loIndex = 1 // lo is the first device of every namespace

// tapped is a device that is to be captured, and how.
type tapped struct {
	device
	link      pcap.LinkType
	direction bpf.Direction
}

// choosePod picks what is captured of a pod: see the package comment.
func choosePod(devs []device) []tapped {
	byIndex := make(map[uint32]*device, len(devs))
	for i := range devs {
		byIndex[devs[i].index] = &devs[i]
	}
	var out []tapped
	for _, d := range devs {
		link, ok := linkType(d.arphrd)
		if !ok {
			continue
		}
		t := tapped{device: d, link: link}
		var below *device // or the other end
		if !d.foreign && d.link != 0 && d.link != d.index {
			below = byIndex[d.link]
		}
		switch d.kind {
		case "vlan", "macvlan", "macvtap", "ipvlan", "ipvtap":
			if below != nil {
				continue
			}
		case "vrf", "ifb":
			continue
		case "veth", "netkit":
			if below != nil && otherEndTells(&d, below) {
				continue
			}
		case "bridge":
			t.direction = bpf.OutboundOnly
		case "vxlan":
			if d.port == 4789 {
				continue
			}
		case "geneve":
			if d.port == 6081 {
				continue
			}
		case "gre", "gretap", "ip6gre", "ip6gretap", "erspan", "ip6erspan", "ipip", "sit", "ip6tnl":
			continue
		}
		switch d.member {
		case "bond", "team":
			continue
		case "bridge":
			t.direction = bpf.InboundOnly
		}
		if d.index == loIndex {
			t.direction = bpf.InboundOnly
		}
		out = append(out, t)
	}
	return out
}

// otherEndTells says whether of a veth pair in one namespace the other end is captured.
func otherEndTells(d, other *device) bool {
	if a, b := d.member == "bridge", other.member == "bridge"; a || b {
		// What leaves the member by the bridge was told where it entered. Two members of
		// bridges are both told where packets come in.
		return !a
	}
	return other.index < d.index
}

// chooseOwn picks what is captured of the node's own namespace. captured tells whether a
// device is the other end of a captured namespace's one.
func chooseOwn(devs []device, captured func(*device) bool) []tapped {
	var out []tapped
	for _, d := range devs {
		link, ok := linkType(d.arphrd)
		if !ok || d.member == "bond" || d.member == "team" {
			continue
		}
		t := tapped{device: d, link: link}
		switch d.kind {
		case "", "bond", "team":
		case "veth", "macvlan", "ipvlan", "netkit":
			if !d.foreign || !hasGlobal(&d) || captured(&d) {
				continue
			}
		default:
			continue
		}
		if d.index == loIndex {
			t.direction = bpf.InboundOnly
		}
		out = append(out, t)
	}
	return out
}

func hasGlobal(d *device) bool {
	for _, p := range d.addrs {
		if p.Addr().IsGlobalUnicast() {
			return true
		}
	}
	return false
}

// linkType says how the packets of a device begin (ARPHRD_* in linux/if_arp.h). A packet
// socket shows those without a header of their own from the IP header on.
func linkType(arphrd uint16) (pcap.LinkType, bool) {
	switch arphrd {
	case unix.ARPHRD_ETHER, unix.ARPHRD_LOOPBACK:
		return pcap.LinkEthernet, true
	case unix.ARPHRD_NONE, unix.ARPHRD_PPP, unix.ARPHRD_RAWIP, unix.ARPHRD_TUNNEL, unix.ARPHRD_TUNNEL6,
		unix.ARPHRD_SIT, unix.ARPHRD_IPGRE, unix.ARPHRD_IP6GRE:
		return pcap.LinkRaw, true
	}
	return 0, false
}
