// Package dhcp dissects DHCP for IPv4 (RFC 2131, options of RFC 2132) and BOOTP (RFC 951), on
// any UDP port.
//
// Every message is a call of its own; what a server sends has the times of a response. A
// message without a type is BOOTP's. Of the options the type, the addresses and the client's
// name are read, also where they overflow into the fields for file and server name. A refusal
// (NAK, DECLINE) is an error.
//
// The magic cookie tells a message. Without it, or where the capture cut it off, a message is
// claimed on DHCP's ports only. DHCPv6 is another protocol and is not dissected. A parser
// belongs to one flow and one goroutine.
package dhcp

import (
	"encoding/binary"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/lone"
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes DHCP.
func Protocol() *dissect.Protocol { return protocol }

var protocol = &dissect.Protocol{
	Name:      "dhcp",
	Title:     "DHCP",
	Transport: []flow.Proto{flow.UDP},
	Detect:    detect,
	New:       func(f *dissect.Flow, sink dissect.Sink) dissect.Parser { return lone.New(f, sink, &message{}) },
	Fields:    fields,
}

// Ports of the server and of the client.
const (
	portServer = 67
	portClient = 68
)

func detect(p *dissect.Probe) dissect.Verdict {
	for d, b := range p.Data {
		if len(b) == 0 || !sane(b) {
			continue
		}
		if !magic(b) && !onPorts(p.Ports) {
			continue
		}
		p.Swap = (b[0] == bootReply) == (d == 0)
		return dissect.Yes
	}
	return dissect.No
}

// onPorts says whether the ports are those of DHCP, between a client or a relay and a server.
func onPorts(ports [2]uint16) bool {
	for _, port := range ports {
		if port != portServer && port != portClient {
			return false
		}
	}
	return true
}

// magic says whether the options begin with their cookie (RFC 2131, 3).
func magic(b []byte) bool {
	return len(b) >= header && binary.BigEndian.Uint32(b[options:]) == 0x63825363
}

// sane says whether the fixed fields are in their ranges (RFC 2131, 2).
func sane(b []byte) bool {
	if len(b) < minHeader || b[0] != bootRequest && b[0] != bootReply || b[1] == 0 || b[2] > 16 || b[3] > 16 {
		return false
	}
	return binary.BigEndian.Uint16(b[10:])&0x7fff == 0
}
