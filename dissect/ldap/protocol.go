// Package ldap dissects LDAP version 3 (RFC 4511), and what version 2 shares with it, on any
// TCP port.
//
// A call is a request and its result, paired by message ID. The entries and references of a
// search are its response too, from the first of them to the result; they are counted. Unbind
// and abandon have no response; abandon ends the wait of the request that it names. A message
// of the server that answers nothing (a notice of disconnection) is not told.
//
// What the request is about is kept as text: the name of the entry or base, and of a search
// scope and filter (RFC 4515). Passwords and values of attributes are not kept.
//
// After StartTLS (RFC 4511, 4.14) the stream goes on as TLS. After a SASL bind there may be a
// security layer: messages that it signs are told, of those that it encrypts nothing can be
// known. Where bytes are
// missing within a message, the stream stays in step; else messages are found by their
// structure. LDAP over UDP (RFC 1798) is not dissected.
//
// A parser belongs to one flow and one goroutine; it holds at most 10,000 requests of 4 MiB in
// all, and allocates nothing for a call once it has seen one of its size.
package ldap

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes LDAP.
func Protocol() *dissect.Protocol { return protocol }

var protocol = &dissect.Protocol{
	Name:      "ldap",
	Title:     "LDAP",
	Transport: []flow.Proto{flow.TCP},
	Detect:    detect,
	New:       func(f *dissect.Flow, sink dissect.Sink) dissect.Parser { return newParser(f, sink) },
	Fields:    fields,
}

// detect wants a message of either side.
func detect(p *dissect.Probe) dissect.Verdict {
	verdict := dissect.No
	for d, b := range p.Data {
		if len(b) == 0 {
			continue
		}
		switch _, v := look(b); {
		case v == request || v == response:
			p.Swap = (v == request) == (d == 1)
			return dissect.Yes
		case v == more:
			verdict = dissect.Unsure
		case p.FromStart[d]:
			return dissect.No
		}
	}
	return verdict
}
