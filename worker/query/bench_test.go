package query

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/pcapng"
)

// plain is a file of n calls that names neither pods nor nodes: half of them HTTP, on
// connections of a hundred each, half of them DNS.
func plain(b *testing.B, n int) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "plain.pcapng")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	w, err := pcapng.NewWriter(f, pcapng.WriterOptions{})
	if err != nil {
		b.Fatal(err)
	}
	iface := &pcap.Interface{Link: pcap.LinkRaw}
	at := began
	put := func(src int, proto byte, sport, dport uint16, l4 []byte) {
		p := make([]byte, 24, 64+len(l4))
		p[0], p[8], p[9] = 0x45, 64, proto
		binary.BigEndian.PutUint16(p[2:], uint16(24+len(l4)))
		copy(p[12:], addrs[src].AsSlice())
		copy(p[16:], addrs[1-src].AsSlice())
		binary.BigEndian.PutUint16(p[20:], sport)
		binary.BigEndian.PutUint16(p[22:], dport)
		p = append(p, l4...)
		at += 10_000
		if err := w.Write(&pcap.Packet{Time: at, Data: p, Length: uint32(len(p)), Iface: iface}); err != nil {
			b.Fatal(err)
		}
	}
	tcp := func(seq, ack uint32, payload string) []byte {
		h := make([]byte, 16, 16+len(payload))
		binary.BigEndian.PutUint32(h, seq)
		binary.BigEndian.PutUint32(h[4:], ack)
		h[8], h[9] = 0x50, 0x10
		return append(h, payload...)
	}
	udp := func(payload string) []byte {
		h := make([]byte, 4, 4+len(payload))
		binary.BigEndian.PutUint16(h, uint16(8+len(payload)))
		return append(h, payload...)
	}
	var seq [2]uint32
	for i := range n / 2 {
		port := uint16(20000 + i/100%10000)
		if i%100 == 0 {
			seq = [2]uint32{1, 1}
		}
		request := fmt.Sprintf("GET /item/%d HTTP/1.1\r\nHost: catalog\r\n\r\n", i)
		response := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n%07d", i)
		put(0, 6, port, 80, tcp(seq[0], seq[1], request))
		seq[0] += uint32(len(request))
		put(1, 6, 80, port, tcp(seq[1], seq[0], response))
		seq[1] += uint32(len(response))
		name := fmt.Sprintf("\x08%08d\x04shop\x00\x00\x01\x00\x01", i)
		id := string([]byte{byte(i >> 8), byte(i)})
		put(0, 17, uint16(30000+i%10000), 53, udp(id+"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"+name))
		put(1, 17, 53, uint16(30000+i%10000), udp(id+"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00"+name+"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x00\x00\x09"))
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	return path
}

// BenchmarkCalls reads files without and with vantages.
func BenchmarkCalls(b *testing.B) {
	const n = 40_000
	for _, x := range []struct {
		name, path string
	}{{"plain", plain(b, n)}, {"both ends", capture(b, n)}} {
		f := openFile(b, x.path)
		for name, r := range map[string]Request{"all": {}, "last": {Last: 100}} {
			b.Run(x.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					told := 0
					if _, err := f.Calls(context.Background(), &r, func(*dissect.Call) error { told++; return nil }); err != nil {
						b.Fatal(err)
					}
					if want := n; told != want && told != r.Last {
						b.Fatalf("%d calls, want %d", told, want)
					}
				}
				b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "calls/s")
			})
		}
	}
}
