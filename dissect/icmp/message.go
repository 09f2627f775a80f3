package icmp

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/lone"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
)

// Sizes of a header: of what every message has in common, and with the four bytes behind it.
const (
	minHeader = 4
	header    = 8
)

// message is one message.
type message struct {
	b     []byte // borrowed
	proto flow.Proto
}

// Read implements lone.Message.
func (m *message) Read(f *dissect.Flow, b []byte) (k lone.Kind, ok bool) {
	if len(b) < minHeader {
		return k, false
	}
	m.b, m.proto = b, f.Transport
	t := m.kind()
	return lone.Kind{Reply: t.reply, Error: t.failure, Cut: len(b) < header, Size: len(b)}, true
}

func (m *message) kind() *kind { return &typesOf(m.proto)[m.b[0]] }

func (m *message) version() int64 {
	if m.proto == flow.ICMPv6 {
		return 6
	}
	return 4
}

// code is the name of the code, "" where it has none.
func (m *message) code() string {
	if codes, n := m.kind().codes, int(m.b[1]); n < len(codes) {
		return codes[n]
	}
	return ""
}

// AppendSummary implements dissect.Message: "echo request 7 seq 1", "destination unreachable:
// port unreachable udp 10.0.0.1:4000 > 10.0.0.2:53", "neighbor solicitation fe80::1".
func (m *message) AppendSummary(dst []byte) []byte {
	t := m.kind()
	if t.name == "" {
		dst = strconv.AppendUint(append(dst, "type "...), uint64(m.b[0]), 10)
		return strconv.AppendUint(append(dst, " code "...), uint64(m.b[1]), 10)
	}
	dst = append(dst, t.name...)
	if name := m.code(); name != "" {
		dst = append(append(dst, ": "...), name...)
	}
	if len(m.b) < header {
		return dst
	}
	switch t.carries {
	case echo:
		dst = strconv.AppendUint(append(dst, ' '), uint64(binary.BigEndian.Uint16(m.b[4:])), 10)
		dst = strconv.AppendUint(append(dst, " seq "...), uint64(m.sequence()), 10)
	case mtu:
		dst = strconv.AppendUint(append(dst, ' '), uint64(binary.BigEndian.Uint32(m.b[4:])), 10)
	case gateway:
		a, _ := netip.AddrFromSlice(m.b[4:8])
		dst = a.AppendTo(append(dst, " to "...))
	case target:
		if len(m.b) >= 24 {
			a, _ := netip.AddrFromSlice(m.b[8:24])
			dst = a.AppendTo(append(dst, ' '))
		}
	}
	if t.failure {
		dst = m.appendCause(dst)
	}
	return dst
}

// sequence is the sequence number of an echo; extended ones have one byte of it.
func (m *message) sequence() uint16 {
	if m.b[0] == 42 || m.b[0] == 43 || m.b[0] == 160 || m.b[0] == 161 {
		return uint16(m.b[6])
	}
	return binary.BigEndian.Uint16(m.b[6:])
}

// appendCause appends the flow of the packet that an error quotes.
func (m *message) appendCause(dst []byte) []byte {
	var h flow.Header
	if !h.Parse(pcap.LinkRaw, m.b[header:]) {
		return dst
	}
	dst = append(append(append(dst, ' '), h.Key.Proto.String()...), ' ')
	dst = appendEnd(dst, h.Key.Addr(h.Dir))
	return appendEnd(append(dst, " > "...), h.Key.Addr(h.Dir.Other()))
}

func appendEnd(dst []byte, a netip.AddrPort) []byte {
	if a.Port() == 0 {
		return a.Addr().AppendTo(dst)
	}
	return a.AppendTo(dst)
}

// AppendStatus implements dissect.Message: nothing comes of a message alone.
func (m *message) AppendStatus(dst []byte) []byte { return dst }

// AppendFields implements dissect.Message.
func (m *message) AppendFields(dst []byte) []byte {
	if name := m.kind().name; name != "" {
		dst = dissect.AppendString(dissect.AppendKey(dst, "icmp_type"), name)
	}
	dst = strconv.AppendUint(dissect.AppendKey(dst, "icmp_type_number"), uint64(m.b[0]), 10)
	dst = strconv.AppendUint(dissect.AppendKey(dst, "icmp_code"), uint64(m.b[1]), 10)
	dst = strconv.AppendInt(dissect.AppendKey(dst, "icmp_version"), m.version(), 10)
	return strconv.AppendInt(dissect.AppendKey(dst, "icmp_length"), int64(len(m.b)), 10)
}

// Body implements dissect.Message: there is none.
func (m *message) Body(int) *dissect.Body { return nil }
