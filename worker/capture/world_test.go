package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sshark/sshark/pcap"
	"golang.org/x/sys/unix"
)

// world makes network namespaces for a test, and removes them after it.
type world struct {
	t      *testing.T
	prefix string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces and loads eBPF")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip of iproute2:", err)
	}
	w := &world{t: t, prefix: fmt.Sprintf("sscap-%d-", os.Getpid())}
	probe := w.prefix + "probe"
	if out, err := exec.Command("ip", "netns", "add", probe).CombinedOutput(); err != nil {
		t.Skipf("cannot make network namespaces: %v: %s", err, out)
	}
	w.run("ip netns del " + probe)
	return w
}

// run executes a command; words are split at blanks, and a name with @ gets the prefix.
func (w *world) run(command string) string {
	w.t.Helper()
	args := strings.Fields(strings.ReplaceAll(command, "@", w.prefix))
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (w *world) add(name string) {
	w.t.Helper()
	w.run("ip netns add @" + name)
	w.t.Cleanup(func() { exec.Command("ip", "netns", "del", w.prefix+name).Run() })
	w.run("ip -n @" + name + " link set lo up")
}

// pair makes namespaces a and b, connected by eth0 in each: 10.99.0.1 and fd99::1, and 2.
func (w *world) pair() {
	w.t.Helper()
	w.add("a")
	w.add("b")
	w.run("ip link add eth0 netns @a type veth peer name eth0 netns @b")
	for i, ns := range []string{"a", "b"} {
		w.run(fmt.Sprintf("ip -n @%s addr add 10.99.0.%d/24 dev eth0", ns, i+1))
		w.run(fmt.Sprintf("ip -n @%s addr add fd99::%d/64 dev eth0 nodad", ns, i+1))
		w.run(fmt.Sprintf("ip -n @%s link set eth0 up", ns))
	}
}

func (w *world) path(name string) string { return "/run/netns/" + w.prefix + name }

func (w *world) inode(name string) uint32 {
	w.t.Helper()
	inode, err := statNamespace(w.path(name))
	if err != nil {
		w.t.Fatal(err)
	}
	return inode
}

// in runs f in a namespace.
func (w *world) in(name string, f func() error) {
	w.t.Helper()
	fd, err := openNamespace(w.path(name), w.inode(name))
	if err != nil {
		w.t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := inNamespace(fd, f); err != nil {
		w.t.Fatalf("in namespace %s: %v", name, err)
	}
}

// send has UDP datagrams sent from one namespace: payloads begin with their number.
func (w *world) send(name, network, to string, count, size int) {
	w.t.Helper()
	w.in(name, func() error {
		conn, err := net.Dial(network, to)
		if err != nil {
			return err
		}
		defer conn.Close()
		b := make([]byte, size)
		for i := range count {
			binary.BigEndian.PutUint32(b, uint32(i))
			if _, err := conn.Write(b); err != nil { // also if nobody listens
				return err
			}
		}
		return nil
	})
}

// sink takes UDP datagrams and forgets them, so that nothing is answered.
func (w *world) sink(name, network, addr string) {
	w.t.Helper()
	w.in(name, func() error {
		conn, err := net.ListenPacket(network, addr)
		if err != nil {
			return err
		}
		w.t.Cleanup(func() { conn.Close() })
		go func() {
			b := make([]byte, 1<<16)
			for {
				if _, _, err := conn.ReadFrom(b); err != nil {
					return
				}
			}
		}()
		return nil
	})
}

// sendFrames has frames sent by eth0 of a namespace as they are.
func (w *world) sendFrames(name string, frames [][]byte) {
	w.t.Helper()
	w.in(name, func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		eth0, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		for _, f := range frames {
			if err := unix.Sendto(fd, f, 0, &unix.SockaddrLinklayer{Ifindex: eth0.Index}); err != nil {
				return err
			}
		}
		return nil
	})
}

// ours finds the namespaces of one world, and no others of this machine.
type ours struct {
	Named
	prefix string
}

func (o ours) Discover(ctx context.Context, found func([]Namespace)) error {
	return o.Named.Discover(ctx, func(list []Namespace) {
		list = slices.DeleteFunc(list, func(n Namespace) bool { return !strings.HasPrefix(n.Pod.Name, o.prefix) })
		for i := range list {
			list[i].Pod.Name = strings.TrimPrefix(list[i].Pod.Name, o.prefix)
		}
		found(list)
	})
}

// running is a capture with everything that it handed out.
type running struct {
	*Capture
	t    *testing.T
	stop func() // ends Run, and waits for it

	mu  sync.Mutex
	got []pcap.Packet // with copies of the data
}

func (w *world) capture(opts Options) *running {
	w.t.Helper()
	return w.captureWith(opts, nil)
}

// captureWith calls before with each batch.
func (w *world) captureWith(opts Options, before func([]pcap.Packet)) *running {
	w.t.Helper()
	if opts.Discover == nil {
		opts.Discover = []Discoverer{ours{prefix: w.prefix}}
	}
	c, err := Start(opts)
	if err != nil {
		w.t.Fatal(err)
	}
	r := &running{Capture: c, t: w.t}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- c.Run(ctx, func(batch []pcap.Packet) error {
			if before != nil {
				before(batch)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, p := range batch {
				p.Data = bytes.Clone(p.Data)
				r.got = append(r.got, p)
			}
			return nil
		})
	}()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error("run:", err)
		}
	})
	w.t.Cleanup(func() {
		r.stop()
		if err := c.Close(); err != nil {
			w.t.Error(err)
		}
	})
	return r
}

// wait waits for a condition.
func wait(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("waited in vain for:", what)
		}
	}
}

// attached waits until a pod has exactly these interfaces.
func (r *running) attached(pod string, names ...string) {
	r.t.Helper()
	var have []string
	defer func() {
		if r.t.Failed() {
			r.t.Logf("%q has %q: %+v", pod, have, r.Pods())
		}
	}()
	wait(r.t, fmt.Sprintf("%q to have %q", pod, names), func() bool {
		have = nil
		for _, s := range r.Pods() {
			if s.Pod.Name == pod {
				for _, i := range s.Interfaces {
					have = append(have, i.Interface.Name)
				}
			}
		}
		return slices.Equal(have, names)
	})
}

// packets are those of a pod that match, so far.
func (r *running) packets(pod string, match func(*pcap.Packet) bool) []pcap.Packet {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []pcap.Packet
	for i := range r.got {
		if p := &r.got[i]; p.Iface.Pod.Name == pod && match(p) {
			out = append(out, *p)
		}
	}
	return out
}

func (r *running) all(look func([]pcap.Packet)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	look(r.got)
}

// expect waits for count packets, and then for all that the capture holds, to see that there
// are no more.
func (r *running) expect(pod string, count int, match func(*pcap.Packet) bool) []pcap.Packet {
	r.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	wait(r.t, "packets", func() bool {
		return len(r.packets(pod, match)) >= count || time.Now().After(deadline)
	})
	r.drained()
	got := r.packets(pod, match)
	if len(got) != count {
		r.t.Fatalf("pod %q: %d packets, want %d", pod, len(got), count)
	}
	return got
}

// drained waits until everything that the kernel stored was handed out.
func (r *running) drained() {
	r.t.Helper()
	wait(r.t, "the ring to be read", func() bool {
		stored := r.Stats().Stored
		r.mu.Lock()
		defer r.mu.Unlock()
		return uint64(len(r.got)) >= stored
	})
}

// udp4 matches UDP over IPv4 to a port, in Ethernet without tags.
func udp4(port uint16) func(*pcap.Packet) bool {
	return func(p *pcap.Packet) bool {
		d := p.Data
		return len(d) >= 42 && d[12] == 8 && d[13] == 0 && d[23] == unix.IPPROTO_UDP &&
			binary.BigEndian.Uint16(d[36:]) == port
	}
}
