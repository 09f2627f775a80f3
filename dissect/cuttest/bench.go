package cuttest

import (
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Counter is a sink for benchmarks: it counts calls, and wants no bodies.
type Counter struct{ N int }

// Call implements dissect.Sink.
func (k *Counter) Call(*dissect.Call) { k.N++ }

// Bodies implements dissect.Sink.
func (k *Counter) Bodies() (int, bool) { return 0, false }

// Switch implements dissect.Sink.
func (k *Counter) Switch(string, []byte) {}

// segment is what a TCP segment holds over Ethernet.
const segment = 1448

// Bench gives a parser whose sink k is what client and server say in turns, over and over, in
// segments, and reports calls a second.
func (k *Counter) Bench(b *testing.B, p dissect.Parser, said ...[]byte) {
	size := 0
	for _, s := range said {
		size += len(s)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	k.N = 0
	for i := int64(1); b.Loop(); i++ {
		for n, s := range said {
			for len(s) > segment {
				p.Data(flow.Dir(n&1), s[:segment], dissect.Stamp{Time: i})
				s = s[segment:]
			}
			p.Data(flow.Dir(n&1), s, dissect.Stamp{Time: i})
		}
	}
	b.ReportMetric(float64(k.N)/b.Elapsed().Seconds(), "calls/s")
}

// BenchFields measures how the fields of the call are written that client and server make.
func BenchFields(b *testing.B, p *dissect.Protocol, ask, answer []byte) {
	var dst []byte
	parser := p.New(&dissect.Flow{Transport: flow.TCP}, &Script{Each: func(c *dissect.Call) {
		b.ReportAllocs()
		for b.Loop() {
			dst = c.Message.AppendFields(dst[:0])
		}
		b.ReportMetric(float64(len(dst)), "bytes")
	}})
	parser.Data(0, ask, dissect.Stamp{Time: 1})
	parser.Data(1, answer, dissect.Stamp{Time: 2})
}
