package snapshots

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sshark/sshark/pcap/snapshot"
	"github.com/sshark/sshark/worker/query"
)

// unpacked is a snapshot whose files lie in the folder, to be asked.
type unpacked struct {
	dir     string
	ready   chan struct{} // closed when what follows holds
	err     error
	source  *query.File
	size    int64
	readers int         // guarded by Library.mu, as all below
	timer   *time.Timer // of one that nobody reads
	doomed  bool        // it goes with its last reader
}

// stop stops what would happen later.
func (u *unpacked) stop() {
	if u.timer != nil {
		u.timer.Stop()
	}
}

// Source opens a snapshot to be asked: all nodes merged in the order of time, with the names that
// they had. It is of use until it is closed.
func (l *Library) Source(ctx context.Context, name string) (query.Source, io.Closer, error) {
	for {
		u, mine, err := l.enter(name)
		if err != nil {
			return nil, nil, err
		}
		if mine {
			u.err = l.unpack(ctx, name, u)
			close(u.ready)
		}
		select {
		case <-u.ready:
		case <-ctx.Done():
			l.leave(name, u)
			return nil, nil, ctx.Err()
		}
		if u.err == nil {
			return u.source, &leaving{l: l, name: name, u: u}, nil
		}
		l.fail(name, u)
		if !mine && (errors.Is(u.err, context.Canceled) || errors.Is(u.err, context.DeadlineExceeded)) && ctx.Err() == nil {
			continue // who unpacked it has left, and we have not
		}
		return nil, nil, u.err
	}
}

// enter counts a reader; mine says that the caller has to unpack it.
func (l *Library) enter(name string) (u *unpacked, mine bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, false, errClosed
	case l.kept[name] == nil:
		return nil, false, fmt.Errorf("snapshot %q: %w", name, ErrNone)
	}
	u = l.open[name]
	if u == nil {
		u, mine = &unpacked{ready: make(chan struct{})}, true
		l.open[name] = u
	}
	u.stop()
	u.readers++
	return u, mine, nil
}

// leaving is the end of one reader.
type leaving struct {
	l    *Library
	name string
	u    *unpacked
	once sync.Once
}

func (c *leaving) Close() error {
	c.once.Do(func() { c.l.leave(c.name, c.u) })
	return nil
}

// leave counts a reader out. The last one's snapshot waits a while for the next.
func (l *Library) leave(name string, u *unpacked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if u.readers--; u.readers > 0 {
		return
	}
	if u.doomed || l.closed {
		l.discard(u)
		return
	}
	u.timer = time.AfterFunc(l.o.Idle, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if u.readers == 0 && l.open[name] == u {
			delete(l.open, name)
			l.discard(u)
		}
	})
}

// fail takes out what could not be unpacked.
func (l *Library) fail(name string, u *unpacked) {
	l.mu.Lock()
	if l.open[name] == u {
		delete(l.open, name)
	}
	u.doomed = true
	l.mu.Unlock()
	l.leave(name, u)
}

// discard removes the files; mu is held, and nobody reads them.
func (l *Library) discard(u *unpacked) {
	u.stop()
	if u.dir == "" {
		return
	}
	if err := os.RemoveAll(u.dir); err != nil {
		l.o.Log.Error("an unpacked snapshot is left", "folder", u.dir, "error", err)
	}
	l.used -= u.size
	u.size, u.dir = 0, ""
}

// discardIdle removes one that nobody reads; mu is held. It is false if there is none.
func (l *Library) discardIdle() bool {
	for name, u := range l.open {
		if u.readers == 0 {
			delete(l.open, name)
			l.discard(u)
			return true
		}
	}
	return false
}

// unpack writes the files of a snapshot.
func (l *Library) unpack(ctx context.Context, name string, u *unpacked) (err error) {
	in, err := l.File(name)
	if err != nil {
		return err
	}
	defer in.Close() // it was only read
	if u.dir, err = os.MkdirTemp(l.o.Dir, ".open-"); err != nil {
		return fmt.Errorf("unpack snapshot %q: %w", name, err)
	}
	var files []*file
	rd, err := snapshot.NewReader(source{ctx, in}, snapshot.Limits{})
	if err == nil {
		u.source, err = query.OpenSnapshot(rd, u.dir, l.o.Protocols, l.o.Language, func(path string) (io.WriteCloser, error) {
			f, err := l.create(filepath.Join(u.dir, filepath.Base(path)))
			if err == nil {
				files = append(files, f)
			}
			return f, err
		})
	}
	for _, f := range files {
		u.size += f.size
	}
	if err != nil {
		return fmt.Errorf("unpack snapshot %q: %w", name, err)
	}
	return nil
}
