// Package radius dissects RADIUS: authentication (RFC 2865), accounting (RFC 2866), dynamic
// authorization (RFC 5176) and the other codes that IANA lists, over UDP on any port.
//
// Every packet is a call of its own; an answer has the times of a response. Of the attributes
// the user's name, the kind of accounting and the reply's text are read. A refusal
// (Access-Reject, the NAKs, Protocol-Error) is an error.
//
// A packet is told by its length and by attributes that fill it; one without attributes, with
// one that does not fit, of a rare code, or cut by the capture, by RADIUS's ports as well.
// Behind an attribute that does not fit none is read. RADIUS over TCP (RFC 6613) is not
// dissected. A parser belongs to one flow and one goroutine.
package radius

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/lone"
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes RADIUS.
func Protocol() *dissect.Protocol { return protocol }

var protocol = &dissect.Protocol{
	Name:      "radius",
	Title:     "RADIUS",
	Transport: []flow.Proto{flow.UDP},
	Detect:    detect,
	New:       func(f *dissect.Flow, sink dissect.Sink) dissect.Parser { return lone.New(f, sink, &message{}) },
	Fields:    fields,
}

func detect(p *dissect.Probe) dissect.Verdict {
	for d, b := range p.Data {
		var m message
		if len(b) == 0 || !m.read(b) || m.broken && m.extra {
			continue
		}
		cut := len(b) >= dissect.ProbeSize // detection is not shown all of it
		if !onPort(p.Ports) && (!m.code.common || !m.attributes || m.broken || m.cut && !cut || m.extra) {
			continue
		}
		p.Swap = m.code.reply == (d == 0)
		return dissect.Yes
	}
	return dissect.No
}

// onPort says whether one of the ports is RADIUS's, or was before it had its own.
func onPort(ports [2]uint16) bool {
	for _, port := range ports {
		switch port {
		case 1812, 1813, 1645, 1646, 3799:
			return true
		}
	}
	return false
}
