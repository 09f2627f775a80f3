package segment

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
)

// What an index costs, for each packet of its segment: to make it, and by it to read all packets,
// to find one flow, and to list the flows. All is in memory.
func BenchmarkIndex(b *testing.B) {
	for _, kind := range []struct {
		name    string
		packets int
		flow    func(r *rand.Rand, n int) int
		size    int
	}{
		{"64 B, 10,000 flows mixed", 300_000, func(r *rand.Rand, _ int) int { return r.IntN(10_000) }, 64},
		{"64 B, one flow", 300_000, func(*rand.Rand, int) int { return 0 }, 64},
		{"100 B, 2 packets a flow", 100_000, func(_ *rand.Rand, n int) int { return n / 2 }, 100},
		{"700 B, 1,000 flows mixed", 50_000, func(r *rand.Rand, _ int) int { return r.IntN(1000) }, 700},
	} {
		rig := newBench(b)
		r := rand.New(rand.NewPCG(1, 2))
		l := rig.begin(1767366245_000000000)
		var id flow.ID
		for n := range kind.packets {
			k := kind.flow(r, n)
			f := udp(fmt.Sprintf("10.%d.%d.%d:%d", k>>16, k>>8&255, k&255, 1024+k%60000), "10.9.0.1:9000", kind.size)
			id = rig.append(l, []pcap.Packet{{Time: 1767366245_000000000 + int64(n)*7001, Data: f, Length: uint32(len(f)), Iface: podA}})[0]
		}
		builder := l.b
		rig.finish(l)
		segment, index := rig.read(l.Base)
		drain := func(b *testing.B, match func(*flow.Info) bool) {
			x, err := ReadIndex(bytes.NewReader(index), nil)
			if err != nil {
				b.Fatal(err)
			}
			c, err := x.Cursor(bytes.NewReader(segment), Query{Match: match})
			if err != nil {
				b.Fatal(err)
			}
			var p pcap.Packet
			n := 0
			for ; err == nil; n++ {
				err = c.Next(&p)
			}
			if err != io.EOF || n < 2 {
				b.Fatal(n, err)
			}
		}
		each := func(what string, do func(*testing.B)) {
			b.Run(kind.name+"/"+what, func(b *testing.B) {
				for b.Loop() {
					do(b)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(kind.packets), "ns/packet")
			})
		}
		each("made", func(*testing.B) { builder.Encode(int64(len(segment))) })
		each("all packets", func(b *testing.B) { drain(b, func(*flow.Info) bool { return true }) })
		each("one flow", func(b *testing.B) { drain(b, func(i *flow.Info) bool { return i.ID == id }) })
		each("flows", func(b *testing.B) {
			x, err := ReadIndex(bytes.NewReader(index), nil)
			if err == nil {
				err = x.EachFlow(math.MinInt64, 0, func(*flow.Info) error { return nil })
			}
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}
