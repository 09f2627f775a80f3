// Package dns dissects DNS over UDP and TCP (RFC 1035), mDNS (RFC 6762) and LLMNR (RFC 4795)
// on any port.
//
// A call is a query and its response, paired by ID and question within the flow. A response
// that no query waits for is a lone message: its query was not seen, it is unsolicited
// (mDNS), or it is one more of a zone transfer (RFC 5936), whose first one is paired. A query
// that is asked again before it is answered is handed out unanswered, and the new one waits.
// Queries to a multicast address are answered in other flows, if at all, so they do not wait.
//
// Names and records are read from the message when asked for; only the structure is checked
// as it comes. A message that was cut short by the capture, and a response that is broken behind
// its question, are told as far as they go, marked incomplete.
//
// A parser belongs to one flow and one goroutine. It holds at most 10,000 queries of 1 MiB
// in all, none for longer than 10 s of the flow's time, and allocates nothing for a message
// once it has seen one of its size.
package dns

import (
	"encoding/binary"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes DNS.
func Protocol() *dissect.Protocol { return protocol }

var protocol = &dissect.Protocol{
	Name:      "dns",
	Title:     "DNS",
	Transport: []flow.Proto{flow.UDP, flow.TCP},
	Detect:    detect,
	New: func(f *dissect.Flow, sink dissect.Sink) dissect.Parser {
		return newParser(f, sink)
	},
	Fields: fields,
}

// Ports whose flows are believed to be DNS on less evidence: a message without a question,
// or with bytes behind it.
const (
	portDNS   = 53
	portMDNS  = 5353
	portLLMNR = 5355
)

// maxProbe is how far a question may reach that detection waits for.
const maxProbe = 1024

func detect(p *dissect.Probe) dissect.Verdict {
	hint := false
	for _, port := range p.Ports {
		hint = hint || port == portDNS || port == portMDNS || port == portLLMNR
	}
	verdict := dissect.No
	for d, b := range p.Data {
		if len(b) == 0 {
			continue
		}
		cut := len(b) >= dissect.ProbeSize
		if p.Transport == flow.TCP {
			if len(b) < 2 {
				verdict = dissect.Unsure
				continue
			}
			n := int(binary.BigEndian.Uint16(b))
			if n < headerSize {
				continue
			}
			b = b[2:]
			if cut = len(b) < n; !cut {
				b = b[:n]
			}
		}
		m, v := parse(b)
		switch {
		case v == bad, !m.sane(b, hint), m.extra && !hint:
			continue
		case v == short && !m.asked && m.records == 0 && (!hint || p.Transport == flow.TCP):
			// Of a stream more may come; a datagram says too little, if its port does not.
			if p.Transport == flow.TCP && cut && len(b) < maxProbe {
				verdict = dissect.Unsure
			}
			continue
		case m.questions == 0 && m.records == 0 && !hint:
			continue
		}
		// A query says who the client is. Multicast has none: who sends is told first.
		if !m.response || p.Ports[0] != portMDNS || p.Ports[1] != portMDNS {
			p.Swap = m.response == (d == 0)
		}
		return dissect.Yes
	}
	return verdict
}
