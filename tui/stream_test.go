package tui_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/colorprofile"
	"github.com/sshark/sshark/tui"
	"github.com/sshark/sshark/tui/view"
)

// flowOfShop is a flow that every shop has.
const flowOfShop = "000a1b2c3d4e0"

// talked lets the flows of a shop say something worth to look at: HTTP with JSON, bytes that a
// terminal would obey, and gaps.
func talked(s *shop) {
	s.heard.said = []said{
		{data: "POST /cart/items HTTP/1.1\r\nHost: cart:8080\r\nContent-Type: application/json\r\n\r\n"},
		{data: `{"item":"Umbrella “Größe L”","count":2}`},
		{side: 1, data: "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 4011\r\n\r\n" + `{"id":17,"total":{"amount":3998,"currency":"EUR"},"ok":true}` + "\n"},
		{side: 1, gap: 1448},
		{side: 1, data: "…und weiter\ttab\x1b[2J\x1b]52;c;aGk=\x07\u202egnp\n"},
		{data: "GET /health HTTP/1.1\r\nHost: cart:8080\r\n\r\n"},
		{side: 1, gap: 0},
		{side: 1, data: "\x00\x01\x02\xff" + strings.Repeat("A", 40) + "\n"},
		{side: 1, data: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
	}
}

// showStream goes to the stream of a flow.
func showStream(op *operator, of tui.Ref) {
	if of.Stream == "" {
		of.Stream = flowOfShop
	}
	op.send(view.GoMsg{View: "stream", Of: of})
	op.wait(400 * time.Millisecond)
}

// TestStreamOfNothing: without a flow it says how to get to one.
func TestStreamOfNothing(t *testing.T) {
	sit(t, plain, 80, 24, talked, func(op *operator) {
		command(op, "stream")
		op.see("Which stream?", ":stream ID")
		for _, k := range []string{"y", "s", "/", "n", "enter", "C", "r", "c", "Y", "f", "R", ">"} {
			op.press(k)
			op.see("there is no stream to look at")
			op.checkScreen()
		}
	})
}

func TestStream(t *testing.T) {
	sit(t, plain, 120, 40, talked, func(op *operator) {
		showStream(op, tui.Ref{})
		op.see("shop/gateway", "→ POST /cart/items HTTP/1.1", "← HTTP/1.1 201 Created", "← [1,448 bytes are missing here]",
			"it is not known how many", "2 gaps", "text · both sides", "→ client, byte 0, ")
		op.seeNot("\x1b[2J")
		op.golden("stream", false)

		op.press("y")
		op.see("shown as hex", "00000000  50 4f 53 54", "hex · both sides")
		op.wait(5 * time.Second)
		op.golden("stream.hex", false)

		op.press("y")
		op.see(`"currency": "EUR"`, "→ POST /cart/items HTTP/1.1", `“Größe L”`)
		op.wait(5 * time.Second)
		op.golden("stream.json", false)

		op.press("y", "s")
		op.see("text · client", "→ GET /health")
		op.seeNot("← HTTP/1.1")
		op.press("s")
		op.see("text · server", "← HTTP/1.1 200 OK")
		op.seeNot("→ POST")
	})
}

func TestStreamSearch(t *testing.T) {
	sit(t, plain, 120, 40, talked, func(op *operator) {
		showStream(op, tui.Ref{})
		op.press("/")
		op.typed("http/1.1")
		op.press("enter")
		op.see("http/1.1: 1 of 4", "→ client, byte 17")
		op.press("n")
		op.see("2 of 4", "← server, byte 0")
		op.press("N", "N")
		op.see("4 of 4", "over the end")
		for typed, want := range map[string]string{
			"re:amount.:[0-9]+":  "of 1",
			"hex:00 01 02 ff 41": "of 1",
			"HTTP/1.1 2":         "of 2", // with an upper letter the case counts
		} {
			op.press("/")
			op.press("ctrl+u")
			op.typed(typed)
			op.press("enter")
			if l, _ := op.line(typed + ": "); !strings.Contains(l, want) {
				t.Errorf("%q: %s", typed, l)
			}
		}
		op.press("/", "ctrl+u")
		op.typed("not there")
		op.press("enter")
		op.see(`"not there" is not in what is shown`)
		op.press("/", "ctrl+u")
		op.typed("re:(")
		op.see("no regular expression")
		op.press("enter")
		op.see("no regular expression")
		op.press("esc")
		op.press("/", "ctrl+u")
		op.typed("hex:zz")
		op.see("these are no bytes")
		op.press("esc", "esc")
		op.seeNot("not there:")
		op.press("n")
		op.see("press / and type it")
		op.checkScreen()
	})
}

func TestStreamSearchAcrossPackets(t *testing.T) {
	sit(t, plain, 80, 24, func(s *shop) {
		s.heard.said = []said{{data: "look for the nee"}, {data: "dle here"}, {side: 1, data: "nee"}, {data: "dle"}}
	}, func(op *operator) {
		showStream(op, tui.Ref{})
		op.press("/")
		op.typed("needle")
		op.press("enter")
		op.see("needle: 1 of 1", "byte 13")
	})
}

func TestStreamLeadsOn(t *testing.T) {
	sit(t, plain, 120, 40, talked, func(op *operator) {
		showStream(op, tui.Ref{})
		op.press("j", "j", "j", "j", "C")
		if q := op.shop.asked(); len(q) == 0 || !strings.Contains(q[len(q)-1].Filter, `stream == "000a1b2c3d4e0"`) || q[len(q)-1].Until == 0 {
			t.Errorf("asked for calls %+v", q)
		}
		op.press("q")
		op.press("c")
		if !strings.HasPrefix(op.copied, "POST /cart/items HTTP/1.1\nHost") || !strings.HasSuffix(op.copied, `"count":2}`) {
			t.Errorf("copied %q", op.copied)
		}
		op.press("Y")
		if !strings.Contains(op.copied, "GET /health") {
			t.Errorf("copied %q", op.copied)
		}
		op.press("ctrl+s")
		op.see("scp CONSOLE:/streams/000a1b2c3d4e0.pcapng", ".client.bin")
	})
}

// TestStreamJump: the bytes of the time that was asked for are shown.
func TestStreamJump(t *testing.T) {
	sit(t, plain, 80, 24, func(s *shop) {
		for i := range 200 {
			s.heard.said = append(s.heard.said, said{side: 0, data: fmt.Sprintf("line %d\n", i)})
		}
	}, func(op *operator) {
		at := op.shop.start.Add(-time.Minute + 150*time.Millisecond).UnixNano()
		showStream(op, tui.Ref{Time: at, Stream: "000a1b2c3d4e0"})
		op.see("→ line 150", "→ client, byte 1,240")
		if l, y := op.line("line 150"); y != 2 {
			t.Errorf("it is in line %d: %s", y, l)
		}
	})
}

func TestStreamHasNothing(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(*shop)
		stream  string
		want    []string
	}{
		{"nothing said", func(*shop) {}, "", []string{"Nothing was said in this flow", "K  shows its packets"}},
		{"unknown", talked, "0000000000001", []string{"cannot be shown", "no such flow"}},
		{"refused", func(s *shop) {
			s.heard.refused = errors.New("anna may not see what was said: refused by policy: no rule allows it")
		}, "",
			[]string{"cannot be shown", "anna may not see what was said"}},
		{"panic", func(s *shop) { s.panics = "stream" }, "", []string{"internal error: stream (this is a bug)"}},
		{"failed half way", func(s *shop) { talked(s); s.report.Missing = []tui.Missing{{Node: "node-b", Why: "no route"}} }, "", []string{"no answer from node-b: no route", "POST /cart"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sit(t, plain, 80, 24, tt.prepare, func(op *operator) {
				showStream(op, tui.Ref{Stream: tt.stream})
				op.see(tt.want...)
				op.checkScreen()
				for _, k := range []string{"n", "enter", "C", "c", "Y", "y", "s", "G", "g", "g", "j", "k", ">", "<", "pgdown"} {
					op.press(k)
					op.checkScreen()
				}
			})
		})
	}
}

func TestStreamCancelled(t *testing.T) {
	sit(t, plain, 80, 24, func(s *shop) { talked(s); s.heard.hold = make(chan struct{}) }, func(op *operator) {
		showStream(op, tui.Ref{})
		op.see("reading …", "esc stops it", "POST /cart/items")
		op.press("esc")
		op.see("what was read is shown", "POST /cart/items")
		op.wait(time.Second)
		if op.shop.open != 1 { // that for the calls that come in
			t.Errorf("%d questions go on", op.shop.open)
		}
		op.press("R")
		close(op.shop.heard.hold)
		op.wait(time.Second)
		op.press("G")
		op.see("← ok", "as of")
	})
}

// TestStreamFollows: a flow that goes on is read again.
func TestStreamFollows(t *testing.T) {
	sit(t, plain, 80, 24, talked, func(op *operator) {
		showStream(op, tui.Ref{})
		op.press("f")
		op.see("▸ live")
		op.shop.heard.said = append(op.shop.heard.said, said{data: "GET /new HTTP/1.1\r\n"})
		op.wait(3 * time.Second)
		op.see("→ GET /new", "▸ live")
		op.press("esc")
		op.seeNot("▸ live")
	})
}

// TestStreamParts: a large stream is shown in parts, of which one is held.
func TestStreamParts(t *testing.T) {
	sit(t, plain, 80, 24, func(s *shop) {
		block := strings.Repeat(strings.Repeat("x", 79)+"\n", 800)
		for i := range 150 {
			s.heard.said = append(s.heard.said, said{data: fmt.Sprintf("block %d\n", i) + block})
		}
	}, func(op *operator) {
		showStream(op, tui.Ref{})
		op.wait(time.Second)
		op.see("part 1, > goes on", "block 0")
		op.press(">")
		op.wait(time.Second)
		op.see("part 2, > goes on", "bytes are in the parts before", "block 66")
		op.press(">")
		op.wait(time.Second)
		op.see("part 3")
		op.seeNot("goes on")
		op.press(">")
		op.see("no part behind this one")
		op.press("<", "<")
		op.wait(time.Second)
		op.see("block 0")
		op.press("<")
		op.see("first part")
	})
}

func TestStreamSizes(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}, {40, 10}, {300, 100}, {200, 50}} {
		sit(t, tui.Options{Profile: colorprofile.ANSI256}, size[0], size[1], talked, func(op *operator) {
			showStream(op, tui.Ref{})
			if size[0] == 80 {
				op.golden("stream", false)
			}
			op.press("/")
			op.typed("http")
			op.checkScreen()
			op.press("enter")
			for range 4 {
				op.press("y")
				op.checkScreen()
			}
			op.wait(5 * time.Second)
			if size[0] == 80 || size[0] == 120 {
				op.golden("stream.256", true)
			}
			if size[0] == 80 {
				op.golden("stream.search", false)
			}
		})
	}
}

// TestCallsLeadToBytes: from a call to what was said in it, and to its packets.
func TestCallsLeadToBytes(t *testing.T) {
	sit(t, plain, 120, 40, sent, func(op *operator) {
		op.press("F")
		op.wait(400 * time.Millisecond)
		op.see("calls › stream", "POST /cart/items")
		op.press("q", "K")
		op.wait(400 * time.Millisecond)
		op.see("calls › packets", "[SYN] seq 0")
	})
}
