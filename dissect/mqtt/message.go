package mqtt

import (
	"fmt"
	"strconv"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/lines"
)

const (
	maxSummary = 200 // bytes, then it is cut
	maxFilters = 256 // that are told
)

// packet is the message of a call. It is the parser's, and used again for the next call.
type packet struct {
	kind       byte
	first      byte // of the fixed header
	version    int
	id         int    // packet identifier, -1: none
	reason     int    // -1: none
	topic      []byte // of PUBLISH; the first filter of SUBSCRIBE
	list       []byte // the filters of SUBSCRIBE
	codes      []byte // of SUBACK
	client     []byte
	identified bool
	user       []byte
	payload    []byte // as far as it is kept
	size       int64  // bytes of it
	props      properties
	limit      int // of bodies, 0: they are not wanted
	call       dissect.Call
	body       dissect.Body
}

func (m *packet) name() string { return typeNames[m.kind] }

func (m *packet) qos() int { return int(m.first >> 1 & 3) }

func (m *packet) failed() bool {
	return m.kind == connack && m.reason > 0 || m.reason >= 0x80
}

// versionName is the version as the standard has it.
func (m *packet) versionName() string {
	switch m.version {
	case level31:
		return "3.1"
	case level311:
		return "3.1.1"
	case level5:
		return "5.0"
	}
	return ""
}

// AppendSummary implements dissect.Message: "PUBLISH shop/orders", "CONNECT sensor-7".
func (m *packet) AppendSummary(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, m.name()...)
	switch {
	case len(m.topic) > 0:
		dst = append(append(dst, ' '), m.topic...)
	case len(m.client) > 0:
		dst = append(append(dst, ' '), m.client...)
	case m.id >= 0:
		dst = strconv.AppendInt(append(dst, ' '), int64(m.id), 10)
	}
	return lines.Shorten(dst, start, maxSummary)
}

// AppendStatus implements dissect.Message: why it was refused, "" where nothing was.
func (m *packet) AppendStatus(dst []byte) []byte {
	if !m.failed() {
		return dst
	}
	if len(m.props.reason) > 0 {
		return append(dst, m.props.reason[:min(len(m.props.reason), 64)]...)
	}
	return append(dst, m.reasonName()...)
}

// reasonName is what the standard calls a reason code.
func (m *packet) reasonName() string {
	names := reasons
	if m.kind == connack && m.version != level5 && m.reason < 0x80 {
		names = refusals
	}
	if name, ok := names[m.reason]; ok {
		return name
	}
	return fmt.Sprintf("reason 0x%02x", m.reason)
}

// refusals are the return codes of CONNACK (mqtt-v3.1.1, table 3.1).
var refusals = map[int]string{1: "unacceptable protocol version", 2: "identifier rejected", 3: "server unavailable", 4: "bad user name or password", 5: "not authorized"}

// reasons are those that tell a failure (mqtt-v5.0, 2.4).
var reasons = map[int]string{0x80: "unspecified error", 0x81: "malformed packet", 0x82: "protocol error", 0x83: "implementation specific error", 0x84: "unsupported protocol version",
	0x85: "client identifier not valid", 0x86: "bad user name or password", 0x87: "not authorized", 0x88: "server unavailable", 0x89: "server busy", 0x8a: "banned",
	0x8b: "server shutting down", 0x8c: "bad authentication method", 0x8d: "keep alive timeout", 0x8e: "session taken over", 0x8f: "topic filter invalid",
	0x90: "topic name invalid", 0x91: "packet identifier in use", 0x92: "packet identifier not found", 0x93: "receive maximum exceeded", 0x94: "topic alias invalid",
	0x95: "packet too large", 0x96: "message rate too high", 0x97: "quota exceeded", 0x98: "administrative action", 0x99: "payload format invalid", 0x9a: "retain not supported",
	0x9b: "QoS not supported", 0x9c: "use another server", 0x9d: "server moved", 0x9e: "shared subscriptions not supported", 0x9f: "connection rate exceeded",
	0xa0: "maximum connect time", 0xa1: "subscription identifiers not supported", 0xa2: "wildcard subscriptions not supported"}

// eachFilter goes through the filters of SUBSCRIBE and UNSUBSCRIBE.
func (m *packet) eachFilter(each func(filter []byte)) {
	b := m.list
	for range maxFilters {
		t, rest, ok := text(b)
		if !ok {
			return
		}
		each(t)
		if m.kind == subscribe && len(rest) > 0 {
			rest = rest[1:]
		}
		b = rest
	}
}

// AppendFields implements dissect.Message.
func (m *packet) AppendFields(dst []byte) []byte {
	dst = append(append(append(dissect.AppendKey(dst, "mqtt_type"), '"'), m.name()...), '"')
	if len(m.topic) > 0 {
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "mqtt_topic"), m.topic)
	}
	if m.list != nil {
		dst = append(dissect.AppendKey(dst, "mqtt_topics"), '[')
		more := false
		m.eachFilter(func(filter []byte) {
			if more {
				dst = append(dst, ',')
			}
			dst, more = dissect.AppendBytes(dst, filter), true
		})
		dst = append(dst, ']')
	}
	if m.kind == publish {
		dst = strconv.AppendInt(dissect.AppendKey(dst, "mqtt_qos"), int64(m.qos()), 10)
		dst = strconv.AppendBool(dissect.AppendKey(dst, "mqtt_retain"), m.first&1 != 0)
		dst = strconv.AppendBool(dissect.AppendKey(dst, "mqtt_dup"), m.first&8 != 0)
		dst = strconv.AppendInt(dissect.AppendKey(dst, "mqtt_size"), m.size, 10)
	}
	if m.id >= 0 {
		dst = strconv.AppendInt(dissect.AppendKey(dst, "mqtt_packet_id"), int64(m.id), 10)
	}
	if m.identified {
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "mqtt_client_id"), m.client)
	}
	if len(m.user) > 0 {
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "mqtt_username"), m.user)
	}
	if m.version > 0 {
		dst = append(append(append(dissect.AppendKey(dst, "mqtt_version"), '"'), m.versionName()...), '"')
	}
	if m.reason >= 0 {
		dst = strconv.AppendInt(dissect.AppendKey(dst, "mqtt_reason_code"), int64(m.reason), 10)
	}
	return dst
}

// Body implements dissect.Message: the payload of PUBLISH.
func (m *packet) Body(part int) *dissect.Body {
	if m.limit == 0 || part != 0 || m.kind != publish {
		return nil
	}
	m.body = dissect.Body{Type: string(m.props.contentType), Data: m.payload[:min(len(m.payload), m.limit)], Size: m.size}
	m.body.Truncated = int64(len(m.body.Data)) < m.size
	return &m.body
}
