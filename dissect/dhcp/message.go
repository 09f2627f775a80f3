package dhcp

import (
	"net/netip"
	"strconv"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/lone"
)

// Where fields of a message are (RFC 2131, 2).
const (
	minHeader  = 44 // up to the end of the hardware address
	serverName = 44
	file       = 108
	options    = 236
	header     = 240 // with the cookie
)

// What a message is.
const (
	bootRequest = 1
	bootReply   = 2
)

// Options that are read (RFC 2132).
const (
	optPad      = 0
	optHostName = 12
	optAddress  = 50
	optOverload = 52
	optType     = 53
	optServer   = 54
	optEnd      = 255
)

// types are those of messages (IANA, "DHCP Message Type 53 Values").
var types = [...]string{1: "DISCOVER", 2: "OFFER", 3: "REQUEST", 4: "DECLINE", 5: "ACK", 6: "NAK", 7: "RELEASE", 8: "INFORM", 9: "FORCERENEW",
	10: "LEASEQUERY", 11: "LEASEUNASSIGNED", 12: "LEASEUNKNOWN", 13: "LEASEACTIVE", 14: "BULKLEASEQUERY", 15: "LEASEQUERYDONE", 16: "ACTIVELEASEQUERY",
	17: "LEASEQUERYSTATUS", 18: "TLS"}

const (
	decline = 4
	nak     = 6
)

// message is one message.
type message struct {
	b      []byte // borrowed, as are those below
	kind   uint8  // 0: BOOTP, or not known
	host   []byte // name of the client
	asked  []byte // address that it asks for
	server []byte // identifier of the server
}

// Read implements lone.Message.
func (m *message) Read(_ *dissect.Flow, b []byte) (k lone.Kind, ok bool) {
	if !sane(b) {
		return k, false
	}
	*m = message{b: b}
	cut := len(b) < header
	if magic(b) {
		whole, overload := m.read(b[header:])
		cut = !whole
		if overload&1 != 0 {
			m.read(b[file:options])
		}
		if overload&2 != 0 {
			m.read(b[serverName:file])
		}
	}
	return lone.Kind{Reply: b[0] == bootReply, Error: m.kind == nak || m.kind == decline, Cut: cut, Size: len(b)}, true
}

// read reads options. whole is false where they end early; overload says which fields hold
// more of them (RFC 2132, 9.3).
func (m *message) read(b []byte) (whole bool, overload uint8) {
	for len(b) > 0 {
		code := b[0]
		switch {
		case code == optEnd:
			return true, overload
		case code == optPad:
			b = b[1:]
			continue
		case len(b) < 2 || len(b) < 2+int(b[1]):
			return false, overload
		}
		v := b[2 : 2+int(b[1])]
		b = b[2+len(v):]
		switch {
		case code == optType && len(v) == 1:
			m.kind = v[0]
		case code == optOverload && len(v) == 1:
			overload = v[0]
		case code == optHostName:
			m.host = v
		case code == optAddress && len(v) == 4:
			m.asked = v
		case code == optServer && len(v) == 4:
			m.server = v
		}
	}
	return m.kind != 0, overload // some leave the end out
}

// address is the one that a message is about: the client's new one, that which it has, or that
// which it asks for; nil: none.
func (m *message) address() []byte {
	for _, a := range [...][]byte{m.b[16:20], m.b[12:16], m.asked} {
		if len(a) == 4 && [4]byte(a) != [4]byte{} {
			return a
		}
	}
	return nil
}

// appendMAC appends the hardware address.
func (m *message) appendMAC(dst []byte) []byte {
	const hex = "0123456789abcdef"
	for i, c := range m.b[28 : 28+int(m.b[2])] {
		if i > 0 {
			dst = append(dst, ':')
		}
		dst = append(dst, hex[c>>4], hex[c&15])
	}
	return dst
}

// name is that of the type, "" where it has none.
func (m *message) name() string {
	if int(m.kind) < len(types) {
		return types[m.kind]
	}
	return ""
}

// AppendSummary implements dissect.Message: "DISCOVER 02:42:0a:00:00:05 web-1",
// "ACK 10.0.0.5 02:42:0a:00:00:05".
func (m *message) AppendSummary(dst []byte) []byte {
	switch name := m.name(); {
	case name != "":
		dst = append(dst, name...)
	case m.kind != 0:
		dst = strconv.AppendUint(append(dst, "type "...), uint64(m.kind), 10)
	case m.b[0] == bootRequest:
		dst = append(dst, "BOOTREQUEST"...)
	default:
		dst = append(dst, "BOOTREPLY"...)
	}
	if a := m.address(); a != nil {
		dst = netip.AddrFrom4([4]byte(a)).AppendTo(append(dst, ' '))
	}
	if m.b[2] > 0 {
		dst = m.appendMAC(append(dst, ' '))
	}
	if len(m.host) > 0 {
		dst = append(append(dst, ' '), m.host...)
	}
	return dst
}

// AppendStatus implements dissect.Message: nothing comes of a message alone.
func (m *message) AppendStatus(dst []byte) []byte { return dst }

// AppendFields implements dissect.Message.
func (m *message) AppendFields(dst []byte) []byte {
	if m.kind != 0 {
		dst = strconv.AppendUint(dissect.AppendKey(dst, "dhcp_type"), uint64(m.kind), 10)
	}
	if name := m.name(); name != "" {
		dst = dissect.AppendString(dissect.AppendKey(dst, "dhcp_type_name"), name)
	}
	var mem [64]byte
	if a := m.address(); a != nil {
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "dhcp_address"), netip.AddrFrom4([4]byte(a)).AppendTo(mem[:0]))
	}
	if m.b[2] > 0 {
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "dhcp_mac"), m.appendMAC(mem[:0]))
	}
	if len(m.host) > 0 {
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "dhcp_hostname"), m.host)
	}
	if len(m.server) == 4 {
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "dhcp_server"), netip.AddrFrom4([4]byte(m.server)).AppendTo(mem[:0]))
	}
	return dst
}

// Body implements dissect.Message: there is none.
func (m *message) Body(int) *dissect.Body { return nil }
