package store

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/segment"
)

// profiles are kinds of traffic that an index is large or small for. Each call of the function
// that one returns is the next packet: size, and the flow it belongs to.
var profiles = []struct {
	name string
	make func(r *rand.Rand) func() (frame []byte)
}{
	{"64 B UDP, one flow", datagrams(1, 64)},
	{"64 B UDP, 100 flows mixed", datagrams(100, 64)},
	{"64 B UDP, 300 flows mixed", datagrams(300, 64)},
	{"64 B UDP, 10,000 flows mixed", datagrams(10_000, 64)},
	{"DNS, 2 packets a flow", func(r *rand.Rand) func() []byte {
		n := 0
		return func() []byte {
			k := n / 2
			client, server := fmt.Sprintf("10.0.0.%d:%d", k%100+1, 1024+k/100*7919%60000), "10.9.0.10:53"
			if n++; n%2 == 1 {
				return frame(flow.UDP, client, server, 0, 85)
			}
			return frame(flow.UDP, server, client, 0, 150)
		}
	}},
	{"DNS, 2 packets a flow, mixed", lookups},
	{"HTTP, 300 connections kept alive", calls(300, 0)},
	{"HTTP, a connection for each call", calls(300, 1)},
	{"1500 B bulk, 10 flows", func(r *rand.Rand) func() []byte {
		n := 0
		return func() []byte {
			n++
			k := n / 45 % 10
			client, server := fmt.Sprintf("10.0.0.%d:40000", k+1), "10.9.0.1:5432"
			if n%3 == 0 {
				return frame(flow.TCP, client, server, flow.ACK, 66)
			}
			return frame(flow.TCP, server, client, flow.ACK, 1514)
		}
	}},
}

// datagrams are of flows at random.
func datagrams(flows, size int) func(*rand.Rand) func() []byte {
	return func(r *rand.Rand) func() []byte {
		return func() []byte {
			k := r.IntN(flows)
			return frame(flow.UDP, fmt.Sprintf("10.0.%d.%d:%d", k>>8, k&255, 30000+k%100), "10.9.0.1:9000", 0, size)
		}
	}
}

// lookups are of DNS, each from a port at random, with up to 64 on their way: what two packets may
// have of chance.
func lookups(r *rand.Rand) func() []byte {
	type lookup struct {
		client string
		size   int
	}
	var asked []lookup
	const server = "10.9.0.10:53"
	return func() []byte {
		if n := len(asked); n == 64 || n > 0 && r.IntN(2) == 0 {
			k := r.IntN(n)
			l := asked[k]
			asked[k] = asked[n-1]
			asked = asked[:n-1]
			return frame(flow.UDP, server, l.client, 0, l.size+16+r.IntN(100))
		}
		l := lookup{fmt.Sprintf("10.0.0.%d:%d", r.IntN(100)+1, 32768+r.IntN(28232)), 65 + r.IntN(41)}
		asked = append(asked, l)
		return frame(flow.UDP, l.client, server, 0, l.size)
	}
}

// calls are of HTTP: a request, three packets of an answer, acknowledgements.
func calls(connections, each int) func(*rand.Rand) func() []byte {
	return func(r *rand.Rand) func() []byte {
		var queue [][]byte
		ports := make([]int, connections)
		return func() []byte {
			if len(queue) == 0 {
				k := r.IntN(connections)
				if each > 0 {
					ports[k]++
				}
				client, server := fmt.Sprintf("10.0.%d.%d:%d", k>>8, k&255, 20000+ports[k]*7919%40000), fmt.Sprintf("10.9.0.%d:8080", k%16)
				add := func(from, to string, flags uint8, size int) {
					queue = append(queue, frame(flow.TCP, from, to, flags, size))
				}
				if each > 0 {
					add(client, server, flow.SYN, 74)
					add(server, client, flow.SYN|flow.ACK, 74)
					add(client, server, flow.ACK, 66)
				}
				add(client, server, flow.ACK, 400+r.IntN(200))
				add(server, client, flow.ACK, 66)
				add(server, client, flow.ACK, 1514)
				add(server, client, flow.ACK, 100+r.IntN(1400))
				add(client, server, flow.ACK, 66)
				if each > 0 {
					add(client, server, flow.FIN|flow.ACK, 66)
					add(server, client, flow.FIN|flow.ACK, 66)
					add(client, server, flow.ACK, 66)
				}
			}
			f := queue[0]
			queue = queue[1:]
			return f
		}
	}
}

// indexOf is what the header of an index says of a segment of such traffic.
func indexOf(tb testing.TB, traffic func(*rand.Rand) func() []byte, segmentBytes int64) segment.Header {
	tb.Helper()
	s, err := Open(Options{Dir: tb.TempDir(), SegmentBytes: segmentBytes, Wait: true})
	if err != nil {
		tb.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	next := traffic(r)
	now, packets := start, 0
	batch := make([]pcap.Packet, 0, 256)
	for s.Stats().Segments < 2 {
		batch = batch[:0]
		for range cap(batch) {
			f := next()
			now += 2000 + r.Int64N(10_000)
			batch = append(batch, pcap.Packet{Time: now, Data: f, Length: uint32(len(f)), Flags: 1 + uint32(packets&1), Iface: podA})
			packets++
		}
		if err := s.Append(batch); err != nil {
			tb.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		tb.Fatal(err)
	}
	return s.segments[0].header
}

// How large the index is beside the segment, and beside the packets' own bytes.
func BenchmarkIndexSize(b *testing.B) {
	for _, p := range profiles {
		b.Run(p.name, func(b *testing.B) {
			for b.Loop() {
				h := indexOf(b, p.make, 64<<20)
				b.ReportMetric(100*float64(h.IndexSize())/float64(h.Size), "%-of-segment")
				b.ReportMetric(100*float64(h.IndexSize())/float64(h.Bytes), "%-of-bytes")
				b.ReportMetric(float64(h.IndexSize())/float64(h.Packets), "B/packet")
				b.ReportMetric(float64(h.Packets)/float64(h.Flows), "packets/flow")
			}
		})
	}
}

// The index takes no more than three hundredths of the packets as they were on the wire: of all
// traffic but lookups of which nothing can be foreseen, and of these no more than that of the
// segment.
func TestIndexSize(t *testing.T) {
	for _, p := range profiles {
		h := indexOf(t, p.make, 24<<20)
		bytes := int64(h.Bytes)
		if strings.HasPrefix(p.name, "DNS") && strings.HasSuffix(p.name, "mixed") {
			bytes = h.Size
		}
		if 100*h.IndexSize() > 3*bytes {
			t.Errorf("%s: an index of %d bytes for %d", p.name, h.IndexSize(), bytes)
		}
	}
}
