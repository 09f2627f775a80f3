package tui_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/tui"
)

// system is a backend of a system whose calls are known by who calls whom: "shop/web >
// shop/cart http/80 120 3" are 120 calls, 3 of which failed.
type system struct {
	*shop
	edges []dissect.Call // one of each edge
	calls []int          // of each
	bad   []int
	live  []chan int // who follows is told of the edges on which a call comes in
}

// come lets a call come in.
func (y *system) come(edge int) {
	y.mu.Lock()
	all := slices.Clone(y.live)
	y.mu.Unlock()
	for _, c := range all {
		c <- edge
	}
}

var protocols = map[string]*dissect.Protocol{}

func protocolOf(name string) *dissect.Protocol {
	if protocols[name] == nil {
		protocols[name] = &dissect.Protocol{Name: name, Title: strings.ToUpper(name)}
	}
	return protocols[name]
}

func newSystem(s *shop, lines ...string) *system {
	y := &system{shop: s}
	addrs := map[string]netip.Addr{}
	end := func(name string, port uint16) dissect.Endpoint {
		a, ok := addrs[name]
		if !ok {
			n := len(addrs) + 1
			a = netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)})
			addrs[name] = a
		}
		e := dissect.Endpoint{Addr: netip.AddrPortFrom(a, port)}
		switch ns, workload, inside := strings.Cut(name, "/"); {
		case inside:
			e.Identity = &dissect.Identity{Namespace: ns, Workload: workload, Kind: "Deployment", Pod: workload + "-7d9f-x2x7k", Node: "node-a"}
		case !strings.HasPrefix(name, "addr"):
			e.Identity = &dissect.Identity{DNS: name}
		}
		return e
	}
	for i, line := range lines {
		var from, to, what string
		var calls, bad int
		_, _ = fmt.Sscan(strings.Replace(line, ">", " ", 1), &from, &to, &what, &calls, &bad)
		protocol, port, _ := strings.Cut(what, "/")
		var p uint16
		_, _ = fmt.Sscan(port, &p)
		f := &dissect.Flow{ID: flow.ID(1 + i), Node: "node-a", Transport: flow.TCP, Client: end(from, 40000), Server: end(to, p),
			Packets: [2]uint64{uint64(3 * calls), uint64(2 * calls)}, Bytes: [2]uint64{uint64(500 * calls), uint64(2000 * calls)}}
		if protocol != "tcp" {
			f.Protocol = protocolOf(protocol)
		}
		y.edges = append(y.edges, dissect.Call{Flow: f, Protocol: f.Protocol, Message: &message{}})
		y.calls, y.bad = append(y.calls, calls), append(y.bad, bad)
	}
	return y
}

// call is call n of an edge: those that failed come first.
func (y *system) call(edge, n int, at int64) *dissect.Call {
	c := y.edges[edge]
	took := int64(1+(n*7919)%90) * 310_000
	c.Time, c.RequestEnd, c.ResponseStart, c.ResponseEnd = at, at+1000, at+1000+took, at+2000+took
	c.Error = n < y.bad[edge]
	return &c
}

func (y *system) matching(filter string, edge int) bool {
	for part := range strings.SplitSeq(filter, " && ") {
		if want, ok := strings.CutPrefix(part, "protocol == "); ok && (y.edges[edge].Protocol == nil || fmt.Sprintf("%q", y.edges[edge].Protocol.Name) != want) {
			return false
		}
		if part == "false" {
			return false
		}
	}
	return true
}

func (y *system) Check(filter string) error { return nil }

func (y *system) Calls(ctx context.Context, q tui.Query, each func(*dissect.Call) error) (tui.Report, error) {
	defer y.note(q)()
	if y.fail != nil {
		return y.report, y.fail
	}
	came := make(chan int)
	if q.Follow {
		y.mu.Lock()
		y.live = append(y.live, came)
		y.mu.Unlock()
	}
	for q.Follow {
		select {
		case i := <-came:
			if y.matching(q.Filter, i) {
				if err := each(y.call(i, y.calls[i]+1, y.now().UnixNano())); err != nil {
					return y.report, err
				}
			}
		case <-ctx.Done():
			return y.report, ctx.Err()
		}
	}
	report := y.report
	report.Oldest = y.oldest
	for i := range y.edges {
		if y.edges[i].Protocol == nil || !y.matching(q.Filter, i) {
			continue
		}
		for n := range y.calls[i] {
			if err := each(y.call(i, n, y.start.UnixNano()-int64(n+1)*int64(time.Second)/10)); err != nil {
				return report, err
			}
			report.Matched++
		}
	}
	return report, nil
}

func (y *system) Flows(ctx context.Context, q tui.Query, each func(*dissect.Flow) error) (tui.Report, error) {
	defer y.note(q)()
	report := y.report
	report.Oldest = y.oldest
	if y.fail != nil {
		return report, y.fail
	}
	if q.Follow {
		<-ctx.Done()
		return report, ctx.Err()
	}
	for i := range y.edges {
		if !y.matching(q.Filter, i) {
			continue
		}
		f := *y.edges[i].Flow
		f.First, f.Last = y.start.UnixNano()-6e10, y.start.UnixNano()
		if err := each(&f); err != nil {
			return report, err
		}
		report.Matched++
	}
	return report, nil
}

// note counts a question that is asked.
func (y *system) note(q tui.Query) func() {
	y.mu.Lock()
	y.queries = append(y.queries, q)
	y.open++
	y.mu.Unlock()
	return func() { y.mu.Lock(); y.open--; y.mu.Unlock() }
}

var shopMap = []string{
	"shop/gateway > shop/frontend http/80 1200",
	"shop/frontend > shop/catalog grpc/50051 830",
	"shop/frontend > shop/cart grpc/50051 412 9",
	"shop/frontend > shop/checkout http/8080 64",
	"shop/frontend > shop/ads http/8080 1200",
	"shop/checkout > shop/payment http/8080 64 2",
	"shop/checkout > shop/shipping grpc/50051 60",
	"shop/checkout > shop/email http/8080 60",
	"shop/checkout > shop/cart grpc/50051 64",
	"shop/checkout > shop/kafka kafka/9092 60",
	"shop/cart > shop/redis redis/6379 950",
	"shop/catalog > shop/postgres postgresql/5432 831",
}

// many is a system of n services in namespaces of ten.
func many(n int) (lines []string) {
	kinds := []string{"http/80", "grpc/50051", "redis/6379", "postgresql/5432", "dns/53", "tcp/9000"}
	name := func(i int) string { return fmt.Sprintf("ns%d/svc%d", i/10, i) }
	for i := 1; i < n; i++ {
		lines = append(lines, fmt.Sprintf("%s > %s %s %d %d", name((i/3*101+5)%i), name(i), kinds[i%6], 1+i%7, i%11/10))
		if i%3 == 0 {
			lines = append(lines, fmt.Sprintf("%s > %s %s %d", name((i*i/7+3)%i), name(i), kinds[i%5], 1+i%3))
		}
	}
	return lines
}

// watch opens the map of a system.
func watch(t *testing.T, o tui.Options, w, h int, lines []string, test func(*operator, *system)) {
	t.Helper()
	var y *system
	o.View = "map"
	sitBefore(t, o, w, h, func(s *shop) tui.Backend {
		y = newSystem(s, lines...)
		return y
	}, func(op *operator) {
		op.wait(2 * time.Second)
		test(op, y)
	})
}

func TestMapIsDrawn(t *testing.T) {
	for name, tt := range map[string]struct {
		lines []string
		keys  []string
	}{
		"map-shop":      {shopMap, nil},
		"map-edge":      {shopMap, []string{"l", "tab", "tab", "d"}},
		"map-focus":     {many(60), []string{"s", "v", "c", "2", "1", "enter", "f"}},
		"map-sixty":     {many(60), nil},
		"map-matrix":    {many(60), []string{"v", "v", "j", "tab"}},
		"map-thousands": {many(2000), []string{"j", "j", "j"}},
	} {
		for _, size := range [][2]int{{80, 24}, {120, 40}} {
			t.Run(fmt.Sprintf("%s-%dx%d", name, size[0], size[1]), func(t *testing.T) {
				for _, colors := range []bool{false, true} {
					o := plain
					file := name
					if colors {
						o.Profile, file = colorprofile.ANSI256, name+".256"
					}
					watch(t, o, size[0], size[1], tt.lines, func(op *operator, _ *system) {
						op.press(tt.keys...)
						op.wait(5 * time.Second) // what was said is gone
						op.golden(file, colors)
					})
				}
			})
		}
	}
}

func TestMapFollowsWithoutMoving(t *testing.T) {
	watch(t, plain, 120, 40, shopMap, func(op *operator, y *system) {
		op.press("u") // calls
		op.see("redis 950", "▸ live")
		before := strings.Split(op.screen(), "\n")
		for range 75 {
			y.come(10)
			op.settle()
		}
		op.wait(2 * time.Second)
		op.see("redis 1.0k")
		for i, l := range strings.Split(op.screen(), "\n") {
			if a, b := strings.IndexAny(before[i], "╭╰│├┏┗┃"), strings.IndexAny(l, "╭╰│├┏┗┃"); a != b && i > 1 && i < 26 {
				t.Errorf("line %d moved:\n%s\n%s", i, before[i], l)
			}
		}
		op.press("u", "u")
		op.see("calls/s")
	})
}

// TestMapForgets: what is older than the window is not in the map any more when that was read
// anew, and nothing is counted twice.
func TestMapForgets(t *testing.T) {
	watch(t, plain, 120, 40, shopMap, func(op *operator, y *system) {
		op.press("u")
		y.come(10)
		op.wait(2 * time.Second)
		op.see("redis 951")
		before := len(y.asked())
		op.wait(4 * time.Minute) // a quarter of the window: the call that came in is not kept here
		op.see("redis 950", "http 64")
		if n := len(y.asked()) - before; n < 8 || n > 16 {
			t.Errorf("%d questions in four minutes", n)
		}
		op.press("a") // flows only
		op.wait(2 * time.Minute)
		op.see("redis 2.4MB", "flows only")
	})
}

func TestMapSelectsFocusesAndDrillsDown(t *testing.T) {
	watch(t, plain, 120, 40, shopMap, func(op *operator, y *system) {
		op.see("shop/gateway  deployment, 0 callers, calls 1", "12 workloads, 12 edges")
		op.press("l", "l")
		op.see("shop/catalog  deployment, 1 caller, calls 1")
		op.press("j")
		op.see("shop/checkout  deployment, 1 caller, calls 5")
		op.press("right")
		op.press("k", "k", "k", "k", "k", "j")
		op.press("h", "h", "h", "h")
		op.see("shop/gateway  deployment")
		op.press("tab")
		op.see("shop/gateway → shop/frontend  http")
		op.press("l")
		op.see("shop/frontend  deployment")
		op.press("tab", "tab")
		op.see("shop/frontend → shop/cart  grpc", "err 2%")
		op.press("=")
		op.wait(2 * time.Second)
		op.see(`/ src.workload == "frontend" && src.namespace == "shop" && dst.workload == "cart"`)
		op.press("esc")
		op.press("esc")
		op.wait(2 * time.Second)
		op.see("/ all that is spoken")
		op.press("g", "g", "l", "f")
		op.see("only frontend, what calls it and what it calls", "6 workloads, 6 edges")
		op.seeNot("redis", "kafka")
		op.press("f")
		op.see("12 workloads") // all of it is two calls away
		op.press("f")
		op.press("x")
		op.see("frontend is hidden", "11 workloads", "1 hidden")
		op.press("X")
		op.see("12 workloads")
		op.press("s")
		op.typed("pay")
		op.press("enter")
		op.see("shop/payment  deployment, 1 caller, calls 0", "err 3%")
		op.press("enter")
		op.wait(2 * time.Second)
		op.see(`/ (src.workload == "payment" && src.namespace == "shop") || (dst.workload ==`)
		if l, _ := op.line("sshark"); !strings.Contains(l, "calls") {
			t.Errorf("enter leads to %s", l)
		}
		op.press("q")
		op.see("shop/payment  deployment")
		op.press("a")
		op.wait(2 * time.Second)
		op.see("flows only")
		op.seeNot("err 3%")
		op.press("c")
		if !strings.Contains(op.copied, `"dst":{"name":"payment"`) {
			t.Errorf("copied %q", op.copied)
		}
	})
}

func TestMapFoldsNamespaces(t *testing.T) {
	watch(t, plain, 120, 40, []string{"a/x > a/y http/80 3", "a/y > b/z http/80 4 1", "b/z > api.example.com tlsx/443 5"}, func(op *operator, _ *system) {
		op.see("4 workloads")
		op.press("z")
		op.see("each namespace is a box", "3 boxes, 3 edges", "self: http", "api.example.com")
		op.press("space")
		op.see("4 boxes", "┏ x", "╭ y")
		op.press("space")
		op.see("3 boxes")
		op.press("b")
		op.wait(2 * time.Second)
		op.see("each box is a service")
		op.press("z")
		op.press("v", "v", "v")
		op.wait(2 * time.Second)
		op.see("╰─▶", "a/x")
		op.press("v")
	})
}

func TestMapAnswersTheMouse(t *testing.T) {
	watch(t, plain, 120, 40, shopMap, func(op *operator, _ *system) {
		l, y := op.line("╭ redis")
		x := len([]rune(l[:strings.Index(l, "redis")]))
		op.click(x, y)
		op.see("shop/redis  deployment, 1 caller")
		op.click(x, y+1)
		op.see("shop/cart → shop/redis  redis")
		op.click(x, y+1)
		op.wait(2 * time.Second)
		op.see(`dst.workload == "redis"`)
		op.press("q")
		op.resize(80, 12)
		op.press("g", "g")
		op.seeNot("kafka")
		before := op.screen()
		op.send(tea.MouseWheelMsg{X: 20, Y: 5, Button: tea.MouseWheelDown})
		op.send(tea.MouseClickMsg{X: 40, Y: 8, Button: tea.MouseLeft})
		op.send(tea.MouseMotionMsg{X: 10, Y: 3, Button: tea.MouseLeft})
		op.send(tea.MouseReleaseMsg{X: 10, Y: 3, Button: tea.MouseLeft})
		if op.screen() == before {
			t.Error("neither wheel nor drag moved anything")
		}
		op.checkScreen()
		op.see("% seen, more")
	})
}

func TestMapSaysWhyItIsEmpty(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(*shop)
		filter  string
		want    string
	}{
		"nothing matches": {func(*shop) {}, "false", "Nobody spoke with anybody in a way that the filter matches."},
		"failed":          {func(s *shop) { s.fail = fmt.Errorf("store is broken") }, "", "store is broken"},
		"no node":         {func(s *shop) { s.nodes = nil }, "false", "There is no node."},
		"nothing kept": {func(s *shop) {
			s.oldest = 0
			for i := range s.nodes {
				s.nodes[i].Oldest, s.nodes[i].Newest = 0, 0
			}
		}, "false", "No packet is kept yet."},
		"nobody answers": {func(s *shop) {
			s.report.Missing = []tui.Missing{{Node: "node-a", Why: "gone"}, {Node: "node-b", Why: "gone too"}}
		}, "false", "No node answered."},
	} {
		t.Run(name, func(t *testing.T) {
			o := plain
			o.View, o.Filter = "map", tt.filter
			sitBefore(t, o, 80, 24, func(s *shop) tui.Backend {
				tt.prepare(s)
				return newSystem(s, shopMap...)
			}, func(op *operator) {
				op.wait(2 * time.Second)
				op.see(tt.want)
				op.checkScreen()
			})
		})
	}
}

func TestMapSaysWhatIsMissing(t *testing.T) {
	o := plain
	o.View = "map"
	sitBefore(t, o, 80, 24, func(s *shop) tui.Backend {
		s.report.Missing = []tui.Missing{{Node: "node-b", Why: "connection refused"}}
		return newSystem(s, shopMap...)
	}, func(op *operator) {
		op.wait(6 * time.Second)
		op.see("! no answer from node-b: connection refused", "gateway")
	})
}

// TestMapOfHostileNames: names command no terminal, whatever is pressed and at any size.
func TestMapOfHostileNames(t *testing.T) {
	var lines []string
	bad := []string{"a\x1b[2J/b\u009b1m", "\u202ex/漢字", "x\"];/`#`", "q/" + strings.Repeat("long", 80), "\xff\xfe", "back\\", "{}/$(x)"}
	for i, n := range bad {
		lines = append(lines, n+" > "+bad[(i+1)%len(bad)]+" http/80 3 1")
	}
	for _, size := range [][2]int{{40, 10}, {80, 24}, {300, 100}} {
		watch(t, plain, size[0], size[1], lines, func(op *operator, _ *system) {
			for _, k := range []string{"j", "l", "tab", "d", "f", "z", "space", "v", "l", "v", "j", "v", "u", "b", "s", "a", "enter", "n", "x", "=", "c", "pgdown", "end", "<", ">"} {
				op.press(k)
				op.wait(2 * time.Second)
				op.checkScreen()
			}
		})
	}
}

// TestMapOfTheWorld: a system that talks to 5,000 addresses is drawn in as many boxes as can be read.
func TestMapOfTheWorld(t *testing.T) {
	var lines []string
	for i := range 5000 {
		lines = append(lines, fmt.Sprintf("shop/web > addr%d tcp/443 1", i))
	}
	for i := range 40 {
		lines = append(lines, fmt.Sprintf("shop/web > n%d.cdn.example.com tlsx/443 1", i))
	}
	lines = append(lines, "shop/web > shop/db redis/6379 7")
	watch(t, plain, 80, 24, lines, func(op *operator, _ *system) {
		op.see("outside", "5000 addresses", "*.example.com", "40 names", "db")
		op.checkScreen()
		op.press("s")
		op.typed("outside")
		op.press("enter")
		op.see("stands for 5,000")
	})
}

func BenchmarkMapKeyToFrame(b *testing.B) {
	now := time.Now()
	s := newShop(func() time.Time { return now }, 0, time.Second)
	y := newSystem(s, many(2000)...)
	window := tui.Window{}
	var m tea.Model = tui.New(tui.Options{Backend: y, Now: s.now, Profile: colorprofile.ANSI256, Context: b.Context(), View: "map", Window: &window})
	m, _ = m.Update(tea.WindowSizeMsg{Width: 120, Height: 40})
	var todo []tea.Cmd
	todo = append(todo, m.Init())
	msgs := make(chan tea.Msg, 100)
	run := func(c tea.Cmd) {
		if c != nil {
			go func() { msgs <- c() }()
		}
	}
	run(todo[0])
	for deadline := time.After(20 * time.Second); !strings.Contains(m.View().Content, "2,000 workloads"); {
		select {
		case msg := <-msgs:
			if batch, ok := msg.(tea.BatchMsg); ok {
				for _, c := range batch {
					run(c)
				}
				continue
			}
			var cmd tea.Cmd
			m, cmd = m.Update(msg)
			run(cmd)
		case <-deadline:
			b.Fatalf("the map did not come:\n%s", m.View().Content)
		}
	}
	for _, form := range []struct {
		name string
		keys []tea.KeyPressMsg
	}{{"tree", nil}, {"matrix", []tea.KeyPressMsg{{Code: 'v', Text: "v"}, {Code: 'v', Text: "v"}}}} {
		for _, k := range form.keys {
			m, _ = m.Update(k)
		}
		b.Run(form.name, func(b *testing.B) {
			keys := []tea.KeyPressMsg{special["down"], special["pgdown"], special["right"], special["up"], special["pgup"], special["left"]}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				m, _ = m.Update(keys[i%len(keys)])
				_ = m.View()
				i++
			}
		})
	}
}
