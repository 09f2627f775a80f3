package query

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/pcap/archive"
	"github.com/sshark/sshark/pcap/snapshot"
	"github.com/sshark/sshark/servicemap/identity"
)

// OpenSnapshot opens a snapshot as a source of all its nodes: their files are written to dir with
// what create makes, and stay the caller's. Nodes that are missing in it are missing in every
// answer. The language must be that of the protocols.
func OpenSnapshot(rd *snapshot.Reader, dir string, protocols []*dissect.Protocol, language *filter.Language,
	create func(path string) (io.WriteCloser, error)) (*File, error) {
	f := &File{protocols: protocols, language: language}
	if err := f.snapshot(rd, dir, create); err != nil {
		return nil, err
	}
	f.name()
	return f, nil
}

// snapshot takes the parts of a snapshot, and the names that it tells.
func (f *File) snapshot(rd *snapshot.Reader, dir string, create func(path string) (io.WriteCloser, error)) error {
	err := snapshot.Extract(rd, func(n snapshot.Named) error {
		if len(f.names) == maxNamed {
			return nil // the packets' own name records have the rest
		}
		at := nameAt{addr: n.Addr, owner: identity.Decode(n.Names)}
		if !n.From.IsZero() {
			at.from = n.From.UnixNano()
		}
		f.names = append(f.names, at)
		return nil
	}, func(n *snapshot.Node) (io.WriteCloser, error) { return create(filepath.Join(dir, n.File)) })
	if err != nil {
		return err
	}
	for _, n := range rd.Manifest().Nodes {
		if n.File != "" {
			if err := f.addPart(part{label: n.Name, path: filepath.Join(dir, n.File), place: n.Name}); err != nil {
				return err
			}
		}
		if n.Missing != "" {
			f.problems = append(f.problems, NodeReport{Node: n.Name, Missing: n.Missing, Part: n.File != ""})
		}
	}
	return nil
}

// takeSnapshot takes an archive if it is a snapshot; taken is false if it is something else. One
// that is cut off is something else: as much as there is of it can be looked at.
func (f *File) takeSnapshot(path string, in io.Reader) (taken bool, err error) {
	rd, err := snapshot.NewReader(in, snapshot.Limits{Bytes: archive.MaxBytes})
	if errors.Is(err, snapshot.ErrFormat) || errors.Is(err, snapshot.ErrTruncated) || errors.Is(err, snapshot.ErrUnsafe) { // its first entry is no manifest
		return false, nil
	}
	if err == nil {
		var dir string
		if dir, err = f.folder(); err == nil {
			dir, err = os.MkdirTemp(dir, "")
		}
		if err == nil {
			parts, names := len(f.parts), len(f.names)
			err = f.snapshot(rd, dir, func(path string) (io.WriteCloser, error) {
				return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			})
			if errors.Is(err, snapshot.ErrTruncated) {
				f.parts, f.names = f.parts[:parts], f.names[:names]
				return false, os.RemoveAll(dir)
			}
		}
	}
	if err != nil {
		return true, fmt.Errorf("read %s: %w", path, err)
	}
	return true, nil
}
