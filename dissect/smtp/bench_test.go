package smtp

import (
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
)

type counter struct{ n int }

func (c *counter) Call(*dissect.Call)    { c.n++ }
func (c *counter) Bodies() (int, bool)   { return 0, false }
func (c *counter) Switch(string, []byte) {}

// BenchmarkMails sends a small mail.
func BenchmarkMails(b *testing.B) {
	k := &counter{}
	p := newParser(k)
	said := [][]byte{[]byte("MAIL FROM:<a@example.com>\r\n"), []byte("250 2.1.0 Ok\r\n"), []byte("RCPT TO:<b@example.com>\r\n"), []byte("250 2.1.5 Ok\r\n"), []byte("DATA\r\n"), []byte("354 go\r\n"),
		[]byte("Subject: x\r\n\r\n" + strings.Repeat("0123456789abcdef\r\n", 20) + ".\r\n"), []byte("250 2.0.0 queued\r\n")}
	p.Data(1, []byte(greeting), dissect.Stamp{Time: 1})
	size := 0
	for _, s := range said {
		size += len(s)
	}
	b.ReportAllocs()
	b.SetBytes(int64(size))
	for i := int64(1); b.Loop(); i++ {
		for n, s := range said {
			if n%2 == 0 {
				p.Data(0, s, dissect.Stamp{Time: i})
			} else {
				p.Data(1, s, dissect.Stamp{Time: i})
			}
		}
	}
	b.ReportMetric(float64(k.n)/b.Elapsed().Seconds(), "calls/s")
}

// BenchmarkLargeMail sends 1 MB in segments.
func BenchmarkLargeMail(b *testing.B) {
	p := newParser(&counter{})
	body := []byte(strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789\r\n", 1<<20/76) + ".\r\n")
	p.Data(1, []byte(greeting), dissect.Stamp{Time: 1})
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for i := int64(1); b.Loop(); i++ {
		p.Data(0, []byte("DATA\r\n"), dissect.Stamp{Time: i})
		p.Data(1, []byte("354 go\r\n"), dissect.Stamp{Time: i})
		for rest := body; len(rest) > 0; {
			n := min(len(rest), 1448)
			p.Data(0, rest[:n], dissect.Stamp{Time: i})
			rest = rest[n:]
		}
		p.Data(1, []byte("250 Ok\r\n"), dissect.Stamp{Time: i})
	}
}
