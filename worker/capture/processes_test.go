package capture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sshark/sshark/pcap"
)

// machine is a proc file system made of plain files.
type machine struct {
	t   *testing.T
	dir string
}

const nodeInode = 4026531840

func newMachine(t *testing.T) *machine {
	m := &machine{t, t.TempDir()}
	m.process(1, nodeInode, "init", "0::/init.scope")
	m.newest(1)
	return m
}

func (m *machine) write(name, text string) {
	m.t.Helper()
	path := filepath.Join(m.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) newest(pid int) { m.write("loadavg", fmt.Sprintf("0.01 0.02 0.03 1/100 %d\n", pid)) }

func (m *machine) process(pid int, inode uint32, comm, cgroup string) {
	m.t.Helper()
	m.thread(pid, pid, inode, comm, cgroup)
}

// thread is one of process leader.
func (m *machine) thread(pid, leader int, inode uint32, comm, cgroup string) {
	m.t.Helper()
	p := strconv.Itoa(pid)
	m.write(p+"/comm", comm+"\n")
	m.write(p+"/cgroup", cgroup+"\n")
	m.write(p+"/status", fmt.Sprintf("Name:\t%s\nUmask:\t0022\nTgid:\t%d\nPid:\t%d\n", comm, leader, pid))
	m.write(p+"/ns/.made", "")
	m.join(pid, inode)
}

// join moves a process into another namespace.
func (m *machine) join(pid int, inode uint32) {
	m.t.Helper()
	link := filepath.Join(m.dir, strconv.Itoa(pid), "ns/net")
	os.Remove(link)
	if err := os.Symlink(fmt.Sprintf("net:[%d]", inode), link); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) end(pid int) {
	m.t.Helper()
	if err := os.RemoveAll(filepath.Join(m.dir, strconv.Itoa(pid))); err != nil {
		m.t.Fatal(err)
	}
}

func uidOf(n int) string      { return fmt.Sprintf("%08d-0aa0-49e6-a202-707469985b29", n) }
func cgroupOf(pod int) string { return "0::/kubepods/burstable/pod" + uidOf(pod) + "/x" }

// walked is a look at a machine at times that the test chooses.
type walked struct {
	*walk
	m   *machine
	now time.Time
}

func (m *machine) walk() *walked {
	m.t.Helper()
	w, err := Processes{Proc: m.dir}.walk()
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(w.close)
	return &walked{w, m, time.Unix(1000, 0)}
}

// finds looks after d and compares: "INODE POD PID".
func (w *walked) finds(d time.Duration, want ...string) {
	w.m.t.Helper()
	w.now = w.now.Add(d)
	if err := w.look(w.now); err != nil {
		w.m.t.Fatal(err)
	}
	var got []string
	for _, ns := range w.list() {
		pid := filepath.Base(strings.TrimSuffix(ns.Path, "/ns/net"))
		got = append(got, fmt.Sprintf("%d %s %s", ns.Inode, strings.TrimLeft(ns.Pod.UID[:8], "0"), pid))
	}
	if g, want := strings.Join(got, ", "), strings.Join(want, ", "); g != want {
		w.m.t.Errorf("found %q, want %q", g, want)
	}
}

func TestProcesses(t *testing.T) {
	m := newMachine(t)
	m.process(10, nodeInode, "kubelet", "0::/system.slice/kubelet.service")
	m.process(20, 100, "pause", cgroupOf(1))
	m.process(21, 100, "app", cgroupOf(1))
	m.process(30, nodeInode, "pause", cgroupOf(2)) // hostNetwork
	m.process(40, 300, "dockerd-thing", "0::/docker/x")
	m.newest(40)
	w := m.walk()
	w.finds(0, "100 1 20")

	// A pod that begins is found by the next look: first its pause process.
	m.process(50, 500, "pause", cgroupOf(5))
	w.finds(pollEvery, "100 1 20") // nobody said that there is a new process
	m.newest(50)
	w.finds(pollEvery, "100 1 20", "500 5 50")
	m.process(51, 500, "app", cgroupOf(5))
	m.newest(51)
	w.finds(pollEvery, "100 1 20", "500 5 50")

	// One process ends, the namespace stays; the last one ends, and it is no more.
	m.end(50)
	w.finds(checkEach, "100 1 20", "500 5 51")
	m.end(51)
	w.finds(checkEach, "100 1 20")

	// Numbers begin again.
	m.process(7, 700, "pause", cgroupOf(7))
	m.newest(7)
	w.finds(pollEvery, "100 1 20", "700 7 7")
}

// A process that is on the node first and moved into its pod's namespace, or cgroup, then.
func TestProcessMoves(t *testing.T) {
	m := newMachine(t)
	w := m.walk()
	w.finds(0)
	m.process(10, nodeInode, "runtime", "0::/system.slice/crio.service")
	m.process(11, 200, "runtime", "0::/system.slice/crio.service")
	m.newest(11)
	w.finds(pollEvery)
	m.process(10, 100, "pause", cgroupOf(1))
	w.finds(again[0], "100 1 10")
	m.process(11, 200, "pause", cgroupOf(2))
	w.finds(again[1], "100 1 10", "200 2 11")
	m.process(12, nodeInode, "slow", "0::/system.slice/crio.service")
	m.newest(12)
	w.finds(pollEvery, "100 1 10", "200 2 11")
	for range again {
		w.finds(again[2], "100 1 10", "200 2 11")
	}
	m.process(12, 300, "pause", cgroupOf(3))
	w.finds(pollEvery, "100 1 10", "200 2 11")
	w.finds(scanEach, "100 1 10", "200 2 11", "300 3 12")
}

// Agents look into namespaces that are not theirs: with a thread for a moment, or with a
// process. The pause process has the last word.
func TestProcessVisits(t *testing.T) {
	m := newMachine(t)
	w := m.walk()
	w.finds(0)
	m.process(9, nodeInode, "agent", cgroupOf(9))
	m.thread(10, 9, 100, "agent", cgroupOf(9))
	m.newest(10)
	w.finds(pollEvery)
	m.process(11, 100, "iptables", cgroupOf(9))
	m.newest(11)
	w.finds(pollEvery, "100 9 11")
	m.process(12, 100, "runc:[2:INIT]", cgroupOf(1))
	m.newest(12)
	w.finds(pollEvery, "100 9 11")
	m.write("12/comm", "pause\n")
	w.finds(again[0], "100 1 12")
	m.process(13, 100, "iptables", cgroupOf(9))
	m.newest(13)
	w.finds(pollEvery, "100 1 12")
}

// A worker's own pod is never told.
func TestProcessesSelf(t *testing.T) {
	m := newMachine(t)
	m.process(20, 100, "pause", cgroupOf(1))
	m.process(21, 100, "sshark", cgroupOf(1))
	if err := os.Symlink("21", filepath.Join(m.dir, "self")); err != nil {
		t.Fatal(err)
	}
	m.newest(21)
	m.walk().finds(0)
}

// What cannot be looked at is an error, not silence.
func TestProcessesRefused(t *testing.T) {
	for name, c := range map[string]struct {
		dir  func() string
		want string
	}{
		"no proc":    {func() string { return filepath.Join(t.TempDir(), "none") }, "none"},
		"no loadavg": {t.TempDir, "loadavg"},
		"no process": {func() string {
			m := &machine{t, t.TempDir()}
			m.newest(1)
			return m.dir
		}, "CAP_SYS_PTRACE"},
	} {
		err := Processes{Proc: c.dir()}.Discover(t.Context(), func([]Namespace) {})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// What is there is told once, and again when it changes, until the context ends.
func TestProcessesDiscover(t *testing.T) {
	m := newMachine(t)
	m.process(20, 100, "pause", cgroupOf(1))
	m.newest(20)
	ctx, cancel := context.WithCancel(t.Context())
	told := make(chan []Namespace, 10)
	done := make(chan error)
	go func() { done <- Processes{Proc: m.dir}.Discover(ctx, func(l []Namespace) { told <- l }) }()
	want := Namespace{Pod: pcap.Pod{UID: uidOf(1)}, Path: filepath.Join(m.dir, "20/ns/net"), Inode: 100}
	if l := <-told; len(l) != 1 || l[0] != want {
		t.Errorf("found %+v, want %+v", l, want)
	}
	m.process(21, 200, "pause", cgroupOf(2))
	m.newest(21)
	if l := <-told; len(l) != 2 {
		t.Errorf("found %+v, want two", l)
	}
	cancel()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// BenchmarkLook is what a look costs on this machine: while no process begins, for each that
// does, and over all of them.
func BenchmarkLook(b *testing.B) {
	w, err := Processes{}.walk()
	if err != nil {
		b.Skip("cannot look at processes:", err)
	}
	defer w.close()
	now := time.Now()
	if err := w.all(now); err != nil {
		b.Fatal(err)
	}
	b.Run("idle", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := w.newest(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("gone", func(b *testing.B) { // most live shorter than a poll
		b.ReportAllocs()
		for b.Loop() {
			w.one(1<<22, now, false)
		}
	})
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			w.one(1, now, false)
		}
	})
	b.Run("all-processes", func(b *testing.B) {
		dir, err := os.ReadDir("/proc")
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for _, e := range dir {
			if _, err := strconv.Atoi(e.Name()); err == nil {
				n++
			}
		}
		for b.Loop() {
			if err := w.all(now); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/process")
	})
}
