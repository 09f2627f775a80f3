package mqtt

import (
	"encoding/binary"
	"unicode/utf8"
)

// The types of packets (mqtt-v5.0, 2.1.2).
const (
	connect = iota + 1
	connack
	publish
	puback
	pubrec
	pubrel
	pubcomp
	subscribe
	suback
	unsubscribe
	unsuback
	pingreq
	pingresp
	disconnect
	auth
)

var typeNames = [16]string{connect: "CONNECT", connack: "CONNACK", publish: "PUBLISH", puback: "PUBACK", pubrec: "PUBREC", pubrel: "PUBREL", pubcomp: "PUBCOMP",
	subscribe: "SUBSCRIBE", suback: "SUBACK", unsubscribe: "UNSUBSCRIBE", unsuback: "UNSUBACK", pingreq: "PINGREQ", pingresp: "PINGRESP", disconnect: "DISCONNECT", auth: "AUTH"}

// Levels of the protocol, as CONNECT has them; bridges set the highest bit too.
const (
	level31  = 3
	level311 = 4
	level5   = 5
)

// maxTopic is how long a topic is that is looked for after a loss.
const maxTopic = 1 << 10

// variable reads a variable byte integer: its value and how many bytes it has, 0: more are
// needed, -1: it is none.
func variable(b []byte) (v, n int) {
	for i := range 4 {
		if i == len(b) {
			return 0, 0
		}
		v |= int(b[i]&0x7f) << (7 * i)
		if b[i]&0x80 == 0 {
			if i > 0 && b[i] == 0 {
				return 0, -1 // it would be shorter
			}
			return v, i + 1
		}
	}
	return 0, -1
}

// fixed reads the fixed header: the type, how long the header is, and how long what follows.
// header is 0 where more bytes are needed, and negative where it is none.
func fixed(b []byte) (kind byte, header, rest int) {
	kind = b[0] >> 4
	if !flagged(kind, b[0]&0x0f) {
		return kind, -1, 0
	}
	rest, n := variable(b[1:])
	if n <= 0 {
		return kind, n, 0
	}
	if !sized(kind, b[0], rest) {
		return kind, -1, 0
	}
	return kind, 1 + n, rest
}

// flagged says whether a type may have those flags.
func flagged(kind, flags byte) bool {
	switch kind {
	case 0:
		return false
	case publish:
		qos := flags >> 1 & 3
		return qos < 3 && (qos > 0 || flags&8 == 0)
	case pubrel, subscribe, unsubscribe:
		return flags == 2
	}
	return flags == 0
}

// sized says whether a packet may be that long behind its fixed header.
func sized(kind, first byte, n int) bool {
	switch kind {
	case connect:
		return n >= 12
	case connack:
		return n >= 2 && n < 64<<10
	case publish:
		return n >= 3 && (first&6 == 0 || n >= 4)
	case puback, pubrec, pubrel, pubcomp:
		return n >= 2 && n < 64<<10
	case suback:
		return n >= 3
	case unsuback:
		return n >= 2
	case subscribe:
		return n >= 6
	case unsubscribe:
		return n >= 5
	case pingreq, pingresp:
		return n == 0
	}
	return n < 64<<10
}

// format is that of both sides.
type format struct{}

// Size implements frames.Format.
func (format) Size(b []byte) int64 {
	switch _, header, rest := fixed(b); {
	case header <= 0:
		return int64(header)
	default:
		return int64(header + rest)
	}
}

// Begins implements frames.Format.
func (format) Begins(b []byte) bool {
	c := chain(b)
	return c.packets > 0 && c.sure && !c.broken
}

// chained is what a stretch of bytes looks like.
type chained struct {
	packets  int
	sure     bool // nothing else looks like that
	broken   bool // it goes on with something else
	begun    bool // too little to tell
	ping     bool // it is one ping
	client   bool // a client says that
	server   bool
	connects bool
}

// maxChain is how many packets are looked at.
const maxChain = 8

// chain goes through the packets that b begins with.
func chain(b []byte) (c chained) {
	whole := b
	for len(b) > 0 && c.packets < maxChain {
		kind, header, rest := fixed(b)
		if header < 0 {
			c.broken = true
			return c
		}
		if header == 0 {
			c.begun = c.packets == 0
			return c
		}
		p := b[header:min(len(b), header+rest)]
		good, strong := right(kind, b[0], p, rest)
		if !good {
			c.broken = true
			return c
		}
		switch kind {
		case connect, subscribe, unsubscribe, pingreq:
			c.client = c.client || !c.server
		case connack, suback, unsuback, pingresp:
			c.server = c.server || !c.client
		}
		c.connects = c.connects || kind == connect && strong
		c.packets++
		c.sure = c.sure || strong
		if len(p) < rest {
			c.begun = !c.sure
			return c
		}
		b = b[header+rest:]
	}
	// Up to the end, packets of some length are enough.
	c.sure = c.sure || len(whole) > 2
	c.ping = len(whole) == 2 && c.packets == 1
	return c
}

// right checks the variable header, as far as it is there. strong: nothing else looks so.
func right(kind, first byte, p []byte, rest int) (good, strong bool) {
	switch kind {
	case connect:
		_, _, v := level(p)
		return v >= 0, v > 0
	case connack:
		return len(p) < 1 || p[0] <= 1 && (rest != 2 || len(p) < 2 || p[1] <= 5), false
	case publish:
		t, more, ok := text(p)
		switch {
		case !ok && len(p) < rest && len(p) < maxTopic:
			return len(p) < 2 || binary.BigEndian.Uint16(p) <= maxTopic, false
		case !ok || !name(t), len(t) == 0 && rest < 6:
			return false, false
		case first&6 != 0 && len(more) >= 2 && binary.BigEndian.Uint16(more) == 0:
			return false, false
		}
		return true, len(t) > 2
	case puback, pubrec, pubrel, pubcomp, suback, unsuback, subscribe, unsubscribe:
		if len(p) >= 2 && binary.BigEndian.Uint16(p) == 0 {
			return false, false
		}
		if kind <= pubcomp && rest > 3 { // a reason, and properties up to the end
			if len(p) > 3 {
				n, k := variable(p[3:])
				return k >= 0 && (k == 0 || 3+k+n == rest), false
			}
		}
		if (kind == subscribe || kind == unsubscribe) && len(p) == rest {
			_, ok3 := filters(p[2:], kind, false)
			ok5 := false
			if n, k := variable(p[2:]); k > 0 && 2+k+n <= len(p) {
				_, ok5 = filters(p[2+k+n:], kind, true)
			}
			return ok3 || ok5, true
		}
	}
	return true, false
}

// level reads the beginning of what CONNECT says: v is the level, 0 where more bytes are
// needed, negative where it is none.
func level(p []byte) (flags byte, rest []byte, v int) {
	t, more, ok := text(p)
	if !ok {
		for _, name := range [2]string{"\x00\x04MQTT", "\x00\x06MQIsdp"} {
			if len(p) < len(name) && name[:len(p)] == string(p) {
				return 0, nil, 0
			}
		}
		return 0, nil, -1
	}
	if string(t) != "MQTT" && string(t) != "MQIsdp" {
		return 0, nil, -1
	}
	if len(more) < 4 {
		return 0, nil, 0
	}
	if v = int(more[0] & 0x7f); v < level31 || v > level5 || (string(t) == "MQIsdp") != (v == level31) || more[1]&1 != 0 {
		return 0, nil, -1
	}
	return more[1], more[4:], v
}

// text reads a string, or binary data, behind its length.
func text(b []byte) (t, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := 2 + int(binary.BigEndian.Uint16(b))
	if len(b) < n {
		return nil, nil, false
	}
	return b[2:n], b[n:], true
}

// name says whether b may be the name of a topic.
func name(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c == 0x7f || c == '#' || c == '+' {
			return false
		}
	}
	return utf8.Valid(b)
}

// filters reads the topic filters of SUBSCRIBE and UNSUBSCRIBE.
func filters(b []byte, kind byte, v5 bool) (first []byte, ok bool) {
	for n := 0; len(b) > 0; n++ {
		t, rest, good := text(b)
		if !good || len(t) == 0 || !utf8.Valid(t) {
			return first, false
		}
		if n == 0 {
			first = t
		}
		if kind == subscribe {
			if len(rest) == 0 || !v5 && rest[0] > 2 || v5 && (rest[0] > 0x3f || rest[0]&3 == 3) {
				return first, false
			}
			rest = rest[1:]
		}
		b = rest
	}
	return first, first != nil
}

// Properties of MQTT 5.0 that are told or needed (2.2.2.2).
const (
	propContentType = 0x03
	propReason      = 0x1f
	propAlias       = 0x23
)

// properties are those of a packet of MQTT 5.0.
type properties struct {
	contentType []byte
	reason      []byte
	alias       uint16
}

// parseProperties reads the properties that b begins with, and returns what is behind them.
func parseProperties(b []byte) (p properties, rest []byte, ok bool) {
	n, k := variable(b)
	if k <= 0 {
		return p, nil, false
	}
	b = b[k:]
	whole := n <= len(b)
	list := b[:min(n, len(b))]
	rest = b[len(list):]
	for len(list) > 0 {
		id := list[0]
		list = list[1:]
		size := 0
		switch id {
		case 0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2a:
			size = 1
		case 0x13, 0x21, 0x22, propAlias:
			if size = 2; id == propAlias && len(list) >= 2 {
				p.alias = binary.BigEndian.Uint16(list)
			}
		case 0x02, 0x11, 0x18, 0x27:
			size = 4
		case 0x0b:
			if _, size = variable(list); size <= 0 {
				return p, rest, false
			}
		case 0x26: // two strings
			_, after, good := text(list)
			if good {
				_, after, good = text(after)
			}
			if !good {
				return p, rest, false
			}
			size = len(list) - len(after)
		case propContentType, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1a, 0x1c, propReason:
			t, after, good := text(list)
			if !good {
				return p, rest, false
			}
			size = len(list) - len(after)
			if id == propContentType {
				p.contentType = t
			} else if id == propReason {
				p.reason = t
			}
		default:
			return p, rest, false
		}
		if size > len(list) {
			return p, rest, false
		}
		list = list[size:]
	}
	return p, rest, whole
}
