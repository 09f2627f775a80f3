package pcapng

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/memtest"
)

// Compressed files that are cut or damaged: what can be read is, and the end is typed.
func TestDamagedCompressed(t *testing.T) {
	var plain []byte
	r := rand.New(rand.NewPCG(1, 2))
	packets := slices.Repeat(testPackets(), 10)
	for i := range packets {
		packets[i].Data = make([]byte, 2000)
		packets[i].Length = 2000
		for n := range packets[i].Data {
			packets[i].Data[n] = byte(r.Uint32())
		}
	}
	plain = write(t, packets, testNames)
	gz, zst := pack(t, plain)
	for name, whole := range map[string][]byte{"gzip": gz, "zstd": zst} {
		damaged := bytes.Clone(whole)
		damaged[len(damaged)-6] ^= 1 // in the checksum, or the last block
		for how, in := range map[string][]byte{"cut": whole[:len(whole)/2], "damaged": damaged} {
			t.Run(name+" "+how, func(t *testing.T) {
				got, err := readAll(open(t, in, ReaderOptions{}))
				var corrupt *CorruptError
				if !errors.As(err, &corrupt) || errors.Is(err, ErrTruncated) != (how == "cut") {
					t.Errorf("%v", err)
				}
				if how == "cut" && (len(got) < len(packets)/3 || len(got) == len(packets)) {
					t.Errorf("%d packets of %d", len(got), len(packets))
				}
				for i := range got {
					if !bytes.Equal(got[i].Data, packets[i].Data) {
						t.Fatalf("packet %d differs", i)
					}
				}
			})
		}
	}
}

// A file that zstd packed with a window beyond the bound is refused, with what to do.
func TestLargeWindow(t *testing.T) {
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out, zstd.WithWindowSize(32<<20), zstd.WithSingleSegment(false))
	if err != nil {
		t.Fatal(err)
	}
	b := write(t, testPackets(), nil)
	for range 1000 {
		if _, err := z.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := NewReader(&out, ReaderOptions{})
	if err == nil {
		_, err = readAll(r)
	}
	if err == nil || !strings.Contains(err.Error(), "zstd -d --long=31") {
		t.Errorf("%v", err)
	}
}

// endless repeats what it is given for ever.
type endless struct {
	head, body []byte
	next       []byte
}

func (e *endless) Read(p []byte) (int, error) {
	if len(e.next) == 0 {
		e.next, e.head = e.head, nil
	}
	if len(e.next) == 0 {
		e.next = e.body
	}
	n := copy(p, e.next)
	e.next = e.next[n:]
	return n, nil
}

// Whatever an input says of itself, a reader holds no more than it may.
func TestMemory(t *testing.T) {
	text := strings.Repeat("x", 60000)
	header := AppendSection(nil, Section{})
	iface := AppendInterface(nil, &pcap.Interface{Name: text, Comment: text})
	addrs := &pcap.Interface{Name: "eth0"}
	for range 60000 {
		addrs.Addrs = append(addrs.Addrs, prefixes("10.0.0.1/8")...)
	}
	packet := AppendPacket(nil, 0, &pcap.Packet{Data: []byte{1}, Length: 1})
	var names []pcap.Name
	for range 200 {
		names = append(names, pcap.Name{Addr: testNames[0].Addr, Names: []string{text}})
	}
	for name, in := range map[string]*endless{
		"interfaces with long names": {head: header, body: iface},
		"interfaces with addresses":  {head: header, body: AppendInterface(nil, addrs)},
		"sections":                   {body: append(append(bytes.Clone(header), iface...), packet...)},
		"names":                      {head: append(bytes.Clone(header), iface...), body: AppendNames(nil, names...)},
		"secrets":                    {head: header, body: AppendSecrets(nil, 1, make([]byte, MaxBlock-100))},
		"a section without end":      {body: AppendSection(nil, Section{Comment: text, OS: text})},
		"a large packet":             {head: append(bytes.Clone(header), AppendInterface(nil, &pcap.Interface{})...), body: AppendPacket(nil, 0, &pcap.Packet{Data: make([]byte, MaxBlock-100), Length: MaxBlock})},
		"a packet beyond the bound":  {head: AppendPacket(append(bytes.Clone(header), AppendInterface(nil, &pcap.Interface{})...), 0, &pcap.Packet{Data: make([]byte, MaxBlock), Length: MaxBlock})},
	} {
		t.Run(name, func(t *testing.T) {
			memory := memtest.New(maxMemory)
			r, err := NewReader(io.LimitReader(in, 200<<20), ReaderOptions{OnName: func(pcap.Name) {}})
			if err != nil {
				t.Fatal(err)
			}
			var p pcap.Packet
			for r.Next(&p) == nil {
				memory.Check(t)
			}
			memory.Check(t)
			runtime.KeepAlive(r)
		})
	}
}
