package flow

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/pcapng"
)

// tshark reads packets, each of a link type of its own, and prints fields, a line for each.
func tshark(t *testing.T, packets []pcap.Packet, args ...string) []string {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not installed")
	}
	var out bytes.Buffer
	w, err := pcapng.NewWriter(&out, pcapng.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range packets {
		if err := w.Write(&packets[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "x.pcapng")
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	printed, err := exec.Command("tshark", append([]string{"-r", file, "-n", "-T", "fields", "-E", "occurrence=l", "-E", "separator=;", "-d", "mpls.label==32,pwethcw"}, args...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(printed), "\n"), "\n")
	if len(lines) != len(packets) {
		t.Fatalf("tshark prints %d lines for %d packets", len(lines), len(packets))
	}
	return lines
}

func packetOf(c *parseCase) pcap.Packet {
	return pcap.Packet{Data: c.in, Length: uint32(len(c.in)), Iface: &pcap.Interface{Name: c.name, Link: c.link}}
}

// unknownToTshark are cases that tshark reads otherwise, with the reason.
var unknownToTshark = map[string]string{
	"raw, old number":                "only in classic files",
	"ERSPAN I":                       "taken for type II",
	"netfilter log, the other order": "a preference",
	"CAPWAP, 802.11":                 "a preference: it swaps",
	"MPLS alone":                     "not read as a link type",
	"VXLAN on Linux's old port":      "not among its ports",
	"first fragment, cut, v6":        "only IPv4's are taken for cut packets",
}

// TestEncapsulations: tshark finds the same innermost ends.
func TestEncapsulations(t *testing.T) {
	var cases []parseCase
	var packets []pcap.Packet
	for _, c := range parseCases() {
		if unknownToTshark[c.name] != "" {
			continue
		}
		if strings.HasPrefix(c.want, "10.0.0.") || strings.HasPrefix(c.want, "[fd00::") {
			cases, packets = append(cases, c), append(packets, packetOf(&c))
		}
	}
	ports := []string{"tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport", "sctp.srcport", "sctp.dstport"}
	args := []string{"-e", "ip.src", "-e", "ip.dst", "-e", "ipv6.src", "-e", "ipv6.dst", "-o", "ip.check_checksum:FALSE"}
	for _, p := range ports {
		args = append(args, "-e", p)
	}
	for n, line := range tshark(t, packets, args...) {
		v := strings.Split(line, ";")
		var h Header
		h.Parse(cases[n].link, cases[n].in)
		src, dst := h.Key.Addr(h.Dir), h.Key.Addr(h.Dir.Other())
		net := v[:2]
		if src.Addr().Is6() {
			net = v[2:4]
		}
		at := map[Proto]int{TCP: 4, UDP: 6, SCTP: 8}[h.Key.Proto]
		got := fmt.Sprintf("%s > %s", net[0], net[1])
		want := fmt.Sprintf("%s > %s", src.Addr(), dst.Addr())
		if at > 0 {
			got += fmt.Sprintf(" %s > %s", v[at], v[at+1])
			want += fmt.Sprintf(" %d > %d", src.Port(), dst.Port())
		}
		if got != want {
			t.Errorf("%s: tshark says %q, here it is %q", cases[n].name, got, want)
		}
	}
}

func TestHeaderLength(t *testing.T) {
	for _, c := range parseCases() {
		n := HeaderLength(c.link, c.in)
		if n < 0 || n > len(c.in) {
			t.Fatalf("%s: %d of %d", c.name, n, len(c.in))
		}
		for _, payload := range []string{"GET /", "answer", "chunk", "hello, world"} {
			if bytes.Contains(c.in[:n], []byte(payload)) {
				t.Errorf("%s: %q is in the headers", c.name, payload)
			}
		}
		// What is left tells the same ends.
		var whole, cut Header
		whole.Parse(c.link, c.in)
		cut.Parse(c.link, c.in[:n])
		if !strings.HasPrefix(c.name, "cut") && !strings.HasSuffix(c.want, "...") && whole.Key != cut.Key {
			t.Errorf("%s: the ends differ: %+v, whole %+v", c.name, cut.Key, whole.Key)
		}
	}
	fragment := ip4(UDP, c4, s4, []byte("said in a fragment"))
	copy(fragment[6:], u16(1))
	for name, tt := range map[string]struct {
		in   []byte
		want int
	}{
		"fragment": {eth(etIPv4, fragment), 34}, "ARP": {eth(etARP, make([]byte, 28)), 42},
		"an unknown type": {eth(0x88b5, []byte("said")), 14}, "ICMP": {eth(etIPv4, ip4(ICMP, c4, s4, []byte("12345678said"))), 42},
		"options": {eth(etIPv4, ip4(TCP, c4, s4, func() []byte { b := tcp(1, 2, "12345678said"); b[12] = 7 << 4; return b }())), 62},
		"no TCP":  {eth(etIPv4, ip4(TCP, c4, s4, func() []byte { b := tcp(1, 2, "said"); b[12] = 1 << 4; return b }())), 54},
	} {
		if got := HeaderLength(1, tt.in); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}

// seed leaves in a transport's checksum what Linux leaves there for a device; short is how it
// does for large packets that the device cuts.
func seed(b []byte, h *Header, at int, short bool) {
	src, dst := h.Key.Addr(h.Dir).Addr(), h.Key.Addr(h.Dir.Other()).Addr()
	s := sum(sum(uint64(h.Key.Proto), src.AsSlice()), dst.AsSlice())
	if !short {
		s += uint64(h.End - h.Transport)
	}
	binary.BigEndian.PutUint16(b[h.Transport+at:], fold(s))
}

func TestFixChecksums(t *testing.T) {
	at := map[Proto]int{TCP: 16, UDP: 6}
	var cases []parseCase
	var packets []pcap.Packet
	for _, c := range parseCases() {
		var h Header
		if h.Parse(c.link, c.in); at[h.Key.Proto] == 0 || h.Truncated || h.Payload == h.End || strings.HasPrefix(c.name, "segmentation") || strings.HasPrefix(c.name, "PPPoE, padded") ||
			unknownToTshark[c.name] != "" {
			continue
		}
		for _, short := range []bool{false, true} {
			own := c
			own.in = slices.Clone(c.in)
			seed(own.in, &h, at[h.Key.Proto], short)
			if !FixChecksums(c.link, own.in, false) {
				t.Errorf("%s: something is left to do", c.name)
			}
			cases, packets = append(cases, own), append(packets, packetOf(&own))
		}
	}
	if len(cases) < 40 {
		t.Fatalf("%d cases", len(cases))
	}
	for n, line := range tshark(t, packets, "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
		"-e", "ip.checksum.status", "-e", "tcp.checksum.status", "-e", "udp.checksum.status") {
		for _, status := range strings.Split(line, ";") {
			if status != "" && status != "1" && status != "3" { // good, or there is none
				t.Errorf("%s: tshark says %q", cases[n].name, line)
			}
		}
		if !strings.Contains(line, ";1") {
			t.Errorf("%s: tshark did not check it: %q", cases[n].name, line)
		}
	}
}

// TestChecksumsLeft: what is right, wrong on its way, or cannot be computed stays as it is.
func TestChecksumsLeft(t *testing.T) {
	web := eth(etIPv4, ip4(TCP, c4, s4, get))
	FixChecksums(1, web, true)
	wrong := slices.Clone(web)
	wrong[14+20+16] ^= 0x55
	cut := slices.Clone(web[:len(web)-2])
	none := eth(etIPv4, ip4(UDP, c4, s4, udp(5, 6, []byte("x"))))
	FixChecksums(1, none, false)
	for name, tt := range map[string]struct {
		in                []byte
		partial, complete bool
	}{
		"right":           {web, false, true},
		"right, marked":   {web, true, true},
		"wrong":           {wrong, false, true},
		"cut, marked":     {cut, true, false},
		"UDP without one": {none, false, true},
		"no IP":           {eth(0x88b5, []byte("said")), false, true},
	} {
		got := slices.Clone(tt.in)
		if complete := FixChecksums(1, got, tt.partial); complete != tt.complete || !bytes.Equal(got, tt.in) {
			t.Errorf("%s: complete %v, changed %v", name, complete, !bytes.Equal(got, tt.in))
		}
	}
	v6 := eth(etIPv6, ip6(58, c6, s6, []byte{128, 0, 0, 0, 1, 2, 3, 4}))
	FixChecksums(1, v6, true)
	src, dst := netip.MustParseAddr(c6), netip.MustParseAddr(s6)
	if s := fold(sum(sum(sum(58+8, src.AsSlice()), dst.AsSlice()), v6[54:])); s != 0xffff {
		t.Errorf("ICMPv6: the sum is %#x", s)
	}
}

func FuzzLayers(f *testing.F) {
	for _, c := range parseCases() {
		f.Add(uint16(c.link), c.in, true)
	}
	f.Fuzz(func(t *testing.T, link uint16, in []byte, partial bool) {
		var h Header
		found := h.Parse(pcap.LinkType(link), in)
		layers := Layers(nil, pcap.LinkType(link), in)
		if found != (len(layers) > 0) || found && layers[len(layers)-1] != h {
			t.Fatalf("%+v, and the layers end in %+v", h, layers)
		}
		if n := HeaderLength(pcap.LinkType(link), in); n < 0 || n > len(in) {
			t.Fatalf("%d of %d", n, len(in))
		}
		FixChecksums(pcap.LinkType(link), slices.Clone(in), partial)
	})
}
