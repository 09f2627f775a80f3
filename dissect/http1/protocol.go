// Package http1 dissects HTTP/1.0 and HTTP/1.1 (RFC 9110, 9112) on any TCP port.
//
// A call is a request and its final response, paired in order (RFC 9112, 9.3.2). An interim
// response (1xx but 101) is a message of its own on the wire and may come more than once, so
// it is handed out as a lone response before the call that it belongs to. 101 and the 2xx
// that answers CONNECT end the conversation: what follows is for another protocol.
//
// A call that carries gRPC-Web or GraphQL is handed out under that name: see package carried.
//
// Heads are kept as they came (64 KiB of each at most) until the call is handed out, and
// fields are read from them only when asked for. Bodies are skipped, not copied, unless they
// are wanted. HTTP/2 (its preface looks like a request), RTSP, SIP and ICY are refused.
//
// Where bytes are missing: in a body whose length is known the stream stays in step; else
// the message ends there, marked incomplete, and the next one is looked for by its start
// line. A head that was cut behind its start line is still told. After a hole in what the
// server said, a response belongs to the newest request that it can answer; the ones before
// go unanswered.
//
// A parser belongs to one flow and one goroutine; it allocates nothing for a call once it
// has seen one of its size.
package http1

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/http"
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes HTTP/1. Its messages have the fields that HTTP/2 has too.
func Protocol() *dissect.Protocol { return protocol }

var protocol = &dissect.Protocol{
	Name:      "http",
	Title:     "HTTP",
	Transport: []flow.Proto{flow.TCP},
	Detect:    detect,
	New: func(f *dissect.Flow, sink dissect.Sink) dissect.Parser {
		p := newParser(sink)
		p.half[1].missed = f.Opening == 0 // what came before the first response is not known
		return p
	},
	Fields: http.Fields,
}

// detect wants the start line of a message from either side. In the middle of a connection
// it is enough that one begins somewhere in what is seen.
func detect(p *dissect.Probe) dissect.Verdict {
	verdict := dissect.No
	for d := range p.Data {
		b := trimBlank(p.Data[d])
		if len(b) == 0 {
			continue
		}
		l, v := parseStart(b)
		// A cut start line has to do: the rest may never come.
		if v == headPart && (l.usable || len(b) >= dissect.ProbeSize-4 && l.methodEnd > 0 && knownMethod(b[:l.methodEnd])) {
			v = headOK
		}
		if v == headBad && !p.FromStart[d] {
			if i := findHead(b, 0, anyHead); i >= 0 {
				if l, v = parseStart(b[i:]); v == headPart && !l.usable {
					v = headBad
				}
			}
		}
		switch v {
		case headOK:
			p.Swap = l.request == (d == 1)
			return dissect.Yes
		case headPart:
			verdict = dissect.Unsure
		}
	}
	return verdict
}

// trimBlank takes off empty lines, which a robust receiver ignores before a message
// (RFC 9112, 2.2).
func trimBlank(b []byte) []byte {
	for len(b) > 0 && (b[0] == '\r' || b[0] == '\n') {
		b = b[1:]
	}
	return b
}
