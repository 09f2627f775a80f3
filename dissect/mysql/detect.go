package mysql

import (
	"bytes"
	"encoding/binary"

	"github.com/sshark/sshark/dissect"
)

// detect wants a greeting, or in the middle of a connection a command with a text, or a lesser
// one and its response, or a result.
func detect(p *dissect.Probe) dissect.Verdict {
	verdict := dissect.No
	for d, b := range p.Data {
		switch v := greets(b); v {
		case dissect.Yes:
			p.Swap = d == 0
			return dissect.Yes
		case dissect.Unsure:
			verdict = dissect.Unsure
		}
	}
	if p.FromStart[0] && p.FromStart[1] {
		return verdict // a greeting comes first
	}
	for d, b := range p.Data {
		other := p.Data[1-d]
		switch v := asks(b); {
		case v == dissect.Yes, v == dissect.Unsure && answers(other), v == dissect.No && wrapped(b):
			p.Swap = d == 1
			return dissect.Yes
		case v == dissect.Unsure && (len(other) == 0 || len(b) < headerSize || len(b) < dissect.ProbeSize && len(b) < headerSize+packetLen(b)):
			verdict = dissect.Unsure
		}
		if results(b) {
			p.Swap = d == 0
			return dissect.Yes
		}
	}
	p.Swap = false
	return verdict
}

// greets looks for what a server says first: a handshake, or why there will be none.
func greets(b []byte) dissect.Verdict {
	if len(b) == 0 || len(b) > 1 && b[1] > 1 || len(b) > 2 && b[2] != 0 || len(b) > 3 && b[3] != 0 {
		return dissect.No
	}
	if len(b) <= headerSize {
		return dissect.Unsure
	}
	n := packetLen(b)
	rest := b[headerSize:]
	switch {
	case n < 9 || rest[0] != protocolVersion && rest[0] != packetError:
		return dissect.No
	case len(rest) < n && len(b) < 64 && text(rest[1:min(len(rest), 4)]):
		return dissect.Unsure
	case rest[0] == packetError:
		if len(rest) != n || n < 10 {
			return dissect.No
		}
		code := binary.LittleEndian.Uint16(rest[1:])
		if code >= 1000 && code < 5000 && text(rest[3:]) {
			return dissect.Yes
		}
		return dissect.No
	}
	version, rest := cstring(rest[1:])
	if len(version) < 3 || len(version) > 100 || version[0] < '3' || version[0] > '9' && version[0] > '1' || bytes.IndexByte(version, '.') < 1 || !text(version) || n < len(version)+15 {
		return dissect.No
	}
	if len(rest) > 12 && rest[12] != 0 { // filler behind the first part of the challenge
		return dissect.No
	}
	return dissect.Yes
}

// verbs are what statements begin with.
var verbs = [...]string{"select", "insert", "update", "delete", "replace", "show", "set", "begin", "commit", "rollback", "start", "use", "create", "drop",
	"alter", "truncate", "call", "explain", "describe", "desc", "load", "lock", "unlock", "prepare", "execute", "deallocate", "analyze", "optimize", "grant", "revoke",
	"with", "kill", "flush", "savepoint", "release", "do", "handler", "rename", "repair", "check", "purge", "xa", "(select", "/*", "--", "values", "table"}

// statementText says whether b begins as statements do.
func statementText(b []byte) bool {
	b = bytes.TrimLeft(b, " \t\r\n")
	for _, v := range verbs {
		if len(b) >= len(v) && bytes.EqualFold(b[:len(v)], []byte(v)) {
			return true
		}
	}
	return false
}

// asks says whether b is a command: Yes of one with a text or of that of a prepared statement,
// Unsure of one that says too little.
func asks(b []byte) dissect.Verdict {
	if len(b) <= headerSize {
		if len(b) == headerSize && (b[3] != 0 || packetLen(b) == 0) {
			return dissect.No
		}
		if len(b) > 0 {
			return dissect.Unsure
		}
		return dissect.No
	}
	n := packetLen(b)
	if b[3] != 0 || n == 0 {
		return dissect.No
	}
	payload := b[headerSize:min(len(b), headerSize+n)]
	whole := len(payload) == n
	com, args := payload[0], payload[1:]
	// More commands may follow, each of which begins anew.
	if rest := b[headerSize+len(payload):]; len(rest) >= headerSize && (rest[3] != 0 || packetLen(rest) == 0) {
		return dissect.No
	}
	switch com {
	case comQuery, comPrepare:
		args = queryText(args, false)
		if len(args) < 3 && !whole {
			return dissect.Unsure
		}
		if statementText(args) && text(args[:min(len(args), 16)]) && (whole || len(args) >= 16) {
			return dissect.Yes
		}
	case comExecute:
		if len(args) >= 9 && args[4] <= 8 && binary.LittleEndian.Uint32(args[5:]) == 1 && n >= 10 {
			return dissect.Yes
		}
	case comPing, comQuit, comStatistics, comReset, comProcessInfo:
		if n == 1 {
			return dissect.Unsure
		}
	case comInitDB:
		if whole && n > 1 && n < 66 && text(args) {
			return dissect.Unsure
		}
	case comStmtClose, comStmtReset:
		if n == 5 && whole {
			return dissect.Unsure
		}
	case comFetch:
		if n == 9 && whole {
			return dissect.Unsure
		}
	}
	return dissect.No
}

// chain says how many whole packets b is that are numbered from 1, and whether all of b is.
func chain(b []byte) (whole int, ok bool) {
	seq := byte(1)
	for len(b) >= headerSize {
		n := packetLen(b)
		if n == 0 || b[3] != seq {
			return whole, false
		}
		if len(b) < headerSize+n {
			return whole, true
		}
		b = b[headerSize+n:]
		whole++
		seq++
	}
	return whole, len(b) == 0 || whole > 0
}

// answers says whether b is a response: its packets are numbered, and the first one is one that
// begins a response.
func answers(b []byte) bool {
	whole, ok := chain(b)
	if !ok || len(b) <= headerSize {
		return false
	}
	n, payload := packetLen(b), b[headerSize:]
	switch payload[0] {
	case packetOK:
		return n >= 7 && n < 1<<12
	case packetEOF:
		return n == 5 || n == 7
	case packetError:
		return n >= 9 && n < 1<<12
	case packetInfile:
		return n > 1 && n < 1<<12
	}
	return n <= 9 && (whole > 1 || len(b) == headerSize+n) || n > 20 && bytes.HasPrefix(payload, []byte("Uptime"))
}

// results says whether b is a result with the definition of a column.
func results(b []byte) bool {
	if len(b) < 24 || packetLen(b) > 9 || b[3] != 1 || b[headerSize] == packetOK || b[headerSize] >= packetInfile && b[headerSize] != 0xfc {
		return false
	}
	b = b[headerSize+packetLen(b):]
	return len(b) > headerSize+4 && b[3] == 2 && string(b[headerSize:headerSize+4]) == "\x03def"
}

// endsResponse says whether b, a piece of a response, ends as responses end, with an EOF: how
// many bytes there are, and its status.
func endsResponse(b []byte) (n int, flags uint16, ok bool) {
	if k := len(b) - 9; k >= 0 && packetLen(b[k:]) == 5 && b[k+4] == packetEOF {
		warnings := binary.LittleEndian.Uint16(b[k+5:])
		flags = binary.LittleEndian.Uint16(b[k+7:])
		if warnings < 1024 && flags&0x8000 == 0 {
			return len(b), flags, true
		}
	}
	if k := len(b) - 11; k >= 0 && packetLen(b[k:]) == 7 && b[k+4] == packetEOF && b[k+5] == 0 && b[k+6] == 0 {
		flags = binary.LittleEndian.Uint16(b[k+7:])
		if flags&0x8000 == 0 {
			return len(b), flags, true
		}
	}
	return 0, 0, false
}

// wrapped says whether b is a compressed packet with a command in it.
func wrapped(b []byte) bool {
	if len(b) < wrapSize+headerSize+1 || b[3] != 0 {
		return false
	}
	n, size := packetLen(b), packetLen(b[4:])
	if wrapSize+n != len(b) && len(b) < dissect.ProbeSize || n == 0 {
		return false
	}
	inner := b[wrapSize:]
	if size == 0 {
		return packetLen(inner) <= n && asks(inner) == dissect.Yes
	}
	if size < n/2 || !(inner[0] == 0x78 && (uint(inner[0])<<8|uint(inner[1]))%31 == 0) && binary.LittleEndian.Uint32(inner) != 0xfd2fb528 {
		return false
	}
	var d decoder
	defer d.close()
	var begin []byte
	d.each(inner, min(size, 256), func(b []byte) { begin = append(begin, b...) })
	return asks(begin) == dissect.Yes
}
