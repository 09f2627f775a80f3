package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/segment"
)

// frames makes packets of n flows; times are set when they are used.
func frames(n, size int) []pcap.Packet {
	list := make([]pcap.Packet, n)
	for k := range list {
		b := frame(flow.TCP, fmt.Sprintf("10.0.%d.%d:%d", k>>8&255, k&255, 1024+k%60000), "10.9.0.1:80", flow.ACK, size)
		for n := 54; n < len(b); n++ { // as text: zeros are special to some
			b[n] = byte('a' + n%26)
		}
		list[k] = pcap.Packet{Data: b, Length: uint32(len(b)), Flags: 1, Iface: podA}
	}
	return list
}

// nowhere takes all that is written and forgets it.
type nowhere struct{ segment.OS }

type nofile struct{ segment.File }

func (nowhere) Create(string) (segment.File, error)         { return nofile{}, nil }
func (nowhere) CreateBuffered(string) (segment.File, error) { return nofile{}, nil }
func (nowhere) Open(string) (segment.File, error)           { return nofile{}, nil }
func (nowhere) Rename(string, string) error                 { return nil }
func (nowhere) Remove(string) error                         { return nil }
func (nofile) WriteAt(b []byte, _ int64) (int, error)       { return len(b), nil }
func (nofile) Sync() error                                  { return nil }
func (nofile) Truncate(int64) error                         { return nil }
func (nofile) Close() error                                 { return nil }
func (nofile) Page() int                                    { return 4096 }

// One packet into the store, with parse, flow table, index and block, in batches of 256, to a
// disk that costs nothing.
func BenchmarkAppend(b *testing.B) {
	for _, flows := range []int{1000, 100_000} {
		for _, size := range []int{64, 512, 1500} {
			b.Run(fmt.Sprintf("%dB/%dflows", size, flows), func(b *testing.B) {
				s, err := Open(Options{Dir: b.TempDir(), MaxBytes: 2 << 30, Wait: true, FS: nowhere{}})
				if err != nil {
					b.Fatal(err)
				}
				list := frames(flows, size)
				now := start
				b.SetBytes(int64(size))
				b.ReportAllocs()
				b.ResetTimer()
				for done := 0; done < b.N; {
					at := done % flows
					batch := list[at:min(at+256, flows, at+b.N-done)]
					for k := range batch {
						now += 1000
						batch[k].Time = now
					}
					if err := s.Append(batch); err != nil {
						b.Fatal(err)
					}
					done += len(batch)
				}
				b.StopTimer()
				if st := s.Stats(); st.QueueDrops+st.DiskDrops > 0 {
					b.Fatalf("%+v", st)
				}
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}

// One flow of 50 packets out of 2 GiB, and all of it.
func BenchmarkQuery(b *testing.B) {
	s, err := Open(Options{Dir: b.TempDir(), Wait: true})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	const flows, size, total = 20_000, 700, 3_000_000
	list := frames(flows, size)
	for done := 0; done < total; done += 1000 {
		batch := list[done%flows : done%flows+1000]
		for k := range batch {
			batch[k].Time = start + int64(done+k)*1e5
		}
		if err := s.Append(batch); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Sync(); err != nil {
		b.Fatal(err)
	}
	var id flow.ID
	s.Flows(context.Background(), 0, 0, any1, func(i *flow.Info) error { id = i.ID; return nil })
	read := func(b *testing.B, match func(*flow.Info) bool) (n int) {
		it := s.Packets(context.Background(), 0, 0, match)
		defer it.Close()
		var p pcap.Packet
		for {
			err := it.Next(&p)
			if err == io.EOF {
				return n
			}
			if err != nil {
				b.Fatal(err)
			}
			n++
			_ = binary.BigEndian.Uint16(p.Data)
		}
	}
	b.Run("one flow", func(b *testing.B) {
		for b.Loop() {
			if n := read(b, func(i *flow.Info) bool { return i.ID == id }); n != total/flows {
				b.Fatal(n)
			}
		}
		b.ReportMetric(float64(s.Stats().Used)/1e9, "GB")
	})
	b.Run("flows", func(b *testing.B) {
		for b.Loop() {
			s.Flows(context.Background(), 0, 0, any1, func(*flow.Info) error { return nil })
		}
	})
	b.Run("all", func(b *testing.B) {
		b.SetBytes(s.Stats().Used)
		for b.Loop() {
			if n := read(b, any1); n != total {
				b.Fatal(n)
			}
		}
	})
}

// What it costs to sync: 20 MB/s of packets of 512 bytes for two seconds, written and synced at
// intervals. ms/sync is how long the disk takes each time, which only the flusher waits for;
// CPU is of the whole process, of one core. With 0 the packets are written and not synced.
func BenchmarkSync(b *testing.B) {
	for _, every := range []time.Duration{0, 10 * time.Millisecond, 100 * time.Millisecond, time.Second} {
		b.Run(every.String(), func(b *testing.B) {
			list := frames(1000, 512)
			for b.Loop() {
				fs := &timedFS{}
				o := Options{Dir: b.TempDir(), SyncEvery: every, FS: fs}
				if every == 0 {
					o.SyncEvery = time.Hour
				}
				s, err := Open(o)
				if err != nil {
					b.Fatal(err)
				}
				var before, after unix.Rusage
				unix.Getrusage(unix.RUSAGE_SELF, &before)
				const rate, length = 20_000_000 / 512, 2 * time.Second
				begun := time.Now()
				for sent := 0; ; {
					passed := time.Since(begun)
					if passed > length {
						break
					}
					if due := int(passed.Seconds()*rate) - sent; due >= 256 {
						for n := range list[:256] {
							list[n].Time = start + int64(passed)
						}
						if err := s.Append(list[:256]); err != nil {
							b.Fatal(err)
						}
						sent += 256
						continue
					}
					unix.Nanosleep(&unix.Timespec{Nsec: 1e6}, nil)
				}
				unix.Getrusage(unix.RUSAGE_SELF, &after)
				n, took := fs.syncs.Load(), time.Duration(fs.took.Load())
				if st := s.Stats(); st.QueueDrops+st.DiskDrops > 0 {
					b.Errorf("drops: %+v", st)
				}
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
				cpu := func(r *unix.Rusage) float64 {
					return float64(r.Utime.Nano()+r.Stime.Nano()) / float64(length)
				}
				b.ReportMetric(100*(cpu(&after)-cpu(&before)), "%CPU")
				b.ReportMetric(float64(n)/length.Seconds(), "syncs/s")
				b.ReportMetric(float64(took.Microseconds())/1e3/float64(max(n, 1)), "ms/sync")
			}
		})
	}
}

// timedFS counts how long syncs take.
type timedFS struct {
	segment.OS
	syncs, took atomic.Int64
}

type timedFile struct {
	segment.File
	fs *timedFS
}

func (f *timedFS) Create(name string) (segment.File, error) {
	x, err := f.OS.Create(name)
	return timedFile{x, f}, err
}

func (f timedFile) Sync() error {
	begun := time.Now()
	err := f.File.Sync()
	f.fs.took.Add(int64(time.Since(begun)))
	f.fs.syncs.Add(1)
	return err
}
