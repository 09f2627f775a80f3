package postgresql

import (
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
)

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
	k := &cuttest.Counter{}
	p := newParser(k)
	p.Data(0, []byte(parse("P_0", "SELECT abalance FROM pgbench_accounts WHERE aid = $1;")+syncs), dissect.Stamp{})
	p.Data(1, []byte(parsed+idle), dissect.Stamp{})
	k.Bench(b, p, ask, answer)
}

// BenchmarkRows sends 1 MB of rows in segments.
func BenchmarkRows(b *testing.B) {
	data := []byte(columns + strings.Repeat(row("1234", strings.Repeat("x", 200)), 4800) + tag("SELECT 4800") + idle)
	k := &cuttest.Counter{}
	p := newParser(k)
	k.Bench(b, p, smallQuery, data)
}

func BenchmarkAppendFields(b *testing.B) {
	cuttest.BenchFields(b, Protocol(), smallQuery, smallAnswer)
}
