// Package ssh dissects how an SSH connection begins: the identification strings of both sides
// (RFC 4253, 4.2), on any TCP port. What follows is key exchange and encryption, which is not
// read.
//
// A call is the client's string and the server's; either side may send first, so the time
// between them says little. The server's alone is a lone message: somebody connected and asked
// nothing, as port checks do. Lines that a server sends before its string are skipped. A string
// whose end is missing is told as far as it goes, marked incomplete.
//
// A connection that is joined in its middle is not known. Which side is the client is known from
// the opening of the connection alone.
//
// A parser belongs to one flow and one goroutine. It holds two lines of 255 bytes, and nothing
// once it has told them.
package ssh

import (
	"bytes"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes SSH.
func Protocol() *dissect.Protocol { return protocol }

var protocol = &dissect.Protocol{
	Name:      "ssh",
	Title:     "SSH",
	Transport: []flow.Proto{flow.TCP},
	Detect:    detect,
	New:       func(_ *dissect.Flow, sink dissect.Sink) dissect.Parser { return &parser{sink: sink} },
	Fields:    fields,
}

const (
	mark     = "SSH-"
	enough   = len("SSH-2.0-")
	maxLine  = 255 // bytes of a string, with its line end
	maxAhead = 8 << 10
)

// detect wants a string from either side; before a server's, lines of text may stand.
func detect(p *dissect.Probe) dissect.Verdict {
	verdict := dissect.No
	for _, b := range p.Data {
		if len(b) == 0 {
			continue
		}
		if i := bytes.Index(b, []byte("\n"+mark)); i >= 0 && text(b[:i]) {
			b = b[i+1:]
		}
		switch n := min(len(b), len(mark)); {
		case string(b[:n]) != mark[:n]:
		case len(b) < enough:
			verdict = dissect.Unsure
		case identifies(b):
			return dissect.Yes
		}
	}
	return verdict
}

// identifies says whether b begins with a string: "SSH-", a version, and a dash.
func identifies(b []byte) bool {
	if !bytes.HasPrefix(b, []byte(mark)) {
		return false
	}
	version, _, ok := bytes.Cut(b[len(mark):min(len(b), len(mark)+8)], []byte("-"))
	major, minor, dot := bytes.Cut(version, []byte("."))
	return ok && dot && digits(major) && digits(minor)
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0
}

func text(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\r' && c != '\n' && c != '\t' {
			return false
		}
	}
	return true
}
