package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sync"

	"github.com/sshark/sshark/sshd/snapshots"
)

// Upload is a file on its way here. It is written at any place, by many at once. Close says
// whether it was taken; nothing is left of one that was not. One with a temporary name is taken
// when it gets its own (Tree.Rename), and goes if it gets none before the session ends.
type Upload struct {
	t         *Tree
	path      string
	temporary bool
	b         *snapshots.Bringing

	mu     sync.Mutex
	err    error // why it must not be taken
	size   int64 // so far
	closed bool
	ended  bool // kept or dropped
}

var _ io.WriterAt = (*Upload)(nil)

var (
	errDropped  = errors.New("it was removed")
	errNotNamed = fmt.Errorf("it kept its temporary name: it is a snapshot when it is renamed to NAME%s, and nothing of it is left", snapshots.Ext)
)

// Put begins to take a file: a snapshot that somebody has.
func (t *Tree) Put(p string) (*Upload, error) {
	name, temporary, ok := t.putName(p)
	if !ok {
		return nil, errReadOnly
	}
	if u := t.upload(p); u != nil && u.waits() {
		_ = u.end(errDropped) // the client begins again
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open >= maxOpen {
		return nil, fmt.Errorf("more than %d files are open in this session", maxOpen)
	}
	b, err := t.Snapshots.Bring(name)
	if err != nil {
		return nil, err
	}
	t.open++
	u := &Upload{t: t, path: path.Clean("/" + p), temporary: temporary, b: b}
	t.uploads[u.path] = u
	return u, nil
}

// upload is the file that is on its way under a path, nil: there is none.
func (t *Tree) upload(p string) *Upload {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.uploads[path.Clean("/"+p)]
}

// underWay are the files that are on their way: clients look at what they put.
func (t *Tree) underWay() (out []fs.FileInfo) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range sortedKeys(t.uploads) {
		out = append(out, t.uploads[p].info())
	}
	return out
}

func (u *Upload) info() fs.FileInfo {
	u.mu.Lock()
	defer u.mu.Unlock()
	return info{name: path.Base(u.path), size: u.size, mod: u.t.Now()}
}

// waits says that it is complete, and has its temporary name.
func (u *Upload) waits() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.closed && !u.ended
}

// WriteAt implements io.WriterAt.
func (u *Upload) WriteAt(b []byte, off int64) (int, error) {
	n, err := u.write(b, off)
	if err != nil {
		u.t.say("%s: %v", u.path, err)
	}
	return n, err
}

// write is WriteAt for who tells the error.
func (u *Upload) write(b []byte, off int64) (int, error) {
	n, err := u.b.WriteAt(b, off)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.size = max(u.size, off+int64(n))
	return n, err
}

// TransferError is called when the client went away before it closed the file.
func (u *Upload) TransferError(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err = err; err == nil {
		u.err = io.ErrUnexpectedEOF
	}
}

// Close implements io.Closer.
func (u *Upload) Close() error {
	err := u.quietly()
	if err != nil {
		u.t.say("%s: %v", u.path, err)
	}
	return err
}

// quietly is Close for who tells the error.
func (u *Upload) quietly() error {
	u.mu.Lock()
	closed, err := u.closed, u.err
	u.closed = true
	u.mu.Unlock()
	switch {
	case closed:
		return nil
	case err != nil:
		_ = u.end(err)
		return err
	case u.temporary:
		return nil
	}
	return u.end(nil)
}

// named takes a file that had a temporary name.
func (u *Upload) named() error {
	if !u.waits() {
		return fmt.Errorf("%s is still being written", path.Base(u.path))
	}
	return u.end(nil)
}

// end takes the file, or drops it: because of an error, which is then not returned again.
func (u *Upload) end(why error) (err error) {
	u.mu.Lock()
	ended := u.ended
	u.ended = true
	u.mu.Unlock()
	if ended {
		return nil
	}
	if why != nil {
		u.b.Drop()
	} else {
		_, err = u.b.Keep(u.t.ctx)
	}
	u.t.mu.Lock()
	u.t.open--
	delete(u.t.uploads, u.path)
	u.t.mu.Unlock()
	return err
}
