package mqtt

import (
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
)

type counter struct{ n int }

func (c *counter) Call(*dissect.Call)    { c.n++ }
func (c *counter) Bodies() (int, bool)   { return 0, false }
func (c *counter) Switch(string, []byte) {}

// BenchmarkPublish has 16 messages in a piece, and their acknowledgements in another.
func BenchmarkPublish(b *testing.B) {
	k := &counter{}
	p := newParser(k)
	data := []byte(strings.Repeat(pack(0x32, str("shop/orders/new"), "\x00\x01", "0123456789abcdef"), 16))
	acks := []byte(strings.Repeat("\x40\x02\x00\x01", 16))
	b.ReportAllocs()
	b.SetBytes(int64(len(data) + len(acks)))
	for i := int64(1); b.Loop(); i++ {
		p.Data(0, data, dissect.Stamp{Time: i})
		p.Data(1, acks, dissect.Stamp{Time: i})
	}
	b.ReportMetric(float64(k.n)/b.Elapsed().Seconds(), "calls/s")
}
