package tui_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/tui"
)

func TestFilterIsAppliedAndLeft(t *testing.T) {
	sit(t, plain, 80, 24, nil, func(op *operator) {
		op.see("/ all calls", "4,000 calls", "20.7k pkt/s", "0 drops/s", "2 nodes")
		op.press("/")
		op.typed("status_code >= 500")
		op.see("status_code >= 500", "✓")
		op.press("enter")
		op.wait(200 * time.Millisecond)
		op.see("/ status_code >= 500", "98 calls", "503")
		op.seeNot("POST /cart/items")
		queries := op.shop.asked()
		history, live := queries[len(queries)-2], queries[len(queries)-1]
		if history.Follow {
			history, live = live, history
		}
		if history.Filter != "status_code >= 500" || history.Last != 10_000 || history.Follow || history.Until-history.Since != int64(15*time.Minute) {
			t.Errorf("asked for what is kept: %+v", history)
		}
		if live.Filter != "status_code >= 500" || !live.Follow || live.Last != 0 || live.Since != history.Until {
			t.Errorf("asked for what comes in: %+v", live)
		}
		op.press("esc")
		op.wait(200 * time.Millisecond)
		op.see("/ all calls", "calls")
	})
}

func TestFilterWithTypoIsRefused(t *testing.T) {
	sit(t, plain, 80, 24, nil, func(op *operator) {
		op.press("/")
		op.typed("http && statuscode >= 500")
		op.see("✗", `undeclared reference to "statuscode >= 500"`, "| ........^")
		op.press("enter")
		op.see("this filter is wrong where the caret stands")
		op.press("esc")
		op.see("/ all calls")
		if n := len(op.shop.asked()); n != 2 {
			t.Errorf("%d queries, want the first two only", n)
		}
	})
}

func TestFilterCompletesFieldNames(t *testing.T) {
	sit(t, plain, 80, 24, nil, func(op *operator) {
		op.press("/")
		op.typed("http && src.n")
		op.see("src.name", "best name of the client", "src.namespace")
		op.press("down", "down", "enter")
		op.see("/ http && src.namespace")
		op.press("ctrl+u")
		op.typed("stat")
		op.press("tab")
		op.typed(" == 404")
		op.press("enter")
		op.wait(200 * time.Millisecond)
		op.see("/ status_code == 404", "135 calls")
		op.press("/", "ctrl+u")
		op.press("enter", "/", "up")
		op.see("status_code == 404")
	})
}

// Keys that come faster than answers complete what stands there, not what was asked about before.
func TestTypedAhead(t *testing.T) {
	sit(t, plain, 80, 24, nil, func(op *operator) {
		op.ahead("/", "http && stat", "tab", " == 404", "enter")
		op.wait(200 * time.Millisecond)
		op.see("/ http && status_code == 404")
		op.ahead(":", "calls http && stat", "tab", " == 500", "enter")
		op.wait(200 * time.Millisecond)
		op.see("/ http && status_code == 500")
	})
}

func TestFilterMayBeAcceptedBeforeItIsJudged(t *testing.T) {
	sit(t, plain, 80, 24, nil, func(op *operator) {
		op.press("/")
		op.tell(tea.PasteMsg{Content: "dns\n"})
		op.tell(tea.KeyPressMsg{Code: tea.KeyEnter})
		op.wait(200 * time.Millisecond)
		op.see("/ dns", "752 calls")
	})
}

func TestCellIsAppliedAsFilter(t *testing.T) {
	sit(t, plain, 120, 40, nil, func(op *operator) {
		op.press("k", "k") // a DNS call
		op.press("h")      // its protocol
		op.press("!")
		op.wait(200 * time.Millisecond)
		op.see(`/ !(protocol == "dns")`)
		op.seeNot("NOERROR")
		op.press("esc")
		op.wait(200 * time.Millisecond)
		op.press("l", "l") // the status
		op.press("/")
		op.typed("dns")
		op.press("enter")
		op.wait(200 * time.Millisecond)
		op.press("=")
		op.see("no one field holds this status")
	})
}

func TestErrorsOnly(t *testing.T) {
	sit(t, plain, 80, 24, nil, func(op *operator) {
		op.press("ctrl+z")
		op.wait(200 * time.Millisecond)
		op.see("errors only", "NXDOMA")
		op.seeNot("POST /cart/items", "NOERROR")
		op.press("ctrl+z")
		op.wait(200 * time.Millisecond)
		op.see("4,000 calls")
	})
}

func (op *operator) call(i int) {
	op.shop.live <- made(i, time.Now().UnixNano())
	op.wait(200 * time.Millisecond)
}

func TestFollowAndPause(t *testing.T) {
	sit(t, plain, 120, 30, func(s *shop) { s.kept = 50 }, func(op *operator) {
		op.see("▸ live · last 15m", "50 calls")
		op.call(50)
		op.see("51 calls")
		if l, _ := op.line("▌"); !strings.Contains(l, "/api/products/50") {
			t.Errorf("the newest call is not selected: %q", l)
		}
		op.press("p")
		op.call(54)
		op.see("‖ paused, 1 new", "51 calls")
		op.press("p")
		op.see("52 calls")
		op.seeNot("paused")
		op.press("k")
		before, _ := op.line("▌")
		op.call(55)
		op.see("53 calls")
		if l, _ := op.line("▌"); l != before {
			t.Errorf("the selected row moved from %q to %q", before, l)
		}
		op.press("G")
		op.see("▸ live")
		op.press("f")
		op.seeNot("▸ live")
	})
}

func TestDetails(t *testing.T) {
	sit(t, plain, 120, 70, nil, func(op *operator) {
		op.press("k")
		for range 8 {
			if l, _ := op.line("▌"); strings.Contains(l, "/api/products") && strings.Contains(l, "200") {
				break
			}
			op.press("k")
		}
		op.press("enter")
		op.see("Request", "Response body", "application/json, 96 B, gzip opened", "wait", "Umbrella", "pod gateway-7d9c5b6f4-x2x7k")
		op.press("tab", "tab")
		for range 80 {
			if l, _ := op.line("user-agent"); l != "" {
				break
			}
			op.press("j")
		}
		op.see("user-agent")
		op.press("G", "c", "c")
		if !strings.Contains(op.copied, `"price":{"amount":1999`) {
			t.Errorf("copied %q, want the body", op.copied)
		}
		op.press("y")
		op.see("body: as sent")
		op.press("y", "G")
		op.see("000000  ", "7b 22 69 64")
		op.press("n")
		op.wait(300 * time.Millisecond)
		op.press(`\`)
		op.seeNot("SOURCE")
		op.press("esc")
		op.see("SOURCE", "status")
		op.press("esc")
		op.seeNot("seen on")
	})
}

func TestFieldIsAppliedAsFilter(t *testing.T) {
	sit(t, plain, 120, 40, func(s *shop) { s.kept = 4 }, func(op *operator) {
		op.press("gg"[:1], "g", "enter")
		for range 40 {
			op.press("j")
			if strings.Contains(op.screen(), "status_code") {
				break
			}
		}
		for range 40 {
			op.press("=")
			op.settle()
			if l, _ := op.line("/ "); strings.Contains(l, "status_code ==") {
				return
			}
			if strings.Contains(op.screen(), "✗") { // a field that the shop does not know
				op.press("esc")
			}
			op.press("j")
		}
		t.Errorf("status_code was never applied:\n%s", op.screen())
	})
}

func TestWindow(t *testing.T) {
	sit(t, plain, 80, 24, nil, func(op *operator) {
		op.press("w")
		op.see("the last 5 minutes")
		op.typed("5m")
		op.press("enter")
		op.wait(200 * time.Millisecond)
		op.see("last 5m", "1,499 calls")
		op.press("w", "down", "down", "down", "enter")
		op.wait(200 * time.Millisecond)
		op.see("last 15m")
		op.press("w")
		op.typed("25:99")
		op.see("✗", `"25:99" is no window`)
		op.press("esc", "w")
		op.typed("23:50-23:52")
		op.press("enter")
		op.wait(200 * time.Millisecond)
		op.see("23:50:00 – 23:52:00", "600 calls")
		op.press("f")
		op.see("this window has an end")
		op.press("esc", "esc")
		op.wait(200 * time.Millisecond)
		op.see("last 5m")
	})
}

func TestMouse(t *testing.T) {
	sit(t, plain, 80, 24, nil, func(op *operator) {
		op.click(12, 10)
		l, _ := op.line("▌")
		if strings.Split(op.screen(), "\n")[10] != l {
			t.Errorf("row 10 is not selected:\n%s", op.screen())
		}
		op.click(12, 10)
		op.wait(300 * time.Millisecond)
		op.see("seen on node-a")
		op.press("esc")
		op.click(75, 6) // the title of latency
		op.see("sorted by latency", "2.3")
		op.send(tea.MouseWheelMsg{X: 20, Y: 12, Button: tea.MouseWheelDown})
		op.press("f")

		// Drag over the chart: a window with an end.
		op.send(tea.MouseClickMsg{X: 40, Y: 2, Button: tea.MouseLeft})
		op.send(tea.MouseMotionMsg{X: 50, Y: 2, Button: tea.MouseLeft})
		op.checkScreen()
		op.send(tea.MouseReleaseMsg{X: 50, Y: 2, Button: tea.MouseLeft})
		op.wait(200 * time.Millisecond)
		op.see(" – ")
		op.press("esc")
		op.wait(200 * time.Millisecond)
		op.see("last 15m")
		op.click(20, 5)
		op.typed("dns")
		op.see("/ dns")
		op.press("esc", "M")
		if m := op.model.View().MouseMode; m != tea.MouseModeNone {
			t.Errorf("M leaves the mouse mode at %v", m)
		}
	})
}

func TestCopyIsOSC52(t *testing.T) {
	sit(t, plain, 80, 24, nil, func(op *operator) {
		op.press("k", "c", "c")
		if !strings.Contains(op.copied, "shop/") || strings.Contains(op.copied, "\n") {
			t.Errorf("copied %q, want the line of a call", op.copied)
		}
		op.press("k", "k", "k", "space", "space", "c")
		op.see("copy as", "as calls -o json prints it")
		op.press("enter")
		op.see("copied 2 marked calls", "2 marked")
		if n := strings.Count(op.copied, "\n"); n != 2 {
			t.Errorf("copied %q, want two lines", op.copied)
		}
	})
}

func TestCommands(t *testing.T) {
	sit(t, plain, 80, 24, nil, func(op *operator) {
		op.press(":")
		op.see("how each node is")
		op.typed("no")
		op.press("tab", "enter")
		op.see("NODE", "node-b", "Nothing is wrong here.")
		op.press("-")
		op.see("SOURCE")
		op.press(":")
		op.typed("calls dns")
		op.press("enter")
		op.wait(200 * time.Millisecond)
		op.see("/ dns", "752 calls")
		op.press(":")
		op.typed("mpa")
		op.press("enter")
		op.see("there is no command mpa")
		op.press(":")
		op.typed("q")
		op.press("enter")
		if !op.left {
			t.Error(":q did not quit")
		}
	})
}

func TestQuitIsCloseFirst(t *testing.T) {
	sit(t, plain, 80, 24, nil, func(op *operator) {
		op.press("enter", "q")
		if op.left {
			t.Fatal("q quit where it should close the details")
		}
		op.press("q")
		if !op.left {
			t.Error("q did not quit")
		}
	})
}

func TestHelpShowsTheKeyMaps(t *testing.T) {
	sit(t, plain, 160, 60, nil, func(op *operator) {
		op.press("?")
		op.see("Everywhere", "Calls", "Move", "Details", "While typing", "Mouse", "errors only", "ctrl-z", "form of the body", "shift-drag")
		op.resize(80, 24)
		op.seeNot("shift-drag")
		op.press("pgdown", "pgdown", "pgdown")
		op.see("shift-drag")
		op.press("esc")
		op.seeNot("shift-drag")
	})
}

func TestEmptyScreensSayWhy(t *testing.T) {
	for _, c := range []struct {
		name    string
		o       tui.Options
		prepare func(*shop)
		want    []string
	}{
		{"no match", tui.Options{Filter: `method == "BREW"`}, nil, []string{"The filter matches none of 4,000 calls.", "/  to change the filter"}},
		{"no pods", tui.Options{}, func(s *shop) {
			s.kept, s.oldest = 0, 0
			s.nodes = []tui.Node{{Name: "node-a", State: "capturing"}}
		}, []string{"No pod is captured.", ":nodes"}},
		{"no node", tui.Options{}, func(s *shop) { s.kept, s.nodes = 0, nil }, []string{"There is no node.", "no node"}},
		{"old window", tui.Options{Window: &tui.Window{Since: 946598400e9, Until: 946602000e9}}, nil,
			[]string{"This window is older than the oldest packet kept.", "1999-12-31 22:00:00 on node-a", "w  for another window"}},
		{"capture stopped", tui.Options{}, func(s *shop) {
			s.kept = 0
			for i := range s.nodes {
				s.nodes[i].Newest = s.start.Add(-time.Hour).UnixNano()
			}
		}, []string{"No packet came in within this window.", "1999-12-31 23:00:00"}},
		{"no calls", tui.Options{}, func(s *shop) { s.kept = 0 }, []string{"There is no call in this window.", "20.7k packets come in each second"}},
		{"missing", tui.Options{}, func(s *shop) {
			s.kept = 0
			s.report.Missing = []tui.Missing{{Node: "node-a", Why: "connection refused"}, {Node: "node-b", Why: "no route"}}
		}, []string{"No node answered.", "node-a: connection refused", "node-b: no route"}},
		{"failed", tui.Options{}, func(s *shop) { s.fail = errors.New("permission denied: namespace shop") },
			[]string{"The question failed.", "permission denied: namespace shop"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Profile = colorprofile.ASCII
			sit(t, c.o, 80, 24, c.prepare, func(op *operator) {
				op.wait(200 * time.Millisecond)
				op.see(c.want...)
				op.checkScreen()
			})
		})
	}
}

func TestLossesAreAlwaysInSight(t *testing.T) {
	sit(t, plain, 80, 24, func(s *shop) {
		s.nodes[0].DropRate, s.nodes[0].Dropped, s.nodes[0].State, s.nodes[0].Problem = 12, 3402, "degraded", "the ring is full"
		s.nodes[1].State = "gone"
		s.report.Missing = []tui.Missing{{Node: "node-b", Why: "connection refused"}}
	}, func(op *operator) {
		for _, keys := range [][]string{{}, {"enter"}, {`\`}, {"esc", "esc", ":", "n", "o", "enter"}} {
			op.press(keys...)
			op.see("12 drops/s", "3.4k lost", "1 of 2 nodes gone")
		}
		op.see("the ring is full", "3,402")
		op.press("esc")
		op.see("no answer from node-b: connection refused")
	})
}

// hostileCall has in every place what a terminal must not see.
func hostileCall(at int64) *dissect.Call {
	const evil = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\u202eevil\u0301\u0301\u0301\u0301\u200b\r\n\x9b31m\xff商品👩\u200d💻"
	c := made(0, at)
	end := dissect.Endpoint{Addr: gateway.Addr, Identity: &dissect.Identity{Namespace: evil, Pod: evil, Service: evil, Node: evil, DNS: evil, Workload: evil}}
	f := *c.Flow
	f.Client, f.Server, f.Node = end, end, evil
	c.Flow = &f
	c.Message = &message{summary: evil, status: evil, fields: fmt.Sprintf(`,"method":%q,"request.headers":{%q:%q}`, "\u202ex", "k\u200b", "v\u202e") + "",
		bodies: [2]*dissect.Body{{Type: evil, Data: []byte("text\x1b[31m\u202e\nline two " + strings.Repeat("and on ", 40)), Size: 400},
			{Type: evil, Encoding: evil, Data: []byte("{\"a\u202e\": \"\x1b[31m\", \"n\": [1, 2, {}, []"), Err: errors.New(evil), Size: 9}}}
	return c
}

func TestHostileTextNeverReachesTheTerminal(t *testing.T) {
	sit(t, tui.Options{Profile: colorprofile.ANSI256, User: "an\x1bna", Host: "pr\u202eod"}, 120, 40, func(s *shop) {
		s.kept = 3
		s.extra = []*dissect.Call{hostileCall(s.start.Add(-time.Millisecond).UnixNano())}
		s.nodes[0].Name, s.nodes[0].Problem = "\x1b[31mnode", "\x1b]0;title\x07"
		s.report.Notes = []string{"segment \x1b[2J broken"}
	}, func(op *operator) {
		op.checkScreen()
		op.see(`\x1b]52;c;`)
		op.press("enter")
		op.wait(200 * time.Millisecond)
		for range 3 {
			for range 30 {
				op.checkScreen()
				op.press("j")
			}
			op.press("c", "y", "g", "g")
		}
		if strings.ContainsAny(op.copied, "\x1b\x07") {
			t.Errorf("copied %q", op.copied)
		}
		op.press("esc", "k", "j", "=")
		op.checkScreen()
		op.press("esc", ":")
		op.typed("nodes")
		op.press("enter")
		op.checkScreen()
		if title := op.model.View().WindowTitle; strings.ContainsAny(title, "\x1b\u202e") {
			t.Errorf("window title %q", title)
		}
	})
}

func TestPanicsEndNothing(t *testing.T) {
	for _, where := range []string{"calls", "detail", "nodes", "check"} {
		t.Run(where, func(t *testing.T) {
			sit(t, plain, 80, 24, func(s *shop) { s.panics = where }, func(op *operator) {
				op.press("enter")
				op.wait(200 * time.Millisecond)
				switch where {
				case "check":
					op.press("/")
					op.typed("dns")
				case "nodes":
					op.see("nodes do not answer")
					op.press("esc", ":")
					op.typed("nodes")
					op.press("enter")
				}
				op.see("internal error: " + where)
			})
		})
	}
}

func TestEverySizeIsFilled(t *testing.T) {
	sit(t, plain, 80, 24, nil, func(op *operator) {
		steps := []struct {
			name string
			do   func()
		}{
			{"list", func() {}},
			{"details", func() { op.press("k", "enter"); op.wait(100 * time.Millisecond) }},
			{"maximised", func() { op.press(`\`) }},
			{"filter", func() { op.press("esc", "esc", "/"); op.typed("http && s") }},
			{"window", func() { op.press("esc", "w") }},
			{"help", func() { op.press("esc", "?") }},
			{"command", func() { op.press("esc", ":") }},
			{"nodes", func() { op.typed("nodes"); op.press("enter") }},
		}
		for _, s := range steps {
			s.do()
			for _, size := range [][2]int{{80, 24}, {40, 10}, {41, 13}, {79, 25}, {100, 30}, {149, 34}, {150, 33}, {250, 70}} {
				op.resize(size[0], size[1])
				op.checkScreen()
				if t.Failed() {
					t.Fatalf("%s at %v:\n%s", s.name, size, op.screen())
				}
			}
		}
		op.resize(20, 5)
		op.see("sshark needs 80x24")
	})
}

func TestNothingIsAskedBeforeItRuns(t *testing.T) {
	s := newShop(time.Now, 10, time.Second)
	m := tui.New(tui.Options{Backend: s})
	if m.Init() == nil || m.View().Content == "" {
		t.Error("no screen")
	}
	if n := len(s.asked()); n != 0 {
		t.Errorf("%d queries were asked by New, Init and View", n)
	}
}

func TestGoldens(t *testing.T) {
	look := tui.Options{Profile: colorprofile.ANSI256}
	for _, size := range [][2]int{{80, 24}, {120, 40}} {
		for _, c := range []struct {
			name    string
			prepare func(*shop)
			do      func(*operator)
		}{
			{"calls", nil, func(*operator) {}},
			{"details", nil, func(op *operator) { op.press("k", "k", "k", "k", "enter"); op.wait(100 * time.Millisecond) }},
			{"filter", nil, func(op *operator) { op.press("/"); op.typed("http && s") }},
			{"window", nil, func(op *operator) { op.press("w", "down") }},
			{"help", nil, func(op *operator) { op.press("?") }},
			{"nodes", func(s *shop) {
				s.nodes[0].Problems = []tui.PodProblem{{Pod: "shop/pay-0", Problem: "it shares the node's network namespace"}}
				s.nodes[1].State, s.nodes[1].Problem, s.nodes[1].DropRate, s.nodes[1].Dropped = "degraded", "the ring is full", 12, 3402
			}, func(op *operator) { op.press(":"); op.typed("nodes"); op.press("enter") }},
			{"empty", func(s *shop) { s.kept = 0 }, func(*operator) {}},
			{"snapshots", withDrawer, func(op *operator) { op.press(":"); op.typed("snapshots"); op.press("enter", "j", "D") }},
		} {
			t.Run(fmt.Sprintf("%s/%dx%d", c.name, size[0], size[1]), func(t *testing.T) {
				sit(t, plain, size[0], size[1], c.prepare, func(op *operator) { c.do(op); op.golden(c.name, false) })
				sit(t, look, size[0], size[1], c.prepare, func(op *operator) { c.do(op); op.golden(c.name+".256", true) })
			})
		}
	}
}
