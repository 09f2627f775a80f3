package capture

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// nsfsMagic is the file system type of namespace files (NSFS_MAGIC in linux/magic.h).
const nsfsMagic = 0x6e736673

var errNotNamespace = errors.New("not a namespace")

// statNamespace gives the inode number of the namespace at path.
func statNamespace(path string) (uint32, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return 0, fmt.Errorf("look at namespace %s: %w", path, err)
	}
	if fs.Type != nsfsMagic {
		return 0, fmt.Errorf("look at namespace %s: %w", path, errNotNamespace)
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, fmt.Errorf("look at namespace %s: %w", path, err)
	}
	return uint32(st.Ino), nil
}

// openNamespace opens the namespace at path if its inode number is still the one given. The
// open descriptor keeps the namespace alive.
func openNamespace(path string, inode uint32) (int, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open namespace %s: %w", path, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("open namespace %s: %w", path, err)
	}
	if uint32(st.Ino) != inode {
		unix.Close(fd)
		return -1, fmt.Errorf("open namespace %s: it is another one by now", path)
	}
	return fd, nil
}

// inNamespace runs f on a thread that is in the network namespace fd. A socket that f opens
// belongs to that namespace, and can be used everywhere.
func inNamespace(fd int, f func() error) error {
	done := make(chan error)
	go func() { done <- onOtherThread(fd, f) }()
	return <-done
}

func onOtherThread(fd int, f func() error) error {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		// The main thread is what /proc/PID shows of this process, so it never leaves its
		// namespace. While it is held here, the next goroutine gets another thread.
		defer runtime.UnlockOSThread()
		return inNamespace(fd, f)
	}
	home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open own namespace: %w", err)
	}
	defer unix.Close(home)
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter namespace: %w", err)
	}
	err = f()
	if back := unix.Setns(home, unix.CLONE_NEWNET); back != nil {
		// Still locked: the thread ends with this goroutine, and nobody else runs on it.
		return errors.Join(err, fmt.Errorf("return to own namespace: %w", back))
	}
	runtime.UnlockOSThread()
	return err
}
