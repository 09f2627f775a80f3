package mqtt

import (
	"encoding/binary"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/frames"
	"github.com/sshark/sshark/pcap/flow"
)

const (
	keepPacket = 1 << 10 // bytes of a packet, where its body is not wanted
	maxBad     = 2       // times that bytes are no packet, before a flow without one is given up
	maxAliases = 256
	maxAliased = 64 << 10 // bytes of them
)

// parser is one flow.
type parser struct {
	sink    dissect.Sink
	half    [2]frames.Reader
	format  format
	version int // level of CONNECT, 0: it was not seen
	good    bool
	aliases [2]aliases
	p       packet
}

// aliases are the topics that one side has numbers for.
type aliases struct {
	names map[uint16][]byte
	size  int
}

func (a *aliases) set(n uint16, topic []byte) {
	old, known := a.names[n]
	if a.size += len(topic) - len(old); !known && len(a.names) >= maxAliases || a.size > maxAliased {
		a.size -= len(topic) - len(old)
		return
	}
	if a.names == nil {
		a.names = map[uint16][]byte{}
	}
	a.names[n] = append(old[:0], topic...)
}

func newParser(sink dissect.Sink) *parser { return &parser{sink: sink} }

// Data implements dissect.Parser.
func (p *parser) Data(d flow.Dir, b []byte, at dissect.Stamp) error {
	limit := keepPacket
	if n, wanted := p.sink.Bodies(); wanted {
		limit = max(limit, n+maxTopic)
	}
	r := &p.half[d]
	for len(b) > 0 {
		n, done := r.Next(p.format, b, at.Time, limit)
		if b = b[n:]; done {
			p.packet(d, &r.Frame)
		}
	}
	if !p.good && p.half[0].Bad+p.half[1].Bad >= maxBad {
		return dissect.ErrNotMine
	}
	return nil
}

// packet takes a packet.
func (p *parser) packet(d flow.Dir, f *frames.Frame) {
	kind, header, rest := fixed(f.Data)
	if header <= 0 {
		return
	}
	body := f.Data[header:min(len(f.Data), header+rest)]
	if p.version == 0 && tells5(kind, body, rest) {
		p.version = level5
	}
	m := &p.p
	*m = packet{kind: kind, first: f.Data[0], version: p.version, id: -1, reason: -1}
	m.limit, _ = p.sink.Bodies()
	m.read(body, rest)
	if p.good = true; kind == connect && m.version > 0 {
		p.version = m.version
	}
	if kind == publish && m.props.alias > 0 {
		if a := &p.aliases[d]; len(m.topic) > 0 {
			a.set(m.props.alias, m.topic)
		} else {
			m.topic = a.names[m.props.alias]
		}
	}
	nameless := kind == publish && len(m.topic) == 0 // its alias was given where nothing was seen
	m.call = dissect.Call{Message: m, Reverse: d == 1, Incomplete: f.Cut || nameless, Error: m.failed(), Time: f.First, RequestEnd: f.Last, RequestSize: uint64(f.Size)}
	p.sink.Call(&m.call)
}

// tells5 says whether a packet can only be of MQTT 5.0: one with properties where others have
// nothing, or without a topic.
func tells5(kind byte, b []byte, n int) bool {
	switch kind {
	case connack, unsuback:
		return n > 2
	case publish:
		if len(b) >= 2 && b[0] == 0 && b[1] == 0 {
			return true
		}
	}
	return false
}

// led says whether what stands before a payload of an unknown version are surely properties:
// there are some, or there are none and what follows is text.
func led(b []byte) bool {
	_, payload, ok := parseProperties(b)
	if !ok || len(b) < 2 || b[0] != 0 {
		return ok && len(b) > 1
	}
	for _, c := range payload[:min(len(payload), 16)] {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// read takes what stands behind the fixed header, n bytes of which b is what is kept.
func (m *packet) read(b []byte, n int) {
	v5 := m.version == level5
	switch m.kind {
	case connect:
		m.connect(b)
	case connack:
		if len(b) >= 2 {
			m.reason = int(b[1])
			m.properties(b[2:], v5)
		}
	case publish:
		t, rest, ok := text(b)
		if !ok {
			return
		}
		m.topic = t
		if m.qos() > 0 {
			rest = m.identify(rest)
		}
		if m.version == 0 {
			v5 = led(rest)
		}
		if rest = m.properties(rest, v5); m.id >= 0 || m.qos() == 0 {
			m.payload, m.size = rest, int64(n-(len(b)-len(rest)))
		}
	case puback, pubrec, pubrel, pubcomp:
		if rest := m.identify(b); len(rest) > 0 {
			m.reason = int(rest[0])
			m.properties(rest[1:], n > 3)
		} else if m.id >= 0 && v5 {
			m.reason = 0
		}
	case subscribe, unsubscribe:
		rest := m.identify(b)
		if m.version == 0 {
			if _, ok := filters(rest, m.kind, false); !ok {
				v5 = true
			}
		}
		m.list = m.properties(rest, v5)
		m.topic, _ = filters(m.list, m.kind, v5)
	case suback, unsuback:
		rest := m.identify(b)
		if _, codes, ok := parseProperties(rest); m.version == 0 && ok && len(codes) > 0 {
			return // of version 5, or codes all the way
		}
		m.codes = m.properties(rest, v5)
		for i, c := range m.codes {
			if i == 0 || c >= 0x80 && m.reason < 0x80 {
				m.reason = int(c)
			}
		}
	case disconnect, auth:
		if len(b) > 0 {
			m.reason = int(b[0])
			m.properties(b[1:], true)
		} else if n == 0 && v5 {
			m.reason = 0
		}
	}
}

// identify takes the packet identifier.
func (m *packet) identify(b []byte) []byte {
	if len(b) < 2 {
		return nil
	}
	m.id = int(binary.BigEndian.Uint16(b))
	return b[2:]
}

// properties takes the properties, where there are any.
func (m *packet) properties(b []byte, there bool) []byte {
	if !there {
		return b
	}
	var rest []byte
	m.props, rest, _ = parseProperties(b)
	return rest
}

// connect reads who the client is.
func (m *packet) connect(b []byte) {
	flags, b, v := level(b)
	if v <= 0 {
		return
	}
	m.version = v
	b = m.properties(b, v == level5)
	var ok bool
	if m.client, b, ok = text(b); !ok {
		return
	}
	m.identified = true
	if flags&4 != 0 { // a will: its topic and payload
		if v == level5 {
			if _, b, ok = parseProperties(b); !ok {
				return
			}
		}
		for range 2 {
			if _, b, ok = text(b); !ok {
				return
			}
		}
	}
	if flags&0x80 != 0 {
		m.user, _, _ = text(b)
	}
}

// Gap implements dissect.Parser.
func (p *parser) Gap(d flow.Dir, n int64, at dissect.Stamp) error {
	r := &p.half[d]
	if r.Gap(n, at.Time) {
		p.packet(d, &r.Frame)
	}
	if r.Missed {
		r.Missed = false
		p.aliases[d] = aliases{} // others may have taken their places
	}
	return nil
}

// Close implements dissect.Parser.
func (p *parser) Close(at dissect.Stamp) {
	for d := range flow.Dir(2) {
		if r := &p.half[d]; r.Close(at.Time) {
			p.packet(d, &r.Frame)
		}
	}
}
