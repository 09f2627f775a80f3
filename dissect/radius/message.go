package radius

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/lone"
)

// Sizes of packets (RFC 2865, 3).
const (
	minHeader = 4 // up to the end of the length
	header    = 20
	maxPacket = 4096
)

// Attributes that are read.
const (
	attrUser   = 1
	attrReply  = 18
	attrStatus = 40
)

// code is a kind of packet.
type code struct {
	name   string
	reply  bool
	error  bool
	common bool
	boxed  any // name, for filters
}

// codes are those of packets (IANA, "RADIUS Packet Type Codes").
var codes = func() (list [256]code) {
	list = [256]code{
		1: {name: "Access-Request", common: true}, 2: {name: "Access-Accept", common: true, reply: true}, 3: {name: "Access-Reject", common: true, reply: true, error: true},
		4: {name: "Accounting-Request", common: true}, 5: {name: "Accounting-Response", common: true, reply: true}, 6: {name: "Accounting-Status"},
		7: {name: "Password-Request"}, 8: {name: "Password-Ack", reply: true}, 9: {name: "Password-Reject", reply: true, error: true}, 10: {name: "Accounting-Message"},
		11: {name: "Access-Challenge", common: true, reply: true}, 12: {name: "Status-Server", common: true}, 13: {name: "Status-Client"},
		21: {name: "Resource-Free-Request"}, 22: {name: "Resource-Free-Response", reply: true}, 23: {name: "Resource-Query-Request"}, 24: {name: "Resource-Query-Response", reply: true},
		25: {name: "Alternate-Resource-Reclaim-Request"}, 26: {name: "NAS-Reboot-Request"}, 27: {name: "NAS-Reboot-Response", reply: true}, 29: {name: "Next-Passcode"},
		30: {name: "New-Pin"}, 31: {name: "Terminate-Session"}, 32: {name: "Password-Expired"}, 33: {name: "Event-Request"}, 34: {name: "Event-Response", reply: true},
		40: {name: "Disconnect-Request", common: true}, 41: {name: "Disconnect-ACK", common: true, reply: true}, 42: {name: "Disconnect-NAK", common: true, reply: true, error: true},
		43: {name: "CoA-Request", common: true}, 44: {name: "CoA-ACK", common: true, reply: true}, 45: {name: "CoA-NAK", common: true, reply: true, error: true},
		50: {name: "IP-Address-Allocate"}, 51: {name: "IP-Address-Release"}, 52: {name: "Protocol-Error", reply: true, error: true},
	}
	for i := range list {
		if list[i].name != "" {
			list[i].boxed = list[i].name
		}
	}
	return list
}()

// statuses are kinds of accounting (RFC 2866, 5.1).
var statuses = [...]string{1: "Start", 2: "Stop", 3: "Interim-Update", 7: "Accounting-On", 8: "Accounting-Off", 9: "Tunnel-Start", 10: "Tunnel-Stop",
	11: "Tunnel-Reject", 12: "Tunnel-Link-Start", 13: "Tunnel-Link-Stop", 14: "Tunnel-Link-Reject", 15: "Failed"}

// message is one packet.
type message struct {
	b          []byte // borrowed, as are those below
	code       *code
	size       int
	user       []byte
	text       []byte // Reply-Message
	status     uint32
	attributes bool // there are some
	broken     bool // one of them does not fit: those behind it are not read
	cut        bool // the packet is longer than what was captured
	extra      bool // there is padding behind it
}

// Read implements lone.Message.
func (m *message) Read(_ *dissect.Flow, b []byte) (k lone.Kind, ok bool) {
	if !m.read(b) || m.broken && m.extra {
		return k, false
	}
	return lone.Kind{Reply: m.code.reply, Error: m.code.error, Cut: m.cut, Size: m.size}, true
}

// read reads a packet, also one of which the capture kept no more than the code and the length.
// It reports false where it is none.
func (m *message) read(b []byte) bool {
	if len(b) < minHeader || codes[b[0]].name == "" {
		return false
	}
	*m = message{b: b, code: &codes[b[0]], size: int(binary.BigEndian.Uint16(b[2:]))}
	if m.size < header || m.size > maxPacket {
		return false
	}
	m.cut, m.extra = m.size > len(b), m.size < len(b)
	for b = b[min(header, len(b)):min(m.size, len(b))]; len(b) > 0; {
		n := 0
		if len(b) >= 2 {
			n = int(b[1])
		}
		switch {
		case m.cut && (len(b) < 2 || n >= 2 && n > len(b)):
			return true
		case n < 2 || n > len(b) || b[0] == 0:
			m.broken = true
			return true
		}
		m.attribute(b[0], b[2:n])
		b = b[n:]
	}
	return true
}

func (m *message) attribute(kind byte, v []byte) {
	m.attributes = true
	switch {
	case kind == attrUser && m.user == nil:
		m.user = v
	case kind == attrReply && m.text == nil:
		m.text = v
	case kind == attrStatus && len(v) == 4:
		m.status = binary.BigEndian.Uint32(v)
	}
}

// AppendSummary implements dissect.Message: "Access-Request alice", "Accounting-Request Start
// alice", "Access-Reject: account locked".
func (m *message) AppendSummary(dst []byte) []byte {
	dst = append(dst, m.code.name...)
	if m.status < uint32(len(statuses)) && statuses[m.status] != "" {
		dst = append(append(dst, ' '), statuses[m.status]...)
	}
	if len(m.user) > 0 {
		dst = append(append(dst, ' '), m.user...)
	}
	if len(m.text) > 0 {
		dst = append(append(dst, ": "...), m.text...)
	}
	return dst
}

// AppendStatus implements dissect.Message: nothing comes of a packet alone.
func (m *message) AppendStatus(dst []byte) []byte { return dst }

// AppendFields implements dissect.Message.
func (m *message) AppendFields(dst []byte) []byte {
	dst = strconv.AppendUint(dissect.AppendKey(dst, "radius_code"), uint64(m.b[0]), 10)
	dst = dissect.AppendString(dissect.AppendKey(dst, "radius_code_name"), m.code.name)
	dst = strconv.AppendBool(dissect.AppendKey(dst, "radius_request"), !m.code.reply)
	dst = strconv.AppendBool(dissect.AppendKey(dst, "radius_response"), m.code.reply)
	dst = strconv.AppendUint(dissect.AppendKey(dst, "radius_id"), uint64(m.b[1]), 10)
	if len(m.user) > 0 {
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "radius_user"), m.user)
	}
	name := "radius_response_length"
	if !m.code.reply {
		if len(m.b) >= header {
			dst = append(hex.AppendEncode(append(dissect.AppendKey(dst, "radius_request_authenticator"), '"'), m.b[4:header]), '"')
		}
		name = "radius_request_length"
	}
	dst = strconv.AppendInt(dissect.AppendKey(dst, name), int64(m.size), 10)
	return strconv.AppendInt(dissect.AppendKey(dst, "radius_total_size"), int64(m.size), 10)
}

// Body implements dissect.Message: there is none.
func (m *message) Body(int) *dissect.Body { return nil }
