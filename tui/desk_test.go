package tui_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/tui"
)

func TestWindowByKeys(t *testing.T) {
	sit(t, plain, 120, 40, nil, func(op *operator) {
		op.press("+")
		op.wait(200 * time.Millisecond)
		op.see("▸ live · last 5m", "1,499 calls")
		op.press("_", "_")
		op.wait(200 * time.Millisecond)
		op.see("last 30m")
		op.press("_", "_", "_", "_")
		op.wait(200 * time.Millisecond)
		op.see("last 12h", "nothing older is kept")
		op.press("0")
		op.see("this is live already")
		op.press("w")
		op.typed("23:50-23:56")
		op.press("enter")
		op.wait(200 * time.Millisecond)
		op.see("23:50:00 – 23:56:00", "1,800 calls")
		op.press("g", "g", "+") // about the first call, which stays at the left edge
		op.wait(200 * time.Millisecond)
		op.see("23:50:00 – 23:53:00", "900 calls", "▲")
		op.press("]")
		op.wait(200 * time.Millisecond)
		op.see("23:51:30 – 23:54:30")
		op.press("[", "[")
		op.wait(200 * time.Millisecond)
		op.see("23:48:30 – 23:51:30")
		op.press("esc")
		op.wait(200 * time.Millisecond)
		op.see("23:50:00 – 23:53:00")
		op.press("0")
		op.wait(200 * time.Millisecond)
		op.see("▸ live · last 12h") // the live window that was chosen last
		op.press("?")
		op.see("zoom in, at the row", "back to live")
	})
}

func TestWindowByMouse(t *testing.T) {
	sit(t, plain, 120, 40, nil, func(op *operator) {
		wheel := func(x int, b tea.MouseButton) {
			op.send(tea.MouseWheelMsg{X: x, Y: 2, Button: b})
			op.wait(200 * time.Millisecond)
		}
		wheel(60, tea.MouseWheelUp)
		op.see(" – ")
		op.seeNot("live")
		wheel(60, tea.MouseWheelDown)
		wheel(60, tea.MouseWheelDown)
		op.see(" – 2000-01-01 00:00:00")
		op.press("0")
		op.wait(200 * time.Millisecond)
		op.send(tea.MouseClickMsg{X: 40, Y: 2, Button: tea.MouseRight})
		op.send(tea.MouseMotionMsg{X: 64, Y: 2, Button: tea.MouseRight})
		op.checkScreen()
		op.send(tea.MouseReleaseMsg{X: 64, Y: 2, Button: tea.MouseRight})
		op.wait(200 * time.Millisecond)
		op.see(" – ")
		op.seeNot("live")
		op.press("0")
		op.wait(200 * time.Millisecond)
		before, _ := op.line("▌")
		op.click(100, 2) // goes to what was there then
		if l, _ := op.line("▌"); l == before || l == "" {
			t.Errorf("a click on the chart leaves the cursor on %q", l)
		}
	})
}

func TestWindowThatIsKeptInPartSaysSo(t *testing.T) {
	sit(t, plain, 120, 40, func(s *shop) { s.oldest = s.start.Add(-8 * time.Minute).UnixNano() }, func(op *operator) {
		op.see("▸ live · last 15m")
		op.seeNot("oldest packet kept")
		op.press("w")
		op.typed("23:46-23:56")
		op.press("enter")
		op.wait(200 * time.Millisecond)
		op.see("! oldest packet kept: node-a 1999-12-31 23:52:00")
		op.press("[", "[")
		op.see("nothing older is kept on node-a")
	})
}

func TestCommandsCompleteWhatFollows(t *testing.T) {
	sit(t, plain, 100, 30, func(s *shop) {
		withDrawer(s)
		s.drawer.list[1].Name = "october"
	}, func(op *operator) {
		op.press(":")
		op.typed("calls http && src.n")
		op.see("src.namespace", "best name of the client")
		op.press("tab", "enter")
		op.see("undeclared reference") // src.name is no filter that the shop knows
		op.press(":")
		op.typed("window 1")
		op.see("15m", "the last hour, and on")
		op.press("tab", "enter")
		op.wait(200 * time.Millisecond)
		op.see("last 1m")
		op.press(":", "up")
		if l, _ := op.line(": window"); !strings.Contains(l, "window 1m") {
			t.Errorf("the command before is %q", l)
		}
		op.press("esc", ":")
		op.typed("snapshot oc")
		op.press("tab", "enter")
		op.wait(200 * time.Millisecond)
		op.see("snapshot october")
		op.press(":")
		op.typed("time rel")
		op.press("tab", "enter")
		op.see("TIME AGO", "relative to now")
		op.press(":")
		op.typed("clals")
		op.press("enter")
		op.see("there is no command clals; do you mean calls?")
		op.press(":")
		op.typed("sna x y")
		op.press("esc")
	})
}

// cabinet keeps filters in memory.
type cabinet struct {
	mu   sync.Mutex
	list []tui.SavedFilter
	fail error
}

func (c *cabinet) List(context.Context) ([]tui.SavedFilter, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.list), c.fail
}

func (c *cabinet) Save(_ context.Context, f tui.SavedFilter) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, f)
	return c.fail
}

func (c *cabinet) Delete(_ context.Context, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = slices.DeleteFunc(c.list, func(f tui.SavedFilter) bool { return f.Name == name })
	return c.fail
}

func TestFiltersAreSaved(t *testing.T) {
	kept := &cabinet{list: []tui.SavedFilter{{Name: "names", Filter: "dns"}, {Name: "of-before", Filter: "gone == 1"}}}
	o := plain
	o.Filters = kept
	sit(t, o, 100, 30, nil, func(op *operator) {
		op.press("/")
		op.see("dns", "saved", "names")
		op.typed("http && error")
		op.press("enter")
		command(op, "save bad")
		op.see("saved as bad")
		command(op, "save ../../etc")
		op.see("a name has a-z")
		command(op, "filter names")
		op.wait(200 * time.Millisecond)
		op.see("/ dns", "752 calls")
		command(op, "filter of-before")
		op.see(`undeclared reference to "gone == 1"`)
		command(op, "filter nam")
		op.see("there is no saved filter nam; do you mean names?")
		command(op, "forget names")
		op.see("names is forgotten")
		op.press("/", "ctrl+u")
		op.see("typed", "http && error", "bad")
		op.press("esc")
		kept.fail = errors.New("the disk is full")
		command(op, "save more")
		op.see("until this session ends: the disk is full")
	})
	if len(kept.list) != 3 || kept.list[1].Filter != "http && error" {
		t.Errorf("kept %+v", kept.list)
	}
	sit(t, plain, 100, 30, nil, func(op *operator) {
		command(op, "save none")
		op.see("there is no filter to save")
		command(op, "calls dns")
		command(op, "save names")
		op.see("until this session ends: nobody keeps filters here")
	})
}

func TestColumnsAreChosen(t *testing.T) {
	sit(t, plain, 160, 40, func(s *shop) { s.kept = 60 }, func(op *operator) {
		op.press("C")
		op.see("columns", "● time", "as there is room")
		op.press("space")
		op.seeNot("TIME ")
		op.press("a")
		op.typed("nothing")
		op.press("enter")
		op.see(`undeclared reference to "nothing"`)
		op.press("ctrl+u")
		op.typed("redis_key")
		op.press("enter")
		op.wait(200 * time.Millisecond)
		op.press("o")
		op.see("sorted by redis_key")
		op.press("+", "+")
		op.see("cells")
		op.press("esc")
		op.see("REDIS_KEY↑")
		op.press("G")
		l, _ := op.line("▌")
		if !strings.Contains(l, "session:1") {
			t.Errorf("the last by its key is %q", l)
		}
		for range 7 {
			op.press("l")
		}
		for range 3 { // status, summary, and there it is
			op.press("h")
		}
		op.press("=")
		op.see(`redis_key == "session:`)
		op.press("esc", "-")
		op.seeNot("TIME ") // it is remembered
		command(op, "calls http")
		op.wait(200 * time.Millisecond)
		op.press("k", "enter")
		op.wait(400 * time.Millisecond)
		for range 60 {
			if l, _ := op.line("user-agent"); strings.Contains(l, "gateway/1.4") {
				break
			}
			op.press("j")
		}
		op.press("f")
		op.see("find in the details")
		op.typed("USER-AGENT")
		op.press("enter")
		op.see("› ")
		op.press("C")
		op.wait(200 * time.Millisecond)
		op.see(`request.headers["user-agent"] is a column now`, "USER-AGENT", "gateway/1.4")
		op.press("C", "r", "esc")
		op.wait(200 * time.Millisecond)
		op.see("TIME")
		op.seeNot("USER-AGENT")
	})
}

func TestDetailsAreFoundAndFolded(t *testing.T) {
	sit(t, plain, 100, 90, func(s *shop) { s.kept = 4 }, func(op *operator) {
		op.press("g", "g", "enter")
		op.wait(200 * time.Millisecond)
		op.see("user-agent", "Umbrella")
		op.press("f")
		op.typed("umbrella")
		op.press("enter", ";")
		op.see("Umbrella")
		op.press("space")
		op.see("lines folded, space opens")
		op.seeNot("Umbrella")
		op.press("z")
		op.seeNot("user-agent")
		op.press("n")
		op.wait(400 * time.Millisecond)
		op.seeNot("user-agent") // as they were
		op.press("z")
		op.see("Response")
		op.press("f", "ctrl+u")
		op.typed("nowhere")
		op.press("enter")
		op.see(`"nowhere" is not in the details`)
	})
}

func TestCopyAs(t *testing.T) {
	sit(t, plain, 120, 40, func(s *shop) { s.kept = 4 }, func(op *operator) {
		op.press("g", "g", "c", "u")
		op.wait(100 * time.Millisecond)
		if !strings.HasPrefix(op.copied, "curl ") || !strings.HasSuffix(op.copied, "--url http://catalog:8080/api/products/0") {
			t.Errorf("copied %q", op.copied)
		}
		op.press("c", "o")
		op.wait(100 * time.Millisecond)
		want := string(dissect.AppendCall(nil, made(0, op.shop.at(0))))
		if op.copied != want || !json.Valid([]byte(op.copied)) {
			t.Errorf("copied %s\nwant   %s", op.copied, want)
		}
		op.press("c", "p")
		if !strings.HasPrefix(op.copied, "scp CONSOLE:/streams/") {
			t.Errorf("copied %q", op.copied)
		}
		op.press("a")
		op.see("marked 4 calls", "4 marked")
		op.press("c", "o")
		op.wait(200 * time.Millisecond)
		op.see("copied 4 calls as JSON")
		if n := strings.Count(op.copied, "\n"); n != 4 {
			t.Errorf("%d lines", n)
		}
		op.press("c", "u")
		op.wait(200 * time.Millisecond)
		op.see("copied 4 commands")
		op.press("u", "u")
		op.see("no call is marked: space marks one")
		op.press("c", "esc")
		op.seeNot("copy as")
	})
}

func TestCopyingIsCancelled(t *testing.T) {
	sit(t, plain, 120, 40, func(s *shop) { s.kept, s.slow = 50, time.Second }, func(op *operator) {
		op.press("a", "c", "o")
		op.wait(2500 * time.Millisecond)
		op.see("copying 3 of 50, esc cancels")
		op.press("esc")
		op.see("nothing is copied")
		op.wait(3 * time.Second)
		if op.copied != "" {
			t.Errorf("copied %q", op.copied)
		}
	})
}

func TestMarkedIsExported(t *testing.T) {
	sit(t, plain, 120, 40, withDrawer, func(op *operator) {
		op.press("k", "space", "ctrl+s")
		op.see("name ", "NAME")
		op.press("ctrl+u")
		op.typed("one")
		op.press("enter")
		op.wait(200 * time.Millisecond)
		op.see("one is kept")
		command(op, "calls dns")
		command(op, "export")
		op.press("esc", "esc", "esc")
		command(op, "export two")
		op.wait(200 * time.Millisecond)
		asked := op.shop.drawer.asked
		if len(asked) != 2 || !strings.HasPrefix(asked[0].Filter, `stream == "`) || asked[0].Until-asked[0].Since < 2e9 || asked[0].Until-asked[0].Since > 60e9 {
			t.Fatalf("asked for %+v", asked)
		}
	})
	o := plain
	o.Console = true
	sit(t, o, 140, 40, nil, func(op *operator) {
		op.press("k", "space", "ctrl+s")
		op.see("scp CONSOLE:/streams/")
		op.press("u", "ctrl+s")
		op.see("there are no snapshots here")
	})
}

func TestTimesAreShownSinceOtherRows(t *testing.T) {
	sit(t, plain, 120, 40, func(s *shop) { s.kept = 20 }, func(op *operator) {
		op.press("ctrl+t")
		op.see("TIME AGO")
		op.press("ctrl+t")
		op.see("TIME + ", "since the previous row")
		op.press("g", "g", "j", "j", "space", "ctrl+t")
		op.see("TIME +●", "-", "+0ns")
		op.press("ctrl+t")
		op.see("23:59:5")
		command(op, "time America/New_York")
		op.see("18:59:5", "local time of America/New_York")
		op.press("ctrl+t")
		op.see("TIME UTC", "23:59:5")
	})
}

func TestOneNamespace(t *testing.T) {
	sit(t, plain, 120, 40, nil, func(op *operator) {
		op.press("N")
		op.see("one namespace, at either end", "1  shop", "2  kube-system")
		op.press("2")
		op.see(`src.namespace == "kube-system" || dst.namespace == "kube-system"`)
	})
}

func TestTrailIsShown(t *testing.T) {
	sit(t, plain, 120, 40, nil, func(op *operator) {
		command(op, "nodes")
		op.see("sshark calls › nodes")
		op.press("esc")
		op.seeNot("›")
	})
}

// withBoth adds a call that was seen at both ends, whose clocks differ by half a second.
func withBoth(s *shop) {
	s.kept = 1
	c := made(0, s.at(0)+1)
	took := c.ResponseStart - c.RequestEnd
	c.Client = &dissect.Sighting{Node: "node-b", Time: c.Time - 5e8, RequestEnd: c.RequestEnd - 5e8, ResponseStart: c.RequestEnd - 5e8 + took*3, ResponseEnd: c.RequestEnd - 5e8 + took*3 + 1e5}
	f := *c.Flow
	f.Vantage = dissect.SideBoth
	c.Flow = &f
	s.extra = append(s.extra, c)
}

func TestDeskGoldens(t *testing.T) {
	look := tui.Options{Profile: colorprofile.ANSI256, Filters: &cabinet{list: []tui.SavedFilter{{Name: "names", Filter: "dns"}, {Name: "failing", Filter: "http && status_code >= 500"}}}}
	for _, size := range [][2]int{{80, 24}, {120, 40}} {
		for _, c := range []struct {
			name    string
			prepare func(*shop)
			do      func(*operator)
		}{
			{"columns", nil, func(op *operator) { op.press("C", "j", "j", "space", "+") }},
			{"copy", nil, func(op *operator) { op.press("k", "space", "space", "c", "j", "j") }},
			{"saved", nil, func(op *operator) { op.press("/") }},
			{"hops", withBoth, func(op *operator) { op.press("G", "enter"); op.wait(200 * time.Millisecond) }},
			{"kept", func(s *shop) { s.oldest = s.start.Add(-8 * time.Minute).UnixNano() }, func(op *operator) {
				command(op, "window 23:46-23:56")
				op.wait(200 * time.Millisecond)
				op.press("k", "k")
				op.press("ctrl+t", "ctrl+t")
				op.wait(5 * time.Second)
			}},
		} {
			t.Run(fmt.Sprintf("%s/%dx%d", c.name, size[0], size[1]), func(t *testing.T) {
				o := look
				o.Profile = colorprofile.ASCII
				sit(t, o, size[0], size[1], c.prepare, func(op *operator) { c.do(op); op.golden(c.name, false) })
				sit(t, look, size[0], size[1], c.prepare, func(op *operator) { c.do(op); op.golden(c.name+".256", true) })
			})
		}
	}
}

func TestHopsOfACallThatWasSeenTwice(t *testing.T) {
	sit(t, plain, 120, 60, withBoth, func(op *operator) {
		op.press("G", "enter")
		op.wait(200 * time.Millisecond)
		op.see("at the client", "node-b", "on the way", "there and back", "at the server", "node-a")
	})
}

func TestNodeLeadsToItsCalls(t *testing.T) {
	sit(t, plain, 120, 40, nil, func(op *operator) {
		command(op, "nodes")
		op.press("enter")
		op.wait(200 * time.Millisecond)
		op.see("calls › nodes › calls", `/ node_name == "node-a"`, "4,000 calls")
		op.press("esc", "esc")
		op.see("NODE", "calls › nodes")
	})
}

func TestCallLeadsToItsStreamAndPackets(t *testing.T) {
	sit(t, plain, 120, 40, nil, func(op *operator) {
		op.press("k", "F")
		op.wait(300 * time.Millisecond)
		op.see("calls › stream")
		op.press("esc", "K")
		op.wait(300 * time.Millisecond)
		op.see("calls › packets")
		op.press("q", "enter")
		op.wait(300 * time.Millisecond)
		op.press("F")
		op.wait(300 * time.Millisecond)
		op.see("calls › stream")
	})
}

// TestWindowOnTheChartOfOtherViews: flows and the map have the chart of the calls, with its keys and
// its mouse.
func TestWindowOnTheChartOfOtherViews(t *testing.T) {
	for _, name := range []string{"flows", "map"} {
		t.Run(name, func(t *testing.T) {
			sit(t, plain, 120, 40, nil, func(op *operator) {
				command(op, name)
				op.wait(1500 * time.Millisecond)
				op.see("1 column = ", "last 15m", "00:00:0")
				op.press("+")
				op.wait(1500 * time.Millisecond)
				op.see("last 5m")
				op.press("[")
				op.wait(1500 * time.Millisecond)
				op.see(" – ")
				op.press("0")
				op.wait(1500 * time.Millisecond)
				op.see("▸ live", "last 5m")

				op.send(tea.MouseClickMsg{X: 100, Y: 2, Button: tea.MouseLeft})
				op.send(tea.MouseMotionMsg{X: 110, Y: 2, Button: tea.MouseLeft})
				op.checkScreen()
				op.send(tea.MouseReleaseMsg{X: 110, Y: 2, Button: tea.MouseLeft})
				op.wait(1500 * time.Millisecond)
				op.see(" – ")
				op.seeNot("▸ live", "There is no flow")
				op.press("esc")
				op.wait(1500 * time.Millisecond)
				op.see("▸ live", "last 5m")
				op.send(tea.MouseWheelMsg{X: 60, Y: 2, Button: tea.MouseWheelDown})
				op.wait(1500 * time.Millisecond)
				op.see("last 15m")
				op.click(30, 6) // the bar is below the chart
				op.resize(120, 41)
				op.press("esc")
				op.checkScreen()
				op.click(100, 2)
				if name == "map" {
					op.see("drag over a part of the chart")
				} else if l, _ := op.line("▌"); l == "" {
					t.Errorf("a click on the chart selects nothing:\n%s", op.screen())
				}
			})
		})
	}
}

// TestOppositeOfAFilter: a key turns what is typed round, and back; ! is a part of what is typed.
func TestOppositeOfAFilter(t *testing.T) {
	sit(t, plain, 120, 40, nil, func(op *operator) {
		op.press("/", "ctrl+o")
		op.see(" / ")
		op.seeNot("!(")
		op.typed(`protocol == "dns"`)
		op.press("ctrl+o")
		op.see(`/ !(protocol == "dns")`)
		op.press("ctrl+o")
		op.see(`/ protocol == "dns"`)
		op.press("ctrl+o", "enter")
		op.wait(300 * time.Millisecond)
		op.see(`/ !(protocol == "dns")`)
		op.seeNot("redis.shop.svc")
		op.press("/", "ctrl+u", "!")
		op.see("/ !")
	})
}
