package tui_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/charmbracelet/colorprofile"

	"github.com/sshark/sshark/tui"
)

// player sends what a test lets it send, and notes what it was asked.
type player struct {
	against  string // what keeps flows from being sent, unless they are forced
	err      error  // instead of a plan
	differs  bool   // what comes back is another
	step     time.Duration
	hostile  string
	callTime int64

	mu     sync.Mutex
	orders []tui.ReplayOrder
	sent   int
}

func (p *player) Check(o tui.ReplayOrder) error {
	if o.To != "" && !strings.Contains(o.To, ":") {
		return fmt.Errorf("%q: want HOST:PORT", o.To)
	}
	return nil
}

func (p *player) Plan(_ context.Context, _ tui.Backend, o tui.ReplayOrder) (*tui.ReplayPlan, error) {
	p.mu.Lock()
	p.orders = append(p.orders, o)
	p.mu.Unlock()
	if p.err != nil {
		return nil, p.err
	}
	to := "10.0.1.9:8080 shop/cart"
	if o.To != "" {
		to = o.To
	}
	from := "node node-a"
	if o.Node != "" {
		from = "node " + o.Node
	}
	plan := &tui.ReplayPlan{From: from, Sends: fmt.Sprintf("420 bytes in 2 turns, to %s, from %s", to, from), Lines: []tui.ReplayLine{
		{Text: "stream  " + o.Stream + ", HTTP from shop/gateway (10.0.1.4:41822) to shop/cart (10.0.1.9:8080)"},
		{Text: "to      " + to + ", from " + from + p.hostile},
		{Text: `turn 1   210 bytes after 0s: "GET /cart HTTP/1.1\r\nHost"`, Grade: tui.ReplayGrade(1)},
		{Text: `turn 2   210 bytes after 12ms: "GET /cart/items HTTP/1.1"`, Grade: tui.ReplayGrade(1)},
		{Text: "call 1   HTTP GET /cart, answered: 200, 96 bytes", At: p.callTime},
		{Text: "call 2   HTTP GET /cart/items, answered: 200, 1200 bytes", At: p.callTime + 1},
	}}
	if p.against != "" && !o.Force {
		plan.Against, plan.Forcible = p.against, true
		plan.Lines = append(plan.Lines, tui.ReplayLine{Text: "against " + p.against, Grade: tui.ReplayGrade(3)})
	}
	plan.Run = func(ctx context.Context, progress func(tui.ReplayProgress)) (*tui.ReplayResult, error) {
		p.mu.Lock()
		p.sent++
		p.mu.Unlock()
		for n := range o.Times {
			progress(tui.ReplayProgress{Run: n + 1, Runs: o.Times, Turn: 1, Turns: 2, Sent: 210, Received: 300})
			select {
			case <-time.After(p.step):
			case <-ctx.Done():
				return &tui.ReplayResult{Summary: fmt.Sprintf("of %d runs %d the same", o.Times, n)}, ctx.Err()
			}
		}
		r := &tui.ReplayResult{Summary: "the same: 420 bytes sent to " + to, Same: true, Lines: []tui.ReplayLine{
			{Text: "call 1   HTTP GET /cart 200: the same, in 3ms (was 2ms)", Grade: tui.ReplayGrade(2), At: p.callTime}}}
		if p.differs && !slices.Contains(o.Ignore, "response.body.items[0].stock") {
			r.Same, r.Summary = false, "different: 1 of 2 calls, 2 fields: 420 bytes sent to "+to
			r.Lines = append(r.Lines, tui.ReplayLine{Text: "call 2   HTTP GET /cart/items 200: different, in 3ms (was 2ms)" + p.hostile, Grade: tui.ReplayGrade(3), At: p.callTime + 1},
				tui.ReplayLine{Text: "response.body.items[0].stock: 12 became 9", Field: "response.body.items[0].stock", Was: "12", Is: "9", Grade: tui.ReplayGrade(3), At: p.callTime + 1},
				tui.ReplayLine{Text: "response.headers.x-shard is new", Field: "response.headers.x-shard", Is: `"` + strings.Repeat("blue-", 18) + p.hostile + `"`, Grade: tui.ReplayGrade(3), At: p.callTime + 1})
		}
		return r, nil
	}
	return plan, nil
}

func (p *player) last() tui.ReplayOrder {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.orders) == 0 {
		return tui.ReplayOrder{}
	}
	return p.orders[len(p.orders)-1]
}

func (p *player) sendings() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent
}

func TestReplayIsSentAfterAYesOnly(t *testing.T) {
	p := &player{step: 10 * time.Millisecond}
	sit(t, tui.Options{Replays: p}, 80, 24, nil, func(op *operator) {
		op.press("k", "r")
		op.see("› replay", "dry run", "nothing was sent yet", "turn 1   210 bytes", "call 2   HTTP GET /cart/items, answered: 200")
		op.press("enter")
		op.see("send it again?", "420 bytes in 2 turns, to 10.0.1.9:8080 shop/cart", "Requests that change something change it again.")
		op.press("enter") // is no yes
		op.see("nothing is done")
		op.press("r")
		op.see("it was not sent yet")
		if n := p.sendings(); n != 0 {
			t.Fatalf("sent %d times without a yes", n)
		}
		op.press("y", "y")
		op.wait(100 * time.Millisecond)
		op.see("the same: 420 bytes sent", "call 1   HTTP GET /cart 200: the same, in 3ms (was 2ms)", "r sends it again")
		op.press("r") // the same order was said yes to
		op.wait(100 * time.Millisecond)
		if n := p.sendings(); n != 2 {
			t.Errorf("sent %d times, want 2", n)
		}
		op.press("tab")
		op.see("turn 1   210 bytes")
		op.press("tab", "esc")
		op.see("SUMMARY")
		op.seeNot("› replay")
	})
}

func TestReplayTellsWhatDiffers(t *testing.T) {
	p := &player{differs: true}
	sit(t, tui.Options{Replays: p}, 100, 30, nil, func(op *operator) {
		p.callTime = op.shop.at(op.shop.kept - 5)
		op.press("k", "r", "y", "y")
		op.see("different: 1 of 2 calls, 2 fields", "call 2   HTTP GET /cart/items 200: different",
			"response.body.items[0].stock  was 12  is 9", "response.headers.x-shard", "was nothing")
		op.press("d")
		op.see("call 2   HTTP GET /cart/items 200: different", "response.headers.x-shard")
		op.seeNot("call 1")
		op.press("d", "j", "j", "j", "i") // on the stock
		op.see("ignore response.body.items[0].stock")
		op.press("enter")
		if got := p.last().Ignore; !slices.Equal(got, []string{"response.body.items[0].stock"}) {
			t.Errorf("ignored: %q", got)
		}
		op.see("ignore 1 field", "dry run")
		op.press("y", "y")
		op.see("the same: 420 bytes")
		op.press("j", "enter") // its call, as it was
		op.see("stream == ")
	})
}

func TestReplayTakesAnotherOrder(t *testing.T) {
	p := &player{}
	sit(t, tui.Options{Replays: p}, 100, 30, nil, func(op *operator) {
		command(op, "replay 000a1b2c3d4e0")
		op.see("t to its server", "N from node-a", "s in turns", "n once", "ignore nothing more")
		op.seeNot("forced")
		op.press("t")
		op.typed("cart")
		op.press("enter")
		op.see(`"cart": want HOST:PORT`)
		op.typed(".shop:80")
		op.press("enter", "s")
		op.typed("max")
		op.press("enter", "n", "ctrl+u")
		op.typed("0")
		op.press("enter")
		op.see("want a number from 1 on")
		op.press("backspace")
		op.typed("25")
		op.press("enter", "f", "N")
		op.see("node-a", "node-b")
		op.typed("node-x")
		op.press("enter")
		op.see("there is no node node-x")
		op.press("backspace")
		op.typed("b")
		op.press("enter")
		op.see("t to cart.shop:80", "N from node-b", "s all at once", "n 25 times", "f forced", "to      cart.shop:80, from node node-b")
		want := tui.ReplayOrder{Stream: "000a1b2c3d4e0", To: "cart.shop:80", Node: "node-b", Speed: "max", Times: 25, Force: true}
		if got := p.last(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("the order is %+v, want %+v", got, want)
		}
		op.press("F")
		op.see("› replay › stream")
		op.press("r", "C")
		op.see("this line tells of no call")
	})
}

func TestReplayIsStopped(t *testing.T) {
	p := &player{step: time.Second}
	sit(t, tui.Options{Replays: p}, 80, 24, nil, func(op *operator) {
		command(op, "replay 000a1b2c3d4e0")
		op.press("n", "ctrl+u")
		op.typed("10")
		op.press("enter", "y", "y")
		op.wait(2500 * time.Millisecond)
		op.see("▸ sending", "run 3 of 10, turn 1 of 2", "esc stops it")
		op.press("t")
		op.see("it is being sent")
		op.press("esc")
		op.wait(300 * time.Millisecond)
		op.see("of 10 runs 2 the same", "stopped: what was sent by then")
		op.press("r")
		op.wait(time.Second)
		op.press("q") // who leaves ends it
		op.seeNot("› replay")
	})
}

func TestReplayThatCannotBe(t *testing.T) {
	for name, tt := range map[string]struct {
		replays tui.Replayer
		line    string
		want    []string
		enter   string
	}{
		"turned off": {nil, "replay 000a1b2c3d4e0", []string{"Nothing is sent again here.", "turned off"}, "replay is turned off here"},
		"no flow":    {&player{}, "replay", []string{"Which flow is to be sent again?"}, "there is no flow to send"},
		"refused":    {&player{err: errors.New("anna may not replay: refused by policy: no rule allows it")}, "replay 000a1b2c3d4e0", []string{"This cannot be sent again.", "anna may not replay"}, "there is no plan"},
		"gaps":       {&player{against: "bytes of what the client said are missing at 2 places"}, "replay 000a1b2c3d4e0", []string{"against bytes of what the client said", "something is against it, f forces it"}, "f sends it all the same"},
	} {
		t.Run(name, func(t *testing.T) {
			sit(t, tui.Options{Replays: tt.replays}, 100, 24, nil, func(op *operator) {
				command(op, tt.line)
				op.see(tt.want...)
				op.press("enter")
				op.see(tt.enter)
				if p, ok := tt.replays.(*player); ok && p.against != "" {
					op.press("f", "y", "y")
					op.see("the same: 420 bytes")
				}
			})
		})
	}
}

func TestReplayShowsHostileTextSafely(t *testing.T) {
	p := &player{differs: true, hostile: " \x1b[2J\u202e\x9b31m"}
	sit(t, tui.Options{Replays: p, Profile: colorprofile.ANSI256}, 80, 24, nil, func(op *operator) {
		command(op, "replay 000a1b2c3d4e0")
		for _, k := range []string{"j", "c", "y", "y", "j", "c", "Y", "G", "i", "esc", "tab"} {
			op.press(k)
			op.checkScreen()
			if strings.ContainsAny(op.copied, "\x1b\u202e\u009b") || !utf8.ValidString(op.copied) {
				t.Errorf("copied %q", op.copied)
			}
		}
		for _, size := range [][2]int{{40, 10}, {41, 13}, {300, 100}} {
			op.resize(size[0], size[1])
			op.checkScreen()
		}
	})
}

func TestReplayGoldens(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			for suffix, profile := range map[string]colorprofile.Profile{"": colorprofile.ASCII, ".256": colorprofile.ANSI256} {
				sit(t, tui.Options{Replays: &player{differs: true}, Profile: profile}, size[0], size[1], nil, func(op *operator) {
					command(op, "replay 000a1b2c3d4e0")
					op.golden("replay-plan"+suffix, profile == colorprofile.ANSI256)
					op.press("y")
					op.golden("replay-yes"+suffix, profile == colorprofile.ANSI256)
					op.press("y", "j", "j")
					op.golden("replay-result"+suffix, profile == colorprofile.ANSI256)
				})
			}
		})
	}
}
