// Package http2 dissects HTTP/2 without TLS (RFC 9113) on any TCP port: with prior knowledge,
// behind an upgrade of HTTP/1 (RFC 7540, 3.2), and from the middle of a connection.
//
// A call is a stream: a request and its final response, paired by the stream's number. It is
// handed out when both have ended, when the stream is reset, or when GOAWAY says that it was
// not processed. An interim response (1xx) is handed out as a lone response before the call
// that it belongs to, and so is the response to a request that was made in HTTP/1. What a
// server pushes is a call of the client whose request the server promised. WebSocket in a
// stream (RFC 8441) is given to package ws. Calls are of protocol http, or of what HTTP
// carries: see package carried.
//
// Header blocks are decompressed (HPACK, RFC 7541) by a decoder of our own, since the library's
// ends at the first index that it does not know and has no memory to be used again. It borrows
// the library's static table and code. Where the beginning of a connection is missing, or a
// part that held headers, entries of the table are unknown: the header fields that refer to
// them are left out, counted in http2_missing_headers, and the call is marked incomplete. None
// is guessed.
//
// Where bytes are missing inside of a body the stream stays in step. Elsewhere frames are
// looked for again: a header block that makes sense, or a few plausible frames in a row.
//
// Limits: 64 KiB of each header list, 4,096 streams and 16 MiB of headers and bodies that are
// open at once; the streams that are beyond are handed out early, the oldest first. A stream
// whose request was not seen is told if its response is; bodies without either are passed over.
//
// A parser belongs to one flow and one goroutine; it allocates nothing for a call once it has
// seen one of its size.
package http2

import (
	"bytes"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/http"
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes HTTP/2 as a flow speaks it. Its calls are of protocol http, as those of
// HTTP/1 are, and have the same fields.
func Protocol() *dissect.Protocol { return protocol }

var protocol = &dissect.Protocol{
	Name:      "http2",
	Title:     "HTTP2",
	Transport: []flow.Proto{flow.TCP},
	Detect:    detect,
	New:       func(f *dissect.Flow, sink dissect.Sink) dissect.Parser { return newParser(f, sink) },
	FromStart: true,
	Fields:    http.Fields,
}

// calls describes the calls, which are those of the protocol http whoever carries them; flows
// are never its.
var calls = &dissect.Protocol{Name: "http", Title: "HTTP", Transport: []flow.Proto{flow.TCP}, Fields: http.Fields}

// detect wants the preface of a client, or frames that follow each other and hold a header
// block that makes sense. In the middle of a connection they may begin anywhere.
func detect(p *dissect.Probe) dissect.Verdict {
	verdict := dissect.No
	var scratch list
	for d := range p.Data {
		b := p.Data[d]
		if len(b) == 0 {
			continue
		}
		if n := min(len(b), len(preface)); string(b[:n]) == preface[:n] {
			if n == len(preface) {
				p.Swap = d == 1
				return dissect.Yes
			}
			verdict = dissect.Unsure
			continue
		}
		if p.FromStart[d] {
			// Only a server begins with a frame, and that is SETTINGS.
			if d == 0 && p.Opened || len(b) >= headerSize && parseFrame(b).kind != frameSettings {
				continue
			}
		}
		v, what := chain(b, &scratch)
		if v == foundNone && !p.FromStart[d] {
			if at, _ := search(b, &scratch); at < len(b) {
				v, what = chain(b[at:], &scratch)
				if v == foundPart {
					v = foundNone
				}
			}
		}
		switch {
		case v == foundYes:
			if what != garbage {
				p.Swap = (what == request) == (d == 1)
			}
			return dissect.Yes
		case v == foundPart && !bytes.Equal(b, zeros[:min(len(b), len(zeros))]):
			verdict = dissect.Unsure
		}
	}
	return verdict
}

// zeros could be the beginning of a frame, and of much else.
var zeros [4]byte
