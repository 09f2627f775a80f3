package main_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sshark/sshark/cmd/netlab"
)

// mountTmpfs makes a small disk in memory.
func mountTmpfs(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("needs to mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// TestFullDisk holds that a full disk stops nothing but the keeping of packets, and that it
// shows.
func TestFullDisk(t *testing.T) {
	needsRoot(t)
	const prefix, size = "sshfull", 1100 << 20
	lab := openLab(t, prefix, twoHosts(65)...)
	state := mountTmpfs(t, "size="+strconv.Itoa(size))
	c := startAlone(t, prefix, state)
	conn := dialSink(t, lab, openSink(t, lab, "10.77.65.2:9000"))
	// The node's own device is not idle either: what was lost there is told by its next packet.
	var own net.Conn
	if err := lab.Do("node", func() (err error) { own, err = net.Dial("udp", "10.77.65.2:9001"); return err }); err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	send := func(count int) {
		for n := range count {
			if err := binary.Write(conn, binary.BigEndian, uint64(n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	kept := func() int {
		path := filepath.Join(t.TempDir(), "kept.pcapng")
		c.exported(path, "pcap", "--since", "10m", "'udp && dst.port == 9000'")
		return int(lossesIn(t, path).kept)
	}
	send(10)
	await(t, "packets to be kept", func() bool { return kept() == 20 })

	ballast := filepath.Join(state, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for at, step := int64(0), int64(64<<20); step >= 4<<10; {
		switch err := unix.Fallocate(int(f.Fd()), 0, at, step); {
		case err == nil:
			at += step
		case errors.Is(err, unix.ENOSPC):
			step /= 2 // until not a page is left
		default:
			t.Skip("needs to fill a disk:", err)
		}
	}
	await(t, "the full disk to show", func() bool { return strings.Contains(c.node().Problem, "stay free") })
	full := c.node()
	if full.State != "degraded" {
		t.Errorf("with a full disk the state is %q", full.State)
	}
	follow := c.ssh("pcap", "-f", "'udp && dst.port == 9000'")
	live := &transcript{}
	follow.Stdout = live
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "the question to be asked", func() bool { return c.node().Queries == 1 })
	mark := []byte("still followed while nothing is kept")
	if _, err := conn.Write(mark); err != nil {
		t.Fatal(err)
	}
	await(t, "a follower to see a packet that is not kept", func() bool { return strings.Contains(live.String(), string(mark)) })
	follow.Process.Signal(syscall.SIGINT)
	follow.Wait() // ssh says that it was interrupted

	send(100)
	await(t, "what is not kept to be counted", func() bool { return c.node().Disk >= 200 })
	n := c.node()
	if n.Seen != n.Stored+n.Dropped+n.Filtered || n.Dropped != n.Ring+n.Queue+n.Disk {
		t.Errorf("with a full disk: seen %d, stored %d + dropped %d (ring %d, queue %d, disk %d) + filtered %d", n.Seen, n.Stored, n.Dropped, n.Ring, n.Queue, n.Disk, n.Filtered)
	}
	if a := run(t, c.ssh("nodes")); !strings.Contains(a.errs, "stay free") || a.status != 0 {
		t.Errorf("nodes: status %d, %q", a.status, a.errs)
	}

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	f.Close()
	await(t, "the disk to be as before", func() bool { return c.node().Problem == "" })
	was := kept()
	await(t, "packets to be kept again", func() bool {
		send(1)
		return kept() > was
	})
	if _, err := own.Write([]byte("own")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "after.pcapng")
	await(t, "the node's own packet to be kept", func() bool {
		c.exported(path, "pcap", "--since", "10m")
		text, err := tailOf(path, 64<<10)
		return err == nil && bytes.Contains(text, []byte("own"))
	})
	if l, n := lossesIn(t, path), c.node(); l.reported != n.Dropped {
		t.Errorf("the packets report %d drops, nodes %d", l.reported, n.Dropped)
	}
	t.Logf("disk full: %q; %d packets were lost, all counted; kept before it and still there: %d of 20", full.Problem, c.node().Dropped, was)
	n = c.node()
	c.interrupt()
	if l := lossesIn(t, segments(t, state)...); l.dropped != n.Dropped {
		t.Errorf("the statistics of the segments have %d drops, nodes %d", l.dropped, n.Dropped)
	}
}

// TestSmallQuota holds a store of less than a usual segment to its quota.
func TestSmallQuota(t *testing.T) {
	needsRoot(t)
	const prefix = "sshquot"
	lab := openLab(t, prefix, twoHosts(66)...)
	state := t.TempDir()
	c := startAlone(t, prefix, state, "--store-mb", "1")
	conn := dialSink(t, lab, openSink(t, lab, "10.77.66.2:9000"))
	// 4 MB on both sides, not faster than small segments can be synced.
	const count, payload = 2000, 1000
	largest := int64(0)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for n := range uint64(count) {
		b := make([]byte, payload)
		binary.BigEndian.PutUint64(b, n)
		conn.Write(b)
		if n%10 == 0 {
			<-tick.C
			largest = max(largest, sizeOf(t, filepath.Join(state, "store")))
		}
	}
	path := filepath.Join(t.TempDir(), "kept.pcapng")
	var kept numbered
	await(t, "the newest packet to be kept", func() bool {
		c.exported(path, "pcap", "--since", "10m", "'udp && dst.port == 9000'")
		largest = max(largest, sizeOf(t, filepath.Join(state, "store")))
		kept = numberedIn(t, path, prefix+"-b", 9000)
		return kept.last == count-1
	})
	n := c.node()
	if n.Used > n.Limit || n.Limit != 1<<20 || largest > 1<<20 {
		t.Errorf("%d bytes are used of %d, the folder had up to %d", n.Used, n.Limit, largest)
	}
	if kept.missing > kept.drops || kept.packets < 100 {
		t.Errorf("kept are %+v", kept)
	}
	t.Logf("quota of 1 MiB: at most %d bytes on the disk, kept the newest %d of %d packets (dropped %d), %d segments", largest, kept.packets, count, n.Dropped, n.Segments)
	c.interrupt()
}

// sizeOf is the sizes of a folder's files.
func sizeOf(t *testing.T, dir string) (sum int64) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if info, err := f.Info(); err == nil { // else it was just deleted
			sum += info.Size()
		}
	}
	return sum
}

// TestBrokenSegment holds that what cannot be read is set aside, by name, and the rest is read.
func TestBrokenSegment(t *testing.T) {
	needsRoot(t)
	const prefix = "sshbrok"
	lab := openLab(t, prefix, twoHosts(67)...)
	state := t.TempDir()
	address := openSink(t, lab, "10.77.67.2:9000")
	for range 3 { // a segment each
		c := startAlone(t, prefix, state)
		conn := dialSink(t, lab, address)
		for n := range uint64(100) {
			if err := binary.Write(conn, binary.BigEndian, n); err != nil {
				t.Fatal(err)
			}
		}
		await(t, "the packets to be counted", func() bool { return c.node().Stored >= 200 })
		c.interrupt()
	}
	paths := segments(t, state)
	if len(paths) != 3 {
		t.Fatalf("there are %d segments, want 3", len(paths))
	}
	// One has garbage in its middle, and no index that would hide it; one is not a segment at all.
	text, err := os.ReadFile(paths[1])
	if err != nil {
		t.Fatal(err)
	}
	copy(text[len(text)/2:], bytes.Repeat([]byte{0xa5}, 64))
	foreign := filepath.Join(filepath.Dir(paths[1]), "99999999-20260102T150405.000000000Z.pcapng")
	for path, text := range map[string][]byte{paths[1]: text, foreign: []byte("no packets here\n")} {
		if err := os.WriteFile(path, text, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(strings.TrimSuffix(paths[1], ".pcapng") + ".idx"); err != nil {
		t.Fatal(err)
	}
	c := startAlone(t, prefix, state)
	problem := c.node().Problem
	for _, want := range []string{filepath.Base(paths[1]), "set aside", filepath.Base(foreign), "left alone"} {
		if !strings.Contains(problem, want) {
			t.Errorf("nodes does not say %q: %q", want, problem)
		}
	}
	exported := filepath.Join(t.TempDir(), "exported.pcapng")
	c.exported(exported, "pcap", "--since", "10m", "'udp && dst.port == 9000'")
	if l := lossesIn(t, exported); l.kept != 400 {
		t.Errorf("%d packets are left, want the 400 of the two sound segments", l.kept)
	}
	for _, path := range []string{paths[1] + ".broken", foreign} {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("nothing may be lost: %v", err)
		}
	}
	c.interrupt()
}

// TestRefusals holds that `sshark up` says what is in its way, and what to do.
func TestRefusals(t *testing.T) {
	needsRoot(t)
	readOnly := mountTmpfs(t, "size=1m")
	if err := unix.Mount("", readOnly, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Skipf("needs to remount: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	// A state folder whose store folder alone cannot be written to.
	keyed := t.TempDir()
	if err := os.Mkdir(filepath.Join(keyed, "store"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(readOnly, filepath.Join(keyed, "store"), "", unix.MS_BIND, ""); err != nil {
		t.Skipf("needs to mount: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(filepath.Join(keyed, "store"), unix.MNT_DETACH) })
	nobody := filepath.Join(t.TempDir(), "nobody")
	if err := os.Mkdir(nobody, 0o777); err != nil {
		t.Fatal(err)
	}
	for dir := nobody; dir != "/"; dir = filepath.Dir(dir) {
		if dir == os.TempDir() {
			break
		}
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	unprivileged := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	for _, tt := range []struct {
		name   string
		state  string
		args   []string
		attr   *syscall.SysProcAttr
		status int
		want   []string
	}{
		{"read-only disk", readOnly, nil, nil, 1, []string{"read-only", "--state"}},
		{"read-only store", keyed, nil, nil, 1, []string{"not writable", "read-only", "--pcap FILE"}},
		{"state is a file", file, nil, nil, 1, []string{file, "--state"}},
		{"foreign folder", readOnly + "/x", nil, unprivileged, 1, []string{"--state"}},
		{"without root", nobody, nil, unprivileged, 1, []string{"root", "CAP_", "sshark tap --pcap FILE", "sshark calls --pcap FILE"}},
		{"negative quota", t.TempDir(), []string{"--store-mb", "-1"}, nil, 2, []string{"store-mb"}},
		{"address in use", t.TempDir(), []string{"--listen", busy.Addr().String()}, nil, 1, []string{"in use", "--listen"}},
		{"no such key file", t.TempDir(), []string{"--authorized-keys", "/none"}, nil, 1, []string{"/none"}},
		{"no key in the key file", t.TempDir(), []string{"--authorized-keys", file}, nil, 1, []string{"no line of " + file, "id_ed25519.pub"}},
		{"ring", t.TempDir(), []string{"--ring-mb", "3"}, nil, 2, []string{"power of two"}},
		{"flag", t.TempDir(), []string{"--rings", "3"}, nil, 2, []string{"--rings", "--help"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := launch(t, tt.state, tt.args...)
			c.cmd.SysProcAttr = tt.attr
			c.start()
			await(t, "sshark up to end", c.ended)
			said := c.errs.String()
			if status := c.cmd.ProcessState.ExitCode(); status != tt.status {
				t.Errorf("exit status %d, want %d", status, tt.status)
			}
			for _, want := range tt.want {
				if !strings.Contains(said, want) {
					t.Errorf("it does not say %q: %s", want, said)
				}
			}
			if strings.Contains(said, "goroutine") || c.out.String() != "" {
				t.Errorf("it said %q, %q", c.out, said)
			}
			t.Log(strings.TrimSpace(said))
		})
	}
}

// TestSecondStart holds that two do not work in one folder.
func TestSecondStart(t *testing.T) {
	needsRoot(t)
	openLab(t, "sshtwo", netlab.Host{Name: "node"})
	state := t.TempDir()
	first := startAlone(t, "sshtwo", state)
	second := launch(t, state)
	second.start()
	await(t, "the second to end", second.ended)
	if said := second.errs.String(); !strings.Contains(said, "in use by another process") {
		t.Errorf("the second says %q", said)
	}
	first.ask("version")
	first.interrupt()
}
