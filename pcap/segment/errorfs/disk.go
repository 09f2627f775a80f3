package errorfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/sshark/sshark/pcap/segment"
)

// Disk is a disk in memory that remembers each change. After says what is left of it when the
// machine stops at any moment. It holds files in one folder, and may be used by many goroutines.
type Disk struct {
	mu    sync.Mutex
	names map[string]*inode
	log   []change
	read  int64
}

// inode is a file's content, whatever it is called.
type inode struct {
	data   []byte
	direct bool
}

// change is one step of the disk's life.
type change struct {
	kind     changeKind
	file     *inode
	name, to string
	off      int64 // of a write; the size after a truncation; what Mark was told
	data     []byte
}

type changeKind uint8

const (
	created changeKind = iota
	written
	truncated
	synced // the file
	renamed
	removed
	folderSynced
	marked
)

// NewDisk returns an empty disk.
func NewDisk() *Disk { return &Disk{names: map[string]*inode{}} }

func (d *Disk) note(c change) { d.log = append(d.log, c) }

// Mark notes that all before is promised to be kept, as n; see Marked.
func (d *Disk) Mark(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.note(change{kind: marked, off: int64(n)})
}

// Steps is how many changes there were.
func (d *Disk) Steps() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.log)
}

// Marked is the last mark within the first steps changes, 0 if there is none.
func (d *Disk) Marked(steps int) (n int) {
	for _, c := range d.log[:steps] {
		if c.kind == marked {
			n = int(c.off)
		}
	}
	return n
}

// ReadBytes is how much was read so far.
func (d *Disk) ReadBytes() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.read
}

// Loss says what is lost when the machine stops.
type Loss uint8

const (
	// Nothing: only the process was killed.
	Nothing Loss = iota
	// Unsynced: all that was not synced, names too.
	Unsynced
	// Parts: of what was not synced any sectors of 512 bytes, and the last changes of names.
	Parts
	// Tails: of what was not synced the last writes, the last one that is left being cut at a page of
	// 4096 bytes, and the last changes of names.
	Tails
)

// After is the disk as it is found after the machine stopped when the first steps changes were
// made. random decides what Parts and Tails lose.
func (d *Disk) After(steps int, loss Loss, random *rand.Rand) *Disk {
	log := d.log[:steps]
	lastSync, lastFolder := map[*inode]int{}, 0
	for n, c := range log {
		switch c.kind {
		case synced:
			lastSync[c.file] = n
		case folderSynced:
			lastFolder = n
		}
	}
	names, writes := steps, steps // changes from here on are lost
	switch loss {
	case Unsynced:
		names, writes = 0, 0
	case Parts:
		names = random.IntN(steps + 1)
	case Tails:
		names, writes = random.IntN(steps+1), random.IntN(steps+1)
	}
	after := NewDisk()
	files := map[*inode]*inode{}
	copyOf := func(i *inode) *inode {
		if files[i] == nil {
			files[i] = &inode{direct: i.direct}
		}
		return files[i]
	}
	for n, c := range log {
		kept := n < max(names, lastFolder)
		switch c.kind {
		case created:
			if kept {
				after.names[c.name] = copyOf(c.file)
			}
		case renamed:
			if f := after.names[c.name]; kept && f != nil {
				delete(after.names, c.name)
				after.names[c.to] = f
			}
		case removed:
			if kept {
				delete(after.names, c.name)
			}
		case truncated:
			if n < max(writes, lastSync[c.file]) && (loss != Parts || n < lastSync[c.file] || random.IntN(2) == 0) {
				copyOf(c.file).resize(c.off)
			}
		case written:
			f := copyOf(c.file)
			switch {
			case n < lastSync[c.file] || loss == Nothing || loss == Tails && n < writes:
				f.write(c.data, c.off)
			case loss == Tails && n == writes:
				f.write(c.data[:random.IntN(len(c.data)+1)&^4095], c.off)
			case loss == Parts:
				for at := 0; at < len(c.data); at += 512 {
					if random.IntN(2) == 0 {
						f.write(c.data[at:min(at+512, len(c.data))], c.off+int64(at))
					}
				}
			}
		}
	}
	return after
}

// Put makes a file as if it had always been there.
func (d *Disk) Put(name string, data []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.names[filepath.Base(name)] = &inode{data: bytes.Clone(data)}
}

// Files are the files by name; the content is the disk's.
func (d *Disk) Files() map[string][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := map[string][]byte{}
	for name, f := range d.names {
		all[name] = f.data
	}
	return all
}

func (i *inode) resize(n int64) {
	if n <= int64(len(i.data)) {
		i.data = i.data[:n:n]
		return
	}
	i.data = append(i.data, make([]byte, n-int64(len(i.data)))...)
}

func (i *inode) write(b []byte, off int64) {
	if len(b) == 0 {
		return
	}
	if end := off + int64(len(b)); end > int64(len(i.data)) {
		i.resize(end)
	}
	copy(i.data[off:], b)
}

// diskFile is an open file.
type diskFile struct {
	d *Disk
	i *inode
}

func (d *Disk) create(name string, direct bool) segment.File {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = filepath.Base(name)
	i := &inode{direct: direct}
	d.names[name] = i
	d.note(change{kind: created, file: i, name: name})
	return &diskFile{d, i}
}

// Create implements segment.FS, and so do the other methods from here on.
func (d *Disk) Create(name string) (segment.File, error) { return d.create(name, true), nil }

func (d *Disk) CreateBuffered(name string) (segment.File, error) { return d.create(name, false), nil }

func (d *Disk) find(op, name string) (*inode, error) {
	if i := d.names[filepath.Base(name)]; i != nil {
		return i, nil
	}
	return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
}

func (d *Disk) Open(name string) (segment.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i, err := d.find("open", name)
	return &diskFile{d, i}, err
}

func (d *Disk) Truncate(name string, size int64) error {
	d.mu.Lock()
	i, err := d.find("truncate", name)
	d.mu.Unlock()
	if err != nil {
		return err
	}
	f := &diskFile{d, i}
	return errors.Join(f.Truncate(size), f.Sync())
}

func (d *Disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	i, err := d.find("rename", from)
	if err != nil {
		return err
	}
	from, to = filepath.Base(from), filepath.Base(to)
	delete(d.names, from)
	d.names[to] = i
	d.note(change{kind: renamed, name: from, to: to})
	return nil
}

func (d *Disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.find("remove", name); err != nil {
		return err
	}
	delete(d.names, filepath.Base(name))
	d.note(change{kind: removed, name: filepath.Base(name)})
	return nil
}

func (d *Disk) List(string) (list []segment.FileInfo, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range slices.SortedFunc(maps.Keys(d.names), strings.Compare) {
		list = append(list, segment.FileInfo{Name: name, Size: int64(len(d.names[name].data))})
	}
	return list, nil
}

func (d *Disk) MkdirAll(string) error { return nil }

func (d *Disk) SyncDir(string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.note(change{kind: folderSynced})
	return nil
}

func (d *Disk) Free(string) (uint64, error) { return 1 << 60, nil }

func (d *Disk) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

func (f *diskFile) ReadAt(b []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if off >= int64(len(f.i.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.i.data[off:])
	f.d.read += int64(n)
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *diskFile) WriteAt(b []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	f.i.write(b, off)
	f.d.note(change{kind: written, file: f.i, off: off, data: bytes.Clone(b)})
	return len(b), nil
}

func (f *diskFile) Sync() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	f.d.note(change{kind: synced, file: f.i})
	return nil
}

func (f *diskFile) Truncate(n int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	f.i.resize(n)
	f.d.note(change{kind: truncated, file: f.i, off: n})
	return nil
}

func (f *diskFile) Size() (int64, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return int64(len(f.i.data)), nil
}

func (f *diskFile) Page() int {
	if f.i.direct {
		return 4096
	}
	return 1
}

func (f *diskFile) Close() error { return nil }
