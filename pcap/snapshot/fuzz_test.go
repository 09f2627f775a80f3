package snapshot

import (
	"bytes"
	"io"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/sshark/sshark/pcap/memtest"
)

// maxMemory is what a reader may take, in bytes.
const maxMemory = 64 << 20

// FuzzReader: whatever comes, a Reader ends without a panic, with an error unless every byte is
// accounted for, and holds less than maxMemory. What it takes can be read again.
func FuzzReader(f *testing.F) {
	m, files := sample(f)
	good := written(f, m, files)
	f.Add(good, true)
	f.Add(good[:len(good)/2], true)
	z, err := gzip.NewReader(bytes.NewReader(good))
	if err != nil {
		f.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain, false)
	f.Add(archive(f, entries(f, good)[1:]), true)
	memory := memtest.New(maxMemory)
	f.Fuzz(func(t *testing.T, b []byte, packed bool) {
		memory.Input()
		if !packed { // the tar itself, so that the checksum of gzip does not stop every change
			var out bytes.Buffer
			w, _ := gzip.NewWriterLevel(&out, gzip.BestSpeed)
			_, _ = w.Write(b)
			_ = w.Close()
			b = out.Bytes()
		}
		m, _, nodes, err := read(b, Limits{Bytes: 8 << 20})
		memory.Check(t)
		if err != nil {
			return
		}
		for i := range m.Nodes {
			if n := &m.Nodes[i]; int64(len(nodes[n.File])) != n.Size && n.File != "" {
				t.Errorf("%s has %d bytes, %d were read", n.File, n.Size, len(nodes[n.File]))
			}
		}
	})
}
