package mysql

import (
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
)

var (
	smallQuery  = []byte(query("SELECT c FROM sbtest1 WHERE id=5047"))
	smallAnswer = []byte(table(1, 2, "1234"))
)

func BenchmarkQuery(b *testing.B) { benchmark(b, smallQuery, smallAnswer) }

func BenchmarkPrepared(b *testing.B) { benchmark(b, []byte(execute(7)), smallAnswer) }

func benchmark(b *testing.B, ask, answer []byte) {
	k := &cuttest.Counter{}
	p := newParser(k)
	p.Data(0, []byte(prepare("SELECT c FROM sbtest1 WHERE id=?")), dissect.Stamp{})
	p.Data(1, []byte(prepared(7, false)), dissect.Stamp{})
	k.Bench(b, p, ask, answer)
}

// BenchmarkRows sends 1 MB of rows in segments.
func BenchmarkRows(b *testing.B) {
	data := []byte(table(1, 2, slices.Repeat([]string{strings.Repeat("x", 200)}, 4900)...))
	k := &cuttest.Counter{}
	p := newParser(k)
	k.Bench(b, p, smallQuery, data)
}

func BenchmarkAppendFields(b *testing.B) {
	cuttest.BenchFields(b, Protocol(), smallQuery, smallAnswer)
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
	p := newParser(&cuttest.Counter{})
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	for i := int64(1); b.Loop(); i++ {
		p.Data(0, ask, dissect.Stamp{Time: i})
		p.Data(1, wrapped, dissect.Stamp{Time: i})
	}
}
