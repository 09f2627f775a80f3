package capture

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sshark/sshark/pcap"
	"golang.org/x/sys/unix"
)

// Namespace is a network namespace that a Discoverer found.
type Namespace struct {
	Pod   pcap.Pod
	Path  string // where it can be opened: /run/netns/NAME, /proc/PID/ns/net
	Inode uint32 // its inode number there, so that a path that leads elsewhere by now is noticed
}

// Discoverer finds the namespaces of pods.
type Discoverer interface {
	// Discover tells all namespaces that there are, and all again after each change, until
	// ctx ends; then it returns nil. It must not keep a namespace alive, and must not touch
	// the list after it was told. An error ends the discovery; what was found is kept.
	Discover(ctx context.Context, found func([]Namespace)) error
}

// Named discovers the named network namespaces of a folder, as ip-netns(8) makes them: each is
// a pod with the name of its file. The folder may come and go.
type Named struct {
	Dir string       // default /run/netns
	Log *slog.Logger // default: nothing is logged
}

const (
	rescan     = time.Second          // when no event says anything
	firstRetry = 2 * time.Millisecond // while a file is there and its namespace is not yet
)

// Discover implements Discoverer.
func (n Named) Discover(ctx context.Context, found func([]Namespace)) error {
	if n.Dir == "" {
		n.Dir = "/run/netns"
	}
	if n.Log == nil {
		n.Log = slog.New(slog.DiscardHandler)
	}
	w, err := newWatch(ctx, n.Dir)
	if err != nil {
		n.Log.Warn("namespaces are only looked for each second", "err", err)
	}
	var said string // the last problem that was logged
	var told []Namespace
	first := true
	retry := firstRetry
	for {
		unwatched := w.add() // before the look, so that nothing is missed between
		list, pending, err := n.scan()
		problem := ""
		if both := errors.Join(err, unwatched); both != nil {
			problem = both.Error()
		}
		if problem != "" && problem != said {
			n.Log.Warn("look for namespaces", "dir", n.Dir, "err", problem)
		}
		said = problem
		if err == nil && (first || !slices.Equal(list, told)) {
			first = false
			told = list
			found(slices.Clone(list))
		}
		wait := rescan
		if pending {
			wait = retry
			retry = min(2*retry, rescan)
		} else {
			retry = firstRetry
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			<-w.ended
			return nil
		case <-w.changed:
			retry = firstRetry
		case <-timer.C:
		}
		timer.Stop()
	}
}

// scan lists the namespaces by name. pending says that a file is not a namespace (yet): ip
// makes the file first, and mounts the namespace on it then.
func (n Named) scan() (list []Namespace, pending bool, err error) {
	entries, err := os.ReadDir(n.Dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("list namespaces: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(n.Dir, e.Name())
		inode, err := statNamespace(path)
		if err != nil {
			pending = true
			continue
		}
		list = append(list, Namespace{Pod: pcap.Pod{Name: e.Name()}, Path: path, Inode: inode})
	}
	return list, pending, nil
}

// watch says when something changed in a folder, also when the folder itself comes.
type watch struct {
	file    *os.File
	dir     string
	changed chan struct{}
	ended   chan struct{}
}

// newWatch gives a watch that never says anything together with its error.
func newWatch(ctx context.Context, dir string) (*watch, error) {
	w := &watch{dir: dir, changed: make(chan struct{}, 1), ended: make(chan struct{})}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		close(w.ended)
		return w, fmt.Errorf("watch %s: %w", dir, err)
	}
	w.file = os.NewFile(uintptr(fd), "inotify")
	stop := context.AfterFunc(ctx, func() { w.file.Close() })
	go func() {
		defer close(w.ended)
		defer stop()
		buf := make([]byte, 16<<10)
		for {
			if _, err := w.file.Read(buf); err != nil {
				return
			}
			select {
			case w.changed <- struct{}{}:
			default:
			}
		}
	}()
	return w, nil
}

// add watches the folder, or the one above it while it does not exist. Adding again is
// harmless.
func (w *watch) add() error {
	if w.file == nil {
		return nil
	}
	raw, err := w.file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		_, failed = unix.InotifyAddWatch(int(fd), w.dir, unix.IN_CREATE|unix.IN_DELETE|unix.IN_MOVE|unix.IN_ONLYDIR)
		if errors.Is(failed, unix.ENOENT) {
			_, failed = unix.InotifyAddWatch(int(fd), filepath.Dir(w.dir), unix.IN_CREATE|unix.IN_ONLYDIR)
		}
	})
	if errors.Is(err, os.ErrClosed) || errors.Is(failed, unix.ENOENT) { // ended; or nothing there at all
		return nil
	}
	return errors.Join(err, failed)
}
