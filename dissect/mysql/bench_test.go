package mysql

import (
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
)

type counter struct{ n int }

func (c *counter) Call(*dissect.Call)    { c.n++ }
func (c *counter) Bodies() (int, bool)   { return 0, false }
func (c *counter) Switch(string, []byte) {}

var (
	smallQuery  = []byte(query("SELECT c FROM sbtest1 WHERE id=5047"))
	smallAnswer = []byte(table(1, 2, "1234"))
)

func BenchmarkQuery(b *testing.B) { benchmark(b, smallQuery, smallAnswer) }

func BenchmarkPrepared(b *testing.B) { benchmark(b, []byte(execute(7)), smallAnswer) }

func benchmark(b *testing.B, ask, answer []byte) {
	k := &counter{}
	p := newParser(k)
	p.Data(0, []byte(prepare("SELECT c FROM sbtest1 WHERE id=?")), dissect.Stamp{})
	p.Data(1, []byte(prepared(7, false)), dissect.Stamp{})
	b.ReportAllocs()
	b.SetBytes(int64(len(ask) + len(answer)))
	for i := int64(1); b.Loop(); i++ {
		p.Data(0, ask, dissect.Stamp{Time: i})
		p.Data(1, answer, dissect.Stamp{Time: i})
	}
	b.ReportMetric(float64(k.n)/b.Elapsed().Seconds(), "calls/s")
}

// BenchmarkRows sends 1 MB of rows in segments.
func BenchmarkRows(b *testing.B) {
	data := []byte(table(1, 2, slices.Repeat([]string{strings.Repeat("x", 200)}, 4900)...))
	k := &counter{}
	p := newParser(k)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for i := int64(1); b.Loop(); i++ {
		p.Data(0, smallQuery, dissect.Stamp{Time: i})
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
	p.Data(0, smallQuery, dissect.Stamp{Time: 1})
	p.Data(1, smallAnswer, dissect.Stamp{Time: 2})
}

// BenchmarkCompressed undoes 1 MB of rows.
func BenchmarkCompressed(b *testing.B) {
	data := table(1, 2, slices.Repeat([]string{strings.Repeat("lorem ipsum ", 17)}, 4900)...)
	var wrapped []byte
	for seq := byte(1); len(data) > 0; seq++ {
		n := min(len(data), 16<<10)
		wrapped = append(wrapped, compressed(b, zlibbed, seq, data[:n])...)
		data = data[n:]
	}
	ask := []byte(compressed(b, plain, 0, string(smallQuery)))
	p := newParser(&counter{})
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	for i := int64(1); b.Loop(); i++ {
		p.Data(0, ask, dissect.Stamp{Time: i})
		p.Data(1, wrapped, dissect.Stamp{Time: i})
	}
}
