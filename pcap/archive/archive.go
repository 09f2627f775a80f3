// Package archive unpacks the captures in a tar file, plain or compressed with gzip or zstd: a
// snapshot, or what another program put together of a capture for each node and a history of
// names.
//
// Unpack trusts nothing that an archive says: members are written under names of its own, so
// no path and no link leads out of the folder; what is no capture is not written; members,
// bytes and how much larger all is than the archive are bounded. Whoever calls it owns the
// folder, also after an error, and removes it.
package archive

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/sshark/sshark/pcap/pcapng"
)

// Limits of what is unpacked.
const (
	MaxMembers = 20_000
	MaxBytes   = 256 << 30 // of all members that are written
	// An archive of packets is rarely more than a tenth of what it holds. One that claims to be
	// a small part of a percent is made to fill a disk.
	maxRatio = 250
	minRatio = 256 << 20 // bytes that every archive may unpack to
)

// HistoryName is the member that tells a node's names (package query reads it).
const HistoryName = "name_resolution_history.json"

// Errors of Unpack.
var (
	// ErrTooLarge: it unpacks to more than any capture would, or has too many members.
	ErrTooLarge = errors.New("the archive is too large")
	// ErrEmpty: there is no capture in it.
	ErrEmpty = errors.New("no capture is in the archive")
)

// Member is one file that was written.
type Member struct {
	Name    string // its path in the archive, cleaned
	Path    string // where it is now
	History bool   // it is HistoryName, not a capture
}

// Folder is the name of the folder that holds a member, "" if it is in none.
func (m *Member) Folder() string {
	if d := path.Base(path.Dir(m.Name)); d != "." && d != "/" {
		return d
	}
	return ""
}

// Contents is what Unpack found.
type Contents struct {
	Members []Member
	Skipped []string // names of members that are no captures
	Problem error    // where the archive broke; all whole members before were written
}

// header is the size of a tar header, and of the blocks that it is made of.
const header = 512

// Is says whether r begins a tar file, also a compressed one. It reads as far as it must.
func Is(r io.Reader) bool {
	in, done, err := inflate(r)
	if err != nil {
		return false
	}
	defer done()
	b := make([]byte, header)
	if _, err := io.ReadFull(in, b); err != nil {
		return false
	}
	return isHeader(b)
}

// isHeader checks a tar header by its checksum (POSIX.1-1988, ustar): the sum of all bytes,
// those of the checksum itself counting as blanks.
func isHeader(b []byte) bool {
	want, err := strconv.ParseUint(strings.Trim(string(b[148:156]), " \x00"), 8, 32)
	if err != nil {
		return false
	}
	var sum uint64
	for i, c := range b {
		if i >= 148 && i < 156 {
			c = ' '
		}
		sum += uint64(c)
	}
	return sum == want
}

// inflate takes one layer of compression off.
func inflate(r io.Reader) (out io.Reader, done func(), err error) {
	in := bufio.NewReaderSize(r, 64<<10)
	done = func() {}
	head, _ := in.Peek(4) // what is shorter is no archive
	switch {
	case len(head) == 4 && head[0] == 0x1f && head[1] == 0x8b:
		z, err := gzip.NewReader(in)
		return z, done, err
	case string(head) == "\x28\xb5\x2f\xfd":
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(pcapng.MaxWindow))
		if err != nil {
			return nil, done, err
		}
		return z, z.Close, nil
	}
	return in, done, nil
}

// counter counts what is read of the archive itself.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// Unpack writes the captures in r, and its histories of names, to a folder. A damaged archive
// is unpacked as far as it goes.
func Unpack(r io.Reader, dir string) (*Contents, error) { return unpack(r, dir, minRatio) }

// unpack lets an archive of any ratio have slack bytes.
func unpack(r io.Reader, dir string, slack int64) (*Contents, error) {
	packed := &counter{r: r}
	in, done, err := inflate(packed)
	if err != nil {
		return nil, err
	}
	defer done()
	u := &unpacking{dir: dir, slack: slack, packed: packed, tar: tar.NewReader(in)}
	for n := 0; ; n++ {
		h, err := u.tar.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			u.Problem = fmt.Errorf("the archive is damaged: %w", ended(err))
			break
		}
		if n == MaxMembers {
			return nil, fmt.Errorf("%w: more than %d members", ErrTooLarge, MaxMembers)
		}
		if err := u.member(h); err != nil {
			return nil, err
		}
		if u.Problem != nil {
			break
		}
	}
	for _, m := range u.Members {
		if !m.History {
			return &u.Contents, nil
		}
	}
	if u.Problem != nil {
		return nil, u.Problem
	}
	return nil, ErrEmpty
}

// ended says of a cut archive what happened to it.
func ended(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return pcapng.ErrTruncated
	}
	return err
}

type unpacking struct {
	Contents
	dir     string
	slack   int64
	packed  *counter
	tar     *tar.Reader
	written int64
}

// member writes one member if it is wanted. Its error ends the unpacking.
func (u *unpacking) member(h *tar.Header) error {
	if h.Typeflag != tar.TypeReg || h.Size == 0 {
		if h.Typeflag != tar.TypeDir {
			u.skip(h)
		}
		return nil
	}
	name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
	m := Member{Name: name, Path: filepath.Join(u.dir, strconv.Itoa(len(u.Members))), History: path.Base(name) == HistoryName}
	in := bufio.NewReaderSize(u.tar, 64<<10)
	if head, _ := in.Peek(4); !m.History && !pcapng.Is(head) {
		u.skip(h)
		return nil
	}
	out, err := os.OpenFile(m.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := u.copy(out, in)
	if err := errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("unpack %q: %w", name, err)
	}
	if n > 0 {
		u.Members = append(u.Members, m)
	}
	return nil
}

// maxSkipped is how many names of skipped members are kept.
const maxSkipped = 16

func (u *unpacking) skip(h *tar.Header) {
	if len(u.Skipped) < maxSkipped {
		u.Skipped = append(u.Skipped, h.Name)
	}
}

// copy writes a member. What cannot be read of it is a Problem; what cannot be written or is
// too much, an error.
func (u *unpacking) copy(out io.Writer, in io.Reader) (n int64, err error) {
	b := make([]byte, 64<<10)
	for {
		got, readErr := in.Read(b)
		if got > 0 {
			n, u.written = n+int64(got), u.written+int64(got)
			if u.written > MaxBytes || u.written > u.slack && u.written/maxRatio > u.packed.n {
				return n, fmt.Errorf("%w: it unpacks to more than %d bytes, from %d", ErrTooLarge, u.written, u.packed.n)
			}
			if _, err := out.Write(b[:got]); err != nil {
				return n, err
			}
		}
		switch {
		case readErr == io.EOF:
			return n, nil
		case readErr != nil:
			u.Problem = fmt.Errorf("the archive is damaged: %w", ended(readErr))
			return n, nil
		}
	}
}
