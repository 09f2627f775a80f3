package files

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/pkg/sftp"

	"github.com/sshark/sshark/sshd/auth"
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
		h.t.say("%s: %v", r.Filepath, err)
		return nil, asOS(err)
	}
	return u, nil
}

// Filecmd lets Setstat succeed, which scp -p and sftp's put need, removes snapshots, and refuses
// the rest.
func (h handlers) Filecmd(r *sftp.Request) error {
	switch r.Method {
	case "Setstat":
		return nil
	case "Remove":
		err := h.t.Remove(r.Filepath)
		if err != nil {
			h.t.say("%s: %v", r.Filepath, err)
		}
		return asOS(err)
	}
	return sftp.ErrSSHFxPermissionDenied
}

func (h handlers) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	switch r.Method {
	case "List":
		l, err := h.t.List(r.Filepath)
		return lister(l), asOS(err)
	case "Stat", "Lstat":
		i, err := h.t.Stat(r.Filepath)
		return lister{i}, asOS(err)
	}
	return nil, sftp.ErrSSHFxOpUnsupported
}

// asOS gives pkg/sftp the errors that it knows a status for.
func asOS(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return os.ErrNotExist
	case errors.Is(err, fs.ErrPermission), errors.Is(err, auth.ErrRefused), errors.Is(err, query.ErrRefused):
		return os.ErrPermission
	}
	return err
}

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
