package ftp

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
	return string(call.Message.AppendSummary(nil)), string(call.Message.AppendStatus(nil))
}

const greeting = "220 FTP server ready\r\n"

var conversations = []cuttest.Case{
	{Name: "files", Steps: []cuttest.Step{
		s(greeting), c("USER me\r\n"), s("331 password\r\n"), c("PASS secret\r\n"), s("230-Welcome\r\n to us\r\n220 is no code here\r\n230 in\r\n"), c("pasv\r\n"), s("227 Entering Passive Mode (1,2,3,4,5,6)\r\n"),
		c("RETR a\r\n"), s("150 Opening\r\n"), s("226 Transfer complete\r\n"), c("STOR b\r\n"), s("553 no\r\n"), c("PWD\r\nCWD x y\r\n"), s("257 \"/\"\r\n250 ok\r\n"), c("XYZZY a\r\n"), s("500 what\r\n"),
		c("QUIT\r\n"), s("221-Bye\r\n221 Bye\r\n")},
		Want: []string{"<FTP server ready -> 220", "USER me -> 331", "PASS (redacted) -> 230", "PASV -> 227", "RETR a -> 226", "!STOR b -> 553", "PWD -> 257", "CWD x y -> 250", "!XYZZY a -> 500", "QUIT -> 221"}},
	{Name: "a transfer that is broken off", NoDamage: true, Steps: []cuttest.Step{
		s(greeting), c("RETR a\r\n"), s("150 Opening\r\n"), c("\xff\xf4\xff\xf2ABOR\r\n"), s("426 closed\r\n226 aborted\r\n"), c("\xff\xf4\xffABOR\r\n"), s("225 none\r\n")},
		Want: []string{"<FTP server ready -> 220", "!RETR a -> 426", "ABOR -> 226", "ABOR -> 225"}},
	{Name: "a preliminary reply and no other", Steps: []cuttest.Step{
		s(greeting), c("RETR a\r\n"), s("150 Opening\r\n")},
		Want: []string{"<FTP server ready -> 220", "RETR a"}},
	{Name: "encryption", Switch: "tlsx", NoDamage: true, Steps: []cuttest.Step{
		s(greeting), c("AUTH TLS\r\n"), s("234 go\r\n")},
		Want: []string{"<FTP server ready -> 220", "AUTH TLS -> 234"}},
	{Name: "encryption that is refused", Steps: []cuttest.Step{
		s(greeting), c("AUTH TLS\r\n"), s("502 no\r\n"), c("QUIT\r\n"), s("221 Bye\r\n")},
		Want: []string{"<FTP server ready -> 220", "!AUTH TLS -> 502", "QUIT -> 221"}},
	{Name: "a server that says good bye", NoDamage: true, Steps: []cuttest.Step{
		s(greeting), c("NOOP\r\n"), s("200 ok\r\n"), {Dir: 1, Data: []byte("421 timeout\r\n"), Time: 9e9}},
		Want: []string{"<FTP server ready -> 220", "NOOP -> 200", "<!timeout -> 421"}},
	{Name: "a hole", NoDamage: true, Steps: []cuttest.Step{
		s(greeting), c("NOOP\r\n"), s("200 ok\r\n"), c("PWD\r\n"), s("257 x\r\n"), c("SYST\r\n"), s("215 UNIX\r\n"), c("FEAT\r\n"), s("211-Features\r\n SI"), cuttest.Missing(1, 0), s("211 End\r\n"),
		c("PASV\r\n"), s("227 Entering\r\n")},
		Want: []string{"<FTP server ready -> 220", "NOOP -> 200", "PWD -> 257", "SYST -> 215", "~FEAT -> 211", "<~End -> 211", "PASV -> 227"}},
	{Name: "not FTP", GivenUp: true, NoDamage: true, Steps: []cuttest.Step{c("\x01\n\x02\n\x03\n"), s("hello\nworld\n")}},
}

func TestConversations(t *testing.T) { cuttest.Cases(t, protocol, flow.TCP, same, conversations) }

func TestRecordedCut(t *testing.T) { cuttest.Cut(t, "testdata/[acpr]*.pcap", protocol, same) }

func FuzzParser(f *testing.F) { cuttest.Fuzz(f, "testdata/*.pcap", protocol) }

func TestSecrets(t *testing.T) {
	told, _ := cuttest.Play(t, protocol, conversations[0].Steps, 1000, nil)
	for _, call := range told {
		if strings.Contains(call.Line, "secret") {
			t.Error(call.Line)
		}
	}
}

// TestElapsed: a call is answered from its preliminary reply on.
func TestElapsed(t *testing.T) {
	steps := []cuttest.Step{{Time: 1, Data: []byte("RETR a\r\n")}, {Dir: 1, Time: 3, Data: []byte("150 Opening\r\n")}, {Dir: 1, Time: 9, Data: []byte("226 Transfer complete\r\n")}}
	seen := false
	_, err := cuttest.Play(t, protocol, steps, 0, func(call *dissect.Call) (string, string) {
		seen = true
		if elapsed, _ := call.Elapsed(); elapsed != 2 || call.ResponseEnd != 9 || call.ResponseSize != 36 {
			t.Errorf("elapsed %d, end %d, %d bytes", elapsed, call.ResponseEnd, call.ResponseSize)
		}
		return "", ""
	})
	if err != nil || !seen {
		t.Error(err)
	}
}

func TestDetect(t *testing.T) {
	const yes, no, unsure = dissect.Yes, dissect.No, dissect.Unsure
	for _, tt := range []struct {
		name           string
		client, server string
		want           dissect.Verdict
		swap           bool
	}{
		{"greeting", "", greeting, yes, false},
		{"greeting of the second side", greeting, "", yes, true},
		{"greeting of someone", "", "220 ready\r\n", unsure, false},
		{"greeting of someone, and USER", "USER me\r\n", "220 ready\r\n", unsure, false},
		{"greeting of someone, and USER, answered", "USER me\r\n", "220 ready\r\n331 password\r\n", yes, false},
		{"HELP, answered on several lines", "HELP\r\nFROB\r\nPWD\r\n", "214-Commands:\r\n PWD CWD\r\n214 ok\r\n500 what\r\n", yes, false},
		{"where it is, on several lines", "", "214-Commands:\r\n PWD CWD\r\n214 ok\r\n257 \"/\" is the place\r\n", yes, false},
		{"AUTH TLS", "AUTH TLS\r\n", "234 go on\r\n", yes, false},
		{"AUTH of SMTP", "AUTH PLAIN\r\n", "235 go on\r\n", unsure, false},
		{"greeting of someone, USER, PASS and SYST", "USER me\r\nPASS x\r\nSYST\r\n", "220 ready\r\n331 password\r\n230 in\r\n", yes, false},
		{"greeting of SMTP", "", "220 mail ESMTP\r\n", no, false},
		{"greeting of someone, and EHLO", "EHLO me\r\n", "220 ready\r\n", no, false},
		{"half a greeting", "", "22", unsure, false},
		{"half a command", "PAS", "", unsure, false},
		{"PASV", "PASV\r\n", "", unsure, false},
		{"a client alone", "USER me\r\nPASS x\r\nPORT 10,0,0,1,4,1\r\n", "", yes, false},
		{"a client alone, of the second side", "", "TYPE I\r\nEPRT |1|10.0.0.1|1025|\r\nRETR x\r\n", yes, true},
		{"a client alone, of POP3 perhaps", "USER me\r\nPASS x\r\nLIST\r\nRETR 1\r\n", "", unsure, false},
		{"a client alone, of something else", "USER me\r\nPASS x\r\nFROB\r\nPORT x\r\n", "", unsure, false},
		{"PASV, answered", "PASV\r\n", "227 Entering Passive Mode (1,2,3,4,5,6)\r\n", yes, false},
		{"SYST of the second side", "215 UNIX\r\n", "SYST\r\n", yes, true},
		{"POP3", "USER me\r\n", "+OK\r\n", no, false},
		{"HTTP", "GET / HTTP/1.1\r\n", "", no, false},
		{"nothing", "", "", no, false},
	} {
		p := &dissect.Probe{Transport: flow.TCP, Data: [2][]byte{[]byte(tt.client), []byte(tt.server)}}
		if got := detect(p); got != tt.want || got == yes && p.Swap != tt.swap {
			t.Errorf("%s: %d, swap %v", tt.name, got, p.Swap)
		}
	}
}
