package smtp

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

const (
	greeting = "220 mail.example.com ESMTP\r\n"
	hello    = "250-mail.example.com\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
)

var conversations = []cuttest.Case{
	{Name: "a mail", Steps: []cuttest.Step{
		s(greeting), c("EHLO me\r\n"), s(hello), c("MAIL FROM:<a@b>\r\n"), s("250 2.1.0 Ok\r\n"), c("rcpt to:<c@d>\r\n"), s("250 2.1.5 Ok\r\n"), c("RCPT TO:<no@d>\r\n"), s("550 5.1.1 no\r\n"),
		c("DATA\r\n"), s("354 go\r\n"), c("Subject: x\r\n\r\nQUIT\r\n..\r\n.\rx\r\n"), c("MAIL FROM:<x@y>\r\n.\r\n"), s("250 2.0.0 queued\r\n"), c("QUIT\r\n"), s("221 2.0.0 Bye\r\n")},
		Want: []string{"<mail.example.com ESMTP -> 220", "EHLO me -> 250", "MAIL FROM:<a@b> -> 250", "RCPT to:<c@d> -> 250", "!RCPT TO:<no@d> -> 550", "DATA -> 250", "QUIT -> 221"}},
	{Name: "pipelining", Steps: []cuttest.Step{
		s(greeting), c("EHLO me\r\n"), s(hello), c("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"), s("250 Ok\r\n250 Ok\r\n354 go\r\n"), c("x\r\n.\r\nMAIL FROM:<e@f>\r\nRCPT TO:<no@d>\r\nDATA\r\n"),
		s("250 Ok\r\n250 Ok\r\n550 no\r\n"), s("503 no recipients\r\n"), c("RSET\r\nQUIT\r\n"), s("250 Ok\r\n221 Bye\r\n")},
		Want: []string{"<mail.example.com ESMTP -> 220", "EHLO me -> 250", "MAIL FROM:<a@b> -> 250", "RCPT TO:<c@d> -> 250", "DATA -> 250", "MAIL FROM:<e@f> -> 250", "!RCPT TO:<no@d> -> 550", "!DATA -> 503",
			"RSET -> 250", "QUIT -> 221"}},
	{Name: "chunks", Steps: []cuttest.Step{
		s(greeting), c("EHLO me\r\n"), s(hello), c("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 12\r\nSubject: x\r\nBDAT 6 LAST\r\nQUIT\r\nQUIT\r\n"), s("250 Ok\r\n250 Ok\r\n250 Ok\r\n250 Ok\r\n221 Bye\r\n")},
		Want: []string{"<mail.example.com ESMTP -> 220", "EHLO me -> 250", "MAIL FROM:<a@b> -> 250", "RCPT TO:<c@d> -> 250", "BDAT 12 -> 250", "BDAT 6 LAST -> 250", "QUIT -> 221"}},
	{Name: "authentication", Steps: []cuttest.Step{
		s(greeting), c("EHLO me\r\n"), s(hello), c("AUTH LOGIN\r\n"), s("334 VXNlcm5hbWU6\r\n"), c("bWU\r\n"), s("334 UGFzc3dvcmQ6\r\n"), c("secret\r\n"), s("535 5.7.8 no\r\n"),
		c("AUTH PLAIN AG1lAHNlY3JldA==\r\n"), s("235 2.7.0 Ok\r\n"), c("NOOP\r\n"), s("250 Ok\r\n")},
		Want: []string{"<mail.example.com ESMTP -> 220", "EHLO me -> 250", "!AUTH LOGIN -> 535", "AUTH PLAIN (redacted) -> 235", "NOOP -> 250"}},
	{Name: "encryption", Switch: "tlsx rest", NoDamage: true, Steps: []cuttest.Step{
		s(greeting), c("EHLO me\r\n"), s(hello), c("STARTTLS\r\n"), s("220 2.0.0 go\r\nrest")},
		Want: []string{"<mail.example.com ESMTP -> 220", "EHLO me -> 250", "STARTTLS -> 220"}},
	{Name: "encryption that is refused", Steps: []cuttest.Step{
		s(greeting), c("STARTTLS\r\n"), s("454 4.7.0 not now\r\n"), c("QUIT\r\n"), s("221 Bye\r\n")},
		Want: []string{"<mail.example.com ESMTP -> 220", "!STARTTLS -> 454", "QUIT -> 221"}},
	{Name: "LMTP", NoDamage: true, Steps: []cuttest.Step{
		s("220 lmtp LMTP\r\n"), c("LHLO me\r\n"), s("250 lmtp\r\n"), c("MAIL FROM:<a@b>\r\n"), s("250 Ok\r\n"), c("RCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\n"), s("250 Ok\r\n250 Ok\r\n"),
		c("DATA\r\n"), s("354 go\r\n"), c("x\r\n.\r\n"), s("250 Ok\r\n452 full\r\n"), c("QUIT\r\n"), s("221 Bye\r\n")},
		Want: []string{"<lmtp LMTP -> 220", "LHLO me -> 250", "MAIL FROM:<a@b> -> 250", "RCPT TO:<c@d> -> 250", "RCPT TO:<e@f> -> 250", "!DATA -> 452", "QUIT -> 221"}},
	{Name: "a mail that is refused before its end", NoDamage: true, Steps: []cuttest.Step{
		s(greeting), c("HELO me\r\n"), s("250 me\r\n"), c("DATA\r\n"), s("354 go\r\n"), c("x\r\nQUIT\r\n"), s("552 too large\r\n"), c("more\r\n.\r\nQUIT\r\n"), s("221 Bye\r\n")},
		Want: []string{"<mail.example.com ESMTP -> 220", "HELO me -> 250", "!DATA -> 552", "QUIT -> 221"}},
	{Name: "a hole in a mail", NoDamage: true, Steps: []cuttest.Step{
		s(greeting), c("HELO me\r\n"), s("250 me\r\n"), c("DATA\r\n"), s("354 go\r\n"), c("x\r\n"), cuttest.Missing(0, 100), c("QUIT\r\n.\r\n"), s("250 Ok\r\n"), c("QUIT\r\n"), s("221 Bye\r\n")},
		Want: []string{"<mail.example.com ESMTP -> 220", "HELO me -> 250", "~DATA -> 250", "QUIT -> 221"}},
	{Name: "the end of a mail is missing", NoDamage: true, Steps: []cuttest.Step{
		s(greeting), c("HELO me\r\n"), s("250 me\r\n"), c("DATA\r\n"), s("354 go\r\n"), c("x\r\n"), cuttest.Missing(0, 0), s("250 Ok\r\n"), c("QUIT\r\n"), s("221 Bye\r\n")},
		Want: []string{"<mail.example.com ESMTP -> 220", "HELO me -> 250", "~DATA -> 250", "QUIT -> 221"}},
	{Name: "from the middle of a mail", NoDamage: true, Steps: []cuttest.Step{
		cuttest.Missing(0, 0), c("MAIL FROM:<a@b>\r\n.\r\n"), s("250 2.0.0 queued\r\n"), c("QUIT\r\n"), s("221 Bye\r\n")},
		Want: []string{"~QUIT", "<~2.0.0 queued -> 250"}},
	{Name: "a server that says good bye", NoDamage: true, Steps: []cuttest.Step{
		s(greeting), c("HELO me\r\n"), s("250 me\r\n"), {Dir: 1, Data: []byte("421 timeout\r\n"), Time: 9e9}},
		Want: []string{"<mail.example.com ESMTP -> 220", "HELO me -> 250", "<!timeout -> 421"}},
	{Name: "not SMTP", GivenUp: true, NoDamage: true, Steps: []cuttest.Step{c("\x01\n\x02\n\x03\n"), s("hello\nworld\n")}},
}

func TestConversations(t *testing.T) { cuttest.Cases(t, protocol, flow.TCP, same, conversations) }

func TestRecordedCut(t *testing.T) { cuttest.Cut(t, "testdata/[acmp]*.pcap", protocol, same) }

func FuzzParser(f *testing.F) { cuttest.Fuzz(f, "testdata/*.pcap", protocol) }

func TestBodies(t *testing.T) {
	steps := []cuttest.Step{{Dir: 1, Time: 1, Data: []byte(greeting)}, {Time: 2, Data: []byte("DATA\r\n")}, {Dir: 1, Time: 3, Data: []byte("354 go\r\n")},
		{Time: 4, Data: []byte("a\r\n..\r\n..b\r\n.\r\n")}, {Dir: 1, Time: 5, Data: []byte("250 Ok\r\n")}}
	for limit, want := range map[int]string{100: `body 15 false "a\r\n.\r\n.b\r\n"`, 4: `body 15 true "a\r\n."`} {
		told, err := cuttest.Play(t, protocol, steps, limit, nil)
		if err != nil || len(told) != 2 || !strings.HasSuffix(told[1].Line, want) {
			t.Errorf("%+v, %v", told, err)
		}
	}
}

func TestSecrets(t *testing.T) {
	for _, conversation := range conversations {
		if conversation.Name != "authentication" {
			continue
		}
		told, _ := cuttest.Play(t, protocol, conversation.Steps, 1000, nil)
		for _, call := range told {
			if strings.Contains(call.Line, "secret") || strings.Contains(call.Line, "AG1l") || strings.Contains(call.Line, "bWU") {
				t.Error(call.Line)
			}
		}
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
		{"greeting of someone, and EHLO", "EHLO me\r\n", "220 ready\r\n", yes, false},
		{"greeting of someone, and USER", "USER me\r\n", "220 ready\r\n", no, false},
		{"greeting of FTP", "", "220 FTP server\r\n", no, false},
		{"half a greeting", "", "22", unsure, false},
		{"EHLO", "EHLO me\r\n", "", yes, false},
		{"half a command", "EHL", "", unsure, false},
		{"HELO without a name", "HELO\r\n", "", no, false},
		{"MAIL", "MAIL FROM:<a@b>\r\n", "", yes, false},
		{"RCPT of the second side", "250 Ok\r\n", "RCPT TO:<a@b>\r\n", yes, true},
		{"enhanced code", "", "550 5.1.1 no\r\n", yes, false},
		{"what is no enhanced code", "", "550 127.0.0.1 no\r\n", unsure, false},
		{"STARTTLS", "STARTTLS\r\n", "220 go\r\n", yes, false},
		{"QUIT", "QUIT\r\n", "221 bye\r\n", unsure, false},
		{"HTTP", "GET / HTTP/1.1\r\n", "", no, false},
		{"POP3", "", "+OK ready\r\n", no, false},
		{"nothing", "", "", no, false},
	} {
		p := &dissect.Probe{Transport: flow.TCP, Data: [2][]byte{[]byte(tt.client), []byte(tt.server)}}
		if got := detect(p); got != tt.want || got == yes && p.Swap != tt.swap {
			t.Errorf("%s: %d, swap %v", tt.name, got, p.Swap)
		}
	}
}
