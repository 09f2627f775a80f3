// Package snapshots keeps the hub's snapshots: it makes them out of what the nodes keep, takes
// them from whoever brings one, and hands them out, as files and as sources of questions.
//
// A Library owns one folder, and nobody else writes there:
//
//	NAME.tar.gz   a snapshot (package pcap/snapshot)
//	NAME.json     who brought it here, and whose traffic it holds: a record
//	.*            what is being made, brought or read; it goes when the library is opened or closed
//
// A name that can be seen is a complete snapshot: written hidden, synced, renamed. All that is in
// the folder together, also what is being made and what is unpacked to be read, stays below
// Options.MaxBytes and leaves Options.MinFree on the disk: who would pass that is told ErrRoom.
// A snapshot is unpacked into the folder when the first question is asked of it, and stays so for
// Options.Idle after the last.
//
// A Library is safe for concurrent use and judges nobody; a Desk is the library as one user may
// use it. Errors: ErrName, ErrExists, ErrNone, ErrRoom, ErrMany, those of pcap/snapshot for what
// is brought, *auth.Refusal, and the query's.
package snapshots

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/pcap/segment"
	"github.com/sshark/sshark/pcap/snapshot"
	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/worker/query"
)

// Ext is what the files of snapshots end in.
const Ext = ".tar.gz"

const (
	recordExt = ".json"
	hidden    = "."
	// maxSnapshots is how many a library keeps: each is looked at when it is opened, and listed.
	maxSnapshots = 1000
	// freeEvery is how many bytes are written between looks at what is free on the disk.
	freeEvery = 16 << 20
)

// Errors for who asks.
var (
	ErrName   = errors.New("a snapshot's name has " + snapshot.NameRule)
	ErrExists = errors.New("there is a snapshot of this name already, and snapshots do not change; choose another name, or delete it first")
	ErrNone   = errors.New("there is no such snapshot")
	ErrRoom   = errors.New("there is no room for it among the snapshots")
	ErrMany   = fmt.Errorf("there are %d snapshots already; delete some", maxSnapshots)
	errClosed = errors.New("the snapshots are closed")
)

// Options of a Library. Dir, Protocols, Language and Log are needed.
type Options struct {
	Dir       string        // made where it is missing
	MaxBytes  int64         // of all that is in it; 0: 4 GiB
	MinFree   int64         // bytes that stay free on the disk; 0: none
	Idle      time.Duration // how long an unpacked snapshot waits for the next question; 0: 5 min
	Settle    time.Duration // how long packets are on their way to a store; 0: query.ReorderWindow, below: no time
	Program   string        // with its version, for manifests
	Protocols []*dissect.Protocol
	Language  *filter.Language // of the protocols
	Log       *slog.Logger
	Now       func() time.Time
	Free      func(dir string) (uint64, error) // nil: the system's
}

// DefaultMaxBytes is Options.MaxBytes where nothing is said.
const DefaultMaxBytes = 4 << 30

// Library is an open folder of snapshots.
type Library struct {
	o    Options
	lock io.Closer

	mu     sync.Mutex
	kept   map[string]*Info
	taken  map[string]bool // names that are being made or brought
	open   map[string]*unpacked
	used   int64 // bytes in the folder
	look   int64 // used when the disk was looked at last
	free   int64 // then
	closed bool
}

// record is what the library itself knows of a snapshot: what is in the file is whatever who
// made the file wrote.
type record struct {
	By         string    `json:"by"`
	Brought    bool      `json:"brought,omitempty"` // it was made elsewhere
	At         time.Time `json:"at"`
	Everything bool      `json:"everything,omitempty"` // it may hold all traffic
	Namespaces []string  `json:"namespaces,omitempty"` // else that of these
}

// Info is what is known of a snapshot without reading it.
type Info struct {
	Name     string
	Size     int64 // bytes of the file
	Modified time.Time
	By       string     // who made it here, or brought it
	Brought  bool       // it was made elsewhere, and says of itself what it likes
	Holds    auth.Scope // whose traffic is in it

	Created      time.Time
	Since, Until time.Time
	Filter       string
	Nodes        int
	Missing      []string // nodes that did not answer, or not to the end
	Packets      uint64
	Bytes        uint64 // of the packets
	Drops        uint64
	Unpacked     int64 // bytes of its files
}

// describe takes what a manifest says.
func (i *Info) describe(m *snapshot.Manifest) {
	i.Created, i.Since, i.Until, i.Filter, i.Nodes = m.Created, m.Since, m.Until, m.Filter, len(m.Nodes)
	i.Unpacked, i.Packets, i.Bytes, i.Drops = m.Totals()
	for n := range m.Nodes {
		if m.Nodes[n].Missing != "" {
			i.Missing = append(i.Missing, m.Nodes[n].Name)
		}
	}
}

// Open opens a folder and looks at each snapshot in it. One that cannot be read is left alone
// and logged.
func Open(o Options) (*Library, error) {
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.Idle == 0 {
		o.Idle = 5 * time.Minute
	}
	if o.Settle == 0 {
		o.Settle = query.ReorderWindow
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Free == nil {
		o.Free = segment.OS{}.Free
	}
	l := &Library{o: o, kept: map[string]*Info{}, taken: map[string]bool{}, open: map[string]*unpacked{}}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of snapshots: %w", err)
	}
	var err error
	if l.lock, err = (segment.OS{}).Lock(filepath.Join(o.Dir, ".lock")); err != nil {
		return nil, fmt.Errorf("open the folder of snapshots %s: %w", o.Dir, err)
	}
	if err := l.scan(); err != nil {
		return nil, errors.Join(err, l.lock.Close())
	}
	return l, nil
}

// scan finds what is there, and removes what was not finished.
func (l *Library) scan() error {
	list, err := os.ReadDir(l.o.Dir)
	if err != nil {
		return fmt.Errorf("read the folder of snapshots: %w", err)
	}
	for _, e := range list {
		name := e.Name()
		switch {
		case name == ".lock":
		case strings.HasPrefix(name, hidden):
			if err := os.RemoveAll(l.path(name)); err != nil {
				return fmt.Errorf("remove what was not finished: %w", err)
			}
		case strings.HasSuffix(name, recordExt):
			if _, err := os.Stat(l.path(strings.TrimSuffix(name, recordExt) + Ext)); errors.Is(err, os.ErrNotExist) {
				if err := os.Remove(l.path(name)); err != nil {
					return fmt.Errorf("remove what was not finished: %w", err)
				}
			}
		case strings.HasSuffix(name, Ext):
			info, err := l.inspect(strings.TrimSuffix(name, Ext))
			if err != nil {
				l.o.Log.Warn("a snapshot cannot be read: it is left alone", "file", l.path(name), "error", err)
				if st, err := e.Info(); err == nil {
					l.used += st.Size()
				}
				continue
			}
			l.kept[info.Name] = info
			l.used += info.Size
		}
	}
	return nil
}

// inspect reads the beginning of a snapshot's file, and its record.
func (l *Library) inspect(name string) (*Info, error) {
	f, err := os.Open(l.path(name + Ext))
	if err != nil {
		return nil, err
	}
	defer f.Close() // it is only read
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !snapshot.ValidName(name) {
		return nil, ErrName
	}
	rd, err := snapshot.NewReader(f, snapshot.Limits{})
	if err != nil {
		return nil, err
	}
	var r record
	if b, err := os.ReadFile(l.path(name + recordExt)); err != nil {
		r = record{Brought: true, Everything: true} // somebody put it there by hand
	} else if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("read record: %w", err)
	}
	i := &Info{Name: name, Size: st.Size(), Modified: st.ModTime(), By: r.By, Brought: r.Brought, Holds: auth.In(r.Namespaces...)}
	if r.Everything {
		i.Holds = auth.Scope{All: true}
	}
	i.describe(rd.Manifest())
	return i, nil
}

func (l *Library) path(name string) string { return filepath.Join(l.o.Dir, name) }

// Close removes what was unpacked. Sources that are still open fail from then on.
func (l *Library) Close() error {
	l.mu.Lock()
	l.closed = true
	open := l.open
	l.open = map[string]*unpacked{}
	l.mu.Unlock()
	var err error
	for _, u := range open {
		u.stop()
		err = errors.Join(err, os.RemoveAll(u.dir))
	}
	return errors.Join(err, l.lock.Close())
}

// List is all snapshots, by name. An Info is immutable.
func (l *Library) List() []*Info {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]*Info, 0, len(l.kept))
	for _, i := range l.kept {
		out = append(out, i)
	}
	slices.SortFunc(out, func(a, b *Info) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Get is one of them.
func (l *Library) Get(name string) (*Info, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := l.kept[name]; i != nil {
		return i, nil
	}
	return nil, fmt.Errorf("snapshot %q: %w", name, ErrNone)
}

// Manifest reads a snapshot's manifest.
func (l *Library) Manifest(name string) (*snapshot.Manifest, error) {
	f, err := l.File(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // it is only read
	rd, err := snapshot.NewReader(f, snapshot.Limits{})
	if err != nil {
		return nil, fmt.Errorf("snapshot %q: %w", name, err)
	}
	return rd.Manifest(), nil
}

// File opens a snapshot's file. It can be read to its end also if the snapshot is deleted.
func (l *Library) File(name string) (*os.File, error) {
	if _, err := l.Get(name); err != nil {
		return nil, err
	}
	f, err := os.Open(l.path(name + Ext))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("snapshot %q: %w", name, ErrNone)
	}
	return f, err
}

// Delete deletes a snapshot. Who reads it goes on.
func (l *Library) Delete(name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := l.kept[name]
	if i == nil {
		return fmt.Errorf("snapshot %q: %w", name, ErrNone)
	}
	// The record goes last: without its snapshot it means nothing.
	if err := os.Remove(l.path(name + Ext)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("delete snapshot %q: %w", name, err)
	}
	if err := os.Remove(l.path(name + recordExt)); err != nil && !errors.Is(err, os.ErrNotExist) {
		l.o.Log.Warn("the record of a snapshot that was deleted is left", "snapshot", name, "error", err)
	}
	delete(l.kept, name)
	l.used -= i.Size
	if u := l.open[name]; u != nil {
		delete(l.open, name)
		u.doomed = true
		if u.readers == 0 {
			l.discard(u)
		}
	}
	return nil
}

// reserve takes a name for what is being made or brought, until it is kept or release is called.
func (l *Library) reserve(name string) (release func(), err error) {
	if !snapshot.ValidName(name) {
		return nil, fmt.Errorf("snapshot %q: %w", name, ErrName)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, errClosed
	case l.kept[name] != nil || l.taken[name]:
		return nil, fmt.Errorf("snapshot %q: %w", name, ErrExists)
	case len(l.kept)+len(l.taken) >= maxSnapshots:
		return nil, ErrMany
	}
	l.taken[name] = true
	return func() {
		l.mu.Lock()
		delete(l.taken, name)
		l.mu.Unlock()
	}, nil
}

// keep makes a complete, synced file a snapshot. Its bytes are counted already.
func (l *Library) keep(file string, i *Info, r record) error {
	r.Everything, r.Namespaces = i.Holds.All, i.Holds.Namespaces
	text, err := json.Marshal(&r)
	if err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	if err := segment.WriteFile(segment.OS{}, l.path(i.Name+recordExt), append(text, '\n')); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	err = os.Rename(file, l.path(i.Name+Ext))
	if err == nil {
		err = segment.OS{}.SyncDir(l.o.Dir)
	}
	if err != nil {
		err = fmt.Errorf("keep snapshot %q: %w", i.Name, err)
		return errors.Join(err, os.RemoveAll(l.path(i.Name+Ext)), os.RemoveAll(l.path(i.Name+recordExt)))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept[i.Name] = i
	return nil
}
