package worker

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/dissect/protocols"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/store"
	"github.com/sshark/sshark/servicemap/identity"
	"github.com/sshark/sshark/worker/capture"
	"github.com/sshark/sshark/worker/query"
)

// lab is three network namespaces: cart and db are pods of this node, connected by
// 10.98.0.0/24, and far is one of another node, that cart sees by 10.97.0.0/24.
type lab struct {
	t      *testing.T
	prefix string
}

const (
	cartUID = "11111111-0aa0-49e6-a202-707469985b29"
	dbUID   = "22222222-0aa0-49e6-a202-707469985b29"
)

func newLab(t *testing.T) *lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces and loads eBPF")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip of iproute2:", err)
	}
	l := &lab{t, fmt.Sprintf("hb-%d-", os.Getpid())}
	for _, name := range []string{"cart", "db", "far"} {
		if out, err := exec.Command("ip", "netns", "add", l.prefix+name).CombinedOutput(); err != nil {
			t.Skipf("cannot make network namespaces: %v: %s", err, out)
		}
		t.Cleanup(func() { exec.Command("ip", "netns", "del", l.prefix+name).Run() })
	}
	for _, command := range []string{
		"link add eth0 netns @cart type veth peer name eth0 netns @db",
		"link add eth1 netns @cart type veth peer name eth0 netns @far",
		"-n @cart addr add 10.98.0.1/24 dev eth0",
		"-n @cart addr add 10.97.0.1/24 dev eth1",
		"-n @db addr add 10.98.0.2/24 dev eth0",
		"-n @far addr add 10.97.0.2/24 dev eth0",
		"-n @cart link set eth0 up", "-n @cart link set eth1 up", "-n @db link set eth0 up", "-n @far link set eth0 up",
		"-n @far link set lo up",
	} {
		args := strings.Fields(strings.ReplaceAll(command, "@", l.prefix))
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", args, err, out)
		}
	}
	return l
}

func (l *lab) path(name string) string { return "/run/netns/" + l.prefix + name }

// Discover implements capture.Discoverer: the pods with their UIDs only.
func (l *lab) Discover(ctx context.Context, found func([]capture.Namespace)) error {
	var list []capture.Namespace
	for name, uid := range map[string]string{"cart": cartUID, "db": dbUID} {
		var st unix.Stat_t
		if err := unix.Stat(l.path(name), &st); err != nil {
			return err
		}
		list = append(list, capture.Namespace{Pod: pcap.Pod{UID: uid}, Path: l.path(name), Inode: uint32(st.Ino)})
	}
	found(list)
	<-ctx.Done()
	return nil
}

// say sends one datagram from a namespace, from a port of its own.
func (l *lab) say(name, to string) {
	l.t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		done <- func() error {
			fd, err := unix.Open(l.path(name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
				return err
			}
			conn, err := net.Dial("udp4", to)
			if err != nil {
				return err
			}
			defer conn.Close()
			_, err = conn.Write([]byte("hello"))
			return err
		}()
	}()
	if err := <-done; err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) worker(dir string, o Options) *Worker {
	l.t.Helper()
	all := protocols.All()
	language, err := filter.New(all)
	if err != nil {
		l.t.Fatal(err)
	}
	o.Node, o.Protocols, o.Language = "node-a", all, language
	o.Capture.RingSize = 1 << 20
	o.Store = store.Options{Dir: dir, MaxBytes: 64 << 20}
	if o.Capture.Discover == nil {
		o.Capture.Discover = []capture.Discoverer{l}
	}
	w, err := Start(o)
	if err != nil {
		l.t.Fatal(err)
	}
	return w
}

func wait(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("waited in vain for:", what)
		}
	}
}

// flows are the flows to a port, as "CLIENT SERVER VANTAGE", sorted.
func flows(t *testing.T, w *Worker, port int) (list []string) {
	t.Helper()
	who := func(e *dissect.Endpoint) string {
		switch {
		case e.Identity == nil:
			return e.Addr.Addr().String()
		case e.Pod == "" && e.PodUID != "":
			return e.PodUID[:8]
		}
		return e.Display()
	}
	_, err := w.Source().Flows(t.Context(), &query.Request{Filter: fmt.Sprintf("dst.port == %d", port), Vantage: query.Both}, func(f *dissect.Flow) error {
		list = append(list, fmt.Sprint(who(&f.Client), " ", who(&f.Server), " ", f.Vantage))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

func hubPods() []identity.Pod {
	return []identity.Pod{
		{Identity: &dissect.Identity{PodUID: cartUID, Namespace: "shop", Pod: "cart", Node: "node-a", Labels: map[string]string{"app": "cart"}}},
		{Identity: &dissect.Identity{PodUID: dbUID, Namespace: "data", Pod: "db", Node: "node-a", Labels: map[string]string{"app": "db"}}},
	}
}

// From UIDs to names: pods are captured before a hub is there, named when it comes, and what
// was learnt is kept with the packets.
func TestNamedByHub(t *testing.T) {
	l := newLab(t)
	dir := filepath.Join(t.TempDir(), "store")
	w := l.worker(dir, Options{})
	defer func() {
		if w != nil {
			w.Close()
		}
	}()
	wait(t, "readiness", w.Ready)
	l.say("cart", "10.98.0.2:7031")
	l.say("cart", "10.97.0.2:7031")
	var got []string
	wait(t, "the flows", func() bool { got = flows(t, w, 7031); return len(got) == 3 })
	if want := []string{"11111111 10.97.0.2 client", "11111111 22222222 client", "11111111 22222222 server"}; !slices.Equal(got, want) {
		t.Errorf("without a hub: %q, want %q", got, want)
	}

	// The hub comes: it is asked for the one address that is nobody's here.
	who := w.Who()
	left := who.Met()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	asked, err := who.Ask(ctx)
	if want := netip.MustParseAddrPort("10.97.0.2:7031"); err != nil || !slices.Equal(asked, []netip.AddrPort{want}) {
		t.Errorf("asked %v, want %v: %v", asked, want, err)
	}
	if connected, _, waiting := who.State(); !connected || waiting != 1 {
		t.Errorf("connected: %v, waiting: %d", connected, waiting)
	}
	who.Pods(hubPods(), nil, true)
	far := identity.Owner{Identity: &dissect.Identity{PodUID: "far", Namespace: "pay", Pod: "bank", Node: "node-b"}}
	who.Owner(netip.MustParseAddr("10.97.0.2"), far, 1000)
	named := []string{"shop/cart data/db client", "shop/cart data/db server", "shop/cart pay/bank client"}
	wait(t, "names of what was captured before", func() bool { got = flows(t, w, 7031); return slices.Equal(got, named) })
	before := w.capture.Stats()
	l.say("cart", "10.98.0.2:7032")
	l.say("cart", "10.97.0.2:7032")
	wait(t, "more flows", func() bool { got = flows(t, w, 7032); return len(got) == 3 })
	if !slices.Equal(got, named) {
		t.Errorf("with a hub: %q, want %q", got, named)
	}
	var labels map[string]string
	if _, err := w.Source().Flows(t.Context(), &query.Request{Filter: "dst.port == 7032"}, func(f *dissect.Flow) error {
		labels = f.Client.Labels
		return nil
	}); err != nil || labels["app"] != "cart" {
		t.Errorf("labels %v: %v", labels, err)
	}
	for _, p := range w.capture.Pods() {
		if p.Pod.Name == "" || len(p.Interfaces) == 0 {
			t.Errorf("captured: %+v", p)
		}
	}
	if after := w.capture.Stats(); after.Stored < before.Stored+3 || after.Dropped != 0 {
		t.Errorf("stored %d, then %d", before.Stored, after.Stored)
	}
	left()
	if connected, heard, waiting := who.State(); connected || heard.IsZero() || waiting != 0 {
		t.Errorf("connected: %v, heard: %v, waiting: %d", connected, heard, waiting)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}

	// The next worker knows nobody, and finds the names beside the packets.
	w = l.worker(dir, Options{Capture: capture.Options{Discover: []capture.Discoverer{capture.Named{Dir: t.TempDir()}}}})
	if got := flows(t, w, 7032); !slices.Equal(got, named) {
		t.Errorf("after a restart: %q, want %q", got, named)
	}
}

// A pod that a target leaves out is never captured: not before it is named either.
func TestTargets(t *testing.T) {
	l := newLab(t)
	w := l.worker(filepath.Join(t.TempDir(), "store"), Options{Targets: Targets{Namespaces: []string{"shop"}}})
	defer w.Close()
	wait(t, "readiness", w.Ready)
	l.say("cart", "10.98.0.2:7033")
	if s := w.capture.Stats(); s.Seen != 0 {
		t.Errorf("%+v of pods that nobody named", s)
	}
	w.Who().Pods(hubPods(), nil, true)
	l.say("cart", "10.98.0.2:7033")
	var got []string
	wait(t, "the flow", func() bool { got = flows(t, w, 7033); return len(got) > 0 })
	if want := []string{"shop/cart 10.98.0.2 client"}; !slices.Equal(got, want) {
		t.Errorf("captured %q, want %q", got, want)
	}
	for _, p := range w.capture.Pods() {
		if p.Off != (p.Pod.UID == dbUID) || p.Off && len(p.Interfaces) > 0 {
			t.Errorf("captured: %+v", p)
		}
	}
	// Its labels change what is wanted of it.
	pods := hubPods()
	pods[0].Namespace, pods[1].Namespace = "data", "shop"
	w.Who().Pods(pods, nil, false)
	wait(t, "the other one", func() bool {
		return !slices.ContainsFunc(w.capture.Pods(), func(s capture.State) bool { return s.Off != (s.Pod.UID == cartUID) })
	})
	if _, err := Start(Options{Targets: Targets{Labels: "a in b"}, Store: store.Options{Dir: t.TempDir()}}); err == nil {
		t.Error("a wrong selector is no error")
	}
}
