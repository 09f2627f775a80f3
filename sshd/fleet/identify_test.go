package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/servicemap/identity"
	"github.com/sshark/sshark/sshd/sourcetest"
	"github.com/sshark/sshark/worker/server"
)

// directory knows pods by node.
type directory struct {
	mu      sync.Mutex
	pods    map[string][]identity.Pod
	ports   []uint16
	changed chan struct{}
	blocked map[string]bool // Pods of these nodes is in tell
	moved   []netip.Addr    // that changed hands
}

func (d *directory) Turned(since uint64) (addrs []netip.Addr, next uint64, all bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.moved[min(int(since), len(d.moved)):]), uint64(len(d.moved)), true
}

func (d *directory) moves() int { d.mu.Lock(); defer d.mu.Unlock(); return len(d.moved) }

// move has another pod take an address over.
func (d *directory) move(a netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.moved = append(d.moved, a)
}

func (d *directory) Who(a netip.AddrPort, at int64) (o identity.Owner, from int64, known bool) {
	if at == 0 || a.Addr().Is4In6() {
		return o, 0, false
	}
	switch a.Addr() {
	case netip.MustParseAddr("10.0.0.9"):
		return identity.Owner{Identity: &dissect.Identity{Namespace: "shop", Pod: fmt.Sprint("cart-", a.Port(), strings.Repeat("-again", d.moves()))}}, 77, true
	case netip.MustParseAddr("10.0.0.99"):
		return o, 0, false // it cannot tell yet
	}
	return o, 0, true
}

func (d *directory) Pods(ctx context.Context, node string, tell func([]identity.Pod, []string, bool) error) error {
	told := 0
	for {
		d.mu.Lock()
		pods, changed := d.pods[node], d.changed
		d.blocked[node] = true
		d.mu.Unlock()
		if err := tell(pods[min(told, len(pods)):], nil, told == 0); err != nil {
			return err
		}
		told = len(pods)
		d.mu.Lock()
		d.blocked[node] = false
		d.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (d *directory) ConsolePorts() []uint16 { d.mu.Lock(); defer d.mu.Unlock(); return d.ports }

func (d *directory) add(node string, pods ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range pods {
		d.pods[node] = append(d.pods[node], identity.Pod{Identity: &dissect.Identity{Namespace: "shop", Pod: p, PodUID: "uid-" + p}})
	}
	close(d.changed)
	d.changed = make(chan struct{})
}

func newDirectory() *directory {
	return &directory{pods: map[string][]identity.Pod{}, changed: make(chan struct{}), blocked: map[string]bool{}}
}

// who is the worker's side: it writes down what it is told.
type who struct {
	mu   sync.Mutex
	said []string
	asks chan []netip.AddrPort
	hold chan struct{} // if set, Pods waits for it: a slow worker
}

func newWho() *who { return &who{asks: make(chan []netip.AddrPort)} }

func (w *who) say(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, fmt.Sprintf(format, args...))
}

func (w *who) told() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.said)
}

func (w *who) Met() func() { return func() {} }
func (w *who) Pods(pods []identity.Pod, gone []string, whole bool) {
	if w.hold != nil {
		<-w.hold
	}
	for _, p := range pods {
		w.say("%s %v", p.Pod, whole)
	}
}
func (w *who) Owner(a netip.Addr, o identity.Owner, from int64) {
	name := "nobody"
	if o.Identity != nil {
		name = o.Pod
	}
	w.say("%v is %s since %d", a, name, from)
}

func (w *who) Was(a netip.Addr, o identity.Owner, from int64) {
	name := "nobody"
	if o.Identity != nil {
		name = o.Pod
	}
	w.say("%v is %s since %d", a, name, from)
}
func (w *who) NeverPorts(ports []uint16) { w.say("never %v", ports) }
func (w *who) Ask(ctx context.Context) ([]netip.AddrPort, error) {
	select {
	case a := <-w.asks:
		return a, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (w *who) waitFor(t *testing.T, want ...string) {
	t.Helper()
	until(t, fmt.Sprintf("to be told %q", want), func() bool {
		said := w.told()
		return !slices.ContainsFunc(want, func(s string) bool { return !slices.Contains(said, s) })
	})
}

// A worker is told its node's pods, what changes, the console's ports, and who it asks for.
// One that was started again is told all of it again.
func TestIdentify(t *testing.T) {
	d := newDirectory()
	d.ports = []uint16{30022}
	d.add("node-a", "cart-0")
	d.add("node-b", "other-0")
	m := newMembers(t, MembersOptions{Directory: d})
	source := &sourcetest.Source{Kept: 1}
	w := newWho()
	addr, stop := serve(t, "", "", server.New(source).Identified(w))
	workers := []Worker{{Node: "node-a", Addr: addr}}
	m.Set(workers)
	w.waitFor(t, "cart-0 true", "never [30022]")
	d.add("node-a", "cart-1")
	w.waitFor(t, "cart-1 false")
	d.mu.Lock()
	d.ports = []uint16{30023, 30022}
	d.mu.Unlock()
	m.Set(workers)
	w.waitFor(t, "never [30022 30023]")
	m.Set(workers) // nothing new
	var many []netip.AddrPort
	for n := range 2*ownersTold + 7 {
		many = append(many, netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(n >> 8), byte(n)}), 1))
	}
	w.asks <- append(many, netip.MustParseAddrPort("10.0.0.9:6379"), netip.MustParseAddrPort("10.0.0.99:1"))
	w.waitFor(t, "10.0.0.9 is cart-6379 since 77", "192.0.0.1 is nobody since 0", "192.0.2.6 is nobody since 0")
	w.asks <- []netip.AddrPort{netip.MustParseAddrPort("192.0.9.9:1")}
	w.waitFor(t, "192.0.9.9 is nobody since 0")
	said := w.told()
	if slices.Contains(said, "10.0.0.99 is nobody since 0") || slices.Contains(said, "other-0 true") {
		t.Errorf("told %q", said)
	}
	if n := len(said); n != 2+1+1+len(many)+1+1 {
		t.Errorf("told %d things", n)
	}
	d.move(netip.MustParseAddr("10.0.0.9"))
	d.move(netip.MustParseAddr("10.9.9.9")) // nobody asked
	w.waitFor(t, "10.0.0.9 is cart-6379-again-again since 77")
	stop()
	again := newWho()
	serve(t, addr, "", server.New(source).Identified(again))
	again.waitFor(t, "cart-0 true", "cart-1 true", "never [30022 30023]")
}

// owners had an address in turn; the last of them is nobody.
type owners struct {
	directory
	since []int64
	names []string
}

func (o *owners) Who(_ netip.AddrPort, at int64) (identity.Owner, int64, bool) {
	for i := len(o.since) - 1; i >= 0; i-- {
		if o.since[i] <= at && o.names[i] == "" {
			return identity.Owner{}, o.since[i], true
		} else if o.since[i] <= at {
			return identity.Owner{Identity: &dissect.Identity{Namespace: "shop", Pod: o.names[i]}}, o.since[i], true
		}
	}
	return identity.Owner{}, 0, true
}

// Who had an address for a moment is told too, behind who had it before.
func TestStays(t *testing.T) {
	const second = int64(time.Second)
	now := time.Now().UnixNano()
	for _, tt := range []struct {
		ago   []int64 // seconds
		names []string
		want  string
	}{
		{[]int64{3600}, []string{"a"}, "a"},
		{nil, nil, "nobody"},
		{[]int64{3600, 20, 10, 8}, []string{"a", "", "b", ""}, "a b nobody"},
		{[]int64{3600, 600, 300}, []string{"a", "b", ""}, "nobody"},
		{[]int64{9, 8, 7, 6, 5, 4}, []string{"a", "b", "c", "d", "e", "f"}, "c d e f"},
	} {
		d := &owners{names: tt.names}
		for _, s := range tt.ago {
			d.since = append(d.since, now-s*second)
		}
		var got []string
		for _, o := range (&telling{directory: d}).stays(netip.MustParseAddrPort("10.0.0.5:0"), now) {
			name := "nobody"
			if o.Identity != nil {
				name = o.Identity.Pod
			}
			got = append(got, name)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%v: told %v, want %s", tt.names, got, tt.want)
		}
	}
}

// A worker that takes nothing holds up nobody else, and the end of the members does not wait
// for it.
func TestIdentifySlow(t *testing.T) {
	d := newDirectory()
	var names []string
	for n := range 3000 {
		names = append(names, fmt.Sprintf("pod-%0200d", n))
	}
	d.add("slow", names...)
	d.add("node-b", "cart-0")
	m := newMembers(t, MembersOptions{Directory: d})
	slow, quick := newWho(), newWho()
	slow.hold = make(chan struct{})
	defer close(slow.hold)
	at, _ := serve(t, "", "", server.New(&sourcetest.Source{}).Identified(slow))
	other, _ := serve(t, "", "", server.New(&sourcetest.Source{}).Identified(quick))
	m.Set([]Worker{{Node: "slow", Addr: at}, {Node: "node-b", Addr: other}})
	quick.waitFor(t, "cart-0 true")
	until(t, "the slow one is stuck", func() bool { // the worker is in the first message, the connection holds some
		d.add("slow", names...)
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.blocked["slow"]
	})
	d.add("node-b", "cart-1")
	quick.waitFor(t, "cart-1 false")
	m.Close()
	if _, _, err := m.Fleet().Nodes(context.Background()); err != nil && !errors.Is(err, ErrNoWorkers) {
		t.Error(err)
	}
}
