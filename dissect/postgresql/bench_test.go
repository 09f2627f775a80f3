package postgresql

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
	smallQuery  = []byte(query("SELECT abalance FROM pgbench_accounts WHERE aid = 78561;"))
	smallAnswer = []byte(columns + row("1234") + tag("SELECT 1") + idle)
	boundQuery  = []byte(bind("", "P_0") + describe('P', "") + run1("") + syncs)
	boundAnswer = []byte(bound + columns + row("1234") + tag("SELECT 1") + idle)
)

func BenchmarkSimple(b *testing.B) { benchmark(b, smallQuery, smallAnswer) }

func BenchmarkPrepared(b *testing.B) { benchmark(b, boundQuery, boundAnswer) }

func BenchmarkExtended(b *testing.B) {
	benchmark(b, append([]byte(parse("", "SELECT abalance FROM pgbench_accounts WHERE aid = $1;")), boundQuery...), append([]byte(parsed), boundAnswer...))
}

func benchmark(b *testing.B, ask, answer []byte) {
	k := &counter{}
	p := newParser(k)
	p.Data(0, []byte(parse("P_0", "SELECT abalance FROM pgbench_accounts WHERE aid = $1;")+syncs), dissect.Stamp{})
	p.Data(1, []byte(parsed+idle), dissect.Stamp{})
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
	data := []byte(columns + strings.Repeat(row("1234", strings.Repeat("x", 200)), 4800) + tag("SELECT 4800") + idle)
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
