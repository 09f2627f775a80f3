package pcapng

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/sshark/sshark/pcap"
)

var update = flag.Bool("update", false, "write the golden files anew")

func prefixes(list ...string) []netip.Prefix {
	var p []netip.Prefix
	for _, s := range list {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

var testInterfaces = []*pcap.Interface{
	{Name: "eth0", Link: pcap.LinkEthernet, SnapLen: 65535, Node: "node-a", Vantage: 1,
		Pod:   pcap.Pod{Namespace: "shop", Name: "cart-7f9c", UID: "0f3e-11"},
		Addrs: prefixes("10.1.2.3/24", "fd00::1/64")},
	{Name: "lo", Link: pcap.LinkEthernet, Node: "node-a", Vantage: 1,
		Pod: pcap.Pod{Namespace: "shop", Name: "cart-7f9c", UID: "0f3e-11"}},
	{Name: "eth0", Link: pcap.LinkEthernet, Node: "node-a", Vantage: 2},
	{Name: "eth0", Link: pcap.LinkEthernet, Node: "node-b", Vantage: 3, Pod: pcap.Pod{Name: `a "b" c=d`}, Comment: "a word"},
	{Name: "eth0", Link: pcap.LinkRaw, Node: "node-b", Vantage: 4, Pod: pcap.Pod{UID: "only-a-uid"}},
	{Name: "mon0", Link: 127, Comment: "a foreign description", Node: "node-a", Vantage: 2},
}

func testPackets() []pcap.Packet {
	var list []pcap.Packet
	for n, i := range testInterfaces {
		for size := range 9 {
			data := bytes.Repeat([]byte{byte(n + 1)}, size)
			list = append(list, pcap.Packet{Time: 1767366245_123456789 + int64(n*100+size), Data: data,
				Length: uint32(size + n), Flags: uint32(size % 3), Drops: uint64(size % 2 * n), Iface: i})
		}
	}
	return list
}

func write(t testing.TB, packets []pcap.Packet, names []pcap.Name) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, WriterOptions{OS: "Linux", Comment: "a test", Node: "node-a"})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if err := w.Name(n); err != nil {
			t.Fatal(err)
		}
	}
	for i := range packets {
		if err := w.Write(&packets[i]); err != nil {
			t.Fatal(err)
		}
	}
	if len(packets) > 0 {
		err = w.Stats(packets[0].Iface, time.Unix(1767366300, 0), pcap.Stats{Seen: 100, Stored: 90, Dropped: 10, Bytes: 5})
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// readAll copies the packets out.
func readAll(r *Reader) ([]pcap.Packet, error) {
	var list []pcap.Packet
	for {
		var p pcap.Packet
		if err := r.Next(&p); err != nil {
			return list, err
		}
		p.Data = bytes.Clone(p.Data)
		if p.Data == nil {
			p.Data = []byte{}
		}
		list = append(list, p)
	}
}

func open(t testing.TB, b []byte, o ReaderOptions) *Reader {
	t.Helper()
	r, err := NewReader(bytes.NewReader(b), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func checkPackets(t *testing.T, got, want []pcap.Packet) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d packets, want %d", len(got), len(want))
	}
	for i := range got {
		if !reflect.DeepEqual(*got[i].Iface, *want[i].Iface) {
			t.Fatalf("packet %d: interface\n got %+v\nwant %+v", i, *got[i].Iface, *want[i].Iface)
		}
		g, w := got[i], want[i]
		g.Iface, w.Iface = nil, nil
		w.Length = max(w.Length, uint32(len(w.Data)))
		if !reflect.DeepEqual(g, w) {
			t.Fatalf("packet %d:\n got %+v\nwant %+v", i, g, w)
		}
	}
}

var testNames = []pcap.Name{
	{Addr: netip.MustParseAddr("10.1.2.3"), Names: []string{"shop/cart-7f9c", "cart.shop.svc"}},
	{Addr: netip.MustParseAddr("fd00::1"), Names: []string{"shop/cart-7f9c"}},
}

func TestRoundTrip(t *testing.T) {
	b := write(t, testPackets(), testNames)
	compressed := func(f func(io.Writer) io.WriteCloser) []byte {
		var out bytes.Buffer
		w := f(&out)
		w.Write(b)
		w.Close()
		return out.Bytes()
	}
	for name, in := range map[string][]byte{
		"plain": b,
		"gzip":  compressed(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }),
		"zstd": compressed(func(w io.Writer) io.WriteCloser {
			z, _ := zstd.NewWriter(w)
			return z
		}),
	} {
		for _, buffer := range []int{0, 256} {
			t.Run(name, func(t *testing.T) {
				var names []pcap.Name
				var stats [2]uint64
				r := open(t, in, ReaderOptions{Buffer: buffer,
					OnName:  func(n pcap.Name) { names = append(names, n) },
					OnStats: func(_ *pcap.Interface, received, dropped uint64) { stats = [2]uint64{received, dropped} }})
				got, err := readAll(r)
				if err != io.EOF {
					t.Fatal(err)
				}
				checkPackets(t, got, testPackets())
				if !reflect.DeepEqual(names, testNames) {
					t.Errorf("names: %v", names)
				}
				if stats != [2]uint64{100, 10} {
					t.Errorf("stats: %v", stats)
				}
				if s := r.Section(); s != (Section{Application: "sshark", OS: "Linux", Comment: "a test", Node: "node-a"}) {
					t.Errorf("section: %+v", s)
				}
				if c := r.Counts(); c.Packets != uint64(len(got)) || c.Sections != 1 || c.Names != 2 || c.Stats != 1 {
					t.Errorf("counts: %+v", c)
				}
			})
		}
	}
}

// blockWriter writes blocks in any byte order.
type blockWriter struct {
	bytes.Buffer
	order binary.AppendByteOrder
}

func (w *blockWriter) block(kind uint32, parts ...any) {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case uint16:
			b = w.order.AppendUint16(b, p)
		case uint32:
			b = w.order.AppendUint32(b, p)
		case uint64:
			b = w.order.AppendUint64(b, p)
		case string:
			b = append(b, p...)
			b = append(b, make([]byte, pad4(len(p))-len(p))...)
		}
	}
	n := uint32(len(b) + 12)
	head := w.order.AppendUint32(w.order.AppendUint32(nil, kind), n)
	w.Write(head)
	w.Write(b)
	w.Write(w.order.AppendUint32(nil, n))
}

func (w *blockWriter) section() {
	w.block(blockSection, uint32(byteOrderMagic), uint16(1), uint16(0), ^uint64(0))
}

// foreign is a capture as our writer makes none: of any byte order, with old blocks, other
// resolutions of time, several sections, unknown blocks.
func foreign(order binary.AppendByteOrder) []byte {
	w := &blockWriter{order: order}
	w.section()
	w.block(blockInterface, uint16(1), uint16(0), uint32(6), uint16(optName), uint16(4), "eth9",
		uint16(optDescription), uint16(8), "a device", uint32(0)) // microseconds
	w.block(blockInterface, uint16(14), uint16(0), uint32(0), uint16(optTimeRes), uint16(1), "\x94", // 2^-20
		uint16(optTimeOffset), uint16(8), uint64(1000))
	w.block(blockInterface, uint16(1), uint16(0), uint32(0), uint16(optTimeRes), uint16(1), "\x0c") // 10^-12
	w.block(blockInterface, uint16(1), uint16(0), uint32(0), uint16(optTimeRes), uint16(1), "\x7f") // 10^-127
	w.block(blockInterface, uint16(1), uint16(0), uint32(0), uint16(optTimeRes), uint16(1), "\xff") // 2^-127
	w.block(blockSecrets, uint32(0x544c534b), uint32(4), "key!")
	w.block(0x80000001, "a private block")
	w.block(blockEnhanced, uint32(0), uint32(0), uint32(5), uint32(3), uint32(60), "abc",
		uint16(optFlags), uint16(4), uint32(2), uint16(optDropCount), uint16(8), uint64(7), uint32(0))
	w.block(blockSimple, uint32(9), "abcdef") // snapped to 6
	w.block(blockOldPacket, uint16(1), uint16(3), uint32(0), uint32(1<<19), uint32(1), uint32(1), "x")
	w.block(blockEnhanced, uint32(2), uint32(1), uint32(0), uint32(0), uint32(0))
	w.block(blockEnhanced, uint32(3), uint32(1), uint32(0), uint32(0), uint32(0))
	w.block(blockEnhanced, uint32(4), uint32(1), uint32(0), uint32(0), uint32(0))
	w.section()
	w.block(blockInterface, uint16(228), uint16(0), uint32(0))
	w.block(blockEnhanced, uint32(0), uint32(0xffffffff), uint32(0), uint32(1), uint32(1), "y")

	return w.Bytes()
}

func TestForeign(t *testing.T) {
	for name, order := range map[string]binary.AppendByteOrder{"little": binary.LittleEndian, "big": binary.BigEndian} {
		t.Run(name, func(t *testing.T) {
			var secrets []string
			r := open(t, foreign(order), ReaderOptions{OnSecrets: func(kind uint32, data []byte) { secrets = append(secrets, fmt.Sprintf("%x %s", kind, data)) }})
			got, err := readAll(r)
			if err != io.EOF {
				t.Fatal(err)
			}
			i0 := &pcap.Interface{Name: "eth9", Comment: "a device", Link: 1, SnapLen: 6}
			eth := &pcap.Interface{Link: 1}
			checkPackets(t, got, []pcap.Packet{
				{Time: 5000, Data: []byte("abc"), Length: 60, Flags: 2, Drops: 7, Iface: i0},
				{Time: 5000, Data: []byte("abcdef"), Length: 9, Iface: i0},
				{Time: 1000_500000000, Data: []byte("x"), Length: 1, Drops: 3, Iface: &pcap.Interface{Link: pcap.LinkRaw}},
				{Time: 1 << 32 / 1000, Data: []byte{}, Iface: eth},
				{Time: 0, Data: []byte{}, Iface: eth},
				{Time: 0, Data: []byte{}, Iface: eth},
				{Time: 1<<63 - 1, Data: []byte("y"), Length: 1, Iface: &pcap.Interface{Link: pcap.LinkIPv4}},
			})
			if len(secrets) != 1 || secrets[0] != "544c534b key!" {
				t.Errorf("secrets: %q", secrets)
			}
			if c := r.Counts(); c.Secrets != 1 || c.Skipped != 1 || c.Sections != 2 {
				t.Errorf("counts: %+v", c)
			}
		})
	}
}

func TestClassic(t *testing.T) {
	for _, c := range []struct {
		name  string
		magic uint32
		order binary.AppendByteOrder
		extra int
		time  int64
	}{
		{"micros little", magicMicros, binary.LittleEndian, 0, 7_000005000},
		{"micros big", magicMicros, binary.BigEndian, 0, 7_000005000},
		{"nanos little", magicNanos, binary.LittleEndian, 0, 7_000000005},
		{"nanos big", magicNanos, binary.BigEndian, 0, 7_000000005},
		{"modified big", magicModified, binary.BigEndian, 8, 7_000005000},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b []byte
			for _, v := range []uint32{c.magic, 2<<16 | 4, 0, 0, 65535, 0x14000001} { // 4 bytes of FCS
				b = c.order.AppendUint32(b, v)
			}
			for range 3 {
				for _, v := range []uint32{7, 5, 3, 60} {
					b = c.order.AppendUint32(b, v)
				}
				b = append(b, make([]byte, c.extra)...)
				b = append(b, "abc"...)
			}
			r := open(t, b, ReaderOptions{})
			got, err := readAll(r)
			if err != io.EOF {
				t.Fatal(err)
			}
			want := pcap.Packet{Time: c.time, Data: []byte("abc"), Length: 60, Iface: &pcap.Interface{Link: 1, SnapLen: 65535}}
			checkPackets(t, got, []pcap.Packet{want, want, want})
		})
	}
}

func TestClassicWriter(t *testing.T) {
	var out bytes.Buffer
	w := NewClassicWriter(&out)
	packets := testPackets()
	for i := range packets[:9] {
		if err := w.Write(&packets[i]); err != nil {
			t.Fatal(err)
		}
	}
	var mix *LinkMixError
	if err := w.Write(&packets[len(packets)-1]); !errors.As(err, &mix) || mix.First != 1 || mix.Other != 127 {
		t.Errorf("a mix of link types: %v", err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	got, err := readAll(open(t, out.Bytes(), ReaderOptions{}))
	if err != io.EOF {
		t.Fatal(err)
	}
	want := packets[:9]
	for i := range want {
		want[i].Flags, want[i].Drops = 0, 0
		want[i].Iface = &pcap.Interface{Link: 1, SnapLen: 256 << 10}
	}
	checkPackets(t, got, want)
}

// Cut at every byte: all whole packets come, then one clear end.
func TestTruncated(t *testing.T) {
	packets := testPackets()
	whole := write(t, packets, testNames)
	var classic bytes.Buffer
	w := NewClassicWriter(&classic)
	for i := range packets[:20] {
		w.Write(&packets[i])
	}
	w.Flush()
	for name, b := range map[string][]byte{"pcapng": whole, "pcap": classic.Bytes()} {
		var ends []int64 // where a cut leaves whole blocks
		r := open(t, b, ReaderOptions{})
		var p pcap.Packet
		for r.Next(&p) == nil {
			ends = append(ends, r.Offset())
		}
		for n := range b {
			r, err := NewReader(bytes.NewReader(b[:n]), ReaderOptions{Buffer: 300})
			if err != nil {
				if n >= 28 && n > int(ends[0]) {
					t.Fatalf("%s cut to %d: %v", name, n, err)
				}
				continue
			}
			got, err := readAll(r)
			var corrupt *CorruptError
			switch {
			case err == io.EOF:
			case !errors.Is(err, ErrTruncated) || !errors.As(err, &corrupt):
				t.Fatalf("%s cut to %d: %v", name, n, err)
			case corrupt.Offset >= int64(n) || corrupt.Offset != r.Offset():
				t.Fatalf("%s cut to %d: offset %d, at %d", name, n, corrupt.Offset, r.Offset())
			}
			want := 0
			for want+1 < len(ends) && int64(n) >= ends[want+1] {
				want++
			}
			if len(got) < want || len(got) > want+1 {
				t.Fatalf("%s cut to %d: %d packets, want %d or one more", name, n, len(got), want)
			}
			if again := r.Next(&p); again != err {
				t.Fatalf("%s cut to %d: the error is not final: %v, then %v", name, n, err, again)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	good := write(t, testPackets(), nil)
	head := len(AppendSection(nil, Section{Application: "sshark", OS: "Linux", Comment: "a test", Node: "node-a"}))
	first := head + len(AppendInterface(nil, testInterfaces[0]))
	damage := func(at int, v uint32) []byte {
		b := bytes.Clone(good)
		binary.LittleEndian.PutUint32(b[at:], v)
		return b
	}
	for _, c := range []struct {
		name string
		in   []byte
		want string
	}{
		{"empty", nil, "it is empty"},
		{"text", []byte("hello, world"), "it begins with 68 65 6c 6c"},
		{"byte order", damage(8, 1), "byte-order magic"},
		{"version", damage(12, 2), "version 2.0"},
		{"no interface", damage(first+8, 99), "interface 99: 6 are described"},
		{"block length", damage(first+4, 7), "claims 7 bytes"},
		{"huge block", damage(first+4, 1<<31), "claims 2147483648 bytes"},
		{"packet length", damage(first+20, 5000), "a packet of 5000 bytes in a block"},
		{"zeros", append(bytes.Clone(good), make([]byte, 64)...), "claims 0 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := NewReader(bytes.NewReader(c.in), ReaderOptions{})
			if err == nil {
				_, err = readAll(r)
			}
			want := strings.ReplaceAll(c.want, "6 are", "1 are")
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}

// A slow source that is followed gives each packet as soon as it is there.
func TestFollow(t *testing.T) {
	packets := testPackets()
	b := write(t, packets, nil)
	pr, pw := io.Pipe()
	defer pw.Close()
	next := make(chan int)
	go func() {
		for _, c := range b {
			if _, err := pw.Write([]byte{c}); err != nil {
				return
			}
		}
		<-next // the pipe stays open
	}()
	r, err := NewReader(pr, ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range packets {
		var p pcap.Packet
		if err := r.Next(&p); err != nil || p.Time != packets[i].Time {
			t.Fatalf("packet %d: %v", i, err)
		}
	}
	close(next)
}

// tshark and capinfos must read what is written here, with the names where people look.
func TestTshark(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not installed")
	}
	packets := testPackets()
	file := filepath.Join(t.TempDir(), "x.pcapng")
	if err := os.WriteFile(file, write(t, packets, testNames), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("tshark", "-r", file, "-T", "fields", "-e", "frame.number", "-e", "frame.time_epoch",
		"-e", "frame.interface_name", "-e", "frame.interface_description", "-e", "frame.len", "-e", "frame.cap_len")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	got, err := cmd.Output()
	complaint := strings.ReplaceAll(stderr.String(), "Running as user \"root\" and group \"root\". This could be dangerous.\n", "")
	if err != nil || complaint != "" {
		t.Fatalf("tshark: %v\n%s", err, complaint)
	}
	golden := filepath.Join("testdata", "tshark.golden")
	if *update {
		os.WriteFile(golden, got, 0o644)
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("tshark shows\n%s\nwant\n%s", got, want)
	}
	if _, err := exec.LookPath("capinfos"); err == nil {
		if out, err := exec.Command("capinfos", file).CombinedOutput(); err != nil || !bytes.Contains(out, []byte("Number of packets:   54")) {
			t.Errorf("capinfos: %v\n%s", err, out)
		}
	}
}
