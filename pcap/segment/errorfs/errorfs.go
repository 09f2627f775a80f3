// Package errorfs is a file system for tests that fails when it is told to.
// It wraps the real one, in a folder of the test.
package errorfs

import (
	"errors"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/sshark/sshark/pcap/segment"
)

// FS passes on to segment.OS what Fail lets through. It may be used by many goroutines.
type FS struct {
	segment.OS
	mu   sync.Mutex
	fail func(op, name string) error
	free uint64
	room int64 // bytes that may still be written; < 0: no limit
}

// New returns a file system in which nothing fails.
func New() *FS { return &FS{room: -1, free: 1 << 60} }

// ErrTorn makes a write fail after half of its bytes; ErrShort after all but one page.
var (
	ErrTorn  = errors.New("torn write")
	ErrShort = errors.New("short write")
)

// Fail sets what is asked before each operation: create, open, read, write, sync, truncate, rename,
// remove, list, mkdir, lock, syncdir. Names are without folder. nil: nothing fails.
func (f *FS) Fail(fail func(op, name string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fail
}

// FailOn makes operations fail on names that contain part.
func (f *FS) FailOn(err error, part string, ops ...string) {
	f.Fail(func(op, name string) error {
		for _, o := range ops {
			if o == op && strings.Contains(name, part) {
				return err
			}
		}
		return nil
	})
}

// SetFree sets what Free says.
func (f *FS) SetFree(n uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.free = n
}

// SetRoom bounds how many bytes can be written before ENOSPC; < 0: no bound.
func (f *FS) SetRoom(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.room = n
}

func (f *FS) check(op, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail == nil {
		return nil
	}
	return f.fail(op, filepath.Base(name))
}

type file struct {
	segment.File
	fs   *FS
	name string
}

func (f *file) WriteAt(b []byte, off int64) (int, error) {
	switch err := f.fs.check("write", f.name); {
	case errors.Is(err, ErrTorn), errors.Is(err, ErrShort):
		n := len(b) / 2
		if errors.Is(err, ErrShort) {
			n = max(0, len(b)-4096)
		}
		n &^= f.Page() - 1
		n, _ = f.File.WriteAt(b[:n], off)
		return n, err
	case err != nil:
		return 0, err
	}
	f.fs.mu.Lock()
	n := len(b)
	if f.fs.room >= 0 {
		n = min(n, int(f.fs.room)&^(f.Page()-1))
		f.fs.room -= int64(n)
	}
	f.fs.mu.Unlock()
	if n == len(b) {
		return f.File.WriteAt(b, off)
	}
	n, err := f.File.WriteAt(b[:n], off) // a full disk takes what it can
	return n, errors.Join(err, syscall.ENOSPC)
}

func (f *file) ReadAt(b []byte, off int64) (int, error) {
	if err := f.fs.check("read", f.name); err != nil {
		return 0, err
	}
	return f.File.ReadAt(b, off)
}

func (f *file) Sync() error {
	if err := f.fs.check("sync", f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *file) Truncate(n int64) error {
	if err := f.fs.check("truncate", f.name); err != nil {
		return err
	}
	return f.File.Truncate(n)
}

func (f *FS) wrap(op, name string, open func(string) (segment.File, error)) (segment.File, error) {
	if err := f.check(op, name); err != nil {
		return nil, err
	}
	x, err := open(name)
	if err != nil {
		return nil, err
	}
	return &file{x, f, name}, nil
}

func (f *FS) Create(name string) (segment.File, error) { return f.wrap("create", name, f.OS.Create) }

func (f *FS) CreateBuffered(name string) (segment.File, error) {
	return f.wrap("create", name, f.OS.CreateBuffered)
}

func (f *FS) Open(name string) (segment.File, error) { return f.wrap("open", name, f.OS.Open) }

func (f *FS) Truncate(name string, n int64) error {
	if err := f.check("truncate", name); err != nil {
		return err
	}
	return f.OS.Truncate(name, n)
}

func (f *FS) Rename(from, to string) error {
	if err := f.check("rename", to); err != nil {
		return err
	}
	return f.OS.Rename(from, to)
}

func (f *FS) Remove(name string) error {
	if err := f.check("remove", name); err != nil {
		return err
	}
	f.mu.Lock()
	room := f.room
	f.mu.Unlock()
	if room >= 0 { // a deleted file makes room
		if x, err := f.OS.Open(name); err == nil {
			n, _ := x.Size()
			x.Close()
			f.mu.Lock()
			f.room += n
			f.mu.Unlock()
		}
	}
	return f.OS.Remove(name)
}

func (f *FS) List(dir string) ([]segment.FileInfo, error) {
	if err := f.check("list", dir); err != nil {
		return nil, err
	}
	return f.OS.List(dir)
}

func (f *FS) MkdirAll(dir string) error {
	if err := f.check("mkdir", dir); err != nil {
		return err
	}
	return f.OS.MkdirAll(dir)
}

func (f *FS) SyncDir(dir string) error {
	if err := f.check("syncdir", dir); err != nil {
		return err
	}
	return f.OS.SyncDir(dir)
}

func (f *FS) Lock(name string) (io.Closer, error) {
	if err := f.check("lock", name); err != nil {
		return nil, err
	}
	return f.OS.Lock(name)
}

func (f *FS) Free(string) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.free, nil
}
