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
	const line = `tcpdump -U -i any -w - -c 3 'not ((host 10.0.0.1 or host fe80::1%eth0) and port 22)'`
	if r := runLine(t, newEnv(&sourcetest.Source{Kept: 8}), line); r.status != 0 || r.stderr != "" {
		t.Errorf("%d %s", r.status, r.stderr)
	}
	got, ok := ownTraffic("not ((host 10.0.0.1 or host fe80::1%eth0) and port 22)")
	want := `!(((src.ip == "10.0.0.1" || dst.ip == "10.0.0.1") || (src.ip == "fe80::1" || dst.ip == "fe80::1")) && ((src.port == 22) || (dst.port == 22)))`
	if strip := func(s string) string { return strings.NewReplacer("(", "", ")", "").Replace(s) }; !ok || strip(got) != strip(want) {
		t.Errorf("%s", got)
	}
	r := runLine(t, newEnv(&sourcetest.Source{Kept: 8}), "tcpdump -U -i any -w - 'port 80 and host 10.0.0.1'")
	if r.status != ExitUsage || !strings.Contains(r.stderr, "not those of tcpdump") || !strings.Contains(r.stderr, "column") {
		t.Errorf("%d %s", r.status, r.stderr)
	}
}
