package mqtt

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/pcap/flow"
)

var (
	c = cuttest.Client
	s = cuttest.Server
)

func same(call *dissect.Call) (request, response string) {
	return string(call.Message.AppendSummary(nil)), ""
}

// pack is a packet with that first byte.
func pack(first byte, parts ...string) string {
	body := strings.Join(parts, "")
	return string(binary.AppendUvarint([]byte{first}, uint64(len(body)))) + body
}

// str is a string behind its length.
func str(t string) string { return string(binary.BigEndian.AppendUint16(nil, uint16(len(t)))) + t }

const (
	hello4 = "\x00\x04MQTT\x04\x02\x00\x3c"
	hello5 = "\x00\x04MQTT\x05\x02\x00\x3c\x00"
)

var (
	connect4 = pack(0x10, hello4, str("me"))
	connect5 = pack(0x10, hello5, str("me"))
	long     = strings.Repeat("x", 3000)
)

var conversations = []cuttest.Case{
	{Name: "3.1.1", Steps: []cuttest.Step{
		c(connect4), s("\x20\x02\x00\x00"), c(pack(0x82, "\x00\x01", str("a/#"), "\x01", str("b/+"), "\x00")), s("\x90\x04\x00\x01\x01\x80"), c(pack(0x30, str("a/b"), "hello")),
		s(pack(0x3b, str("a/c"), "\x00\x07", "hello")), c("\x40\x02\x00\x07"), c(pack(0x34, str("a/d"), "\x00\x02")), s("\x50\x02\x00\x02"), c("\x62\x02\x00\x02"), s("\x70\x02\x00\x02"),
		c(pack(0xa2, "\x00\x03", str("a/#"))), s("\xb0\x02\x00\x03"), c("\xc0\x00"), s("\xd0\x00"), c("\xe0\x00")},
		Want: []string{"CONNECT me", "<CONNACK", "SUBSCRIBE a/#", "<!SUBACK 1 -> unspecified error", "PUBLISH a/b", "<PUBLISH a/c", "PUBACK 7", "PUBLISH a/d", "<PUBREC 2", "PUBREL 2", "<PUBCOMP 2",
			"UNSUBSCRIBE a/#", "<UNSUBACK 3", "PINGREQ", "<PINGRESP", "DISCONNECT"}},
	{Name: "5.0", Steps: []cuttest.Step{
		c(connect5), s("\x20\x06\x00\x00\x03\x22\x00\x0a"), c(pack(0x82, "\x00\x01\x00", str("a/#"), "\x2c")), s("\x90\x04\x00\x01\x00\x02"), c(pack(0x32, str("a/b"), "\x00\x02", "\x03\x23\x00\x01", "hello")),
		s("\x40\x04\x00\x02\x10\x00"), c(pack(0x32, str(""), "\x00\x03", "\x03\x23\x00\x01", "again")), s("\x40\x03\x00\x03\x87"), c(pack(0xf0, "\x18\x00")), s(pack(0xe0, "\x8e", "\x07", "\x1f", str("gone")))},
		Want: []string{"CONNECT me", "<CONNACK", "SUBSCRIBE a/#", "<SUBACK 1", "PUBLISH a/b", "<PUBACK 2", "PUBLISH a/b", "<!PUBACK 3 -> not authorized", "AUTH", "<!DISCONNECT -> gone"}},
	{Name: "refused", Steps: []cuttest.Step{
		c(pack(0x10, "\x00\x06MQIsdp\x03\xc2\x00\x3c", str("me"), str("user"), str("secret"))), s("\x20\x02\x00\x05")},
		Want: []string{"CONNECT me", "<!CONNACK -> not authorized"}},
	{Name: "many in a piece", Steps: []cuttest.Step{
		c(pack(0x32, str("a/b"), "\x00\x01", "x") + pack(0x32, str("a/c"), "\x00\x02", "x") + pack(0x32, str("a/d"), "\x00\x03", "x")), s("\x40\x02\x00\x01\x40\x02\x00\x02\x40\x02\x00\x03")},
		Want: []string{"PUBLISH a/b", "PUBLISH a/c", "PUBLISH a/d", "<PUBACK 1", "<PUBACK 2", "<PUBACK 3"}},
	{Name: "a hole in a payload", Steps: []cuttest.Step{
		c(pack(0x30, str("a/b"), long)[:50]), cuttest.Missing(0, 2958), c(pack(0x30, str("a/c"), "x"))},
		Want: []string{"~PUBLISH a/b", "PUBLISH a/c"}},
	{Name: "a hole beyond a payload", Steps: []cuttest.Step{
		c(pack(0x30, str("a/b"), long)[:50]), cuttest.Missing(0, 5000), c("xxxx" + pack(0x30, str("a/c"), "x"))},
		Want: []string{"~PUBLISH a/b", "PUBLISH a/c"}},
	{Name: "not MQTT", GivenUp: true, NoDamage: true, Steps: []cuttest.Step{c("\x00\x01\x02"), s("\x00hello")}},
}

func TestConversations(t *testing.T) { cuttest.Cases(t, protocol, flow.TCP, same, conversations) }

func TestRecordedCut(t *testing.T) { cuttest.Cut(t, "testdata/[vr]*.pcap", protocol, same) }

func FuzzParser(f *testing.F) { cuttest.Fuzz(f, "testdata/*.pcap", protocol) }

func TestConnect(t *testing.T) {
	steps := []cuttest.Step{{Time: 1, Data: []byte(pack(0x10, "\x00\x04MQTT\x05\xc6\x00\x3c", "\x05\x11\x00\x00\x00\x0a", str("me"), "\x00", str("gone"), str("bye"), str("user"), str("secret")))}}
	told, err := cuttest.Play(t, protocol, steps, 1000, nil)
	if err != nil || len(told) != 1 || strings.Contains(told[0].Line, "secret") || !strings.Contains(told[0].Line, `"mqtt_username":"user"`) {
		t.Errorf("%+v, %v", told, err)
	}
}

func TestDetect(t *testing.T) {
	const yes, no, unsure = dissect.Yes, dissect.No, dissect.Unsure
	for _, tt := range []struct {
		name           string
		client, server string
		middle         bool
		want           dissect.Verdict
		swap           bool
	}{
		{"CONNECT", connect4, "", false, yes, false},
		{"CONNECT of the second side", "\x20\x02\x00\x00", connect5, true, yes, true},
		{"half a CONNECT", connect4[:6], "", false, unsure, false},
		{"one byte", "\x10", "", false, unsure, false},
		{"CONNECT of a version that is none", pack(0x10, "\x00\x04MQTT\x09\x02\x00\x3c", str("me")), "", false, no, false},
		{"PUBLISH at the beginning", pack(0x30, str("a/b"), "hello"), "", false, no, false},
		{"PUBLISH in the middle", pack(0x30, str("a/b"), "hello"), "", true, yes, false},
		{"long PUBLISH in the middle", pack(0x30, str("a/b"), long)[:1400], "", true, yes, false},
		{"PUBLISH of bytes", pack(0x30, str("a\x01b"), "hello"), "", true, no, false},
		{"SUBSCRIBE of the second side", "", pack(0x82, "\x00\x01", str("a/#"), "\x01"), true, yes, true},
		{"pings", "\xc0\x00", "\xd0\x00", true, yes, false},
		{"pings the other way round", "\xd0\x00", "\xc0\x00", true, yes, true},
		{"one ping", "\xc0\x00", "", true, unsure, false},
		{"PUBACK alone", "\x40\x02\x00\x01", "", true, unsure, false},
		{"text", "0123456789", "", true, no, false},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "", true, no, false},
		{"nothing", "", "", false, no, false},
	} {
		p := &dissect.Probe{Transport: flow.TCP, Data: [2][]byte{[]byte(tt.client), []byte(tt.server)}, FromStart: [2]bool{!tt.middle, !tt.middle}}
		if got := detect(p); got != tt.want || got == yes && p.Swap != tt.swap {
			t.Errorf("%s: %d, swap %v", tt.name, got, p.Swap)
		}
	}
}

func TestAliasesAreBounded(t *testing.T) {
	var a aliases
	for i := range 2000 {
		a.set(uint16(i), []byte(long))
		a.set(uint16(i), []byte("short"))
	}
	if len(a.names) > maxAliases || a.size > maxAliased {
		t.Errorf("%d aliases of %d bytes", len(a.names), a.size)
	}
}
