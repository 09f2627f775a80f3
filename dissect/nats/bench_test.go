package nats

import (
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
)

// BenchmarkMessages has 16 messages in a piece.
func BenchmarkMessages(b *testing.B) {
	k := &cuttest.Counter{}
	p := newParser(k)
	data := []byte(strings.Repeat("MSG orders.new 1 _INBOX.7 16\r\n0123456789abcdef\r\n", 16))
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	for i := int64(1); b.Loop(); i++ {
		p.Data(1, data, dissect.Stamp{Time: i})
	}
	b.ReportMetric(float64(k.N)/b.Elapsed().Seconds(), "calls/s")
}

// BenchmarkLargePayload sends 1 MB in segments.
func BenchmarkLargePayload(b *testing.B) {
	data := []byte("PUB a 1048576\r\n" + strings.Repeat("x", 1<<20) + "\r\n")
	k := &cuttest.Counter{}
	k.Bench(b, newParser(k), data)
}
