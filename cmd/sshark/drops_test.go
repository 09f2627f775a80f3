package main_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sshark/sshark/cmd/netlab"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
)

// twoHosts are a network for UDP, and one that is the machine to a console.
func twoHosts(net int) []netlab.Host {
	return []netlab.Host{
		{Name: "a", Addrs: []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("10.77.%d.1/24", net))}},
		{Name: "b", Addrs: []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("10.77.%d.2/24", net))}},
		{Name: "node", Addrs: []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("10.77.%d.3/24", net))}},
	}
}

// openSink takes UDP in host b, so that nothing is answered, and returns where.
func openSink(t *testing.T, lab *netlab.Lab, address string) string {
	t.Helper()
	var sink net.PacketConn
	err := lab.Do("b", func() (err error) {
		sink, err = net.ListenPacket("udp", address)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sink.Close() })
	go func() {
		for b := make([]byte, 1<<16); ; {
			if _, _, err := sink.ReadFrom(b); errors.Is(err, net.ErrClosed) {
				return
			}
		}
	}()
	reach(t, lab, sink.LocalAddr().(*net.UDPAddr).IP)
	return address
}

// reach waits until datagrams of host a arrive at an address of host b: devices that were just
// made take packets and lose them, for up to a second.
func reach(t *testing.T, lab *netlab.Lab, address net.IP) {
	t.Helper()
	var probe *net.UDPConn
	err := lab.Do("b", func() (err error) {
		probe, err = net.ListenUDP("udp", &net.UDPAddr{IP: address})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer probe.Close()
	arrived := make(chan error, 1)
	go func() {
		_, _, err := probe.ReadFrom(make([]byte, 1))
		arrived <- err
	}()
	conn := dialSink(t, lab, probe.LocalAddr().String())
	await(t, "a datagram to arrive", func() bool {
		conn.Write([]byte{0}) // it is repeated
		select {
		case err := <-arrived:
			if err != nil {
				t.Fatal(err)
			}
			return true
		default:
			return false
		}
	})
}

// dialSink opens a socket of host a.
func dialSink(t *testing.T, lab *netlab.Lab, address string) net.Conn {
	t.Helper()
	var conn net.Conn
	err := lab.Do("a", func() (err error) {
		conn, err = net.Dial("udp", address)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// losses are the drops that capture files tell of.
type losses struct {
	kept     uint64 // packets
	reported uint64 // with packets (epb_dropcount)
	// The last statistics of each interface, added up.
	received, dropped uint64
}

// lossesIn reads the losses of all interfaces.
func lossesIn(t *testing.T, paths ...string) losses {
	t.Helper()
	return lossesOf(t, "", paths...)
}

// lossesOf reads those of the pods whose names begin with a prefix.
func lossesOf(t *testing.T, prefix string, paths ...string) losses {
	t.Helper()
	var l losses
	received, dropped := map[string]uint64{}, map[string]uint64{}
	for _, path := range paths {
		o := pcapng.ReaderOptions{OnStats: func(i *pcap.Interface, r, d uint64) {
			if key := i.Pod.String() + " " + i.Name; strings.HasPrefix(i.Pod.Name, prefix) {
				received[key], dropped[key] = r, d // counted from the start of the capture
			}
		}}
		eachPacket(t, path, o, func(p *pcap.Packet, _ *flow.Header) {
			if strings.HasPrefix(p.Iface.Pod.Name, prefix) {
				l.kept++
				l.reported += p.Drops
			}
		})
	}
	for key := range received {
		l.received += received[key]
		l.dropped += dropped[key]
	}
	return l
}

// segments are the complete segments of a state folder.
func segments(t *testing.T, state string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(state, "store", "[0-9]*.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(paths)
	return paths
}

// TestDrops holds that what is lost is counted once, and told alike everywhere.
func TestDrops(t *testing.T) {
	needsRoot(t)
	lab := openLab(t, "sshdrop", twoHosts(63)...)
	state := t.TempDir()
	c := startAlone(t, "sshdrop", state, "--ring-mb", "1")
	to := openSink(t, lab, "10.77.63.2:9000")

	// More than 1 MiB comes in between two visits of the reader, until enough was dropped.
	const rounds, perRound = 40, 4000
	conns := []net.Conn{dialSink(t, lab, to), dialSink(t, lab, to)}
	sent := 0
	for round := range rounds {
		var wg sync.WaitGroup
		for _, conn := range conns {
			wg.Go(func() {
				b := make([]byte, 1400)
				for range perRound {
					conn.Write(b) // full buffers of the sender are no loss of ours
				}
			})
		}
		wg.Wait()
		sent += len(conns) * perRound
		if round > 2 && c.node().Dropped > 1000 {
			break
		}
	}
	// The next packet of each interface tells what was lost before it. It is kept a moment later.
	var last node
	var said string
	exported := filepath.Join(t.TempDir(), "exported.pcapng")
	await(t, "the exported packets to report all that was lost", func() bool {
		binary.Write(conns[0], binary.BigEndian, uint64(0))
		said = c.exported(exported, "pcap", "--since", "10m")
		last = c.node()
		return lossesIn(t, exported).reported == last.Dropped
	})
	if last.Dropped == 0 {
		t.Skipf("this machine captured all of %d packets with a ring of 1 MiB: nothing was lost", sent)
	}
	if last.Seen != last.Stored+last.Dropped+last.Filtered {
		t.Errorf("seen %d, stored %d + dropped %d + filtered %d", last.Seen, last.Stored, last.Dropped, last.Filtered)
	}
	if last.Dropped != last.Ring+last.Queue+last.Disk {
		t.Errorf("dropped %d, in the ring %d, the queue %d, the disk %d", last.Dropped, last.Ring, last.Queue, last.Disk)
	}
	var pods uint64
	for _, p := range last.Pods {
		pods += p.Dropped
	}
	if pods != last.Ring {
		t.Errorf("the pods lost %d in the ring, the node %d", pods, last.Ring)
	}

	drops := strconv.FormatUint(last.Dropped, 10)
	table := lines(c.ask("nodes"))
	if len(table) < 2 || column(table, "DROPPED") != drops {
		t.Errorf("nodes -o json has %s drops, nodes: %q", drops, table)
	}
	wide := lines(c.ask("nodes", "-o", "wide"))
	sum := uint64(0)
	for _, name := range []string{"RING", "QUEUE", "DISK"} {
		n, err := strconv.ParseUint(column(wide, name), 10, 64)
		if err != nil {
			t.Errorf("nodes -o wide: %s: %v", name, err)
		}
		sum += n
	}
	if sum != last.Dropped {
		t.Errorf("nodes -o json has %s drops, ring, queue and disk of nodes -o wide: %q", drops, wide)
	}

	if m := regexp.MustCompile(`packets lost in this window: (\d+)`).FindStringSubmatch(said); m == nil || m[1] != drops {
		t.Errorf("pcap says %q, want %s lost", said, drops)
	}
	if screen := c.screen(t, "nodes"); screen != nil {
		want := group(last.Dropped) + " lost."
		await(t, "the screen to tell of drops", func() bool { return strings.Contains(screen(), " lost.") })
		if text := screen(); !strings.Contains(text, want) {
			t.Errorf("the screen does not say %q:\n%s", want, text)
		}
	}

	c.interrupt()
	in := lossesIn(t, segments(t, state)...)
	// lo goes on until the end, so there may be more than before, of packets and of drops.
	if in.reported != last.Dropped {
		t.Errorf("the packets kept report %d drops, nodes %s", in.reported, drops)
	}
	if in.dropped != last.Dropped {
		t.Errorf("the statistics of the segments have %d drops, nodes %s", in.dropped, drops)
	}
	if in.received-in.dropped < in.kept {
		t.Errorf("the statistics of the segments have %d received and %d dropped, there are %d packets", in.received, in.dropped, in.kept)
	}
	t.Logf("%d packets sent; seen %d, stored %d, dropped %d (ring %d, queue %d, disk %d); kept in the end %d",
		sent, last.Seen, last.Stored, last.Dropped, last.Ring, last.Queue, last.Disk, in.kept)
}

// TestStopUnderLoad holds that the last statistics are final: they account for each packet of
// the pods, also when the capture ends in the middle of an overload.
func TestStopUnderLoad(t *testing.T) {
	needsRoot(t)
	lab := openLab(t, "sshload", twoHosts(68)...)
	state := t.TempDir()
	c := startAlone(t, "sshload", state, "--ring-mb", "1")
	to := openSink(t, lab, "10.77.68.2:9000")
	stop := make(chan struct{})
	senders := []*flood{{}, {}}
	for _, f := range senders {
		f.start(dialSink(t, lab, to), 1400, 200_000, stop)
	}
	await(t, "packets to be kept", func() bool { return c.node().Stored > 10_000 })
	c.interrupt()
	close(stop)
	for _, f := range senders {
		<-f.done
	}
	l := lossesOf(t, "sshload-", segments(t, state)...)
	if l.received != l.kept+l.dropped || l.kept == 0 {
		t.Errorf("the statistics have %d received and %d dropped, which leaves %d; there are %d packets", l.received, l.dropped, l.received-l.dropped, l.kept)
	}
	if l.reported > l.dropped {
		t.Errorf("the packets report %d drops, the statistics %d", l.reported, l.dropped)
	}
	t.Logf("received %d, kept %d, dropped %d, of which %d after the last packet kept", l.received, l.kept, l.dropped, l.dropped-l.reported)
}

// column is the cell below a title, in the first line of a table.
func column(table []string, title string) string {
	if len(table) < 2 {
		return ""
	}
	cells := regexp.MustCompile(`\s{2,}`).Split(strings.TrimSpace(table[1]), -1)
	for n, name := range regexp.MustCompile(`\s{2,}`).Split(strings.TrimSpace(table[0]), -1) {
		if name == title && n < len(cells) {
			return cells[n]
		}
	}
	return ""
}

// group writes a number as the screen does.
func group(n uint64) string {
	s := strconv.FormatUint(n, 10)
	var b bytes.Buffer
	for i := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// flood sends numbered datagrams at a rate until stop is closed.
type flood struct {
	mu   sync.Mutex
	sent []time.Time // when each burst began
	done chan struct{}
}

const burst = 500

// start sends in bursts: number n is in the first 8 bytes of datagram n.
func (f *flood) start(conn net.Conn, size, perSecond int, stop <-chan struct{}) {
	f.done = make(chan struct{})
	go func() {
		defer close(f.done)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		b := make([]byte, size)
		n := uint64(0)
		for begun := time.Now(); ; {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			if now := time.Now(); now.Sub(begun) >= time.Duration(n)*time.Second/time.Duration(perSecond) {
				f.mu.Lock()
				f.sent = append(f.sent, now)
				f.mu.Unlock()
				for range burst {
					binary.BigEndian.PutUint64(b, n)
					conn.Write(b) // the device takes all; whether the sink does is not asked
					n++
				}
			}
		}
	}()
}

// before is how many were sent before a time, at least.
func (f *flood) before(t time.Time) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for n < len(f.sent) && f.sent[n].Before(t) {
		n++
	}
	return uint64(max(0, n-1) * burst)
}

// after is the number of the first one that was sent after a time.
func (f *flood) after(t time.Time) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for n < len(f.sent) && !f.sent[n].After(t) {
		n++
	}
	return uint64(n * burst)
}

// when is when the burst began that a datagram was in.
func (f *flood) when(n uint64) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sent[n/burst]
}
