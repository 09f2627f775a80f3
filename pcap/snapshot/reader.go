package snapshot

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// Reader reads a snapshot from its beginning to its end.
type Reader struct {
	limits   Limits
	source   *source
	plain    *plain
	tar      *tar.Reader
	manifest *Manifest
	named    bool // names.json was read
	next     int  // node of the manifest
	left     int64
	err      error // final
}

// source counts what is read of the compressed file, and remembers what went wrong there.
type source struct {
	r   io.Reader
	n   int64
	err error
}

func (s *source) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	s.n += int64(n)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// plain counts what comes out, and ends a bomb.
type plain struct {
	r      io.Reader
	in     *source
	n      int64
	limits Limits
}

func (p *plain) Read(b []byte) (int, error) {
	switch {
	case p.n > p.limits.Bytes+maxManifest+maxNames+maxPadding:
		return 0, fmt.Errorf("%w: more than the %d bytes that are allowed come out of it", ErrTooLarge, p.limits.Bytes)
	case p.n > ratioSlack && p.n/max(p.in.n, 1) > p.limits.Ratio:
		return 0, fmt.Errorf("%w: %d bytes come out of %d; packets are not compressed that well", ErrTooLarge, p.n, p.in.n)
	}
	n, err := p.r.Read(b)
	p.n += int64(n)
	return n, err
}

// NewReader reads as far as the manifest.
func NewReader(r io.Reader, l Limits) (*Reader, error) {
	rd := &Reader{limits: l.withDefaults(), source: &source{r: r}}
	// gzip would wrap what is no io.ByteReader itself, in a smaller buffer.
	z, err := gzip.NewReader(bufio.NewReaderSize(rd.source, 64<<10))
	if err != nil {
		return nil, rd.failed(fmt.Errorf("%w: it is not compressed with gzip", ErrFormat))
	}
	rd.plain = &plain{r: z, in: rd.source, limits: rd.limits}
	rd.tar = tar.NewReader(rd.plain)
	size, err := rd.entry(manifestFile)
	if err != nil {
		return nil, err
	}
	if size > maxManifest {
		return nil, rd.fail(fmt.Errorf("%w: %s has %d bytes, %d are allowed", ErrTooLarge, manifestFile, size, maxManifest))
	}
	text, err := io.ReadAll(rd.tar)
	if err != nil {
		return nil, rd.failed(err)
	}
	if rd.manifest, err = decodeManifest(text); err != nil {
		return nil, rd.fail(err)
	}
	var sum int64
	for i := range rd.manifest.Nodes {
		n := &rd.manifest.Nodes[i]
		if n.Size > rd.limits.Bytes || sum+n.Size > rd.limits.Bytes {
			return nil, rd.fail(fmt.Errorf("%w: its files have more than the %d bytes that are allowed", ErrTooLarge, rd.limits.Bytes))
		}
		sum += n.Size
	}
	return rd, nil
}

func (r *Reader) fail(err error) error {
	if r.err == nil {
		r.err = err
	}
	return r.err
}

// failed makes an error of the libraries one of ours. What the source itself says goes first.
func (r *Reader) failed(err error) error {
	switch {
	case r.err != nil:
	case r.source.err != nil:
		err = fmt.Errorf("read snapshot: %w", r.source.err)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		err = fmt.Errorf("%w: it is cut off after %d bytes", ErrTruncated, r.source.n)
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader):
		err = fmt.Errorf("%w: it is damaged: %w", ErrFormat, err)
	case errors.Is(err, tar.ErrHeader), errors.Is(err, tar.ErrFieldTooLong):
		err = fmt.Errorf("%w: there is no tar in it, or a damaged one", ErrFormat)
	case errors.Is(err, ErrTooLarge), errors.Is(err, ErrManifest):
	default:
		err = fmt.Errorf("%w: it is damaged: %w", ErrFormat, err)
	}
	return r.fail(err)
}

// entry takes the next entry, which must be a plain file of a name.
func (r *Reader) entry(want string) (size int64, err error) {
	h, err := r.tar.Next()
	if err != nil {
		if want == manifestFile && errors.Is(err, io.EOF) {
			err = fmt.Errorf("%w: it is empty", ErrFormat)
			return 0, r.fail(err)
		}
		return 0, r.failed(err)
	}
	if why := unsafe(h); why != "" {
		return 0, r.fail(fmt.Errorf("%w: entry %q %s", ErrUnsafe, cut(h.Name), why))
	}
	if h.Name != want {
		if want == manifestFile {
			return 0, r.fail(fmt.Errorf("%w: its first entry is %q, not %s", ErrFormat, cut(h.Name), want))
		}
		return 0, r.fail(fmt.Errorf("%w: entry %q comes where %s should", ErrUnsafe, cut(h.Name), want))
	}
	return h.Size, nil
}

// unsafe says why an entry is none of a snapshot's.
func unsafe(h *tar.Header) string {
	switch {
	case h.Typeflag == tar.TypeSymlink, h.Typeflag == tar.TypeLink:
		return "is a link"
	case h.Typeflag == tar.TypeDir:
		return "is a folder"
	case h.Typeflag != tar.TypeReg:
		return "is no plain file"
	case h.Size < 0:
		return "has less than no bytes"
	case strings.ContainsAny(h.Name, "/\\\x00") || h.Name == ".." || h.Name == ".":
		return "is a path; a snapshot has no folders"
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return "has holes instead of bytes"
		}
	}
	return ""
}

// Manifest is what the snapshot says of itself; it is the caller's.
func (r *Reader) Manifest() *Manifest { return r.manifest }

// Names hands out who is who. It is called before Next, or not at all.
func (r *Reader) Names(each func(Named) error) error {
	if r.err != nil || r.named {
		return r.err
	}
	r.named = true
	size, err := r.entry(namesFile)
	if err != nil {
		return err
	}
	if size > maxNames {
		return r.fail(fmt.Errorf("%w: %s has %d bytes, %d are allowed", ErrTooLarge, namesFile, size, maxNames))
	}
	if err := readNames(r.tar, each); err != nil {
		if r.source.err != nil || errors.Is(err, ErrTooLarge) {
			return r.failed(err)
		}
		return r.fail(err)
	}
	return nil
}

// Next goes on to the next node that has a file, to be read with Read. It returns io.EOF once
// all of the snapshot was read and is as it should be.
func (r *Reader) Next() (*Node, error) {
	if err := r.Names(nil); err != nil {
		return nil, err
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return nil, err
	}
	for r.next < len(r.manifest.Nodes) {
		n := &r.manifest.Nodes[r.next]
		r.next++
		if n.File == "" {
			continue
		}
		size, err := r.entry(n.File)
		if err != nil {
			return nil, err
		}
		if size != n.Size {
			return nil, r.fail(fmt.Errorf("%w: %s has %d bytes, the manifest says %d", ErrManifest, n.File, size, n.Size))
		}
		r.left = size
		return n, nil
	}
	return nil, r.end()
}

// Read reads the file of the node that Next returned.
func (r *Reader) Read(b []byte) (int, error) {
	if r.err != nil && r.err != io.EOF {
		return 0, r.err
	}
	if r.left == 0 {
		return 0, io.EOF
	}
	n, err := r.tar.Read(b)
	r.left -= int64(n)
	if err != nil && (err != io.EOF || r.left > 0) {
		return n, r.failed(err)
	}
	return n, nil
}

// end makes sure that nothing more comes, and that nothing was damaged on the way: what gzip
// found is known at its end.
func (r *Reader) end() error {
	h, err := r.tar.Next()
	switch {
	case err == nil:
		return r.fail(fmt.Errorf("%w: entry %q is not in the manifest, or twice in it", ErrUnsafe, cut(h.Name)))
	case !errors.Is(err, io.EOF):
		return r.failed(err)
	}
	rest := &padding{}
	switch _, err := io.Copy(rest, r.plain); {
	case errors.Is(err, errPadding):
		return r.fail(fmt.Errorf("%w: something comes behind its end", ErrUnsafe))
	case err != nil:
		return r.failed(err)
	}
	return r.fail(io.EOF)
}

// padding takes the zeros that fill up a tar.
type padding struct{ n int }

var errPadding = errors.New("no padding")

func (p *padding) Write(b []byte) (int, error) {
	if p.n += len(b); p.n > maxPadding {
		return 0, errPadding
	}
	for _, c := range b {
		if c != 0 {
			return 0, errPadding
		}
	}
	return len(b), nil
}
