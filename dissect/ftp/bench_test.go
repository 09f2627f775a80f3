package ftp

import (
	"testing"

	"github.com/sshark/sshark/dissect"
)

type counter struct{ n int }

func (c *counter) Call(*dissect.Call)    { c.n++ }
func (c *counter) Bodies() (int, bool)   { return 0, false }
func (c *counter) Switch(string, []byte) {}

func BenchmarkTransfers(b *testing.B) {
	k := &counter{}
	p := newParser(k)
	said := [][]byte{[]byte("PASV\r\n"), []byte("227 Entering Passive Mode (10,0,0,7,221,90)\r\n"), []byte("RETR robots.txt\r\n"), []byte("150 Opening BINARY mode data connection\r\n226 Transfer complete.\r\n")}
	b.ReportAllocs()
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
