package snapshot

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/klauspost/compress/gzip"
)

// Write writes a snapshot of files that lie in a folder under their names: names.json, and those
// of the manifest's nodes, whose sizes it must say. Packets that would be compressed more than a
// Reader trusts are compressed less, so that what is written can be read; again is asked for the
// destination then, emptied.
func Write(m *Manifest, files fs.FS, again func() (io.Writer, error)) error {
	m.Format = FormatVersion
	if err := m.check(); err != nil {
		return err
	}
	for _, level := range []int{gzip.BestSpeed, gzip.HuffmanOnly} {
		w, err := again()
		if err != nil {
			return err
		}
		in, out, err := write(w, m, files, level)
		if err != nil || in <= ratioSlack || in/max(out, 1) < defaultRatio/2 {
			return err
		}
	}
	return nil // eight bits become one at best
}

// counter counts what goes through it.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// write says how many bytes went in and came out.
func write(w io.Writer, m *Manifest, files fs.FS, level int) (in, out int64, err error) {
	below := &counter{w: w}
	z, err := gzip.NewWriterLevel(below, level)
	if err != nil {
		return 0, 0, fmt.Errorf("write snapshot: %w", err)
	}
	above := &counter{w: z}
	t := tar.NewWriter(above)
	manifest, err := m.encode()
	if err != nil {
		return 0, 0, err
	}
	head := func(name string, size int64) error {
		return t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: m.Created})
	}
	put := func(name string, want int64) error {
		f, err := files.Open(name)
		if err != nil {
			return err
		}
		defer f.Close() // it was only read
		st, err := f.Stat()
		switch {
		case err != nil:
			return err
		case want >= 0 && st.Size() != want:
			return fmt.Errorf("%w: it has %d bytes, the manifest says %d", ErrManifest, st.Size(), want)
		}
		if err := head(name, st.Size()); err != nil {
			return err
		}
		_, err = io.CopyN(t, f, st.Size())
		return err
	}
	err = head(manifestFile, int64(len(manifest)))
	if err == nil {
		_, err = t.Write(manifest)
	}
	if err == nil {
		err = put(namesFile, -1)
	}
	for i := range m.Nodes {
		if n := &m.Nodes[i]; err == nil && n.File != "" {
			if err = put(n.File, n.Size); err != nil {
				err = fmt.Errorf("%s: %w", n.File, err)
			}
		}
	}
	if err == nil {
		err = errors.Join(t.Close(), z.Close())
	}
	if err != nil {
		return above.n, below.n, fmt.Errorf("write snapshot: %w", err)
	}
	return above.n, below.n, nil
}
