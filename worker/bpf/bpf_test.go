package bpf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// load loads the program, or skips where that is not allowed.
func load(t testing.TB, o Options) *Program {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: loads eBPF")
	}
	p, err := Load(o)
	var missing *MissingError
	if errors.As(err, &missing) {
		t.Skip(missing)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// entry is the program of a slot, for the kernel to run as a test.
func entry(t testing.TB, p *Program, slot uint32) *ebpf.Program {
	t.Helper()
	e, err := p.entry(slot)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// frame is what BPF_PROG_TEST_RUN is given: it takes 14 bytes off, so there are two headers.
func frame(body ...[]byte) []byte {
	f := make([]byte, 26)
	f = append(f, bytes.Join(body, nil)...)
	return f
}

// ipv4 is an EtherType and an IPv4 packet.
func ipv4(proto byte, src, dst string, payload []byte) []byte {
	b := make([]byte, 22, 22+len(payload))
	b[0] = 8
	b[2], b[10], b[11] = 0x45, 64, proto
	binary.BigEndian.PutUint16(b[4:], uint16(20+len(payload)))
	a, z := netip.MustParseAddr(src).As4(), netip.MustParseAddr(dst).As4()
	copy(b[14:], a[:])
	copy(b[18:], z[:])
	return append(b, payload...)
}

func ipv6(proto byte, src, dst string, payload []byte) []byte {
	b := make([]byte, 42, 42+len(payload))
	b[0], b[1] = 0x86, 0xdd
	b[2], b[8], b[9] = 0x60, proto, 64
	binary.BigEndian.PutUint16(b[6:], uint16(len(payload)))
	a, z := netip.MustParseAddr(src).As16(), netip.MustParseAddr(dst).As16()
	copy(b[10:], a[:])
	copy(b[26:], z[:])
	return append(b, payload...)
}

// ports are the first bytes of UDP, TCP and SCTP, and some more.
func ports(src, dst uint16) []byte {
	b := make([]byte, 20)
	binary.BigEndian.PutUint16(b, src)
	binary.BigEndian.PutUint16(b[2:], dst)
	return b
}

func arp(src, dst string) []byte {
	b := make([]byte, 30)
	b[0], b[1] = 8, 6
	a, z := netip.MustParseAddr(src).As4(), netip.MustParseAddr(dst).As4()
	copy(b[2+14:], a[:])
	copy(b[2+24:], z[:])
	return b
}

func tagged(tag string, packet []byte) []byte { return append([]byte(tag), packet...) }

func fragment(offset uint16, packet []byte) []byte {
	binary.BigEndian.PutUint16(packet[8:], offset)
	return packet
}

func TestWanted(t *testing.T) {
	p := load(t, Options{RingSize: MinRingSize})
	own := []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")}
	if err := p.SetOwn(append(own, netip.MustParseAddr("10.0.0.7"))); err != nil {
		t.Fatal(err)
	}
	if err := p.SetOwn(own); err != nil {
		t.Fatal(err)
	}
	const tcp, udp, sctp, icmp = 6, 17, 132, 1
	only := Target{Only: []uint16{80, 443}}
	never := Target{Never: []uint16{22}}
	except := Target{Except: []uint16{2222}}
	local := Target{Except: []uint16{2222}, Local: true}
	node := Target{OwnOnly: true, Tunnels: []uint16{4789}}
	hop := append([]byte{44, 0, 0, 0, 0, 0, 0, 0}, []byte{tcp, 0, 0, 1, 0, 0, 0, 9}...) // then a fragment
	later := append([]byte{44, 0, 0, 0, 0, 0, 0, 0}, []byte{tcp, 0, 1, 0, 0, 0, 0, 9}...)
	tests := []struct {
		name   string
		target Target
		packet []byte
		keep   bool
	}{
		{"only, source", only, ipv4(tcp, "1.1.1.1", "2.2.2.2", ports(80, 5000)), true},
		{"only, destination", only, ipv4(udp, "1.1.1.1", "2.2.2.2", ports(5000, 443)), true},
		{"only, sctp", only, ipv4(sctp, "1.1.1.1", "2.2.2.2", ports(5000, 443)), true},
		{"only, another", only, ipv4(tcp, "1.1.1.1", "2.2.2.2", ports(5000, 81)), false},
		{"only, icmp", only, ipv4(icmp, "1.1.1.1", "2.2.2.2", ports(80, 80)), false},
		{"only, arp", only, arp("1.1.1.1", "2.2.2.2"), false},
		{"only, lldp", only, tagged("\x88\xcc", make([]byte, 40)), false},
		{"only, later fragment", only, fragment(0x2001, ipv4(tcp, "1.1.1.1", "2.2.2.2", ports(1, 2))), true},
		{"only, first fragment", only, fragment(0x2000, ipv4(tcp, "1.1.1.1", "2.2.2.2", ports(1, 2))), false},
		{"only, v6", only, ipv6(tcp, "fd00::5", "fd00::6", ports(5000, 80)), true},
		{"only, v6 another", only, ipv6(tcp, "fd00::5", "fd00::6", ports(5000, 82)), false},
		{"only, v6 behind headers", only, ipv6(0, "fd00::5", "fd00::6", append(hop, ports(5000, 82)...)), false},
		{"only, v6 later fragment", only, ipv6(0, "fd00::5", "fd00::6", append(later, ports(5000, 82)...)), true},
		{"only, vlan", only, tagged("\x81\x00\x00\x05", ipv4(tcp, "1.1.1.1", "2.2.2.2", ports(5000, 82))), false},
		{"only, qinq", only, tagged("\x88\xa8\x00\x05\x81\x00\x00\x06", ipv4(tcp, "1.1.1.1", "2.2.2.2", ports(5000, 80))), true},
		{"never", never, ipv4(tcp, "1.1.1.1", "2.2.2.2", ports(22, 5000)), false},
		{"never, another", never, ipv4(tcp, "1.1.1.1", "2.2.2.2", ports(23, 5000)), true},
		{"never, arp", never, arp("1.1.1.1", "2.2.2.2"), true},
		{"never, cut short", never, ipv4(tcp, "1.1.1.1", "2.2.2.2", []byte{0, 22}), true},
		{"console, to", except, ipv4(tcp, "1.1.1.1", "10.0.0.1", ports(5000, 2222)), false},
		{"console, from", except, ipv6(tcp, "fd00::1", "fd00::9", ports(2222, 5000)), false},
		{"console, another's", except, ipv4(tcp, "1.1.1.1", "10.0.0.7", ports(5000, 2222)), true},
		{"console, another's client", except, ipv4(tcp, "10.0.0.1", "1.1.1.1", ports(5000, 2222)), true},
		{"console on lo", local, ipv4(tcp, "127.0.0.1", "127.0.0.1", ports(5000, 2222)), false},
		{"lo", local, ipv4(tcp, "127.0.0.1", "127.0.0.1", ports(5000, 2223)), true},
		{"node, to", node, ipv4(tcp, "1.1.1.1", "10.0.0.1", ports(5000, 80)), true},
		{"node, from v6", node, ipv6(tcp, "fd00::1", "fd00::9", ports(5000, 80)), true},
		{"node, passing", node, ipv4(tcp, "1.1.1.1", "2.2.2.2", ports(5000, 80)), false},
		{"node, arp", node, arp("1.1.1.1", "10.0.0.1"), true},
		{"node, another's arp", node, arp("1.1.1.1", "2.2.2.2"), false},
		{"node, lldp", node, tagged("\x88\xcc", make([]byte, 40)), false},
		{"node, vxlan", node, ipv4(udp, "10.0.0.1", "2.2.2.2", ports(5000, 4789)), false},
		{"node, ipip", node, ipv4(4, "10.0.0.1", "2.2.2.2", ports(0, 0)), false},
		{"node, gre", node, ipv4(47, "10.0.0.1", "2.2.2.2", ports(0, 0)), false},
		{"node, icmp", node, ipv4(icmp, "10.0.0.1", "2.2.2.2", ports(0, 0)), true},
	}
	for i, tt := range tests {
		slot := uint32(i)
		if err := p.SetTarget(slot, &tt.target); err != nil {
			t.Fatal(err)
		}
		if _, _, err := entry(t, p, slot).Test(frame(tt.packet)); err != nil {
			t.Skip("needs BPF_PROG_TEST_RUN:", err)
		}
		c, err := p.Counters(slot)
		if err != nil {
			t.Fatal(err)
		}
		want := Counters{Seen: 1, Filtered: 1}
		if tt.keep {
			want = Counters{Seen: 1, Stored: 1, Bytes: uint64(12 + len(tt.packet))}
		}
		if c != want {
			t.Errorf("%s: %+v, want %+v", tt.name, c, want)
		}
	}
	for i := range tests {
		if err := p.DeleteTarget(uint32(i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range p.sets.sets {
		if p.sets.sets[i].users != 0 {
			t.Errorf("port set %d is held by nobody's target", i)
		}
	}
}

// Records of all sizes arrive as they were, and those that find no room are counted.
func TestStoreAndDrop(t *testing.T) {
	p := load(t, Options{RingSize: MinRingSize})
	const slot = 3
	if err := p.SetTarget(slot, &Target{}); err != nil {
		t.Fatal(err)
	}
	e := entry(t, p, slot)
	run := func(size int) []byte {
		f := frame(make([]byte, size))
		for i := range f {
			f[i] = byte(i * size)
		}
		if _, _, err := e.Test(f); err != nil {
			t.Skip("needs BPF_PROG_TEST_RUN:", err)
		}
		return f[14:]
	}
	for size := 2; size < 3000; size++ { // the kernel's test packets fit a page
		want := run(size)
		h, data := p.Ring().Next()
		if h == nil || !bytes.Equal(data, want) || int(h.Length) != len(want) || h.Slot != slot || h.Time == 0 || h.Direction != 1 {
			t.Fatalf("%d bytes: got %d, header %+v", len(want), len(data), h)
		}
		p.Ring().Release()
	}
	before, _ := p.Counters(slot)
	for range 400 {
		run(1500)
	}
	full, _ := p.Counters(slot)
	if full.Dropped == 0 || full.Pending != full.Dropped || full.Seen != full.Stored+full.Dropped {
		t.Errorf("the ring is full: %+v", full)
	}
	read := 0
	for h, _ := p.Ring().Next(); h != nil; h, _ = p.Ring().Next() {
		if read++; h.Drops != 0 {
			t.Errorf("record %d: %d drops", read, h.Drops)
		}
	}
	if uint64(read) != full.Stored-before.Stored {
		t.Errorf("read %d records, %d stored", read, full.Stored-before.Stored)
	}
	p.Ring().Release()
	// Another CPU may run these: the one that dropped tells it with its next.
	for range 1000 {
		run(100)
		h, _ := p.Ring().Next()
		if h == nil {
			t.Fatal("no record")
		}
		drops := uint64(h.Drops)
		p.Ring().Release()
		full.Pending -= drops
		if full.Pending == 0 {
			break
		}
	}
	if c, _ := p.Counters(slot); c.Pending != full.Pending {
		t.Errorf("%d drops told by no record, %d counted", full.Pending, c.Pending)
	}
	if err := p.ResetCounters(slot); err != nil {
		t.Fatal(err)
	}
	if c, _ := p.Counters(slot); c != (Counters{}) {
		t.Errorf("after reset: %+v", c)
	}
}

func TestPortSets(t *testing.T) {
	var written []uint16
	s := portSets{write: func(id uint16, bits *packetPortSet) error {
		written = append(written, id)
		if bits.Bits[80>>6]&(1<<(80&63)) == 0 {
			t.Errorf("set %d lacks port 80", id)
		}
		return nil
	}}
	a, _ := s.hold([]uint16{80, 443, 80})
	b, _ := s.hold([]uint16{443, 80})
	if a != b || a == 0 || len(written) != 1 {
		t.Errorf("sets %d and %d, written %d", a, b, written)
	}
	s.release([]uint16{a, b})
	for i := range maxPortSets - 1 {
		if _, err := s.hold([]uint16{80, uint16(1000 + i)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.hold([]uint16{80, 9}); err == nil {
		t.Error("one list too many is no error")
	}
}

func TestMissing(t *testing.T) {
	for _, tt := range []struct {
		have uint64
		want string
	}{
		{1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_NET_RAW, ""},
		{1 << unix.CAP_SYS_ADMIN, "CAP_NET_RAW"},
		{1<<unix.CAP_BPF | 1<<unix.CAP_NET_RAW, "CAP_PERFMON, CAP_SYS_ADMIN"},
		{0, "CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN, CAP_NET_RAW"},
	} {
		if got, _ := missingCapabilities(tt.have); got != tt.want {
			t.Errorf("of %#x is missing %q, want %q", tt.have, got, tt.want)
		}
	}
	var missing *MissingError
	if err := Explain(unix.EPERM); !errors.As(err, &missing) || !errors.Is(err, unix.EPERM) ||
		!strings.Contains(err.Error(), missing.Do) {
		t.Errorf("EPERM became %v", err)
	}
	if Explain(nil) != nil {
		t.Error("no error became one")
	}
}

// BenchmarkProgram is the cost of a packet in the kernel, with the kernel's loop around it.
func BenchmarkProgram(b *testing.B) {
	targets := []struct {
		name   string
		target Target
	}{
		{"all", Target{}},
		{"snap96", Target{SnapLen: 96}},
		{"except", Target{Except: []uint16{2222}}},
		{"filtered", Target{Never: []uint16{80}}},
		{"own", Target{OwnOnly: true, Tunnels: []uint16{4789}, Except: []uint16{2222}}},
	}
	for _, tt := range targets {
		for _, size := range []int{64, 1500} {
			b.Run(tt.name+"/"+strconv.Itoa(size), func(b *testing.B) {
				p := load(b, Options{})
				if err := p.SetOwn([]netip.Addr{netip.MustParseAddr("10.0.0.1")}); err != nil {
					b.Fatal(err)
				}
				if err := p.SetTarget(0, &tt.target); err != nil {
					b.Fatal(err)
				}
				in := frame(ipv4(6, "10.0.0.1", "10.0.0.2", append(ports(80, 5000), make([]byte, size-54)...)))
				e := entry(b, p, 0)
				var spent float64
				for left := b.N; left > 0; {
					n := min(left, 20000)
					left -= n
					_, d, err := e.Benchmark(in, n, func() {})
					if err != nil {
						b.Skip("needs BPF_PROG_TEST_RUN:", err)
					}
					spent += float64(d) * float64(n)
					for h, _ := p.Ring().Next(); h != nil; h, _ = p.Ring().Next() {
					}
					p.Ring().Release()
				}
				b.ReportMetric(spent/float64(b.N), "kernel-ns/op")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
