// Package proxy takes the header of the PROXY protocol, version 1 or 2 (HAProxy's proxy-protocol
// specification), off a TCP stream, so that what stands behind it can be found. It has no calls:
// the flow goes on with the protocol that follows, as if the header were not there.
//
// The header says for whom the connection was made. That is not told: the ends of a flow are
// those of its packets.
//
// A parser belongs to one flow and one goroutine. It holds no bytes but those of a header of
// version 1, which has 107 at most.
package proxy

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes the PROXY protocol.
func Protocol() *dissect.Protocol { return protocol }

var protocol = &dissect.Protocol{
	Name:      "proxy",
	Title:     "PROXY",
	Transport: []flow.Proto{flow.TCP},
	Detect:    detect,
	New:       func(_ *dissect.Flow, sink dissect.Sink) dissect.Parser { return &parser{sink: sink} },
}

const (
	prefix1   = "PROXY "
	maxLine   = 107 // of version 1, with its line end
	signature = "\r\n\r\n\x00\r\nQUIT\n"
	fixed     = len(signature) + 4 // of version 2, before the addresses
)

// detect wants a whole header, which stands before all that its sender says.
func detect(p *dissect.Probe) dissect.Verdict {
	for d, b := range p.Data {
		switch n, v := header(b); v {
		case dissect.Yes:
			if n > len(b) && len(b) < dissect.ProbeSize {
				return dissect.Unsure
			}
			p.Swap = d == 1
			return dissect.Yes
		case dissect.Unsure:
			return dissect.Unsure
		}
	}
	return dissect.No
}

// header says whether b begins with a header, and how long that is.
func header(b []byte) (n int, v dissect.Verdict) {
	if len(b) == 0 {
		return 0, dissect.No
	}
	if n := min(len(b), len(prefix1)); string(b[:n]) == prefix1[:n] {
		return readLine(b)
	}
	if n := min(len(b), len(signature)); string(b[:n]) != signature[:n] {
		return 0, dissect.No
	}
	if len(b) < fixed {
		return 0, dissect.Unsure
	}
	command, family, size := b[12], b[13], int(binary.BigEndian.Uint16(b[14:]))
	least, ok := addresses(family)
	if command>>4 != 2 || command&15 > 1 || !ok || size < least && command&15 == 1 {
		return 0, dissect.No
	}
	return fixed + size, dissect.Yes
}

// addresses is how many bytes the addresses of a family and transport have.
func addresses(family byte) (int, bool) {
	if family&15 > 2 {
		return 0, false
	}
	switch family >> 4 {
	case 0:
		return 0, true
	case 1:
		return 12, true
	case 2:
		return 36, true
	case 3:
		return 216, true
	}
	return 0, false
}

// readLine reads a header of version 1: "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n".
func readLine(b []byte) (int, dissect.Verdict) {
	end := bytes.IndexByte(b[:min(len(b), maxLine)], '\n')
	if end < 0 {
		if len(b) >= maxLine {
			return 0, dissect.No
		}
		return 0, dissect.Unsure
	}
	text, ok := strings.CutSuffix(string(b[len(prefix1):end]), "\r")
	if !ok {
		return 0, dissect.No
	}
	words := strings.Split(text, " ")
	switch words[0] {
	case "UNKNOWN":
		return end + 1, dissect.Yes
	case "TCP4", "TCP6":
		if len(words) != 5 {
			return 0, dissect.No
		}
		for i, w := range words[1:] {
			var err error
			if i < 2 {
				var a netip.Addr
				if a, err = netip.ParseAddr(w); err == nil && a.Is4() != (words[0] == "TCP4") {
					return 0, dissect.No
				}
			} else {
				_, err = strconv.ParseUint(w, 10, 16)
			}
			if err != nil {
				return 0, dissect.No
			}
		}
		return end + 1, dissect.Yes
	}
	return 0, dissect.No
}

// parser is one flow, as long as its header is not complete.
type parser struct {
	sink dissect.Sink
	buf  []byte // the beginning of a header whose length is not known yet
	left int    // bytes of one whose length is known
}

// Data implements dissect.Parser. Whoever gets the header does not speak before it is there
// (specification, 2), so there is one side to look at.
func (p *parser) Data(_ flow.Dir, b []byte, _ dissect.Stamp) error {
	if p.left == 0 {
		old := len(p.buf)
		p.buf = append(p.buf, b[:min(len(b), maxLine)]...)
		switch n, v := header(p.buf); v {
		case dissect.No:
			return dissect.ErrNotMine
		case dissect.Unsure:
			return nil
		default:
			p.left = n - old
		}
		p.buf = nil
	}
	n := min(p.left, len(b))
	if p.left -= n; p.left == 0 {
		p.sink.Switch("", b[n:])
	}
	return nil
}

// Gap implements dissect.Parser.
func (p *parser) Gap(flow.Dir, int64, dissect.Stamp) error { return dissect.ErrNotMine }

// Close implements dissect.Parser.
func (p *parser) Close(dissect.Stamp) {}
