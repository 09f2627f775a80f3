package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
	"github.com/sshark/sshark/pcap/segment/errorfs"
)

// frame makes an Ethernet frame with IPv4 and TCP or UDP, of at least 54 bytes.
func frame(proto flow.Proto, src, dst string, flags uint8, size int) []byte {
	s, d := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	b := make([]byte, max(size, 54))
	be := binary.BigEndian
	be.PutUint16(b[12:], 0x0800)
	b[14] = 0x45
	be.PutUint16(b[16:], uint16(len(b)-14))
	b[22], b[23] = 64, byte(proto)
	copy(b[26:], s.Addr().AsSlice())
	copy(b[30:], d.Addr().AsSlice())
	be.PutUint16(b[34:], s.Port())
	be.PutUint16(b[36:], d.Port())
	if proto == flow.UDP {
		be.PutUint16(b[38:], uint16(len(b)-34))
	} else {
		b[46], b[47] = 5<<4, flags
	}
	return b
}

var (
	podA = &pcap.Interface{Name: "eth0", Link: pcap.LinkEthernet, Pod: pcap.Pod{Namespace: "shop", Name: "cart", UID: "uid-a"}}
	podB = &pcap.Interface{Name: "eth0", Link: pcap.LinkEthernet, Pod: pcap.Pod{Namespace: "shop", Name: "db", UID: "uid-b"}}
)

const start = int64(1767366245_000000000)

// traffic makes n packets, 1 ms apart, beginning with number from.
func traffic(from, n int) []pcap.Packet {
	var list []pcap.Packet
	for k := from; k < from+n; k++ {
		client := fmt.Sprintf("10.0.0.%d:%d", k%5+1, 40000+k%9)
		b := frame(flow.TCP, client, "10.0.1.1:80", flow.ACK, 60+k%700)
		i := podA
		switch {
		case k%7 == 0:
			b = frame(flow.UDP, client, "10.0.1.53:53", 0, 90)
		case k%2 == 0:
			b = frame(flow.TCP, "10.0.1.1:80", client, flow.ACK, 60+k%1300)
			i = podB
		}
		binary.BigEndian.PutUint32(b[len(b)-4:], uint32(k)) // each packet is another
		list = append(list, pcap.Packet{Time: start + int64(k)*1e6, Data: b, Length: uint32(len(b)), Flags: 1, Iface: i})
	}
	return list
}

// manual is a clock that goes when it is told to.
type manual struct {
	mu  sync.Mutex
	now time.Time
	up  time.Duration
	c   chan time.Time
}

func (m *manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

func (m *manual) add(d time.Duration) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
	m.up += d
	return m.now
}

// set sets the clock without that time passes.
func (m *manual) set(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
}

func (m *manual) Uptime() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.up
}

func (m *manual) Tick(time.Duration) (<-chan time.Time, func()) { return m.c, func() {} }

type rig struct {
	*Store
	t     *testing.T
	fs    *errorfs.FS
	clock *manual
	o     Options
}

// newRig opens a store in o.Dir, or a new folder.
func newRig(t *testing.T, o Options) *rig {
	t.Helper()
	r := &rig{t: t, fs: errorfs.New(), clock: &manual{now: time.Unix(0, start), c: make(chan time.Time)}}
	if o.Dir == "" {
		o.Dir = filepath.Join(t.TempDir(), "store")
	}
	if o.FS != nil {
		r.fs = o.FS.(*errorfs.FS)
	}
	o.FS, o.Clock, o.Node = r.fs, r.clock, "node-a"
	r.o = o
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	r.Store = s
	t.Cleanup(func() { s.Close() })
	return r
}

// tick lets time pass, and waits until the store has done what is due.
func (r *rig) tick(d time.Duration) {
	r.t.Helper()
	now := r.clock.add(d)
	r.clock.c <- now
	r.clock.c <- now // is taken when the first one is done
	r.Sync()
}

func (r *rig) add(list []pcap.Packet) {
	r.t.Helper()
	if err := r.Append(list); err != nil {
		r.t.Fatal(err)
	}
}

func any1(*flow.Info) bool { return true }

// all reads all packets, copied.
func (r *rig) all() []pcap.Packet {
	r.t.Helper()
	it := r.Packets(context.Background(), 0, 0, any1)
	defer it.Close()
	return drain(r.t, it)
}

func drain(t *testing.T, it *Iter) (list []pcap.Packet) {
	t.Helper()
	for {
		var p pcap.Packet
		err := it.Next(&p)
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		p.Data = bytes.Clone(p.Data)
		list = append(list, p)
	}
}

func (r *rig) want(want []pcap.Packet) {
	r.t.Helper()
	got := r.all()
	if len(got) != len(want) {
		r.t.Fatalf("%d packets, want %d", len(got), len(want))
	}
	for k := range got {
		if got[k].Time != want[k].Time || !bytes.Equal(got[k].Data, want[k].Data) || got[k].Iface.Pod != want[k].Iface.Pod {
			r.t.Fatalf("packet %d: %+v, want %+v", k, got[k], want[k])
		}
	}
}

func (r *rig) files() (list []string) {
	r.t.Helper()
	entries, err := os.ReadDir(r.o.Dir)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != lockFile {
			list = append(list, e.Name())
		}
	}
	return list
}

// copyTo is what a crash now leaves.
func (r *rig) copyTo(dir string) {
	r.t.Helper()
	os.MkdirAll(dir, 0o755)
	for _, f := range r.files() {
		b, err := os.ReadFile(filepath.Join(r.o.Dir, f))
		if err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, f), b, 0o644); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *rig) flows() map[flow.ID]flow.Info {
	r.t.Helper()
	m := map[flow.ID]flow.Info{}
	last := int64(0)
	err := r.Flows(context.Background(), 0, 0, any1, func(i *flow.Info) error {
		if _, twice := m[i.ID]; twice || i.First < last {
			r.t.Fatalf("flow %v: again, or out of order", i.ID)
		}
		last = i.First
		m[i.ID] = *i
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return m
}

func (r *rig) problem(part string) {
	r.t.Helper()
	for _, p := range r.Stats().Problems {
		if strings.Contains(p, part) {
			return
		}
	}
	r.t.Errorf("no problem tells %q: %q", part, r.Stats().Problems)
}

// flip changes one byte of a file; an offset below 0 counts from the end.
func flip(name string, at int) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if at < 0 {
		at += len(b)
	}
	b[at] ^= 0x55
	return os.WriteFile(name, b, 0o644)
}

func poke(name string, at int, v uint32) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(b[at:], v)
	return os.WriteFile(name, b, 0o644)
}

// middle is where some block in the middle of a segment begins.
func middle(name string) int {
	f, _ := os.Open(name)
	defer f.Close()
	r, _ := pcapng.NewReader(f, pcapng.ReaderOptions{})
	var p pcap.Packet
	for range 50 {
		r.Next(&p)
	}
	return int(r.Offset())
}
