package memcached

import (
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
)

type counter struct{ n int }

func (c *counter) Call(*dissect.Call)    { c.n++ }
func (c *counter) Bodies() (int, bool)   { return 0, false }
func (c *counter) Switch(string, []byte) {}

func benchmark(b *testing.B, ask, answer string) {
	k := &counter{}
	p := newParser(k)
	b.ReportAllocs()
	b.SetBytes(int64(len(ask) + len(answer)))
	question, reply := []byte(ask), []byte(answer)
	for i := int64(1); b.Loop(); i++ {
		p.Data(0, question, dissect.Stamp{Time: i})
		p.Data(1, reply, dissect.Stamp{Time: i})
	}
	b.ReportMetric(float64(k.n)/b.Elapsed().Seconds(), "calls/s")
}

func BenchmarkText(b *testing.B) {
	benchmark(b, "get session:7d5e9f6a\r\n", "VALUE session:7d5e9f6a 0 16\r\n0123456789abcdef\r\nEND\r\n")
}

func BenchmarkMeta(b *testing.B) { benchmark(b, "mg session:7d5e9f6a v\r\n", "VA 5\r\nhello\r\n") }

func BenchmarkBinary(b *testing.B) {
	benchmark(b, packet(magicAsk, 0, 0, 0, 0, "session:7d5e9f6a", ""), packet(magicReply, 0, 0, 0, 4, "", "0123456789abcdef"))
}

func BenchmarkPipeline(b *testing.B) {
	benchmark(b, strings.Repeat("set session:7d5e9f6a 0 0 5\r\nhello\r\n", 16), strings.Repeat("STORED\r\n", 16))
}

func BenchmarkDatagram(b *testing.B) {
	k := &counter{}
	p := newDatagrams(k)
	b.ReportAllocs()
	ask, answer := []byte(framed(1, 0, 1, "get a\r\n")), []byte(framed(1, 0, 1, "END\r\n"))
	for i := int64(1); b.Loop(); i++ {
		p.Data(0, ask, dissect.Stamp{Time: i})
		p.Data(1, answer, dissect.Stamp{Time: i})
	}
	b.ReportMetric(float64(k.n)/b.Elapsed().Seconds(), "calls/s")
}
