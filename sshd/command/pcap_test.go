package command

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/pcapng"
	"github.com/sshark/sshark/sshd/sourcetest"
)

// numbers reads the calls' numbers back from a capture.
func numbers(t *testing.T, capture string) (out []int, first *pcap.Packet) {
	t.Helper()
	r, err := pcapng.NewReader(strings.NewReader(capture), pcapng.ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		var p pcap.Packet
		err := r.Next(&p)
		if errors.Is(err, io.EOF) {
			return out, first
		}
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			c := p
			c.Data = bytes.Clone(p.Data)
			first = &c
		}
		n := -1
		if len(p.Data) >= 36 {
			n = int(binary.BigEndian.Uint64(p.Data[28:]))
		}
		out = append(out, n)
	}
}

func TestPcap(t *testing.T) {
	for _, tt := range []struct {
		line    string
		packets int
		length  int
	}{
		{"pcap", 8, 64},
		{"pcap -c 3", 3, 64},
		{"pcap -s 40", 8, 40},
		{"pcap -o pcap", 8, 64},
		{"pcap -o pcap-ng --last 2 -w -", 2, 64},
		{"pcap --since 2020-01-01 --until 2020-01-02", 0, 0},
		{"tcpdump -U -n -i any -s 0 -c 9 -w - http", 9, 64},
		{"pcap -f -c 12 --last 4", 12, 64},
	} {
		t.Run(tt.line, func(t *testing.T) {
			s := &sourcetest.Source{Kept: 8}
			r := runLine(t, newEnv(s), tt.line)
			if r.status != 0 {
				t.Fatalf("%d: %s", r.status, r.stderr)
			}
			got, first := numbers(t, r.out)
			if len(got) != tt.packets {
				t.Fatalf("%d packets, want %d: %v", len(got), tt.packets, got)
			}
			if first == nil {
				return
			}
			if len(first.Data) != tt.length || first.Length != 64 {
				t.Errorf("captured %d of %d bytes", len(first.Data), first.Length)
			}
			if !strings.Contains(tt.line, "-o pcap") && first.Iface.Pod.String() != "shop/cart-0" {
				t.Errorf("the interface does not name its pod: %+v", first.Iface)
			}
		})
	}
}

// TestSSHDump: what Wireshark types.
func TestSSHDump(t *testing.T) {
	for _, line := range []string{
		` tcpdump -U -i 'any'  -w - -c 3 ''`,
		` tcpdump -U -i 'any' -p -w - -c 3 'not ((host 10.0.0.1 or host fe80::1%eth0) and port 22)'`,
		` tcpdump -U   -w - -c 3 'not port 22'`,
		` dumpcap -i 'any' -p -w - -c 3 -f 'not port 22'`,
		` dumpcap -i 'any'  -w - -c 3 -f ''`,
		`/usr/sbin/tcpdump -U -l -v -nn -s0 -i any -w - -c 3 not port 22`,
	} {
		if r := runLine(t, newEnv(&sourcetest.Source{Kept: 8}), line); r.status != 0 || r.stderr != "" {
			t.Errorf("%s: %d %s", line, r.status, r.stderr)
		} else if got, _ := numbers(t, r.out); len(got) != 3 {
			t.Errorf("%s: %d packets", line, len(got))
		}
	}
	r := runLine(t, newEnv(&sourcetest.Source{Kept: 8}), "tcpdump -U -i any -w - 'src port 80 and host 10.0.0.1'")
	if r.status != ExitUsage || !strings.Contains(r.stderr, "single packets") {
		t.Errorf("%d %s", r.status, r.stderr)
	}
}

// TestBPF: simple filters of tcpdump mean here what they mean there.
func TestBPF(t *testing.T) {
	const a, b, p22 = `(src.ip == "10.0.0.1" || dst.ip == "10.0.0.1")`, `(src.ip == "fe80::1" || dst.ip == "fe80::1")`, `((src.port == 22) || (dst.port == 22))`
	strip := strings.NewReplacer("(", "", ")", "").Replace
	for text, want := range map[string]string{
		"not port 22": "!" + p22,
		"not ((host 10.0.0.1 or host fe80::1%eth0) and port 22)": "!((" + a + "||" + b + ") && " + p22 + ")",
		"host 10.0.0.1 or fe80::1":                               a + " || " + b,
		"!(port 22)":                                             "!" + p22,
		"tcp port 22":                                            "tcp && " + p22,
		"udp":                                                    "udp",
		"net 10.0.0.0/8 && not tcp":                              `cidr("10.0.0.0/8").containsIP(src.ip) || cidr("10.0.0.0/8").containsIP(dst.ip) && !tcp`,
		"portrange 1-5":                                          "src.port >= 1 && src.port <= 5 || dst.port >= 1 && dst.port <= 5",
		"port 22 or host 10.0.0.1 and udp":                       "((" + p22 + "||" + a + ") && udp)",
	} {
		got, err := bpf(text)
		if blanks := strings.NewReplacer(" ", "").Replace; err != nil || blanks(strip(got)) != blanks(strip(want)) {
			t.Errorf("%s: %s %v, want %s", text, got, err, want)
		} else if err := newEnv(&sourcetest.Source{}).compile(got); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"", "port", "host", "port ssh", "host web", "net 10", "not", "(port 22", "port 22)", "port 22 and", "src port 80", "tcp[13] = 2", "or", "22", "port )", strings.Repeat("(", 100)} {
		if got, err := bpf(text); err == nil {
			t.Errorf("%q is taken for %s", text, got)
		}
	}
}
