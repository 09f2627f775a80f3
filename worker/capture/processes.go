package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/sshark/sshark/pcap"
	"golang.org/x/sys/unix"
)

// Processes discovers the network namespaces of pods by their processes: see the package
// comment. It needs to see all processes of the node (a pod with hostPID), and CAP_SYS_PTRACE
// to look at their namespaces.
type Processes struct {
	Proc string       // where the proc file system is; default /proc
	Log  *slog.Logger // default: nothing is logged
}

const (
	// pollEvery is how often the kernel is asked whether a process began. Waking up is most of
	// what that costs. A pod's own programs start about 100 ms after its pause process.
	pollEvery = 50 * time.Millisecond
	// A look takes no more than one part in so many of a CPU: the next one waits for that.
	lookShare = 100
	checkEach = time.Second      // whether those that stand for a namespace are still there
	scanEach  = 10 * time.Second // over all processes, for what the polls may have missed
	// settled is the age at which a namespace's pod is no longer in doubt.
	settled = 3 * time.Second
	// maxFresh is the number of new processes that are looked at one by one.
	maxFresh = 4096
)

// again is when a new process that is not yet in a pod's namespace is looked at again: some
// runtimes start it on the node and move it then.
var again = [...]time.Duration{50 * time.Millisecond, 250 * time.Millisecond, time.Second}

// ErrNoHostPID: the processes of the node cannot be seen.
var ErrNoHostPID = errors.New("only this container's own processes can be seen: the pod needs hostPID")

// Discover implements Discoverer. Pods are told with their UID only.
func (p Processes) Discover(ctx context.Context, found func([]Namespace)) error {
	w, err := p.walk()
	if err != nil {
		return err
	}
	defer w.close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var told []Namespace
	for first := true; ; first = false {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		began := time.Now()
		if err := w.look(began); err != nil {
			return err
		}
		spent := time.Since(began)
		if list := w.list(); first || w.changed && !slices.Equal(list, told) {
			told = list
			found(slices.Clone(list))
		}
		w.changed = false
		timer.Reset(min(max(pollEvery, lookShare*spent), checkEach))
	}
}

// walk is a Discoverer at work: what it knows of the processes.
type walk struct {
	proc    string
	log     *slog.Logger
	dir     int // proc
	loadavg int
	node    uint32 // inode of the node's own namespace
	self    uint32 // of this process's, 0: there is none
	nth     int    // which pod of a cgroup path is meant

	last    int // the newest process that was looked at
	spaces  map[uint32]*podSpace
	young   []youth
	changed bool
	check   time.Time // when the next is due
	scan    time.Time

	buf []byte
}

// podSpace is a namespace with the process that stands for it.
type podSpace struct {
	uid   string
	pid   int // 0: it is no more
	pause bool
	since time.Time
}

// youth is a process that is to be looked at again.
type youth struct {
	pid  int
	born time.Time
	n    int // index into again
}

func (p Processes) walk() (*walk, error) {
	w := &walk{proc: p.Proc, log: p.Log, nth: 1, spaces: map[uint32]*podSpace{}, buf: make([]byte, 16<<10)}
	if w.proc == "" {
		w.proc = "/proc"
	}
	if w.log == nil {
		w.log = slog.New(slog.DiscardHandler)
	}
	if os.Getpid() == 1 && w.proc == "/proc" {
		return nil, ErrNoHostPID
	}
	var err error
	if w.dir, err = unix.Open(w.proc, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return nil, fmt.Errorf("look for processes in %s: %w", w.proc, err)
	}
	if w.loadavg, err = unix.Openat(w.dir, "loadavg", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		unix.Close(w.dir)
		return nil, fmt.Errorf("look for processes in %s: loadavg: %w", w.proc, err)
	}
	if w.node, err = w.inode("1"); err != nil {
		w.close()
		return nil, fmt.Errorf("look at the namespace of process 1 (that takes CAP_SYS_PTRACE): %w", err)
	}
	w.self, _ = w.inode("self") // there is none in a copy of another machine's
	if b, err := w.read("self/cgroup"); err == nil {
		w.nth = max(1, podDepth(b))
	}
	return w, nil
}

func (w *walk) close() {
	unix.Close(w.loadavg)
	unix.Close(w.dir)
}

// list is what is known, in a fixed order.
func (w *walk) list() []Namespace {
	out := make([]Namespace, 0, len(w.spaces))
	for _, inode := range slices.Sorted(maps.Keys(w.spaces)) {
		s := w.spaces[inode]
		out = append(out, Namespace{Pod: pcap.Pod{UID: s.uid}, Inode: inode,
			Path: filepath.Join(w.proc, strconv.Itoa(s.pid), "ns/net")})
	}
	return out
}

// look brings what is known up to date.
func (w *walk) look(now time.Time) error {
	newest, err := w.newest()
	if err != nil {
		return err
	}
	last := w.last
	w.last = newest
	lost := false
	if !now.Before(w.check) {
		w.check = now.Add(checkEach)
		lost = w.missing()
	}
	// Numbers begin again at their end (pid_max): then, too, all are looked at.
	if lost || !now.Before(w.scan) || newest < last || newest-last > maxFresh {
		return w.all(now)
	}
	for pid := last + 1; pid <= newest; pid++ {
		w.fresh(pid, now)
	}
	w.grow(now)
	return nil
}

// fresh looks at a process, or thread, that was not there before.
func (w *walk) fresh(pid int, now time.Time) {
	if w.one(pid, now, false) && len(w.young) < maxFresh {
		w.young = append(w.young, youth{pid: pid, born: now})
	}
}

// grow looks again at what is due.
func (w *walk) grow(now time.Time) {
	keep := w.young[:0]
	for _, y := range w.young {
		if now.Sub(y.born) >= again[y.n] {
			if y.n++; !w.one(y.pid, now, false) || y.n == len(again) {
				continue
			}
		}
		keep = append(keep, y)
	}
	w.young = keep
}

// all looks at every process. What nobody is in any more is forgotten.
func (w *walk) all(now time.Time) error {
	w.scan, w.young = now.Add(scanEach), w.young[:0]
	dir, err := os.Open(w.proc)
	if err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	defer dir.Close()
	for {
		names, err := dir.Readdirnames(1024)
		for _, name := range names {
			if pid, err := strconv.Atoi(name); err == nil && w.one(pid, now, true) {
				if len(w.young) < maxFresh && pid > w.last-maxFresh {
					w.young = append(w.young, youth{pid: pid, born: now})
				}
			}
		}
		if err != nil || len(names) == 0 {
			break // io.EOF; what else it may be shows when nothing is found
		}
	}
	for inode, s := range w.spaces {
		if s.pid == 0 {
			delete(w.spaces, inode)
			w.changed = true
		}
	}
	return nil
}

// missing says whether a process that stood for a namespace is gone.
func (w *walk) missing() bool {
	lost := false
	for inode, s := range w.spaces {
		if now, err := w.inode(strconv.Itoa(s.pid)); err != nil || now != inode {
			s.pid, s.pause = 0, false
			lost = true
		}
	}
	return lost
}

// one looks at a process, and says whether it may be another one's soon. Most cost one
// readlink(2): they are in a namespace that is known.
func (w *walk) one(pid int, now time.Time, leader bool) (undecided bool) {
	name := strconv.Itoa(pid)
	inode, err := w.inode(name)
	if err != nil || inode == w.self {
		return false // it ended; or it is our own
	}
	if inode == w.node {
		return true
	}
	s := w.spaces[inode]
	if s != nil && s.pid != 0 && (s.pause || now.Sub(s.since) > settled) {
		return false
	}
	// Threads enter other namespaces for a moment, as those of CNI agents and of this program do.
	if !leader && !w.leads(name) {
		return false
	}
	b, err := w.read(name + "/cgroup")
	if err != nil {
		return false
	}
	uid := podUID(b, w.nth)
	if uid == "" {
		return true
	}
	pause := w.isPause(name)
	switch {
	case s == nil:
		w.spaces[inode] = &podSpace{uid: uid, pid: pid, pause: pause, since: now}
		w.changed = true
	case s.pid == 0 || pause:
		w.changed = w.changed || s.uid != uid || s.pid != pid
		s.uid, s.pid, s.pause = uid, pid, pause
	}
	return !pause
}

// newest is the number that was given to a process or thread last: loadavg's last word
// (proc_loadavg(5)).
func (w *walk) newest() (int, error) {
	var b [128]byte
	n, err := unix.Pread(w.loadavg, b[:], 0)
	if err != nil {
		return 0, fmt.Errorf("read %s/loadavg: %w", w.proc, err)
	}
	text := bytes.TrimSpace(b[:n])
	pid, err := strconv.Atoi(string(text[bytes.LastIndexByte(text, ' ')+1:]))
	if err != nil {
		return 0, fmt.Errorf("read %s/loadavg: %w", w.proc, err)
	}
	return pid, nil
}

// inode is that of a process's network namespace: the link says "net:[4026531840]".
func (w *walk) inode(pid string) (uint32, error) {
	var b [64]byte
	n, err := unix.Readlinkat(w.dir, pid+"/ns/net", b[:])
	if err != nil {
		return 0, err
	}
	number, ok := bytes.CutPrefix(b[:n], []byte("net:["))
	if !ok || len(number) == 0 {
		return 0, errNotNamespace
	}
	inode, err := strconv.ParseUint(string(number[:len(number)-1]), 10, 32)
	return uint32(inode), err
}

// leads says whether it is a process, and not another thread of one.
func (w *walk) leads(pid string) bool {
	b, err := w.read(pid + "/status")
	if err != nil {
		return false
	}
	_, rest, ok := bytes.Cut(b, []byte("\nTgid:\t"))
	tgid, _, _ := bytes.Cut(rest, []byte{'\n'})
	return ok && string(tgid) == pid
}

// isPause says whether it is a pod's first process, which holds its namespaces.
func (w *walk) isPause(pid string) bool {
	b, err := w.read(pid + "/comm")
	return err == nil && string(bytes.TrimSpace(b)) == "pause"
}

// read gives the beginning of a file of proc, until the next read.
func (w *walk) read(name string) ([]byte, error) {
	fd, err := unix.Openat(w.dir, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, w.buf)
	if err != nil {
		return nil, err
	}
	return w.buf[:n], nil
}
