package redis

import (
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
)

type counter struct{ n int }

func (c *counter) Call(*dissect.Call)    { c.n++ }
func (c *counter) Bodies() (int, bool)   { return 0, false }
func (c *counter) Switch(string, []byte) {}

var (
	smallCommand = []byte(cmd("SET", "session:7d5e9f6a", "0123456789abcdef"))
	smallReply   = []byte("$16\r\n0123456789abcdef\r\n")
)

func BenchmarkSmallCalls(b *testing.B) {
	k := &counter{}
	p := newParser(k)
	b.ReportAllocs()
	b.SetBytes(int64(len(smallCommand) + len(smallReply)))
	for i := int64(1); b.Loop(); i++ {
		p.Data(0, smallCommand, dissect.Stamp{Time: i})
		p.Data(1, smallReply, dissect.Stamp{Time: i})
	}
	b.ReportMetric(float64(k.n)/b.Elapsed().Seconds(), "calls/s")
}

// BenchmarkPipeline has 16 commands in a piece.
func BenchmarkPipeline(b *testing.B) {
	k := &counter{}
	p := newParser(k)
	ask, answer := []byte(strings.Repeat(string(smallCommand), 16)), []byte(strings.Repeat("+OK\r\n", 16))
	b.ReportAllocs()
	b.SetBytes(int64(len(ask) + len(answer)))
	for i := int64(1); b.Loop(); i++ {
		p.Data(0, ask, dissect.Stamp{Time: i})
		p.Data(1, answer, dissect.Stamp{Time: i})
	}
	b.ReportMetric(float64(k.n)/b.Elapsed().Seconds(), "calls/s")
}

// BenchmarkLargeValue sends 1 MB in segments.
func BenchmarkLargeValue(b *testing.B) {
	data := []byte("$1048576\r\n" + strings.Repeat("x", 1<<20) + "\r\n")
	k := &counter{}
	p := newParser(k)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for i := int64(1); b.Loop(); i++ {
		p.Data(0, smallCommand, dissect.Stamp{Time: i})
		for rest := data; len(rest) > 0; {
			n := min(len(rest), 1448)
			p.Data(1, rest[:n], dissect.Stamp{Time: i})
			rest = rest[n:]
		}
	}
}

func BenchmarkAppendFields(b *testing.B) {
	var dst []byte
	p := newParser(&sink{each: func(c *dissect.Call) {
		b.ReportAllocs()
		for b.Loop() {
			dst = c.Message.AppendFields(dst[:0])
		}
		b.ReportMetric(float64(len(dst)), "bytes")
	}})
	p.Data(0, smallCommand, dissect.Stamp{Time: 1})
	p.Data(1, smallReply, dissect.Stamp{Time: 2})
}
