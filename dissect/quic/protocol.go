// Package quic dissects how QUIC connections begin: versions 1 (RFC 9000, 9001) and 2 (RFC
// 9369), the drafts 22 to 34, the versions of mvfst, and Chromium's T050 and T051, on any UDP
// port. Initial packets are encrypted with keys that follow from what they say themselves (RFC
// 9001, 5.2), so everyone can read them, and in them the hellos of TLS; all that comes later
// cannot be read.
//
// A call is a connection: from the client's first Initial packet to the server's answer, which
// is complete with its ServerHello, or is a Version Negotiation or a CONNECTION_CLOSE. The
// request ends with the datagram that completes the ClientHello, after a Retry with the one
// that repeats it. Sizes are those of the packets that carry the hellos, with what else is in
// them. Beside it the TLS handshake is a call of its own (package tls), with the time and size
// of its hellos, so that a filter for handshakes finds them wherever they are; after a
// HelloRetryRequest there are two of them. Once told, a connection is not held any more.
//
// CRYPTO frames may come in any order and number, from any number of packets, coalesced or
// not; packets whose authentication fails are not believed. A connection whose packets were cut
// by the capture is told without what TLS says, marked incomplete; so is one whose ClientHello
// did not come whole. A server's answer without the client's packets cannot be read, and is no
// call.
//
// It cannot know: versions that it has no keys for, connections that were joined behind their
// first packets, what goes on after the handshake, migration.
//
// A parser belongs to one flow and one goroutine. It holds at most 8 connections that were not
// answered, for 10 s of the flow's time, and of each at most 32 KiB of hellos for each side.
package quic

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes QUIC.
func Protocol() *dissect.Protocol { return protocol }

var protocol = &dissect.Protocol{
	Name:      "quic",
	Title:     "QUIC",
	Transport: []flow.Proto{flow.UDP},
	Detect:    detect,
	New: func(_ *dissect.Flow, sink dissect.Sink) dissect.Parser {
		return &parser{sink: sink}
	},
	Fields: fields,
}

// detect wants a packet with a long header of a version that is known, or a Version
// Negotiation that offers one.
func detect(p *dissect.Probe) dissect.Verdict {
	for d, b := range p.Data {
		if len(b) == 0 {
			continue
		}
		h, ok := readLong(b)
		if !ok || h.kind != negotiation && b[0]&fixedBit == 0 {
			return dissect.No
		}
		switch h.kind {
		case negotiation:
			if !offersKnown(b[h.body:]) {
				return dissect.No
			}
			p.Swap = d == 0
		case retry:
			p.Swap = d == 0
		case initial:
			// The lower port is the client's here only if the packet says so.
			p.Swap = d == 1 && fromClient(b, &h)
			if h.cut { // it does not
				p.Swap = p.Ports[0] < p.Ports[1]
			}
		}
		if reserved(h.version) && (h.kind != initial || !fromClient(b, &h)) {
			return dissect.No
		}
		return dissect.Yes
	}
	return dissect.No
}

// fromClient says whether a packet is the first one of a connection.
func fromClient(b []byte, h *header) bool {
	if h.cut {
		return false
	}
	for _, r := range recipes(h.version) {
		k := initialKeys(r, h.dcid)
		if _, _, ok := k[0].open(append([]byte(nil), b[:h.end]...), h.body, 0); ok {
			return true
		}
	}
	return false
}
