package tui_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/colorprofile"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/tui"
)

// showFlows goes to the flows of what is looked at.
func showFlows(op *operator) {
	command(op, "flows")
	op.wait(400 * time.Millisecond)
}

// few lets a shop have so few calls that its flows fit on a screen.
func few(s *shop) { s.kept = 40; sent(s) }

func TestFlows(t *testing.T) {
	sit(t, plain, 120, 40, few, func(op *operator) {
		showFlows(op)
		op.see("all flows", "SOURCE", "DURATION", "shop/gateway", "203.0.113.7", "tcp http", "udp dns", "▸ live, as they end · last 15m")
		op.golden("flows", false)
		op.press("G", "g", "g", "j")
		op.see("▌ 23:59:52.8 shop/gateway")

		op.press("d")
		op.wait(400 * time.Millisecond)
		op.see("reset by the client (RST), 23:59:00.305", "SYN → SYN/ACK 200µs → ACK 100µs", "round trip 100µs (seen at the server)",
			"retransmissions                    1           0", "gaps                               0           1")
		op.golden("flows.detail", false)
		op.press(`\`)
		op.seeNot("SOURCE")
		op.press("esc", "esc")
		op.seeNot("round trip")

		op.press("=")
		op.see(`src.name == "gateway" && src.namespace == "shop"`)
		op.press("esc")
		op.press("q")

		showFlows(op)
		op.press("g", "g", "F")
		op.wait(300 * time.Millisecond)
		op.see("› stream", "POST /cart")
		op.press("q", "enter")
		op.wait(300 * time.Millisecond)
		op.see("› packets", "[SYN] seq 0")
		op.press("q", "C")
		if q := op.shop.asked(); !strings.HasPrefix(q[len(q)-1].Filter, `stream == "`) {
			t.Errorf("asked %+v", q[len(q)-1])
		}
	})
}

func TestFlowsSorted(t *testing.T) {
	sit(t, plain, 120, 40, few, func(op *operator) {
		showFlows(op)
		op.press("B")
		op.see("BYTES →↓", "sorted by bytes")
		op.press("B", "B")
		op.see("in the order of time")
		for _, k := range []string{"T", "S", "D", "P", "A", "E", "O", "U"} {
			op.press(k)
			op.checkScreen()
			op.see("sorted by")
			op.press(k, k)
		}
		op.press("G", "c")
		if !strings.Contains(op.copied, " packets  ") {
			t.Errorf("copied %q", op.copied)
		}
		op.press("g", "g", "j")
		for range 12 {
			op.press("h")
		}
		op.press("l", "l", "l", "=")
		op.see(`protocol == "http"`) // which the shop's language does not know: it is left to be edited
		op.press("esc", "l", "=")
		op.see(`flow_state == "closed"`)
		op.press("esc", "l", "=")
		op.see("shift-letter sorts by it")
	})
}

func TestFlowsEnd(t *testing.T) {
	const syn, ack, fin, rst = flow.SYN, flow.ACK, flow.FIN, flow.RST
	for _, tt := range []struct {
		name string
		sent [][]byte
		want []string
	}{
		{"closed", [][]byte{segment(true, syn, 1, 0, ""), segment(false, syn|ack, 1, 2, ""), segment(true, ack, 2, 2, ""), segment(false, fin|ack, 2, 2, ""), segment(true, fin|ack, 2, 3, ""), segment(true, rst, 3, 0, "")},
			[]string{"closed by both, the server first (FIN)"}},
		{"half closed", [][]byte{segment(true, ack, 2, 2, "x"), segment(true, fin|ack, 3, 2, "")}, []string{"the client sends no more (FIN)", "before the first packet that is kept"}},
		{"refused", [][]byte{segment(true, syn, 1, 0, ""), segment(false, rst|ack, 0, 2, "")}, []string{"refused: the server answered", "SYN, and no SYN/ACK"}},
		{"no answer", [][]byte{segment(true, syn, 1, 0, ""), segment(true, syn, 1, 0, "")}, []string{"no answer came to the opening"}},
		{"open", [][]byte{segment(true, ack, 2, 2, "x"), segment(false, ack, 2, 3, "y")}, []string{"still open, as far as it was seen"}},
		{"reset", [][]byte{segment(true, syn, 1, 0, ""), segment(false, syn|ack, 1, 2, ""), segment(true, ack, 2, 2, ""), segment(false, rst, 2, 2, "")}, []string{"reset by the server (RST)"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sit(t, plain, 80, 24, func(s *shop) {
				s.kept = 40
				for i, b := range tt.sent {
					s.heard.packets = append(s.heard.packets, pcap.Packet{Time: s.start.UnixNano() + int64(i)*1e6, Data: b, Length: uint32(len(b)), Iface: device})
				}
			}, func(op *operator) {
				showFlows(op)
				op.press("g", "g", "j", "d")
				op.wait(400 * time.Millisecond)
				op.see(tt.want...)
				op.checkScreen()
			})
		})
	}
}

func TestFlowsHaveNothing(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(*shop)
		want    []string
	}{
		{"none", func(s *shop) { s.kept = 0 }, []string{"There is no flow in this window.", "w  for another window"}},
		{"panic", func(s *shop) { s.panics = "flows" }, []string{"internal error: flows (this is a bug)"}},
		{"failed", func(s *shop) { s.fail = errors.New("the hub is gone") }, []string{"The question failed.", "the hub is gone"}},
		{"missing node", func(s *shop) { s.report.Missing = []tui.Missing{{Node: "node-b", Why: "no route"}} }, []string{"no answer from node-b: no route"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sit(t, plain, 80, 24, tt.prepare, func(op *operator) {
				showFlows(op)
				op.see(tt.want...)
				for _, k := range []string{"enter", "d", "F", "C", "=", "!", "c", "B", "f", "G", "g", "g", "j", `\`} {
					op.press(k)
					op.checkScreen()
				}
			})
		})
	}
}

// TestFlowsRefused: who may see flows, and not their packets, is told so where they would be.
func TestFlowsRefused(t *testing.T) {
	sit(t, plain, 80, 24, func(s *shop) {
		s.kept = 40
		s.heard.refused = errors.New("anna may not export packets: refused by policy: no rule allows it")
	}, func(op *operator) {
		showFlows(op)
		op.press("d")
		op.wait(400 * time.Millisecond)
		op.see("anna may not export packets", "SOURCE")
	})
}

func TestFlowsFilter(t *testing.T) {
	sit(t, plain, 80, 24, few, func(op *operator) {
		showFlows(op)
		op.press("/")
		op.typed(`method == "BREW"`)
		op.press("enter")
		op.wait(400 * time.Millisecond)
		op.see("The filter matches no flow.", "esc  to see all flows")
		op.press("esc")
		op.wait(400 * time.Millisecond)
		op.see("shop/gateway")
	})
}

func TestFlowsSizes(t *testing.T) {
	hostile := func(s *shop) {
		few(s)
		s.heard.hostile = true
	}
	for _, size := range [][2]int{{80, 24}, {120, 40}, {40, 10}, {300, 100}} {
		sit(t, tui.Options{Profile: colorprofile.ANSI256}, size[0], size[1], hostile, func(op *operator) {
			showFlows(op)
			op.checkScreen()
			op.press("g", "g", "d")
			op.wait(400 * time.Millisecond)
			op.checkScreen()
			if size[0] == 80 || size[0] == 120 {
				op.golden("flows.256", true)
			}
			if size[0] == 80 {
				op.golden("flows", false)
			}
			op.press(`\`)
			op.checkScreen()
		})
	}
}
