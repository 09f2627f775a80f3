package layers

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
)

// packet is bytes in hex, with blanks.
func packet(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Parts of packets: what they are is in the names.
const (
	ether4 = "0200000000010200000000020800 "
	ether6 = "02000000000102000000000286dd "
	ip4TCP = "4500002c000140004006 0000 0a000001 0a000002 "
	synMSS = "9c40 0050 00000063 00000000 6002 fff0 0000 0000 020405b4 "
	ip4UDP = "45000020 00010000 4011 0000 0a000001 0a000002 "
	udp4   = "9c40 0035 000c 0000 61626364 "
)

// TestDecode: the layers of a packet, one line each.
func TestDecode(t *testing.T) {
	for _, tt := range []struct {
		name string
		link pcap.LinkType
		in   string
		want []string
	}{
		{"tcp", pcap.LinkEthernet, ether4 + ip4TCP + synMSS, []string{"Ethernet 02:00:00:00:00:02 → 02:00:00:00:00:01", "IPv4 10.0.0.1 → 10.0.0.2, ttl 64", "TCP 40000 → 80 [SYN] seq 99 ack 0 win 65520"}},
		{"udp with padding", pcap.LinkEthernet, ether4 + ip4UDP + udp4 + "000000", []string{"Ethernet", "IPv4", "UDP 40000 → 53", "Payload 4 bytes", "Trailer 3 bytes behind the packet"}},
		{"vlan in vlan", pcap.LinkEthernet, "02000000000102000000000288a8 0064 8100 2065 0800" + ip4UDP + udp4, []string{"Ethernet", "VLAN id 100", "VLAN id 101", "IPv4", "UDP", "Payload"}},
		{"mpls", pcap.LinkEthernet, "0200000000010200000000028847 0001003f 0001113f" + ip4UDP + udp4, []string{"Ethernet", "MPLS label 16, ttl 63", "MPLS label 17, ttl 63", "IPv4", "UDP", "Payload"}},
		{"pppoe", pcap.LinkEthernet, "0200000000010200000000028864 11000001 0022 0021" + ip4UDP + udp4, []string{"Ethernet", "PPPoE session 0x0001", "PPP IPv4 (33)", "IPv4", "UDP", "Payload"}},
		{"arp", pcap.LinkEthernet, "ffffffffffff0200000000020806 0001 0800 06 04 0001 020000000002 0a000001 000000000000 0a000002", []string{"Ethernet", "ARP who has 10.0.0.2? tell 10.0.0.1"}},
		{"icmp about a packet", pcap.LinkRaw, "45000038 00010000 4001 0000 0a000002 0a000001 0303 0000 00000000" + ip4UDP + "9c400035000c0000", []string{"IPv4", "ICMP destination unreachable (3): port (3)", "IPv4", "UDP"}},
		{"ping", pcap.LinkRaw, "45000020 00010000 4001 0000 0a000002 0a000001 0800 0000 0007 0009 70696e67", []string{"IPv4", "ICMP echo request (8), id 7, sequence 9", "Payload 4 bytes"}},
		{"ipv6 fragment", pcap.LinkEthernet, ether6 + "60000000 000c 2c 40 fd000000000000000000000000000001 fd000000000000000000000000000002 1100 0009 00000001 61626364", []string{"Ethernet", "IPv6 fd00::1 → fd00::2, hop limit 64", "IPv6 fragment fragment at 8", "Payload"}},
		{"neighbour", pcap.LinkEthernet, ether6 + "60000000 0018 3a ff fd000000000000000000000000000001 fd000000000000000000000000000002 8700 0000 00000000 fd000000000000000000000000000003", []string{"Ethernet", "IPv6", "ICMPv6 neighbour solicitation (135) of fd00::3"}},
		{"vxlan", pcap.LinkRaw, "45000056 00010000 4011 0000 0a000001 0a000002 c000 12b5 0042 0000 08000000 00002a00" + ether4 + ip4TCP[:0] + ip4UDP + udp4 + "00000000000000000000", []string{"IPv4", "UDP 49152 → 4789", "VXLAN network 42", "Ethernet", "IPv4", "UDP", "Payload", "Trailer"}},
		{"gre with a key", pcap.LinkRaw, "4500003c 00010000 402f 0000 0a000001 0a000002 2000 0800 0000002a" + ip4UDP + udp4, []string{"IPv4", "GRE IPv4 (0x0800)", "IPv4", "UDP", "Payload"}},
		{"sctp", pcap.LinkRaw, "45000030 00010000 4084 0000 0a000001 0a000002 9c40 0050 00000001 00000000 03000010 00000000 00000000 00000000", []string{"IPv4", "SCTP 40000 → 80 SACK", "Payload"}},
		{"cooked", pcap.LinkSLL2, "0800 0000 00000002 0001 00 06 020000000002 0000" + ip4UDP + udp4, []string{"Linux cooked 2 to us (0)", "IPv4", "UDP", "Payload"}},
		{"802.11", pcap.LinkWireless, "0801" + strings.Repeat("00", 22) + "aaaa03000000 0800" + ip4UDP + udp4, []string{"Link layer 32 bytes", "IPv4 10.0.0.1 → 10.0.0.2", "UDP", "Payload"}},
		{"l2tp", pcap.LinkRaw, "45000044 00010000 4011 0000 0a000001 0a000002 06a5 06a5 0030 0000 0002 0007 0009 0021" + ip4UDP + udp4, []string{"IPv4", "UDP 1701 → 1701", "Encapsulation 8 bytes", "IPv4", "UDP 40000 → 53", "Payload"}},
		{"cut", pcap.LinkEthernet, ether4 + "45000020", []string{"Ethernet", "IPv4 cut off"}},
		{"no header", pcap.LinkRaw, "ff00", []string{"Payload 2 bytes"}},
		{"unknown link", 147, "010203", []string{"Payload 3 bytes"}},
		{"nothing", pcap.LinkEthernet, "", []string{"Ethernet cut off"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := packet(t, tt.in)
			got := Decode(tt.link, b)
			check(t, b, got)
			for i, l := range got {
				text := l.Name + " " + l.Summary
				if i >= len(tt.want) || !strings.HasPrefix(text, tt.want[i]) {
					t.Errorf("layer %d is %q, want %q", i, text, tt.want)
				}
			}
			if len(got) != len(tt.want) {
				t.Errorf("%d layers, want %d", len(got), len(tt.want))
			}
		})
	}
}

// TestFields: a field has its value and its bytes.
func TestFields(t *testing.T) {
	b := packet(t, ether4+ip4TCP+synMSS)
	all := Decode(pcap.LinkEthernet, b)
	for _, want := range []struct {
		layer       int
		name, value string
		bytes       string
	}{
		{0, "type", "IPv4 (0x0800)", "0800"}, {1, "ttl", "64", "40"}, {1, "flags", "do not fragment", "40"}, {1, "destination", "10.0.0.2", "0a000002"},
		{2, "destination port", "80", "0050"}, {2, "flags", "SYN", "6002"}, {2, "mss", "1460", "020405b4"},
	} {
		found := false
		for _, f := range all[want.layer].Fields {
			if f.Name == want.name {
				found = true
				if got := hex.EncodeToString(b[f.From:f.To]); f.Value != want.value || got != want.bytes {
					t.Errorf("%s: %q of %s", want.name, f.Value, got)
				}
			}
		}
		if !found {
			t.Errorf("no field %s in %+v", want.name, all[want.layer])
		}
	}
}

// check holds what is true of all layers.
func check(t *testing.T, b []byte, all []Layer) {
	t.Helper()
	if len(all) > maxLayers+2 {
		t.Errorf("%d layers", len(all))
	}
	for _, l := range all {
		if l.Name == "" || l.From < 0 || l.From > l.To || l.To > len(b) || len(l.Fields) > maxFields {
			t.Errorf("layer %q from %d to %d of %d, %d fields", l.Name, l.From, l.To, len(b), len(l.Fields))
		}
		for _, f := range l.Fields {
			if f.Name == "" || f.From < 0 || f.From > f.To || f.To > len(b) {
				t.Errorf("%s %s from %d to %d of %d", l.Name, f.Name, f.From, f.To, len(b))
			}
		}
	}
}

// FuzzDecode: any bytes are taken apart within their bounds, and the IP header that flow.Header
// finds is among the layers.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{ether4 + ip4TCP + synMSS, ether4 + ip4UDP + udp4, "0200000000010200000000028847 0001003f 0001113f" + ip4UDP + udp4} {
		f.Add(uint16(pcap.LinkEthernet), packet(f, s))
	}
	f.Add(uint16(pcap.LinkWireless), packet(f, "0801"+strings.Repeat("00", 22)+"aaaa03000000 0800"+ip4UDP+udp4))
	f.Add(uint16(pcap.LinkPPI), packet(f, "00000c00 65000000 00000000"+ip4UDP+udp4))
	f.Add(uint16(pcap.LinkNFLog), packet(f, "02000000 24000900"+ip4UDP+udp4))
	// What package flow found worth to keep.
	seeds, err := filepath.Glob("../flow/testdata/fuzz/*/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range seeds {
		b, err := os.ReadFile(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint16(pcap.LinkEthernet), b)
	}
	f.Fuzz(func(t *testing.T, link uint16, b []byte) {
		all := Decode(pcap.LinkType(link), b)
		check(t, b, all)
		var h flow.Header
		if !h.Parse(pcap.LinkType(link), b) {
			return
		}
		for _, l := range all {
			if l.From == h.Network && strings.HasPrefix(l.Name, "IPv") {
				return
			}
		}
		t.Errorf("no IP header at %d in %+v", h.Network, all)
	})
}

func BenchmarkDecode(b *testing.B) {
	p := packet(b, ether4+ip4TCP+synMSS)
	b.ReportAllocs()
	for b.Loop() {
		Decode(pcap.LinkEthernet, p)
	}
}
