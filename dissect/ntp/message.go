package ntp

import (
	"net/netip"
	"strconv"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/lone"
)

// Sizes of headers: of a private message, which is the shortest, of a control message, and of
// one that tells time.
const (
	minHeader     = 8
	controlHeader = 12
	header        = 48
	maxControl    = 468 // bytes of data (RFC 9327, 2)
)

// Modes (RFC 5905, 7.3).
const (
	active    = 1
	passive   = 2
	client    = 3
	server    = 4
	broadcast = 5
	control   = 6
	private   = 7
)

var modes = [...]string{"reserved", "symmetric active", "symmetric passive", "client", "server", "broadcast", "control", "private"}

// controls are the opcodes of control messages (RFC 9327, 3; ntpd).
var controls = [32]string{0: "reserved", 1: "read status", 2: "read variables", 3: "write variables", 4: "read clock variables", 5: "write clock variables",
	6: "set trap", 7: "trap", 8: "configure", 9: "save configuration", 10: "read list of associations", 11: "read ordered list", 12: "request nonce", 31: "unset trap"}

// message is one message.
type message struct{ b []byte } // borrowed

// Read implements lone.Message.
func (m *message) Read(_ *dissect.Flow, b []byte) (k lone.Kind, ok bool) {
	if m.b = b; !m.sane() {
		return k, false
	}
	return lone.Kind{Reply: m.reply(), Error: m.kiss() != nil || m.mode() == control && b[1]&0x40 != 0,
		Cut: m.times() && len(b) < header, Size: len(b)}, true
}

func (m *message) mode() uint8    { return m.b[0] & 7 }
func (m *message) version() uint8 { return m.b[0] >> 3 & 7 }

// times says whether it is a message that tells time.
func (m *message) times() bool { return m.mode() < control }

// reply says whether a message answers another one.
func (m *message) reply() bool {
	switch m.mode() {
	case server, passive:
		return true
	case control:
		return m.b[1]&0x80 != 0
	case private:
		return m.b[0]&0x80 != 0
	}
	return false
}

// kiss is the code of a kiss of death, nil: it is none.
func (m *message) kiss() []byte {
	if m.mode() != server || m.b[1] != 0 || len(m.b) < 16 {
		return nil
	}
	code := m.b[12:16]
	for _, c := range code {
		if c < 'A' || c > 'Z' {
			return nil
		}
	}
	return code
}

// appendReference appends what the clock is set by: the name of a reference clock where the
// server has one, else the address of its server (of IPv6, four bytes of its hash).
func (m *message) appendReference(dst []byte) []byte {
	if !m.times() || len(m.b) < 16 || [4]byte(m.b[12:16]) == [4]byte{} {
		return dst
	}
	id := m.b[12:16]
	if m.b[1] > 1 {
		return netip.AddrFrom4([4]byte(id)).AppendTo(dst)
	}
	for _, c := range id {
		if c >= ' ' && c < 0x7f {
			dst = append(dst, c)
		}
	}
	return dst
}

// AppendSummary implements dissect.Message: "client v4", "server v4 stratum 2 10.0.0.1",
// "control v2 read variables".
func (m *message) AppendSummary(dst []byte) []byte {
	dst = append(append(dst, modes[m.mode()]...), " v"...)
	dst = strconv.AppendUint(dst, uint64(m.version()), 10)
	switch {
	case m.mode() == control:
		return append(append(dst, ' '), controls[m.b[1]&0x1f]...)
	case m.mode() == private:
		return strconv.AppendUint(append(dst, " request "...), uint64(m.b[3]), 10)
	case m.b[1] > 0:
		dst = strconv.AppendUint(append(dst, " stratum "...), uint64(m.b[1]), 10)
		n := len(dst) + 1
		if dst = m.appendReference(append(dst, ' ')); len(dst) == n {
			return dst[:n-1]
		}
	}
	return dst
}

// AppendStatus implements dissect.Message: the code of a kiss of death.
func (m *message) AppendStatus(dst []byte) []byte { return append(dst, m.kiss()...) }

// AppendFields implements dissect.Message.
func (m *message) AppendFields(dst []byte) []byte {
	dst = strconv.AppendUint(dissect.AppendKey(dst, "ntp_mode"), uint64(m.mode()), 10)
	dst = strconv.AppendUint(dissect.AppendKey(dst, "ntp_version"), uint64(m.version()), 10)
	if m.times() {
		dst = strconv.AppendUint(dissect.AppendKey(dst, "ntp_stratum"), uint64(m.b[1]), 10)
		var mem [16]byte
		if id := m.appendReference(mem[:0]); len(id) > 0 {
			dst = dissect.AppendBytes(dissect.AppendKey(dst, "ntp_reference"), id)
		}
	}
	return dst
}

// Body implements dissect.Message: there is none.
func (m *message) Body(int) *dissect.Body { return nil }
