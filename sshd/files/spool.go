package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// spool is a file that was made as a whole, so that its size is exact and all of its readers
// see the same bytes.
type spool struct {
	file *os.File // has no name any more: it ends with the session, however that ends
	size int64
	end  error // what its reader must be told at the end
}

var errNoRoom = errors.New("larger than the spool")

// spool makes the file of a closed export, once. It returns nil, nil if there is no room for
// it, or it takes too long: the size is then not known.
func (t *Tree) spool(p string, e *export) (*spool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.spools[p]; s != nil {
		return s, nil
	}
	if t.tooBig[p] {
		return nil, nil
	}
	f, err := os.CreateTemp(t.Spool, "sshark-export-")
	if err != nil {
		return nil, fmt.Errorf("make spool file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("make spool file: %w", err), f.Close())
	}
	w := &bounded{w: f, left: t.SpoolMax - t.spooled}
	ctx, cancel := context.WithTimeout(t.ctx, spoolTime)
	defer cancel()
	err = t.produce(ctx, e, w)
	if t.ctx.Err() != nil {
		return nil, errors.Join(t.ctx.Err(), f.Close())
	}
	if errors.Is(err, errNoRoom) || ctx.Err() != nil {
		t.tooBig[p] = true
		return nil, f.Close()
	}
	s := &spool{file: f, size: w.n, end: err}
	t.spooled += s.size
	t.spools[p] = s
	return s, nil
}

// bounded refuses to write more than a number of bytes.
type bounded struct {
	w    io.Writer
	left int64
	n    int64
}

func (b *bounded) Write(p []byte) (int, error) {
	if int64(len(p)) > b.left {
		return 0, errNoRoom
	}
	n, err := b.w.Write(p)
	b.left -= int64(n)
	b.n += int64(n)
	return n, err
}

// reader reads a spool file at any place; Close tells what is wrong with it.
type reader struct {
	*io.SectionReader
	s    *spool
	done func(n int64, err error)
}

func (r *reader) Close() error {
	r.done(r.s.size, r.s.end)
	return r.s.end
}

// File is an open file of the tree. It is read at any place, by many at once; Close says
// whether what was read is all that there was to read.
type File interface {
	io.ReaderAt
	io.Closer
}

// Open opens a file.
func (t *Tree) Open(p string) (File, error) {
	e, err := t.resolve(p)
	if err != nil {
		return nil, err
	}
	if e == nil {
		return nil, fmt.Errorf("open %s: it is a folder", p)
	}
	t.mu.Lock()
	if t.open >= maxOpen {
		t.mu.Unlock()
		return nil, fmt.Errorf("open %s: more than %d files are open in this session", p, maxOpen)
	}
	t.open++
	t.mu.Unlock()
	done := func(n int64, err error) {
		t.mu.Lock()
		t.open--
		t.mu.Unlock()
		if err != nil {
			t.say("%s: %v", p, err)
		}
		if t.Done != nil {
			t.Done(p, n, err)
		}
	}
	if e.kept != nil {
		return t.openSnapshot(e.kept, done)
	}
	if e.closed {
		s, err := t.spool(p, e)
		if err != nil {
			done(0, err)
			return nil, err
		}
		if s != nil {
			return &reader{io.NewSectionReader(s.file, 0, s.size), s, done}, nil
		}
	}
	return newSequence(t.ctx, t.producer(e), done), nil
}

func (t *Tree) producer(e *export) func(context.Context, io.Writer) error {
	return func(ctx context.Context, w io.Writer) error { return t.produce(ctx, e, w) }
}
