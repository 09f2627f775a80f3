package capture

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sshark/sshark/pcap"
	"golang.org/x/sys/unix"
)

// Namespaces that come and go while it runs, their interfaces, and their addresses.
func TestComeAndGo(t *testing.T) {
	w := newWorld(t)
	c := w.capture(Options{})
	w.add("a")
	c.attached("a", "lo")
	w.add("b")
	c.attached("b", "lo")
	w.run("ip link add eth0 netns @a type veth peer name eth0 netns @b")
	c.attached("a", "eth0", "lo") // while it is down
	c.attached("b", "eth0", "lo")
	addrs := func(pod string) []netip.Prefix {
		for _, s := range c.Pods() {
			if s.Pod.Name == pod {
				for _, i := range s.Interfaces {
					if i.Interface.Name == "eth0" {
						return i.Interface.Addrs
					}
				}
			}
		}
		return nil
	}
	for i, ns := range []string{"a", "b"} {
		w.run(fmt.Sprintf("ip -n @%s addr add 10.99.0.%d/24 dev eth0", ns, i+1))
		w.run(fmt.Sprintf("ip -n @%s link set eth0 up", ns))
	}
	one := netip.MustParsePrefix("10.99.0.1/24")
	wait(t, "a's address", func() bool { return slices.Contains(addrs("a"), one) })
	w.sink("b", "udp4", ":7020")
	w.send("a", "udp4", "10.99.0.2:7020", 20, 10)
	before := c.expect("a", 20, udp4(7020))[19].Iface

	two := netip.MustParsePrefix("10.99.0.100/24")
	w.run("ip -n @a addr add 10.99.0.100/24 dev eth0")
	wait(t, "a's second address", func() bool { return slices.Contains(addrs("a"), two) })
	w.run("ip -n @a link set eth0 down")
	w.run("ip -n @a link set eth0 up")
	w.send("a", "udp4", "10.99.0.2:7020", 20, 10)
	after := c.expect("a", 40, udp4(7020))[39].Iface
	if before == after || slices.Contains(before.Addrs, two) || before.Vantage != after.Vantage {
		t.Errorf("the interface was %+v and is %+v", before, after)
	}

	w.run("ip -n @a link set eth0 name net1")
	c.attached("a", "lo", "net1")
	w.run("ip -n @a link del net1")
	c.attached("a", "lo")
	c.attached("b", "lo")
	for _, s := range c.Pods() {
		if s.Stats.Stored < 40 || s.Problem != "" {
			t.Errorf("%s: %+v %q, want what its interface had before", s.Pod, s.Stats, s.Problem)
		}
	}
	seen := c.Stats()
	w.run("ip netns del @b")
	wait(t, "b to be left", func() bool { return len(c.Pods()) == 1 })
	if s := c.Stats(); s.Stored < seen.Stored {
		t.Errorf("stored went from %d to %d when a namespace was left", seen.Stored, s.Stored)
	}
}

// Nothing that the capture holds keeps a namespace alive: its end of a pair goes with it.
func TestNoPin(t *testing.T) {
	w := newWorld(t)
	c := w.capture(Options{})
	w.add("stay")
	for round := range 5 {
		w.add("go")
		w.run("ip link add eth0 netns @stay type veth peer name eth0 netns @go")
		w.run("ip -n @stay link set eth0 up")
		w.run("ip -n @go link set eth0 up")
		c.attached("go", "eth0", "lo")
		c.attached("stay", "eth0", "lo")
		w.run("ip netns del @go")
		c.attached("stay", "lo") // the kernel removed the pair, because the namespace is dead
		wait(t, "go to be left", func() bool { return len(c.Pods()) == 1 })
		if t.Failed() {
			t.Fatal("round", round)
		}
	}
}

// Replaced under the same name, at once.
func TestReplaced(t *testing.T) {
	w := newWorld(t)
	c := w.capture(Options{})
	w.add("a")
	c.attached("a", "lo")
	vantage := c.Pods()[0].Interfaces[0].Interface.Vantage
	w.run("ip netns del @a")
	w.run("ip netns add @a")
	w.run("ip -n @a link set lo up")
	wait(t, "the new namespace", func() bool {
		p := c.Pods()
		return len(p) == 1 && len(p[0].Interfaces) == 1 && p[0].Interfaces[0].Interface.Vantage != vantage
	})
	w.sink("a", "udp4", "127.0.0.1:7021")
	w.send("a", "udp4", "127.0.0.1:7021", 10, 10)
	c.expect("a", 10, udp4(7021))
}

// More interfaces than there is room for: it says so, and goes on when there is room.
func TestTooMany(t *testing.T) {
	w := newWorld(t)
	w.add("a")
	w.add("b")
	c := w.capture(Options{Interfaces: 1})
	wait(t, "a problem", func() bool {
		p := c.Pods()
		return len(p) == 2 && (p[0].Problem != "") != (p[1].Problem != "")
	})
	p := c.Pods()
	ok, bad := p[0], p[1]
	if ok.Problem != "" {
		ok, bad = bad, ok
	}
	if !strings.Contains(bad.Problem, "more than 1 interfaces") {
		t.Errorf("problem %q", bad.Problem)
	}
	w.run("ip netns del @" + ok.Pod.Name)
	c.attached(bad.Pod.Name, "lo")
	wait(t, "the problem to go", func() bool { return c.Pods()[0].Problem == "" })
}

// A reader that is too slow: every packet is stored or counted as dropped, and the drops that
// packets tell of are those that the kernel counted.
func TestOverload(t *testing.T) {
	w := newWorld(t)
	w.pair()
	var slow atomic.Bool
	slow.Store(true)
	release := make(chan struct{})
	c := w.captureWith(Options{RingSize: 256 << 10}, func([]pcap.Packet) {
		if slow.Load() {
			<-release
		}
	})
	c.attached("a", "eth0", "lo")
	c.attached("b", "eth0", "lo")
	w.sink("b", "udp4", ":7022")
	for round := range 3 {
		w.send("a", "udp4", "10.99.0.2:7022", 5000, 200)
		if round == 1 {
			slow.Store(false)
			close(release)
			c.drained()
		}
	}
	w.send("a", "udp4", "10.99.0.2:7022", 1, 200)
	c.drained()

	stats := c.Stats()
	if stats.Dropped == 0 {
		t.Fatal("nothing was dropped")
	}
	if stats.Seen != stats.Stored+stats.Dropped+stats.Filtered {
		t.Errorf("%+v: seen is not stored + dropped + filtered", stats)
	}
	var tail uint64
	c.Capture.mu.Lock()
	for _, tap := range c.live {
		k, err := c.prog.Counters(tap.slot)
		if err != nil {
			t.Fatal(err)
		}
		if k.Seen != k.Stored+k.Dropped+k.Filtered {
			t.Errorf("%s %s: the kernel counted %+v", tap.space.pod, tap.device.name, k)
		}
		tail += k.Pending
	}
	c.Capture.mu.Unlock()
	var told, bytes uint64
	c.all(func(got []pcap.Packet) {
		for i := range got {
			told += got[i].Drops
			bytes += uint64(len(got[i].Data))
		}
		if uint64(len(got)) != stats.Stored {
			t.Errorf("%d packets handed out, %d stored", len(got), stats.Stored)
		}
	})
	if told+tail != stats.Dropped {
		t.Errorf("packets tell of %d drops, %d came after the last: %d counted", told, tail, stats.Dropped)
	}
	if bytes != stats.Bytes {
		t.Errorf("%d bytes handed out, %d counted", bytes, stats.Bytes)
	}
	if stats.Seen < 2*15001 {
		t.Errorf("seen %d, want at least %d", stats.Seen, 2*15001)
	}
	t.Logf("%+v, told %d, tail %d", stats, told, tail)
}

// What a tcpdump beside it writes: the same packets, at the same time.
func TestLikeTcpdump(t *testing.T) {
	if _, err := exec.LookPath("tcpdump"); err != nil {
		t.Skip("needs tcpdump:", err)
	}
	w := newWorld(t)
	w.pair()
	file := filepath.Join(t.TempDir(), "b.pcap")
	dump := exec.Command("ip", "netns", "exec", w.prefix+"b", "tcpdump", "-i", "eth0", "-s", "2000", "-B", "16384",
		"--time-stamp-precision=nano", "--immediate-mode", "-U", "-Z", "root", "-w", file, "udp port 7023")
	var messages strings.Builder
	dump.Stderr = &messages
	if err := dump.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		dump.Process.Kill()
		dump.Wait()
	})
	wait(t, "tcpdump", func() bool { i, err := os.Stat(file); return err == nil && i.Size() == 24 })
	c := w.capture(Options{})
	c.attached("b", "eth0", "lo")
	w.sink("b", "udp4", ":7023")
	const count = 2000
	w.send("a", "udp4", "10.99.0.2:7023", count, 700)
	got := c.expect("b", count, udp4(7023))
	const record = 16 + 42 + 700
	wait(t, "tcpdump to write", func() bool { i, err := os.Stat(file); return err == nil && i.Size() == 24+count*record })
	if err := dump.Process.Signal(unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := dump.Wait(); err != nil {
		t.Fatal(err, messages.String())
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	ne := binary.NativeEndian
	if len(b) != 24+count*record || ne.Uint32(b) != 0xa1b23c4d {
		t.Fatalf("tcpdump wrote %d bytes: %s", len(b), messages.String())
	}
	b = b[24:]
	apart := make([]int64, count)
	for i := range got {
		rec := b[i*record : (i+1)*record]
		when := int64(ne.Uint32(rec))*1e9 + int64(ne.Uint32(rec[4:]))
		if string(rec[16:]) != string(got[i].Data) || ne.Uint32(rec[12:]) != got[i].Length {
			t.Fatalf("packet %d differs from tcpdump's", i)
		}
		apart[i] = max(when-got[i].Time, got[i].Time-when)
	}
	// The clock is read twice, and anything may happen in between. The offset of the clocks
	// is the same for all, so if it is right, most are close.
	slices.Sort(apart)
	t.Logf("times differ from tcpdump's by %d ns, at most %d", apart[count/2], apart[count-1])
	if apart[count/2] > 100_000 {
		t.Errorf("times differ from tcpdump's by %d ns, want less than 100 us", apart[count/2])
	}
}

// Run ends with the error of the callback, and Close frees what is left.
func TestRunEnds(t *testing.T) {
	w := newWorld(t)
	w.add("a")
	c, err := Start(Options{Discover: []Discoverer{ours{prefix: w.prefix}}})
	if err != nil {
		t.Fatal(err)
	}
	r := &running{Capture: c, t: t}
	r.attached("a", "lo")
	w.send("a", "udp4", "127.0.0.1:7024", 1, 10)
	stop := errors.New("stop")
	if err := c.Run(t.Context(), func([]pcap.Packet) error { return stop }); err != stop {
		t.Errorf("run: %v", err)
	}
	if err := c.Run(t.Context(), func([]pcap.Packet) error { return nil }); err == nil {
		t.Error("a second run is no error")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if s := c.Stats(); s.Stored == 0 || s.Seen != s.Stored {
		t.Errorf("stats after the end: %+v", s)
	}
	c.SetTarget(func(pcap.Pod) Target { return Target{} })
}

// A pod that gets its name while packets come: the sockets stay, no packet is missed or told
// twice, and the counts of the two names are those of the whole.
func TestRename(t *testing.T) {
	w := newWorld(t)
	w.pair()
	const uid = "3032d389-0aa0-49e6-a202-707469985b29"
	var named atomic.Bool
	var mu sync.Mutex
	final := map[string]uint64{}
	name := func(p pcap.Pod) pcap.Pod {
		if named.Load() && p.UID != "" {
			p.Namespace, p.Name = "shop", "cart"
		}
		return p
	}
	c := w.capture(Options{
		Discover: []Discoverer{fixed{{Pod: pcap.Pod{UID: uid}, Path: w.path("b"), Inode: w.inode("b")}}},
		Name:     name,
		Final: func(i *pcap.Interface, s pcap.Stats) {
			mu.Lock()
			defer mu.Unlock()
			final[i.Pod.Name+":"+i.Name] += s.Stored
		},
	})
	c.attached("", "eth0", "lo")
	eth0 := c.Pods()[0].Interfaces[0].Interface
	w.sink("b", "udp4", ":7025")
	const count = 4000
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.send("a", "udp4", "10.99.0.2:7025", count, 100)
	}()
	wait(t, "the first packets", func() bool { return c.Stats().Stored > count/8 })
	named.Store(true)
	c.Renew()
	<-done
	c.attached("cart", "eth0", "lo")
	c.drained()
	before, after := c.packets("", udp4(7025)), c.packets("cart", udp4(7025))
	if len(before)+len(after) != count || len(after) == 0 {
		t.Fatalf("%d packets without a name and %d with it, want %d", len(before), len(after), count)
	}
	for i, p := range append(before, after...) {
		if n := binary.BigEndian.Uint32(p.Data[42:]); n != uint32(i) || p.Iface.Vantage != eth0.Vantage || p.Iface.Pod.UID != uid {
			t.Fatalf("packet %d is number %d of %+v", i, n, p.Iface)
		}
	}
	c.Renew() // nothing has changed, unless the kernel has given an address meanwhile
	if i, was := c.Pods()[0].Interfaces[0].Interface, after[len(after)-1].Iface; i != was && slices.Equal(i.Addrs, was.Addrs) {
		t.Errorf("the interface is %+v, another one than %+v", i, was)
	}
	c.stop()
	mu.Lock()
	defer mu.Unlock()
	stored := c.Stats().Stored
	if sum := final[":eth0"] + final["cart:eth0"] + final[":lo"] + final["cart:lo"]; sum != stored || final[":eth0"] == 0 || final["cart:eth0"] == 0 {
		t.Errorf("finally stored: %v, want %d in all", final, stored)
	}
}

// A pod that is told with a name from now on, and one whose namespace another pod has.
func TestUpdate(t *testing.T) {
	w := newWorld(t)
	w.add("a")
	c := w.capture(Options{Discover: []Discoverer{waiting{}}})
	ns := Namespace{Pod: pcap.Pod{UID: "1"}, Path: w.path("a"), Inode: w.inode("a")}
	c.update(0, []Namespace{ns})
	vantage := func(want pcap.Pod) uint32 {
		t.Helper()
		p := c.Pods()
		if len(p) != 1 || len(p[0].Interfaces) != 1 || p[0].Pod != want || p[0].Interfaces[0].Interface.Pod != want {
			t.Fatalf("captured: %+v, want %+v", p, want)
		}
		return p[0].Interfaces[0].Interface.Vantage
	}
	first := vantage(ns.Pod)
	ns.Pod.Namespace, ns.Pod.Name = "shop", "cart"
	c.update(0, []Namespace{ns})
	if v := vantage(ns.Pod); v != first {
		t.Errorf("a name made it another vantage: %d, was %d", v, first)
	}
	ns.Pod.UID = "2"
	c.update(0, []Namespace{ns})
	if v := vantage(ns.Pod); v == first {
		t.Error("another pod has the same vantage")
	}
}

type waiting struct{}

func (waiting) Discover(ctx context.Context, _ func([]Namespace)) error {
	<-ctx.Done()
	return nil
}

// Ports of the console that become known late.
func TestSetExcludePorts(t *testing.T) {
	w := newWorld(t)
	w.pair()
	c := w.capture(Options{OwnNamespace: w.path("b"), Discover: []Discoverer{ours{prefix: w.prefix}}})
	c.attached("a", "eth0", "lo")
	c.attached("", "lo")
	w.sink("b", "udp4", ":7026")
	w.sink("b", "udp4", ":7027")
	w.send("a", "udp4", "10.99.0.2:7026", 3, 10)
	c.expect("a", 3, udp4(7026))
	c.SetExcludePorts([]uint16{7026})
	w.send("a", "udp4", "10.99.0.2:7026", 3, 10)
	w.send("a", "udp4", "10.99.0.2:7027", 3, 10)
	c.expect("a", 3, udp4(7027))
	c.expect("a", 3, udp4(7026))
	c.SetExcludePorts(nil)
	w.send("a", "udp4", "10.99.0.2:7026", 3, 10)
	c.expect("a", 6, udp4(7026))
}
