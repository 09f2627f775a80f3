package tui_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/colorprofile"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/tui"
	"github.com/sshark/sshark/tui/view"
)

// device is where the packets of a shop were seen.
var device = &pcap.Interface{Name: "eth0", Link: pcap.LinkEthernet, Node: "node-a", Pod: pcap.Pod{Namespace: "shop", Name: "catalog-5f6d8c9b7-9k2lm"}}

// segment is an Ethernet frame with a TCP segment between the gateway and the catalog.
func segment(fromClient bool, flags uint8, seq, ack uint32, payload string) []byte {
	b := make([]byte, 14+20+20, 14+20+20+len(payload))
	copy(b, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0})
	ip, tcp := b[14:34], b[34:54]
	ip[0], ip[8], ip[9] = 0x45, 64, 6
	binary.BigEndian.PutUint16(ip[2:], uint16(40+len(payload)))
	client, server := gateway.Addr, catalog.Addr
	if !fromClient {
		client, server = server, client
	}
	copy(ip[12:], client.Addr().AsSlice())
	copy(ip[16:], server.Addr().AsSlice())
	binary.BigEndian.PutUint16(tcp, client.Port())
	binary.BigEndian.PutUint16(tcp[2:], server.Port())
	binary.BigEndian.PutUint32(tcp[4:], seq)
	binary.BigEndian.PutUint32(tcp[8:], ack)
	tcp[12], tcp[13] = 0x50, flags
	binary.BigEndian.PutUint16(tcp[14:], 502)
	return append(b, payload...)
}

// sent lets the flows of a shop have packets: an opening, a request that is sent twice, an answer
// of which a part is missing, and a reset.
func sent(s *shop) {
	talked(s)
	const syn, ack, psh, rst = flow.SYN, flow.ACK, flow.PSH, flow.RST
	request := "GET /api/products/1 HTTP/1.1\r\nHost: catalog:8080\r\n\r\n"
	n := uint32(len(request))
	at := s.start.Add(-time.Minute).UnixNano()
	add := func(after time.Duration, b []byte) {
		at += int64(after)
		s.heard.packets = append(s.heard.packets, pcap.Packet{Time: at, Data: b, Length: uint32(len(b)), Iface: device, Flags: pcap.FlagInbound})
	}
	add(0, segment(true, syn, 1000, 0, ""))
	add(200*time.Microsecond, segment(false, syn|ack, 5000, 1001, ""))
	add(100*time.Microsecond, segment(true, ack, 1001, 5001, ""))
	add(time.Millisecond, segment(true, psh|ack, 1001, 5001, request))
	add(300*time.Millisecond, segment(true, psh|ack, 1001, 5001, request))
	add(time.Millisecond, segment(false, ack, 5001, 1001+n, ""))
	add(time.Millisecond, segment(false, psh|ack, 5001, 1001+n, "HTTP/1.1 200 OK\r\nX: \x1b]0;owned\x07\r\n"))
	add(time.Millisecond, segment(false, psh|ack, 6501, 1001+n, "…tail"))
	add(time.Millisecond, segment(true, rst, 1001+n, 0, ""))
	s.heard.packets = append(s.heard.packets,
		pcap.Packet{Time: at + 1e6, Data: []byte{1, 2, 3}, Length: 90, Iface: device},
		pcap.Packet{Time: at + 2e6, Data: segment(true, ack, 1, 1, "x")[:40], Length: 1400, Iface: device, Drops: 12})
}

// showPackets goes to the packets of a flow.
func showPackets(op *operator, of tui.Ref) {
	if of.Stream == "" {
		of.Stream = flowOfShop
	}
	op.send(view.GoMsg{View: "packets", Of: of})
	op.wait(400 * time.Millisecond)
}

func TestPackets(t *testing.T) {
	sit(t, plain, 120, 40, sent, func(op *operator) {
		showPackets(op, tui.Ref{})
		op.see("[SYN] seq 0", "[SYN ACK] seq 0 ack 1", "retransmission · [PSH ACK] seq 1 ack 1", "gap before it", "12 lost before",
			"Ethernet  02:00:00:00:00:02", "IPv4  10.0.1.4 → 10.0.1.7", "seen at shop/catalog", "marked, 11 packets")
		op.golden("packets", false)
		op.press("n")
		op.see("packet 5: retransmission")
		op.press("n")
		op.see("packet 8: gap before it")
		op.press("n")
		op.see("no packet behind this one has a mark")

		op.press("enter", "j", "j", "enter")
		op.see("▾ IPv4", "total length  47", "protocol  TCP (6)")
		op.press("j", "c")
		if !strings.HasPrefix(op.copied, "header length: 20") {
			t.Errorf("copied %q", op.copied)
		}
		op.golden("packets.layers", false)
		op.press("h")
		op.see("▸ IPv4")
		op.press("c")
		if !strings.HasPrefix(op.copied, "4500002f") {
			t.Errorf("copied %q", op.copied)
		}
		op.press("z")
		op.see("▾ Frame", "pod  shop/catalog")
		op.press("z")
		op.seeNot("pod  shop/catalog")
		op.press(`\`)
		op.seeNot("[SYN]")
		op.press("esc", "esc")
		op.see("[SYN]")
		op.press("F")
		op.wait(300 * time.Millisecond)
		op.see("› stream", "POST /cart/items")
	})
}

// TestPacketsOfAScope: without a flow they are the newest of what is looked at.
func TestPacketsOfAScope(t *testing.T) {
	sit(t, plain, 80, 24, sent, func(op *operator) {
		command(op, "packets")
		op.wait(400 * time.Millisecond)
		op.see("all packets", "11 packets", "[SYN]", "10.0.1.4:41822")
		op.press("G", "k", "F")
		op.see("this packet is of no flow: no addresses were found in it")
		op.press("/")
		op.typed(`method == "BREW"`)
		op.press("enter")
		op.wait(400 * time.Millisecond)
		op.see("The filter matches no packet", `method == "BREW"`)
		op.press("esc")
		op.wait(400 * time.Millisecond)
		op.see("[SYN]")
	})
}

// TestPacketsOfAScopeHaveFlows: from a packet of a scope one gets to its flow, in either direction.
func TestPacketsOfAScopeHaveFlows(t *testing.T) {
	sit(t, plain, 120, 40, func(s *shop) {
		sent(s)
		for i := range s.heard.packets {
			s.heard.packets[i].Time = s.at(s.kept-1) + int64(i)*1000 // an HTTP call between the gateway and the catalog
		}
	}, func(op *operator) {
		command(op, "packets")
		op.wait(400 * time.Millisecond)
		op.press("g", "g", "j", "F") // of the server
		op.wait(400 * time.Millisecond)
		op.see("› packets › stream", "POST /cart/items")
		op.press("q", "K")
		op.wait(400 * time.Millisecond)
		op.see("› packets › packets", "shop/gateway")
		op.press("K")
		op.see("these are the packets of one flow already")
		op.press("q", "C")
		op.wait(400 * time.Millisecond)
		op.see("› packets › calls", "stream == ")
		op.press("q")
		op.shop.kept = 0
		op.press("F")
		op.see("no flow is kept any more that this packet is of")
		op.shop.fail = errors.New("no node answers")
		op.press("F")
		op.see("its flow cannot be found: no node answers")
	})
}

// TestPacketsJump: the packet of a time is selected, in the part of the flow that has it.
func TestPacketsJump(t *testing.T) {
	sit(t, plain, 80, 24, func(s *shop) {
		for i := range 5000 {
			b := segment(true, flow.ACK, uint32(1000+10*i), 1, fmt.Sprintf("%010d", i))
			s.heard.packets = append(s.heard.packets, pcap.Packet{Time: s.start.Add(time.Duration(i) * time.Millisecond).UnixNano(), Data: b, Length: uint32(len(b)), Iface: device})
		}
	}, func(op *operator) {
		showPackets(op, tui.Ref{Stream: flowOfShop, Time: op.shop.start.Add(2500 * time.Millisecond).UnixNano()})
		op.see("packet 2,501", "packets 2,001 – 4,000, > goes on")
		op.press(">")
		op.wait(400 * time.Millisecond)
		op.see("packets 4,001 – 5,000")
		op.press(">")
		op.see("no packets behind these")
		op.press("<")
		op.wait(400 * time.Millisecond)
		op.press("<")
		op.wait(400 * time.Millisecond)
		op.see("packets 1 – 2,000, > goes on")
		op.press("<")
		op.see("no packets before these")
	})
}

func TestPacketsHasNothing(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(*shop)
		want    []string
	}{
		{"nothing kept", func(*shop) {}, []string{"No packet is kept of this flow"}},
		{"refused", func(s *shop) {
			s.heard.refused = errors.New("anna may not export packets: refused by policy: no rule allows it")
		},
			[]string{"The packets cannot be shown", "anna may not export packets"}},
		{"panic", func(s *shop) { s.panics = "packets" }, []string{"internal error: packets (this is a bug)"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sit(t, plain, 80, 24, tt.prepare, func(op *operator) {
				showPackets(op, tui.Ref{})
				op.see(tt.want...)
				for _, k := range []string{"n", "N", "enter", "tab", "space", "z", "C", "c", "G", "g", "g", "j", "k", ">", "<", `\`, "/", "w", "pgdown"} {
					op.press(k)
					op.checkScreen()
				}
			})
		})
	}
}

func TestPacketsCancelled(t *testing.T) {
	sit(t, plain, 80, 24, func(s *shop) { sent(s); s.heard.hold = make(chan struct{}) }, func(op *operator) {
		showPackets(op, tui.Ref{})
		op.see("reading …, esc stops it", "[SYN]")
		op.press("esc")
		op.see("what was read is shown", "[SYN]", "10 packets")
	})
}

func TestPacketsSizes(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}, {40, 10}, {300, 100}} {
		sit(t, tui.Options{Profile: colorprofile.ANSI256}, size[0], size[1], sent, func(op *operator) {
			showPackets(op, tui.Ref{})
			for range 11 {
				op.press("j", "z")
				op.checkScreen()
				op.press("tab", "j", "j", "j", "l", "G")
				op.checkScreen()
				op.press(`\`)
				op.checkScreen()
				op.press(`\`, "tab")
			}
			op.press("g", "g", "z", "z")
			if size[0] == 80 || size[0] == 120 {
				op.golden("packets.256", true)
			}
			if size[0] == 80 {
				op.golden("packets", false)
			}
		})
	}
}
