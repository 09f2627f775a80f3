package sip

import (
	"bytes"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// detect wants the start line of a message from either side. In the middle of a connection it
// is enough that one begins somewhere in what is seen.
func detect(p *dissect.Probe) dissect.Verdict {
	unsure := false
	for d, b := range p.Data {
		b = trim(b)
		if len(b) == 0 {
			continue
		}
		h, v := parseStart(b)
		if v == bad && p.Transport == flow.TCP && !p.FromStart[d] {
			if i := find(b, 1); i >= 0 {
				h, v = parseStart(b[i:])
			}
			if v == part && h.status == 0 {
				unsure, v = len(b) < dissect.ProbeSize, bad
			}
		}
		switch v {
		case good:
			p.Swap = h.request == (d == 1)
			return dissect.Yes
		case bad:
			if p.FromStart[d] {
				return dissect.No
			}
		case part:
			// A cut start line has to do, if it can be of nothing else: the rest may never come.
			if h.status > 0 || h.uri.to > 0 {
				p.Swap = h.request == (d == 1)
				return dissect.Yes
			}
			unsure = p.Transport == flow.TCP && len(b) < dissect.ProbeSize
		}
	}
	if unsure {
		return dissect.Unsure
	}
	return dissect.No
}

// trim takes off empty lines, which keep a connection alive (RFC 5626, 3.5.1).
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == '\r' || b[0] == '\n') {
		b = b[1:]
	}
	return b
}

// find is where in b, from an offset on, a start line begins: at the beginning of a line, and
// with a method that is known; at the end of b it may be a part of one. -1: nowhere.
func find(b []byte, from int) int {
	for i := from; i < len(b); i++ {
		if i > 0 && b[i-1] != '\n' {
			n := bytes.IndexByte(b[i:], '\n')
			if n < 0 {
				return -1
			}
			if i += n + 1; i == len(b) {
				return -1
			}
		}
		if h, v := parseStart(b[i:]); v == part || v == good && (!h.request || known(h.method.of(b[i:]))) {
			return i
		}
	}
	return -1
}
