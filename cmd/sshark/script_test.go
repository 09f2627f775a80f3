package main_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/pcapng"
)

// TestScripts runs the commands on files, as testdata/script tells. The captures that the
// scripts name are made by captures.
func TestScripts(t *testing.T) {
	path := program(t)
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", filepath.Dir(path)+string(os.PathListSeparator)+e.Getenv("PATH"))
			e.Setenv("TZ", "UTC")
			e.Setenv("SHOP", shop(t, "404 Not Found"))
			e.Setenv("CHANGED", shop(t, "200 OK"))
			for name, text := range captures(t) {
				if err := os.WriteFile(filepath.Join(e.WorkDir, name), text, 0o600); err != nil {
					return err
				}
			}
			return nil
		},
	})
}

// scriptTime is when the captures of the scripts begin: 2026-01-02T15:04:05Z.
const scriptTime = int64(1767366245e9)

// captures are the files of the scripts: three HTTP calls and a DNS call between two pods.
func captures(t *testing.T) map[string][]byte {
	t.Helper()
	client := netip.MustParseAddrPort("10.1.0.1:40000")
	server := netip.MustParseAddrPort("10.1.0.2:80")
	iface := &pcap.Interface{Name: "eth0", Link: pcap.LinkEthernet, Node: "node-a", Pod: pcap.Pod{Namespace: "shop", Name: "cart-0"},
		Addrs: []netip.Prefix{netip.PrefixFrom(server.Addr(), 24)}}
	c := conversation{client: client, server: server, at: scriptTime, iface: iface, seq: [2]uint32{1000, 2000}}
	c.tcp(0, 0x02, "")
	c.tcp(1, 0x12, "")
	c.tcp(0, 0x10, "")
	for n, answer := range []string{"200 OK", "404 Not Found", "500 Internal Server Error"} {
		c.tcp(0, 0x18, fmt.Sprintf("GET /item/%d HTTP/1.1\r\nHost: cart\r\n\r\n", n+1))
		c.tcp(1, 0x18, "HTTP/1.1 "+answer+"\r\nContent-Length: 2\r\n\r\nok")
	}
	c.tcp(0, 0x11, "")
	c.tcp(1, 0x11, "")
	c.tcp(0, 0x10, "")
	question := "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04cart\x04shop\x00\x00\x01\x00\x01"
	c.server = netip.AddrPortFrom(c.server.Addr(), 53)
	c.udp(0, question)
	c.udp(1, "\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00"+question[12:]+"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x01\x00\x02")

	var ng, classic bytes.Buffer
	w, err := pcapng.NewWriter(&ng, pcapng.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	old := pcapng.NewClassicWriter(&classic)
	for i := range c.packets {
		if err := w.Write(&c.packets[i]); err != nil {
			t.Fatal(err)
		}
		if err := old.Write(&c.packets[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := old.Flush(); err != nil {
		t.Fatal(err)
	}
	unknown := bytes.Clone(classic.Bytes())
	binary.LittleEndian.PutUint32(unknown[20:], 147) // LINKTYPE_USER0
	return map[string][]byte{
		"shop.pcapng":    ng.Bytes(),
		"shop.pcap":      classic.Bytes(),
		"cut.pcapng":     ng.Bytes()[:ng.Len()-30],
		"cut.pcap":       classic.Bytes()[:classic.Len()-30],
		"unknown.pcap":   unknown,
		"empty.pcap":     {},
		"text.pcap":      []byte("this is no capture\n"),
		"header.pcap":    classic.Bytes()[:24],
		"no-header.pcap": classic.Bytes()[:11],
	}
}

// conversation makes the packets of a client and a server, a millisecond apart.
type conversation struct {
	client, server netip.AddrPort
	at             int64
	iface          *pcap.Interface
	seq            [2]uint32
	packets        []pcap.Packet
}

func (c *conversation) ends(from int) (src, dst netip.AddrPort) {
	if from == 0 {
		return c.client, c.server
	}
	return c.server, c.client
}

func (c *conversation) tcp(from int, flags byte, payload string) {
	src, dst := c.ends(from)
	h := make([]byte, 20, 20+len(payload))
	binary.BigEndian.PutUint16(h, src.Port())
	binary.BigEndian.PutUint16(h[2:], dst.Port())
	binary.BigEndian.PutUint32(h[4:], c.seq[from])
	binary.BigEndian.PutUint32(h[8:], c.seq[1-from])
	h[12], h[13] = 5<<4, flags
	binary.BigEndian.PutUint16(h[14:], 0xffff)
	c.seq[from] += uint32(len(payload)) + uint32(flags&1) + uint32(flags>>1&1)
	c.ip(src, dst, 6, append(h, payload...))
}

func (c *conversation) udp(from int, payload string) {
	src, dst := c.ends(from)
	h := binary.BigEndian.AppendUint16(nil, src.Port())
	h = binary.BigEndian.AppendUint16(h, dst.Port())
	h = binary.BigEndian.AppendUint16(h, uint16(8+len(payload)))
	c.ip(src, dst, 17, append(append(h, 0, 0), payload...))
}

func (c *conversation) ip(src, dst netip.AddrPort, proto byte, payload []byte) {
	b := append(make([]byte, 12, 34+len(payload)), 8, 0, 0x45, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(20+len(payload)))
	b = append(b, 0, 0, 0, 0, 64, proto, 0, 0)
	b = append(append(b, src.Addr().AsSlice()...), dst.Addr().AsSlice()...)
	var sum uint32
	for i := 14; i < 34; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	binary.BigEndian.PutUint16(b[24:], ^uint16(sum+sum>>16))
	b = append(b, payload...)
	c.packets = append(c.packets, pcap.Packet{Time: c.at, Data: b, Length: uint32(len(b)), Iface: c.iface})
	c.at += 1e6
}
