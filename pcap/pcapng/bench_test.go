package pcapng

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/sshark/sshark/pcap"
)

func BenchmarkAppendPacket(b *testing.B) {
	for _, size := range []int{64, 512, 1500} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			p := pcap.Packet{Time: 1, Data: make([]byte, size), Length: uint32(size), Flags: 1, Iface: testInterfaces[0]}
			buf := make([]byte, 0, 4<<20)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if len(buf)+size+100 > cap(buf) {
					buf = buf[:0]
				}
				p.Time++
				buf = AppendPacket(buf, 1, &p)
			}
		})
	}
}

// From a file in the page cache.
func BenchmarkReaderNext(b *testing.B) {
	for _, size := range []int{64, 512, 1500} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			name := filepath.Join(b.TempDir(), "x.pcapng")
			f, err := os.Create(name)
			if err != nil {
				b.Fatal(err)
			}
			w, _ := NewWriter(f, WriterOptions{})
			p := pcap.Packet{Time: 1, Data: make([]byte, size), Length: uint32(size), Flags: 1, Iface: testInterfaces[0]}
			n := 256 << 20 / (size + 44)
			for range n {
				w.Write(&p)
			}
			if err := w.Flush(); err != nil {
				b.Fatal(err)
			}
			total, _ := f.Seek(0, io.SeekCurrent)
			b.ReportAllocs()
			b.ResetTimer()
			left := 0
			var r *Reader
			for i := 0; i < b.N; i++ {
				if left == 0 {
					f.Seek(0, io.SeekStart)
					if r, err = NewReader(f, ReaderOptions{}); err != nil {
						b.Fatal(err)
					}
					left = n
				}
				left--
				if err := r.Next(&p); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(total)/float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e6, "MB/s")
			f.Close()
		})
	}
}
