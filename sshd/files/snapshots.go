package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

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
	return append(out, t.underWay()...), nil
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

// putName is the name of the snapshot that a path stands for; temporary says that it is the one
// that a client gives the file until all of it is there, and then renames it:
// /snapshots/NAME.tar.gz.filepart (WinSCP), NAME.tar.gz.1a2b3c4d.partial (rclone),
// .NAME.tar.gz.Xy12zW (rsync, into a mounted tree).
func (t *Tree) putName(p string) (name string, temporary, ok bool) {
	part := strings.Split(path.Clean("/" + p)[1:], "/")
	if t.Snapshots == nil || len(part) != 2 || part[0] != snapshotsDir {
		return "", false, false
	}
	if name, ok = strings.CutSuffix(part[1], snapshots.Ext); ok {
		return name, false, true
	}
	name, rest, ok := strings.Cut(part[1], snapshots.Ext+".")
	if short, hidden := strings.CutPrefix(name, "."); ok && hidden && rest != "" {
		return short, true, true
	}
	if ok && slices.ContainsFunc(temporaryEnds, func(end string) bool { return strings.HasSuffix("."+rest, end) }) {
		return name, true, true
	}
	return "", false, false
}

var temporaryEnds = []string{".filepart", ".partial", ".part", ".tmp", ".temp"}

// Remove removes a file: a snapshot, or one on its way.
func (t *Tree) Remove(p string) error {
	if u := t.upload(p); u != nil {
		return u.end(errDropped)
	}
	name, temporary, ok := t.putName(p)
	switch {
	case !ok:
		return errReadOnly
	case temporary:
		return &fs.PathError{Op: "remove", Path: p, Err: fs.ErrNotExist}
	}
	return t.Snapshots.Delete(name)
}

// Rename gives a file that was put under a temporary name its own, with which it is a snapshot.
func (t *Tree) Rename(from, to string) error {
	name, temporary, ok := t.putName(from)
	switch {
	case !ok:
		return errReadOnly
	case !temporary:
		return errRename
	}
	u := t.upload(from)
	if u == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	if as, temporary, ok := t.putName(to); !ok || temporary || as != name {
		return fmt.Errorf("%w: rename it to /%s/%s%s", fs.ErrPermission, snapshotsDir, name, snapshots.Ext)
	}
	return u.named()
}

// errRename: what is a snapshot keeps its name.
var errRename = fmt.Errorf("%w: a snapshot keeps its name; copy it down, up again under another one, and remove it", fs.ErrPermission)
