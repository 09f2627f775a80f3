package files

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/pkg/sftp"

	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/sshd/command"
	"github.com/sshark/sshark/worker/query"
)

// ServeSFTP speaks SFTP (draft-ietf-secsh-filexfer-02, version 3) until the client ends it.
func (t *Tree) ServeSFTP(conn io.ReadWriteCloser) error {
	h := handlers{t}
	s := sftp.NewRequestServer(conn, sftp.Handlers{FileGet: h, FilePut: h, FileCmd: h, FileList: h},
		sftp.WithRSAllocator(), sftp.WithRSMaxTxPacket(256<<10))
	if err := s.Serve(); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// handlers makes a Tree what pkg/sftp asks.
type handlers struct{ t *Tree }

func (h handlers) Fileread(r *sftp.Request) (io.ReaderAt, error) { return h.t.Open(r.Filepath) }

func (h handlers) Filewrite(r *sftp.Request) (io.WriterAt, error) {
	u, err := h.t.Put(r.Filepath)
	if err != nil {
		return nil, h.refused(r.Filepath, err)
	}
	return u, nil
}

// refused tells an error twice: programs with a window of their own show the status, and sftp and
// scp say of that no more than its number, but what comes on standard error.
func (h handlers) refused(p string, err error) error {
	if err != nil {
		h.t.say("%s: %v", p, err)
	}
	return asStatus(err)
}

// Filecmd lets Setstat succeed, which scp -p and sftp's put need, removes snapshots, gives one
// that was put its name, and refuses the rest.
func (h handlers) Filecmd(r *sftp.Request) error {
	switch r.Method {
	case "Setstat":
		return nil
	case "Remove":
		return h.refused(r.Filepath, h.t.Remove(r.Filepath))
	case "Rename":
		return h.refused(r.Filepath, h.t.Rename(r.Filepath, r.Target))
	}
	return asStatus(errReadOnly)
}

func (h handlers) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	switch r.Method {
	case "List":
		l, err := h.t.List(r.Filepath)
		return lister(l), asStatus(err)
	case "Stat", "Lstat":
		i, err := h.t.Stat(r.Filepath)
		return lister{i}, asStatus(err)
	}
	return nil, sftp.ErrSSHFxOpUnsupported
}

// asStatus gives pkg/sftp the errors that it knows a status for, with their text.
func asStatus(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return os.ErrNotExist
	case errors.Is(err, fs.ErrPermission), errors.Is(err, auth.ErrRefused), errors.Is(err, query.ErrRefused):
		return denied{string(command.AppendPrintable(nil, err.Error()))}
	}
	return err
}

// denied is SSH_FX_PERMISSION_DENIED with a reason.
type denied struct{ why string }

func (d denied) Error() string { return d.why }
func (denied) Unwrap() error   { return sftp.ErrSSHFxPermissionDenied }

type lister []fs.FileInfo

func (l lister) ListAt(out []os.FileInfo, off int64) (int, error) {
	if off >= int64(len(l)) {
		return 0, io.EOF
	}
	n := copy(out, l[off:])
	if n < len(out) {
		return n, io.EOF
	}
	return n, nil
}
