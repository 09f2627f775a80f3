package segment

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// File is what is needed of an open file.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error // data and what is needed to find it again
	Truncate(size int64) error
	Size() (int64, error)
	// Page is what offsets, sizes and memory of writes must be multiples of; 1: no matter.
	Page() int
}

// FS is what is needed of a file system. Names are whole paths.
type FS interface {
	Create(name string) (File, error)         // to write a segment: direct if that is possible
	CreateBuffered(name string) (File, error) // to write small files
	Open(name string) (File, error)           // to read
	Truncate(name string, size int64) error   // and sync
	Rename(from, to string) error
	Remove(name string) error
	List(dir string) ([]FileInfo, error)
	MkdirAll(dir string) error
	SyncDir(dir string) error
	Free(dir string) (uint64, error) // bytes that are free for this user
	Lock(name string) (io.Closer, error)
}

// FileInfo is a file of a directory.
type FileInfo struct {
	Name string
	Size int64
}

// ErrLocked: another process has the store open.
var ErrLocked = errors.New("it is in use by another process")

// pageBytes is the unit of direct writes. Devices with larger sectors refuse it, and the file
// is then written through the page cache.
const pageBytes = 4096

// OS is the real file system.
type OS struct{}

type osFile struct {
	*os.File
	direct bool
}

// Create opens with O_DIRECT where the file system has it.
func (OS) Create(name string) (File, error) {
	const flags = os.O_RDWR | os.O_CREATE | os.O_TRUNC
	f, err := os.OpenFile(name, flags|unix.O_DIRECT, 0o640)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		f, err = os.OpenFile(name, flags, 0o640)
		return &osFile{f, false}, err
	}
	return &osFile{f, true}, err
}

func (OS) CreateBuffered(name string) (File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o640)
	return &osFile{f, false}, err
}

func (f *osFile) Page() int {
	if f.direct {
		return pageBytes
	}
	return 1
}

// WriteAt goes on through the page cache when the device refuses direct writes.
func (f *osFile) WriteAt(b []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(b, off)
	if f.direct && errors.Is(err, unix.EINVAL) {
		flags, ferr := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
		if ferr == nil {
			_, ferr = unix.FcntlInt(f.Fd(), unix.F_SETFL, flags&^unix.O_DIRECT)
		}
		if ferr != nil {
			return n, err
		}
		f.direct = false
		return f.File.WriteAt(b, off)
	}
	return n, err
}

func (f *osFile) Sync() error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err != unix.EINTR {
			return err
		}
	}
}

func (f *osFile) Size() (int64, error) {
	i, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return i.Size(), nil
}

func (OS) Open(name string) (File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	return &osFile{f, false}, nil
}

func (OS) Truncate(name string, size int64) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	err = f.Truncate(size)
	return errors.Join(err, f.Sync(), f.Close())
}

func (OS) Rename(from, to string) error { return os.Rename(from, to) }

func (OS) Remove(name string) error { return os.Remove(name) }

func (OS) List(dir string) ([]FileInfo, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var list []FileInfo
	for _, e := range entries {
		i, err := e.Info()
		if err != nil || !i.Mode().IsRegular() { // gone meanwhile, or a folder
			continue
		}
		list = append(list, FileInfo{e.Name(), i.Size()})
	}
	return list, nil
}

func (OS) MkdirAll(dir string) error { return os.MkdirAll(dir, 0o750) }

func (OS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (OS) Free(dir string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return s.Bavail * uint64(s.Bsize), nil
}

// Lock holds a lock until it is closed, or the process ends.
func (OS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if err == unix.EWOULDBLOCK {
			return nil, ErrLocked
		}
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return f, nil
}

// WriteFile writes a whole file so that its name is seen only when it is complete: hidden,
// synced, renamed.
func WriteFile(fs FS, name string, data []byte) error {
	hidden := Hidden(name)
	f, err := fs.CreateBuffered(hidden)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, fs.Remove(hidden))
	}
	return fs.Rename(hidden, name)
}

// Hidden is the name of a file while it is written.
func Hidden(name string) string {
	dir, file := filepath.Split(name)
	return filepath.Join(dir, "."+file)
}
