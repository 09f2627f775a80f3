package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"

	"github.com/sshark/sshark/sshd/snapshots"
)

// snapshotsDir is the folder of snapshots: the only one where files can be put.
const snapshotsDir = "snapshots"

// errReadOnly: nothing can be put where somebody tried.
var errReadOnly = fmt.Errorf("%w: this tree is read only, but for /%s/NAME%s", fs.ErrPermission, snapshotsDir, snapshots.Ext)

// snapshot resolves what is below /snapshots.
func (t *Tree) snapshot(rest []string, missing error) (*export, error) {
	switch {
	case t.Snapshots == nil:
		return nil, missing
	case len(rest) == 0:
		return nil, nil
	case len(rest) > 1:
		return nil, missing
	}
	name, ok := strings.CutSuffix(rest[0], snapshots.Ext)
	if !ok {
		return nil, missing
	}
	list, err := t.Snapshots.List()
	if err != nil {
		return nil, err
	}
	for _, i := range list {
		if i.Name == name {
			return &export{kept: i, mod: i.Modified}, nil
		}
	}
	return nil, missing
}

func (t *Tree) listSnapshots() ([]fs.FileInfo, error) {
	list, err := t.Snapshots.List()
	if err != nil {
		return nil, err
	}
	var out []fs.FileInfo
	for _, i := range list {
		out = append(out, info{name: i.Name + snapshots.Ext, size: i.Size, mod: i.Modified})
	}
	return out, nil
}

// kept is the open file of a snapshot.
type kept struct {
	*os.File
	size int64
	done func(n int64, err error)
}

func (k *kept) Close() error {
	err := k.File.Close()
	k.done(k.size, err)
	return err
}

func (t *Tree) openSnapshot(i *snapshots.Info, done func(int64, error)) (File, error) {
	f, err := t.Snapshots.File(i.Name)
	if err == nil {
		var st fs.FileInfo
		if st, err = f.Stat(); err == nil {
			return &kept{f, st.Size(), done}, nil
		}
		err = errors.Join(err, f.Close())
	}
	done(0, err)
	return nil, err
}

// Put begins to take a file: a snapshot that somebody has.
func (t *Tree) Put(p string) (*Upload, error) {
	name, ok := t.putName(p)
	if !ok {
		return nil, errReadOnly
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
	return &Upload{t: t, path: path.Clean("/" + p), b: b}, nil
}

// putName is the name of the snapshot that a path stands for.
func (t *Tree) putName(p string) (name string, ok bool) {
	part := strings.Split(path.Clean("/" + p)[1:], "/")
	if t.Snapshots == nil || len(part) != 2 || part[0] != snapshotsDir {
		return "", false
	}
	return strings.CutSuffix(part[1], snapshots.Ext)
}

// Remove removes a file: a snapshot.
func (t *Tree) Remove(p string) error {
	name, ok := t.putName(p)
	if !ok {
		return errReadOnly
	}
	return t.Snapshots.Delete(name)
}

// Upload is a file on its way here. It is written at any place, by many at once. Close says
// whether it was taken; nothing is left of one that was not.
type Upload struct {
	t    *Tree
	path string
	b    *snapshots.Bringing

	once sync.Once
	mu   sync.Mutex
	err  error // why it must not be taken
}

var _ io.WriterAt = (*Upload)(nil)

// WriteAt implements io.WriterAt.
func (u *Upload) WriteAt(b []byte, off int64) (int, error) {
	n, err := u.b.WriteAt(b, off)
	if err != nil {
		u.t.say("%s: %v", u.path, err)
	}
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
func (u *Upload) quietly() (err error) {
	u.once.Do(func() {
		u.mu.Lock()
		err = u.err
		u.mu.Unlock()
		if err != nil {
			u.b.Drop()
		} else {
			_, err = u.b.Keep(u.t.ctx)
		}
		u.t.mu.Lock()
		u.t.open--
		u.t.mu.Unlock()
	})
	return err
}
