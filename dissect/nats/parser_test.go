package nats

import (
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

const (
	info    = "INFO {\"server_id\":\"A\",\"server_name\":\"one\",\"version\":\"2.9.10\"} \r\n"
	connect = "CONNECT {\"verbose\":false,\"user\":\"u\",\"pass\":\"secret\",\"name\":\"cart\"}\r\n"
)

var long = strings.Repeat("x", 3000)

var conversations = []cuttest.Case{
	{Name: "publish and subscribe", Steps: []cuttest.Step{
		s(info), c(connect + "PING\r\n"), s("+OK\r\nPONG\r\n"), c("SUB a.* 1\r\nsub b q 2\r\n"), c("PUB a.b 5\r\nhello\r\nPUB a.c reply 0\r\n\r\n"),
		s("MSG a.b 1 5\r\nhello\r\nMSG a.c 1 reply 0\r\n\r\n"), c("UNSUB 1 5\r\nUNSUB 2\r\n"), s("PING\r\n"), c("PONG\r\n")},
		Want: []string{"<INFO one 2.9.10", "CONNECT cart", "PING", "<+OK", "<PONG", "SUB a.* 1", "SUB b q 2", "PUB a.b 5", "PUB a.c reply 0", "<MSG a.b 1 5", "<MSG a.c 1 reply 0",
			"UNSUB 1 5", "UNSUB 2", "<PING", "PONG"}},
	{Name: "headers", Steps: []cuttest.Step{
		s(info), c(connect + "HPUB a 23 25\r\nNATS/1.0\r\nA: 1\r\nB:2\r\n\r\nhi\r\n"), s("HMSG in 9 16 16\r\nNATS/1.0 503\r\n\r\n\r\n")},
		Want: []string{"<INFO one 2.9.10", "CONNECT cart", "HPUB a 23 25", "<!HMSG in 9 16 16 -> 503"}},
	{Name: "errors", Steps: []cuttest.Step{
		s(info), c(connect), s("-ERR 'Authorization Violation'\r\n")},
		Want: []string{"<INFO one 2.9.10", "CONNECT cart", "<!-ERR 'Authorization Violation'"}},
	{Name: "between servers", Steps: []cuttest.Step{
		s(info), c("CONNECT {\"name\":\"two\"}\r\nRS+ $G far\r\nRS+ $G far q 1\r\n"), s("RMSG $G far + back q r 5\r\nhello\r\nRMSG $G far | q 1\r\nx\r\nRMSG $G far back 0\r\n\r\nLMSG far 2\r\nhi\r\nLS+ a\r\nA+ acc\r\n")},
		Want: []string{"<INFO one 2.9.10", "CONNECT two", "RS+ $G far", "RS+ $G far q 1", "<RMSG $G far + back q r 5", "<RMSG $G far | q 1", "<RMSG $G far back 0", "<LMSG far 2", "<LS+ a", "<A+ acc"}},
	{Name: "a payload of another length", NoDamage: true, Steps: []cuttest.Step{
		s(info), c("PUB a 3\r\nhello\r\nPUB b 1\r\nx\r\n")},
		Want: []string{"<INFO one 2.9.10", "~PUB a 3", "PUB b 1"}},
	{Name: "a hole in a payload", Steps: []cuttest.Step{
		c("PUB a 3000\r\n" + long[:100]), cuttest.Missing(0, 2900), c("\r\nPUB b 1\r\nx\r\n")},
		Want: []string{"~PUB a 3000", "PUB b 1"}},
	{Name: "a hole beyond a payload", Steps: []cuttest.Step{
		c("PUB a 30\r\nxx"), cuttest.Missing(0, 100), c("PUB c 2\r\nno\r\n"), c("PUB b 1\r\nx\r\n")},
		Want: []string{"~PUB a 30", "~PUB c 2", "PUB b 1"}},
	{Name: "the end of a payload first", Steps: []cuttest.Step{
		cuttest.Missing(0, 0), c("xxx\r\nPING\r\nPUB b 1\r\nx\r\nPING\r\n")},
		Want: []string{"PUB b 1", "PING"}},
	{Name: "the end of a line first", Steps: []cuttest.Step{
		cuttest.Missing(1, 0), s("MSG a 1 2 3\r\nabc\r\nMSG a 1 1\r\nx\r\n")},
		Want: []string{"<MSG a 1 1"}},
	{Name: "TLS", Switch: "tlsx \x16\x03\x01", NoDamage: true, Steps: []cuttest.Step{s(info), c("\x16\x03\x01")}, Want: []string{"<INFO one 2.9.10"}},
	{Name: "not NATS", GivenUp: true, NoDamage: true, Steps: []cuttest.Step{c("a\nb\nc\nd\ne\n"), s("f\n")}},
}

func TestConversations(t *testing.T) { cuttest.Cases(t, protocol, flow.TCP, same, conversations) }

func TestRecordedCut(t *testing.T) { cuttest.Cut(t, "testdata/[cej]*.pcap", protocol, same) }

func FuzzParser(f *testing.F) { cuttest.Fuzz(f, "testdata/*.pcap", protocol) }

func TestSecrets(t *testing.T) {
	told, err := cuttest.Play(t, protocol, []cuttest.Step{{Dir: 1, Data: []byte(info), Time: 1}, {Data: []byte(connect), Time: 2}}, 1000, nil)
	if err != nil || len(told) != 2 || strings.Contains(told[1].Line, "secret") {
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
		{"INFO", "", info, false, yes, false},
		{"INFO of the second side", info, "", true, yes, true},
		{"a part of INFO", "", info[:30], false, yes, false},
		{"the beginning of INFO", "", info[:5], false, unsure, false},
		{"CONNECT", connect, "", false, yes, false},
		{"CONNECT of HTTP", "CONNECT a:443 HTTP/1.1\r\n", "", false, no, false},
		{"INFO of Redis", "INFO server\r\n", "", false, no, false},
		{"PUB", "PUB a 1\r\nx\r\n", "", true, yes, false},
		{"PUB of another length", "PUB a 1\r\nxyz\r\n", "", true, no, false},
		{"MSG of the second side", "MSG a 1 1\r\nx\r\n", "", true, yes, true},
		{"behind a payload", "xxx\r\nPUB a 1\r\nx\r\n", "", true, yes, false},
		{"PING", "PING\r\n", "", false, unsure, false},
		{"PING and PONG", "PING\r\n", "PONG\r\n", true, unsure, false},
		{"PING and PONG, and more", "PING\r\nPONG\r\nSUB a 1\r\n", "PONG\r\nPING\r\n", true, yes, false},
		{"PING and PONG, and something else", "PING\r\nTIME\r\n", "PONG\r\n12:00\r\n", false, no, false},
		{"PING in a pipeline of Redis", "PING\r\n", "+OK\r\n", false, no, false},
		{"PING of Redis", "PING\r\n", "+PONG\r\n", true, no, false},
		{"OK", "", "+OK\r\n", true, unsure, false},
		{"POP3", "", "+OK ready\r\n", false, no, false},
		{"IRC", "PING :server\r\n", "", true, no, false},
		{"INFO, and TLS", "\x16\x03\x01", info, false, yes, false},
		{"nothing", "", "", false, no, false},
	} {
		p := &dissect.Probe{Transport: flow.TCP, Data: [2][]byte{[]byte(tt.client), []byte(tt.server)}, FromStart: [2]bool{!tt.middle, !tt.middle}}
		if got := detect(p); got != tt.want || got == yes && p.Swap != tt.swap {
			t.Errorf("%s: %d, swap %v", tt.name, got, p.Swap)
		}
	}
}

func TestBodies(t *testing.T) {
	steps := []cuttest.Step{{Data: []byte("HPUB a 24 3024\r\nNATS/1.0\r\nA: 1\r\nA: 2\r\n\r\n" + long + "\r\n"), Time: 1}}
	told, _ := cuttest.Play(t, protocol, steps, 10, nil)
	if len(told) != 1 || !strings.Contains(told[0].Line, "body 3000 true") && !strings.Contains(told[0].Line, `"A":"1"`) {
		t.Errorf("%+v", told)
	}
}
