package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
)

// forget drops the files of a folder from the page cache.
func forget(b *testing.B, dir string) {
	b.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range entries {
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			b.Fatal(err)
		}
		err = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
		if f.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// Finding in a store of BENCH_STORE_GB (1), of connections with five calls each at twenty pods
// over two hours: one flow by its ID, one by its port, and five minutes of one pod. Cold: the
// files are not in the page cache. MB are what was found.
func BenchmarkFind(b *testing.B) {
	gb, err := strconv.ParseFloat(os.Getenv("BENCH_STORE_GB"), 64)
	if err != nil {
		gb = 1
	}
	s, err := Open(Options{Dir: b.TempDir(), Wait: true})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	pods := make([]*pcap.Interface, 20)
	for n := range pods {
		pods[n] = &pcap.Interface{Name: "eth0", Link: pcap.LinkEthernet, Node: "n", Pod: pcap.Pod{Namespace: "shop", Name: fmt.Sprintf("pod-%d", n), UID: fmt.Sprintf("uid-%d", n)}}
	}
	r := rand.New(rand.NewPCG(1, 2))
	total := int64(gb * 1e9)
	var connections [200][]pcap.Packet // what is still to come of them
	made := 0
	batch := make([]pcap.Packet, 0, 256)
	for size := int64(0); size < total; {
		batch = batch[:0]
		for range cap(batch) {
			c := &connections[r.IntN(len(connections))]
			if len(*c) == 0 {
				*c = connection(r, made, pods[made%len(pods)])
				made++
			}
			p := (*c)[0]
			*c = (*c)[1:]
			p.Time = start + int64(float64(size)/float64(total)*7200e9)
			size += int64(pcapng.PacketSize(&p))
			batch = append(batch, p)
		}
		if err := s.Append(batch); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Sync(); err != nil {
		b.Fatal(err)
	}
	st := s.Stats()
	b.Logf("%.1f GB in %d segments, %d flows", float64(st.Used)/1e9, st.Segments, made)
	var id flow.ID
	find := func(b *testing.B, since, until int64, only flow.ID, match func(*flow.Info) bool) {
		it := s.Packets(context.Background(), since, until, match)
		it.Only = only
		defer it.Close()
		var p pcap.Packet
		bytes, n := 0, 0
		for {
			err := it.Next(&p)
			if err == io.EOF {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			id = it.Flow()
			bytes += pcapng.PacketSize(&p)
			n++
		}
		if n == 0 {
			b.Fatal("found nothing")
		}
		b.ReportMetric(float64(bytes)/1e6, "MB")
	}
	port := uint16(10_000 + made/2*7919%50_000)
	byPort := func(i *flow.Info) bool { return i.Key.PortA == port || i.Key.PortB == port }
	find(b, 0, 0, 0, byPort)
	byID := func(i *flow.Info) bool { return i.ID == id }
	since := start + 3600e9
	byPod := func(i *flow.Info) bool { return i.Iface.Pod.Name == "pod-7" }
	for _, cold := range []string{"cold", "warm"} {
		for _, q := range []struct {
			name string
			do   func(*testing.B)
		}{
			{"ID", func(b *testing.B) { find(b, 0, 0, id, byID) }},
			{"port", func(b *testing.B) { find(b, 0, 0, 0, byPort) }},
			{"pod", func(b *testing.B) { find(b, since, since+int64(5*time.Minute), 0, byPod) }},
		} {
			b.Run(q.name+"/"+cold, func(b *testing.B) {
				for b.Loop() {
					if cold == "cold" {
						b.StopTimer()
						forget(b, s.o.Dir)
						b.StartTimer()
					}
					q.do(b)
				}
			})
		}
	}
}

// connection is one with five calls.
func connection(r *rand.Rand, n int, i *pcap.Interface) (list []pcap.Packet) {
	client, server := fmt.Sprintf("10.0.%d.%d:%d", n>>8&63, n&255, 10_000+n*7919%50_000), fmt.Sprintf("10.9.0.%d:8080", n%20)
	add := func(from, to string, flags uint8, size int) {
		f := frame(flow.TCP, from, to, flags, size)
		binary.BigEndian.PutUint32(f[38:], uint32(len(list)+1))
		list = append(list, pcap.Packet{Data: f, Length: uint32(len(f)), Flags: 1, Iface: i})
	}
	add(client, server, flow.SYN, 74)
	add(server, client, flow.SYN|flow.ACK, 74)
	for range 5 {
		add(client, server, flow.ACK, 400+r.IntN(200))
		add(server, client, flow.ACK, 1514)
		add(server, client, flow.ACK, 100+r.IntN(1400))
		add(client, server, flow.ACK, 66)
	}
	add(client, server, flow.FIN|flow.ACK, 66)
	add(server, client, flow.FIN|flow.ACK, 66)
	return list
}
