// Package sip dissects SIP (RFC 3261) over UDP and TCP, on any port.
//
// A call is a request and its final response, paired within the flow by the branch of the
// topmost Via, Call-ID and CSeq (RFC 3261, 17.1.3). A provisional response (1xx) is a message
// of its own and may come more than once, so it is handed out as a lone response before the
// call that it belongs to; so is a response that no request waits for, as when it is sent
// again. ACK has no response. A request that is sent again before it is answered is handed out
// unanswered, and the new one waits. Either end may ask: a request of the flow's server is told
// as such.
//
// Heads are kept as they came (64 KiB of each at most) until the call is handed out. Bodies are
// skipped, not copied, unless they are wanted.
//
// Where bytes are missing: in a body whose length is known the stream stays in step; else the
// message ends there, marked incomplete, and the next one is looked for by its start line. A
// head that was cut behind its start line is still told.
//
// It cannot know: a response that takes another way than its request (other ports, other
// hops). Media (RTP) are not dissected.
//
// A parser belongs to one flow and one goroutine. It holds at most 10,000 requests of 1 MiB in
// all, an INVITE for 4 minutes and others for 32 s of the flow's time at most, and allocates
// nothing for a message once it has seen one of its size.
package sip

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes SIP.
func Protocol() *dissect.Protocol { return protocol }

var protocol = &dissect.Protocol{
	Name:      "sip",
	Title:     "SIP",
	Transport: []flow.Proto{flow.UDP, flow.TCP},
	Detect:    detect,
	New:       func(f *dissect.Flow, sink dissect.Sink) dissect.Parser { return newParser(f, sink) },
	Fields:    fields,
}
