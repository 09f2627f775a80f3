package smtp

import (
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
)

// BenchmarkMails sends a small mail.
func BenchmarkMails(b *testing.B) {
	k := &cuttest.Counter{}
	p := newParser(k)
	said := [][]byte{[]byte("MAIL FROM:<a@example.com>\r\n"), []byte("250 2.1.0 Ok\r\n"), []byte("RCPT TO:<b@example.com>\r\n"), []byte("250 2.1.5 Ok\r\n"), []byte("DATA\r\n"), []byte("354 go\r\n"),
		[]byte("Subject: x\r\n\r\n" + strings.Repeat("0123456789abcdef\r\n", 20) + ".\r\n"), []byte("250 2.0.0 queued\r\n")}
	p.Data(1, []byte(greeting), dissect.Stamp{Time: 1})
	k.Bench(b, p, said...)
}

// BenchmarkLargeMail sends 1 MB in segments.
func BenchmarkLargeMail(b *testing.B) {
	k := &cuttest.Counter{}
	p := newParser(k)
	body := []byte(strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789\r\n", 1<<20/76) + ".\r\n")
	p.Data(1, []byte(greeting), dissect.Stamp{Time: 1})
	k.Bench(b, p, []byte("DATA\r\n"), []byte("354 go\r\n"), body, []byte("250 Ok\r\n"))
}
