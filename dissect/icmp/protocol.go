// Package icmp dissects ICMP (RFC 792, with 950, 1191, 1256 and 8335) and ICMPv6 (RFC 4443,
// with 2710, 3810, 4861 and others of IANA's registries of types).
//
// Every message is a call of its own; a reply has the times of a response. A message of an
// unknown type has its numbers. An error quotes the beginning of the packet that caused it:
// the summary says which flow that belonged to. Checksums are not looked at.
//
// A message does not tell its length, so of one that the capture cut short the length is what
// was captured. A parser belongs to one flow and one goroutine.
package icmp

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/lone"
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes ICMP of both versions.
func Protocol() *dissect.Protocol { return protocol }

var protocol = &dissect.Protocol{
	Name:      "icmp",
	Title:     "ICMP",
	Transport: []flow.Proto{flow.ICMP, flow.ICMPv6},
	Detect:    detect,
	New:       func(f *dissect.Flow, sink dissect.Sink) dissect.Parser { return lone.New(f, sink, &message{}) },
	Fields:    fields,
}

// detect wants a header: the IP header has said already what it is of.
func detect(p *dissect.Probe) dissect.Verdict {
	names := typesOf(p.Transport)
	for d, b := range p.Data {
		if len(b) < minHeader {
			continue
		}
		// An echo is answered by the server.
		p.Swap = names[b[0]].reply == (d == 0) && !names[b[0]].failure
		return dissect.Yes
	}
	return dissect.No
}
