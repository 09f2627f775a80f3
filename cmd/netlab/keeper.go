package netlab

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// keeper is one OS thread that works in network namespaces on behalf of the others, one job
// after the other. It also starts the lab's processes, for two reasons: a process begins in
// the namespace of the thread that starts it, and the kernel ends it with that thread
// (PR_SET_PDEATHSIG), so the thread has to live as long as the lab.
type keeper struct {
	jobs chan func()
	home int   // fd of the namespace that the thread began in
	err  error // why home is not known
}

func newKeeper() *keeper {
	k := &keeper{jobs: make(chan func())}
	ready := make(chan struct{})
	go func() {
		// Never unlocked: a thread that could not come home is not given back to Go.
		runtime.LockOSThread()
		k.home, k.err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		close(ready)
		for job := range k.jobs {
			job()
		}
		if k.err == nil {
			unix.Close(k.home)
		}
	}()
	<-ready
	return k
}

// close ends the thread, and with it what it started.
func (k *keeper) close() { close(k.jobs) }

// away runs f between enter and the way home.
func (k *keeper) away(enter, f func() error) error {
	if k.err != nil {
		return fmt.Errorf("find the own network namespace: %w", k.err)
	}
	done := make(chan error)
	k.jobs <- func() {
		err := enter()
		if err == nil {
			err = f()
			if back := unix.Setns(k.home, unix.CLONE_NEWNET); back != nil {
				k.err = back // no more jobs: they would run in the wrong namespace
				err = errors.Join(err, fmt.Errorf("come home from a network namespace: %w", back))
			}
		}
		done <- err
	}
	return <-done
}

// in runs f in the namespace of fd.
func (k *keeper) in(fd int, f func() error) error {
	return k.away(func() error {
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter a network namespace: %w", err)
		}
		return nil
	}, f)
}

// unshare makes a namespace, runs f in it with a path that stands for it, and returns a file
// descriptor that holds it.
func (k *keeper) unshare(f func(self string) error) (int, error) {
	fd := -1
	err := k.away(func() error {
		err := unix.Unshare(unix.CLONE_NEWNET)
		if errors.Is(err, unix.EPERM) {
			return ErrRights
		}
		return err
	}, func() (err error) {
		// Not thread-self: mount resolves the path as it is, and needs no second look.
		self := fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())
		if fd, err = unix.Open(self, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil || f == nil {
			return err
		}
		return f(self)
	})
	if err != nil && fd >= 0 {
		unix.Close(fd)
		fd = -1
	}
	return fd, err
}
