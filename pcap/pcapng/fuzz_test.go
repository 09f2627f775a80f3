package pcapng

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/memtest"
)

// maxMemory is what a reader may hold, whatever it reads.
const maxMemory = 64 << 20

// pack compresses.
func pack(t testing.TB, in []byte) (gz, zst []byte) {
	t.Helper()
	var g, z bytes.Buffer
	gw := gzip.NewWriter(&g)
	zw, err := zstd.NewWriter(&z)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []io.WriteCloser{gw, zw} {
		if _, err := w.Write(in); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return g.Bytes(), z.Bytes()
}

// Whatever comes in: no panic, packets within their bounds, offsets that rise, an end that is
// io.EOF or typed, bounded memory; and what was read can be written and read again, the same.
func FuzzReader(f *testing.F) {
	whole := write(f, testPackets(), testNames)
	f.Add(whole)
	gz, zst := pack(f, whole)
	f.Add(gz)
	f.Add(zst)
	f.Add(foreign(binary.BigEndian))
	f.Add(append(foreign(binary.LittleEndian), foreign(binary.BigEndian)...))
	f.Add(AppendSecrets(bytes.Clone(whole), 0x544c534b, []byte("CLIENT_RANDOM 00 11")))
	var classic bytes.Buffer
	w := NewClassicWriter(&classic)
	packets := testPackets()
	w.Write(&packets[3])
	w.Flush()
	f.Add(classic.Bytes())
	gz, zst = pack(f, classic.Bytes())
	f.Add(gz)
	f.Add(zst)
	memory := memtest.New(maxMemory)
	f.Fuzz(func(t *testing.T, in []byte) {
		memory.Input()
		r, err := NewReader(bytes.NewReader(in), ReaderOptions{Buffer: 512,
			OnName:  func(n pcap.Name) { _ = n.Addr.String() },
			OnStats: func(*pcap.Interface, uint64, uint64) {}})
		if err != nil {
			if r != nil {
				t.Fatal("a reader and an error")
			}
			return
		}
		var out bytes.Buffer
		pw, _ := NewWriter(&out, WriterOptions{})
		var all []pcap.Packet
		last := int64(-1)
		for {
			var p pcap.Packet
			err := r.Next(&p)
			if err != nil {
				var corrupt *CorruptError
				if err != io.EOF && !errors.As(err, &corrupt) {
					t.Fatalf("untyped: %v", err)
				}
				break
			}
			if p.Iface == nil || int(p.Length) < len(p.Data) || r.Offset() <= last {
				t.Fatalf("packet %+v at %d, after %d", p, r.Offset(), last)
			}
			last = r.Offset()
			memory.Check(t)
			if len(all) > 1000 {
				continue
			}
			if err := pw.Write(&p); err != nil {
				t.Fatal(err)
			}
			p.Data = bytes.Clone(p.Data)
			all = append(all, p)
		}
		memory.Check(t)
		runtime.KeepAlive(r)
		if err := pw.Flush(); err != nil {
			t.Fatal(err)
		}
		again := open(t, out.Bytes(), ReaderOptions{})
		for i := range all {
			var p pcap.Packet
			if err := again.Next(&p); err != nil {
				t.Fatalf("packet %d, read again: %v", i, err)
			}
			w := &all[i]
			if p.Time != max(w.Time, 0) || !bytes.Equal(p.Data, w.Data) || p.Length != w.Length ||
				p.Flags != w.Flags || p.Drops != w.Drops || p.Iface.Link != w.Iface.Link {
				t.Fatalf("packet %d, read again: %+v, was %+v", i, p, *w)
			}
		}
	})
}

// DecodePacket reads what AppendPacket wrote, and bears anything else.
func FuzzDecodePacket(f *testing.F) {
	packets := testPackets()
	f.Add(AppendPacket(nil, 3, &packets[5]))
	f.Fuzz(func(t *testing.T, in []byte) {
		var p, q pcap.Packet
		id, size := DecodePacket(in, &p)
		if size == 0 {
			return
		}
		if size > len(in) || cap(p.Data) > size {
			t.Fatalf("size %d of %d", size, len(in))
		}
		p.Time = max(p.Time, 0)
		b := AppendPacket(nil, id, &p)
		if len(b) != PacketSize(&p) {
			t.Fatalf("PacketSize %d, wrote %d", PacketSize(&p), len(b))
		}
		id2, size2 := DecodePacket(b, &q)
		if id2 != id || size2 != len(b) || q.Time != p.Time || !bytes.Equal(q.Data, p.Data) || q.Flags != p.Flags || q.Drops != p.Drops {
			t.Fatalf("%d %+v, was %d %+v", id2, q, id, p)
		}
	})
}
