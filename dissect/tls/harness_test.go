package tls

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/pcap/flow"
)

// rec is a record of TLS 1.2.
func rec(kind byte, payload string) string {
	return string([]byte{kind, 3, 3, byte(len(payload) >> 8), byte(len(payload))}) + payload
}

// shake is a handshake message.
func shake(kind byte, body string) string {
	return string([]byte{kind, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}) + body
}

// block is s behind its length of n bytes.
func block(n int, s string) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(len(s)))
	return string(b[8-n:]) + s
}

// nums are numbers of 16 bits.
func nums(list ...uint16) string {
	var b []byte
	for _, n := range list {
		b = binary.BigEndian.AppendUint16(b, n)
	}
	return string(b)
}

func ext(kind uint16, data string) string { return nums(kind) + block(2, data) }

// sni is the extension that asks for a host.
func sni(name string) string { return ext(extServerName, block(2, "\x00"+block(2, name))) }

func alpn(names ...string) string {
	var b strings.Builder
	for _, n := range names {
		b.WriteString(block(1, n))
	}
	return ext(extALPN, block(2, b.String()))
}

// asksFor is a ClientHello.
func asksFor(version uint16, suites, extensions string) string {
	body := nums(version) + strings.Repeat("r", 32) + block(1, "") + block(2, suites) + block(1, "\x00")
	if extensions != "" {
		body += block(2, extensions)
	}
	return shake(typeClientHello, body)
}

// hello is a ClientHello for a host.
func hello(name string) string {
	return asksFor(0x0303, nums(0x1301, 0xc02f), sni(name)+ext(extVersions, block(1, nums(0x0304, 0x0303))))
}

func answer(random string, version, suite uint16, extensions string) string {
	return shake(typeServerHello, nums(version)+random+block(1, "")+nums(suite)+"\x00"+block(2, extensions))
}

var (
	random   = strings.Repeat("s", 32)
	answer12 = answer(random, 0x0303, 0xc02f, "")
	answer13 = answer(random, 0x0303, 0x1301, ext(extVersions, nums(0x0304)))
	again13  = answer(retryRandom, 0x0303, 0x1301, ext(extVersions, nums(0x0304)))
	done12   = shake(typeServerDone, "")
	exchange = shake(16, "key")
	change   = rec(kindChange, "\x01")
	finished = rec(kindHandshake, strings.Repeat("\xee", 40))
	data     = rec(kindData, strings.Repeat("\xdd", 100))
)

func alertOf(level, description byte) string {
	return rec(kindAlert, string([]byte{level, description}))
}

// parsed is the ClientHello of a message.
func parsed(t *testing.T, m string) *asking {
	t.Helper()
	a, ok := readClientHello([]byte(m))
	if !ok {
		t.Fatal("no ClientHello")
	}
	return &a
}

var (
	client = cuttest.Client
	server = cuttest.Server
)

// same tells handshakes apart.
func same(c *dissect.Call) (request, response string) {
	return string(c.Message.AppendSummary(nil)), string(c.Message.AppendStatus(nil))
}

// probe is what detection sees of a connection, from its start or not.
func probe(start bool, sides [2]string) *dissect.Probe {
	return &dissect.Probe{Transport: flow.TCP, Data: [2][]byte{[]byte(sides[0]), []byte(sides[1])}, Opened: start, FromStart: [2]bool{start, start}}
}
