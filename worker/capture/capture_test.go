package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/worker/bpf"
	"golang.org/x/sys/unix"
)

func TestBothEnds(t *testing.T) {
	w := newWorld(t)
	w.pair()
	c := w.capture(Options{Node: "n1"})
	c.attached("a", "eth0", "lo")
	c.attached("b", "eth0", "lo")
	w.sink("b", "udp4", "10.99.0.2:7001")
	w.sink("b", "udp6", "[fd99::2]:7001")
	w.send("a", "udp4", "10.99.0.2:7001", 1000, 100)
	w.send("a", "udp6", "[fd99::2]:7001", 500, 100)
	udp6 := func(p *pcap.Packet) bool {
		d := p.Data
		return len(d) == 14+40+8+100 && d[12] == 0x86 && d[13] == 0xdd && d[20] == unix.IPPROTO_UDP
	}
	vantages := map[uint32]bool{}
	for pod, direction := range map[string]uint32{"a": pcap.FlagOutbound, "b": pcap.FlagInbound} {
		got := c.expect(pod, 1000, udp4(7001))
		for i, p := range got {
			if p.Flags&pcap.FlagDirection != direction {
				t.Fatalf("%s: packet %d has flags %#x", pod, i, p.Flags)
			}
			if n := binary.BigEndian.Uint32(p.Data[42:]); n != uint32(i) {
				t.Fatalf("%s: packet %d is number %d", pod, i, n)
			}
			if p.Flags&pcap.FlagChecksumPartial == 0 {
				t.Fatalf("%s: packet %d is not marked as of partial checksum", pod, i)
			}
		}
		if got := c.expect(pod, 500, udp6); got[0].Flags&pcap.FlagDirection != direction {
			t.Errorf("%s: flags %#x over IPv6", pod, got[0].Flags)
		}
		i := got[0].Iface
		if i.Name != "eth0" || i.Node != "n1" || i.Link != pcap.LinkEthernet || i.Vantage == 0 {
			t.Errorf("%s: interface %+v", pod, i)
		}
		vantages[i.Vantage] = true
		host := "1"
		if pod == "b" {
			host = "2"
		}
		for _, want := range []string{"10.99.0." + host + "/24", "fd99::" + host + "/64"} {
			if !slices.Contains(i.Addrs, netip.MustParsePrefix(want)) {
				t.Errorf("%s: addresses %s lack %s", pod, i.Addrs, want)
			}
		}
	}
	if len(vantages) != 2 {
		t.Errorf("vantages %v: want one for each namespace", vantages)
	}
}

func TestLoopbackOnce(t *testing.T) {
	w := newWorld(t)
	w.add("a")
	c := w.capture(Options{})
	c.attached("a", "lo")
	w.sink("a", "udp4", "127.0.0.1:7002")
	w.send("a", "udp4", "127.0.0.1:7002", 300, 20)
	c.expect("a", 300, udp4(7002))
	if s := c.Stats(); s.Seen != 300 {
		t.Errorf("seen %d, want each of 300 once", s.Seen)
	}
}

// Tags stand in the frame where it is sent, and beside it where it is received: the kernel
// takes the outer one off.
func TestVLAN(t *testing.T) {
	w := newWorld(t)
	w.pair()
	c := w.capture(Options{Target: func(pcap.Pod) Target { return Target{Never: []uint16{7099}} }})
	c.attached("a", "eth0", "lo")
	c.attached("b", "eth0", "lo")
	for _, tags := range [][]byte{
		{0x81, 0, 0xa0, 100},                 // priority 5, VLAN 100
		{0x88, 0xa8, 0, 200, 0x81, 0, 1, 44}, // QinQ
	} {
		for _, size := range []int{0, 1, 2, 100, 1450} {
			frame := taggedFrame(tags, 7003, size)
			w.sendFrames("a", [][]byte{frame, taggedFrame(tags, 7099, size), frame})
			for _, pod := range []string{"a", "b"} {
				for _, p := range c.expect(pod, 2, func(p *pcap.Packet) bool { return bytes.Equal(p.Data, frame) }) {
					if int(p.Length) != len(frame) {
						t.Errorf("%s: length %d, want %d", pod, p.Length, len(frame))
					}
				}
			}
		}
	}
	for _, s := range c.Pods() {
		if s.Stats.Filtered != 10 {
			t.Errorf("%s: %d filtered by port behind tags, want 10", s.Pod, s.Stats.Filtered)
		}
	}
}

// taggedFrame is a UDP datagram in IPv4 behind VLAN tags.
func taggedFrame(tags []byte, port uint16, size int) []byte {
	f := append([]byte{2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8}, tags...)
	f = append(f, 8, 0)
	ip := make([]byte, 28+size)
	ip[0], ip[8], ip[9] = 0x45, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	copy(ip[12:], []byte{10, 99, 0, 1, 10, 99, 0, 2})
	binary.BigEndian.PutUint16(ip[20:], 5000)
	binary.BigEndian.PutUint16(ip[22:], port)
	binary.BigEndian.PutUint16(ip[24:], uint16(8+size))
	return append(f, ip...)
}

// stream sends bytes from a to b over TCP, and returns when they have arrived.
func (w *world) stream(to string, data []byte) {
	w.t.Helper()
	var received atomic.Int64
	w.in("b", func() error {
		l, err := net.Listen("tcp", to)
		if err != nil {
			return err
		}
		w.t.Cleanup(func() { l.Close() })
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			b := make([]byte, 1<<20)
			for {
				n, err := conn.Read(b)
				received.Add(int64(n))
				if err != nil {
					return
				}
			}
		}()
		return nil
	})
	w.in("a", func() error {
		conn, err := net.Dial("tcp", to)
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Write(data)
		return err
	})
	wait(w.t, "the bytes to arrive", func() bool { return received.Load() == int64(len(data)) })
}

// Segments that the kernel leaves to the device to cut: they are captured whole.
func TestSuperpackets(t *testing.T) {
	w := newWorld(t)
	w.pair()
	c := w.capture(Options{})
	c.attached("a", "eth0", "lo")
	c.attached("b", "eth0", "lo")
	data := make([]byte, 4<<20)
	for i := range data {
		data[i] = byte(i>>8) | 1
	}
	w.stream("10.99.0.2:7004", data)
	c.drained()
	tcp := func(p *pcap.Packet) bool {
		return len(p.Data) >= 54 && p.Data[23] == unix.IPPROTO_TCP && binary.BigEndian.Uint16(p.Data[36:]) == 7004
	}
	for _, pod := range []string{"a", "b"} {
		var first uint32 // sequence number of the first byte
		largest := 0
		stream := make([]byte, len(data))
		for _, p := range c.packets(pod, tcp) {
			if int(p.Length) != len(p.Data) {
				t.Fatalf("%s: %d of %d bytes captured", pod, len(p.Data), p.Length)
			}
			seq := binary.BigEndian.Uint32(p.Data[38:])
			if p.Data[47]&2 != 0 { // SYN
				first = seq + 1
				continue
			}
			if at := int(int32(seq - first)); at >= 0 && at <= len(stream) {
				copy(stream[at:], p.Data[34+int(p.Data[46]>>4)*4:])
			}
			largest = max(largest, len(p.Data))
		}
		if !bytes.Equal(stream, data) {
			t.Errorf("%s: the packets' payload is not what was sent", pod)
		}
		if largest < 60000 {
			t.Errorf("%s: the largest packet has %d bytes, want nearly 65,549", pod, largest)
		}
		t.Logf("%s: largest packet %d bytes", pod, largest)
	}
}

// BIG TCP makes packets that do not fit: their beginning is kept, and they are counted.
func TestCut(t *testing.T) {
	w := newWorld(t)
	w.pair()
	for _, ns := range []string{"a", "b"} {
		set := exec.Command("ip", "-n", w.prefix+ns, "link", "set", "eth0", "gso_max_size", "180000", "gro_max_size", "180000")
		if out, err := set.CombinedOutput(); err != nil {
			t.Skipf("needs BIG TCP: %v: %s", err, out)
		}
	}
	c := w.capture(Options{})
	c.attached("a", "eth0", "lo")
	c.attached("b", "eth0", "lo")
	w.stream("[fd99::2]:7014", make([]byte, 8<<20))
	c.drained()
	for _, s := range c.Pods() {
		large := c.packets(s.Pod.Name, func(p *pcap.Packet) bool { return p.Length > bpf.MaxCaptured })
		for _, p := range large {
			if len(p.Data) != bpf.MaxCaptured {
				t.Fatalf("%s: %d of %d bytes captured", s.Pod, len(p.Data), p.Length)
			}
		}
		if s.Cut != uint64(len(large)) {
			t.Errorf("%s: %d packets cut, %d counted", s.Pod, len(large), s.Cut)
		}
		t.Logf("%s: %d packets cut", s.Pod, len(large))
	}
}

// The largest datagram, sent by a packet socket: 65,535 bytes of IP behind 14 of Ethernet.
func TestLargestPacket(t *testing.T) {
	w := newWorld(t)
	w.pair()
	w.run("ip -n @a link set eth0 mtu 65535")
	w.run("ip -n @b link set eth0 mtu 65535")
	c := w.capture(Options{})
	c.attached("a", "eth0", "lo")
	c.attached("b", "eth0", "lo")
	w.sink("b", "udp4", "10.99.0.2:7005")
	w.send("a", "udp4", "10.99.0.2:7005", 5, 65507)
	for _, pod := range []string{"a", "b"} {
		for _, p := range c.expect(pod, 5, udp4(7005)) {
			if len(p.Data) != 65549 || p.Length != 65549 {
				t.Fatalf("%s: %d of %d bytes captured, want 65,549", pod, len(p.Data), p.Length)
			}
		}
	}
}

func TestSnapLen(t *testing.T) {
	w := newWorld(t)
	w.pair()
	w.run("ip -n @a link set eth0 mtu 9000")
	w.run("ip -n @b link set eth0 mtu 9000")
	c := w.capture(Options{SnapLen: 200, Target: func(p pcap.Pod) Target {
		if p.Name == "b" {
			return Target{SnapLen: 96}
		}
		return Target{}
	}})
	c.attached("a", "eth0", "lo")
	c.attached("b", "eth0", "lo")
	w.sink("b", "udp4", "10.99.0.2:7006")
	for _, size := range []int{20, 54, 55, 158, 159, 1000, 8000} {
		w.send("a", "udp4", "10.99.0.2:7006", 3, size)
	}
	for pod, snap := range map[string]int{"a": 200, "b": 96} {
		for _, p := range c.expect(pod, 21, udp4(7006)) {
			size := int(binary.BigEndian.Uint16(p.Data[16:])) + 14
			if int(p.Length) != size || len(p.Data) != min(size, snap) || p.Iface.SnapLen != uint32(snap) {
				t.Errorf("%s: %d of %d bytes captured, interface says %d, want %d of %d",
					pod, len(p.Data), p.Length, p.Iface.SnapLen, min(size, snap), size)
			}
		}
	}
}

func TestTargets(t *testing.T) {
	w := newWorld(t)
	w.pair()
	c := w.capture(Options{Target: func(p pcap.Pod) Target {
		if p.Name == "a" {
			return Target{Only: []uint16{7007, 7008}, Never: []uint16{7008}}
		}
		return Target{Never: []uint16{7007}}
	}})
	c.attached("a", "eth0", "lo")
	c.attached("b", "eth0", "lo")
	w.sink("b", "udp4", ":7007")
	w.sink("b", "udp4", ":7008")
	w.sink("b", "udp4", ":7009")
	for _, port := range []string{"7007", "7008", "7009"} {
		w.send("a", "udp4", "10.99.0.2:"+port, 10, 10)
	}
	c.expect("a", 10, udp4(7007))
	c.expect("b", 10, udp4(7009))
	c.expect("a", 0, udp4(7008))
	c.expect("a", 0, udp4(7009))
	c.expect("b", 0, udp4(7007))
	c.expect("b", 10, udp4(7008))
	for _, s := range c.Pods() {
		least := map[string]uint64{"a": 20, "b": 10}[s.Pod.Name]
		if s.Stats.Filtered < least || s.Stats.Seen != s.Stats.Stored+s.Stats.Filtered {
			t.Errorf("%s: %+v, want at least %d filtered", s.Pod, s.Stats, least)
		}
	}

	// Wishes change while it runs.
	c.SetTarget(func(p pcap.Pod) Target { return Target{Off: p.Name == "a"} })
	c.attached("a")
	w.send("a", "udp4", "10.99.0.2:7007", 10, 10)
	c.expect("b", 10, udp4(7007))
	c.expect("a", 10, udp4(7007))
	c.SetTarget(func(pcap.Pod) Target { return Target{} })
	c.attached("a", "eth0", "lo")
	w.send("a", "udp4", "10.99.0.2:7007", 10, 10)
	c.expect("b", 20, udp4(7007))
	c.expect("a", 20, udp4(7007))
}

// A namespace that plays the node's own: what it keeps of others' traffic, and of the console's.
func TestOwnNamespace(t *testing.T) {
	w := newWorld(t)
	w.pair()
	w.add("node")
	w.add("far")
	// The uplink, and a pod's veth with an address, as some network plugins do it.
	w.run("ip link add up0 netns @node type veth peer name eth0 netns @far")
	w.run("ip link add pod0 netns @node type veth peer name eth1 netns @a")
	for _, c := range []string{
		"addr add 10.96.0.1/24 dev up0", "link set up0 up",
		"addr add 10.95.0.1/24 dev pod0", "link set pod0 up",
		"link add br0 type bridge", "link set br0 up",
	} {
		w.run("ip -n @node " + c)
	}
	w.run("ip -n @far addr add 10.96.0.2/24 dev eth0")
	w.run("ip -n @far link set eth0 up")
	w.run("ip -n @a addr add 10.95.0.2/24 dev eth1")
	w.run("ip -n @a link set eth1 up")
	w.run("ip -n @a route add 10.96.0.0/24 via 10.95.0.1")
	w.run("ip -n @far route add 10.95.0.0/24 via 10.96.0.1")
	w.run("ip netns exec @node sysctl -qw net.ipv4.ip_forward=1")

	inside := ours{prefix: w.prefix}
	c := w.capture(Options{
		OwnNamespace: w.path("node"),
		ExcludePorts: []uint16{2222},
		Discover:     []Discoverer{except{inside, []string{"far"}}},
	})
	c.attached("a", "eth0", "eth1", "lo")
	c.attached("b", "eth0", "lo")
	c.attached("", "lo", "up0") // not pod0, which leads to a; not br0
	for _, s := range c.Pods() {
		if s.Pod.Name == "" {
			for _, i := range s.Interfaces {
				if i.Interface.Vantage == 0 {
					t.Error("the node's own interfaces have vantage 0")
				}
			}
		}
	}
	w.sink("far", "udp4", ":7010")
	w.sink("far", "udp4", ":4789")
	w.sink("node", "udp4", ":7010")
	w.sink("node", "udp4", ":2222")
	w.sink("b", "udp4", ":2222")
	w.sink("a", "udp4", ":22222")
	w.send("a", "udp4", "10.96.0.2:7010", 10, 10)    // passes through the node
	w.send("node", "udp4", "10.96.0.2:7010", 7, 10)  // the node's own
	w.send("node", "udp4", "10.96.0.2:4789", 5, 10)  // a tunnel's outer packets
	w.send("node", "udp4", "127.0.0.1:7010", 3, 10)  // on lo
	w.send("node", "udp4", "127.0.0.1:2222", 3, 10)  // the console, on lo
	w.send("far", "udp4", "10.96.0.1:2222", 3, 10)   // from outside
	w.send("a", "udp4", "10.95.0.1:2222", 3, 10)     // from a pod
	w.send("a", "udp4", "10.99.0.2:2222", 4, 10)     // a pod's own service on that port
	w.send("far", "udp4", "10.96.0.1:7010", 6, 10)   // to the node
	w.send("far", "udp4", "10.95.0.2:22222", 10, 10) // through the node, to a

	c.expect("a", 10, udp4(7010))
	c.expect("a", 10, udp4(22222))
	c.expect("a", 4, udp4(2222))
	c.expect("b", 4, udp4(2222))
	c.expect("", 7+3+6, udp4(7010))
	c.expect("", 0, udp4(4789))
	c.expect("", 0, udp4(2222))
	c.expect("", 0, udp4(22222))
}

// except hides some namespaces.
type except struct {
	ours
	names []string
}

func (e except) Discover(ctx context.Context, found func([]Namespace)) error {
	return e.ours.Discover(ctx, func(list []Namespace) {
		found(slices.DeleteFunc(list, func(n Namespace) bool { return slices.Contains(e.names, n.Pod.Name) }))
	})
}

// Two members of a bridge in one pod: each packet once, where it enters.
func TestBridge(t *testing.T) {
	w := newWorld(t)
	w.add("a")
	w.add("b")
	w.add("sw")
	w.run("ip -n @sw link add br0 type bridge")
	w.run("ip -n @sw addr add 10.99.0.9/24 dev br0")
	for i, ns := range []string{"a", "b"} {
		w.run(fmt.Sprintf("ip link add p%d netns @sw type veth peer name eth0 netns @%s", i, ns))
		w.run(fmt.Sprintf("ip -n @%s addr add 10.99.0.%d/24 dev eth0", ns, i+1))
		w.run(fmt.Sprintf("ip -n @%s link set eth0 up", ns))
		w.run(fmt.Sprintf("ip -n @sw link set p%d master br0 up", i))
	}
	w.run("ip -n @sw link set br0 up")
	c := w.capture(Options{})
	c.attached("sw", "br0", "lo", "p0", "p1")
	c.attached("b", "eth0", "lo")
	w.sink("b", "udp4", ":7011")
	w.sink("sw", "udp4", ":7012")
	w.send("a", "udp4", "10.99.0.2:7011", 20, 10)
	w.send("a", "udp4", "10.99.0.9:7012", 20, 10)
	w.send("sw", "udp4", "10.99.0.2:7011", 20, 10)
	c.expect("b", 40, udp4(7011))
	c.expect("sw", 40, udp4(7011))
	c.expect("sw", 20, udp4(7012))
}

// Cilium's way of handing packets to a pod, past the node's side of its veth.
func TestRedirectPeer(t *testing.T) {
	w := newWorld(t)
	w.add("a")
	w.add("b")
	w.add("node")
	for i, ns := range []string{"a", "b"} {
		w.run(fmt.Sprintf("ip link add %s0 netns @node type veth peer name eth0 netns @%s", ns, ns))
		w.run(fmt.Sprintf("ip -n @%s link set eth0 address 02:00:00:00:00:0%d", ns, i+1))
		w.run(fmt.Sprintf("ip -n @%s addr add 10.99.0.%d/24 dev eth0", ns, i+1))
		w.run(fmt.Sprintf("ip -n @%s link set eth0 up", ns))
		w.run(fmt.Sprintf("ip -n @%s neigh add 10.99.0.%d lladdr 02:00:00:00:00:0%d dev eth0", ns, 2-i, 2-i))
		w.run(fmt.Sprintf("ip -n @node link set %s0 up", ns))
	}
	w.in("node", func() error {
		a, err := net.InterfaceByName("a0")
		if err != nil {
			return err
		}
		b, err := net.InterfaceByName("b0")
		if err != nil {
			return err
		}
		for _, pair := range [][2]int{{a.Index, b.Index}, {b.Index, a.Index}} {
			prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
				Type:    ebpf.SchedCLS,
				License: "GPL",
				Instructions: asm.Instructions{
					asm.Mov.Imm(asm.R1, int32(pair[1])),
					asm.Mov.Imm(asm.R2, 0),
					asm.FnRedirectPeer.Call(),
					asm.Return(),
				},
			})
			if err != nil {
				return err
			}
			defer prog.Close()
			l, err := link.AttachTCX(link.TCXOptions{Interface: pair[0], Program: prog, Attach: ebpf.AttachTCXIngress})
			if err != nil {
				t.Skip("needs tcx (Linux 6.6):", err)
			}
			t.Cleanup(func() { l.Close() })
		}
		return nil
	})
	c := w.capture(Options{})
	c.attached("a", "eth0", "lo")
	c.attached("b", "eth0", "lo")
	w.sink("b", "udp4", ":7013")
	w.sink("a", "udp4", ":7013")
	w.send("a", "udp4", "10.99.0.2:7013", 64, 10)
	w.send("b", "udp4", "10.99.0.1:7013", 32, 10)
	for _, pod := range []string{"a", "b"} {
		in := 0
		for _, p := range c.expect(pod, 96, udp4(7013)) {
			if p.Flags&pcap.FlagDirection == pcap.FlagInbound {
				in++
			}
		}
		if want := map[string]int{"a": 32, "b": 64}[pod]; in != want {
			t.Errorf("%s: %d received, want %d", pod, in, want)
		}
	}
}

func TestOptions(t *testing.T) {
	w := newWorld(t)
	for name, tt := range map[string]struct {
		opts Options
		want string
	}{
		"ring":  {Options{RingSize: 3 << 20}, "power of two"},
		"snap":  {Options{SnapLen: 10}, "smallest is 64"},
		"space": {Options{OwnNamespace: w.path("none")}, "no such file"},
		"file":  {Options{OwnNamespace: "/etc/passwd"}, "not a namespace"},
	} {
		c, err := Start(tt.opts)
		if err == nil {
			c.Close()
			t.Errorf("%s: no error", name)
		} else if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %q does not say %q", name, err, tt.want)
		}
	}
	if bpf.MaxCaptured < 65549 {
		t.Error("the largest superpacket does not fit")
	}
}
