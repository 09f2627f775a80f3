package postgresql

import (
	"bytes"
	"encoding/binary"

	"github.com/sshark/sshark/dissect"
)

// detect wants a startup packet, or in the middle of a connection a message with a query, or
// answers that end as answers do.
func detect(p *dissect.Probe) dissect.Verdict {
	verdict := dissect.No
	for d, b := range p.Data {
		switch v := startup(b); v {
		case dissect.Yes:
			p.Swap = d == 1
			return dissect.Yes
		case dissect.Unsure:
			verdict = dissect.Unsure
		}
		if p.FromStart[d] && len(b) > 0 {
			continue // the beginning is a startup packet, or an answer to one
		}
		for side, look := range [...]func([]byte) dissect.Verdict{asks, answers} {
			switch look(b) {
			case dissect.Yes:
				p.Swap = side != d
				return dissect.Yes
			case dissect.Unsure:
				verdict = dissect.Unsure
			}
		}
	}
	p.Swap = false
	return verdict
}

// startup looks for what a client says first.
func startup(b []byte) dissect.Verdict {
	if len(b) == 0 {
		return dissect.No
	}
	if b[0] != 0 || len(b) > 1 && b[1] != 0 {
		return dissect.No
	}
	if len(b) < 8 {
		if len(b) >= 4 {
			if n := binary.BigEndian.Uint32(b); n < 8 || n > maxStartup {
				return dissect.No
			}
		}
		return dissect.Unsure
	}
	n, code := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	switch {
	case code == sslRequest || code == gssRequest:
		if n == 8 {
			return dissect.Yes
		}
	case code == cancelRequest:
		if n >= 16 && n <= maxCancel && len(b) <= int(n) {
			return dissect.Yes
		}
	case code>>16 == versionThree>>16 && n > 9 && n <= maxStartup:
		rest := b[8:min(int(n), len(b))]
		key, _, whole := cstring(rest)
		for _, c := range key {
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '_' && c != '.' {
				return dissect.No
			}
		}
		if whole && len(key) > 0 {
			return dissect.Yes
		}
		if len(rest) < 64 && !whole {
			return dissect.Unsure
		}
	}
	return dissect.No
}

// asks looks for a query.
func asks(b []byte) dissect.Verdict {
	if len(b) == 0 || b[0] != 'Q' && b[0] != 'P' && b[0] != 'B' {
		return dissect.No
	}
	whole, ok := chain(&frontend, b)
	switch {
	case !ok:
		return dissect.No
	case whole == 0 && len(b) < dissect.ProbeSize:
		return dissect.Unsure
	case b[0] == 'B': // only with the Execute and the Sync that follow
		if bytes.HasSuffix(b, []byte("S\x00\x00\x00\x04")) {
			return dissect.Yes
		}
		return dissect.No
	case b[0] == 'P' && whole < 2 && len(b) < dissect.ProbeSize:
		return dissect.Unsure
	}
	return dissect.Yes
}

// answers looks for a row of messages with a ReadyForQuery, or for an error.
func answers(b []byte) dissect.Verdict {
	if len(b) == 0 || backend[b[0]] == 0 {
		return dissect.No
	}
	whole, ok := chain(&backend, b)
	switch {
	case !ok:
		return dissect.No
	case whole >= 2 && len(b) >= 6 && ready(b[len(b)-6:]):
		return dissect.Yes
	case b[0] == 'E' && whole >= 1 && len(b) > headerSize && severity(b[headerSize:]):
		return dissect.Yes
	case len(b) >= dissect.ProbeSize && whole >= 4:
		return dissect.Yes
	case len(b) >= dissect.ProbeSize:
		return dissect.No
	}
	return dissect.Unsure
}

// ready says whether b is a ReadyForQuery.
func ready(b []byte) bool {
	return string(b[:5]) == "Z\x00\x00\x00\x05" && (b[5] == 'I' || b[5] == 'T' || b[5] == 'E')
}

// severity says whether an error begins with the word that all errors begin with.
func severity(b []byte) bool {
	word, rest, ok := cstring(b)
	return ok && len(word) > 4 && word[0] == 'S' && len(rest) > 6 && (rest[0] == 'V' || rest[0] == 'C')
}
