package snapshots

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/sshark/sshark/pcap/snapshot"
	"github.com/sshark/sshark/sshd/auth"
)

// Brought is a snapshot on its way from somebody who has one. It is written hidden, checked as a
// whole when it is complete, and only then kept. It is safe for concurrent use.
type Brought struct {
	l       *Library
	name    string
	by      string
	release func()

	mu   sync.Mutex
	file *file // nil: it has ended
	err  error // the first; it cannot be kept any more
}

// Bring begins to take a snapshot. Keep or Drop must be called.
func (l *Library) Bring(name, by string) (*Brought, error) {
	release, err := l.reserve(name)
	if err != nil {
		return nil, err
	}
	tmp, err := os.CreateTemp(l.o.Dir, ".bring-")
	if err != nil {
		release()
		return nil, fmt.Errorf("take snapshot: %w", err)
	}
	return &Brought{l: l, name: name, by: by, release: release, file: &file{File: tmp, l: l}}, nil
}

// WriteAt implements io.WriterAt.
func (b *Brought) WriteAt(p []byte, off int64) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.file == nil:
		return 0, os.ErrClosed
	case b.err != nil:
		return 0, b.err
	case off < 0:
		return 0, os.ErrInvalid
	}
	n, err := b.file.WriteAt(p, off)
	b.err = err
	return n, err
}

// Drop ends it, and leaves nothing. It is nothing after Keep.
func (b *Brought) Drop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop()
}

// drop is Drop; mu is held.
func (b *Brought) drop() {
	if b.file == nil {
		return
	}
	_ = b.file.Close() // nothing of it is wanted
	if err := os.Remove(b.file.Name()); err != nil && !errors.Is(err, os.ErrNotExist) {
		b.l.o.Log.Error("what was brought and refused is left", "file", b.file.Name(), "error", err)
	}
	b.l.give(b.file.size)
	b.file = nil
	b.release()
}

// Keep checks what was written, and makes it a snapshot. If it is refused nothing is left of it.
func (b *Brought) Keep(ctx context.Context) (*Info, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.file == nil {
		return nil, os.ErrClosed
	}
	info, err := b.keep(ctx)
	if err != nil {
		b.drop()
		return nil, fmt.Errorf("snapshot %q: %w", b.name, err)
	}
	_ = b.file.Close() // it is synced
	b.file = nil
	b.release()
	return info, nil
}

func (b *Brought) keep(ctx context.Context) (*Info, error) {
	if b.err != nil {
		return nil, b.err
	}
	if _, err := b.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	// What cannot be unpacked here is of no use here.
	rd, err := snapshot.NewReader(source{ctx, b.file.File}, snapshot.Limits{Bytes: b.l.o.MaxBytes})
	if err != nil {
		return nil, err
	}
	if err := snapshot.Extract(rd, nil, nil); err != nil {
		return nil, err
	}
	if err := b.file.Sync(); err != nil {
		return nil, err
	}
	st, err := b.file.Stat()
	if err != nil {
		return nil, err
	}
	i := &Info{Name: b.name, Size: st.Size(), Modified: b.l.o.Now(), By: b.by, Brought: true, Holds: auth.Scope{All: true}}
	i.describe(rd.Manifest())
	return i, b.l.keep(b.file.Name(), i, record{By: b.by, Brought: true, At: i.Modified.UTC()})
}

// source is a reader that ends with a context.
type source struct {
	ctx context.Context
	r   io.Reader
}

func (s source) Read(b []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.r.Read(b)
}
