package sip

import (
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

type counter struct{ n int }

func (c *counter) Call(*dissect.Call)    { c.n++ }
func (c *counter) Bodies() (int, bool)   { return 0, false }
func (c *counter) Switch(string, []byte) {}

func benchmark(b *testing.B, transport flow.Proto) {
	k := &counter{}
	p := newParser(&dissect.Flow{Transport: transport}, k)
	ask, answer := []byte(request("INVITE", "sip:b@x", "z1", 1, long[:200])), []byte(response("200 OK", "z1", 1, "INVITE", long[:200]))
	b.ReportAllocs()
	b.SetBytes(int64(len(ask) + len(answer)))
	for i := int64(1); b.Loop(); i++ {
		p.Data(0, ask, dissect.Stamp{Time: i})
		p.Data(1, answer, dissect.Stamp{Time: i})
	}
	b.ReportMetric(float64(k.n)/b.Elapsed().Seconds(), "calls/s")
}

func BenchmarkDatagrams(b *testing.B) { benchmark(b, flow.UDP) }

func BenchmarkStreams(b *testing.B) { benchmark(b, flow.TCP) }
