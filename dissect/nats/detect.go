package nats

import (
	"bytes"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/lines"
)

// guess is what the bytes of one side look like.
type guess struct {
	kind kind
	op   *op
}

type kind uint8

const (
	other  kind = iota
	silent      // nothing was said
	begun       // too little to tell
	weak        // a word that others say too
	strong
)

// detect wants a message that nobody but NATS says, in all its parts. PING and PONG are said by
// many: what comes after them decides.
func detect(p *dissect.Probe) dissect.Verdict {
	a, b := look(p.Data[0], p.FromStart[0]), look(p.Data[1], p.FromStart[1])
	switch {
	case a.kind == other || b.kind == other:
		return dissect.No
	case a.kind == strong || b.kind == strong:
		p.Swap = a.kind == strong && a.op.from == server || b.kind == strong && b.op.from == client
		// Either side of two servers may say that; who listens says INFO first.
		if a.kind == strong && a.op.name == "INFO" && b.kind != strong {
			p.Swap = true
		}
		return dissect.Yes
	case a.kind == weak && b.kind == weak && !(a.op.name == "PING" && b.op.name == "PONG" || a.op.name == "PONG" && b.op.name == "PING"):
		return dissect.No
	case a.kind == silent && b.kind == silent:
		return dissect.No
	}
	return dissect.Unsure
}

// look tells what b begins with, behind words that others say too; in the middle of a
// connection, what it has behind the end of a payload.
func look(b []byte, fromStart bool) guess {
	if len(b) == 0 || b[0] == tlsRecord { // that may follow INFO
		return guess{kind: silent}
	}
	g := lookLine(b)
	for first := g; g.kind == weak; g = lookLine(b) {
		if b = b[bytes.IndexByte(b, '\n')+1:]; len(b) == 0 {
			return first
		}
	}
	if g.kind != other || fromStart {
		return g
	}
	for {
		end := bytes.IndexByte(b, '\n') + 1
		if end == 0 || end == len(b) {
			return guess{}
		}
		b = b[end:]
		if g := lookLine(b); g.kind == strong {
			return g
		}
	}
}

func lookLine(b []byte) guess {
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		return lookPart(b)
	}
	text := lines.Trim(b[:end])
	l, ok := parse(text)
	switch {
	case !ok || len(text) == end && l.op.weak: // servers end lines with both characters
		return guess{}
	case l.op.weak:
		return guess{weak, l.op}
	case l.payload >= 0 && int64(len(b)-end-1) >= l.rest() && !bytes.HasSuffix(b[:int64(end)+1+l.rest()], []byte("\r\n")):
		return guess{}
	}
	return guess{strong, l.op}
}

// lookPart looks at a line that has no end yet; INFO may be longer than what is seen.
func lookPart(b []byte) guess {
	name, rest, whole := bytes.Cut(b, []byte{' '})
	if !whole {
		for _, o := range ops {
			name = bytes.TrimSuffix(name, []byte{'\r'})
			if len(name) <= len(o.name) && bytes.EqualFold([]byte(o.name[:len(name)]), name) {
				return guess{kind: begun}
			}
		}
		return guess{}
	}
	switch o := findOp(name); {
	case o == nil || !printable(bytes.TrimSuffix(rest, []byte{'\r'})) || len(rest) > 0 && rest[0] != '{' && (o.name == "INFO" || o.name == "CONNECT"):
		return guess{}
	case bytes.HasPrefix(rest, []byte(`{"`)) && len(rest) > 16 && (o.name == "INFO" || o.name == "CONNECT"):
		return guess{strong, o}
	}
	return guess{kind: begun}
}
