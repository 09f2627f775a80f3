package memcached

import (
	"bytes"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/lines"
	"github.com/sshark/sshark/pcap/flow"
)

// guess is what the bytes of one side look like.
type guess uint8

const (
	other   guess = iota
	silence       // nothing was said
	begun         // too little to tell
	asks          // a command that only memcached has in this form
	mayAsk        // one that other protocols could have too
	says          // a reply that only memcached has
	maySay
)

// port is memcached's own: on it a command is believed that another protocol has in the same
// words.
const port = 11211

// detect wants a command, in all its parts and in lower case, or a reply that goes with no
// other protocol.
func detect(p *dissect.Probe) dissect.Verdict {
	if p.Transport == flow.UDP {
		return detectDatagram(p)
	}
	var sides [2]guess
	for d, b := range p.Data {
		if p.Ports[0] != port && p.Ports[1] != port {
			for n := numbered(b); n > 0; n = numbered(b) {
				b = b[n:]
				sides[d] = begun
			}
		}
		if len(b) > 0 || sides[d] != begun {
			sides[d] = look(b, !p.FromStart[d])
		}
	}
	a, b := sides[0], sides[1]
	if a == other || b == other {
		return dissect.No
	}
	for d, side := range [2][2]guess{{a, b}, {b, a}} {
		mine, theirs := side[0], side[1]
		p.Swap = d == 1
		switch {
		case mine == asks && theirs != asks && theirs != mayAsk,
			says == theirs && mine != says && mine != maySay,
			mine == mayAsk && theirs == maySay:
			return dissect.Yes
		}
	}
	p.Swap = false
	if a == silence && b == silence || asking(a) && asking(b) || saying(a) && saying(b) {
		return dissect.No
	}
	return dissect.Unsure
}

// numbered is how long the line is that b begins with, if it deletes a number: that is how a
// job is deleted in beanstalkd, which says DELETED too. What is said besides decides.
func numbered(b []byte) int {
	const name = "delete "
	end := bytes.IndexByte(b, '\n') + 1
	if end == 0 || !bytes.HasPrefix(b, []byte(name)) || len(bytes.Trim(b[len(name):end], "0123456789")) > len("\r\n") {
		return 0
	}
	return end
}

func asking(g guess) bool { return g == asks || g == mayAsk }
func saying(g guess) bool { return g == says || g == maySay }

// look tells what b begins with, or in the middle of a connection, what it has behind the end
// of a value.
func look(b []byte, middle bool) guess {
	if len(b) == 0 {
		return silence
	}
	if b[0] == magicAsk || b[0] == magicReply {
		return lookPacket(b)
	}
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		return lookPart(b)
	}
	line := lines.Trim(b[:end])
	if c, ok := parseCommand(line); ok && len(line) < end { // clients end lines with both characters
		if n := c.data; n > 0 && int64(len(b)-end-1) >= n && !bytes.HasSuffix(b[:int64(end)+1+n], []byte("\r\n")) {
			return other
		}
		return sure(line, &c)
	}
	if r, ok := parseReply(line); ok && len(line) < end {
		switch word := (&words{line}).next(); {
		case r.data > 0 || r.kind&stored != 0 && string(word) != "NOT_FOUND":
			return says
		case string(word) == "STAT" && len(line) > len("STAT "), string(word) == "VERSION",
			string(word) == "CLIENT_ERROR", string(word) == "SERVER_ERROR":
			return says
		case r.kind == admin || r.skip:
			return other
		}
		return maySay
	}
	if middle && end+1 < len(b) {
		// The rest of a value, and what follows it.
		return lookBehind(b[end+1:])
	}
	return other
}

// lookBehind wants a command or a reply that nothing but memcached has at the beginning of a
// line.
func lookBehind(b []byte) guess {
	for len(b) > 0 {
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			return other
		}
		line := lines.Trim(b[:end])
		if c, ok := parseCommand(line); ok && c.data > 0 && len(line) < end && sure(line, &c) == asks {
			return asks
		}
		if r, ok := parseReply(line); ok && r.data > 0 && len(line) < end {
			return says
		}
		b = b[end+1:]
	}
	return other
}

// sure says whether a command could be of another protocol: an inline command of Redis, a word
// that many know.
func sure(line []byte, c *command) guess {
	w := words{line}
	switch name := string(w.next()); {
	case name == "get" && bytes.Count(line, []byte(" ")) == 1, name == "quit", name == "version", name == "stats", c.kind == admin, name == "mn",
		name == "touch", name == "me", name == "verbosity", name == "delete" && bytes.Count(line, []byte(" ")) == 1:
		return mayAsk
	case c.kind == meta && len(w.b) > 0 && bytes.Count(w.b, []byte(" ")) == 1:
		return mayAsk // a key alone
	}
	return asks
}

// lookPart looks at a line that has no end yet.
func lookPart(b []byte) guess {
	if len(b) > 2048-4 || !printable(bytes.TrimSuffix(b, []byte{'\r'})) {
		return other
	}
	word, _, whole := bytes.Cut(b, []byte{' '})
	for _, name := range firstWords {
		if whole && string(word) == name || !whole && bytes.HasPrefix([]byte(name), bytes.TrimSuffix(word, []byte{'\r'})) {
			return begun
		}
	}
	return other
}

// firstWords are those that a conversation may begin with.
var firstWords = []string{"get", "gets", "gat", "gats", "set", "add", "replace", "append", "prepend", "cas", "delete", "incr", "decr", "touch",
	"mg", "ms", "md", "ma", "me", "mn", "version", "stats", "flush_all", "verbosity", "quit",
	"VALUE", "END", "STORED", "NOT_STORED", "EXISTS", "NOT_FOUND", "DELETED", "TOUCHED", "OK", "STAT", "VERSION", "ERROR", "CLIENT_ERROR", "SERVER_ERROR",
	"HD", "EN", "VA", "NF", "NS", "EX", "MN"}

// lookPacket wants the header of the binary protocol.
func lookPacket(b []byte) guess {
	f := packets{b[0]}
	switch n := f.Size(b); {
	case n < 0:
		return other
	case n == 0:
		if len(b) > 1 && int(b[1]) >= len(opcodes) || len(b) > 5 && b[5] != 0 {
			return other
		}
		return begun
	case int64(len(b)) > n && b[n] != b[0]:
		return other
	}
	if b[0] == magicReply {
		return says
	}
	return asks
}

// detectDatagram wants the frame header before a command, or before a reply.
func detectDatagram(p *dissect.Probe) dissect.Verdict {
	for d, b := range p.Data {
		f, ok := parseFrame(b)
		if !ok || f.part > 0 {
			continue
		}
		g := look(f.payload, false)
		if g == asks || g == says || (g == mayAsk || g == maySay) && b[6] == 0 && b[7] == 0 {
			p.Swap = asking(g) == (d == 1)
			return dissect.Yes
		}
	}
	return dissect.No
}
