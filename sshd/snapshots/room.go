package snapshots

import (
	"fmt"
	"os"
)

// take counts bytes before they are written. What is unpacked and not read makes room.
func (l *Library) take(n int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.used+n > l.o.MaxBytes {
		if !l.discardIdle() {
			return fmt.Errorf("%w: they may have %d MiB, what is being made and read counted in; delete some", ErrRoom, l.o.MaxBytes>>20)
		}
	}
	if l.o.MinFree > 0 && (l.look == 0 || l.used+n-l.look >= min(freeEvery, max(l.free-l.o.MinFree, 0)/2)) {
		free, err := l.o.Free(l.o.Dir)
		if err != nil {
			return fmt.Errorf("find what is free on the disk: %w", err)
		}
		if int64(free) < l.o.MinFree+n && !l.discardIdle() {
			return fmt.Errorf("%w: %d MiB are free on the disk, and %d MiB are to stay free", ErrRoom, free>>20, l.o.MinFree>>20)
		}
		l.look, l.free = l.used+n, int64(free)
	}
	l.used += n
	return nil
}

// give takes back what was counted.
func (l *Library) give(n int64) {
	l.mu.Lock()
	l.used -= n
	l.look = min(l.look, l.used)
	l.mu.Unlock()
}

// file is a file whose bytes are counted. Writes at offsets count up to the farthest.
type file struct {
	*os.File
	l    *Library
	size int64
}

// create makes a file of the library.
func (l *Library) create(path string) (*file, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	return &file{File: f, l: l}, nil
}

// Write implements io.Writer, for files that are written in order.
func (f *file) Write(b []byte) (int, error) {
	if err := f.l.take(int64(len(b))); err != nil {
		return 0, err
	}
	f.size += int64(len(b))
	return f.File.Write(b)
}

// WriteAt implements io.WriterAt.
func (f *file) WriteAt(b []byte, off int64) (int, error) {
	if more := off + int64(len(b)) - f.size; more > 0 {
		if err := f.l.take(more); err != nil {
			return 0, err
		}
		f.size += more
	}
	return f.File.WriteAt(b, off)
}
